"""Waiting, deciding, and steps that are left out."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.protocol.plan import Condition, Decide, Entry, Measure, Wait, When
from tests.engine.bench import Hands

COLD_ENOUGH = Condition(
    instrument="furnace",
    signal="temperature",
    relation="below",
    value=60.0,
    unit="degC",
    for_s=30.0,
    hysteresis=2.0,
)
THIN = Condition(
    instrument="nitrogen", signal="pressure", relation="below", value=2.0, unit="bar", for_s=30.0
)
ASK = Measure(id="ask", what="it", enter=(Entry(name="carbon", unit="wt%"),))


def entered(relation: str = "at_least", value: float = 2.0) -> Condition:
    return Condition.model_validate(
        {"entered": "carbon", "relation": relation, "value": value, "unit": "wt%"}
    )


def waiting(condition: Condition = COLD_ENOUGH, timeout_s: float = 600.0) -> Wait:
    where: dict[str, Any] = {} if condition.entered else {"instruments": ("furnace",), "chamber": "tube"}
    return Wait(id="wait", duration_s=0.0, until=condition, timeout_s=timeout_s, **where)


def deciding(condition: Condition, **more: Any) -> Decide:
    where: dict[str, Any] = {} if condition.entered else {"instruments": ("furnace",), "chamber": "tube"}
    return Decide(id="decide", condition=condition, **where, **more)


def answered(hands: Hands, carbon: float) -> None:
    hands.start()
    hands.until(lambda: bool(hands.run.prompts), 20.0)
    assert hands.ask("answer", prompt="ask", values={"carbon": carbon})[1]


def pause(name: str, *when: When) -> Wait:
    return Wait(id=name, duration_s=1.0, when=when)


def test_waiting_counts_neither_held_nor_paused_time() -> None:
    hands = Hands(Wait(id="wait", duration_s=100.0))
    hands.start()
    hands.go(50.0)
    assert hands.ask("pause")[1]
    hands.go(1000.0)
    assert hands.ask("resume")[1]
    hands.go(40.0)
    assert hands.run.state == "RUNNING"
    hands.until(lambda: hands.run.end_state == "COMPLETE", 30.0)


def test_a_condition_must_hold_without_a_break_and_is_over_only_beyond_its_hysteresis() -> None:
    hands = Hands(waiting())
    hands.at(80.0)
    hands.start()
    hands.go(60.0)
    hands.at(59.0)
    hands.go(20.0)
    hands.at(61.5)
    hands.go(5.0)
    hands.at(62.5)
    hands.go(5.0)
    assert hands.run.state == "RUNNING"
    hands.at(59.0)
    hands.go(28.0)
    assert hands.run.state == "RUNNING"
    hands.go(5.0)
    assert hands.run.end_state == "COMPLETE"


def test_waiting_for_too_long_holds_the_run_and_a_restart_waits_anew() -> None:
    hands = Hands(waiting())
    hands.at(80.0)
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 700.0)
    assert hands.run.reason == "wait: not furnace temperature below 60 degC within 0.2 h"
    hands.at(50.0)
    assert hands.ask("restart")[1]
    hands.until(lambda: hands.run.end_state == "COMPLETE", 60.0)


@pytest.mark.parametrize("on_bad", ["hold", "wait"])
def test_a_signal_that_cannot_be_read_holds_the_run_or_is_waited_for(on_bad: str) -> None:
    hands = Hands(waiting(THIN.model_copy(update={"on_bad": on_bad}), timeout_s=5000.0))
    hands.start()
    hands.go(10.0)
    hands.broken("nitrogen.pressure")
    hands.go(60.0)
    assert hands.run.state == ("HELD" if on_bad == "hold" else "RUNNING")
    assert "cannot be read" in (hands.run.reason or "") or on_bad == "wait"
    if on_bad == "wait":
        del hands.quality["nitrogen.pressure"]
        hands.go(28.0)
        assert hands.run.state == "RUNNING"
        hands.go(5.0)
        assert hands.run.end_state == "COMPLETE"


@pytest.mark.parametrize(
    ("relation", "carbon", "holds"),
    [
        ("at_least", 2.0, True), ("above", 2.0, False), ("above", 2.1, True), ("at_most", 2.0, True),
        ("below", 2.0, False), ("below", 1.9, True), ("at_least", 1.9, False), ("at_most", 2.1, False),
    ],
)  # fmt: skip
def test_what_was_entered_decides_which_steps_are_left_out(relation: str, carbon: float, holds: bool) -> None:
    met, not_met = When(met=("decide",)), When(not_met=("decide",))
    asks = When(condition=entered(relation))
    hands = Hands(ASK, deciding(entered(relation)), pause("a", met), pause("b", not_met), pause("c", asks))
    answered(hands, carbon)
    hands.until(lambda: hands.run.end_state == "COMPLETE", 60.0)
    left_out = [data["id"] for data in hands.of("step_skipped")]
    assert left_out == (["b"] if holds else ["a", "c"])
    assert hands.run.done["decide"]["met"] is holds
    assert ("skipped" in hands.run.done["b"]) is holds
    if not holds:
        wanted = f"carbon is {carbon:g} wt%, wanted carbon {relation.replace('_', ' ')} 2 wt%"
        assert hands.of("step_skipped")[-1]["because"] == wanted


def test_a_value_that_nobody_entered_lets_no_step_begin() -> None:
    hands = Hands(pause("a", When(condition=entered())))
    hands.start()
    hands.until(lambda: hands.run.end_state == "COMPLETE", 20.0)
    assert hands.of("step_skipped") == [
        {"id": "a", "kind": "wait", "because": "carbon was not entered, wanted carbon at least 2 wt%"}
    ]


def test_a_run_whose_last_step_is_left_out_is_complete() -> None:
    hands = Hands(ASK, deciding(entered()), pause("a", When(met=("decide",))))
    answered(hands, 1.0)
    hands.until(lambda: hands.run.end_state == "COMPLETE", 20.0)


def test_a_decision_that_must_hold_stops_for_a_person_who_may_have_it_asked_again() -> None:
    hands = Hands(deciding(COLD_ENOUGH, otherwise="hold"))
    hands.at(80.0)
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.run.reason == "decide: 80 degC, wanted furnace temperature below 60 degC"
    hands.at(50.0)
    assert hands.ask("restart")[1]
    hands.until(lambda: hands.run.end_state == "COMPLETE", 60.0)
    assert hands.run.done["decide"]["met"] is True


@pytest.mark.parametrize(("on_bad", "within_s"), [("hold", 60.0), ("wait", 700.0)])
def test_nothing_is_decided_by_a_signal_that_cannot_be_read(on_bad: str, within_s: float) -> None:
    hands = Hands(deciding(THIN.model_copy(update={"on_bad": on_bad})))
    hands.absent.add("nitrogen.pressure")
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", within_s)
    assert "cannot be read" in (hands.run.reason or "")


def test_nothing_is_decided_by_what_was_not_entered() -> None:
    hands = Hands(deciding(entered()))
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert hands.run.reason == "decide: carbon was not entered"


def test_a_value_may_be_waited_for_that_another_branch_enters() -> None:
    hands = Hands(ASK.model_copy(update={"needs": ()}), waiting(entered()).model_copy(update={"needs": ()}))
    hands.start()
    hands.go(60.0)
    assert set(hands.run.active) == {"ask", "wait"}
    assert hands.ask("answer", prompt="ask", values={"carbon": 3.0})[1]
    hands.until(lambda: hands.run.end_state == "COMPLETE", 20.0)
