"""Several runs in one oven at one setpoint: who leads, and what becomes of all when one goes."""

from __future__ import annotations

import json

import pytest

from labctl.engine.context import with_plan
from labctl.engine.state import ChamberState, from_json, to_json
from labctl.protocol.plan import Heat
from tests.engine.bench import plan_of, stir, unload
from tests.engine.shared_oven import OVEN, Oven, at, keep, two
from tests.engine.test_spans import answer_all, into


def test_two_runs_dry_in_one_oven_at_once_and_each_counts_its_own_soak() -> None:
    hands = Oven(into(OVEN), at(hold_s=3600.0))
    hands.start()
    answer_all(hands)
    hands.soaks()
    hands.go(1800.0)
    hands.begin("run-2", into(OVEN), at(id="second", hold_s=3600.0))
    hands.scan()
    answer_all(hands)
    hands.soaks("run-2")
    assert hands.oven.run == "run-1"
    assert list(hands.oven.claims) == ["run-1", "run-2"]
    assert hands.oven.contents == ("run-1", "run-2")
    hands.ends("run-1", "COMPLETE")
    assert hands.oven.run == "run-2"
    assert list(hands.oven.claims) == ["run-2"]
    assert "second" in hands.of_run("run-2").active
    assert hands.oven.lease is not None
    hands.ends("run-2", "COMPLETE")
    for run, step in (("run-1", "dry"), ("run-2", "second")):
        assert hands.of_run(run).done[step]["soaks_s"][0] == pytest.approx(3600.0, abs=30.0)
        assert hands.of_run(run).done[step]["shared"] is True  # no forecast knows how long that takes
    assert hands.heats() == [("heat", 40.0), ("heat_off", 20.0)]
    hands.until(lambda: hands.oven.run is None, 1000.0)
    assert hands.oven == ChamberState(contents=("run-1", "run-2"))


def test_a_claim_says_its_setpoint_until_when_and_what_is_in_the_oven() -> None:
    hands = two(first_s=3600.0, second_s=7200.0)
    claim = hands.oven.claims["run-2"]
    assert claim["setpoint_c"] == 40.0
    assert claim["until_s"] == pytest.approx(hands.now + 7200.0, abs=60.0)
    assert claim["contents"] == "test"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (at(60.0, id="second"), "is kept at 40 degC by run run-1 until 1:00, and 60 degC is wanted"),
        (
            at(id="second", ramp=1.0),
            "is busy with run run-1 (RUNNING); it is hot already, and a ramp is wanted",
        ),
    ],
)
def test_a_run_that_wants_it_otherwise_waits_with_the_reason(step: Heat, said: str) -> None:
    hands = Oven(at(hold_s=3600.0))
    hands.start()
    hands.soaks()
    hands.begin("run-2", step)
    hands.scan()
    assert hands.of_run("run-2").waits == f"{OVEN} {said}"
    assert list(hands.oven.claims) == ["run-1"]
    hands.until(lambda: "second" in hands.of_run("run-2").active)
    assert hands.run.end_state == "COMPLETE"


def test_an_oven_that_the_bench_does_not_share_serves_one_run_at_a_time() -> None:
    hands = Oven(at(), shared=False)
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second"))
    hands.scan()
    assert hands.of_run("run-2").waits == f"{OVEN} is busy with run run-1 (RUNNING)"
    assert hands.oven.claims == {}


def test_an_oven_is_shared_only_while_it_is_heated() -> None:
    hands = Oven(into(OVEN), at())
    hands.start()
    hands.scan()
    hands.begin("run-2", at(id="second"))
    hands.scan()
    said = f"{OVEN} is busy with run run-1 (RUNNING); it can be shared while that heats it"
    assert hands.of_run("run-2").waits == said
    answer_all(hands)
    hands.soaks("run-2")


def test_a_run_that_goes_through_several_setpoints_has_the_oven_for_itself() -> None:
    hands = Oven(at(hold_s=600.0, after="continue"), at(60.0, 600.0, id="hotter"))
    hands.start()
    hands.soaks()
    assert hands.oven.claims == {}
    hands.begin("run-2", at(id="second"))
    hands.scan()
    assert hands.of_run("run-2").waits == f"{OVEN} is busy with run run-1 (RUNNING)"


def test_nobody_comes_in_before_an_older_run_that_waits_for_the_oven() -> None:
    hands = Oven(at(hold_s=3600.0))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(60.0, 600.0, id="hot"))
    hands.scan()
    hands.begin("run-3", at(id="third", hold_s=600.0))
    hands.scan()
    assert hands.of_run("run-3").waits == f"{OVEN} is busy with run run-1 (RUNNING), and run-2 waits for it"
    hands.ends("run-2", "COMPLETE")
    hands.ends("run-3", "COMPLETE")


