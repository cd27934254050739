"""Alarms: the table of ISA-18.2 cell by cell, and their life around guards that act whatever is hidden."""

from __future__ import annotations

import itertools

import pytest

from labctl.engine.alarms import HIDDEN, STATES, TRIGGERS, next_state
from labctl.engine.guards import GUARDS
from labctl.protocol.plan import Manual, Requirement
from tests.engine import test_room
from tests.engine.bench import Hands, bare, purge
from tests.engine.test_guards import hot, trips

REFUSED = None
SHOWN = ("NORMAL", "UNACK", "ACKED", "RTN_UNACK", "LATCH_UNACK", "LATCH_ACKED")
GOES: dict[tuple[str, str], str | None] = {
    ("NORMAL", "active"): "UNACK",
    ("RTN_UNACK", "active"): "UNACK",
    ("LATCH_UNACK", "active"): "UNACK",
    ("LATCH_ACKED", "active"): "UNACK",
    ("UNACK", "clear"): "RTN_UNACK",
    ("ACKED", "clear"): "NORMAL",
    ("UNACK", "ack"): "ACKED",
    ("RTN_UNACK", "ack"): "NORMAL",
    ("LATCH_UNACK", "ack"): "LATCH_ACKED",
    ("LATCH_ACKED", "reset"): "NORMAL",
    ("ACKED", "realarm"): "UNACK",
    ("UNACK", "realarm"): "UNACK",
    ("SHELVED", "unshelve"): "NORMAL",
    ("SUPPRESSED", "release"): "NORMAL",
    ("OUT_OF_SERVICE", "return"): "NORMAL",
    **{(state, "latch"): state for state in STATES},
    **{(state, "shelve"): "SHELVED" for state in SHOWN},
    **{(state, "suppress"): "SUPPRESSED" for state in SHOWN},
    **{(state, "remove"): "OUT_OF_SERVICE" for state in SHOWN},
    **{(state, trigger): state for state in HIDDEN for trigger in ("active", "clear")},
}
"""Written down again from the standard's table, for an alarm that does not latch and whose condition is over."""


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(STATES, TRIGGERS)))
def test_every_cell_of_the_table(state: str, trigger: str) -> None:
    assert next_state(state, trigger) == GOES.get((state, trigger), REFUSED)


@pytest.mark.parametrize(
    ("state", "trigger"),
    [("SHELVED", "unshelve"), ("SUPPRESSED", "release"), ("OUT_OF_SERVICE", "return")],
)
def test_what_is_shown_again_is_judged_by_its_condition(state: str, trigger: str) -> None:
    assert next_state(state, trigger, active=True) == "UNACK"


@pytest.mark.parametrize(("state", "target"), [("UNACK", "LATCH_UNACK"), ("ACKED", "LATCH_ACKED")])
def test_a_latching_alarm_outlives_its_condition(state: str, target: str) -> None:
    assert next_state(state, "clear", latching=True) == target


def low() -> Hands:
    """A hot tube whose nitrogen has been low for long enough, and stays so whatever is commanded."""
    hands = hot()
    hands.outcome["set_flow"] = "acknowledged"
    hands.values["nitrogen.flow"] = 120.0
    hands.go(6.0)
    return hands


def state(hands: Hands, alarm: str = "tube/nitrogen_low") -> str:
    found = hands.state.alarms.get(alarm)
    return "NORMAL" if found is None else str(found["state"])


def moves(hands: Hands, alarm: str = "tube/nitrogen_low") -> list[str]:
    return [a["trigger"] for a in hands.of("alarm") if a["id"] == alarm]


def test_an_alarm_is_told_acknowledged_and_gone() -> None:
    hands = low()
    assert state(hands) == "UNACK"
    assert hands.ask("ack", None, alarm="tube/nitrogen_low") == ("accepted", True)
    assert state(hands) == "ACKED"
    assert hands.state.alarms["tube/nitrogen_low"]["by"] == "person"
    hands.values["nitrogen.flow"] = 200.0
    hands.go(17.0)
    assert state(hands) == "NORMAL"
    assert moves(hands) == ["active", "ack", "clear"]


def test_an_alarm_that_returned_unseen_stays_until_it_is_acknowledged() -> None:
    hands = low()
    hands.values["nitrogen.flow"] = 200.0
    hands.go(17.0)
    assert state(hands) == "RTN_UNACK"
    assert hands.ask("ack", None, alarm="tube/nitrogen_low")[1]
    assert state(hands) == "NORMAL"
    assert hands.ask("ack", None, alarm="tube/nitrogen_low") == (
        "refused: no alarm tube/nitrogen_low; there are none",
        False,
    )


