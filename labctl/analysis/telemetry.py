"""What the instruments showed during a run, thinned out for the eye or in full for the sums."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import numpy as np

from labctl.analysis.capacity import Floats
from labctl.analysis.model import Profile, Series
from labctl.analysis.record import Record
from labctl.protocol.plan import Cool, Cycle, Heat
from labctl.store.reader import Bucket, Reader

BUCKETS = 900
"""Stretches of time in a thinned-out series: at most two points each."""

JOINED_S = 60.0
"""Readings no further apart are drawn as one line (assumed: the slowest scan of a heated chamber, six times over)."""

UNREAD_S = 180.0
"""A flow that was not read for longer is not taken to have gone on (assumed: many scans, few litres)."""

SHOWN = {"temperature", "working_setpoint", "flow", "oxygen"}
"""Signals worth a line in a chart."""


def channels(reader: Reader) -> dict[tuple[str, str], str]:
    """The unit of every (instrument, signal) that was ever recorded."""
    return {(c[0], c[1]): c[2] for layout in reader.layouts() for c in reader.channels(layout)}


def charted(reader: Reader, record: Record) -> tuple[Series, ...]:
    """The temperature, flow and oxygen of every instrument that the plan's heated chambers have."""
    heated = [s for s in record.plan.steps if isinstance(s, Heat | Cool)]
    chambers = {s.chamber for s in heated}
    steps = [s for s in record.plan.steps if s.chamber in chambers or s in heated]
    known = channels(reader)
    members = dict.fromkeys(n for s in steps for n in (*s.instruments, getattr(s, "heater", None)) if n)
    return tuple(
        thinned(reader, record, name, signal, unit)
        for name in members
        for (instrument, signal), unit in known.items()
        if instrument == name and signal in SHOWN
    )


def thinned(reader: Reader, record: Record, instrument: str, signal: str, unit: str) -> Series:
    """One signal with the least and greatest good value of each of `BUCKETS` stretches."""
    buckets = reader.series(instrument, signal, interval=(record.start_s, record.watched_s), buckets=BUCKETS)
    width_s = (record.watched_s - record.start_s) / BUCKETS
    t_s: list[float] = []
    value: list[float] = []
    before: Bucket | None = None
    for bucket in buckets:
        if before is not None and bucket.t_s - before.t_s > max(4 * width_s, JOINED_S):
            t_s.append((bucket.t_s + before.t_s) / 2 - record.start_s)
            value.append(np.nan)
        at = bucket.t_s - record.start_s
        if bucket.low == bucket.high:
            t_s.append(at)
            value.append(bucket.mean)
        else:
            falling = before is not None and bucket.mean < before.mean
            t_s += (at - width_s / 4, at + width_s / 4)
            value += (bucket.high, bucket.low) if falling else (bucket.low, bucket.high)
        before = bucket
    return Series(instrument, signal, unit, np.array(t_s), np.array(value))


def over(reader: Reader, instrument: str, signal: str, interval: tuple[float, float]) -> Bucket | None:
    """All good readings of an interval (bench clock) in one: mean and extremes; None without any."""
    return next(iter(reader.series(instrument, signal, interval=interval, buckets=1)), None)


def gas_litres(reader: Reader, instrument: str, interval: tuple[float, float]) -> float | None:
    """Measured flow integrated over an interval, in normal litres; None when flow was never read."""
    minutes = max(1, ceil((interval[1] - interval[0]) / 60))
    buckets = reader.series(instrument, "flow", interval=interval, buckets=minutes)
    if not buckets:
        return None
    cm3 = 0.0
    for a, b in pairwise(buckets):
        if b.t_s - a.t_s <= UNREAD_S:
            cm3 += (a.mean + b.mean) / 2 * (b.t_s - a.t_s) / 60
    # a bucket stands in the middle of its readings: the first and the last reach out by half of one
    for end, inner, room_s in (
        (buckets[0], buckets[1:2], buckets[0].t_s - interval[0]),
        (buckets[-1], buckets[-2:-1], interval[1] - buckets[-1].t_s),
    ):
        width_s = min((abs(each.t_s - end.t_s) for each in inner), default=UNREAD_S)
        cm3 += end.mean * min(width_s / 2, UNREAD_S / 2, room_s) / 60
    return cm3 / 1000


def cycler_samples(
    reader: Reader, step: Cycle, interval: tuple[float, float]
) -> tuple[Floats, Floats, Floats]:
    """Every sample of a cycler in an interval: its own clock in s, current in A, voltage in V."""
    each = max(1, ceil(2 * (interval[1] - interval[0])))
    signals = [
        {round(b.t_s, 3): b.mean for b in reader.series(step.cycler, s, interval=interval, buckets=each)}
        for s in ("elapsed", "current", "voltage")
    ]
    times = sorted(signals[0].keys() & signals[1].keys() & signals[2].keys())
    elapsed, current, voltage = (np.array([signal[t] for t in times]) for signal in signals)
    return elapsed, current, voltage


def profiles(record: Record) -> tuple[Profile, ...]:
    """The temperature that each heater of the plan was forecast to have."""
    forecast = record.forecast
    origin = min((step["start_s"] for step in forecast.get("steps", ())), default=0.0)
    heaters = dict.fromkeys(s.heater for s in record.plan.steps if isinstance(s, Heat | Cool))
    drawn = {name: forecast.get("profile", {}).get(name) for name in heaters}
    return tuple(
        Profile(name, tuple(t - origin for t, _ in points), tuple(v for _, v in points))
        for name, points in drawn.items()
        if points
    )
