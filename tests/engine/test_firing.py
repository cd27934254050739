"""A firing that does not go as it must: at each boundary by hand, and end to end with the fault."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.bench.schema import Bench
from labctl.engine.guards.firing import planned_s
from labctl.model.readings import BAD, NOT_READY
from labctl.protocol.plan import Segment
from tests.engine.bench import Hands, bare, inert, purge, ramp
from tests.engine.test_guards import hot, trips
from tests.engine.test_trips import furnace


def watched(guard: str, **changes: Any) -> Hands:
    """The hot tube at its setpoint, and this guard on it."""
    hands = hot(**changes)
    hands.values["furnace.working_setpoint"] = 300.0
    hands.values["furnace.output"] = 10.0
    hands.scan()
    hands.watch(guard, bare("small"))
    return hands


def without(bench: Bench, guard: str) -> Bench:
    """The bench without this guard on its tube."""
    tube = bench.chambers["tube"]
    kept = tube.model_copy(update={"guards": tuple(g for g in tube.guards if g.guard != guard)})
    return bench.model_copy(update={"chambers": {**bench.chambers, "tube": kept}})


# -- ramp_deviation --------------------------------------------------------------------------------


def test_30_k_behind_the_working_setpoint_for_10_min_and_no_nearer_is_held_cold() -> None:
    hands = watched("ramp_deviation")
    hands.values["furnace.working_setpoint"] = 330.0
    hands.go(700.0)
    assert trips(hands) == []
    hands.values["furnace.working_setpoint"] = 330.1
    hands.go(600.0)
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["ramp_deviation"]
    assert hands.tube.lease is None
    assert "cannot follow" in (hands.run.reason or "")


def test_a_heater_that_comes_nearer_however_slowly_follows() -> None:
    hands = watched("ramp_deviation")
    for lag in (100.0, 89.0, 79.0, 70.0, 62.0, 55.0, 49.0):
        hands.values["furnace.working_setpoint"] = 300.0 + lag
        hands.go(500.0)
    assert trips(hands) == []


def test_a_lag_that_cannot_be_told_is_left_to_the_guards_on_readings() -> None:
    hands = watched("ramp_deviation")
    hands.values["furnace.working_setpoint"] = 400.0
    hands.quality["furnace.working_setpoint"] = BAD
    hands.go(700.0)
    assert trips(hands) == []


# -- no_heat ---------------------------------------------------------------------------------------


def test_full_output_for_10_min_without_5_k_of_rise_is_held_cold() -> None:
    hands = watched("no_heat")
    hands.values["furnace.output"] = 98.9
    hands.go(700.0)
    assert trips(hands) == []
    hands.values["furnace.output"] = 99.0
    hands.go(300.0)
    hands.at(305.0)
    hands.go(600.0)
    assert trips(hands) == []
    hands.at(309.9)
    hands.scan()
    assert trips(hands) == ["no_heat"]
    assert "no heat arrives" in (hands.run.reason or "")
    assert hands.tube.lease is None


@pytest.mark.parametrize("guard", ["ramp_deviation", "no_heat"])
def test_what_a_heater_did_before_a_hold_is_not_held_against_it_after_the_restart(guard: str) -> None:
    hands = watched(guard)
    hands.values["furnace.working_setpoint"], hands.values["furnace.output"] = 400.0, 100.0
    hands.go(300.0)
    hands.quality["furnace.working_setpoint"] = BAD
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.tube.lease is None
    hands.at(50.0)
    del hands.quality["furnace.working_setpoint"]
    hands.go(700.0)
    assert hands.ask("restart")[1]
    hands.until(lambda: hands.tube.lease is not None, 200.0)
    hands.values["furnace.working_setpoint"], hands.values["furnace.output"] = 400.0, 100.0
    hands.go(300.0)
    assert trips(hands) == []
    hands.go(400.0)
    assert trips(hands) == [guard]


# -- fired_too_long --------------------------------------------------------------------------------


def test_heat_for_1_5_times_what_is_planned_is_held_cold_and_then_stopped() -> None:
    hands = hot(segments=(ramp(300.0, 600.0),), band_k=1.0, catch_up_s=1e6)
    planned = planned_s(hands.context, hands.run.plan_hash, hands.context.rigs["tube"])
    assert planned == pytest.approx(278.0 / 20.0 * 60.0 + 600.0 + 1e6)
    hands = hot(segments=(ramp(300.0, 600.0),), band_k=1.0)
    planned = planned_s(hands.context, hands.run.plan_hash, hands.context.rigs["tube"])
    hands.at(298.0)  # out of band: it never ends
    hands.go(1.5 * planned - 2.0)
    assert trips(hands) == []
    hands.go(5.0)
    assert trips(hands) == ["fired_too_long"]
    assert hands.tube.lease is None
    hands.at(50.0)
    hands.until(lambda: hands.run.state in ("STOPPING", "STOPPED"), 8000.0)


def test_time_held_and_time_below_150_degc_are_not_fired() -> None:
    hands = hot(segments=(ramp(300.0, 600.0),), band_k=1.0)
    hands.at(150.0)
    hands.go(60.0)
    fired = hands.state.tally.get("run-1/tube/fired_s", 0.0)
    hands.go(600.0)
    assert hands.state.tally.get("run-1/tube/fired_s", 0.0) == fired
    hands.at(250.0)
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    fired = hands.state.tally.get("run-1/tube/fired_s", 0.0)
    hands.go(600.0)
    assert hands.state.tally.get("run-1/tube/fired_s", 0.0) == fired


# -- the step that begins with something wrong already ---------------------------------------------

ALREADY = {
    "over_temperature": lambda h: h.at(1200.0),
    "sensor": lambda h: h.broken("furnace.temperature"),
    "nitrogen_low": lambda h: h.nitrogen(False),
    "oxygen_high": lambda h: h.values.update({"oxygen.oxygen": 5000.0}),
    "silent": lambda h: h.silence("furnace"),
    "thermometers_disagree": lambda h: h.values.update({"furnace-monitor.temperature": 90.0}),
}


@pytest.mark.parametrize("guard", sorted(ALREADY))
def test_what_is_wrong_already_before_a_step_heats_lets_it_never_heat(guard: str) -> None:
    """Field failure: a suspender whose condition already held when the plan began never suspended it."""
    hands = Hands(purge(timeout_s=1e5), inert(), physics=guard == "thermometers_disagree")
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.until(lambda: "purge" in hands.run.done, 3000.0)
    ALREADY[guard](hands)
    hands.go(300.0)
    assert not hands.sent("heat")


# -- end to end ------------------------------------------------------------------------------------


def test_an_element_that_fails_is_held_cold_with_nitrogen_on() -> None:
    with furnace(100.0) as hot_:
        hot_.fault("furnace", "heater_failed")
        hot_.until(lambda: hot_.run.state == "HELD", 900.0)
        (trip,) = hot_.of("tripped")
        assert trip["guard"] in ("no_heat", "detached_sensor", "ramp_deviation")
        assert (trip["action"], trip["distrust"]) == ("hold (cool)", None)
        assert hot_.tube.lease is None
        assert hot_.truth("gas", "flow_sccm") > 100.0


def test_full_output_under_a_thermometer_that_does_not_read_is_left_to_the_guards_on_readings() -> None:
    hands = watched("no_heat", catch_up_s=1e6)
    hands.values["furnace.output"] = 100.0
    hands.quality["furnace.temperature"] = NOT_READY
    hands.watch("no_heat", without(bare("small"), "sensor"))
    hands.go(900.0)
    assert trips(hands) == []


def test_a_ramp_as_fast_as_the_furnace_can_is_planned_to_take_as_long_as_its_cool_down() -> None:
    fastest = Segment(target_c=300.0, ramp_k_per_min=0.0, hold_s=600.0)
    hands = Hands(purge(timeout_s=1e5), inert(segments=(fastest,)))
    hands.start()
    planned = planned_s(hands.context, hands.run.plan_hash, hands.context.rigs["tube"])
    assert planned == pytest.approx(hands.context.rigs["tube"].cooldown_s + 600.0 + 120.0)
