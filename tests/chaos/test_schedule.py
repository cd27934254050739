"""Schedules: from a seed alone, always the same, and every kind about equally often."""

from __future__ import annotations

from collections import Counter

from labctl.chaos.schedule import CARDS, HANDS, KINDS, SOMETIMES, TURNS, dealt, places, schedule
from labctl.chaos.setting import Setting

SETTING = Setting.of()


def test_a_seed_always_gives_the_same_faults_and_another_seed_others() -> None:
    assert schedule(17, SETTING.kinds, SETTING.roles) == schedule(17, SETTING.kinds, SETTING.roles)
    assert schedule(17, SETTING.kinds, SETTING.roles) != schedule(18, SETTING.kinds, SETTING.roles)


def test_three_hundred_seeds_in_a_row_deal_every_kind_of_a_pack_equally_often() -> None:
    for work in HANDS:
        counted = Counter(name for seed in range(1, 301) for _, name in dealt(seed, SETTING.kinds, work))
        assert set(counted) == {
            name
            for name, able in SETTING.kinds.items()
            if name not in SOMETIMES and places(KINDS[name], able, work)
        }
        for gravity in ("passes", "holds", "ends", "lies"):
            pack = [
                many / CARDS.get(name, 1) for name, many in counted.items() if KINDS[name].gravity == gravity
            ]
            assert min(pack) > 0.75 * max(pack), gravity


def test_every_kind_is_dealt_somewhere_and_each_to_a_run_in_which_its_stage_comes() -> None:
    faults = [f for seed in range(300) for f in schedule(seed, SETTING.kinds, SETTING.roles)]
    assert {fault["name"] for fault in faults} == set(KINDS)
    runs = {f"{work}-{turn + 1}" for work in HANDS for turn in range(TURNS)}
    assert {fault["run"] for fault in faults if "run" in fault} == runs
    for fault in faults:
        beside = fault.get("when", {}).get("of", "").startswith(("oven", "hotplate", "cell"))
        assert "run" not in fault or beside is fault["run"].startswith("tabletop")


def test_the_bench_of_chaos_can_have_every_kind_and_the_simulators_know_each_schedule() -> None:
    assert {name: kind.roles for name, kind in KINDS.items()} == SETTING.kinds
    assert len(KINDS) >= 25
    for seed in range(20):
        SETTING.check(schedule(seed, SETTING.kinds, SETTING.roles))


def test_no_two_sensors_lie_in_one_run_and_in_one_run_of_a_work_none_does() -> None:
    for seed in range(100):
        for work in HANDS:
            lies = [turn for turn, name in dealt(seed, SETTING.kinds, work) if KINDS[name].gravity == "lies"]
            assert len(set(lies)) == len(lies) == TURNS - 1
