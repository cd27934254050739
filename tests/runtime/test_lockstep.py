"""Lock-step: virtual time over real wires. A run is, event for event, the one in process; silence costs bench time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.bench.api import GOOD, SILENT
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.errors import UsageError
from labctl.runtime.assembly import bus_of, connections
from labctl.runtime.backdoor import Backdoor
from labctl.runtime.clock import BusClock
from labctl.runtime.instruments import Connection
from labctl.runtime.lockstep import Lockstep
from tests.hil.bench import served

TRIES = 3
"""The quickest of so many is judged: one alone may be kept waiting by a busy machine."""
ANEW_S = 20.0
"""Real seconds in which a simulator that hung up is there again, on a busy machine."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Backdoor]]:
    folder = tmp_path_factory.mktemp("lockstep") / "small"
    with served("small", folder, "--paused") as door:
        yield folder, door


class Instruments:
    """Every instrument of the bench, open, each on the time of its own bus."""

    def __init__(self, lockstep: Lockstep) -> None:
        bench = lockstep.bench
        self.clocks = {bus_of(bench, name): BusClock() for name in bench.instruments}
        self.made = connections(bench, drivers(), self.clocks.__getitem__, wrap=lockstep.line)
        for connection in self.made.values():
            connection.driver.open()

    def __getitem__(self, name: str) -> Connection:
        return self.made[name]

    def took_s(self, name: str) -> float:
        """Bench time that a reading takes."""
        clock = self.clocks[self.made[name].bus]
        before = clock.now()
        self.made[name].driver.read()
        return clock.now() - before

    def close(self) -> None:
        for connection in self.made.values():
            connection.driver.close()


@pytest.fixture
def held(bench: tuple[Path, Backdoor]) -> Iterator[tuple[Lockstep, Instruments]]:
    with Lockstep(load_bench(bench[0])) as lockstep:
        instruments = Instruments(lockstep)
        yield lockstep, instruments
        instruments.close()


def test_bytes_of_a_terminal_take_their_time_and_those_of_a_network_only_the_instruments(
    held: tuple[Lockstep, Instruments],
) -> None:
    _, instruments = held
    assert 0.02 < instruments.took_s("furnace") < 0.3, "9600 baud over a pseudo terminal"
    assert 0.02 < instruments.took_s("hotplate") < 0.6, "9600 baud 7E1 over a pseudo terminal"
    assert instruments.took_s("cycler") == pytest.approx(0.05), "a socket behind VISA"
    assert instruments["hotplate"].driver.read()[0].quality is GOOD


def test_silence_costs_the_time_out_of_the_driver_on_the_bench_and_not_at_the_desk(
    bench: tuple[Path, Backdoor], held: tuple[Lockstep, Instruments]
) -> None:
    _, instruments = held
    for name, timeout_s in {"furnace": 0.3, "hotplate": 0.6, "oven": 0.3, "cycler": 1.0}.items():
        bench[1].ask("fault", instrument=name, kind="drop")
        waited_s = []
        for _ in range(TRIES):
            began = time.monotonic()
            assert instruments.took_s(name) >= timeout_s
            waited_s.append(time.monotonic() - began)
            assert {reading.quality for reading in instruments[name].driver.read()} == {SILENT}
        assert min(waited_s) < timeout_s
        bench[1].ask("clear", instrument=name)


def test_plant_time_moves_with_the_clock_and_with_nothing_else(
    bench: tuple[Path, Backdoor], held: tuple[Lockstep, Instruments]
) -> None:
    lockstep, instruments = held
    for t_s in (60.0, 61.0, 3600.0):
        lockstep.clock.wait_until(t_s)
        assert bench[1].ask("truth")["t"] == t_s
        instruments["furnace"].driver.read()
        assert bench[1].ask("truth")["t"] == t_s
    assert lockstep.clock.now() == 3600.0


def test_a_line_that_is_cut_is_opened_again(
    bench: tuple[Path, Backdoor], held: tuple[Lockstep, Instruments]
) -> None:
    _, instruments = held
    for name in ("furnace", "oven", "cycler"):
        driver = instruments[name].driver
        bench[1].ask("fault", instrument=name, kind="disconnect")
        given_up = time.monotonic() + ANEW_S
        while driver.read()[0].quality is not GOOD:
            assert time.monotonic() < given_up, name


def test_afterwards_the_lines_answer_by_themselves_again(bench: tuple[Path, Backdoor]) -> None:
    with Lockstep(load_bench(bench[0])) as lockstep:
        Instruments(lockstep).close()
        assert lockstep.requests > 0 or lockstep.seed is None
    clock = BusClock()
    found = connections(load_bench(bench[0]), drivers(), lambda bus: clock)
    for name in ("furnace", "oven", "cycler"):
        found[name].driver.open()
        assert found[name].driver.read()[0].quality is GOOD
        found[name].driver.close()


def test_only_a_bench_that_is_served_can_be_taken_along() -> None:
    with pytest.raises(UsageError, match="labctl sim up"):
        Lockstep(load_bench("small"))
