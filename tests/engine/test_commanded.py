"""Instruments that do something else than labctl commanded: at each boundary by hand, and end to end."""

from __future__ import annotations

import pytest

from labctl.model.readings import BAD, SILENT, Quality
from tests.engine.bench import Hands, dry, inert, purge, ramp, stir
from tests.engine.test_guards import hot, trips
from tests.engine.test_trips import furnace

# -- panel_change ----------------------------------------------------------------------------------


def test_a_setpoint_that_somebody_changed_holds_after_three_scans_and_labctl_does_not_fight() -> None:
    hands = hot()
    hands.values["furnace.setpoint"] = 298.6
    hands.go(10.0)
    assert trips(hands) == []  # within half a percent
    hands.values["furnace.setpoint"] = hands.values["furnace.working_setpoint"] = 250.0
    before = len(hands.sent("heat"))
    hands.go(2.0)
    assert hands.run.state == "RUNNING"
    hands.scan()
    assert trips(hands) == ["panel_change"]
    hands.until(lambda: hands.run.state == "HELD", 5.0)
    assert hands.tube.lease is not None
    assert len(hands.sent("heat")) == before
    assert not hands.sent("heat_off")
    assert hands.ask("restart") == (
        "refused: furnace: setpoint is 250, labctl commanded 300; adopt it (with a reason) or restore it first",
        False,
    )


def test_a_working_setpoint_is_never_compared_and_a_bad_reading_neither() -> None:
    hands = hot()
    hands.values["furnace.working_setpoint"] = 123.0
    hands.go(10.0)
    hands.values["furnace.setpoint"] = 100.0
    hands.quality["furnace.setpoint"] = BAD
    hands.go(10.0)
    assert trips(hands) == []


def test_an_adopted_temperature_is_what_the_segment_wants_from_then_on() -> None:
    hands = hot(segments=(ramp(300.0, 60.0), ramp(200.0, 60.0)), band_k=5.0)
    hands.values["furnace.setpoint"] = hands.values["furnace.working_setpoint"] = 250.0
    hands.at(250.0)
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert hands.ask("adopt") == ("refused: say why (--reason)", False)
    assert hands.ask("adopt", reason="the boat softens at 280") == ("accepted", True)
    (adopted,) = hands.of("adopted")
    assert (adopted["was"], adopted["value"], adopted["actor"]) == (300.0, 250.0, "person")
    assert adopted["reason"] == "the boat softens at 280"
    hands.scan()
    assert hands.ask("restart")[1]
    hands.phase("heat", "soak", 10.0)
    assert [c.args["target_c"] for c in hands.sent("heat")][-1] == 250.0
    hands.until(lambda: hands.sent("heat")[-1].args["target_c"] == 200.0, 100.0)
    assert hands.step("heat").data["adopted"] == {}


def test_a_restored_temperature_is_held_where_it_is_and_goes_on_as_planned() -> None:
    hands = hot()
    hands.at(260.0)
    hands.values["furnace.setpoint"] = 250.0
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert hands.ask("restore") == ("accepted", True)
    assert hands.sent("heat")[-1].args["target_c"] == 260.0
    hands.go(2.0)
    assert hands.ask("restore") == ("refused: every setpoint is what labctl commanded", False)
    assert hands.ask("restart")[1]
    hands.until(lambda: hands.sent("heat")[-1].args["target_c"] == 300.0, 10.0)


def test_a_higher_temperature_and_a_flow_below_the_protective_are_not_adopted() -> None:
    hands = hot()
    hands.values["furnace.setpoint"] = 310.0
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    outcome, accepted = hands.ask("adopt", reason="hotter is better")
    assert not accepted
    assert "a higher temperature is not adopted" in outcome
    cold = Hands(purge(timeout_s=1e5))
    cold.start()
    cold.phase("purge", "wash")
    cold.values["nitrogen.flow_setpoint"] = 80.0
    cold.until(lambda: cold.run.state == "HELD", 20.0)
    outcome, accepted = cold.ask("adopt", reason="saves gas")
    assert not accepted
    assert "less than the protective flow of 100 sccm" in outcome


