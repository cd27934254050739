"""Nothing is energised with an instrument that is barred, and the reason is said; gas alone flows with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.protocol.plan import AnyStep
from tests.engine.bench import Hands, cycle, dry, inert, purge, stir

WHY = "furnace is not commissioned"


def barred(*steps: AnyStep, names: tuple[str, ...] = ("furnace",)) -> Hands:
    hands = Hands(*steps)
    hands.context = replace(hands.context, barred={name: f"{name} is not commissioned" for name in names})
    return hands


def submit(hands: Hands) -> tuple[str, bool]:
    assert hands.plan is not None
    return hands.ask("submit", None, run="run-1", plan=hands.plan.plan_hash)


@pytest.mark.parametrize("name", ["furnace", "furnace-monitor", "nitrogen", "oxygen"])
def test_a_run_that_heats_is_refused_for_any_instrument_of_its_chamber(name: str) -> None:
    hands = barred(purge(), inert(), names=(name,))
    assert submit(hands) == (f"refused: {name} is not commissioned", False)
    assert hands.state.runs == {}


@pytest.mark.parametrize(
    ("step", "name"),
    [(stir(), "hotplate"), (cycle(), "cycler"), (dry(), "oven")],
    ids=["stir", "cycle", "dry"],
)
def test_stirring_charging_and_drying_are_refused_too(step: AnyStep, name: str) -> None:
    assert submit(barred(step, names=(name,))) == (f"refused: {name} is not commissioned", False)


def test_every_barred_instrument_is_named() -> None:
    hands = barred(purge(), inert(), names=("nitrogen", "furnace", "hotplate"))
    assert submit(hands)[0] == "refused: furnace is not commissioned; nitrogen is not commissioned"


def test_what_energises_nothing_runs_and_what_is_elsewhere_does_not_matter() -> None:
    assert submit(barred(purge()))[1]
    assert submit(barred(purge(), inert(), names=("oven", "cycler")))[1]


def test_a_bar_that_comes_after_the_submission_refuses_the_start() -> None:
    hands = Hands(purge(), inert())
    assert submit(hands)[1]
    hands.context = replace(hands.context, barred={"furnace": WHY})
    assert hands.ask("start") == (f"refused: {WHY}", False)
    assert hands.run.state == "IDLE"
    assert hands.commands == []
    hands.context = replace(hands.context, barred={})
    assert hands.ask("start")[1]


def test_a_held_run_does_not_heat_again_with_a_barred_instrument() -> None:
    hands = Hands(purge(timeout_s=1e5), inert())
    hands.start()
    hands.phase("purge", "wash")
    hands.ask("hold")
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    hands.context = replace(hands.context, barred={"furnace": WHY})
    assert hands.ask("restart") == (f"refused: {WHY}", False)
    assert hands.run.state == "HELD"
    assert hands.ask("stop")[1]


def test_what_is_barred_before_a_step_heats_keeps_it_from_heating() -> None:
    hands = Hands(purge(timeout_s=1e5), inert())
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "permissives", 3000.0)
    hands.context = replace(hands.context, barred={"furnace": "furnace: the audit failed"})
    hands.go(100.0)
    assert hands.sent("heat") == []
    assert hands.step("heat").data["waits_for"] == ["audit"]
