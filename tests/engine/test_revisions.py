"""Another plan for a run under way: what may change, what never does, and what becomes of the step that is left out."""

from __future__ import annotations

import pytest

from labctl.engine.context import with_plan
from labctl.protocol.plan import AnyStep, Manual, Plan, Segment
from tests.engine.bench import Hands, cool, dry, inert, plan_of, purge, ramp, stir, unload

NOTE = Manual(id="note", do="Write it down")


def revise(hands: Hands, *steps: AnyStep, **args: object) -> tuple[str, bool]:
    """Ask for a plan of these steps."""
    plan = plan_of(*steps)
    hands.context = with_plan(hands.context, plan)
    asked = {"plan": plan.plan_hash, "expected": hands.run.plan_hash, "reason": "we know better"} | args
    return hands.ask("revise", **asked)


def plan_now(hands: Hands) -> Plan:
    return hands.context.plans[hands.run.plan_hash]


def test_a_step_that_is_still_to_come_changes_while_the_run_goes_on() -> None:
    hands = Hands(stir(), dry())
    hands.start()
    longer = Segment(target_c=100.0, ramp_k_per_min=20.0, hold_s=1200.0)
    assert revise(hands, stir(), dry(segments=(longer,))) == ("accepted", True)
    assert hands.run.state == "RUNNING"
    row = hands.of("plan_revised")[-1]
    assert row["reason"] == "we know better"
    assert row["by"] == "person"
    assert row["old"] != row["new"] == hands.run.plan_hash
    hands.values["oven.temperature"] = 100.0
    hands.until(lambda: hands.run.end_state == "COMPLETE", 5000.0)
    assert hands.run.done["dry"]["soaks_s"][0] >= 1200.0


def test_a_step_under_way_changes_only_while_the_run_is_held_or_paused() -> None:
    hands = Hands(stir(duration_s=600.0, timeout_s=2000.0), dry())
    hands.start()
    hands.scan()
    shorter = stir(duration_s=100.0, timeout_s=2000.0)
    outcome, accepted = revise(hands, shorter, dry())
    assert (outcome, accepted) == ("refused: stir is under way; `labctl hold run-1` first", False)
    assert hands.ask("pause")[1]
    hands.until(lambda: hands.run.state == "PAUSED")
    assert revise(hands, shorter, dry()) == ("accepted", True)
    assert hands.ask("resume")[1]
    hands.until(lambda: "stir" in hands.run.done, 300.0)


def test_a_step_that_is_left_out_under_way_ends_safe() -> None:
    steps = (purge(), inert(), cool(), unload())
    hands = Hands(*steps)
    hands.heated(300.0)
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.tube.lease is not None, "held by a person at the setpoint"
    assert revise(hands, purge(), cool(), unload()) == ("accepted", True)
    assert "heat" not in hands.run.active
    assert hands.tube.safe is not None
    hands.until(lambda: hands.values["furnace.output"] == 0.0, 60.0)
    assert hands.values["nitrogen.flow"] == 200.0
    hands.until(lambda: hands.ask("restart")[1], 120.0)
    hands.until(lambda: "cool" in hands.run.active)
    hands.at(30.0)
    hands.until(lambda: "unload" in hands.run.active, 2000.0)


def test_a_prompt_of_a_step_that_is_left_out_is_taken_back() -> None:
    hands = Hands(NOTE, stir())
    hands.start()
    hands.scan()
    assert list(hands.run.prompts) == ["note"]
    assert hands.ask("pause")[1]
    hands.until(lambda: hands.run.state == "PAUSED")
    assert revise(hands, stir()) == ("accepted", True)
    assert hands.run.prompts == {}
    assert hands.ask("resume")[1]
    hands.until(lambda: hands.run.end_state == "COMPLETE", 300.0)


FIRING = (stir(), purge(), inert(), cool(), unload())


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((purge(), inert(), cool(), unload()), "stir is over, and stays as it was"),
        ((stir(duration_s=61.0), *FIRING[1:]), "stir is over, and stays as it was"),
        ((stir(), inert(), cool(), unload()), "purge cannot be left out"),
        ((stir(), purge(), inert(), unload()), "cool cannot be left out"),
        ((stir(), purge(), inert(), cool()), "unload cannot be left out"),
        ((*FIRING, dry()), "it has steps that the run has not: dry"),
        ((stir(), purge(), cool(), inert(), unload()), "its steps are in another order"),
        (
            (stir(), purge(), inert(segments=(ramp(301.0),)), cool(), unload()),
            "tube would become hotter (301 degC) than the run's plan allows (300 degC)",
        ),
        ((stir(), purge(), dry(id="heat"), cool(id="c"), unload()), "it has steps that the run has not: c"),
        ((stir(), purge(), stir(id="heat"), cool(), unload()), "heat is stir instead of heat"),
    ],
)
def test_what_keeps_people_safe_and_what_is_over_never_changes(steps: tuple[AnyStep, ...], said: str) -> None:
    hands = Hands(*FIRING)
    hands.start()
    hands.until(lambda: "purge" in hands.run.active, 600.0)
    before = hands.run
    outcome, accepted = revise(hands, *steps)
    assert not accepted
    assert outcome.startswith(f"refused: {said}")
    assert hands.run.plan_hash == before.plan_hash


def test_a_plan_is_compared_with_the_one_it_replaces_and_needs_a_reason() -> None:
    hands = Hands(stir(), dry())
    hands.start()
    assert revise(hands, stir(), expected="0" * 64) == (
        "refused: the plan of run-1 has changed meanwhile; look at it again",
        False,
    )
    assert revise(hands, stir(), reason="") == ("refused: say why (--reason)", False)
    assert revise(hands, stir(), plan="1" * 64) == ("refused: its plan is not on this bench", False)
    assert revise(hands, stir(), against="furnace does not answer")[0] == "refused: furnace does not answer"
    assert hands.ask("revise", "run-9")[0] == "refused: no run run-9 on this bench"
    assert hands.ask("stop")[1]
    hands.until(lambda: hands.run.end_state is not None, 600.0)
    assert revise(hands, stir())[0].startswith("refused: run-1 is STOPPED; its plan can change while it is")


def test_a_run_that_goes_on_from_another_knows_what_was_entered() -> None:
    hands = Hands(stir())
    assert hands.plan is not None
    about = {"rerun_of": "run-0", "values": {"wet_mass": 70.5}}
    assert hands.ask("submit", None, run="run-1", plan=hands.plan.plan_hash, about=about)[1]
    assert hands.run.values == {"wet_mass": 70.5}