def test_a_condition_that_flickers_does_not_chatter() -> None:
    hands = low()
    for _ in range(5):
        hands.values["nitrogen.flow"] = 200.0
        hands.go(10.0)
        hands.values["nitrogen.flow"] = 120.0
        hands.go(8.0)
    assert moves(hands) == ["active"]


def test_a_trip_latches_its_alarm_until_the_run_is_cleared_and_reset() -> None:
    hands = hot()
    hands.at(400.0)
    hands.go(2.0)
    assert moves(hands, "tube/over_temperature") == ["active", "latch"]
    hands.at(22.0)
    hands.until(lambda: hands.run.end_state == "ABORTED" and hands.tube.custody is None, 5000.0)
    assert state(hands, "tube/over_temperature") == "LATCH_UNACK"
    assert hands.ask("clear", reason="a draught")[1]
    assert state(hands, "tube/over_temperature") == "LATCH_ACKED"
    assert hands.ask("reset")[1]
    assert state(hands, "tube/over_temperature") == "NORMAL"


def test_what_comes_first_is_marked_and_its_consequences_are_hidden() -> None:
    hands = hot(bench="standard")
    hands.outcome["set_flow"] = "acknowledged"
    hands.values["nitrogen.flow"] = 0.0
    hands.go(6.0)
    assert hands.state.alarms["tube/nitrogen_lost"]["first_out"]
    assert state(hands, "tube/nitrogen_low") == "SUPPRESSED"
    shown = [a for a in hands.state.alarms.values() if a["state"] not in HIDDEN]
    assert [a["id"] for a in shown] == ["tube/nitrogen_lost"]
    hands.values["nitrogen.flow"] = 120.0
    hands.go(17.0)
    assert state(hands, "tube/nitrogen_low") == "UNACK", "what hid it is over, and it is not"


def test_an_alarm_is_shelved_with_a_reason_for_a_while_and_comes_back_by_itself() -> None:
    hands = low()
    shelve = {"alarm": "tube/nitrogen_low", "for_s": 600.0}
    assert hands.ask("shelve", None, **shelve) == ("refused: say why (--reason)", False)
    assert hands.ask("shelve", None, **shelve, reason="known")[1]
    assert state(hands) == "SHELVED"
    hands.go(590.0)
    assert state(hands) == "SHELVED"
    hands.go(20.0)
    assert state(hands) == "UNACK"


def test_shelving_never_lasts_longer_than_a_shift() -> None:
    hands = low()
    args = {"alarm": "tube/nitrogen_low", "reason": "known"}
    for for_s in (28_801.0, 0.0, -1.0, None, "soon"):
        said = hands.ask("shelve", None, **args, for_s=for_s)
        assert said == ("refused: say for how long (--for), at most 8 h", False)


def test_the_alarm_of_a_guard_that_trips_is_not_shelved_during_a_run_nor_one_that_asks_for_hands() -> None:
    hands = hot(bench="standard")
    hands.nitrogen(False)
    hands.go(6.0)
    said = hands.ask("shelve", None, alarm="tube/nitrogen_lost", for_s=60.0, reason="known")
    assert said[0].startswith("refused: tube/nitrogen_lost belongs to a guard that trips")
    assert hands.ask("abort")[1]
    hands.go(90.0)
    said = hands.ask("shelve", None, alarm="tube/safe_flow/by_hand", for_s=60.0, reason="known")
    assert said[0].startswith("refused: tube/safe_flow/by_hand asks a person to act")


def test_guards_act_whatever_is_shelved_or_out_of_service() -> None:
    for how in ({"for_s": 3600.0}, {"out_of_service": True}):
        hands = hot()
        hands.values["oxygen.oxygen"] = 500.0
        hands.go(3.0)
        assert hands.ask("shelve", None, alarm="tube/oxygen_high", reason="known", **how)[1]
        hands.values["oxygen.oxygen"] = 1500.0
        hands.go(3.0)
        assert trips(hands) == ["oxygen_high"]
        assert hands.tube.lease is None


def test_an_alarm_out_of_service_stays_so_until_it_is_returned() -> None:
    hands = low()
    removed = {"alarm": "tube/nitrogen_low", "out_of_service": True, "reason": "sensor at the maker's"}
    assert hands.ask("shelve", None, **removed)[1]
    hands.go(5000.0)
    assert state(hands) == "OUT_OF_SERVICE"
    assert hands.ask("unshelve", None, alarm="tube/nitrogen_low")[1]
    assert state(hands) == "UNACK"


