"""The only place that knows what time it is. Everything else is told."""

from __future__ import annotations

import time
from typing import Protocol

VIRTUAL_EPOCH_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: where every virtual run begins, so that its journal holds no wall time."""


class BenchClock(Protocol):
    """The clock that a controller scans by, in seconds of the bench."""

    virtual: bool
    speed: float | None

    def now(self) -> float:
        """Seconds of the bench clock; monotonic."""

    def wait_until(self, t_s: float) -> None:
        """Come back at `t_s` (at once when it has passed)."""

    def utc_ms(self, t_s: float) -> int:
        """The UTC that belongs to `t_s`, in milliseconds since 1970."""


class RealClock:
    """Real time from `start_s` on. Durations by the monotonic clock; UTC only for the record.

    On a bench whose simulator runs at another speed, bench time runs at that speed too.
    """

    virtual = False

    def __init__(self, start_s: float = 0.0, speed: float = 1.0) -> None:
        """`start_s`: where the bench's memory ends, so that its clock never goes back."""
        self.speed: float | None = speed
        self._pace = speed
        self._offset = start_s - time.monotonic() * speed

    def now(self) -> float:
        """Seconds of the bench clock."""
        return time.monotonic() * self._pace + self._offset

    def wait_until(self, t_s: float) -> None:
        """Sleep the rest of the way."""
        nap((t_s - self.now()) / self._pace)

    def sleep(self, seconds: float) -> None:
        """Sleep; nothing for zero and less."""
        nap(seconds / self._pace)

    def utc_ms(self, t_s: float) -> int:
        """Wall time now, minus how long ago `t_s` was."""
        return int(time.time() * 1000.0 - (self.now() - t_s) / self._pace * 1000.0)


class VirtualClock:
    """Time that passes only when somebody says so; with a speed, not faster than that many bench seconds a second."""

    virtual = True

    def __init__(self, speed: float | None = None) -> None:
        """Begin at 0. `speed` None: as fast as it goes; 20: bench time runs at 20 times the real clock."""
        self.speed = speed
        self._now = 0.0
        self._started = time.monotonic()

    def now(self) -> float:
        """Seconds of bench time."""
        return self._now

    def paced_now(self) -> float:
        """Where the bench clock would be by the pace: `now` when there is none."""
        if self.speed is None:
            return self._now
        return max(self._now, (time.monotonic() - self._started) * self.speed)

    def wall_until(self, t_s: float) -> float:
        """Real seconds until the pace reaches `t_s`."""
        return 0.0 if self.speed is None else self._started + t_s / self.speed - time.monotonic()

    def wait_until(self, t_s: float) -> None:
        """Move on to `t_s`, keeping to the pace."""
        rest = self.wall_until(t_s)
        if rest > 0.0:
            time.sleep(rest)
        self._now = max(self._now, t_s)

    def nap(self, seconds: float) -> None:
        """Really wait, without moving bench time on."""
        nap(seconds)

    def utc_ms(self, t_s: float) -> int:
        """The fixed epoch plus bench time."""
        return VIRTUAL_EPOCH_MS + round(t_s * 1000.0)


class BusClock:
    """The own time of one bus within a virtual scan: a slow instrument delays only its own bus."""

    __slots__ = ("t_s",)

    def __init__(self) -> None:
        """Begin at 0; the scan sets it."""
        self.t_s = 0.0

    def now(self) -> float:
        """Seconds of the bench clock, as far as this bus has come."""
        return self.t_s

    def sleep(self, seconds: float) -> None:
        """Move this bus on."""
        self.t_s += seconds


def wall_s() -> float:
    """Real monotonic seconds, for pacing, polling and time-outs of the faces; never for a decision."""
    return time.monotonic()


def cpu_s() -> float:
    """CPU seconds of this process."""
    return time.process_time()


def utc_now_ms() -> int:
    """Wall time in milliseconds since 1970, for stamps of requests by people."""
    return int(time.time() * 1000.0)


def nap(seconds: float) -> None:
    """Really wait."""
    if seconds > 0.0:
        time.sleep(seconds)