def test_who_waits_for_a_person_keeps_nobody_from_coming_in() -> None:
    hands = Oven(at(hold_s=3600.0))
    assert keep(hands, for_s=1e5)[1]
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(60.0, 600.0, id="hot"))
    hands.scan()
    hands.begin("run-3", at(id="third", hold_s=600.0))
    hands.soaks("run-3")
    assert hands.of_run("run-2").waits is not None


def test_when_the_leader_is_stopped_the_heat_stays_as_it_is_and_the_lead_passes_on() -> None:
    hands = two(first_s=1e4, second_s=3600.0)
    sent = len(hands.commands)
    until_s = hands.oven.lease.until_s if hands.oven.lease else 0.0
    assert hands.ask("stop", "run-1", reason="spilt") == ("accepted", True)
    hands.ends("run-1", "STOPPED", 60.0)
    assert hands.oven.run == "run-2"
    assert hands.oven.lease is not None
    assert hands.oven.lease.until_s != until_s
    assert hands.oven.safe is None
    assert hands.of("lead_passed")[0]["run"] == "run-2"
    hands.go(1800.0)
    assert {c.args["target_c"] for c in hands.commands[sent:]} <= {40.0}
    hands.ends("run-2", "COMPLETE")
    assert hands.heats() == [("heat", 40.0), ("heat_off", 20.0)]


def test_when_another_is_stopped_the_leader_goes_on() -> None:
    hands = two()
    assert hands.ask("stop", "run-2", reason="spilt") == ("accepted", True)
    hands.ends("run-2", "STOPPED", 60.0)
    assert (hands.oven.run, list(hands.oven.claims)) == ("run-1", ["run-1"])
    assert hands.of("lead_passed") == []
    hands.ends("run-1", "COMPLETE")


def test_of_three_the_one_that_stays_longest_leads_next() -> None:
    hands = two(first_s=3600.0, second_s=3600.0)
    hands.begin("run-3", at(id="third", hold_s=9000.0))
    hands.soaks("run-3")
    assert hands.ask("stop", "run-1", reason="spilt")[1]
    hands.scan()
    assert hands.oven.run == "run-3"


def test_over_temperature_aborts_every_run_that_has_a_batch_in() -> None:
    hands = two()
    hands.follows = False
    hands.values["oven.temperature"] = 120.0
    hands.until(lambda: {r.state for r in hands.state.runs.values()} == {"ABORTED"}, 600.0)
    assert "over_temperature" in hands.oven.latched
    assert hands.values["oven.setpoint"] == 20.0
    reasons = {hands.of_run(name).reason for name in ("run-1", "run-2")}
    assert len(reasons) == 1
    hands.scan()
    assert hands.oven.run is None
    assert hands.oven.custody is not None
    assert hands.oven.claims == {}
    assert [e["guard"] for e in hands.of("tripped")] == ["over_temperature"]


def test_the_e_stop_aborts_every_run_that_has_a_batch_in() -> None:
    hands = two()
    hands.estop = True
    hands.until(lambda: {r.state for r in hands.state.runs.values()} == {"ABORTED"}, 60.0)
    assert hands.values["oven.setpoint"] == 20.0


def test_a_lost_thermometer_takes_the_heat_from_all() -> None:
    hands = two()
    hands.broken("oven.temperature")
    hands.until(lambda: {r.state for r in hands.state.runs.values()} == {"ABORTED"}, 600.0)


def test_a_hand_at_the_panel_holds_all_and_each_is_restarted_by_itself() -> None:
    hands = two()
    hands.values["oven.setpoint"] = hands.values["oven.working_setpoint"] = 45.0
    hands.until(lambda: {r.state for r in hands.state.runs.values()} == {"HELD"}, 120.0)
    assert hands.oven.lease is not None
    refused = "refused: oven: setpoint is 45, labctl commanded 40: run-2 shares drying-oven; restore it"
    assert hands.ask("adopt", "run-1", reason="warmer") == (refused, False)
    assert hands.ask("restore", "run-1")[1]
    hands.go(60.0)
    for run in ("run-2", "run-1"):
        assert hands.ask("restart", run) == ("accepted", True)
    for run in ("run-1", "run-2"):
        hands.ends(run, "COMPLETE")


def test_a_leader_that_a_person_holds_leaves_the_heat_to_the_others() -> None:
    hands = two(first_s=3600.0, second_s=1e4)
    assert hands.ask("hold", "run-1", reason="look") == ("accepted", True)
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.oven.run == "run-2"
    assert hands.ask("restart", "run-1") == ("accepted", True)
    hands.ends("run-1", "COMPLETE")
    assert hands.of_run("run-2").state == "RUNNING"
    assert hands.heats() == [("heat", 40.0)]