def test_a_flow_that_somebody_raised_is_adopted_for_the_step_or_restored() -> None:
    for verb, wanted in (("adopt", 300.0), ("restore", 200.0)):
        hands = hot()
        hands.values["nitrogen.flow_setpoint"] = hands.values["nitrogen.flow"] = 300.0
        hands.until(lambda: hands.run.state == "HELD", 20.0)  # noqa: B023
        assert hands.tube.lease is not None
        assert hands.ask(verb, reason="more off-gas than thought")[1]
        hands.go(2.0)
        assert hands.ask("restart")[1]
        hands.phase("heat", "ramp", 100.0)
        hands.go(20.0)
        assert hands.run.state == "RUNNING"
        assert hands.tube.flow_sccm == hands.values["nitrogen.flow_setpoint"] == wanted


def test_a_stirrer_that_somebody_slowed_is_held_and_adopted() -> None:
    hands = Hands(stir(duration_s=100.0, timeout_s=1000.0))
    hands.start()
    hands.phase("stir", "stir")
    hands.values["hotplate.speed"] = hands.values["hotplate.speed_setpoint"] = 200.0
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert trips(hands) == ["panel_change"]
    assert hands.ask("adopt", reason="it splashes")[1]
    hands.scan()
    assert hands.ask("restart")[1]
    hands.until(lambda: "stir" in hands.run.done, 300.0)
    assert hands.sent("stir")[-1].args["speed_rpm"] == 200.0


def test_an_oven_that_somebody_set_is_held() -> None:
    hands = Hands(dry(segments=(ramp(40.0, 1e5),), timeout_s=2e5))
    hands.start()
    hands.values["oven.temperature"] = 40.0
    hands.phase("dry", "soak")
    hands.values["oven.setpoint"] = 60.0
    hands.until(lambda: bool(hands.of("tripped")), 60.0)
    assert trips(hands) == ["panel_change"]


def test_an_oven_that_is_heated_again_from_cooler_than_it_was_is_nobodys_hand() -> None:
    hands = Hands(dry(segments=(ramp(100.0, 1e5),), timeout_s=2e5))
    hands.start()
    hands.values["oven.temperature"] = 100.0
    hands.phase("dry", "soak")
    hands.go(400.0)
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    hands.values["oven.temperature"] = 40.0
    assert hands.ask("restart")[1]
    hands.until(lambda: len(hands.sent("heat")) > 1, 100.0)
    for signal in ("setpoint", "working_setpoint"):
        hands.values[f"oven.{signal}"] = 40.0  # where the driver begins its ramp
    hands.go(120.0)
    assert trips(hands) == []
    assert (hands.values["oven.setpoint"] or 0.0) > 60.0


def test_an_oven_that_somebody_put_into_another_mode_is_held_and_can_only_be_restored() -> None:
    hands = Hands(dry(segments=(ramp(60.0, 1e5),), timeout_s=2e5))
    hands.start()
    hands.values["oven.temperature"] = 60.0
    hands.phase("dry", "soak")
    hands.go(60.0)
    assert trips(hands) == []
    hands.values["oven.working_setpoint"] = 0.0  # idle: what acts is not what is set
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert trips(hands) == ["panel_change"]
    assert "another mode" in hands.ask("adopt", reason="cooler will do")[0]
    assert hands.ask("restore")[1]
    assert hands.sent("heat")[-1].args["target_c"] <= 60.0
    hands.values["oven.working_setpoint"] = hands.values["oven.setpoint"]
    hands.go(60.0)
    assert hands.ask("restart")[1]


def test_only_a_held_run_is_reconciled() -> None:
    hands = hot()
    assert hands.ask("restore") == ("refused: run-1 is RUNNING, not HELD", False)
    assert hands.ask("adopt", "run-9", reason="x") == ("refused: no run run-9 on this bench", False)


# -- controller_reset ------------------------------------------------------------------------------


def flags(hands: Hands, *, manual: float = 0.0, remote_fail: float = 0.0) -> None:
    hands.values["furnace.manual"], hands.values["furnace.remote_fail"] = manual, remote_fail