def test_an_alarm_that_lasts_is_told_again_every_hour() -> None:
    hands = low()
    assert hands.ask("ack", None, alarm="tube/nitrogen_low")[1]
    hands.go(3590.0)
    assert state(hands) == "ACKED"
    hands.go(20.0)
    assert state(hands) == "UNACK"


def test_a_bypassed_guard_only_tells_and_everybody_is_told_so_each_hour() -> None:
    hands = hot()
    bypass = {"guard": "oxygen_high", "chamber": "tube", "for_s": 7000.0}
    assert hands.ask("bypass", None, **bypass) == ("refused: say why (--reason)", False)
    assert hands.ask("bypass", None, **bypass, reason="analyser drifts")[1]
    assert state(hands, "tube/oxygen_high/bypassed") == "UNACK"
    hands.values["oxygen.oxygen"] = 1500.0
    hands.go(10.0)
    assert trips(hands) == []
    assert state(hands, "tube/oxygen_high") == "UNACK"
    assert hands.run.state == "RUNNING"
    hands.go(3600.0)
    assert moves(hands, "tube/oxygen_high/bypassed") == ["active", "realarm"]
    hands.go(3400.0)
    assert hands.state.bypasses == {}
    hands.go(3.0)
    assert trips(hands) == ["oxygen_high"]


@pytest.mark.parametrize(
    ("verb", "run", "cause"), [("abort", "run-1", "its run is over"), ("unbypass", None, "taken back")]
)
def test_a_bypass_ends_with_its_run_or_when_it_is_taken_back(verb: str, run: str | None, cause: str) -> None:
    hands = hot()
    bypass = {"guard": "oxygen_high", "chamber": "tube"}
    assert hands.ask("bypass", None, **bypass, for_s=7000.0, reason="drifts")[1]
    assert hands.ask(verb, run, **bypass)[1]
    hands.until(lambda: hands.state.bypasses == {}, 30.0)
    assert hands.of("bypass_ended")[-1]["cause"] == cause


@pytest.mark.parametrize("guard", [name for name, guard in GUARDS.items() if not guard.bypass])
def test_what_protects_by_itself_can_never_be_bypassed(guard: str) -> None:
    hands = hot()
    said, accepted = hands.ask("bypass", None, guard=guard, chamber="tube", for_s=60.0, reason="because")
    assert not accepted
    assert said.startswith(
        (f"refused: {guard} can never be bypassed", f"refused: tube has no guard {guard};")
    )


@pytest.mark.parametrize("guard", ["over_temperature", "sensor", "nitrogen_low", "nitrogen_lost"])
def test_the_guards_that_the_safety_contract_names_are_not_to_be_bypassed(guard: str) -> None:
    assert not GUARDS[guard].bypass


def test_nobody_bypasses_for_longer_than_twelve_hours() -> None:
    hands = hot()
    asked = {"guard": "oxygen_high", "chamber": "tube", "reason": "drifts"}
    assert not hands.ask("bypass", None, **asked, for_s=43_201.0)[1]
    assert hands.ask("bypass", None, **asked, for_s=43_200.0)[1]


def test_an_alarm_is_hidden_once_another_says_the_same_and_more() -> None:
    hands = hot(bench="standard")
    hands.outcome["set_flow"] = "acknowledged"
    hands.values["nitrogen.flow"] = 120.0
    hands.go(6.0)
    assert state(hands) == "UNACK"
    hands.values["nitrogen.flow"] = 0.0
    hands.go(7.0)
    assert state(hands, "tube/nitrogen_lost") == "UNACK"
    assert state(hands) == "SUPPRESSED"


