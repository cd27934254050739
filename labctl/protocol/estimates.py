"""How long things take: the laws by which a plan fills in expected times (derived)."""

from __future__ import annotations

import math

from labctl.bench.schema import Bench, Chamber
from labctl.protocol.plan import Cool, Cycle, Dispense, Heat, LeakCheck, Purge, Segment, Step, Stir, Wait

AIR_OXYGEN_PPM = 209_500.0
"""Oxygen in dry air (20.95 %)."""
NITROGEN_OXYGEN_PPM = 2.0
"""Oxygen left in nitrogen 5.0 (assumed: at most 2-3 ppm by its grade)."""
UNRAMPED_K_PER_MIN = 1.0
"""How fast a heater without a ramp is taken to warm, low on purpose (assumed)."""
COOLED_C = 100.0
"""The end of a bench's measured cool-down: T_gas_off."""


def washout_s(volume_cm3: float, flow_sccm: float, oxygen_ppm: float) -> float:
    """Seconds until a stirred volume full of air holds `oxygen_ppm`: V/Q ln((c0 - c_in)/(c - c_in)).

    Infinite at or below what the gas itself carries. 2290 cm3 at 200 sccm to 100 ppm takes 87.8 min.
    """
    if oxygen_ppm <= NITROGEN_OXYGEN_PPM or flow_sccm <= 0:
        return math.inf
    ratio = (AIR_OXYGEN_PPM - NITROGEN_OXYGEN_PPM) / (oxygen_ppm - NITROGEN_OXYGEN_PPM)
    return volume_cm3 / flow_sccm * 60.0 * math.log(ratio)


def leak_ppm(leak_sccm: float, flow_sccm: float) -> float:
    """Oxygen that stays in a washed tube into which air leaks, in ppm: leak x 20.95 % / flow, and what the gas carries.

    0.094 sccm at 200 sccm of nitrogen 5.0 is 100 ppm.
    """
    return leak_sccm * AIR_OXYGEN_PPM / flow_sccm + NITROGEN_OXYGEN_PPM if flow_sccm > 0 else math.inf


def purge_s(volume_cm3: float, flow_sccm: float, oxygen_ppm: float, stable_s: float, volumes: float) -> float:
    """Seconds of a fault-free purge: oxygen below its limit for `stable_s`, and the tube volumes washed."""
    if flow_sccm <= 0:
        return math.inf
    washing = washout_s(volume_cm3, flow_sccm, oxygen_ppm) + stable_s
    return max(washing, volumes * volume_cm3 / flow_sccm * 60.0)


def cooling_s(chamber: Chamber, ambient_c: float, from_c: float, to_c: float) -> float:
    """Seconds of natural cooling, scaled from the chamber's measured cool-down by Newton's law.

    Zero when already there; infinite at or below ambient.
    """
    if from_c <= to_c:
        return 0.0
    if to_c <= ambient_c or chamber.cooldown_from_c <= COOLED_C or ambient_c >= COOLED_C:
        return math.inf
    measured = math.log((chamber.cooldown_from_c - ambient_c) / (COOLED_C - ambient_c))
    return chamber.cooldown_s / measured * math.log((from_c - ambient_c) / (to_c - ambient_c))


def ramps_s(
    segments: tuple[Segment, ...], start_c: float, chamber: Chamber | None, ambient_c: float
) -> float:
    """Seconds spent between soaks. Downwards, no faster than natural cooling."""
    total, now = 0.0, start_c
    for segment in segments:
        rate = segment.ramp_k_per_min or UNRAMPED_K_PER_MIN
        ramp = abs(segment.target_c - now) / rate * 60.0
        if chamber is not None and segment.target_c < now:
            natural = cooling_s(chamber, ambient_c, now, segment.target_c)
            ramp = max(ramp, natural) if math.isfinite(natural) else ramp
        total, now = total + ramp, segment.target_c
    return total


def cycle_s(cycles: int, rate_c: float) -> float:
    """Seconds of full cycles at a rate of the nominal capacity."""
    return cycles * 2 * 3600.0 / rate_c


def duration_s(step: Step, start_c: float, bench: Bench) -> float:
    """Expected seconds of a step whose chamber is at `start_c`; a person's step counts as none."""
    if isinstance(step, Heat):
        chamber = bench.chambers.get(step.chamber or "")
        holds = sum(s.hold_s for s in step.segments)
        return ramps_s(step.segments, start_c, chamber, bench.ambient_c) + holds
    if isinstance(step, Purge | Cool | LeakCheck):
        return step.expected_s
    if isinstance(step, Stir | Wait):
        return step.duration_s
    if isinstance(step, Dispense):
        return 60.0 * step.portion.amount / step.rate_ml_per_min
    if isinstance(step, Cycle):
        return cycle_s(step.cycles, step.rate_c)
    return 0.0