@pytest.mark.parametrize("sign", ["manual", "remote_fail", "fall-back"])
def test_a_controller_that_comes_back_otherwise_is_held_cold_at_once_and_audited_before_it_heats(
    sign: str,
) -> None:
    hands = hot()
    flags(hands)
    hands.go(3.0)
    if sign == "fall-back":
        hands.values["furnace.setpoint"] = 20.0
    else:
        flags(hands, **{sign: 1.0})
    hands.outcome["audit"] = "failed"
    hands.scan()
    assert trips(hands) == ["controller_reset"]
    assert hands.tube.lease is None
    assert [c.verb for c in hands.commands[-2:]] == ["heat_off", "set_flow"]
    assert hands.tube.unaudited == ("furnace",)
    flags(hands)
    hands.at(200.0)
    hands.until(lambda: hands.run.state == "HELD", 30.0)
    hands.go(5.0)
    assert len(hands.sent("audit")) == 1
    assert hands.ask("restart") == (
        "refused: furnace came back from a reset and has not passed its audit since",
        False,
    )
    hands.outcome.clear()
    hands.go(60.0)
    assert not hands.tube.unaudited
    assert hands.ask("restart")[1]
    hands.phase("heat", "ramp", 100.0)
    assert hands.tube.lease is not None


def test_nothing_is_started_with_a_controller_that_was_reset_and_not_audited_since() -> None:
    hands = hot()
    flags(hands)
    hands.go(3.0)
    hands.outcome["audit"] = "failed"
    flags(hands, manual=1.0)
    hands.until(lambda: hands.tube.unaudited == ("furnace",), 10.0)
    flags(hands)
    hands.at(22.0)
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.tube.custody is None and hands.run.end_state is not None, 10_000.0)
    assert hands.plan is not None
    assert hands.ask("submit", None, run="run-2", plan=hands.plan.plan_hash)[1]
    assert hands.ask("start", "run-2") == (
        "refused: furnace came back from a reset and has not passed its audit since",
        False,
    )
    asked = len(hands.sent("audit"))
    hands.go(300.0)
    assert len(hands.sent("audit")) >= asked + 4, "it is asked again though nothing is in use"
    hands.outcome.clear()
    hands.until(lambda: not hands.tube.unaudited, 120.0)
    assert hands.ask("start", "run-2")[1]


def test_a_lease_that_lapsed_because_nobody_reached_the_controller_is_no_reset() -> None:
    hands = hot()
    flags(hands)
    hands.go(3.0)
    kept = dict(hands.values)
    hands.silence("furnace")
    hands.go(7.0)
    hands.values = kept
    hands.quality.clear()
    hands.values["furnace.setpoint"] = 20.0
    flags(hands, remote_fail=1.0)
    hands.scan()
    flags(hands)
    hands.values["furnace.setpoint"] = 300.0
    hands.go(10.0)
    assert trips(hands) == []
    assert hands.run.state == "RUNNING"


def test_a_heater_just_commanded_is_not_taken_for_one_that_was_reset() -> None:
    hands = Hands(purge(timeout_s=1e5), inert(segments=(ramp(300.0, 1e6),), timeout_s=2e6))
    flags(hands, manual=1.0)
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "ramp", 3000.0)
    flags(hands)
    hands.go(5.0)
    assert trips(hands) == []


# -- flow_deviation --------------------------------------------------------------------------------


@pytest.mark.parametrize(("inside", "outside"), [(220.0, 220.1), (180.0, 179.9)])
def test_a_flow_10_percent_off_its_setpoint_for_15_s_is_held(inside: float, outside: float) -> None:
    hands = hot()
    hands.values["nitrogen.flow"] = inside
    hands.go(60.0)
    assert trips(hands) == []
    hands.values["nitrogen.flow"] = outside
    hands.go(15.0)
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["flow_deviation"]
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert hands.tube.lease is not None  # enough gas is proven to flow


@pytest.mark.parametrize("quality", [BAD, SILENT])
def test_a_flow_that_is_not_measured_is_left_to_the_nitrogen_guards(quality: Quality) -> None:
    hands = hot()
    hands.quality["nitrogen.flow"] = quality
    hands.go(6.0)
    assert "flow_deviation" not in trips(hands)
    assert hands.tube.lease is None


