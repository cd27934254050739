"""Wires for tests of drivers: one that can be spoilt, one that remembers, and the line that leads there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random  # noqa: TID251  # seeded: the same noise in every test
from typing import Any

from labctl.bench.api import Clock
from labctl.runtime.clock import BusClock
from labctl_drivers.ports.line import PortLine, open_line
from labctl_simulators.devices.api import Replies, Session
from labctl_simulators.hosts.inprocess import mount, unmount


class Wire:
    """A session whose replies a test may spoil.

    carried: every request. answered: every reply of the instrument, before it was spoilt.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.spoil: Callable[[Replies], Replies] = lambda replies: replies
        self.carried: list[bytes] = []
        self.answered: list[bytes] = []

    def feed(self, data: bytes, now_s: float) -> Replies:
        """As `Session.feed`, spoilt."""
        self.carried.append(data)
        replies = self.session.feed(data, now_s)
        self.answered += [reply for _, reply in replies]
        return self.spoil(replies)


class Recorder:
    """A session that keeps every byte, both ways, as streams: hosts may split bytes, never reorder them.

    byte_by_byte: hand on every request one byte at a time.
    """

    def __init__(self, session: Session, *, byte_by_byte: bool = False) -> None:
        self.session = session
        self.asked = b""
        self.answered = b""
        self._size = 1 if byte_by_byte else None

    def feed(self, data: bytes, now_s: float) -> Replies:
        """As `Session.feed`."""
        self.asked += data
        step = self._size or len(data) or 1
        pieces = [data[i : i + step] for i in range(0, len(data), step)]
        replies = [reply for piece in pieces for reply in self.session.feed(piece, now_s)]
        self.answered += b"".join(reply for _, reply in replies)
        return replies


class ForbiddenLine:
    """A line that fails the test when it is opened."""

    address = "labsim://nowhere/nothing"
    clock: Clock = BusClock()

    def open_stream(self, **_: Any) -> Any:
        """Fail."""
        raise AssertionError("opened before open()")

    def open_visa(self, **_: Any) -> Any:
        """Fail."""
        raise AssertionError("opened before open()")


@contextmanager
def mounted(name: str, wire: Session, clock: Clock) -> Iterator[PortLine]:
    """A line to the session, for as long as the block lasts."""
    mount(name, wire, clock)
    try:
        yield open_line(f"labsim://{name}", clock)
    finally:
        unmount(name)


def halves(at: int, gap_s: float) -> Callable[[Replies], Replies]:
    """A wire that delivers every reply in two pieces: split before byte `at` (round its length), `gap_s` apart."""

    def split(replies: Replies) -> Replies:
        pieces: Replies = []
        for delay, reply in replies:
            cut = at % len(reply) if reply else 0
            pieces += [(delay, reply[:cut]), (delay + gap_s, reply[cut:])] if cut else [(delay, reply)]
        return pieces

    return split


def late_by(seconds: float) -> Callable[[Replies], Replies]:
    """A wire on which every reply comes so much later."""
    return lambda replies: [(delay + seconds, reply) for delay, reply in replies]


def noise(replies: Replies) -> Replies:
    """As many bytes as every reply has, at its time, none of them meant."""
    chance = Random(1)
    return [(delay, chance.randbytes(len(reply))) for delay, reply in replies]


SPOILT: dict[str, Callable[[Replies], Replies]] = {
    "silence": lambda replies: [],
    "half a reply": lambda replies: [(delay, reply[: len(reply) // 2]) for delay, reply in replies],
    "noise before": lambda replies: [(delay, b"\x00\xff" + reply) for delay, reply in replies],
    "noise instead": noise,
    "late by two seconds": late_by(2.0),
    "a flipped bit": lambda replies: [(d, bytes((r[0] ^ 0x10,)) + r[1:]) for d, r in replies],
}
"""Ways in which a wire fails so that nothing on it is the reply to what was asked."""
