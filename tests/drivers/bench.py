"""Instruments in process for tests of drivers: a clock, a wire that can fail, a mounted session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labctl_drivers.ports.line import PortLine, open_line
from labctl_simulators.devices.api import Replies, Session
from labctl_simulators.hosts.inprocess import mount, unmount


class VirtualClock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.t_s = 0.0

    def now(self) -> float:
        return self.t_s

    def sleep(self, seconds: float) -> None:
        self.t_s += seconds


class Wire:
    """A session whose replies a test may spoil, and which keeps every request it carried."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.spoil: Callable[[Replies], Replies] = lambda replies: replies
        self.carried: list[bytes] = []

    def feed(self, data: bytes, now_s: float) -> Replies:
        self.carried.append(data)
        return self.spoil(self.session.feed(data, now_s))


@contextmanager
def mounted(name: str, wire: Session, clock: VirtualClock) -> Iterator[PortLine]:
    """A line to the session, for as long as the block lasts."""
    mount(name, wire, clock)
    try:
        yield open_line(f"labsim://{name}", clock)
    finally:
        unmount(name)


SPOILT: dict[str, Callable[[Replies], Replies]] = {
    "silence": lambda replies: [],
    "half a reply": lambda replies: [(delay, reply[: len(reply) // 2]) for delay, reply in replies],
    "noise before": lambda replies: [(delay, b"\x00\xff" + reply) for delay, reply in replies],
    "late by two seconds": lambda replies: [(delay + 2.0, reply) for delay, reply in replies],
    "a flipped bit": lambda replies: [(d, bytes((r[0] ^ 0x10,)) + r[1:]) for d, r in replies],
}
"""Ways in which a wire fails so that nothing on it is the reply to what was asked."""
