"""Trips end to end: a small furnace in virtual time, real drivers and wire bytes, judged on what is really the case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from labctl.bench.discovery import drivers
from labctl.bench.schema import Bench
from labctl.engine.state import from_json, to_json
from labctl.errors import WaitTimeoutError
from labctl.forecast import Rehearsal
from labctl.protocol.plan import Plan
from labctl.protocol.validation import load_plan
from labctl.runtime.record import InMemory
from labctl_simulators.faults import Faults
from tests.engine.bench import bare, bundled

PROTECTIVE_SCCM = 100.0


def plan(bench: Bench) -> Plan:
    return load_plan("short-furnace", {"hold": "2 min", "temperature": "250 degC"}, bench)[0]


class Furnace:
    """A rehearsal under observation: what the wire and the plant have seen beside what labctl says."""

    def __init__(self, rehearsal: Rehearsal, record: InMemory) -> None:
        self.rehearsal = rehearsal
        self.record = record
        self.faults = Faults(rehearsal.twin)

    @property
    def now(self) -> float:
        return self.rehearsal.controller.clock.now()

    @property
    def state(self) -> Any:
        return self.rehearsal.controller.state

    @property
    def alarms(self) -> Any:
        return {name: alarm for name, alarm in self.state.alarms.items() if alarm["active"]}

    @property
    def run(self) -> Any:
        return self.state.runs["run-1"]

    @property
    def tube(self) -> Any:
        return self.state.chambers["tube"]

    def truth(self, part: str, what: str) -> float:
        return float(self.rehearsal.twin.truth()[part][what])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [e.data for e in self.record.events if e.kind == kind]

    def until(self, there: Callable[[], bool], within_s: float = 6000.0) -> None:
        end = self.now + within_s
        self.rehearsal.controller.run(lambda: there() or self.now > end)
        assert there(), (self.run, self.tube)

    def go(self, seconds: float) -> None:
        end = self.now + seconds
        self.rehearsal.controller.run(lambda: self.now >= end)

    def ask(self, verb: str, **args: Any) -> None:
        self.record.ask(verb, args, actor="person", run="run-1", key=f"{verb}{self.now}", utc_ms=0)
        self.rehearsal.controller.hurry()  # the inbox is looked at by the wall's clock

    def fault(self, instrument: str, kind: str, **parameters: Any) -> None:
        self.faults.add({"instrument": instrument, "kind": kind, "parameters": parameters})


@contextmanager
def furnace(
    celsius: float | None = 200.0, *, io: bool = True, given: Plan | None = None
) -> Iterator[Furnace]:
    """The short run (or another plan), started, and heated to that true temperature; with the I/O module or without."""
    record = InMemory()
    bench = bundled("small") if io else bare("small")
    with Rehearsal(bench, drivers(), given or plan(bench), seed=5, record=record) as rehearsal:
        assert rehearsal.problems == []
        rehearsal.submit("run-1", {})
        hot = Furnace(rehearsal, record)
        hot.go(1.0)
        if celsius is not None:
            hot.until(lambda: hot.truth("furnace", "tube_c") >= celsius)
        yield hot


def test_a_fault_free_run_raises_no_alarm_and_no_trip_and_its_state_survives_json() -> None:
    with furnace(None) as hot:
        while not hot.rehearsal.ended("run-1"):
            hot.go(60.0)
            assert from_json(to_json(hot.state)) == hot.state
        assert hot.run.end_state == "COMPLETE"
        assert hot.of("alarm") == hot.of("tripped") == []
        assert hot.truth("furnace", "tube_c") < 62.0
        assert hot.alarms == {}


def test_nitrogen_lost_while_hot_turns_the_heater_off_in_seconds_and_a_restart_completes() -> None:
    with furnace() as hot:
        hot.rehearsal.twin.plant.flows["nitrogen"].supply_ok = False
        since = hot.now
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 60.0)
        assert hot.now - since <= 5.0 + 2.0 + 1.0  # nitrogen_low_for, two scans, and the plant's own second
        assert hot.run.state == "HOLDING"
        assert hot.truth("gas", "flow_sccm") < PROTECTIVE_SCCM
        assert hot.tube.flow_sccm >= PROTECTIVE_SCCM
        hot.go(120.0)
        assert hot.truth("furnace", "heater_w") == 0.0
        hot.rehearsal.twin.plant.flows["nitrogen"].supply_ok = True
        hot.until(lambda: hot.run.state == "HELD", 60.0)
        assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
        assert not hot.tube.purged
        hot.ask("restart")
        hot.until(lambda: hot.rehearsal.ended("run-1"), 20_000.0)
        assert hot.run.end_state == "COMPLETE"
        assert len(hot.of("purge_proven")) == 2
        assert hot.truth("furnace", "tube_c") < 62.0


def test_nitrogen_that_never_returns_keeps_the_heater_off_and_ends_once_the_tube_is_proven_cold() -> None:
    with furnace() as hot:
        hot.rehearsal.twin.plant.flows["nitrogen"].supply_ok = False
        hot.until(lambda: hot.rehearsal.ended("run-1"), 100_000.0)
        assert hot.run.end_state in ("STOPPED", "ABORTED")
        assert hot.truth("furnace", "heater_w") == 0.0
        assert hot.truth("furnace", "tube_c") < 62.0
        assert hot.state.chambers["tube"].custody is None


def test_a_rehearsal_that_waits_for_ever_is_given_up_and_says_what_it_waits_for() -> None:
    with furnace() as hot:
        hot.fault("nitrogen", "drop")
        with pytest.raises(WaitTimeoutError, match=r"nothing has changed for .* tube is in custody"):
            hot.until(lambda: hot.rehearsal.ended("run-1"), 400_000.0)


def test_a_heater_that_is_stuck_on_loses_its_power_to_the_contactor() -> None:
    with furnace() as hot:
        hot.fault("furnace", "heater_stuck")
        hot.until(lambda: bool(hot.tube.latched), 600.0)
        assert hot.tube.latched == ("over_temperature",)
        since = hot.now
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 20.0)
        assert hot.now - since <= 3.0
        assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
        hot.until(lambda: hot.tube.custody is None and hot.run.end_state == "ABORTED", 30_000.0)
        assert hot.tube.latched == ("over_temperature",)


def test_a_heater_that_is_stuck_on_is_a_latched_abort_with_nitrogen_on_until_it_is_cold() -> None:
    with furnace(io=False) as hot:
        hot.fault("furnace", "heater_stuck")
        hot.until(lambda: bool(hot.tube.latched), 600.0)
        assert hot.tube.latched == ("over_temperature",)
        assert hot.run.state == "ABORTING"
        hot.until(lambda: "stuck_heater" in hot.tube.latched, 400.0)
        assert "Open its contactor" in hot.alarms["tube/stuck_heater"]["message"]
        assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
        hot.faults.clear("furnace")  # a person opens the contactor
        hot.go(1.0)
        assert hot.truth("furnace", "heater_w") == 0.0
        while hot.tube.custody is not None:
            hot.go(10.0)
            if hot.truth("furnace", "tube_c") > 102.0:
                assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
            assert hot.now < 30_000.0
        assert hot.truth("furnace", "tube_c") < 62.0
        assert hot.truth("gas", "flow_sccm") < 1.0
        assert hot.run.end_state == "ABORTED"
        assert hot.tube.latched == ("over_temperature", "stuck_heater")


def test_a_broken_thermocouple_aborts_and_its_controller_has_no_vote() -> None:
    with furnace() as hot:
        hot.rehearsal.twin.plant.sensors["furnace"].broken = True
        since = hot.now
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 60.0)
        assert hot.now - since <= 4.0
        assert hot.tube.latched == ("sensor",)
        assert hot.tube.distrusted == ("furnace",)
        hot.until(lambda: hot.tube.custody is not None, 60.0)
        hot.rehearsal.twin.plant.sensors["furnace"].broken = False
        hot.until(lambda: hot.tube.custody is None, 20_000.0)
        assert hot.truth("furnace", "tube_c") < 62.0
        assert hot.run.end_state == "ABORTED"


def test_a_furnace_that_falls_silent_is_alarmed_held_and_aborted_and_a_person_is_asked() -> None:
    with furnace() as hot:
        since = hot.now
        hot.fault("furnace", "drop", side="request")
        hot.until(lambda: hot.run.state == "ABORTING", 120.0)
        assert 30.0 <= hot.now - since <= 45.0
        assert hot.tube.latched == ("silent",)
        hot.until(lambda: "tube/heat_off/by_hand" in hot.alarms, 120.0)
        # its dead-man of 5 s brings it down by itself, at the rate that it was given
        assert hot.truth("furnace", "tube_c") < 200.0
        assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
        assert hot.run.state == "ABORTING"
