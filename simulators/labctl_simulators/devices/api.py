"""Contracts inside the simulators: devices live on plant ticks, sessions turn bytes into timed bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Replies = list[tuple[float, bytes]]
"""(delay in seconds after the request's last byte, bytes) in the order in which they leave the instrument."""

Sense = Callable[[], float | None]
"""What a sensor shows now, in the instrument's unit: offset and noise included; None is an open sensor."""


class Device(Protocol):
    """Registers or commands over a physical model. Knows no bytes."""

    def tick(self, now_s: float) -> None:
        """Live one second of plant time (control loop, watchdogs, ramps). Called once per 1 s tick, in bench order."""


class Session(Protocol):
    """One wire to one device (or one bus to several): bytes in, timed bytes out. No sockets, no clock of its own."""

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes as they arrive, in any split, and return what the instrument answers."""
