"""Heating: permissives, observed soak, what ends it; and cooling."""

from __future__ import annotations

import pytest

from labctl.model.readings import NOT_READY, SILENT, Quality
from labctl.protocol.plan import Checkpoint
from tests.engine.bench import Hands, cool, dry, inert, purge, ramp


def oven(celsius: float, **changes: object) -> Hands:
    hands = Hands(dry(**changes))
    hands.start()
    hands.phase("dry", "ramp")
    hands.values["oven.temperature"] = celsius
    return hands


def test_the_furnace_is_heated_only_after_purge_and_a_minute_of_proven_flow() -> None:
    hands = Hands(purge(), inert())
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.until(lambda: "purge" in hands.run.done)
    since = hands.now
    assert not hands.sent("heat")
    hands.phase("heat", "ramp")
    assert hands.now - since >= 60.0
    heat = hands.sent("heat")[0]
    assert heat.args == {"target_c": 300.0, "ramp_k_per_min": 20.0}


@pytest.mark.parametrize("trouble", ["flow stuck", "thermometer", "unpurged"])
def test_no_permissive_no_heat(trouble: str) -> None:
    steps = [inert()] if trouble == "unpurged" else [purge(), inert()]
    hands = Hands(*steps)
    hands.values["oxygen.oxygen"] = 209500.0 if trouble == "unpurged" else 5.0
    hands.start()
    hands.phase("heat", "permissives")
    if trouble == "flow stuck":
        hands.values["nitrogen.flow"] = 99.0
    elif trouble == "thermometer":
        hands.quality["furnace.temperature"] = NOT_READY
    hands.go(600.0)
    assert not hands.sent("heat")


def test_an_inert_step_without_a_gas_of_its_own_still_needs_protective_flow() -> None:
    hands = Hands(inert(under=None, segments=(ramp(120.0),)))
    hands.start()
    hands.go(300.0)
    assert not hands.sent("heat")


def test_gentle_inert_heating_needs_flow_but_no_purge() -> None:
    hands = Hands(inert(segments=(ramp(120.0),)))
    hands.start()
    hands.phase("heat", "ramp", 70.0)


def test_a_step_in_a_hot_tube_never_lowers_nitrogen_below_protective_flow() -> None:
    low = inert().under.model_copy(update={"flow_sccm": 20.0})  # type: ignore[union-attr]
    hands = Hands(cool(under=low))
    hands.at(400.0)
    hands.start()
    assert hands.sent("set_flow")[0].args == {"flow_sccm": 100.0}


def test_only_observed_time_in_band_is_soaked() -> None:
    hands = oven(98.0)
    hands.phase("dry", "soak")
    hands.go(300.0)
    hands.values["oven.temperature"] = 97.9
    hands.go(120.0)
    hands.values["oven.temperature"] = 102.0
    began = hands.now
    hands.until(lambda: "dry" in hands.run.done)
    assert 290.0 <= hands.now - began <= 330.0
    assert hands.run.done["dry"]["soaks_s"] == [600.0]


@pytest.mark.parametrize("quality", [NOT_READY, SILENT])
def test_a_reading_that_is_not_good_is_no_soak(quality: Quality) -> None:
    hands = oven(100.0)
    hands.phase("dry", "soak")
    hands.go(100.0)
    soaked = hands.state.tally["run-1/dry/soak0_s"]
    hands.quality["oven.temperature"] = quality
    hands.scan()
    assert hands.state.tally["run-1/dry/soak0_s"] == soaked


def test_a_scan_that_came_late_is_credited_only_what_was_observed() -> None:
    hands = oven(100.0)
    hands.phase("dry", "soak")
    hands.scan(300.0)
    assert hands.state.tally["run-1/dry/soak0_s"] == 25.0
    assert hands.state.tally["run-1/dry/soak0_s/lost"] == 275.0


def test_more_time_out_of_band_than_can_be_caught_up_holds_with_the_heat_on_and_begins_anew() -> None:
    hands = oven(100.0, catch_up_s=60.0)
    hands.phase("dry", "soak")
    hands.values["oven.temperature"] = 90.0
    hands.go(60.0)
    assert hands.run.state == "RUNNING"
    hands.go(10.0)
    hands.until(lambda: hands.run.state == "HELD", 100.0)
    assert "out of band" in (hands.run.reason or "")
    assert hands.state.chambers["drying-oven"].lease is not None
    hands.values["oven.temperature"] = 100.0
    assert hands.ask("restart")[1]
    hands.until(lambda: "dry" in hands.run.done, 1000.0)


