"""Schedules: from a seed alone, always the same, and every kind about equally often."""

from __future__ import annotations

from collections import Counter

from labctl.chaos.schedule import EXCLUSIVE, KINDS, PER_SEED, dealt, schedule
from labctl.chaos.trial import Setting

SETTING = Setting.of()


def test_a_seed_always_gives_the_same_faults_and_another_seed_others() -> None:
    assert schedule(17, SETTING.kinds, SETTING.roles) == schedule(17, SETTING.kinds, SETTING.roles)
    assert schedule(17, SETTING.kinds, SETTING.roles) != schedule(18, SETTING.kinds, SETTING.roles)


def test_three_hundred_seeds_in_a_row_deal_every_kind_equally_often() -> None:
    counted = Counter(name for seed in range(1, 301) for name in dealt(seed, SETTING.kinds))
    assert set(counted) == set(SETTING.kinds)
    assert max(counted.values()) - min(counted.values()) <= 2
    assert min(counted.values()) >= 300 * PER_SEED // len(SETTING.kinds) - 1


def test_the_bench_of_chaos_can_have_every_kind_and_the_simulators_know_each_schedule() -> None:
    assert {name: kind.roles for name, kind in KINDS.items()} == SETTING.kinds
    assert len(KINDS) >= 25
    for seed in range(20):
        SETTING.check(schedule(seed, SETTING.kinds, SETTING.roles))


def test_two_thermometers_never_lie_in_one_seed() -> None:
    for seed in range(100):
        faults = schedule(seed, SETTING.kinds, SETTING.roles)
        assert sum(fault["kind"] in EXCLUSIVE for fault in faults) <= 1
