"""A trial of chaos end to end: real engine, drivers and bytes under faults, judged on what is really the case."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from labctl.chaos.setting import Setting
from labctl.chaos.trial import Outcome, faults_of, trial


@cache
def setting() -> Setting:
    """That of a campaign, for a single run of each plan in each trial."""
    return replace(Setting.of(), safety_s=(2900.0, 3000.0), last_run_s=0.0)


@cache
def outcome(seed: int) -> Outcome:
    return trial(setting(), seed)


def one(instrument: str, kind: str, above: float = 300.0, **more: Any) -> dict[str, Any]:
    """A fault that begins when the tube is that hot."""
    when = {"of": "furnace.tube_c", "above": above}
    return {"instrument": instrument, "kind": kind, "when": when, "at_s": 0.0, "for_s": 120.0, **more}


@cache
def calm() -> Outcome:
    return trial(setting(), 1, [])


def test_a_trial_without_faults_completes_and_violates_nothing() -> None:
    assert calm().violations == ()
    assert calm().ends == ("COMPLETE", "COMPLETE")
    assert not calm().hits
    assert calm().checks > 10_000


def test_the_same_seed_gives_the_same_journal_and_another_another() -> None:
    assert trial(setting(), 3).head == outcome(3).head
    assert outcome(3).head != calm().head
    assert faults_of(setting(), 3) == list(outcome(3).faults)


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        (one("nitrogen", "supply_lost", 200.0), "guard nitrogen_lost: hold (cool)"),
        (one("furnace", "refuse", 250.0), "guard silent: abort"),
        (one("furnace", "sensor_open", 350.0), "guard sensor: abort"),
    ],
)
def test_a_fault_while_hot_is_noticed_and_does_no_harm(fault: dict[str, Any], path: str) -> None:
    rough = trial(setting(), 2, [fault])
    assert rough.violations == ()
    assert rough.hits == {fault["kind"]: 1}
    assert rough.detections[path] >= 1