def test_a_heating_rate_below_the_least_is_a_cold_hold() -> None:
    hands = oven(22.0, min_rate_k_per_min=1.0)
    for minute in range(10):
        hands.values["oven.temperature"] = 22.0 + 1.5 * minute
        hands.go(60.0)
    assert hands.run.state == "RUNNING"
    hands.go(620.0)
    assert hands.run.state in ("HOLDING", "HELD")
    assert "below 1 K/min" in (hands.run.reason or "")
    assert hands.state.chambers["drying-oven"].lease is None


def test_a_rate_is_not_judged_by_a_thermometer_that_does_not_read() -> None:
    hands = oven(22.0, min_rate_k_per_min=1.0)
    hands.quality["oven.temperature"] = NOT_READY
    hands.scan()
    assert "run-1/dry/rate_s" not in hands.state.tally


def test_a_step_that_takes_too_long_is_held_and_gets_its_time_again_from_a_person() -> None:
    hands = oven(22.0, timeout_s=1000.0)
    hands.until(lambda: hands.run.state == "HELD", 1100.0)
    assert "still in ramp after 0.3 h" in (hands.run.reason or "")
    hands.go(3600.0)
    assert hands.ask("restart")[1]
    hands.go(900.0)
    assert hands.run.state == "RUNNING"


def test_time_held_or_paused_is_neither_soaked_nor_counted_against_the_step() -> None:
    hands = oven(100.0, timeout_s=2000.0)
    hands.phase("dry", "soak")
    hands.go(200.0)
    soaked = hands.state.tally["run-1/dry/soak0_s"]
    assert hands.ask("pause")[1]
    hands.go(5000.0)
    assert hands.run.state == "PAUSED"
    assert hands.state.tally["run-1/dry/soak0_s"] == soaked
    assert hands.ask("resume")[1]
    hands.until(lambda: "dry" in hands.run.done, 500.0)
    assert hands.run.state == "COMPLETE"


def test_segments_follow_one_another_with_a_soak_each() -> None:
    hands = oven(100.0, segments=(ramp(100.0, 60.0), ramp(150.0, 30.0)))
    hands.until(lambda: len(hands.sent("heat")) == 2, 200.0)
    hands.values["oven.temperature"] = 150.0
    hands.until(lambda: "dry" in hands.run.done, 200.0)
    assert hands.run.done["dry"]["soaks_s"] == [60.0, 30.0]
    assert hands.run.done["dry"]["targets_c"] == [100.0, 150.0]


def test_a_checkpoint_asks_once_and_does_not_stop_the_clock() -> None:
    hands = oven(100.0, checkpoints=(Checkpoint(at_s=100.0, do="weigh"),))
    hands.until(lambda: bool(hands.run.prompts), 200.0)
    assert hands.run.prompts["dry:checkpoint0"]["blocking"] is False
    assert hands.state.tally["run-1/dry/soak0_s"] == 100.0
    hands.until(lambda: "dry" in hands.run.done, 600.0)
    assert len(hands.of("prompt")) == 1


@pytest.mark.parametrize(
    ("after", "off", "lease"), [("off", 1, False), ("continue", 0, True), ("hold", 0, True)]
)
def test_a_step_leaves_its_heater_as_it_says(after: str, off: int, lease: bool) -> None:
    hands = Hands(dry(after=after), dry(id="next"))
    hands.start()
    hands.values["oven.temperature"] = 100.0
    hands.until(lambda: "dry" in hands.run.done, 1000.0)
    assert len(hands.sent("heat_off")) == off
    assert (hands.state.chambers["drying-oven"].lease is not None) == lease


def test_after_cool_a_step_ends_only_when_the_chamber_may_be_opened() -> None:
    hands = oven(100.0, after="cool")
    hands.phase("dry", "leave")
    hands.go(600.0)
    assert hands.run.state == "RUNNING"
    hands.values["oven.temperature"] = 59.9
    hands.until(lambda: "dry" in hands.run.done, 20.0)


def test_a_hold_after_the_last_soak_does_not_heat_again() -> None:
    hands = oven(100.0, after="cool")
    hands.phase("dry", "leave")
    heats = len(hands.sent("heat"))
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 30.0)
    assert hands.ask("restart")[1]
    hands.values["oven.temperature"] = 40.0
    hands.until(lambda: "dry" in hands.run.done, 60.0)
    assert len(hands.sent("heat")) == heats
    assert hands.run.done["dry"]["soaks_s"] == [600.0]