# -- end to end ------------------------------------------------------------------------------------


def test_a_setpoint_dialled_at_the_furnace_is_held_and_restored_end_to_end() -> None:
    with furnace() as hot_:
        hot_.fault("furnace", "panel_setpoint", value=150.0)
        hot_.until(lambda: hot_.run.state == "HELD", 30.0)
        assert [t["guard"] for t in hot_.of("tripped")] == ["panel_change"]
        hot_.ask("restore")
        hot_.go(5.0)
        hot_.ask("restart")
        hot_.until(lambda: hot_.rehearsal.ended("run-1"), 20_000.0)
        assert hot_.run.end_state == "COMPLETE"


def test_a_furnace_switched_to_manual_at_its_panel_is_off_within_seconds_and_audited_again() -> None:
    with furnace() as hot_:
        since = hot_.now
        hot_.fault("furnace", "panel_mode", output=80.0)
        hot_.until(lambda: hot_.truth("furnace", "heater_w") == 0.0, 60.0)
        assert hot_.now - since <= 4.0
        assert [t["guard"] for t in hot_.of("tripped")] == ["controller_reset"]
        hot_.until(lambda: hot_.run.state == "HELD" and not hot_.tube.unaudited, 60.0)
        hot_.ask("restart")
        hot_.until(lambda: hot_.rehearsal.ended("run-1"), 20_000.0)
        assert hot_.run.end_state == "COMPLETE"


def test_a_furnace_that_lost_its_mains_for_three_seconds_is_held_cold_and_audited_again() -> None:
    with furnace() as hot_:
        hot_.fault("furnace", "power")
        hot_.until(lambda: hot_.run.state == "HELD", 60.0)
        assert [t["guard"] for t in hot_.of("tripped")] == ["controller_reset"]
        assert hot_.tube.lease is None
        hot_.until(lambda: not hot_.tube.unaudited, 60.0)
        assert [c for c in hot_.of("intent") if c["verb"] == "audit"]
        assert hot_.truth("gas", "flow_sccm") > 100.0


@pytest.mark.parametrize("flow_sccm", [230.0, 170.0])
def test_a_valve_that_stays_where_it_is_is_held(flow_sccm: float) -> None:
    with furnace() as hot_:
        hot_.fault("nitrogen", "valve_stuck", flow_sccm=flow_sccm)
        hot_.until(lambda: hot_.run.state == "HELD", 60.0)
        assert [t["guard"] for t in hot_.of("tripped")] == ["flow_deviation"]


def test_a_speed_that_cannot_be_read_is_nobody_s_hand() -> None:
    hands = Hands(stir(duration_s=1e5, timeout_s=2e5))
    hands.start()
    hands.phase("stir", "stir", 60.0)
    hands.values["hotplate.speed_setpoint"] = 150.0
    hands.quality["hotplate.speed_setpoint"] = BAD
    hands.go(60.0)
    assert trips(hands) == []


def test_a_furnace_that_lost_its_lease_in_silence_was_not_reset() -> None:
    hands = hot()
    flags(hands)
    hands.go(3.0)
    shown = {key: value for key, value in hands.values.items() if key.startswith("furnace.")}
    hands.silence("furnace")
    hands.go(9.0)
    hands.values.update(shown)
    hands.quality.clear()
    flags(hands, remote_fail=1.0)
    hands.scan()
    hands.scan()
    assert (trips(hands), hands.run.state) == ([], "RUNNING"), "the next renewal takes it up again"
    flags(hands)
    hands.go(60.0)
    assert hands.tube.unaudited == ()


def test_a_furnace_that_was_out_of_its_lease_before_it_was_to_heat_was_not_reset() -> None:
    hands = Hands(purge(timeout_s=1e5), inert())
    hands.values["oxygen.oxygen"] = 5.0
    flags(hands, remote_fail=1.0)
    hands.start()
    hands.phase("heat", "ramp", 3000.0)
    hands.scan()
    flags(hands)
    hands.go(5.0)
    assert trips(hands) == []
