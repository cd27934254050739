"""Solvents that burn, and cells that must stay within their window."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.bench.schema import Bench
from labctl.protocol.plan import Cycle, Heat, Manual, Plan, Requirement
from labctl.protocol.rules.core import Hit, rule, steps
from labctl.protocol.source import Path

DRYING_C = 60.0
DRY_PERCENT = 99.0
"""Above 60 degC only with at least 99 % of THF and ethanol gone, by weight (safety contract)."""


@rule(
    "SOL-001",
    "error",
    "Vapour of THF (flash point -14 degC) in a closed hot oven explodes.",
    "NAP 4911; DCHAS",
)
def _rated(plan: Plan, bench: Bench) -> Iterator[Hit]:
    first = next(steps(plan, Heat), None)
    if plan.charge.flammable_solvent_g > 0 and first is not None:
        i, heat = first
        chamber = bench.chambers[heat.chamber or ""]
        if not chamber.flammable_rated:
            message = (
                f"{plan.charge.flammable_solvent_g:.1f} g of solvent in {heat.chamber}, not rated for it"
            )
            yield Hit(
                ("steps", i, "heat", "with"), message, "use a dryer whose chamber is `flammable_rated: true`"
            )


@rule(
    "SOL-003", "error", "THF forms peroxides, which explode as it evaporates: test it.", "NAP 4911; LCSS"
)  # fmt: skip
def _peroxides(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if plan.charge.thf_g <= 0:
        return
    for i, step in enumerate(plan.steps):
        if isinstance(step, Manual) and any(e.name == "peroxide" and e.max is not None for e in step.enter):
            return
        if isinstance(step, Heat):
            message = f"step {step.id!r} evaporates THF, and no step before it tests for peroxides"
            hint = "put `manual: {do: ..., enter: {peroxide: {unit: ppm, max: 20}}}` before it"
            yield Hit(("steps", i, "heat"), message, hint)
            return


@rule(
    "SOL-005", "error", "A hot oven ignites the solvent that is left in a batch.", "safety contract; derived"
)
def _dried(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if plan.charge.flammable_solvent_g <= 0:
        return
    for i, step in enumerate(plan.steps):
        if isinstance(step, Manual) and any(_proves_dry(r) for r in step.require):
            return
        if isinstance(step, Heat) and max(s.target_c for s in step.segments) > DRYING_C:
            message = f"step {step.id!r} goes above {DRYING_C:g} degC before the loss of solvent was weighed"
            hint = f"put `manual: {{..., require: {{solvent_loss: at least {DRY_PERCENT:g} %}}}}` before it"
            yield Hit(("steps", i, "heat"), message, hint)
            return


def _proves_dry(r: Requirement) -> bool:
    return r.quantity == "solvent_loss" and r.relation == "at_least" and r.value >= DRY_PERCENT


@rule(
    "CEL-001",
    "error",
    "Beyond the window electrolyte oxidises, or the 1.6 V plateau begins.",
    "paper (2.3-3.8 V)",
)
def _window(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in steps(plan, Cycle):
        path: Path = ("steps", i, "cycle", "window")
        if cycle.upper_v > 3.8:
            severity = "error" if cycle.upper_v > 4.1 else "warning"
            yield Hit((*path, 1), f"{cycle.upper_v:g} V is above the published 3.8 V", severity=severity)
        if cycle.lower_v < 2.3:
            severity = "error" if cycle.lower_v < 1.8 else "warning"
            yield Hit((*path, 0), f"{cycle.lower_v:g} V is below the published 2.3 V", severity=severity)