def test_a_pause_freezes_the_ramp_where_it_is_and_a_resume_goes_on() -> None:
    hands = oven(60.0)
    hands.values["oven.working_setpoint"] = 61.0
    assert hands.ask("pause")[1]
    assert hands.sent("heat")[-1].args["target_c"] == 61.0
    hands.until(lambda: hands.run.state == "PAUSED", 30.0)
    assert hands.ask("resume")[1]
    hands.go(20.0)
    assert hands.sent("heat")[-1].args["target_c"] == 100.0


def test_a_heater_that_cannot_be_proven_good_is_not_left_on_by_a_pause() -> None:
    hands = oven(60.0)
    hands.quality["oven.working_setpoint"] = SILENT
    assert hands.ask("pause")[1]
    assert hands.sent("heat_off")


def test_a_lost_reply_is_resolved_by_reading_back_and_never_sent_again() -> None:
    hands = Hands(dry())
    hands.outcome["heat"] = "carried out, reply lost"
    hands.start()
    hands.values["oven.temperature"] = 100.0
    hands.phase("dry", "soak", 60.0)
    assert len(hands.sent("heat")) == 1
    assert [r["outcome"] for r in hands.of("result")] == ["unknown", "ok"]
    assert "setpoint is 100" in hands.of("result")[1]["detail"]


def test_a_lost_reply_that_nothing_read_back_confirms_is_a_failure() -> None:
    hands = Hands(dry())
    hands.outcome["heat"] = "lost"
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 120.0)
    assert len(hands.sent("heat")) == 1
    assert "reply lost" in (hands.run.reason or "")


def test_a_refused_setpoint_is_a_cold_hold() -> None:
    hands = Hands(dry())
    hands.outcome["heat"] = "refused"
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.run.reason == "dry: heat: refused"
    assert hands.state.chambers["drying-oven"].lease is None


def test_an_authorisation_that_ran_out_turns_the_heater_off() -> None:
    hands = Hands(
        dry(after="hold", timeout_s=700.0), dry(id="next", segments=(ramp(100.0, 1e6),), timeout_s=1e6)
    )
    hands.start()
    hands.values["oven.temperature"] = 100.0
    hands.phase("next", "soak", 2000.0)
    lease = hands.state.chambers["drying-oven"].lease
    assert lease is not None
    hands.scan(lease.until_s - hands.now)
    assert hands.run.state == "HOLDING"
    assert "authorised until now" in (hands.run.reason or "")


def test_cooling_keeps_the_gas_on_and_needs_every_thermometer() -> None:
    hands = Hands(purge(), inert(after="continue"), cool())
    hands.heated(300.0)
    hands.phase("cool", "cool")
    assert hands.sent("heat_off")
    hands.values["furnace.temperature"] = 50.0
    hands.go(10.0)
    assert "cool" not in hands.run.done
    hands.values["furnace-monitor.temperature"] = 50.0
    hands.quality["furnace-monitor.temperature"] = NOT_READY
    hands.go(10.0)
    assert "cool" not in hands.run.done
    del hands.quality["furnace-monitor.temperature"]
    hands.until(lambda: "cool" in hands.run.done, 10.0)
    assert hands.tube.flow_sccm == 200.0


def test_a_tube_that_does_not_cool_is_held() -> None:
    hands = Hands(cool(under=None), bench="standard")
    hands.at(90.0)
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 2000.0)
    assert "not below 60 degC after 0.5 h" in (hands.run.reason or "")


def test_a_dead_man_is_renewed_before_two_fifths_of_it_have_passed() -> None:
    hands = Hands(purge(), inert(segments=(ramp(300.0, 600.0),)))
    hands.heated(300.0)
    lease_s = hands.context.rigs["tube"].lease_s
    assert lease_s is not None
    before = len(hands.commands)
    hands.go(2 * lease_s)
    renewals = [c for c in hands.commands[before:] if c.renewal]
    assert len(renewals) >= 4
    assert all(c.args == {"target_c": 300.0} for c in renewals)


def test_a_heater_without_a_ramp_is_led_along_by_its_setpoint() -> None:
    hands = Hands(dry(segments=(ramp(40.0, 60.0),)))
    assert hands.context.rigs["drying-oven"].host_ramp
    hands.start()
    hands.go(60.0)
    led = [c.args["target_c"] for c in hands.commands if c.verb == "renew"]
    assert led == sorted(led)
    assert len(led) == len(set(led))
    assert led[-1] < 40.0
    hands.go(60.0)
    assert [c.args["target_c"] for c in hands.commands if c.verb == "renew"][-1] == 40.0
