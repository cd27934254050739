"""People and an oven that runs share: what they are told, and what their claims do."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.engine.state import ChamberState
from tests.engine.shared_oven import OVEN, Oven, at, keep
from tests.engine.test_spans import answer_all, into


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
