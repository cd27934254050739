"""`labctl recipe`: what to weigh for a product, what the reference says, and what is left to weigh."""

from __future__ import annotations

from argparse import Namespace
from fractions import Fraction
from typing import Any

from labctl.cli.terminal import print_json, print_table
from labctl.errors import UsageError, ValidationError
from labctl.protocol.batch import Batch, Line, batch, preparation_of
from labctl.protocol.chemistry import formula, molar_mass
from labctl.protocol.cookbook import find_recipe, recipes
from labctl.protocol.reaction import Reaction
from labctl.protocol.recipe import Unit

GAS_L_PER_MOL = 24.465
"""Of an ideal gas at 25 degC and 101.325 kPa (derived: RT/p)."""
DECIMALS: dict[Unit, int] = {"g": 4, "mL": 3}
"""An analytical balance shows 0.1 mg, a pipette 1 uL."""


def main(arguments: Namespace) -> int:
    """Print one recipe, or the table of all; 3 when something was weighed beyond its tolerance."""
    if arguments.product is None:
        if arguments.weighed:
            raise UsageError("--weighed needs a PRODUCT: name the recipe that is being weighed")
        batches = [batch(find_recipe(name), arguments.mass) for name in sorted(recipes())]
        if not arguments.json:
            _print_all(batches)
    else:
        one = batch(find_recipe(arguments.product), arguments.mass)
        for name, reading in arguments.weighed:
            one = one.weighed(name, reading)
        batches = [one]
        if not arguments.json:
            _print_one(one)
    if arguments.json:
        print_json({"recipes": [_data(b) for b in batches]})
    beyond = any(w.verdict != "ok" for b in batches for w in b.weighings.values())
    return ValidationError.exit_code if beyond else 0


def _print_all(batches: list[Batch]) -> None:
    """One column for each product, one row for each thing to take, in the order of the recipes."""
    about = {
        "product": [str(b.recipe.product.formula.value) for b in batches],
        "molar mass, g/mol": [f"{b.recipe.molar_mass.g_per_mol:.3f}" for b in batches],
        "product, mmol": [f"{1000 * b.product_g / b.recipe.molar_mass.g_per_mol:.4f}" for b in batches],
    }
    amounts: dict[str, list[str]] = {}
    order: dict[str, int] = {}
    for column, b in enumerate(batches):
        for place, line in enumerate(b.lines.values()):
            for unit, amount in _amounts(line):
                label = f"{_bottle(line)}, {unit}"
                amounts.setdefault(label, [""] * len(batches))[column] = f"{amount:.{DECIMALS[unit]}f}"
                order[label] = max(place, order.get(label, 0))
    follows = {
        "CO given off, mg": [f"{_carbon_monoxide_mg(b):.1f}" for b in batches],
        "theoretical capacity, mAh/g": [f"{b.recipe.capacity_mah_per_g:.2f}" for b in batches],
        "sum of oxidation states": [str(b.recipe.charge) for b in batches],
        "furthest from the reference": [_furthest(b) for b in batches],
    }
    rows = about | {label: amounts[label] for label in sorted(amounts, key=order.__getitem__)} | follows
    masses = {b.product_g for b in batches}
    head = f"for {_number(masses.pop())} g" if len(masses) == 1 else "for the mass of each recipe"
    names = [b.recipe.recipe for b in batches]
    print_table((head, *names), [(label, *cells) for label, cells in rows.items()])


def _print_one(b: Batch) -> None:
    """Head, reactions, reagents; and, once something was weighed, what was and what is left."""
    mass = b.recipe.molar_mass
    print(f"{b.recipe.recipe}: {b.recipe.title}")
    print(
        f"{_number(b.product_g)} g of {b.recipe.product.formula.value}, "
        f"{mass.g_per_mol:.3f} ± {mass.u_g_per_mol:.3f} g/mol, {b.recipe.capacity_mah_per_g:.2f} mAh/g; "
        f"oxidation states add up to {b.recipe.charge}"
    )
    for name, line in b.lines.items():
        if line.reagent.made_from:
            print(_equation(b, preparation_of(b.recipe, name)))
    print(_equation(b, b.reaction))
    reference = _reference(b)
    heads = ["reagent", "mmol", "take", "±", "reference", "off", "basis", "lot"]
    rows = [
        [
            _bottle(line),
            f"{1000 * line.mol:.4f}",
            ", ".join(_shown(amount, unit) for unit, amount in _amounts(line)),
            f"{line.tolerance_pct:g} %",
            *reference.get(name, ("-", "-")),
            line.reagent.basis,
            line.reagent.lot,
        ]
        for name, line in b.lines.items()
    ]
    columns = len(heads) if any(line.reagent.lot for line in b.lines.values()) else len(heads) - 1
    print_table(heads[:columns], [row[:columns] for row in rows])
    volume_ml = 1000 * GAS_L_PER_MOL * b.off_gas_mol("CO")
    print(
        f"gives off CO: {_carbon_monoxide_mg(b):.1f} mg, {volume_ml:.1f} mL at 25 degC; toxic, extraction on"
    )
    if b.weighings:
        _print_weighings(b)


