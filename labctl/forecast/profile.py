"""The temperature of every heater over a forecast, where it bends."""

from __future__ import annotations

import math
from itertools import pairwise

from labctl.runtime.record import InMemory

UNUSED_S = 600.0
"""A heater that was not read for longer was not in use (several coarse scans of an oven)."""

Point = tuple[float, float | None]
Profiles = dict[str, tuple[Point, ...]]


def profile_of(record: InMemory) -> Profiles:
    """The temperature of every heater over time, where it bends: what the report draws as planned.

    (t_s, None) where it was not in use.
    """
    heaters = {instrument for instrument, signal, _ in record.channels if signal == "working_setpoint"}
    profile: dict[str, tuple[Point, ...]] = {}
    for n, (instrument, signal, _) in enumerate(record.channels):
        if signal == "temperature" and instrument in heaters:
            points = [(t, round(value, 2)) for t, v in record.rows if (value := v[n]) is not None]
            breaks = [i for i in range(1, len(points)) if points[i][0] - points[i - 1][0] > UNUSED_S]
            drawn: list[Point] = []
            for first, last in pairwise([0, *breaks, len(points)]):
                stretch = points[first:last]
                drawn += [*_thinned(stretch), (stretch[-1][0], None)] if stretch else []
            profile[instrument] = tuple(drawn[:-1])
    return {name: points for name, points in profile.items() if points}


def _thinned(points: list[tuple[float, float]], tolerance: float = 1.0) -> tuple[tuple[float, float], ...]:
    """The points that no straight line between kept neighbours would miss by more than `tolerance`.

    From each kept point a cone of slopes that reach all points since; the point before the cone closes is kept next.
    """
    if len(points) < 3:
        return tuple(points)
    kept = [points[0]]
    last, (t0, v0) = points[0], points[0]
    low, high = -math.inf, math.inf
    for t, v in points[1:]:
        if t > t0 and not low <= (v - v0) / (t - t0) <= high:
            kept.append(last)
            t0, v0 = last
            low, high = -math.inf, math.inf
        if t > t0:
            low = max(low, (v - v0 - tolerance) / (t - t0))
            high = min(high, (v - v0 + tolerance) / (t - t0))
        last = (t, v)
    return (*kept, last)


def celsius_at(points: tuple[Point, ...], t_s: float) -> float | None:
    """The temperature of a profile at a time, on the line between its points; None where it was not in use."""
    for (t0, v0), (t1, v1) in pairwise(points):
        if t0 <= t_s <= t1:
            if v0 is None or v1 is None:
                return v0
            return v0 + (v1 - v0) * (t_s - t0) / (t1 - t0) if t1 > t0 else v1
    return points[-1][1] if points and t_s >= points[-1][0] else None


def above(points: tuple[Point, ...], celsius: float) -> tuple[float, float] | None:
    """From when a profile is first above a temperature to when it last is; None where it never is."""
    known = [(t_s, value) for t_s, value in points if value is not None]
    hot = [n for n, (_, value) in enumerate(known) if value > celsius]
    if not hot:
        return None
    first, last = known[max(hot[0] - 1, 0) : hot[0] + 1], known[hot[-1] : hot[-1] + 2]
    return _crossing(first, celsius, known[hot[0]][0]), _crossing(last, celsius, known[hot[-1]][0])


def _crossing(pair: list[tuple[float, float]], celsius: float, otherwise_s: float) -> float:
    """Where the line between two points is at a temperature."""
    if len(pair) < 2 or pair[0][1] == pair[1][1]:
        return otherwise_s
    (t0, v0), (t1, v1) = pair
    return t0 + (celsius - v0) / (v1 - v0) * (t1 - t0)
