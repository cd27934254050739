"""The cool-down of a run, measured on its record: what gas must outlast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.analysis.cooling import cooling
from labctl.errors import UsageError
from labctl.model.events import Event
from labctl.store import Reader, Row, Store

AMBIENT_C, TAU_S = 22.0, 600.0


def furnace_c(t_s: float, hottest_c: float) -> float:
    """Half an hour at `hottest_c`, then an exponential cool-down."""
    return AMBIENT_C + (hottest_c - AMBIENT_C) * math.exp(-max(0.0, t_s - 1800.0) / TAU_S)


def recorded(path: Path, hottest_c: float, until_s: float) -> Reader:
    with Store.create(path, bench="small", bench_yaml="", simulated=False) as store:
        layout = store.layout([("furnace", "temperature", "degC")])
        rows = [
            Row(layout, t, (furnace_c(t, hottest_c),), b"\0", (0,))
            for t in (10.0 * i for i in range(int(until_s / 10.0) + 1))
        ]
        begun = Event("run-1", "run_created", {"run": "run-1", "plan": "p"}, 0.0)
        ended = Event("run-1", "run_ended", {"end_state": "COMPLETE"}, until_s)
        store.commit([begun, ended], 0, rows)
    return Reader.open(path)


@pytest.fixture
def hot(tmp_path: Path) -> Iterator[Reader]:
    with recorded(tmp_path / "labctl.db", 800.0, 6000.0) as reader:
        yield reader


def test_time_constant_and_cool_down_are_those_of_the_plant(hot: Reader) -> None:
    found = cooling(hot, "run-1", "furnace", 800.0, AMBIENT_C)
    assert found.from_c == pytest.approx(800.0)
    assert found.tau_s == pytest.approx(TAU_S, rel=0.02)
    assert found.fell_s == pytest.approx(TAU_S * math.log(778.0 / 78.0), abs=20.0)
    assert found.cooldown_s == pytest.approx(found.fell_s, abs=1.0)


def test_from_hotter_than_the_run_it_is_extended_and_from_colder_it_is_a_part(hot: Reader) -> None:
    hotter = cooling(hot, "run-1", "furnace", 1000.0, AMBIENT_C)
    assert hotter.cooldown_s == pytest.approx(TAU_S * math.log(978.0 / 78.0), rel=0.02)
    assert hotter.cooldown_s > hotter.fell_s
    colder = cooling(hot, "run-1", "furnace", 400.0, AMBIENT_C)
    assert colder.from_c == 400.0
    assert colder.cooldown_s == pytest.approx(TAU_S * math.log(378.0 / 78.0), rel=0.02)


@pytest.mark.parametrize(
    ("hottest_c", "until_s", "said"),
    [
        (150.0, 6000.0, "reached 150 degC only"),
        (800.0, 2500.0, "was not watched until it was below 100 degC"),
    ],
)
def test_a_run_that_says_too_little_is_refused(
    tmp_path: Path, hottest_c: float, until_s: float, said: str
) -> None:
    with (
        recorded(tmp_path / "labctl.db", hottest_c, until_s) as reader,
        pytest.raises(UsageError, match=said),
    ):
        cooling(reader, "run-1", "furnace", 900.0, AMBIENT_C)


def test_an_instrument_that_was_not_read_says_nothing(hot: Reader) -> None:
    with pytest.raises(UsageError, match="reached 0 degC only"):
        cooling(hot, "run-1", "oven", 300.0, AMBIENT_C)
