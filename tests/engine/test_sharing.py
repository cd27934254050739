"""Several runs in one oven at one setpoint: who may come in, who leads, and what becomes of all when one goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labctl.bench.schema import Bench
from labctl.engine.context import with_plan
from labctl.engine.state import ChamberState, RunState, from_json, to_json
from labctl.protocol.plan import AnyStep, Charge, Entry, Heat, Manual, Requirement, Segment
from labctl.protocol.vapour import dilution_l_per_min
from tests.engine.bench import Hands, bare, bundled, dry, plan_of, stir, unload
from tests.engine.test_spans import answer_all, into

OVEN = "drying-oven"


def oven(bench: Bench, **changes: Any) -> Bench:
    """The bench with another oven."""
    changed = bench.chambers[OVEN].model_copy(update=changes)
    return bench.model_copy(update={"chambers": {**bench.chambers, OVEN: changed}})


def at(target_c: float = 40.0, hold_s: float = 3600.0, **more: Any) -> Heat:
    """Drying as fast as the oven can."""
    segment = Segment(target_c=target_c, ramp_k_per_min=more.pop("ramp", 0.0), hold_s=hold_s)
    return dry(**{"segments": (segment,), "timeout_s": 50_000.0} | more)


class Oven(Hands):
    """A bench whose oven is shared. Its air is at its setpoint at once, from 22 degC on."""

    def __init__(self, *steps: AnyStep, **changes: Any) -> None:
        charge = changes.pop("charge", None)
        bench = bundled("small") if "io" in changes else bare("small")
        super().__init__(*steps, bench=oven(bench, **{"shared": True} | changes), charge=charge)
        self.follows = True

    def scan(self, *args: Any, **more: Any) -> Any:
        decision = super().scan(*args, **more)
        if self.follows:
            self.values["oven.temperature"] = max(22.0, self.values["oven.setpoint"] or 0.0)
        return decision

    @property
    def oven(self) -> ChamberState:
        return self.state.chambers[OVEN]

    def of_run(self, name: str) -> RunState:
        return self.state.runs[name]

    def begin(self, run: str, *steps: AnyStep, charge: Charge | None = None) -> None:
        plan = plan_of(*steps, charge=charge)
        self.context = with_plan(self.context, plan)
        assert self.ask("submit", None, run=run, plan=plan.plan_hash) == ("accepted", True)
        assert self.ask("start", run) == ("accepted", True)

    def soaks(self, run: str = "run-1") -> None:
        """Scan until it does."""
        self.until(lambda: any(s.phase == "soak" for s in self.of_run(run).active.values()), 5000.0)

    def ends(self, run: str, state: str, within_s: float = 20_000.0) -> None:
        self.until(lambda: self.of_run(run).end_state == state, within_s)

    def heats(self) -> list[tuple[str, float]]:
        """What was sent to the heater, (verb, setpoint)."""
        return [(c.verb, c.args.get("target_c", 20.0)) for c in self.sent("heat", "heat_off")]


def two(first_s: float = 3600.0, second_s: float = 3600.0, **of_oven: Any) -> Oven:
    """Two runs that soak at 40 degC; the first leads."""
    hands = Oven(at(hold_s=first_s), **of_oven)
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second", hold_s=second_s))
    hands.soaks("run-2")
    return hands


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


# -- who may come in -------------------------------------------------------------------------------

WET = Charge(thf_g=4.0, ethanol_g=1.0)


def wet_pair(first: Charge = WET, second: Charge = WET, **of_oven: Any) -> Oven:
    """A run with solvent dries; another wants to come in."""
    hands = Oven(at(hold_s=3600.0), charge=first, **of_oven)
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second"), charge=second)
    hands.scan()
    return hands


def test_two_wet_batches_share_an_oven_whose_exhaust_takes_the_vapour_of_both() -> None:
    assert list(wet_pair(exhaust_l_per_min=500.0).oven.claims) == ["run-1", "run-2"]


def test_the_vapour_of_all_batches_counts_against_the_exhaust() -> None:
    alone = dilution_l_per_min(WET, 40.0)
    hands = wet_pair(exhaust_l_per_min=1.5 * alone)
    said = f"the exhaust of {OVEN} draws {1.5 * alone:g} L/min; the solvent of 2 batches wants {2 * alone:.1f} L/min"
    assert hands.of_run("run-2").waits == said
    dry_one = wet_pair(second=Charge(), exhaust_l_per_min=1.5 * alone)
    assert list(dry_one.oven.claims) == ["run-1", "run-2"]


@pytest.mark.parametrize("volume_cm3", [53000.0, None])
def test_where_nobody_measured_the_exhaust_two_wet_batches_are_too_much(volume_cm3: float | None) -> None:
    hands = wet_pair(exhaust_l_per_min=None, volume_cm3=volume_cm3)
    said = f"the solvent of 2 batches is too much for {OVEN}: nobody measured its exhaust"
    assert hands.of_run("run-2").waits == said


def test_traces_of_solvent_in_a_large_oven_are_not() -> None:
    trace = Charge(ethanol_g=0.05)
    assert list(wet_pair(trace, trace, exhaust_l_per_min=None).oven.claims) == ["run-1", "run-2"]


def test_an_oven_whose_door_is_watched_stays_shut_while_there_may_be_solvent_in_it() -> None:
    hands = wet_pair(second=Charge(), io={"door": "io.door"})
    assert hands.of_run("run-2").waits == f"{OVEN} must stay shut: run-1 may hold solvent"


def test_a_batch_whose_solvent_was_weighed_to_be_gone_is_dry() -> None:
    weigh = Manual(
        id="weigh",
        do="Weigh it",
        enter=(Entry(name="wet_mass", unit="g"), Entry(name="dry_mass", unit="g")),
        require=(Requirement(quantity="solvent_loss", relation="at_least", value=99.0, unit="%"),),
    )
    hands = Oven(weigh, at(), charge=WET, io={"door": "io.door"})
    hands.start()
    hands.scan()
    values = {"wet_mass": 10.0, "dry_mass": 5.0}
    assert hands.ask("answer", "run-1", prompt="weigh", confirm=[], values=values)[1]
    hands.soaks()
    hands.begin("run-2", at(id="second"))
    hands.soaks("run-2")


def test_nobody_comes_in_while_a_batch_is_to_cool_down_there() -> None:
    hands = Oven(at(100.0, 600.0, after="cool"))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(100.0, 7200.0, id="second"))
    hands.until(lambda: "dry" in hands.run.active and hands.step("dry").phase == "leave", 2000.0)
    assert hands.oven.run == "run-2"
    hands.begin("run-3", at(100.0, id="third"))
    hands.scan()
    said = f"{OVEN} is busy with run run-2 (RUNNING); it is to cool down for what is in it"
    assert hands.of_run("run-3").waits == said
    hands.ends("run-2", "COMPLETE")
    hands.ends("run-1", "COMPLETE", 600.0)
    assert hands.heats()[:2] == [("heat", 100.0), ("heat_off", 20.0)]


# -- people ----------------------------------------------------------------------------------------


def test_who_puts_a_batch_into_a_warm_oven_is_told_how_warm_it_is_and_what_is_in_it() -> None:
    hands = Oven(into(OVEN), at())
    hands.ask("reserve", None, chamber=OVEN, for_s=1e5, reason="r", setpoint_c=40.0, contents="electrodes")
    hands.start()
    assert hands.run.prompts["put-in"]["do"] == (
        f"Put it into {OVEN}. Others are in {OVEN} and it is not heated now: person (electrodes). Open it briefly"
    )
    answer_all(hands)
    hands.soaks()
    hands.begin("run-2", into(OVEN), at(id="second"))
    hands.scan()
    assert hands.of_run("run-2").prompts["put-in"]["do"] == (
        f"Put it into {OVEN}. Others are in {OVEN}, kept at 40 degC and reads 40 degC: run-1 (test), "
        "person (electrodes). Open it briefly"
    )


def test_a_batch_whose_run_was_stopped_is_still_in_the_oven() -> None:
    hands = Oven(into(OVEN), at())
    hands.start()
    answer_all(hands)
    hands.soaks()
    hands.begin("run-2", at(id="second"))
    hands.soaks("run-2")
    assert hands.ask("stop", "run-1", reason="spilt")[1]
    hands.ends("run-1", "STOPPED", 60.0)
    hands.begin("run-3", into(OVEN), at(id="third"))
    hands.scan()
    assert "run-2 (test), run-1, which is STOPPED. Open it" in hands.of_run("run-3").prompts["put-in"]["do"]


def keep(hands: Oven, setpoint_c: object = 40.0, for_s: float = 7200.0, **more: Any) -> tuple[str, bool]:
    """Somebody asks for the oven at a setpoint."""
    said = {"chamber": OVEN, "for_s": for_s, "reason": "drying", "contents": "electrodes"}
    return hands.ask("reserve", None, **said | {"setpoint_c": setpoint_c} | more)


def test_a_claim_of_a_person_lets_runs_in_at_its_setpoint_only() -> None:
    hands = Oven(at(60.0, 600.0))
    assert keep(hands) == ("accepted", True)
    hands.start()
    hands.scan()
    assert hands.run.waits == f"{OVEN} is kept at 40 degC by person until 2:00: electrodes"
    hands.begin("run-2", at(id="second", hold_s=600.0))
    hands.ends("run-2", "COMPLETE")
    assert hands.oven.run is None
    assert hands.now < 7200.0
    hands.ends("run-1", "COMPLETE")
    assert hands.now > 7200.0


def test_what_runs_leave_warm_stays_so_for_a_person_until_the_claim_ends() -> None:
    hands = Oven(at(hold_s=600.0))
    hands.start()
    hands.soaks()
    assert keep(hands) == ("accepted", True)
    hands.ends("run-1", "COMPLETE")
    assert (hands.oven.run, hands.oven.claims, hands.oven.safe) == (None, {}, None)
    assert hands.oven.lease is not None
    hands.go(3600.0)
    assert hands.heats() == [("heat", 40.0)]
    hands.until(lambda: hands.oven.lease is None, 7200.0)
    assert hands.now == pytest.approx(7200.0, abs=60.0)
    hands.until(lambda: hands.oven == ChamberState(), 600.0)
    assert hands.alarms == {}


def test_a_person_who_gives_a_claim_back_takes_the_heat_that_was_for_it() -> None:
    hands = Oven(at(hold_s=600.0, after="cool"))
    assert keep(hands)[1]
    hands.start()
    hands.ends("run-1", "COMPLETE")
    assert hands.oven.lease is not None
    assert hands.ask("unreserve", None, chamber=OVEN) == ("accepted", True)
    hands.scan()
    assert hands.heats()[-1] == ("heat_off", 20.0)
    assert hands.state.reservations == {}


def test_an_oven_kept_warm_for_a_person_has_its_guards() -> None:
    hands = Oven(at(hold_s=600.0))
    assert keep(hands)[1]
    hands.start()
    hands.ends("run-1", "COMPLETE")
    hands.follows = False
    hands.values["oven.temperature"] = 120.0
    hands.until(lambda: "over_temperature" in hands.oven.latched, 60.0)
    hands.scan()
    assert hands.values["oven.setpoint"] == 20.0


def test_a_run_that_is_to_cool_down_waits_for_the_claim_of_a_person() -> None:
    hands = Oven(at(100.0, 600.0, after="cool"))
    assert keep(hands, 100.0)[1]
    hands.start()
    hands.until(lambda: "dry" in hands.run.active and hands.step("dry").phase == "leave", 2000.0)
    hands.go(600.0)
    assert hands.heats() == [("heat", 100.0)]
    hands.ends("run-1", "COMPLETE")
    assert hands.now > 7200.0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"chamber": "tube"}, "tube is not shared; reserve it for yourself, without a setpoint"),
        ({"contents": None}, "say what is put in (--contents)"),
        ({"setpoint_c": "hot"}, f"people keep {OVEN} at 150 degC at most, not at hot; hotter is for runs"),
        ({"setpoint_c": 200.0}, f"people keep {OVEN} at 150 degC at most, not at 200.0; hotter is for runs"),
        ({"setpoint_c": 60.0}, f"{OVEN} is kept at 40 degC: test"),
    ],
)
def test_a_claim_of_a_person_fits_what_is_there(args: dict[str, Any], said: str) -> None:
    hands = Oven(at())
    hands.start()
    hands.soaks()
    assert keep(hands, **{"setpoint_c": 40.0} | args) == (f"refused: {said}", False)


def test_an_oven_that_a_run_has_for_itself_is_claimed_by_nobody() -> None:
    hands = Oven(at(after="continue"), at(60.0, id="hotter"))
    hands.start()
    hands.scan()
    assert keep(hands) == (f"refused: {OVEN} is busy with run run-1 (RUNNING)", False)


def test_people_do_not_put_each_other_out() -> None:
    hands = Oven(at())
    assert keep(hands)[1]
    whole = {"chamber": OVEN, "for_s": 60.0, "reason": "cleaning"}
    hands.person = "Bob"
    said = f"refused: {OVEN} is kept at 40 degC by person: electrodes"
    assert hands.ask("reserve", None, **whole) == (said, False)
    assert hands.ask("unreserve", None, chamber=OVEN) == (
        f"refused: {OVEN} is not reserved by Bob, but by person",
        False,
    )
    assert keep(hands, contents="glassware") == ("accepted", True)
    assert sorted(hands.state.reservations) == [f"{OVEN}/Bob", f"{OVEN}/person"]
    hands.person = "person"
    assert keep(hands, 60.0) == (f"refused: {OVEN} is kept at 40 degC: glassware", False)
    assert hands.ask("unreserve", None, chamber=OVEN)[1]
    assert list(hands.state.reservations) == [f"{OVEN}/Bob"]
    hands.person = "Bob"
    assert hands.ask("reserve", None, **whole) == ("accepted", True)
    hands.person = "person"
    assert keep(hands) == (f"refused: {OVEN} is reserved by Bob: cleaning", False)


# -- what becomes of the others --------------------------------------------------------------------


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
