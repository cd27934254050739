"""How a chamber really cooled, from the telemetry of a run: what gas must outlast."""

from __future__ import annotations

import math
from typing import NamedTuple

from labctl.errors import UsageError
from labctl.model.limits import limit
from labctl.store.reader import Reader

LEAST_FALL_K = 100.0
"""A curve that falls by less says too little about a cool-down (assumed)."""

BUCKETS = 20_000
"""Stretches that the temperature of a run is read in: seconds, for most runs."""


class Cooling(NamedTuple):
    """A measured cool-down.

    from_c: where it began; fell_s: from there to T_gas_off, in s. tau_s: time constant of the exponential with the
    same two ends. cooldown_s: from the temperature that was asked for to T_gas_off, by that exponential.
    """

    run: str
    from_c: float
    fell_s: float
    tau_s: float
    cooldown_s: float


def cooling(reader: Reader, run: str, instrument: str, cooldown_from_c: float, ambient_c: float) -> Cooling:
    """The cool-down after the hottest moment of a run.

    Hotter than the run went, it is extended by the exponential, which takes longer than a furnace that radiates.
    Raises UsageError when the run was not hot enough, or was not watched until it was cold.
    """
    cold_c = limit("T_gas_off")
    curve = [(b.t_s, b.mean) for b in reader.series(instrument, "temperature", run, buckets=BUCKETS)]
    hottest_s, hottest_c = max(curve, key=lambda point: (point[1], point[0]), default=(0.0, 0.0))
    start_c = min(hottest_c, cooldown_from_c)
    if start_c < cold_c + LEAST_FALL_K:
        raise UsageError(
            f"run {run}: {instrument} reached {hottest_c:.0f} degC only; no cool-down to measure"
        )
    falling = [point for point in curve if point[0] >= hottest_s]
    began = max(t for t, value in falling if value >= start_c - 1.0)
    ended = next((t for t, value in falling if t > began and value < cold_c), None)
    if ended is None:
        raise UsageError(f"run {run}: {instrument} was not watched until it was below {cold_c:.0f} degC")
    fell_s = ended - began
    tau_s = fell_s / math.log((start_c - ambient_c) / (cold_c - ambient_c))
    return Cooling(
        run, start_c, fell_s, tau_s, tau_s * math.log((cooldown_from_c - ambient_c) / (cold_c - ambient_c))
    )
