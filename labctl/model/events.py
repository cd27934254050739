"""What happened: the only thing that changes the discrete state of a bench."""

from __future__ import annotations

from typing import Any, NamedTuple

BENCH_STREAM = "bench"
"""The journal stream of the bench itself; every other stream carries the name of its run."""


class Event(NamedTuple):
    """A fact, as the journal will keep it.

    stream: `BENCH_STREAM` or a run id.
    kind: lower-case words with underscores, e.g. "step_started".
    data: JSON values only (str, int, float, bool, None, list, dict with str keys); no NaN, no tuples.
    t_s: bench clock in seconds at which it was decided.
    """

    stream: str
    kind: str
    data: dict[str, Any]
    t_s: float


def clock(seconds: float) -> str:
    """A time of the bench's clock: `63:07` hours and minutes."""
    hours, minutes = divmod(round(seconds / 60.0), 60)
    return f"{hours}:{minutes:02d}"
