"""The time of a plant that is served over real links: the real clock times a speed, or steps while it is paused."""

from __future__ import annotations

import threading
from collections.abc import Callable

FASTEST = 10_000.0
"""Speed that a plant can be served at: it lives a second in 0.02 ms (measured), and must answer too."""


class PlantClock:
    """Plant seconds. Threads may share it.

    Args:
        real: monotonic real seconds.
        speed: plant seconds a real second.
        paused: True lets time pass by `advance_to` only (lock-step).

    Raises ValueError for a speed that no plant can keep up with.
    """

    def __init__(self, real: Callable[[], float], speed: float = 1.0, *, paused: bool = False) -> None:
        _possible(speed)
        self._real = real
        self._lock = threading.Lock()
        self._speed = speed
        self._paused = paused
        self._at = self._wire_at = 0.0
        self._since = real()

    @property
    def speed(self) -> float:
        """Plant seconds a real second, while not paused."""
        return self._speed

    @property
    def paused(self) -> bool:
        """Whether time stands still."""
        return self._paused

    def now(self) -> float:
        """Plant time, s."""
        with self._lock:
            return self._at if self._paused else self._at + (self._real() - self._since) * self._speed

    def wire(self) -> float:
        """Seconds for delays on wires: they pass at `speed` even while the plant is paused."""
        with self._lock:
            return self._wire_at + (self._real() - self._since) * self._speed

    def run_at(self, speed: float) -> None:
        """Change the speed from now on. Raises ValueError unless it is above zero and the plant can keep up with it."""
        _possible(speed)
        with self._lock:
            self._settle()
            self._speed = speed

    def pause(self) -> None:
        """Let plant time stand still."""
        with self._lock:
            self._settle()
            self._paused = True

    def resume(self) -> None:
        """Let it run again."""
        with self._lock:
            self._settle()
            self._paused = False

    def advance_to(self, t_s: float) -> None:
        """Jump forward to `t_s`; a time already past does nothing."""
        with self._lock:
            self._settle()
            self._at = max(self._at, t_s)

    def _settle(self) -> None:
        real = self._real()
        passed = (real - self._since) * self._speed
        self._wire_at += passed
        if not self._paused:
            self._at += passed
        self._since = real


def _possible(speed: float) -> None:
    if not 0.0 < speed <= FASTEST:
        raise ValueError(f"a speed is above zero and at most {FASTEST:g} times real time, not {speed:g}")