def test_a_run_that_is_aborted_by_a_person_takes_the_heat_from_all_and_the_others_are_held() -> None:
    hands = two()
    assert hands.ask("abort", "run-1", reason="smells") == ("accepted", True)
    hands.until(lambda: hands.of_run("run-2").state == "HELD", 60.0)
    assert hands.of_run("run-2").reason == f"{OVEN}, which it shares, is made safe: smells"
    assert "drying-oven/run-2/held" in hands.alarms or hands.oven.run == "run-2"
    hands.ends("run-1", "ABORTED", 60.0)
    assert hands.values["oven.setpoint"] == 20.0
    assert hands.oven.run == "run-2"
    assert hands.ask("restart", "run-2") == ("accepted", True)
    hands.ends("run-2", "COMPLETE")


def test_after_a_restart_of_the_controller_all_are_held_cold_and_go_on_one_by_one() -> None:
    hands = two()
    hands.scan(recovered=True)
    hands.until(lambda: {r.state for r in hands.state.runs.values()} == {"HELD"}, 120.0)
    assert hands.values["oven.setpoint"] == 20.0
    assert list(hands.oven.claims) == ["run-1", "run-2"]
    assert hands.ask("restart", "run-2") == ("accepted", True)
    hands.soaks("run-2")
    assert hands.oven.run == "run-2"
    assert hands.ask("restart", "run-1") == ("accepted", True)
    hands.ends("run-1", "COMPLETE")
    hands.ends("run-2", "COMPLETE")


def test_a_leader_that_leaves_before_the_others_batch_is_in_leaves_them_the_heat_for_a_bounded_time() -> None:
    hands = Oven(at(hold_s=600.0))
    hands.start()
    hands.soaks()
    hands.begin("run-2", into(OVEN), at(id="second", hold_s=600.0))
    hands.ends("run-1", "COMPLETE")
    assert hands.oven.run == "run-2"
    assert hands.oven.lease is not None
    assert hands.oven.lease.until_s < hands.now + 60_000.0
    answer_all(hands)
    hands.ends("run-2", "COMPLETE")


def test_nobody_who_never_comes_keeps_an_oven_warm_for_ever() -> None:
    hands = Oven(at(hold_s=600.0))
    hands.start()
    hands.soaks()
    hands.begin("run-2", into(OVEN), at(id="second", hold_s=600.0))
    hands.until(lambda: hands.of_run("run-2").state == "HELD", 80_000.0)
    assert hands.values["oven.setpoint"] == 20.0


def test_of_a_run_that_leaves_its_batch_is_taken_out_and_the_others_stay_warm() -> None:
    hands = Oven(into(OVEN), at(hold_s=600.0, after="continue"), unload(chamber=OVEN, gas=None))
    hands.start()
    answer_all(hands)
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=7200.0))
    hands.until(lambda: "unload" in hands.run.prompts, 3000.0)
    told = hands.run.prompts["unload"]["do"]
    assert told.startswith(f"Open {OVEN} and take the powder out. Others are in {OVEN}, kept at 40 degC")
    answer_all(hands)
    hands.ends("run-1", "COMPLETE", 60.0)
    assert hands.oven.contents == ()
    assert hands.oven.energised
    hands.ends("run-2", "COMPLETE")
    assert hands.heats() == [("heat", 40.0), ("heat_off", 20.0)]


def test_a_run_that_goes_on_elsewhere_gives_its_claim_back() -> None:
    hands = Oven(at(hold_s=600.0, after="continue"), stir(duration_s=600.0, timeout_s=2000.0))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=7200.0))
    hands.until(lambda: "stir" in hands.run.active, 3000.0)
    assert (hands.oven.run, list(hands.oven.claims)) == ("run-2", ["run-2"])
    assert hands.oven.lease is not None


def test_when_the_last_that_wants_heat_goes_it_is_switched_off_for_what_is_to_cool() -> None:
    hands = Oven(at(100.0, 600.0, after="cool"))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(100.0, 7200.0, id="second", after="continue"))
    hands.until(lambda: "dry" in hands.run.active and hands.step("dry").phase == "leave", 2000.0)
    hands.follows = False
    hands.ends("run-2", "COMPLETE")
    assert hands.heats() == [("heat", 100.0), ("heat_off", 20.0)]
    assert (hands.oven.run, list(hands.oven.claims), hands.oven.safe) == ("run-1", ["run-1"], None)
    assert hands.run.state == "RUNNING"
    hands.values["oven.temperature"] = 30.0
    hands.ends("run-1", "COMPLETE", 600.0)
    hands.until(lambda: hands.oven.run is None, 600.0)


