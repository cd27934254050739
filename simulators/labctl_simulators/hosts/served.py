"""A whole bench over real links: every instrument behind a TCP port or a pseudo terminal, one coupled plant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from labctl_simulators.hosts.backdoor import Backdoor
from labctl_simulators.hosts.clock import PlantClock
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.hosts.tcp import LOOPBACK, TcpHost
from labctl_simulators.twin import Twin

HEARTBEAT_S = 0.05
"""How often the plant is brought to the present while nobody asks it anything, real s: faults are punctual."""


class Place(NamedTuple):
    """Where an instrument is to be served.

    by: "pty" for a serial line, "tcp" for a raw socket, "visa" for one that VISA names. baudrate: bytes take that
    long; None: no pacing. port: of TCP, 0 for a free one.
    """

    by: Literal["pty", "tcp", "visa"]
    baudrate: int | None = None
    port: int = 0


class ServedBench:
    """A twin served while this is open as a context manager; `addresses` by instrument, as a bench file names them.

    Args:
        twin, clock: the plant and its time.
        places: where each instrument goes; those without one are not served.
        terminals: folder for the names of pseudo terminals, which stay when a terminal is closed and comes back.
        host: other than loopback only with `exposed`.
        backdoor_port: 0 takes a free one.
    """

    def __init__(
        self,
        twin: Twin,
        clock: PlantClock,
        places: Mapping[str, Place],
        terminals: Path,
        *,
        host: str = LOOPBACK,
        exposed: bool = False,
        backdoor_port: int = 0,
    ) -> None:
        self.twin = twin
        self.clock = clock
        self.addresses: dict[str, str] = {}
        self._open = ExitStack()
        self._over = threading.Event()
        with ExitStack() as undo:
            hosts: list[TcpHost | PtyHost] = []
            for name, place in places.items():
                made: TcpHost | PtyHost
                session = twin.sessions[name]
                if place.by == "pty":
                    terminals.mkdir(parents=True, exist_ok=True)
                    made = PtyHost(
                        session,
                        clock.now,
                        name=terminals / name,
                        wire=clock.wire,
                        baudrate=place.baudrate,
                    )
                    self.addresses[name] = made.address
                else:
                    made = TcpHost(
                        session,
                        clock.now,
                        port=place.port,
                        host=host,
                        exposed=exposed,
                        wire=clock.wire,
                        baudrate=place.baudrate,
                    )
                    self.addresses[name] = f"visa://{made.resource}" if place.by == "visa" else made.address
                undo.callback(made.close)
                hosts.append(made)
                twin.links[name] = made
            self.backdoor = Backdoor(
                twin,
                clock.now,
                clock=clock,
                addresses=self.addresses.values(),
                port=backdoor_port,
                verbs={"lockstep": self.lockstep, "carry": self.carry},
            )
            self._hosts = dict(zip(places, hosts, strict=True))
            undo.pop_all()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for host in self._hosts.values():
                opened.enter_context(host)
            opened.enter_context(self.backdoor)
            beat = threading.Thread(target=self._beat, daemon=True)
            beat.start()
            opened.callback(beat.join)
            opened.callback(self._over.set)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def lockstep(self, on: bool) -> dict[str, Any]:
        """Leave time to the one who asks: it stands still, and no instrument answers but to `carry`.

        Returns the plant's time, its seed, and the address of each instrument by name.
        """
        self.clock.pause()
        for host in self._hosts.values():
            host.lockstep(on)
        return {"t": self.clock.now(), "seed": self.twin.plant.seed, "lines": self.addresses}

    def carry(self, line: str, size: int, now_s: float) -> list[tuple[float, int]]:
        """See `Pump.carry`, for the line of an instrument."""
        return self._hosts[line].carry(size, now_s)

    def _beat(self) -> None:
        now: Callable[[], float] = self.clock.now
        while not self._over.wait(HEARTBEAT_S):
            self.twin.advance_to(now())
