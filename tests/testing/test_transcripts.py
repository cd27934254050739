"""Captured transcripts answer every bundled driver in tests, byte by byte, and say where one that changed differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.bench.api import GOOD, DriverEntry, Line, Quality
from labctl.bench.discovery import BUILT_IN, drivers
from labctl.errors import UsageError
from labctl.runtime.transcript import SENT, read_transcript
from labctl.testing import replay
from labctl.testing.transcripts import Replay, ReplayError
from tests.testing.children import pytest_on

HERE = Path(__file__).parent / "transcripts"
KEPT = sorted(path.stem for path in HERE.glob("*.transcript"))


def test_every_bundled_driver_has_a_transcript() -> None:
    assert sorted(BUILT_IN) == KEPT


@pytest.mark.parametrize("name", KEPT)
def test_a_driver_says_and_reads_what_it_did_when_it_was_captured(name: str) -> None:
    with replay(HERE / f"{name}.transcript") as instrument:
        assert instrument.captured.driver == name
        assert instrument.header.simulated
        instrument.check()


@pytest.mark.parametrize("name", KEPT)
def test_a_changed_byte_is_named_with_its_place(name: str) -> None:
    path = HERE / f"{name}.transcript"
    _, entries = read_transcript(path)
    third = [entry for entry in entries if entry.sign == SENT][2]
    with (
        pytest.raises(ReplayError) as caught,
        replay(path, entry=changed(name, 3)) as instrument,
    ):
        instrument.check()
    said = str(caught.value)
    total = sum(entry.sign == SENT for entry in entries)
    assert said.startswith(f"{path}:{third.row}: request 3 of {total} differs at byte {len(third.data)}\n")
    wanted = third.data[-8:]
    assert f"{wanted.hex(' ')}  |" in said.splitlines()[1]
    assert f"{(wanted[:-1] + bytes([wanted[-1] ^ 1])).hex(' ')}  |" in said.splitlines()[2]


def changed(name: str, request: int) -> DriverEntry:
    """The driver with the last bit of its n-th request flipped."""
    entry = drivers()[name]
    return replace(entry, factory=lambda line, options: entry.factory(Flipping(line, request), options))


class Flipping:
    """A line on which one request leaves with its last bit flipped."""

    def __init__(self, line: Line, request: int) -> None:
        self.address, self.clock = line.address, line.clock
        self._line = line
        self._left = request

    def open_stream(self, **settings: Any) -> Any:
        port = self._line.open_stream(**settings)
        return FlippingPort(port, self.flip)

    def open_visa(self, **settings: Any) -> Any:
        resource = self._line.open_visa(**settings)
        resource.visalib = FlippingLibrary(resource.visalib, self.flip)
        return resource

    def flip(self, data: bytes) -> bytes:
        self._left -= 1
        return data if self._left else data[:-1] + bytes([data[-1] ^ 1])


class FlippingPort:
    def __init__(self, port: Any, flip: Callable[[bytes], bytes]) -> None:
        self._port, self._flip = port, flip

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def write(self, data: bytes) -> None:
        self._port.write(self._flip(data))


class FlippingLibrary(FlippingPort):
    def write(self, session: Any, data: bytes) -> Any:  # type: ignore[override]
        return self._port.write(session, self._flip(data))


RAPIDOX = HERE / "rapidox.transcript"


def read(instrument: Replay, times: int) -> list[Quality]:
    """Open the driver as it was captured, read it so often, and finish."""
    with instrument:
        driver = instrument.driver()
        driver.open()
        driver.audit()
        return [reading.quality for _ in range(times) for reading in driver.read()]


def test_a_test_may_ask_by_itself_what_the_transcript_has() -> None:
    assert set(read(replay(RAPIDOX), 3)) == {GOOD}


def test_requests_that_were_not_sent_are_told_at_the_end() -> None:
    with pytest.raises(ReplayError, match=r":\d+: 2 of 5 requests were not sent; the next is\n  44  \|D\|"):
        read(replay(RAPIDOX), 1)


def test_a_request_beyond_the_end_is_told() -> None:
    with pytest.raises(ReplayError, match=r"ends after 5 requests, and one more was sent:\n  44  \|D\|"):
        read(replay(RAPIDOX), 4)


def test_an_answer_that_differs_is_told_with_both(tmp_path: Path) -> None:
    path = tmp_path / "edited.transcript"
    text = (HERE / "rapidox.transcript").read_text()
    path.write_text(text.replace('"ppm", "GOOD"', '"ppm", "BAD"', 1))
    with (
        pytest.raises(ReplayError, match=r"edited.transcript:\d+: read now gives\n") as caught,
        replay(path) as analyser,
    ):
        analyser.check()
    assert '"GOOD"' in str(caught.value).splitlines()[1]
    assert '"BAD"' in str(caught.value).splitlines()[3]


def test_an_exception_in_the_test_is_not_hidden_by_what_was_not_replayed() -> None:
    with pytest.raises(ZeroDivisionError), replay(HERE / "ika.transcript"):
        raise ZeroDivisionError


def test_one_of_several_instruments_is_named() -> None:
    with pytest.raises(UsageError, match="which instrument"):
        replay(HERE / "ika.transcript", "hotplat")


def test_the_fixture_finds_transcripts_beside_the_test_and_fails_what_was_left(tmp_path: Path) -> None:
    (tmp_path / "ika.transcript").write_bytes((HERE / "ika.transcript").read_bytes())
    (tmp_path / "test_it.py").write_text(
        "def test_whole(replay):\n    replay('ika.transcript').check()\n"
        "def test_half(replay):\n    replay('ika.transcript').driver().open()\n"
    )
    done = pytest_on(tmp_path, "-rA")
    assert "PASSED test_it.py::test_whole" in done.stdout
    assert "ERROR test_it.py::test_half" in done.stdout
    assert "requests were not sent" in done.stdout