def test_when_the_heat_of_the_leader_is_authorised_no_longer_it_goes_on_for_the_others() -> None:
    first = at(hold_s=600.0, timeout_s=2000.0, after="continue")
    hands = Oven(first, into(OVEN, "turn"), at(id="again", hold_s=600.0))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=20_000.0))
    hands.until(lambda: hands.run.state == "HELD", 12_000.0)
    assert hands.run.reason == f"{OVEN}: heating was authorised for it until now; the heat goes on for others"
    assert (hands.oven.run, hands.of_run("run-2").state) == ("run-2", "RUNNING")
    hands.ends("run-1", "STOPPED")
    hands.ends("run-2", "COMPLETE")
    assert hands.heats() == [("heat", 40.0), ("heat_off", 20.0)]


def test_a_run_whose_heat_is_over_heats_again_for_its_next_soak() -> None:
    hands = Oven(at(hold_s=600.0), at(hold_s=600.0, id="again"))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=300.0))
    hands.ends("run-2", "COMPLETE")
    hands.ends("run-1", "COMPLETE")
    assert hands.heats() == [("heat", 40.0), ("heat_off", 20.0), ("heat", 40.0), ("heat_off", 20.0)]


def test_a_run_heats_itself_when_the_leader_is_stopped_before_it_could_heat_again() -> None:
    hands = two(first_s=9000.0, io={"extraction": "io.extraction"})
    hands.scan(recovered=True)
    hands.until(lambda: {r.state for r in hands.state.runs.values()} == {"HELD"}, 120.0)
    hands.values["io.extraction"] = 0.0
    for run in ("run-1", "run-2"):
        assert hands.ask("restart", run) == ("accepted", True)
    hands.go(60.0)
    assert hands.oven.lease is None
    assert hands.ask("stop", "run-1", reason="spilt")[1]
    hands.ends("run-1", "STOPPED", 60.0)
    assert (hands.oven.run, hands.of_run("run-2").state) == ("run-2", "RUNNING")
    hands.values["io.extraction"] = 1.0
    hands.ends("run-2", "COMPLETE")


def test_a_plan_is_not_changed_to_another_setpoint_than_the_others_have() -> None:
    hands = two()
    assert hands.ask("hold", "run-2", reason="look")[1]
    hands.until(lambda: hands.of_run("run-2").state == "HELD", 60.0)
    old = hands.of_run("run-2").plan_hash
    for target_c, accepted in ((35.0, False), (40.0, True)):
        other = plan_of(at(target_c, 1800.0, id="second"))
        hands.context = with_plan(hands.context, other)
        asked = {"plan": other.plan_hash, "expected": old, "reason": "softer"}
        outcome = hands.ask("revise", "run-2", **asked)
        assert outcome[1] is accepted, outcome
        if not accepted:
            assert outcome[0] == f"refused: {OVEN} is shared with run-1, at one setpoint"


def test_a_step_that_a_new_plan_leaves_out_leaves_the_heat_to_the_others() -> None:
    hands = Oven(at(hold_s=9000.0), stir(duration_s=600.0, timeout_s=2000.0))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=3600.0))
    hands.soaks("run-2")
    assert hands.ask("hold", "run-1", reason="look")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    other = plan_of(stir(duration_s=600.0, timeout_s=2000.0))
    hands.context = with_plan(hands.context, other)
    asked = {"plan": other.plan_hash, "expected": hands.run.plan_hash, "reason": "enough"}
    assert hands.ask("revise", "run-1", **asked) == ("accepted", True)
    assert hands.ask("restart", "run-1")[1]
    hands.ends("run-1", "COMPLETE")
    assert hands.oven.run == "run-2"
    hands.ends("run-2", "COMPLETE")
    assert hands.heats() == [("heat", 40.0), ("heat_off", 20.0)]


def test_a_slow_leader_does_not_hold_who_came_in_for_its_own_rate() -> None:
    hands = Oven(at(hold_s=3600.0, band_k=30.0))
    hands.start()
    hands.follows = False
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=600.0, min_rate_k_per_min=1.0))
    hands.go(1800.0)
    assert hands.of_run("run-2").active["second"].phase == "ramp"
    hands.follows = True
    hands.ends("run-2", "COMPLETE")


def test_the_state_of_a_shared_oven_is_plain_data() -> None:
    hands = two()
    assert keep(hands)[1]
    assert from_json(json.loads(json.dumps(to_json(hands.state), allow_nan=False))) == hands.state
