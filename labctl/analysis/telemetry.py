"""What the instruments showed during a run, thinned out for the eye or in full for the sums."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import numpy as np

from labctl.analysis.capacity import Floats
from labctl.analysis.model import Profile, Series, StepRecord
from labctl.analysis.record import Record
from labctl.protocol.plan import Cool, Cycle, Heat, Plan
from labctl.store.reader import Bucket, Reader

BUCKETS = 900
"""Stretches of time in a thinned-out series: at most two points each."""

ROOM_C = 22.0
"""Where a planned profile begins (assumed: the usual ambient temperature of a bench)."""

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
    buckets = reader.series(instrument, signal, interval=record.interval, buckets=BUCKETS)
    width_s = (record.end_s - record.start_s) / BUCKETS
    t_s: list[float] = []
    value: list[float] = []
    before: Bucket | None = None
    for bucket in buckets:
        if before is not None and bucket.t_s - before.t_s > 4 * width_s:
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
    cm3 = sum(
        (a.mean + b.mean) / 2 * (b.t_s - a.t_s) / 60
        for a, b in pairwise(buckets)
        if b.t_s - a.t_s <= UNREAD_S
    )
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


def profiles(plan: Plan, steps: tuple[StepRecord, ...]) -> tuple[Profile, ...]:
    """The temperature each heater was planned to have, from the plan's ramps and the forecast's times."""
    corners: dict[str, list[tuple[float, float | None]]] = {}
    by_id = {record.id: record for record in steps}
    for step in plan.steps:
        record = by_id[step.id]
        if record.planned_start_s is None or record.planned_end_s is None:
            continue
        if isinstance(step, Heat):
            points = corners.setdefault(step.heater, [(0.0, None)])
            at = points[-1][1] if points[-1][1] is not None else ROOM_C
            points += _heating(step, at, record.planned_start_s, record.planned_end_s)
        elif isinstance(step, Cool) and step.heater in corners:
            points = corners[step.heater]
            at = points[-1][1] if points[-1][1] is not None else ROOM_C
            points += _cooling(at, step.below_c, record.planned_start_s, record.planned_end_s)
            points.append((record.planned_end_s, None))
    return tuple(
        Profile(heater, tuple(t for t, _ in points[1:]), tuple(v for _, v in points[1:]))
        for heater, points in corners.items()
    )


def _heating(step: Heat, at_c: float, start_s: float, end_s: float) -> list[tuple[float, float | None]]:
    points: list[tuple[float, float | None]] = [(start_s, at_c)]
    t_s = start_s
    for segment in step.segments:
        if segment.ramp_k_per_min:
            t_s += abs(segment.target_c - at_c) / segment.ramp_k_per_min * 60
        at_c = segment.target_c
        points += [(t_s, at_c), (t_s + segment.hold_s, at_c)]
        t_s += segment.hold_s
    if step.after in ("cool", "off"):
        points.append((max(t_s, end_s), None))
    else:
        points.append((max(t_s, end_s), at_c))
    return points


def _cooling(from_c: float, below_c: float, start_s: float, end_s: float) -> list[tuple[float, float | None]]:
    """Newton's law through both ends, towards the room."""
    if not from_c > below_c > ROOM_C:
        return [(start_s, from_c), (end_s, below_c)]
    share = np.linspace(0.0, 1.0, 25)
    values = ROOM_C + (from_c - ROOM_C) * ((below_c - ROOM_C) / (from_c - ROOM_C)) ** share
    times = start_s + (end_s - start_s) * share
    return [(float(t), float(v)) for t, v in zip(times, values, strict=True)]
