"""What the batch gives off in the tube, where it goes, and how much air is left when it gets hot."""

from __future__ import annotations

import math
from collections.abc import Iterator

from labctl.bench.schema import Bench, Chamber
from labctl.model.limits import limit
from labctl.protocol.estimates import NITROGEN_OXYGEN_PPM, UNRAMPED_K_PER_MIN
from labctl.protocol.plan import Heat, Plan, Purge, Unload
from labctl.protocol.rules.core import (
    Hit,
    Number,
    flows,
    having,
    number,
    place_of,
    rule,
    said,
    steps,
    top_c,
    tube_of,
)

OXYGEN_HOT_PPM = 20.0
"""Expected at most above 400 degC: six hours of 200 sccm at 100 ppm carry 27 % of what oxidises a gram's V(III)."""
HOT_C = 400.0
DUCTED = "extraction duct bubbler hood exhaust"
SCRUBBED = "ammonia scrub nh3"


@rule(
    "GAS-005", "error",
    "Oxygen that is left burns carbon and oxidises V(III): at most 100 ppm before heat, 20 ppm above 400 degC.",
    "oxygen dose and washout law, derived", number=Number(OXYGEN_HOT_PPM, "ppm", "lower"),
)  # fmt: skip
def _oxygen_left(plan: Plan, bench: Bench) -> Iterator[Hit]:
    left: dict[str, float] = {}
    at: dict[str, float] = {}
    for i, step in enumerate(plan.steps):
        name = step.chamber or ""
        if isinstance(step, Purge):
            left[name] = step.oxygen_below_ppm
            at[name] = bench.ambient_c
            most = limit("purge_oxygen")
            if step.oxygen_below_ppm > most and _heats_after(plan, i, name):
                severity = "error" if step.oxygen_below_ppm > limit("oxygen_trip") else "warning"
                message = f"{step.oxygen_below_ppm:g} ppm of oxygen is too much to heat in: {most:g} ppm"
                path = ("steps", i, "purge", "until_oxygen_below")
                yield Hit(path, message, f"{most:g} ppm", severity, kept=severity == "error")
        elif isinstance(step, Unload):
            left.pop(name, None)
        elif isinstance(step, Heat) and name in left and step.under and tube_of(bench, step):
            volume = bench.chambers[name].volume_cm3 or 0.0
            was = left[name]
            for segment in step.segments:
                rate = segment.ramp_k_per_min or UNRAMPED_K_PER_MIN
                if at[name] < HOT_C < segment.target_c:
                    minutes = (HOT_C - at[name]) / rate
                    ppm = _washed(left[name], step.under.flow_sccm, volume, minutes)
                    if ppm > number(bench, "GAS-005") and was <= limit("purge_oxygen"):
                        message = f"step {step.id!r} passes {HOT_C:g} degC with {ppm:.0f} ppm of oxygen left"
                        hint = "purge lower, or ramp slower, or take more gas"
                        yield Hit(("steps", i, "heat"), message, hint, "warning")
                minutes = abs(segment.target_c - at[name]) / rate + segment.hold_s / 60
                left[name] = _washed(left[name], step.under.flow_sccm, volume, minutes)
                at[name] = segment.target_c


def _heats_after(plan: Plan, index: int, chamber: str) -> bool:
    return any(
        isinstance(s, Heat) and s.chamber == chamber and top_c(s) > 200.0 for s in plan.steps[index + 1 :]
    )


def _washed(ppm: float, flow_sccm: float, volume_cm3: float, minutes: float) -> float:
    """What is left of the oxygen in a stirred volume."""
    if volume_cm3 <= 0:
        return NITROGEN_OXYGEN_PPM
    faded = math.exp(-flow_sccm * minutes / volume_cm3)
    return NITROGEN_OXYGEN_PPM + max(0.0, ppm - NITROGEN_OXYGEN_PPM) * faded


@rule(
    "GAS-010", "error",
    "Pyrolysis gives off CO (5,300 ppm from a gram at 200 sccm) and styrene: the exhaust is ducted.",
    "stoichiometry, derived", waive="never",
)  # fmt: skip
def _ducted(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if not plan.product and not having(plan, "organic", "polymer", "oxalate"):
        return
    for i, heat in steps(plan, Heat):
        tube = tube_of(bench, heat)
        if tube and top_c(heat) > 200.0 and not _told_where(plan, tube, heat, i):
            message = f"step {heat.id!r} gives off CO, and nothing says where it goes"
            hint = "confirm it: `manual: {do: Load the boat, confirm: [extraction on], into: furnace}`"
            yield Hit(("steps", i, "heat"), message, hint)
            return


def _told_where(plan: Plan, tube: Chamber, heat: Heat, index: int) -> bool:
    return "extraction" in tube.io or said(plan, DUCTED, index, into=heat.chamber)


@rule(
    "GAS-011", "warning",
    "Ten grams in an hour at 200 sccm make 5 % of CO.",
    "stoichiometry, derived", number=Number(5.0, "g", "lower"),
)  # fmt: skip
def _much(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if plan.product is None or plan.product.mass_g <= number(bench, "GAS-011"):
        return
    for _, step, _, flow, path in flows(plan):
        if isinstance(step, Heat) and flow <= 200.0 and tube_of(bench, step):
            message = f"{plan.product.mass_g:g} g in {flow:g} sccm give off more than 2.6 % of CO"
            yield Hit(path, message, "fire it in parts, or take more gas")
            return


@rule(
    "GAS-013", "warning",
    "Ammonium salts give off ammonia (25 ppm in air at work).",
    "occupational limits",
)  # fmt: skip
def _ammonia(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for substance in having(plan, "ammonium"):
        if any(True for _ in steps(plan, Heat)) and not said(plan, SCRUBBED):
            message = f"{substance.name} gives off ammonia, and no step says that it is scrubbed"
            yield Hit(place_of(plan, substance), message, "confirm it: `confirm: [ammonia trap filled]`")