def _print_weighings(b: Batch) -> None:
    print(f"corrected to what was weighed: {_number(b.product_g * b.scale)} g of product")
    rows = []
    for name, line in b.lines.items():
        weighing = b.weighings.get(name)
        left = b.to_add(name)
        rows.append(
            (
                name,
                _shown(weighing.wanted, weighing.unit) if weighing else "-",
                _shown(weighing.read, weighing.unit) if weighing else "-",
                f"{weighing.deviation_pct:+.2f} %" if weighing else "-",
                f"{weighing.verdict} (within {weighing.tolerance_pct:g} %)" if weighing else "-",
                _shown(left, line.unit) if left else "nothing",
            )
        )
    print_table(("reagent", "wanted", "weighed", "off", "verdict", "still to take"), rows)


def _data(b: Batch) -> dict[str, Any]:
    """A batch as JSON."""
    reference = b.recipe.reference
    return {
        "recipe": b.recipe.recipe,
        "formula": str(b.recipe.product.formula.value),
        "product_g": b.product_g,
        "corrected_product_g": b.product_g * b.scale,
        "molar_mass_g_per_mol": b.recipe.molar_mass.g_per_mol,
        "molar_mass_u_g_per_mol": b.recipe.molar_mass.u_g_per_mol,
        "capacity_mah_per_g": b.recipe.capacity_mah_per_g,
        "charge": b.recipe.charge,
        "gives_off_mmol": {species: 1000 * b.off_gas_mol(species) for species in b.reaction.gives},
        "reference": reference
        and {
            "source": reference.source,
            "molar_mass_g_per_mol": reference.molar_mass_g_per_mol,
            "capacity_mah_per_g": reference.capacity_mah_per_g,
        },
        "reagents": [
            {
                "name": name,
                "formula": str(line.reagent.formula.value),
                "role": line.reagent.role,
                "form": line.reagent.form,
                "lot": line.reagent.lot or None,
                "mmol": 1000 * line.mol,
                "mass_g": line.mass_g,
                "volume_ml": line.volume_ml,
                "tolerance_pct": line.tolerance_pct,
                "provenance": line.reagent.provenances,
                "reference": _reference_data(b, name),
                "unit": line.unit,
                "wanted": b.wanted(name),
                "to_add": b.to_add(name),
                "weighed": _weighing_data(b, name),
            }
            for name, line in b.lines.items()
        ],
    }


def _reference_data(b: Batch, name: str) -> dict[str, Any] | None:
    if name not in (beside := b.beside_reference()):
        return None
    said, off = beside[name]
    return {"value": said.value, "unit": said.unit, "off_pct": off}


def _weighing_data(b: Batch, name: str) -> dict[str, Any] | None:
    if (w := b.weighings.get(name)) is None:
        return None
    return {
        "wanted": w.wanted,
        "read": w.read,
        "unit": w.unit,
        "off_pct": w.deviation_pct,
        "verdict": w.verdict,
    }


def _reference(b: Batch) -> dict[str, tuple[str, str]]:
    beside = b.beside_reference().items()
    return {
        name: (_shown(said.value, said.unit), f"{round(off, 2) + 0.0:+.2f} %") for name, (said, off) in beside
    }


def _furthest(b: Batch) -> str:
    if b.recipe.reference is None:
        return "-"
    off = {name: abs(percent) for name, (_, percent) in b.beside_reference().items()}
    off["molar mass"] = abs(
        100 * (b.recipe.molar_mass.g_per_mol / b.recipe.reference.molar_mass_g_per_mol - 1)
    )
    off["capacity"] = abs(100 * (b.recipe.capacity_mah_per_g / b.recipe.reference.capacity_mah_per_g - 1))
    return f"{max(off.values()):.3f} %"


def _bottle(line: Line) -> str:
    """A reagent and what the bottle holds, where that is not simply the substance."""
    reagent = line.reagent
    if reagent.concentration is not None:
        return f"{line.name} {reagent.concentration.value:g} M"
    if reagent.purity is not None and reagent.purity.value < 100:
        return f"{line.name} {reagent.purity.value:g} wt%"
    return line.name


def _amounts(line: Line) -> list[tuple[Unit, float]]:
    """Grams and millilitres of what is taken, as far as both mean something."""
    both: list[tuple[Unit, float | None]] = [("g", line.mass_g), ("mL", line.volume_ml)]
    return [
        (unit, amount) for unit, amount in both if amount is not None and (unit == line.unit or unit == "mL")
    ]


def _carbon_monoxide_mg(b: Batch) -> float:
    return 1000 * b.off_gas_mol("CO") * molar_mass(formula("CO")).g_per_mol


def _equation(b: Batch, reaction: Reaction) -> str:
    takes = {str(b.recipe.reagents[name].formula.value): moles for name, moles in reaction.takes.items()}
    gives = {str(reaction.product): Fraction(1), **reaction.gives}
    return " -> ".join(
        " + ".join(f"{f'{_number(float(n))} ' if n != 1 else ''}{species}" for species, n in side.items())
        for side in (takes, gives)
    )


def _shown(amount: float, unit: Unit) -> str:
    return f"{amount:.{DECIMALS[unit]}f} {unit}"


def _number(value: float) -> str:
    return f"{value:.6g}"
