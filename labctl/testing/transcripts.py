"""Transcripts as fixtures: what `labctl capture` kept of an instrument answers a driver in a test.

    def test_our_furnace_still_reads_the_same():
        with replay("furnace.transcript") as furnace:
            furnace.check()

The driver must send the recorded bytes, in their order; the recorded replies come after their recorded delays, in
virtual time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labctl.bench.api import Driver, DriverEntry, InstrumentError
from labctl.bench.discovery import drivers
from labctl.errors import LabctlError, UsageError
from labctl.protocol.diagnosis import nearest
from labctl.runtime.capture import told
from labctl.runtime.clock import BusClock
from labctl.runtime.transcript import (
    ANSWERED,
    ASKED,
    DROPPED,
    FAILED,
    RECEIVED,
    SENT,
    Entry,
    read_transcript,
)
from labctl_drivers.ports import open_line
from labctl_simulators.devices.api import Replies
from labctl_simulators.hosts.inprocess import mount, unmount

SHOWN = 48
"""Bytes of a request that a message shows, from a little before the first that differs."""

_NUMBERS = count(1)


class ReplayError(LabctlError, AssertionError):
    """The driver did something else than it did when the transcript was captured."""


@dataclass(slots=True)
class Exchange:
    """One request and what came of it: replies with their delays in s, and whether the line failed then."""

    request: Entry
    replies: Replies = field(default_factory=list)
    failed: bool = False


class Replay:
    """One instrument of a transcript, in the place of the instrument.

    header, captured: what the transcript says of the bench, and of this instrument. clock: virtual, from 0 on.
    line: as a driver is given it, of a serial, TCP or VISA instrument alike.
    """

    def __init__(
        self, path: str | Path, instrument: str | None = None, *, entry: DriverEntry | None = None
    ) -> None:
        """See `labctl.testing.replay`."""
        self.path = Path(path)
        self.header, entries = read_transcript(self.path)
        known = self.header.instruments
        if instrument is None and len(known) == 1:
            instrument = next(iter(known))
        if instrument not in known:
            hint = nearest(instrument or "", known)
            raise UsageError(f"{path}: which instrument? There is no {instrument!r}; {hint}")
        if self.header.part != 1:
            raise UsageError(f"{path} begins in the middle (part {self.header.part}); replay part 1")
        self.captured = known[instrument]
        self._entry = entry
        self._entries = _answered([e for e in entries if e.instrument == instrument])
        self._exchanges = list(_exchanges(self._entries))
        self._done = 0
        self._sent = b""
        self._differs = False
        self.clock = BusClock()
        self._name = f"replay-{next(_NUMBERS)}/{instrument}".replace("::", "--")
        self._mount = mount(self._name, self, self.clock)
        self.line = open_line(f"labsim://{self._name}", self.clock)

    def driver(self) -> Driver:
        """The driver that was captured, with its options, on this line; not yet open."""
        entry = self._entry or drivers().get(self.captured.driver)
        if entry is None:
            hint = nearest(self.captured.driver, drivers())
            raise UsageError(f"{self.path}: there is no driver {self.captured.driver!r}; {hint}")
        return entry.factory(self.line, self.captured.options)

    def check(self) -> None:
        """Ask the driver all that labctl asked it, at the times at which it did, and compare what it makes of it.

        Raises ReplayError at the first request or answer that differs.
        """
        driver = self.driver()
        for at, asked in enumerate(self._entries):
            if asked.sign == ASKED:
                self.clock.sleep(max(0.0, asked.t_s - self.clock.now()))
                if _does_not_open(self._entries[at + 1 :]):
                    self._mount.refuse()
                else:
                    self._mount.accept()
                got = json.loads(told(_ask(driver, asked.text)))
                answer = next(e for e in self._entries[at:] if e.sign == ANSWERED)
                if (wanted := json.loads(answer.text)) != got:
                    raise self._error(
                        f"{self.path}:{answer.row}: {asked.text} now gives\n"
                        f"  {json.dumps(got)}\nand gave, when it was captured,\n  {json.dumps(wanted)}"
                    )
        self.finish()

    def finish(self) -> None:
        """Raise ReplayError when requests of the transcript were not sent."""
        rest = self._exchanges[self._done :]
        if rest and not self._differs:
            raise self._error(
                f"{self.path}:{rest[0].request.row}: {len(rest)} of {len(self._exchanges)} requests were not sent; the"
                f" next is\n  {_shown(rest[0].request.data)}"
            )

    def feed(self, data: bytes, now_s: float) -> Replies:
        """The instrument's side of the line (`labctl_simulators.devices.api.Session`). Raises ReplayError."""
        self._sent += data
        replies: Replies = []
        while self._sent:
            if self._done == len(self._exchanges):
                raise self._error(
                    f"{self.path}: the transcript ends after {self._done} requests, and one more was sent:\n"
                    f"  {_shown(self._sent)}"
                )
            exchange = self._exchanges[self._done]
            wanted = exchange.request.data
            if not self._sent.startswith(wanted):
                if wanted.startswith(self._sent):
                    break
                raise self._error(self._difference(exchange.request, self._sent))
            self._sent = self._sent[len(wanted) :]
            self._done += 1
            replies += exchange.replies
            if exchange.failed:
                self._mount.drop()
        return replies

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the instrument away. Raises ReplayError when requests were not sent, unless something else is raised."""
        unmount(self._name)
        if error is None:
            self.finish()

    def _difference(self, request: Entry, sent: bytes) -> str:
        wanted = request.data
        at = next((n for n, (a, b) in enumerate(zip(wanted, sent, strict=False)) if a != b), len(wanted))
        start = max(0, at - SHOWN // 2)
        return (
            f"{self.path}:{request.row}: request {self._done + 1} of {len(self._exchanges)} differs at byte {at + 1}\n"
            f"  expected {_shown(wanted, start)}\n  sent     {_shown(sent, start)}"
        )

    def _error(self, text: str) -> ReplayError:
        self._differs = True
        return ReplayError(text)


def _ask(driver: Driver, call: str) -> Any:
    verb, _, text = call.partition(" ")
    try:
        if verb == "execute":
            return driver.execute(**json.loads(text))
        return getattr(driver, verb)()
    except InstrumentError as error:
        return error


def _answered(entries: list[Entry]) -> list[Entry]:
    """Without calls that have no answer: the capture was cut off while one was under way."""
    asked = [n for n, e in enumerate(entries) if e.sign == ASKED]
    kept = entries[: asked[0]] if asked else entries
    for start, end in zip(asked, [*asked[1:], len(entries)], strict=True):
        call = entries[start:end]
        kept = kept + call if any(e.sign == ANSWERED for e in call) else kept
    return kept


def _does_not_open(rest: list[Entry]) -> bool:
    return bool(rest) and rest[0].sign == FAILED and rest[0].text.startswith("does not open")


def _exchanges(entries: list[Entry]) -> Iterator[Exchange]:
    """Requests with their replies.

    When bytes arrived that were thrown away, or that were all there was when a read timed out, was not seen; they come
    as soon as what was seen before allows.
    """
    exchange: Exchange | None = None
    for n, entry in enumerate(entries):
        if entry.sign == SENT:
            if exchange is not None:
                yield exchange
            exchange = Exchange(entry)
        elif exchange is not None and entry.sign == FAILED:
            exchange.failed = True
        elif exchange is not None and entry.data:
            cut = entries[n + 1 : n + 2]
            early = entry.sign == DROPPED or (cut and cut[0].sign == RECEIVED and not cut[0].data)
            at_s = entries[n - 1].t_s if early else entry.t_s
            exchange.replies.append((max(0.0, at_s - exchange.request.t_s), entry.data))
    if exchange is not None:
        yield exchange


def _shown(data: bytes, start: int = 0) -> str:
    piece = data[start : start + SHOWN]
    plain = "".join(chr(b) if 32 <= b < 127 else "." for b in piece)
    left, right = "... " if start else "", " ..." if len(data) > start + SHOWN else ""
    return f"{left}{piece.hex(' ')}{right}  |{plain}|"
