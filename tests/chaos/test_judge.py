"""Every invariant of the judge accuses what it is for, and nothing while all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labctl.chaos.judge.invariants import INVARIANTS
from labctl.chaos.judge.observer import Observer
from labctl.chaos.judge.told import Bounds, Said, Sample, Seen, Soak
from labctl.chaos.judge.wire import Asked

CALM = Sample(
    t_s=0.0, heater_w=0.0, tube_c=22.0, sample_c=22.0, flow_sccm=200.0, oxygen_ppm=5.0, oven_w=0.0, oven_c=22.0,
    cell_v=3.0, cell_a=0.0, contactor=False,
)  # fmt: skip
HOT: dict[str, Any] = {"tube_c": 300.0, "sample_c": 300.0, "heater_w": 100.0, "contactor": True}


class Bench:
    """An observer of a small bench, and what happens before it."""

    def __init__(self) -> None:
        names = {name: name for name in ("furnace", "gas", "oven", "cycler", "io", "analyser")}
        chambers = {"furnace": "tube", "gas": "tube", "io": "tube", "oven": "oven", "cycler": "cell"}
        self.observer = Observer(
            Bounds(
                names,
                {"furnace": 600.0},
                {"furnace": 120.0},
                ((600.0, 15.0, 240.0),),
                100.0,
                100.0,
                chambers,
                {"soak": Soak("furnace", 5.0, (600.0,))},
                contactor=True,
                bypass=True,
            ),
            INVARIANTS,
        )
        self.t_s = 0.0

    def live(self, seconds: int = 1, acting: frozenset[tuple[str, str]] = frozenset(), **how: Any) -> None:
        for _ in range(seconds):
            self.t_s += 1.0
            self.observer.lived(CALM._replace(t_s=self.t_s, acting=acting, **how))

    def ask(self, instrument: str, what: str, value: float = 0.0) -> None:
        self.observer.asked(instrument, [Asked(what, value)], self.t_s)

    def say(self, kind: str, stream: str = "firing-1", **data: Any) -> None:
        self.observer.said(Said(self.t_s, stream, kind, data))

    def intend(self, instrument: str, verb: str, chamber: str = "tube", **args: Any) -> None:
        self.say("intent", instrument=instrument, verb=verb, chamber=chamber, args=args)

    def read(self, role: str, signal: str, value: float) -> None:
        self.observer.read(Seen(role, signal, value, True, self.t_s))

    def heat(self, target: float = 300.0) -> None:
        """A washed tube, asked to heat as it must be."""
        self.live(150, flow_sccm=500.0)
        self.say("chamber_taken", chamber="tube", run="firing-1")
        self.say("state_changed", run="firing-1", **{"from": "IDLE", "to": "RUNNING"})
        self.ask("gas", "flow", 200.0)
        self.intend("io", "set_output", name="contactor", on=True)
        self.ask("io", "contactor", 1.0)
        self.intend("furnace", "heat", target_c=target)
        self.ask("furnace", "setpoint", target)

    @property
    def accused(self) -> set[str]:
        return {violation.invariant for violation in self.observer.violations}


def bad_flow(b: Bench) -> None:
    b.heat()
    b.live(10, **HOT, flow_sccm=150.0)


def gas_stays_away(b: Bench) -> None:
    b.heat()
    b.live(62, **HOT | {"heater_w": 0.0}, flow_sccm=90.0)


def bypass_stays_shut(b: Bench) -> None:
    b.heat()
    b.live(62)
    b.live(32, frozenset({("gas", "power")}), **HOT | {"heater_w": 0.0}, flow_sccm=0.0)


def too_hot(b: Bench) -> None:
    b.heat(200.0)
    b.live(10, **HOT)


def heats_when_off(b: Bench) -> None:
    b.live(70)
    b.live(14, **HOT)


def oven_heats_when_off(b: Bench) -> None:
    b.intend("oven", "heat", "oven", target_c=90.0)
    b.ask("oven", "setpoint", 90.0)
    b.ask("oven", "setpoint", 20.0)
    b.live(22, oven_w=500.0)


def ends_with_power(b: Bench) -> None:
    b.heat()
    b.say("run_ended", end_state="STOPPED")


def ends_with_a_hot_oven(b: Bench) -> None:
    b.say("chamber_taken", "tabletop-1", chamber="oven", run="tabletop-1")
    b.intend("oven", "heat", "oven", target_c=90.0)
    b.ask("oven", "setpoint", 90.0)
    b.say("run_ended", "tabletop-1", end_state="ABORTED")


def power_after_the_end(b: Bench) -> None:
    b.say("chamber_taken", chamber="tube", run="firing-1")
    b.live(3)
    b.say("run_ended", end_state="STOPPED")
    b.live(2, heater_w=50.0)


def no_gas_when_made_safe(b: Bench) -> None:
    b.heat()
    b.live(3, **HOT)
    b.say("safe_started", chamber="tube", items=["heat_off", "safe_flow"])
    b.ask("furnace", "setpoint", 20.0)
    b.live(11, **HOT | {"heater_w": 0.0})


def heat_stays_on_when_made_safe(b: Bench) -> None:
    b.ask("furnace", "setpoint", 20.0)
    b.heat()
    b.live(3, **HOT)
    b.say("safe_started", chamber="tube", items=["heat_off", "safe_flow"])
    b.ask("gas", "flow", 200.0)
    b.live(11, **HOT)


def contactor_not_asked(b: Bench) -> None:
    b.heat()
    b.say("tripped", latched=True, chamber="tube", guard="over_temperature")
    b.live(11, **HOT)


def contactor_left_closed(b: Bench) -> None:
    b.live(130, contactor=True)


def heats_blind(b: Bench) -> None:
    b.heat()
    b.live(12, frozenset({("furnace", "sensor_open")}), **HOT)


def heats_in_oxygen(b: Bench) -> None:
    b.heat()
    b.live(22, **HOT, oxygen_ppm=2000.0)


def cell_overcharged(b: Bench) -> None:
    b.live(17, cell_v=4.2, cell_a=1e-3)


def stuck(b: Bench) -> None:
    b.say("state_changed", run="r", **{"from": "IDLE", "to": "RUNNING"})
    b.say("state_changed", run="r", **{"from": "RUNNING", "to": "HOLDING"})
    b.observer.liveness_s = 0.0
    b.live(62)


def gas_commanded_away(b: Bench) -> None:
    b.live(1, tube_c=120.0)
    b.ask("gas", "flow", 0.0)


def no_intent(b: Bench) -> None:
    b.ask("furnace", "setpoint", 100.0)


def contactor_without_intent(b: Bench) -> None:
    b.ask("io", "contactor", 1.0)


def beyond_the_protocol(b: Bench) -> None:
    b.heat(700.0)


def not_washed(b: Bench) -> None:
    b.live(10, flow_sccm=500.0)
    b.intend("furnace", "heat", target_c=200.0)
    b.ask("furnace", "setpoint", 200.0)


def heats_while_latched(b: Bench) -> None:
    b.heat()
    b.say("tripped", latched=True, chamber="tube", guard="sensor")
    b.ask("furnace", "setpoint", 300.0)


def closes_while_latched(b: Bench) -> None:
    b.heat()
    b.say("tripped", latched=True, chamber="tube", guard="sensor")
    b.ask("io", "contactor", 1.0)


def skips_a_state(b: Bench) -> None:
    b.say("state_changed", run="r", **{"from": "IDLE", "to": "HELD"})


def ends_twice(b: Bench) -> None:
    b.say("run_ended", end_state="STOPPED")
    b.say("run_ended", end_state="COMPLETE")


def never_soaked(b: Bench) -> None:
    b.say("chamber_taken", chamber="tube", run="firing-1")
    b.live(100, sample_c=600.0)
    b.say("run_ended", end_state="COMPLETE")


def soak_made_up(b: Bench) -> None:
    b.say("step_started", id="soak")
    for _ in range(100):
        b.live(1)
        b.read("furnace", "temperature", 600.0)
    b.say("step_done", id="soak", summary={"soaks_s": [140.0]})


def answered_twice(b: Bench) -> None:
    b.observer.requested("p1", 0.0)
    for _ in range(2):
        b.say("request", request="p1", accepted=True, outcome="accepted", actor="person")


def never_answered(b: Bench) -> None:
    b.observer.requested("p1", 0.0)
    b.live(5)
    b.observer.over()


def reading_made_up(b: Bench) -> None:
    b.live(5, frozenset({("furnace", "power")}))
    b.read("furnace", "temperature", 300.0)


def broken_sensor_called_good(b: Bench) -> None:
    b.live(5, frozenset({("analyser", "cell_failed")}))
    b.read("analyser", "oxygen", 3.0)


def left_hot(b: Bench) -> None:
    b.live(1, tube_c=90.0)
    b.observer.over()


PROVOKED: dict[str, list[Callable[[Bench], None]]] = {
    "I1 inert heating": [bad_flow],
    "I5b gas returns": [gas_stays_away],
    "bypass": [bypass_stays_shut],
    "over-temperature": [too_hot],
    "I2 off is off": [heats_when_off],
    "I2 oven off is off": [oven_heats_when_off],
    "I2 end": [ends_with_power, ends_with_a_hot_oven],
    "I2 ended": [power_after_the_end],
    "G1 safe state": [no_gas_when_made_safe, heat_stays_on_when_made_safe],
    "G1 contactor": [contactor_not_asked],
    "contactor at rest": [contactor_left_closed],
    "G1 open sensor": [heats_blind],
    "oxygen": [heats_in_oxygen],
    "cell limits": [cell_overcharged],
    "I12 stuck": [stuck],
    "I5 gas commanded": [gas_commanded_away],
    "I3 intent first": [no_intent, contactor_without_intent],
    "I4 limits": [beyond_the_protocol],
    "I6 purge": [not_washed],
    "I7 latched": [heats_while_latched, closes_while_latched],
    "I8 transitions": [skips_a_state],
    "end state": [ends_twice],
    "complete is true": [never_soaked],
    "I11 soak": [soak_made_up],
    "I10 outcome": [answered_twice],
    "I10 one outcome": [never_answered],
    "I13 I14 telemetry": [reading_made_up, broken_sensor_called_good],
    "I12 liveness": [left_hot],
}


def test_every_invariant_is_provoked_here() -> None:
    assert set(PROVOKED) == {name for table in INVARIANTS for name in table}


@pytest.mark.parametrize(
    ("invariant", "provoke"), [(name, do) for name, ways in PROVOKED.items() for do in ways]
)
def test_the_judge_accuses_what_must_never_happen(invariant: str, provoke: Callable[[Bench], None]) -> None:
    bench = Bench()
    provoke(bench)
    assert invariant in bench.accused


def test_heating_again_at_once_after_it_was_made_safe_is_not_accused() -> None:
    bench = Bench()
    bench.heat()
    bench.live(3, **HOT)
    bench.say("safe_started", chamber="tube", items=["heat_off", "safe_flow"])
    bench.live()
    bench.ask("furnace", "setpoint", 20.0)
    bench.ask("gas", "flow", 200.0)
    bench.live(3, **HOT | {"heater_w": 0.0})
    bench.intend("furnace", "heat", target_c=300.0)
    bench.ask("furnace", "setpoint", 300.0)
    bench.live(11, **HOT)
    assert not bench.accused


def test_heating_as_it_must_be_is_not_accused() -> None:
    bench = Bench()
    bench.heat()
    bench.live(200, **HOT)
    bench.ask("furnace", "setpoint", 20.0)
    bench.live(20, **HOT | {"heater_w": 0.0, "contactor": False})
    assert bench.accused == set()


def test_a_controlled_ramp_down_may_be_as_hot_as_it_began_and_takes_its_time() -> None:
    bench = Bench()
    bench.heat()
    bench.live(5, **HOT)
    bench.say("state_changed", run="firing-1", **{"from": "RUNNING", "to": "STOPPING"})
    bench.ask("furnace", "setpoint", 20.0)
    bench.say("safe_started", chamber="tube", items=["ramp_down", "heat_off", "safe_flow"])
    bench.intend("furnace", "heat", target_c=60.0)
    bench.ask("furnace", "setpoint", 60.0)
    bench.observer.liveness_s = bench.t_s
    for second in range(200):
        bench.live(1, **HOT | {"tube_c": 300.0 - second / 12.0})
    assert bench.accused == set()
    bench.live(62, **HOT | {"tube_c": 283.0})
    assert bench.accused == {"I12 stuck"}


@pytest.mark.parametrize("seen_cold", ["chamber_cold", "custody_closed"])
def test_an_oven_that_labctl_has_seen_cold_may_be_used_by_hand(seen_cold: str) -> None:
    bench = Bench()
    bench.intend("oven", "heat", "oven", target_c=90.0)
    bench.ask("oven", "setpoint", 90.0)
    bench.ask("oven", "setpoint", 20.0)
    bench.say(seen_cold, chamber=bench.observer.bounds.chambers["oven"])
    bench.live(60, oven_w=500.0)
    assert bench.accused == set()


def test_a_cell_that_labctl_cannot_read_is_judged_once_it_can() -> None:
    bench = Bench()
    bench.live(60, frozenset({("cycler", "duplicate")}), cell_v=0.0, cell_a=1e-5)
    assert bench.accused == set()
    bench.live(17, cell_v=0.0, cell_a=1e-5)
    assert bench.accused == {"cell limits"}
