"""What was really taken of a reagent against what was wanted, and what that makes of the rest of a batch.

The arithmetic that `labctl recipe --weighed` and a run share; it knows neither recipes nor balances.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "short", "over"]


@dataclass(frozen=True, slots=True)
class Weighing:
    """What the balance (or the cylinder, or the pump) said, against what was wanted at that moment, in `unit`."""

    name: str
    wanted: float
    read: float
    unit: Literal["g", "mL"]
    tolerance_pct: float

    @property
    def deviation_pct(self) -> float:
        """How far off, in percent of what was wanted."""
        return 100.0 * (self.read / self.wanted - 1.0)

    @property
    def verdict(self) -> Verdict:
        """Within tolerance, or on which side of it."""
        if abs(self.deviation_pct) <= self.tolerance_pct * (1 + 1e-9):
            return "ok"
        return "short" if self.deviation_pct < 0 else "over"

    @property
    def missing(self) -> float:
        """How much is still to be taken: nothing where what is there is within tolerance, or too much."""
        return self.wanted - self.read if self.verdict == "short" else 0.0


def scale_of(shares: Iterable[float]) -> float:
    """By how much the batch grows: what was taken of each precursor, over what was planned of it.

    What is in the pot stays there, so the precursor of which most was taken says how large the batch is; a batch of
    which nothing was taken yet is as planned. One that lags behind is topped up, so it never makes the batch smaller
    while another was taken whole.
    """
    return max(shares, default=1.0)
