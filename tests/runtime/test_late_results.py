"""In real time the word that a command was done comes with what its instrument reads since then, never before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.model.commands import Command, Result
from labctl.runtime.assembly import bus_of, connections
from labctl.runtime.clock import RealClock, wall_s
from labctl.runtime.instruments import Threaded
from labctl_simulators.devices.api import Replies
from tests.runtime.live import LiveBench, Wire, live_bench

LATE_S, DONE_S = 0.03, 1.0
"""By how much each reply comes late; after so long every command is done."""


class Slow(Wire):
    """A session whose replies come late."""

    def feed(self, data: bytes, now_s: float) -> Replies:
        return [(delay_s + LATE_S, reply) for delay_s, reply in super().feed(data, now_s)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveBench]:
    monkeypatch.setattr("tests.runtime.live.Wire", Slow)
    with live_bench(tmp_path / "small") as found:
        yield found


@pytest.fixture
def instruments(bench: LiveBench) -> Iterator[Threaded]:
    loaded, clock = load_bench(bench.folder), RealClock()
    made = {
        name: connection
        for name, connection in connections(loaded, drivers(), lambda bus: clock).items()
        if name in ("nitrogen", "io")
    }
    found = Threaded(made, {bus_of(loaded, name): clock for name in made}, wait=False)
    found.connect_all()
    yield found
    found.close()


class Scans:
    """What a controller would see, scan by scan."""

    def __init__(self, instruments: Threaded, *names: str) -> None:
        self.instruments, self.names = instruments, names
        self.image: dict[str, float | None] = {}

    def scan(self, until_s: float) -> list[Result]:
        """Read, wait for as long as deciding the scan before may take, and ask what came of commands."""
        for sample in self.instruments.read(self.names, wall_s(), wall_s() + 1.5):
            keys = self.instruments.connections[sample.instrument].keys
            self.image |= dict(zip(keys, (r.value for r in sample.readings), strict=True))
        time.sleep(until_s)
        return self.instruments.results()


def lay_out(instruments: Threaded) -> None:
    for name, connection in instruments.connections.items():
        connection.keys = tuple(f"{name}.{signal.name}" for signal in connection.driver.signals)


def test_a_command_that_takes_longer_than_a_scan_is_told_with_a_reading_from_after_it(
    instruments: Threaded,
) -> None:
    lay_out(instruments)
    scans = Scans(instruments, "nitrogen")
    scans.scan(0.0)
    assert scans.image["nitrogen.flow_setpoint"] == 0.0
    instruments.execute([Command("c1", "nitrogen", "set_flow", {"flow_sccm": 120.0})])
    assert scans.scan(DONE_S) == [], "it is done, and what is known of the instrument is from before"
    assert scans.image["nitrogen.flow_setpoint"] == 0.0
    (result,) = scans.scan(0.0)
    assert (result.command_id, result.outcome) == ("c1", "ok")
    assert scans.image["nitrogen.flow_setpoint"] == pytest.approx(120.0)
    assert scans.scan(0.0) == []


def test_an_instrument_that_is_read_rarely_is_read_when_it_has_done_something(instruments: Threaded) -> None:
    lay_out(instruments)
    instruments.connections["io"].every_s = 3600.0
    scans = Scans(instruments, "io")
    scans.scan(0.0)
    assert scans.image["io.contactor"] == 0.0
    instruments.execute([Command("c1", "io", "set_output", {"name": "contactor", "on": True})])
    time.sleep(DONE_S)
    (result,) = scans.scan(0.0)
    assert result.outcome == "ok"
    assert scans.image["io.contactor"] == 1.0


def test_what_is_not_read_is_told_without_a_reading(instruments: Threaded) -> None:
    scans = Scans(instruments)
    instruments.execute([Command("c1", "nitrogen", "set_flow", {"flow_sccm": 120.0})])
    time.sleep(DONE_S)
    assert [result.outcome for result in scans.scan(0.0)] == ["ok"]
    assert scans.image == {}
