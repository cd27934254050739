"""Made from what the shipped benches declare: every guard trips just beyond its limit and not just inside, every item
of every safe state is carried out and proven. A declaration without a scene fails here."""

from __future__ import annotations

import pytest

from labctl.engine.guards import GUARDS
from tests.engine.bench import Hands
from tests.safety.scenes import PROVOCATIONS, at_work, declared, items, provoked, shipped

LONG_S = 120.0
"""For how long a reading just inside a limit is left alone, in s: longer than any guard counts."""


def _last(hands: Hands, item: str) -> dict[str, object]:
    return next((e for e in reversed(hands.of("safe_item")) if e["item"] == item), {})


def acted(hands: Hands, guard: str) -> list[str]:
    return [t["action"] for t in hands.of("tripped") if t["guard"] == guard]


@pytest.mark.parametrize(("bench", "chamber", "guard"), list(declared()))
def test_a_declared_guard_acts_just_beyond_its_limit_and_in_time(
    bench: str, chamber: str, guard: str
) -> None:
    scene = PROVOCATIONS[guard]
    hands = provoked(bench, chamber, guard)
    assert acted(hands, guard) == []
    scene.beyond(hands)
    hands.until(lambda: bool(acted(hands, guard)), scene.within_s)
    assert acted(hands, guard)[0].startswith((scene.action, "heater off"))
    assert hands.state.chambers[chamber].lease is None or "maintain" in acted(hands, guard)[0]
    alarms = [a for a in hands.of("alarm") if a["id"].startswith(chamber) and guard in a["id"]]
    assert alarms, "and people are told"


@pytest.mark.parametrize(("bench", "chamber", "guard"), list(declared()))
def test_a_declared_guard_leaves_alone_what_is_just_inside(bench: str, chamber: str, guard: str) -> None:
    scene = PROVOCATIONS[guard]
    hands = provoked(bench, chamber, guard)
    scene.inside(hands)
    hands.go(LONG_S)
    assert acted(hands, guard) == []


@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_every_guard_is_declared_by_a_shipped_bench(guard: str) -> None:
    assert guard in {name for _, _, name in declared()}


VERBS = {
    "heat_off": ("heat_off",),
    "safe_flow": ("set_flow",),
    "stir_slow": ("stir",),
    "dosing_off": ("pump_off",),
    "open_circuit": ("open_circuit",),
}
"""What an item of a safe state commands."""


@pytest.mark.parametrize(("bench", "chamber", "item"), list(items()))
def test_a_declared_item_is_commanded_on_abort_and_confirmed_by_read_back(
    bench: str, chamber: str, item: str
) -> None:
    hands = at_work(shipped(bench), chamber)
    before = len(hands.commands)
    assert hands.ask("abort")[1]
    hands.until(lambda: {"item": item, "confirmed": True}.items() <= _last(hands, item).items(), 60.0)
    assert [c for c in hands.commands[before:] if c.verb in VERBS[item] and not c.renewal]


@pytest.mark.parametrize(("bench", "chamber", "item"), list(items()))
def test_an_item_that_is_not_read_back_is_tried_again_and_a_person_is_asked(
    bench: str, chamber: str, item: str
) -> None:
    hands = at_work(shipped(bench), chamber)
    for verb in VERBS[item]:
        hands.outcome[verb] = "failed"
    hands.supply = False
    if chamber == "tube":
        hands.values["nitrogen.flow"] = 0.0
    before = len(hands.commands)
    assert hands.ask("abort")[1]
    hands.go(75.0)
    tries = [c for c in hands.commands[before:] if c.verb in VERBS[item] and not c.renewal]
    assert len(tries) >= 3
    assert f"{chamber}/{item}/by_hand" in hands.alarms
    assert hands.run.state == "ABORTING", "unknown is not done"


def test_the_heater_is_off_before_anything_else_of_a_tube_is_touched() -> None:
    hands = at_work(shipped("standard"), "tube")
    before = len(hands.commands)
    assert hands.ask("abort")[1]
    assert [c.verb for c in hands.commands[before:] if not c.renewal] == ["heat_off", "set_flow"]


def test_gas_stays_on_in_the_safe_state_of_a_hot_tube() -> None:
    hands = at_work(shipped("standard"), "tube")
    assert hands.ask("abort")[1]
    hands.go(3600.0)
    assert (
        min(c.args["flow_sccm"] for c in hands.sent("set_flow")) >= hands.context.rigs["tube"].protective_sccm
    )
