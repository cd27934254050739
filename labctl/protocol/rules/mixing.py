"""What must not meet in one pot, and what foams, as far as `contents` declares it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labctl.bench.schema import Bench
from labctl.protocol.chemistry import formula, molar_mass
from labctl.protocol.plan import Plan, Substance
from labctl.protocol.rules.core import (
    Hit,
    Number,
    atoms_in,
    grams,
    having,
    in_batch,
    number,
    place_of,
    rule,
    said,
)

LITRE_PER_MOL = 24.465
"""Of an ideal gas at 25 degC and 1 atm."""
SLOWLY = "slow drop portion little"
HOOD = "hood fume"


@rule(
    "MIX-001", "warning",
    "Carbonate in acid foams: a gram of the product gives off 80 mL of CO2. Add it slowly, or leave room.",
    "stoichiometry, derived",
)  # fmt: skip
def _foams(plan: Plan, bench: Bench) -> Iterator[Hit]:
    carbonates = having(plan, "carbonate")
    if not carbonates or not having(plan, "acid") or said(plan, SLOWLY):
        return
    gas_ml = sum(_carbon_dioxide_mol(s) for s in carbonates) * LITRE_PER_MOL * 1000
    vessels = [c.volume_cm3 for c in bench.chambers.values() if c.kind == "vessel" and c.volume_cm3]
    liquid_ml = plan.charge.thf_g / 0.883 + plan.charge.ethanol_g / 0.789 + plan.charge.water_g
    if vessels and gas_ml <= max(vessels) - liquid_ml:
        return
    message = (
        f"{carbonates[0].name} and acid give off {gas_ml:.0f} mL of CO2, and no step says to add it slowly"
    )
    yield Hit(
        place_of(plan, carbonates[0]),
        message,
        "say so in a step: `manual: {do: Add the carbonate slowly, ...}`",
    )


def _carbon_dioxide_mol(carbonate: Substance) -> float:
    """Moles that it gives off; one gram where its mass is not declared."""
    mass = (1.0 if carbonate.mass_g is None else carbonate.mass_g) * carbonate.purity
    return mass / molar_mass(formula(carbonate.name)).g_per_mol if atoms_in(carbonate.name) else 0.0


@rule(
    "MIX-002", "error",
    "Two percent too much or too little of a cation against phosphorus costs the phase; five make another one.",
    "stoichiometry, derived (+5 % of alkali against its loss: assumed)",
    number=Number(2.0, "%", "lower"), waive="errors",
)  # fmt: skip
def _proportions(plan: Plan, bench: Bench) -> Iterator[Hit]:
    wanted = atoms_in(plan.product.formula) if plan.product else {}
    there = _moles(plan)
    if not there.get("P") or not wanted.get("P"):
        return
    for element in sorted(set(wanted) & set(there) - {"P", "O", "C", "H"}):
        off = 100 * (there[element] / there["P"] / (wanted[element] / wanted["P"]) - 1)
        loss = 5.0 if element in ("Li", "Na", "K") and off > 0 else 0.0
        if abs(off) > number(bench, "MIX-002") + loss + 1e-9:
            severity = "error" if abs(off) > 5.0 + loss else "warning"
            message = f"{element}/P of what is declared is {off:+.1f} % off that of the product"
            yield Hit(("contents",), message, "correct the masses, or their purity", severity)


def _moles(plan: Plan) -> Mapping[str, float]:
    """Moles of every element in what is declared; nothing where a mass or a formula is missing."""
    total: dict[str, float] = {}
    for substance in plan.contents or ():
        atoms = atoms_in(substance.name)
        if "polymer" in substance.kinds or "inert" in substance.kinds:
            continue
        if substance.mass_g is None or not atoms:
            return {}
        moles = substance.mass_g * substance.purity / molar_mass(formula(substance.name)).g_per_mol
        for element, n in atoms.items():
            total[element] = total.get(element, 0.0) + n * moles
    return total


@rule(
    "MIX-003", "warning",
    "V2O5 dust is toxic, and with oxalic acid it gives off CO2: work in the hood.",
    "handbook (unverified)",
)  # fmt: skip
def _dust(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for substance in having(plan, "vanadium pentoxide"):
        if not said(plan, HOOD):
            message = f"{substance.name} is toxic, and no step says that it is handled in the hood"
            yield Hit(
                place_of(plan, substance), message, "confirm it: `manual: {do: ..., confirm: [hood on]}`"
            )


@rule(
    "MIX-004", "warning",
    "Titanium alkoxide in water turns to titania before it meets the rest.",
    "usual practice, assumed",
)  # fmt: skip
def _hydrolyses(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if plan.charge.water_g <= 0 or having(plan, "chelator") or said(plan, "last"):
        return
    for substance in having(plan, "alkoxide"):
        message = f"{substance.name} meets {plan.charge.water_g:g} g of water without a chelator"
        yield Hit(
            place_of(plan, substance), message, "declare the chelator, or say in a step that it is added last"
        )


@rule(
    "MIX-005", "error",
    "Nitrate, perchlorate or peroxide with polymer or oxalate deflagrates. A supervisor may waive it for 0.2 g.",
    "safety contract", number=Number(0.2, "g", "lower"), waive="errors",
)  # fmt: skip
def _deflagrates(plan: Plan, bench: Bench) -> Iterator[Hit]:
    fuels = having(plan, "polymer", "oxalate")
    mass = grams(in_batch(plan))
    for oxidiser in having(plan, "oxidiser"):
        for fuel in fuels:
            most = number(bench, "MIX-005")
            message = f"{oxidiser.name} and {fuel.name} in one batch may deflagrate"
            hint = "use a carbonate, acetate or phosphate of the same metal"
            yield Hit(place_of(plan, oxidiser), message, hint, kept=mass is None or mass > most)
            break
