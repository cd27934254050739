"""Half-cells: within their window, not too fast, built in argon, and with an end."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.bench.schema import Bench
from labctl.model.limits import limit
from labctl.protocol import estimates
from labctl.protocol.plan import Cycle, Manual, Plan
from labctl.protocol.rules.core import Hit, Number, atoms_in, number, rule, steps
from labctl.protocol.source import Path

PUBLISHED_V = (2.3, 3.8)
LOADING_MG_PER_CM2 = 1.5
"""Of active material on the electrode (assumed; 1 to 3 are usual)."""
DENDRITES_MA_PER_CM2 = 4.0
"""On sodium metal (unverified; below 2 for long)."""
OXIDISABLE = {"V", "Mn", "Fe", "Co", "Ni", "Cr", "Mo"}
"""Metals of which a product as it is made can give an electron: its first half-cycle is a charge."""
NASICON = "Na3V2(PO4)3"


@rule(
    "CEL-001", "error",
    "Beyond the window electrolyte oxidises, or the 1.6 V plateau begins; at 2.0 and 4.1 V the controller trips.",
    "paper (2.3-3.8 V); safety contract (2.0-4.1 V)",
)  # fmt: skip
def _window(plan: Plan, bench: Bench) -> Iterator[Hit]:
    low, high = PUBLISHED_V
    for i, cycle in steps(plan, Cycle):
        path: Path = ("steps", i, "cycle", "window")
        hint = f"[{low:g} V, {high:g} V]"
        if cycle.upper_v > high:
            severity = "error" if cycle.upper_v > limit("cell_v_high") else "warning"
            message = f"{cycle.upper_v:g} V is above the published {high:g} V"
            yield Hit((*path, 1), message, hint, severity)
        if cycle.lower_v < low:
            severity = "error" if cycle.lower_v < limit("cell_v_low") else "warning"
            yield Hit((*path, 0), f"{cycle.lower_v:g} V is below the published {low:g} V", hint, severity)


@rule(
    "CEL-002", "error",
    "Above 20 C, or 4 mA/cm2, sodium grows dendrites.",
    "usual practice (unverified); 10 C is 1.76 mA/cm2 at 1.5 mg/cm2, derived",
    number=Number(20.0, "C", "lower"), waive="errors",
)  # fmt: skip
def _dendrites(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in steps(plan, Cycle):
        density = cycle.rate_c * cycle.specific_current_ma_per_g * LOADING_MG_PER_CM2 / 1000
        if density > DENDRITES_MA_PER_CM2 or cycle.rate_c > number(bench, "CEL-002"):
            severity = "error" if density > DENDRITES_MA_PER_CM2 else "warning"
            message = f"{cycle.rate_c:g} C is {density:.1f} mA/cm2 at {LOADING_MG_PER_CM2:g} mg/cm2"
            yield Hit(("steps", i, "cycle", "rate"), message, "the paper goes to 10 C", severity)


@rule(
    "CEL-003", "info",
    "Three cycles below 0.9 of coulombic efficiency, or 1.15 times the theoretical charge, are a short: stop it.",
    "assumed",
)  # fmt: skip
def _short(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in steps(plan, Cycle):
        if cycle.cycles > 3:
            message = f"nothing stops {cycle.cycles} cycles when the coulombic efficiency falls"
            yield Hit(("steps", i, "cycle", "cycles"), message, "look at the first three in `labctl watch`")


@rule(
    "CEL-005", "warning",
    "The first half-cycle is a charge: what has nothing to oxidise must be discharged first.",
    "derived (Na3V2(PO4)3 is made discharged)",
)  # fmt: skip
def _nothing_to_charge(plan: Plan, bench: Bench) -> Iterator[Hit]:
    atoms = atoms_in(plan.product.formula) if plan.product else {}
    for i, _ in steps(plan, Cycle):
        if atoms and plan.product and not OXIDISABLE & atoms.keys():
            message = f"cycling charges first, and {plan.product.formula} has nothing to oxidise"
            yield Hit(("steps", i, "cycle"), message)


@rule(
    "CEL-006", "error",
    "Sodium and electrolyte decompose above 1 ppm of oxygen or water: assemble in argon.",
    "vendors of glove boxes",
)  # fmt: skip
def _in_argon(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, _ in steps(plan, Cycle):
        built = [
            (j, " ".join((s.do, *s.confirm)).lower())
            for j, s in enumerate(plan.steps[:i])
            if isinstance(s, Manual) and any(e.name == "active_mass" for e in s.enter)
        ]
        for j, text in built[-1:]:
            if not any(word in text for word in ("argon", "glove")):
                severity = "error" if "in air" in text else "warning"
                message = f"step {plan.steps[j].id!r} does not say that the cell is assembled in argon"
                hint = "confirm it: `confirm: [glove box below 1 ppm of oxygen and water]`"
                yield Hit(("steps", j, "manual"), message, hint, severity)


@rule(
    "CEL-007", "warning",
    "1 C of Na3V2(PO4)3 is 117 mA/g (the theoretical 117.6 is not what the paper cycled at).",
    "paper",
)  # fmt: skip
def _one_c(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in steps(plan, Cycle):
        one_c = cycle.specific_current_ma_per_g
        if plan.product and plan.product.formula.startswith(NASICON) and one_c != 117.0:
            path: Path = ("steps", i, "cycle", "specific_current")
            yield Hit(path, f"1 C of {NASICON} is 117 mA/g in the paper, not {one_c:g} mA/g", "117 mA/g")


@rule(
    "CEL-008", "warning",
    "A test that ends in months has no end.",
    "assumed", number=Number(60.0, "d", "lower"),
)  # fmt: skip
def _ends(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in steps(plan, Cycle):
        days = estimates.cycle_s(cycle.cycles, cycle.rate_c) / 86_400
        if days > number(bench, "CEL-008"):
            message = f"{cycle.cycles} cycles at {cycle.rate_c:g} C take up to {days:.0f} days"
            yield Hit(("steps", i, "cycle", "cycles"), message, "fewer cycles, or a higher rate")
