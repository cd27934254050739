"""Safe states: order, independence, repetition until confirmed, a person asked; stop, e-stop, and custody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from labctl.engine import procedure
from labctl.engine.scan import Scan
from labctl.engine.state import BenchState
from labctl.model.readings import BAD, SILENT
from tests.engine.bench import Hands, cool, dry, inert, purge, ramp, stir
from tests.engine.steps.test_cell import cycling
from tests.engine.test_guards import hot


def verbs(hands: Hands, since: int) -> list[str]:
    return [c.verb for c in hands.commands[since:] if not c.renewal]


def in_custody(celsius: float = 300.0) -> Hands:
    hands = hot(celsius)
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.tube.custody is not None, 20.0)
    return hands


# -- items -----------------------------------------------------------------------------------------


def test_an_abort_turns_heat_off_first_and_keeps_nitrogen_on() -> None:
    hands = hot()
    since = len(hands.commands)
    assert hands.ask("abort")[1]
    assert verbs(hands, since) == ["heat_off", "set_flow"]
    assert hands.commands[-1].args == {"flow_sccm": 200.0}
    assert hands.run.state == "ABORTING"
    hands.until(lambda: hands.run.state == "ABORTED", 5.0)
    assert hands.tube.custody == {
        "cause": "abort by person",
        "run": "run-1",
        "since_s": hands.now,
        "gas": True,
    }


@pytest.mark.parametrize("outcome", ["failed", "lost", "refused"])
def test_an_item_is_repeated_until_confirmed_and_a_person_is_asked_after_a_minute(outcome: str) -> None:
    hands = hot()
    hands.outcome["heat_off"] = outcome
    hands.values["furnace.output"] = 50.0
    assert hands.ask("abort")[1]
    hands.go(59.0)
    assert hands.tube.safe is not None
    assert hands.tube.safe["items"]["safe_flow"]["confirmed"]
    assert "tube/heat_off/by_hand" not in hands.alarms
    assert 5 <= len(hands.sent("heat_off")) <= 7
    hands.go(2.0)
    alarm = hands.alarms["tube/heat_off/by_hand"]
    assert alarm["priority"] == "critical"
    assert alarm["message"].startswith("Check room O2 and CO at the door; isolate at the breaker outside.")
    hands.go(60.0)
    assert hands.run.state == "ABORTING"
    hands.outcome["heat_off"] = "ok"
    hands.until(lambda: hands.run.state == "ABORTED", 15.0)
    assert "tube/heat_off/by_hand" not in hands.alarms


def test_heat_off_is_proven_by_the_output_read_back_and_not_by_its_reply() -> None:
    hands = hot()
    hands.outcome["heat_off"] = "acknowledged"
    hands.ask("abort")
    hands.go(30.0)
    assert hands.run.state == "ABORTING"
    hands.values["furnace.output"] = 0.0
    hands.until(lambda: hands.run.state == "ABORTED", 3.0)


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_heat_off_whose_reply_was_lost_is_read_back_or_sent_again(carried_out: bool) -> None:
    hands = hot()
    hands.outcome["heat_off"] = "carried out, reply lost" if carried_out else "lost"
    hands.ask("abort")
    hands.go(5.0)
    assert (hands.run.state == "ABORTED") == carried_out
    hands.outcome["heat_off"] = "ok"
    hands.until(lambda: hands.run.state == "ABORTED", 15.0)
    assert len(hands.sent("heat_off")) == (1 if carried_out else 2)


def test_a_flow_that_does_not_come_is_no_safe_flow() -> None:
    hands = hot()
    hands.nitrogen(False)
    hands.ask("abort")
    hands.go(120.0)
    assert hands.run.state == "ABORTING"
    assert "tube/safe_flow/by_hand" in hands.alarms
    assert hands.tube.safe is not None
    assert hands.tube.safe["items"]["heat_off"]["confirmed"]


def test_safe_flow_is_the_purge_flow_when_oxygen_is_in_the_tube() -> None:
    hands = hot()
    hands.values["oxygen.oxygen"] = 101.0
    hands.ask("abort")
    assert hands.sent("set_flow")[-1].args == {"flow_sccm": 500.0}


def test_an_oven_that_has_no_question_for_its_output_is_off_when_it_says_so() -> None:
    hands = Hands(dry())
    hands.start()
    hands.phase("dry", "ramp")
    hands.ask("abort")
    hands.until(lambda: hands.run.state == "ABORTED", 30.0)
    assert hands.state.chambers["drying-oven"].run is None


def test_a_stirred_vessel_goes_on_stirring_slowly() -> None:
    hands = Hands(stir(duration_s=1e4, timeout_s=2e4))
    hands.start()
    hands.phase("stir", "stir")
    since = len(hands.commands)
    hands.ask("abort")
    assert verbs(hands, since) == ["heat_off", "stir"]
    assert hands.commands[-1].args == {"speed_rpm": 100.0}
    hands.until(lambda: hands.run.state == "ABORTED", 30.0)
    assert hands.state.chambers["vessel"].run is None


def test_a_cell_is_open_only_when_its_output_reads_off() -> None:
    hands = cycling()
    hands.outcome["open_circuit"] = "acknowledged"
    hands.ask("abort")
    hands.go(30.0)
    assert hands.run.state == "ABORTING"
    hands.values["cycler.output"] = 0.0
    hands.until(lambda: hands.run.state == "ABORTED", 10.0)


# -- stop ------------------------------------------------------------------------------------------


def test_a_stop_above_500_degc_ramps_down_at_5_k_per_min_and_then_turns_heat_off() -> None:
    hands = hot(800.0, segments=(ramp(800.0, 1e6),))
    since = len(hands.commands)
    assert hands.ask("stop")[1]
    assert verbs(hands, since) == ["heat"]
    assert hands.commands[-1].args == {"target_c": 60.0, "ramp_k_per_min": 5.0}
    hands.at(500.0)
    hands.go(30.0)
    assert verbs(hands, since) == ["heat"]
    hands.at(499.9)
    hands.scan()
    assert verbs(hands, since) == ["heat", "heat_off", "set_flow"]
    hands.until(lambda: hands.run.state == "STOPPED", 5.0)
    assert hands.run.end_state == "STOPPED"


def test_a_stop_below_500_degc_turns_heat_off_at_once() -> None:
    hands = hot()
    hands.ask("stop")
    assert hands.commands[-2].verb == "heat_off"


@pytest.mark.parametrize("outcome", ["failed", "lost", "refused"])
def test_a_ramp_down_that_is_not_accepted_gives_way_to_heat_off(outcome: str) -> None:
    hands = hot(800.0, segments=(ramp(800.0, 1e6),))
    hands.outcome["heat"] = outcome
    hands.ask("stop")
    hands.values["furnace.setpoint"] = 800.0
    hands.go(62.0)
    assert hands.sent("heat_off")
    assert hands.tube.lease is None


def test_a_stop_without_a_thermometer_has_nothing_to_ramp_by() -> None:
    hands = hot(800.0, segments=(ramp(800.0, 1e6),))
    for name in ("furnace", "furnace-monitor"):
        hands.quality[f"{name}.temperature"] = SILENT
    hands.ask("stop")
    assert hands.commands[-2].verb == "heat_off"


@pytest.mark.parametrize("state", ["HOLDING", "STOPPING"])
def test_an_abort_overrides_a_hold_and_a_stop_under_way(state: str) -> None:
    hands = hot(800.0, segments=(ramp(800.0, 1e6),))
    if state == "HOLDING":
        hands.nitrogen(False)
        hands.go(6.0)
    else:
        hands.ask("stop")
    assert hands.run.state == state
    hands.nitrogen(True)
    hands.ask("abort")
    assert hands.commands[-2].verb == "heat_off"
    hands.until(lambda: hands.run.end_state == "ABORTED", 20.0)


def test_a_run_held_or_holding_for_two_hours_is_stopped() -> None:
    hands = Hands(dry())
    hands.start()
    hands.ask("hold")
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    hands.go(7190.0)
    assert hands.run.state == "HELD"
    hands.go(20.0)
    assert hands.run.state in ("STOPPING", "STOPPED")
    assert hands.run.reason == "HELD for 2 h"


def test_an_abort_of_a_stopped_run_ends_and_keeps_its_end_state() -> None:
    hands = hot()
    hands.ask("stop")
    hands.until(lambda: hands.run.end_state == "STOPPED", 10.0)
    assert hands.ask("abort")[1]
    hands.scan()
    assert hands.run.state == "ABORTED"
    assert hands.run.end_state == "STOPPED"


def test_a_heater_that_fell_back_by_itself_is_not_taken_to_be_switched_off() -> None:
    hands = hot()
    hands.values["furnace.manual"] = 0.0
    hands.outcome["heat_off"] = "carried out, reply lost"
    assert hands.ask("abort")[1]
    hands.go(15.0)
    outcomes = {result["outcome"] for result in hands.of("result") if "reply lost" in result["detail"]}
    assert outcomes == {"unknown", "failed"}
    assert hands.run.state == "ABORTING"
    hands.outcome["heat_off"] = "ok"
    hands.until(lambda: hands.run.state == "ABORTED", 30.0)
    assert len(hands.sent("heat_off")) >= 2


@pytest.mark.parametrize(("setpoint", "frozen_at"), [(300.0, [250.0]), (850.0, [])])
def test_a_hold_freezes_the_ramp_but_follows_no_setpoint_of_a_hand_at_the_panel(
    setpoint: float, frozen_at: list[float]
) -> None:
    hands = hot(250.0)
    hands.values["furnace.setpoint"] = setpoint
    hands.values["furnace.working_setpoint"] = 250.0 if frozen_at else 310.0
    since = len(hands.commands)
    assert hands.ask("hold")[1]
    sent = [c.args["target_c"] for c in hands.commands[since:] if c.verb == "heat" and not c.renewal]
    assert sent == frozen_at


def test_an_oven_set_hotter_at_its_panel_after_it_was_switched_off_is_switched_off_again() -> None:
    hands = Hands(dry(after="off"))
    hands.start()
    hands.phase("dry", "ramp")
    hands.values["oven.temperature"] = 90.0
    assert hands.ask("abort")[1]
    hands.go(40.0)
    assert hands.state.chambers["drying-oven"].custody is not None
    since = len(hands.commands)
    hands.values["oven.setpoint"] = 150.0
    hands.go(30.0)
    assert verbs(hands, since) == ["heat_off"]
    assert hands.values["oven.setpoint"] == 20.0


# -- custody ---------------------------------------------------------------------------------------


def test_custody_keeps_the_gas_until_two_agree_for_ten_minutes_and_closes_when_it_may_be_opened() -> None:
    hands = in_custody()
    hands.at(99.0)
    hands.go(599.0)
    assert hands.tube.flow_sccm == 200.0
    hands.go(3.0)
    assert hands.tube.flow_sccm == 0.0
    hands.go(3.0)
    assert hands.tube.custody is not None
    assert hands.tube.custody["gas"] is False
    hands.at(59.0)
    hands.scan()
    assert hands.tube.custody is None
    assert not hands.tube.energised
    assert not hands.tube.purged
    assert not [k for k in hands.state.tally if k.startswith("tube/")]


def held_cool() -> Hands:
    hands = hot()
    hands.nitrogen(False)
    hands.until(lambda: hands.run.state == "HOLDING", 10.0)
    hands.nitrogen(True)
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    return hands


def heater_not_proven_off() -> Hands:
    hands = hot()
    hands.outcome["heat_off"] = "failed"
    assert hands.ask("abort")[1]
    hands.go(20.0)
    assert hands.run.state == "ABORTING"
    return hands


@pytest.mark.parametrize("made_safe", [in_custody, held_cool, heater_not_proven_off])
def test_a_flow_controller_that_lost_its_setpoint_beside_a_hot_tube_is_asked_again(
    made_safe: Callable[[], Hands],
) -> None:
    hands = made_safe()
    asked = len(hands.sent("set_flow"))
    hands.values["nitrogen.flow_setpoint"] = hands.values["nitrogen.flow"] = 0.0
    hands.go(2.0)
    assert [c.args for c in hands.sent("set_flow")[asked:]] == [{"flow_sccm": 200.0}]
    assert hands.values["nitrogen.flow"] == 200.0


def test_a_heater_switched_on_at_its_panel_after_it_was_proven_off_is_switched_off_again() -> None:
    hands = held_cool()
    since = len(hands.commands)
    hands.values["furnace.output"] = 50.0
    hands.go(3.0)
    assert verbs(hands, since) == ["heat_off"]
    assert hands.values["furnace.output"] == 0.0
    assert hands.run.state == "HELD"
    hands.go(3.0)
    assert verbs(hands, since) == ["heat_off"]


def test_a_heater_switched_on_at_its_panel_while_it_is_to_cool_holds_the_run_cold() -> None:
    hands = Hands(purge(), inert(after="continue"), cool())
    hands.heated()
    hands.phase("cool", "cool")
    hands.scan()
    hands.values["furnace.output"] = 100.0
    hands.go(2.0)
    assert hands.run.state == "HOLDING"
    assert hands.commands[-2].verb == "heat_off"
    assert hands.run.reason is not None
    assert "did not ask" in hands.run.reason


def test_what_a_heater_showed_before_it_was_switched_off_is_nobodys_hand() -> None:
    hands = Hands(purge(), inert(after="continue"), cool())
    hands.heated()
    hands.outcome["heat_off"] = "never"  # its line is busy with that
    hands.until(lambda: "cool" in hands.run.active)
    assert hands.values["furnace.output"] == 50.0
    hands.go(4.0)
    assert hands.run.state == "RUNNING"


def test_a_reading_that_no_newer_one_followed_counts_once() -> None:
    hands = Hands(purge(), inert(after="continue"), cool())
    hands.heated()
    hands.phase("cool", "cool")
    hands.scan()
    hands.values["furnace.output"] = 100.0
    since, image = hands.now + 1.0, hands.image
    hands.image = lambda: {  # type: ignore[method-assign]
        key: reading._replace(t_s=min(reading.t_s, since)) for key, reading in image().items()
    }
    hands.go(2.0)
    assert hands.run.state == "RUNNING"
    hands.image = image  # type: ignore[method-assign]
    hands.scan()
    assert hands.run.state == "HOLDING"


def test_what_two_thermometers_agreed_on_while_it_was_heated_stops_no_gas() -> None:
    hands = hot(90.0)
    hands.go(700.0)
    assert hands.ask("abort")[1]
    hands.go(500.0)
    assert hands.tube.flow_sccm == 200.0
    hands.until(lambda: hands.tube.flow_sccm == 0.0, 110.0)


def test_a_sensor_that_tripped_has_no_vote_and_the_other_alone_is_no_vote() -> None:
    hands = hot()
    hands.broken("furnace.temperature")
    hands.go(2.0)
    hands.until(lambda: hands.tube.custody is not None, 20.0)
    hands.quality.clear()
    since = hands.now
    hands.at(22.0)
    hands.go(1200.0)
    assert hands.tube.flow_sccm == 200.0
    hands.until(lambda: hands.tube.custody is None)
    assert 1350.0 <= hands.now - since <= 1500.0


def test_blind_custody_ends_by_time_and_never_while_any_reading_is_hot() -> None:
    hands = in_custody()
    hands.broken("furnace.temperature")
    hands.values["furnace-monitor.temperature"] = 100.0
    hands.go(1200.0)
    hands.values["furnace-monitor.temperature"] = 300.0
    hands.go(300.0)
    assert hands.tube.flow_sccm == 200.0
    hands.broken("furnace-monitor.temperature")
    hands.go(1300.0)
    assert hands.tube.flow_sccm == 200.0
    hands.until(lambda: hands.tube.custody is None, 200.0)


def test_no_run_may_take_a_chamber_in_custody() -> None:
    hands = in_custody()
    assert hands.plan is not None
    assert hands.ask("submit", None, run="run-2", plan=hands.plan.plan_hash)[1]
    assert hands.ask("start", "run-2")[1]
    hands.scan()
    second = hands.state.runs["run-2"]
    assert (second.waits, second.active) == ("tube is in custody since abort by person", {})
    assert hands.tube.run is None


def test_gas_that_does_not_stop_is_told_again_and_comes_back_when_the_tube_is_hot_after_all() -> None:
    hands = in_custody()
    hands.at(90.0)
    hands.outcome["set_flow"] = "failed"
    hands.until(lambda: hands.tube.flow_sccm == 0.0, 700.0)
    hands.go(12.0)
    assert [c.args["flow_sccm"] for c in hands.sent("set_flow")][-2:] == [0.0, 0.0]
    hands.at(100.0)
    hands.outcome.clear()
    hands.scan()
    assert hands.sent("set_flow")[-1].args == {"flow_sccm": 100.0}
    assert hands.tube.flow_sccm == 100.0


@pytest.mark.parametrize("heat_off", ["ok", "failed"])
def test_gas_that_was_stopped_comes_back_when_a_heater_sticks_and_stops_again_once_it_is_cold(
    heat_off: str,
) -> None:
    hands = in_custody()
    hands.at(70.0)
    hands.until(lambda: hands.tube.custody == {**(hands.tube.custody or {}), "gas": False}, 700.0)
    hands.outcome["heat_off"] = heat_off
    hands.values["furnace.output"] = 30.0
    hands.go(5.0)
    assert (hands.tube.safe is not None) == (heat_off == "failed")
    hands.at(99.0)
    hands.go(5.0)
    assert hands.values["nitrogen.flow_setpoint"] == 0.0
    hands.at(100.0)
    hands.scan()
    assert hands.values["nitrogen.flow_setpoint"] == 100.0
    assert hands.tube.custody is not None
    assert hands.tube.custody["gas"] is True
    hands.outcome["set_flow"] = "failed"
    hands.outcome.pop("heat_off")
    hands.at(50.0)
    hands.go(700.0)
    assert hands.tube.custody is not None, "its gas has not stopped"
    hands.outcome.clear()
    hands.until(lambda: hands.tube.custody is None, 60.0)
    assert hands.values["nitrogen.flow_setpoint"] == 0.0


def test_a_heater_that_comes_on_in_custody_is_turned_off_again() -> None:
    hands = in_custody()
    since = len(hands.commands)
    hands.values["furnace.output"] = 30.0
    hands.scan()
    hands.scan()
    assert "heat_off" in verbs(hands, since)
    hands.until(lambda: hands.tube.safe is None, 5.0)
    assert hands.tube.custody is not None
    assert hands.tube.custody["run"] == "run-1"


def test_a_broken_oven_is_watched_until_it_has_had_time_to_cool() -> None:
    hands = Hands(dry())
    hands.start()
    hands.phase("dry", "ramp")
    hands.values["oven.temperature"] = 90.0
    hands.go(60.0)
    hands.broken("oven.temperature")
    hands.until(lambda: hands.state.chambers["drying-oven"].custody is not None, 60.0)
    hands.go(1000.0)
    custody = hands.state.chambers["drying-oven"].custody
    assert custody is not None
    assert custody["gas"] is False
    hands.until(lambda: hands.state.chambers["drying-oven"].custody is None, 46000.0)


def test_a_lone_thermometer_of_two_does_not_make_a_tube_cold() -> None:
    hands = hot()
    hands.scan()
    hands.values["furnace.temperature"] = 22.0
    hands.quality["furnace-monitor.temperature"] = BAD
    hands.ask("abort")
    hands.go(1000.0)
    assert hands.tube.custody is not None


# -- e-stop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["RUNNING", "PAUSED", "HOLDING", "HELD", "STOPPING", "ABORTING"])
def test_an_e_stop_makes_safe_in_every_state_of_a_run(state: str) -> None:
    hands = hot(800.0, segments=(ramp(800.0, 1e6),))
    match state:
        case "PAUSED":
            hands.ask("pause")
            hands.scan()
        case "HOLDING":
            hands.nitrogen(False)
            hands.go(6.0)
            hands.nitrogen(True)
        case "HELD":
            hands.ask("hold")
            hands.scan()
        case "STOPPING":
            hands.ask("stop")
        case "ABORTING":
            hands.outcome["heat_off"] = "failed"
            hands.ask("abort")
            hands.outcome.clear()
    assert hands.run.state == state
    hands.estop = True
    hands.scan()
    assert hands.run.state == "ABORTING"
    assert hands.tube.lease is None
    assert hands.sent("heat_off")
    hands.until(lambda: hands.run.end_state == "ABORTED", 30.0)
    assert hands.tube.custody is not None
    assert hands.tube.flow_sccm >= 100.0
    hands.go(60.0)
    assert hands.run.state == "ABORTED"


def test_an_e_stop_leaves_custody_and_ended_runs_as_they_are() -> None:
    hands = in_custody()
    since = len(hands.commands)
    hands.estop = True
    hands.go(20.0)
    assert verbs(hands, since) == []
    assert hands.run.state == "ABORTED"


def test_an_e_stop_of_a_bench_without_runs_makes_an_energised_chamber_safe() -> None:
    hands = Hands(dry())
    hands.start()
    hands.phase("dry", "ramp")
    chambers = hands.state.chambers
    orphan = replace(chambers["drying-oven"], run=None)
    idle = Hands(dry())
    idle.state = BenchState(chambers={**chambers, "drying-oven": orphan})
    idle.estop = True
    idle.scan()
    assert next(c.verb for c in idle.commands if not c.renewal) == "heat_off"
    idle.until(lambda: not idle.state.chambers["drying-oven"].energised, 60.0)


def test_nothing_starts_while_the_e_stop_is_set() -> None:
    hands = Hands(purge(), inert())
    assert hands.plan is not None
    assert hands.ask("submit", None, run="run-1", plan=hands.plan.plan_hash)[1]
    hands.estop = True
    assert hands.ask("start") == ("refused: the e-stop is set; `labctl clear` it first", False)


def test_a_controlled_stop_whose_ramp_is_not_accepted_ends_with_the_heater_off() -> None:
    hands = hot(740.0, bench="standard", segments=(ramp(740.0, 1e6),))
    hands.outcome["heat"] = "failed"
    assert hands.ask("stop")[1]
    hands.go(55.0)
    assert not hands.sent("heat_off")
    hands.go(10.0)
    assert hands.sent("heat_off")
    assert next(e for e in hands.of("safe_item") if "why" in e)["why"] == "the ramp is not accepted"
    assert hands.tube.lease is None


def test_a_tube_that_was_heated_in_air_needs_no_gas_to_be_safe() -> None:
    hands = Hands(inert(atmosphere="air", under=None, segments=(ramp(300.0, 1e5),), timeout_s=2e5))
    hands.start()
    hands.phase("heat", "ramp")
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.run.state == "ABORTED", 30.0)
    assert hands.sent("heat_off")
    assert not hands.sent("set_flow")


def test_a_run_takes_only_what_its_state_accepts() -> None:
    hands = hot()
    scan = Scan(hands.context, hands.state, hands.now, 1.0, hands.image())
    with pytest.raises(ValueError, match="RESTART is not accepted in RUNNING"):
        procedure.command(scan, "run-1", "RESTART", reason="", actor="person")
    procedure.fault(scan, "run-1", "the first of two", hold="cool")
    procedure.fault(scan, "run-1", "the second of two", hold="cool")
    assert scan.state.runs["run-1"].reason == "the first of two"


@pytest.mark.parametrize("state", ["RUNNING", "HELD", "STOPPING"])
def test_a_lease_that_ran_out_is_not_renewed_whatever_the_run_does(state: str) -> None:
    hands = hot(600.0, segments=(ramp(600.0, 1e6),))
    if state != "RUNNING":
        assert hands.ask({"HELD": "hold", "STOPPING": "stop"}[state])[1]
        hands.until(lambda: hands.run.state == state, 60.0)
    lease = hands.tube.lease
    assert lease is not None
    over = replace(hands.tube, lease=replace(lease, until_s=hands.now))
    hands.state = replace(hands.state, chambers={**hands.state.chambers, "tube": over})
    renewed = len([c for c in hands.commands if c.renewal])
    hands.go(10.0)
    assert len([c for c in hands.commands if c.renewal]) == renewed
    if state != "STOPPING":  # whose heater falls back by itself, in the middle of what makes it safe
        assert hands.tube.lease is None
        assert hands.sent("heat_off")


def test_a_heater_that_a_hand_turns_on_while_its_run_cools_holds_the_run_and_is_off_again() -> None:
    hands = Hands(purge(timeout_s=1e5), inert())
    hands.heated()
    hands.until(lambda: hands.tube.lease is None, 600.0)
    hands.at(90.0)
    hands.go(5.0)
    assert hands.run.state == "RUNNING"
    before = len(hands.sent("heat_off"))
    hands.values["furnace.output"] = 40.0
    hands.go(3.0)
    assert hands.run.state in ("HOLDING", "HELD")
    assert "heats at 40 %, and labctl did not ask it to" in (hands.run.reason or "")
    assert len(hands.sent("heat_off")) > before


def test_a_furnace_without_a_dead_man_is_told_once() -> None:
    hands = hot()
    rig = replace(hands.context.rigs["tube"], lease_s=None)
    hands.context = replace(hands.context, rigs={**hands.context.rigs, "tube": rig})
    renewed = len([c for c in hands.commands if c.renewal])
    hands.go(60.0)
    assert len([c for c in hands.commands if c.renewal]) == renewed
    assert hands.tube.lease is not None
