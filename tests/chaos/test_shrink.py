"""Schedules are made smaller without losing what they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labctl.chaos.shrink import minimised

SCHEDULE: list[dict[str, Any]] = [{"kind": letter} for letter in "abcdefghi"]


def kinds(faults: Sequence[Any]) -> str:
    return "".join(fault["kind"] for fault in faults)


def test_only_the_faults_that_matter_together_are_left() -> None:
    tried: list[str] = []

    def violates(faults: Sequence[Any]) -> bool:
        tried.append(kinds(faults))
        return {"c", "h"} <= set(kinds(faults))

    assert kinds(minimised(SCHEDULE, violates)) == "ch"
    assert len(tried) < 25


def test_a_violation_that_needs_no_fault_is_left_with_none() -> None:
    assert minimised(SCHEDULE, lambda faults: True) == []


def test_it_stops_when_its_trials_are_used_up_with_something_that_still_fails() -> None:
    smaller = minimised(SCHEDULE, lambda faults: "e" in kinds(faults), tries=2)
    assert "e" in kinds(smaller)
    assert 1 < len(smaller) < 9
