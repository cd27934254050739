"""What an instrument said, how good it is, and when it was sampled."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Quality(IntEnum):
    """How far a reading may be believed. Only GOOD may be used as a number."""

    GOOD = 0
    NOT_READY = 1
    """The instrument answers but is warming up, cleaning, or being set up."""
    BAD = 2
    """The instrument answers and says, or its value shows, that the value is wrong (sensor break, range)."""
    SILENT = 3
    """No valid reply arrived in time. The value is None."""


GOOD = Quality.GOOD
NOT_READY = Quality.NOT_READY
BAD = Quality.BAD
SILENT = Quality.SILENT


class Reading(NamedTuple):
    """One sample of one signal.

    value: in `unit`; None when nothing was read; a bad reading keeps its raw value.
    unit: as declared by the signal, e.g. "degC", "sccm", "ppm", "V".
    quality: see `Quality`.
    t_s: sample time in seconds of the bench clock (monotonic), not of the wall.
    """

    value: float | None
    unit: str
    quality: Quality
    t_s: float


class Signal(NamedTuple):
    """A declared measurement of an instrument.

    name: lower-case word, unique within the instrument, e.g. "temperature".
    unit: the unit of every reading of it.
    low, high: plausible range in `unit`; a value outside is of BAD quality. None: no bound.
    resolution: one display digit, in `unit`.
    """

    name: str
    unit: str
    low: float | None = None
    high: float | None = None
    resolution: float = 0.1


Image = dict[str, Reading]
"""The newest reading of each signal in use, by "instrument.signal"."""


def good(reading: Reading | None, now_s: float, max_age_s: float) -> float | None:
    """The value of a reading that may be used as a number: good, and not older than `max_age_s`."""
    if reading is None or reading.quality or now_s - reading.t_s > max_age_s:
        return None
    return reading.value
