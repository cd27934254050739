"""Failures that others had in the field, each as a test of its own name: what burnt there must not burn here.

Judged on what is really the case: the power into the heater, the gas into the tube, its temperature and pressure.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labctl.bench.discovery import drivers
from labctl.forecast import Rehearsal
from labctl.runtime.clock import RealClock, VirtualClock
from labctl.runtime.record import InMemory
from tests.engine.bench import bundled
from tests.engine.test_plausible import LUKEWARM
from tests.engine.test_trips import PROTECTIVE_SCCM, Furnace, furnace, plan
from tests.runtime.rehearsals import plan_of


def test_klipper_one_way_serial_loss_ends_with_the_heater_really_off() -> None:
    """A host went on heating by a USB line on which nothing came back: smoke.

    The instrument hears every renewal, so its own dead-man never acts: labctl must switch it off unheard.
    """
    with furnace() as hot:
        since = hot.now
        hot.fault("furnace", "drop", side="reply")
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 60.0)
        assert hot.now - since <= 25.0
        hot.until(lambda: hot.run.state == "ABORTING", 60.0)
        assert hot.tube.latched == ("silent",)
        peak = hot.truth("furnace", "tube_c")
        for _ in range(60):
            hot.go(10.0)
            assert hot.truth("furnace", "heater_w") == 0.0
            assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
        assert hot.truth("furnace", "tube_c") < peak
        assert "tube/heat_off/by_hand" in hot.state.alarms


class Stepped(VirtualClock):
    """A wall clock that is set back by an hour in the purge and forward by two while it is hot."""

    def utc_ms(self, t_s: float) -> int:
        jump_s = 0 if t_s < 200.0 else -3600 if t_s < 600.0 else 7200
        return super().utc_ms(t_s) + jump_s * 1000


def _journal(clock: VirtualClock) -> list[tuple[str, str, dict[str, Any], float]]:
    record, bench = InMemory(), bundled("small")
    with Rehearsal(bench, drivers(), plan(bench), seed=5, record=record, clock=clock) as rehearsal:
        rehearsal.submit("run-1", {})
        rehearsal.controller.run(lambda: rehearsal.ended("run-1"))
    return [tuple(event) for event in record.events]  # type: ignore[misc]


def test_kiln_controller_wall_clock_that_is_set_moves_nothing_of_a_run() -> None:
    """A kiln's profile moved by an hour when NTP set its clock. Durations here come from the bench's clock alone."""
    once = _journal(VirtualClock())
    assert once == _journal(Stepped())
    assert [kind for _, kind, _, _ in once].count("step_done") >= 4


def test_kiln_controller_wall_clock_is_not_looked_at_by_the_real_bench_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = RealClock(100.0)
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0.0 <= clock.now() - before < 5.0
    assert clock.utc_ms(clock.now()) < 1000  # the record says what the wall says


def test_klipper_detached_sensor_near_setpoint_does_not_heat_for_ever(tmp_path: Path) -> None:
    """A thermistor lay on the table, the setpoint was near the room's: the check never armed, and it heated for ever.

    With no second thermometer, as there.
    """
    with furnace(None, given=plan_of(tmp_path, bundled("small"), LUKEWARM)) as hot:
        hot.fault("furnace", "sensor_detached")
        hot.fault("furnace-monitor", "sensor_open")
        hot.until(lambda: hot.truth("furnace", "heater_w") > 0.0, 60.0)
        hot.until(lambda: hot.tube.latched == ("detached_sensor",), 1200.0)
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 5.0)
        assert hot.truth("furnace", "tube_c") < 120.0
        hot.go(600.0)
        assert hot.truth("furnace", "heater_w") == 0.0
        assert hot.tube.distrusted == ("furnace",)


@pytest.mark.parametrize(
    ("instrument", "kind", "given", "guard"),
    [
        ("io", "contact_open", {"contact": "limiter"}, "limiter"),
        ("io", "room_air", {"oxygen_pct": 17.0}, "room_oxygen"),
        ("furnace", "sensor_open", {}, "sensor"),
    ],
)
def test_bluesky_1970_already_tripped_suspender_suspends_all_the_same(
    instrument: str, kind: str, given: dict[str, Any], guard: str
) -> None:
    """A suspender that was tripped before the plan began saw no edge, and the plan ran. Guards here ask by level."""
    with furnace(None) as early:
        early.fault(instrument, kind, **given)
        for _ in range(80):
            early.go(60.0)
            assert early.truth("furnace", "heater_w") == 0.0
        assert early.run.state in ("HELD", "HOLDING", "STOPPED", "ABORTED")
        assert [e for e in early.of("intent") if e["verb"] == "heat"] == []
        told = {alarm["id"] for alarm in early.of("alarm")}
        assert told & {f"tube/{guard}", "tube/heat/may not heat", "tube/held"}, told


def test_stuck_on_ssr_that_shows_when_the_heat_is_off_calls_for_the_breaker_and_keeps_the_gas_on() -> None:
    """A solid-state relay fails closed: full power, whatever software says. No contactor on this bench."""
    with furnace(io=False) as hot:
        hot.ask("abort")
        hot.rehearsal.controller.hurry()
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0 and hot.tube.custody is not None, 60.0)
        hot.go(310.0)
        hot.fault("furnace", "heater_stuck")
        since = hot.now
        hot.until(lambda: "tube/stuck_heater" in hot.alarms, 60.0)
        assert hot.now - since <= 30.0, hot.now - since
        alarm = hot.alarms["tube/stuck_heater"]
        assert alarm["priority"] == "critical"
        assert "Open its contactor or breaker now; leave the gas on" in alarm["message"]
        assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM
        hot.go(60.0)
        hot.faults.clear("furnace")  # a person opens the breaker
        hot.until(lambda: hot.tube.custody is None, 30_000.0)
        assert hot.truth("furnace", "tube_c") < 62.0
        assert {"over_temperature", "stuck_heater"} & set(hot.tube.latched)


def test_stuck_on_ssr_loses_its_power_to_the_contactor_within_seconds_of_the_trip() -> None:
    with furnace() as hot:
        hot.fault("furnace", "heater_stuck")
        hot.until(lambda: hot.tube.latched == ("over_temperature",), 600.0)
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 3.0)
        peak = hot.truth("furnace", "tube_c")
        hot.go(300.0)
        assert hot.truth("furnace", "tube_c") < peak + 30.0
        assert hot.truth("services", "contactor") == 0.0
        assert hot.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM


FOUR_S = 4 * 3600.0
"""Four in the morning: virtual time begins at midnight."""
OVERNIGHT = """\
protocol: overnight
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - id: heat
    heat:
      {with: furnace, to: 900 degC, ramp: 20 K/min, hold: 9 h, atmosphere: inert, under: {gas: nitrogen, flow: 0.2 slm}}
  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, under: {gas: nitrogen, flow: 200 sccm}}}
  - {id: unload, unload: {from: furnace, into: empty boat}}
