"""Two runs share one bench, and no chamber but an oven at one setpoint; nobody waits for ever."""

from __future__ import annotations

import random

import pytest

from tests.acceptance.schedules import scheduled, stage, two_runs


@pytest.mark.parametrize("seed", range(8))
def test_two_runs_in_any_order_both_come_to_their_end(seed: int) -> None:
    outcome = scheduled(seed)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.shared == ()


def test_the_oven_of_one_run_works_while_the_other_is_in_the_furnace() -> None:
    furnace = stage("tube", 0, random.Random(1))
    oven = stage("drying-oven", 0, random.Random(2))
    outcome = two_runs([*furnace], [*oven], later_s=900.0)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.waited == ()
    worked = {step: (began, ended) for run, step, began, ended in outcome.worked}
    assert worked["put-in-0"][0] >= 0.0
    in_furnace = next(began for _, step, began, _ in outcome.worked if step == "purge-0"), worked["cool-0"][1]
    assert in_furnace[0] < worked["dry-0"][0] < in_furnace[1]


def test_two_runs_that_go_through_the_same_chambers_in_opposite_order_do_not_wait_for_each_other_for_ever() -> (
    None
):
    draw = random.Random(3)
    tube, oven = stage("tube", 0, draw), stage("drying-oven", 1, draw)
    oven_first, tube_last = stage("drying-oven", 0, draw), stage("tube", 1, draw)
    outcome = two_runs([*tube, *oven], [*oven_first, *tube_last], later_s=0.0)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.waited, "both want the oven or the tube while the other is in it"
    assert outcome.shared == ()


def test_two_runs_dry_in_a_shared_oven_at_the_same_time_over_its_own_bytes() -> None:
    first = stage("drying-oven", 0, random.Random(4), oven_c=40.0)
    second = stage("drying-oven", 0, random.Random(5), oven_c=40.0)
    outcome = two_runs(first, second, later_s=600.0, shared=True)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.waited == ()
    assert outcome.joined == 1
    dried = {run: (began, ended) for run, step, began, ended in outcome.worked if step == "dry-0"}
    assert dried["first"][0] < dried["second"][0] < dried["first"][1]
