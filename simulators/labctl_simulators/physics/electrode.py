"""What a half-cell's cathode is, and how the temperature of its pyrolysis made it so.

From the paper: the first 1C discharge at 700, 800 and 900 degC, and how 800 and 900 fade. The lags are
calibrated so that `HalfCell` gives just that, and between them the quadratic through the three points
(105.2 and 113.8 mAh/g at 750 and 850 degC). Outside 700-900 degC nothing is known: extrapolated, assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log


@dataclass(frozen=True, slots=True)
class Electrode:
    """A cathode. Defaults: 3DP-NVP@C-900, the cell of the paper's rate test.

    capacity_mah_per_g: Q0. lag1_h, lag2_h: a1, a2. resistance_ohm: R0. exchange_a: i0.
    fade_cycles, fade_power: τ, p of the stretched exponential of fade.
    """

    capacity_mah_per_g: float = 115.728
    lag1_h: float = 7.107e-3
    lag2_h: float = 1.044e-2
    resistance_ohm: float = 18.0
    exchange_a: float = 0.45e-3
    fade_cycles: float = 7603.3
    fade_power: float = 0.67532


_PAPER_C = (700.0, 800.0, 900.0)
_CALIBRATED_C = (700.0, 750.0, 800.0, 850.0, 900.0)
_LAG_SCALE = (6.0236, 3.9527, 2.3204, 1.2574, 0.5083)
_DISCHARGE_MAH_PER_G = (99.2, 110.1, 116.4)
_FADE_800, _FADE_900 = 930.7, 7603.3

RATE_TEST_C = 900.0
"""Pyrolysis of the cell that the paper's rates, and the defaults of `Electrode`, are of."""

NONPOROUS = Electrode(
    capacity_mah_per_g=85.0,
    lag1_h=7.107e-3 * 9.443,
    lag2_h=1.044e-2 * 9.443,
    resistance_ohm=60.0,
    exchange_a=0.05e-3,
    fade_cycles=111.6,
)
"""NPB-NVP-900, made without polymer: calibrated to its 60.1 mAh/g at 1C and the 40 % left after 100 cycles."""


def _through(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """The polynomial through the points (Lagrange)."""
    total = 0.0
    for xi, yi in zip(xs, ys, strict=True):
        for xj in xs:
            if xj != xi:
                yi *= (x - xj) / (xi - xj)
        total += yi
    return total


def first_discharge_mah_per_g(pyrolysis_c: float) -> float:
    """First 1C discharge capacity interpolated from the paper, mAh/g."""
    return _through(_PAPER_C, _DISCHARGE_MAH_PER_G, pyrolysis_c)


def fired_at(pyrolysis_c: float) -> Electrode:
    """The cathode that pyrolysis at this effective temperature in degC gives.

    Below 650 degC the phosphate is taken to crystallise less and less, to 2 % at 500 degC (assumed).
    """
    crystalline = min(1.0, max(0.02, (pyrolysis_c - 500.0) / 150.0))
    temperature = min(920.0, max(650.0, pyrolysis_c))
    scale = max(0.3, _through(_CALIBRATED_C, _LAG_SCALE, temperature))
    better = min(1.0, max(0.0, (temperature - 800.0) / 100.0))
    return Electrode(
        capacity_mah_per_g=115.7 * crystalline,
        lag1_h=7.107e-3 * scale,
        lag2_h=1.044e-2 * scale,
        resistance_ohm=_through(_PAPER_C, (34.0, 26.0, 18.0), temperature),
        exchange_a=1e-3 * exp(_through(_PAPER_C, (log(0.15), log(0.25), log(0.45)), temperature)),
        fade_cycles=_FADE_800 * (_FADE_900 / _FADE_800) ** better,
    )