@pytest.mark.parametrize(
    ("verb", "args", "said"),
    [
        (
            "shelve",
            {"alarm": "tube/none", "for_s": 60.0, "reason": "x"},
            "no alarm tube/none; there are none",
        ),
        ("ack", {}, "no alarm None; there are none"),
        ("unshelve", {"alarm": "tube/none"}, "no alarm tube/none; there are none"),
        (
            "bypass",
            {"guard": "silent", "chamber": "tub"},
            "no chamber tub on this bench; there are vessel, drying-oven, tube, cell",
        ),
        ("unbypass", {"guard": "oxygen_high", "chamber": "tube"}, "tube/oxygen_high is not bypassed"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(verb: str, args: dict[str, object], said: str) -> None:
    assert hot().ask(verb, None, **args) == (f"refused: {said}", False)


def test_what_is_out_of_service_is_not_shelved_too() -> None:
    hands = low()
    removed = {"alarm": "tube/nitrogen_low", "out_of_service": True, "reason": "at the maker's"}
    assert hands.ask("shelve", None, **removed)[1]
    assert hands.ask("shelve", None, **removed) == ("refused: tube/nitrogen_low is OUT_OF_SERVICE", False)
    assert hands.ask("ack", None, alarm="tube/nitrogen_low") == (
        "refused: tube/nitrogen_low is OUT_OF_SERVICE",
        False,
    )


def test_a_line_that_is_silent_is_told_and_not_what_is_missing_for_it() -> None:
    hands = hot(bench="standard")
    hands.silence("nitrogen")
    hands.until(lambda: bool(trips(hands)), 30.0)
    assert trips(hands) == ["nitrogen_lost"], "which acts all the same"
    assert hands.state.alarms["tube/nitrogen/silent"]["first_out"]
    assert state(hands, "tube/nitrogen_lost") == state(hands) == "SUPPRESSED"


def test_first_out_passes_on_to_the_alarm_that_says_the_same_and_more() -> None:
    hands = test_room.hot()
    hands.values["oxygen.oxygen"] = 500.0
    hands.go(2.0)
    assert hands.state.alarms["tube/oxygen_high"]["first_out"]
    hands.values["io.tube_pressure"] = 0.0
    hands.until(lambda: "tube_integrity" in hands.tube.latched, 10.0)
    assert hands.state.alarms["tube/tube_integrity"]["first_out"]
    hands.scan()
    assert state(hands, "tube/oxygen_high") == "SUPPRESSED"


def test_what_a_latched_trip_explains_stays_hidden_when_its_condition_is_over() -> None:
    hands = hot()
    hands.watch("sensor_jump", bare("small"))
    hands.broken("furnace.temperature")
    hands.go(3.0)
    assert trips(hands) == ["sensor"]
    del hands.quality["furnace.temperature"]
    hands.go(70.0)
    assert state(hands, "tube/sensor") == "LATCH_UNACK"
    hands.values["furnace.temperature"] = 20.0  # whoever repairs it moves it about
    hands.values["furnace-monitor.temperature"] = 299.0
    hands.go(5.0)
    assert "sensor_jump" in trips(hands)
    assert state(hands, "tube/sensor_jump") == "SUPPRESSED"


def test_a_run_that_a_step_holds_is_told_until_somebody_goes_on() -> None:
    hands = hot()
    hands.outcome["heat"] = "failed"
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert "tube/held" not in hands.alarms, "whoever held it knows"
    assert hands.ask("restart")[1]
    hands.until(lambda: hands.run.state == "HELD", 200.0)
    held = hands.alarms["tube/held"]
    assert (held["state"], held["first_out"]) == ("UNACK", True)
    assert held["message"].startswith("run-1 is held: heat: heat: failed")
    hands.outcome["heat"] = "ok"
    assert hands.ask("restart")[1]
    assert state(hands, "tube/held") == "RTN_UNACK"


@pytest.mark.parametrize("ends", ["stop", "abort"])
def test_a_run_that_is_ended_is_held_no_longer(ends: str) -> None:
    hands = Hands(purge(timeout_s=60.0))
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 300.0)
    assert "tube/held" in hands.alarms
    assert hands.ask(ends)[1]
    assert "tube/held" not in hands.alarms


def test_a_hold_that_an_alarm_explains_sounds_no_other() -> None:
    hands = Hands(purge(timeout_s=60.0))
    hands.start()
    hands.go(2.0)
    hands.outcome["set_flow"] = "failed"
    hands.silence("oxygen")
    hands.until(lambda: hands.run.state == "HELD", 300.0)
    assert state(hands, "tube/oxygen/silent") == "UNACK"
    assert state(hands, "tube/held") in ("NORMAL", "SUPPRESSED")


def test_a_run_that_waits_in_no_chamber_is_told_by_its_own_name() -> None:
    dry_enough = Requirement(quantity="solvent_loss", relation="at_least", value=99.0, unit="%")
    hands = Hands(Manual(id="look", do="look", require=(dry_enough,)))
    hands.start()
    hands.until(lambda: bool(hands.run.prompts), 20.0)
    assert hands.ask("answer", prompt="look", values={})[1]
    hands.go(10.0)
    assert "cannot be judged" in hands.alarms["run-1/held"]["message"]
