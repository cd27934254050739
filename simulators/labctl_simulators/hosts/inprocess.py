"""Sessions of this process by name, for the URL `labsim://PLANT/INSTRUMENT`.

The registry belongs to the process: mount under a plant name that no other run uses, and unmount at the end.
"""

from __future__ import annotations

from typing import Protocol

from labctl_simulators.devices.api import Session


class Clock(Protocol):
    """The clock of the bus that the instrument hangs on."""

    def now(self) -> float:
        """Seconds of the bench clock."""

    def sleep(self, seconds: float) -> None:
        """Wait; a virtual clock only moves the bus's own time on."""


class Port(Protocol):
    """An open port on a mount."""

    def hang_up(self) -> None:
        """The other end is gone: every call from now on raises."""


class Mount:
    """One mounted session.

    session, clock: what bytes are fed to, and when. paced: bytes take 10 bits / baud rate each, as on a
    serial line. plugged: False pulls the cable: open ports raise at their next call, and none opens. ports: those
    that are open now.
    """

    __slots__ = ("clock", "paced", "plugged", "ports", "session")

    def __init__(self, session: Session, clock: Clock, paced: bool) -> None:
        self.session = session
        self.clock = clock
        self.paced = paced
        self.plugged = True
        self.ports: set[Port] = set()

    def drop(self) -> None:
        """Cut whoever is connected; they may open it again."""
        for port in tuple(self.ports):
            port.hang_up()

    def refuse(self) -> None:
        """Pull the cable."""
        self.plugged = False
        self.drop()

    def accept(self) -> None:
        """Plug it in again."""
        self.plugged = True


_MOUNTS: dict[str, Mount] = {}


def mount(path: str, session: Session, clock: Clock, *, paced: bool = False) -> Mount:
    """Make `labsim://<path>` lead to this session. `paced` is for instruments whose real link is serial.

    Raises ValueError when the name is taken or holds `::`, which VISA reserves.
    """
    if path in _MOUNTS:
        raise ValueError(f"labsim://{path} is already mounted")
    if "::" in path:
        raise ValueError(f"a simulated instrument's name must not hold '::': {path}")
    _MOUNTS[path] = Mount(session, clock, paced)
    return _MOUNTS[path]


def unmount(path: str) -> None:
    """Take the session away; ports that are open on it raise from now on. Unmounting twice is fine."""
    entry = _MOUNTS.pop(path, None)
    if entry is not None:
        entry.refuse()


def mounted(path: str) -> Mount | None:
    """What is mounted under this name, or None."""
    return _MOUNTS.get(path)
