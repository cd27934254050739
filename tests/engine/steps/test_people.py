"""What people do and measure."""

from __future__ import annotations

import math
from typing import Any

import pytest

from labctl.engine.steps.people import derive
from labctl.protocol.plan import Charge, Entry, Manual, Measure, Requirement
from tests.engine.bench import Hands, plan_of

CHARGE = Charge(thf_g=8.0, ethanol_g=2.0, water_g=5.0)
WEIGH = Manual(
    id="weigh",
    do="Weigh the dish",
    confirm=("dish is dry", "balance is level"),
    enter=(Entry(name="wet_mass", unit="g", min=0.0, max=100.0), Entry(name="dry_mass", unit="g")),
    require=(Requirement(quantity="solvent_loss", relation="at_least", value=99.0, unit="%"),),
    into="tube",
)
CONFIRMED = ["dish is dry", "balance is level"]


def asked(step: Manual = WEIGH, charge: Charge = CHARGE) -> Hands:
    hands = Hands(step, charge=charge)
    hands.start()
    hands.until(lambda: bool(hands.run.prompts), 20.0)
    return hands


def answer(hands: Hands, wet: Any = 30.0, dry: Any = 20.0, confirm: Any = CONFIRMED) -> str:
    return hands.ask("answer", prompt="weigh", values={"wet_mass": wet, "dry_mass": dry}, confirm=confirm)[0]


def test_an_answer_that_meets_the_requirement_moves_the_batch_on() -> None:
    hands = asked()
    assert answer(hands) == "accepted"
    hands.until(lambda: hands.run.end_state == "COMPLETE", 20.0)
    assert hands.run.done["weigh"]["derived"] == {"solvent_loss": 100.0}
    assert hands.of("contents_moved") == [{"chamber": "tube", "contents": "run-1"}]
    assert hands.run.values == {"wet_mass": 30.0, "dry_mass": 20.0}


def test_an_unmet_requirement_holds_and_a_restart_asks_again() -> None:
    hands = asked()
    assert answer(hands, dry=20.2) == "accepted"
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert hands.run.reason == "weigh: solvent_loss is 98.0 %, wanted at least 99 %"
    assert hands.ask("restart")[1]
    hands.until(lambda: "weigh" in hands.run.prompts, 20.0)
    assert answer(hands, dry=20.1) == "accepted"
    hands.until(lambda: hands.run.end_state == "COMPLETE", 20.0)


def test_an_upper_bound_is_a_requirement_too() -> None:
    bound = Requirement(quantity="solvent_loss", relation="at_most", value=50.0, unit="%")
    hands = asked(WEIGH.model_copy(update={"require": (bound,)}))
    answer(hands)
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert "wanted at most 50 %" in (hands.run.reason or "")


@pytest.mark.parametrize(("quantity", "charge"), [("solvent_loss", Charge()), ("yield", CHARGE)])
def test_what_cannot_be_judged_is_a_hold_and_no_end_of_the_controller(quantity: str, charge: Charge) -> None:
    wanted = Requirement(quantity=quantity, relation="at_least", value=99.0, unit="%")
    hands = asked(WEIGH.model_copy(update={"require": (wanted,)}), charge)
    answer(hands)
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert "cannot be judged without" in (hands.run.reason or "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"confirm": ["dish is dry"]}, "not confirmed: balance is level"),
        ({"confirm": "all"}, "not an answer"),
        ({"wet": None}, "wet_mass (g) is missing"),
        ({"wet": True}, "wet_mass (g) is missing"),
        ({"wet": "30"}, "wet_mass (g) is missing"),
        ({"wet": math.nan}, "wet_mass (g) is missing"),
        ({"dry": math.inf}, "dry_mass (g) is missing"),
        ({"wet": 100.1}, "wet_mass is 100.1 g, outside 0.0 to 100.0"),
        ({"wet": -0.1}, "wet_mass is -0.1 g, outside 0.0 to 100.0"),
    ],
)
def test_an_answer_that_is_incomplete_or_out_of_range_is_refused(given: dict[str, Any], said: str) -> None:
    hands = asked()
    assert answer(hands, **given) == f"refused: {said}"
    assert "weigh" in hands.run.prompts


def test_values_that_nobody_asked_for_are_refused() -> None:
    hands = asked()
    values = {"wet_mass": 30.0, "dry_mass": 20.0, "colour": 1.0}
    outcome, accepted = hands.ask("answer", prompt="weigh", values=values, confirm=CONFIRMED)
    assert (outcome, accepted) == ("refused: not asked for: colour", False)


def test_only_an_open_prompt_can_be_answered() -> None:
    hands = asked()
    assert hands.ask("answer", prompt="cook")[0] == "refused: nobody is asked that now"
    assert hands.ask("answer", prompt=["weigh"])[0] == "refused: nobody is asked that now"


def test_what_is_measured_becomes_a_result_of_the_run() -> None:
    hands = Hands(
        Measure(id="xrd", what="XRD", enter=(Entry(name="active_mass", unit="mg", min=0.1, max=20.0),))
    )
    hands.start()
    hands.until(lambda: bool(hands.run.prompts), 20.0)
    assert hands.ask("answer", prompt="xrd", values={"active_mass": 2.5})[1]
    hands.until(lambda: hands.run.end_state == "COMPLETE", 20.0)
    assert hands.run.done["xrd"]["values"] == {"active_mass": 2.5}


def test_solvent_loss_is_never_more_than_all() -> None:
    assert (
        derive("solvent_loss", {"wet_mass": 30.0, "dry_mass": 15.0}, plan_of(WEIGH, charge=CHARGE)) == 100.0
    )
