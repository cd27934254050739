"""Charge per half-cycle, from what the cycler itself measured and when.

The cell is charged and discharged at constant current between two voltages. Charge is the integral of the
measured current over the instrument's own clock, so that neither the scan nor the wire adds an error. A
half-cycle ends where the voltage crosses its cut-off, which lies between two samples and is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

IDLE_FRACTION = 0.01
"""Below this part of the largest current the cell is at rest (assumed; 1C/100 moves no cut-off)."""

TAPER_FRACTION = 0.98
"""Below this part of the half-cycle's current the source holds the voltage: past the cut-off (assumed)."""


@dataclass(frozen=True, slots=True)
class HalfCycle:
    """One charge or discharge at constant current.

    cycle: from 1; a charge opens it. direction: "charge" or "discharge". charge_mah: from the beginning to
    the cut-off, positive. voltage_v over capacity_mah: its curve, both from the beginning to the cut-off.
    complete: the cut-off was reached, or lies within one more sample.
    """

    cycle: int
    direction: str
    charge_mah: float
    duration_s: float
    capacity_mah: Floats
    voltage_v: Floats
    complete: bool


@dataclass(frozen=True, slots=True)
class CycleSummary:
    """One cycle: specific capacities in mAh/g of active mass, and discharge over charge.

    A value is None where that half-cycle did not reach its cut-off; specific ones also without a mass.
    """

    cycle: int
    charge_mah: float | None
    discharge_mah: float | None
    charge_mah_per_g: float | None
    discharge_mah_per_g: float | None
    coulombic_efficiency: float | None


def half_cycles(
    elapsed_s: Floats, current_a: Floats, voltage_v: Floats, *, lower_v: float, upper_v: float
) -> list[HalfCycle]:
    """Split samples into half-cycles and integrate each.

    Args:
        elapsed_s: the instrument's clock; it may begin again at 0 with every half-cycle.
        current_a: positive charges the cell.
        voltage_v: of the cell, same length as the others.
        lower_v: cut-off of a discharge.
        upper_v: cut-off of a charge.
    """
    valid = np.isfinite(elapsed_s) & np.isfinite(current_a) & np.isfinite(voltage_v)
    elapsed_s, current_a, voltage_v = elapsed_s[valid], current_a[valid], voltage_v[valid]
    if not elapsed_s.size:
        return []
    sign = np.sign(current_a).astype(int)
    sign[np.abs(current_a) < IDLE_FRACTION * np.abs(current_a).max()] = 0
    begins = np.flatnonzero((np.diff(sign) != 0) | (np.diff(elapsed_s) < 0)) + 1
    halves: list[HalfCycle] = []
    cycle = 0
    for part in np.split(np.arange(sign.size), begins):
        direction = sign[part[0]]
        turned = part[-1] + 1 < sign.size and sign[part[-1] + 1] == -direction
        if direction == 0 or part.size < 2:
            continue
        charging = bool(direction > 0)
        if charging or not halves or halves[-1].direction == "discharge":
            cycle += 1
        # The source was switched in the scan of the sample before, or when the clock began again at 0.
        before_s = elapsed_s[part[0] - 1] if part[0] else np.inf
        begin_s = before_s if before_s < elapsed_s[part[0]] else 0.0
        if elapsed_s[part[0]] - begin_s > 2 * (elapsed_s[part[1]] - elapsed_s[part[0]]):
            begin_s = elapsed_s[part[0]]
        halves.append(
            _integrate(
                cycle,
                elapsed_s[part] - begin_s,
                np.abs(current_a[part]),
                voltage_v[part],
                upper_v if charging else lower_v,
                charging,
                bool(turned),
            )
        )
    return halves


def _integrate(
    cycle: int, t: Floats, current: Floats, voltage: Floats, cut_off_v: float, charging: bool, turned: bool
) -> HalfCycle:
    tapering = (current < TAPER_FRACTION * np.median(current)) & (np.arange(t.size) > 0)
    past = (voltage >= cut_off_v if charging else voltage <= cut_off_v) | tapering
    seen = bool(past.any())
    last = int(np.argmax(past)) - 1 if seen else t.size - 1
    # Where the current turned round, the cut-off was reached between the last sample and the next one.
    complete = seen or turned
    if last >= 1:
        rate = (voltage[last] - voltage[last - 1]) / (t[last] - t[last - 1]) * (1 if charging else -1)
        to_go_s = abs(cut_off_v - voltage[last]) / rate if rate > 0 else np.inf
        nearest_s = t[last + 1] - t[last] if seen else t[last] - t[last - 1]
        complete = complete or to_go_s <= nearest_s
        if complete:
            t = np.append(t[: last + 1], t[last] + min(max(to_go_s, 0.0), nearest_s))
            current = np.append(current[: last + 1], current[last])
            voltage = np.append(voltage[: last + 1], cut_off_v)
    steps = np.diff(t) * (current[1:] + current[:-1]) / 2
    capacity_mah = (np.concatenate(([0.0], np.cumsum(steps))) + t[0] * current[0]) / 3.6
    return HalfCycle(
        cycle=cycle,
        direction="charge" if charging else "discharge",
        charge_mah=float(capacity_mah[-1]),
        duration_s=float(t[-1]),
        capacity_mah=capacity_mah,
        voltage_v=voltage,
        complete=complete,
    )


def summarise(halves: list[HalfCycle], active_mass_g: float | None) -> list[CycleSummary]:
    """The cycles of these half-cycles; specific capacities by `active_mass_g`, None without one."""
    summaries = []
    for cycle in sorted({half.cycle for half in halves}):
        mah = {h.direction: h.charge_mah for h in halves if h.cycle == cycle and h.complete}
        charge, discharge = mah.get("charge"), mah.get("discharge")
        summaries.append(
            CycleSummary(
                cycle=cycle,
                charge_mah=charge,
                discharge_mah=discharge,
                charge_mah_per_g=charge / active_mass_g if charge and active_mass_g else None,
                discharge_mah_per_g=discharge / active_mass_g if discharge and active_mass_g else None,
                coulombic_efficiency=discharge / charge if charge and discharge else None,
            )
        )
    return summaries
