"""Furnaces: what tubes bear, and when they may be opened."""

from __future__ import annotations

import math
from collections.abc import Iterator

from labctl.bench.schema import Bench
from labctl.model.limits import limit
from labctl.protocol.plan import Cool, Heat, Plan, Unload
from labctl.protocol.rules.core import Hit, rule, targets, tube_of

TUBE_LIMIT_C = {"quartz": 1100.0, "alumina": 1500.0}
"""Continuous use (vendors; quartz 1200 degC at most for a short time)."""


@rule("FUR-001", "error", "A tube softens or devitrifies above its material's limit.", "vendors")
def _tube_limit(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in targets(plan):
        tube = tube_of(bench, heat)
        limit = TUBE_LIMIT_C.get(tube.material or "", math.inf) if tube else math.inf
        if tube and segment.target_c > limit:
            yield Hit(
                (*path, "to"), f"{segment.target_c:g} degC is too hot for {tube.material}: {limit:g} degC"
            )


@rule("FUR-002", "error", "Faster than 400/ID K/min cracks a tube (ID in mm).", "Carbolite STF manual p. 7")
def _tube_ramp(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in targets(plan):
        tube = tube_of(bench, heat)
        if tube is None or not tube.inner_diameter_mm:
            continue
        usual = 400.0 / tube.inner_diameter_mm
        if segment.ramp_k_per_min > usual:
            severity = "error" if segment.ramp_k_per_min > 1.5 * usual else "warning"
            message = (
                f"{segment.ramp_k_per_min:g} K/min is faster than 400/ID = {usual:.1f} K/min of this tube"
            )
            yield Hit((*path, "ramp"), message, severity=severity)


@rule("FUR-008", "error", "A hot product oxidises at its surface, and burns the hand.", "paper (V4+); vendor")
def _cooled(plan: Plan, bench: Bench) -> Iterator[Hit]:
    hot: dict[str, float] = {}
    for i, step in enumerate(plan.steps):
        chamber = step.chamber or ""
        if isinstance(step, Heat):
            hot[chamber] = max(s.target_c for s in step.segments)
        elif isinstance(step, Cool):
            hot[chamber] = min(step.below_c, hot.get(chamber, step.below_c))
        elif isinstance(step, Unload) and hot.get(chamber, 0.0) > limit("T_open"):
            message = f"step {step.id!r} opens {chamber}, which was last brought to {hot[chamber]:g} degC"
            yield Hit(
                ("steps", i, "unload"), message, f"put `cool: {{below: {limit('T_open'):g} degC}}` before it"
            )


@rule("FUR-009", "error", "Hot carbon meets air when nitrogen stops before the tube is cold.", "assumed")
def _cooled_in_gas(plan: Plan, bench: Bench) -> Iterator[Hit]:
    inert: dict[str, bool] = {}
    for i, step in enumerate(plan.steps):
        if isinstance(step, Heat):
            inert[step.chamber or ""] = step.atmosphere == "inert"
        elif isinstance(step, Cool) and inert.get(step.chamber or "") and step.under is None:
            hint = "write `under: {gas: ..., flow: 200 sccm}`"
            yield Hit(("steps", i, "cool"), f"step {step.id!r} cools an inert tube without gas", hint)
