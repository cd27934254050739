"""A pump that doses into a vessel does not go on while its run waits, whatever becomes of the command."""

from __future__ import annotations

import json

import pytest

from labctl.engine.state import from_json, to_json
from labctl.model.limits import limit
from labctl.protocol.plan import Dispense, Portion
from tests.engine.bench import Hands

WAITS = pytest.mark.parametrize(
    ("verb", "acts", "state", "again"),
    [("pause", "PAUSING", "PAUSED", "resume"), ("hold", "HOLDING", "HELD", "restart")],
)


def waiting(verb: str, pump_off: str) -> Hands:
    """It pumps 20 mL of water at 1 mL/min when a person has the run wait; what becomes of the pump's command then."""
    portion = Portion(reagent="water", unit="mL", amount=20.0, tolerance_pct=1.0)
    dose = Dispense(
        id="dose", instruments=("pump",), chamber="vessel", pump="pump", portion=portion, rate_ml_per_min=1.0,
        timeout_s=20_000.0, flammable=False,
    )  # fmt: skip
    hands = Hands(dose, bench="synthesis")
    hands.start()
    hands.phase("dose", "pump", 60.0)
    assert hands.values["pump.pumping"] == 1.0
    hands.outcome["pump_off"] = pump_off
    assert hands.ask(verb)[1]
    return hands


@WAITS
def test_a_pump_that_does_not_stop_is_told_until_it_does_and_a_person_is_called(
    verb: str, acts: str, state: str, again: str
) -> None:
    hands = waiting(verb, "failed")
    hands.go(90.0)
    assert hands.run.state == acts
    assert len(hands.sent("pump_off")) > 5
    assert "Take the pump's line out of the vessel." in hands.alarms["vessel/dosing_off/by_hand"]["message"]
    assert not hands.ask(again)[1]
    hands.outcome.clear()
    hands.until(lambda: hands.run.state == state, 30.0)
    assert hands.values["pump.pumping"] == 0.0
    assert not hands.alarms
    assert hands.ask(again)[1]
    hands.phase("dose", "pump", 60.0)


@WAITS
def test_a_pump_is_stopped_by_the_next_controller_when_the_first_was_killed_before_it_could(
    verb: str, acts: str, state: str, again: str
) -> None:
    hands = waiting(verb, "never")
    hands.outcome.clear()
    hands.state = from_json(json.loads(json.dumps(to_json(hands.state))))
    hands.scan(1.0, recovered=True)
    hands.until(lambda: hands.values["pump.pumping"] == 0.0, 30.0)
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    assert not hands.state.chambers["vessel"].dosing


@WAITS
def test_a_run_whose_pump_nobody_stops_is_stopped_after_two_hours(
    verb: str, acts: str, state: str, again: str
) -> None:
    hands = waiting(verb, "failed")
    hands.until(lambda: hands.run.state == "STOPPING", limit("held_max") + 10.0)
    assert hands.run.reason == f"{acts} for 2 h"