"""


@contextmanager
def overnight(tmp_path: Path, litres: float) -> Iterator[Furnace]:
    """A furnace at 900 degC over night, on a cylinder that holds so much."""
    bench, record = bundled("small"), InMemory()
    with Rehearsal(bench, drivers(), plan_of(tmp_path, bench, OVERNIGHT), seed=5, record=record) as rehearsal:
        tube: Any = rehearsal.twin.plant.chambers["tube"]
        tube.services.used_l = tube.services.cylinder_l - litres
        rehearsal.submit("run-1", {})
        yield Furnace(rehearsal, record)


def left_l(night: Furnace) -> float:
    return night.truth("services", "cylinder_bar") * 50.0


def test_empty_cylinder_at_four_in_the_morning_is_told_hours_before_and_the_tube_is_cold_by_then(
    tmp_path: Path,
) -> None:
    """What it holds at midnight would last until four. Nobody is there, nobody answers."""
    purged_l, held_l = 3.6, (FOUR_S - 420.0) / 60.0 * 0.2
    with overnight(tmp_path, purged_l + held_l) as night:
        night.until(lambda: "tube/gas_reserve" in night.alarms, FOUR_S)
        assert night.now <= FOUR_S - 2 * 3600.0
        assert "labctl gas swap nitrogen-cylinder" in night.alarms["tube/gas_reserve"]["message"]
        assert night.run.state == "RUNNING", "it only warns as long as a cool-down can wait"
        night.until(lambda: night.run.state == "STOPPING", FOUR_S)
        assert night.run.actor == "guard gas_reserve"
        coolest = night.truth("furnace", "tube_c")
        while coolest > 100.0:
            night.go(10.0)
            assert night.truth("furnace", "tube_c") <= coolest + 1.0, "down at 5 K/min, then by itself"
            assert night.truth("gas", "flow_sccm") >= PROTECTIVE_SCCM, "gas until it is cold"
            coolest = min(coolest, night.truth("furnace", "tube_c"))
        assert night.truth("furnace", "heater_w") == 0.0
        assert night.now < FOUR_S - 600.0
        night.until(lambda: night.tube.custody is None, FOUR_S)
        assert left_l(night) > 1.0
        night.go(10.0)
        assert night.truth("gas", "flow_sccm") < 1.0
        assert night.run.end_state == "STOPPED"


def test_empty_cylinder_at_four_in_the_morning_without_a_warning_takes_the_heat_within_seconds(
    tmp_path: Path,
) -> None:
    """A burst hose empties it at once. The bypass is opened, and has nothing to give."""
    with overnight(tmp_path, 9000.0) as night:
        night.until(lambda: night.truth("furnace", "tube_c") > 890.0)
        night.fault("io", "cylinder_empty")
        since = night.now
        night.until(lambda: night.truth("furnace", "heater_w") == 0.0, 8.0)
        assert night.now - since <= 8.0
        night.until(lambda: night.truth("services", "bypass") == 1.0, 60.0)
        told = [a["id"] for a in night.of("alarm") if a["trigger"] == "active"]
        assert told[0] in ("tube/gas_reserve", "tube/nitrogen_lost")
        assert "tube/nitrogen_lost" in told
        while night.now < since + 7500.0:
            night.go(60.0)
            assert night.truth("furnace", "heater_w") == 0.0
        assert night.truth("furnace", "tube_c") < 62.0
        assert night.run.end_state in ("STOPPED", "ABORTED")
        assert not night.tube.purged, "what was in the tube is not called clean"


def test_blocked_exhaust_during_pyrolysis_turns_the_heat_off_and_does_not_burst_the_tube(
    tmp_path: Path,
) -> None:
    """A trap fills with tar over half an hour. The flow is stepped down, and up again when somebody frees it."""
    with overnight(tmp_path, 9000.0) as hot:
        hot.until(lambda: hot.truth("furnace", "tube_c") > 890.0)
        hot.fault("furnace", "exhaust_blocked", over_s=1800.0)
        highest, flows = 0.0, []
        while "tube_pressure" not in hot.tube.latched:
            hot.go(1.0)
            highest = max(highest, hot.truth("services", "tube_bar"))
            assert hot.now < 6000.0
        assert 0.2 < highest < 0.22
        assert [t["action"] for t in hot.of("tripped")][:2] == ["hold (maintain)", "heater off"]
        assert "Stay away from the tube's ends" in hot.alarms["tube/tube_pressure"]["message"]
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 3.0)
        hot.go(30.0)
        while hot.truth("furnace", "tube_c") > 110.0:
            hot.go(5.0)
            flows.append(hot.truth("gas", "flow_sccm"))
            assert hot.truth("services", "tube_bar") < 0.101
            assert hot.truth("furnace", "heater_w") == 0.0
        assert min(flows) < PROTECTIVE_SCCM, "which over-pressure alone excuses"
        hot.faults.clear("furnace")
        hot.until(lambda: hot.tube.custody is None, 30_000.0)
        assert hot.truth("furnace", "tube_c") < 62.0
        assert [a["id"] for a in hot.of("alarm") if a["trigger"] == "active"] == ["tube/tube_pressure"]
