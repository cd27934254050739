"""A batch: what a recipe takes for so many grams of product, and what is left to take once some of it was weighed.

What is in the pot stays there. A precursor of which too much was taken therefore makes the batch larger: every
reagent that is still to come follows it, and one that was weighed before and now lags behind is topped up.
A chelator, polymer or solvent makes no product, and only follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from labctl.errors import UsageError
from labctl.model.quantity import QuantityError
from labctl.protocol.chemistry import Formula, formula, molar_mass
from labctl.protocol.diagnosis import nearest
from labctl.protocol.reaction import BalanceError, Reaction, balance
from labctl.protocol.recipe import Measured, Reagent, Recipe, Unit, measured
from labctl.protocol.weighing import Weighing, scale_of

LEAST_G, MOST_G = 1e-3, 1e4
"""Between what a balance resolves and what a laboratory holds (assumed)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One reagent of a batch as planned: moles of its formula, grams and millilitres of what is in the bottle.

    mass_g, volume_ml: None where it cannot be known (a solution without density, a solid).
    """

    name: str
    reagent: Reagent
    mol: float
    mass_g: float | None
    volume_ml: float | None
    tolerance_pct: float

    @property
    def unit(self) -> Unit:
        """How it is taken: solutions and solvents by volume, everything else by weight."""
        poured = self.reagent.form == "solution" or self.reagent.role == "solvent"
        return "mL" if poured else "g"

    def amount(self, unit: Unit) -> float:
        """Grams or millilitres. Raises QuantityError where only the other is known."""
        value = self.mass_g if unit == "g" else self.volume_ml
        if value is None:
            wanted = "a mass in g" if unit == "mL" else "a volume in mL"
            raise QuantityError(f"{self.name} is a {self.reagent.form}", f"give {wanted}")
        return value


@dataclass(frozen=True, slots=True)
class Batch:
    """A recipe for `product_g` grams. `scale`: by how much what was weighed has made it larger or smaller."""

    recipe: Recipe
    product_g: float
    reaction: Reaction
    lines: Mapping[str, Line]
    weighings: Mapping[str, Weighing]
    scale: float = 1.0

    def wanted(self, name: str, unit: Unit | None = None) -> float:
        """How much of that reagent the batch takes now, in `unit` (default: as it is taken)."""
        line = self.lines[name]
        return line.amount(unit or line.unit) * self.scale

    def to_add(self, name: str) -> float:
        """How much of it is still to be taken, as it is taken: nothing where what is there is within tolerance."""
        wanted = self.wanted(name)
        if name not in self.weighings:
            return wanted
        line = self.lines[name]
        taken = self._factor(name) * line.amount(line.unit)
        return Weighing(name, wanted, taken, line.unit, line.tolerance_pct).missing

    def weighed(self, name: str, reading: str) -> Batch:
        """This batch once so much of a reagent was taken, and the rest corrected to it.

        Raises UsageError for an unknown reagent or one that was weighed before, QuantityError for a reading that
        is no mass or volume above zero.
        """
        line = self.lines[self._known(name)]
        try:
            taken = measured(reading)
        except QuantityError as error:
            raise QuantityError(f"{line.name}: {error.reason}", error.hint) from None
        if line.name in self.weighings:
            raise UsageError(f"{line.name} is given twice; give what was taken in all")
        wanted = line.amount(taken.unit) * self.scale
        weighing = Weighing(line.name, wanted, taken.value, taken.unit, line.tolerance_pct)
        after = replace(self, weighings={**self.weighings, line.name: weighing})
        precursors = [n for n in after.weighings if self.lines[n].reagent.role == "precursor"]
        return replace(after, scale=scale_of(map(after._factor, precursors)))

    def beside_reference(self) -> dict[str, tuple[Measured, float]]:
        """Of each reagent with a reference: what that says for this mass, and by how many percent we are off."""
        said = self.recipe.reference.amounts if self.recipe.reference else {}
        scaled = {name: Measured(each.value * self.product_g, each.unit) for name, each in said.items()}
        return {
            name: (each, 100 * (self.lines[name].amount(each.unit) / each.value - 1))
            for name, each in scaled.items()
        }

    def off_gas_mol(self, species: str) -> float:
        """Moles of a species that the main reaction gives off."""
        moles = self.reaction.gives.get(species, Fraction(0))
        return float(moles) * self.scale * self.product_g / self.recipe.molar_mass.g_per_mol

    def _factor(self, name: str) -> float:
        weighing = self.weighings[name]
        return weighing.read / self.lines[name].amount(weighing.unit)

    def _known(self, name: str) -> str:
        by_formula = {str(line.reagent.formula.value): line.name for line in self.lines.values()}
        found = name if name in self.lines else by_formula.get(name)
        if found is None:
            raise UsageError(f"{self.recipe.recipe} has no reagent {name!r} ({nearest(name, self.lines)})")
        return found


def batch(recipe: Recipe, product_g: float | None = None) -> Batch:
    """What a recipe takes for `product_g` grams (default: as it says). Raises BalanceError or QuantityError."""
    grams = recipe.product.mass.value if product_g is None else product_g
    if not LEAST_G <= grams <= MOST_G:
        raise QuantityError(
            f"{grams:g} g of product cannot be weighed", f"from {LEAST_G:g} g to {MOST_G:g} g"
        )
    if recipe.charge:
        product = recipe.product.formula.value
        raise BalanceError("", f"the oxidation states of {product} add up to {recipe.charge:+d}, not to zero")
    reaction = reaction_of(recipe)
    moles = _moles(recipe, reaction)
    product_mol = grams / recipe.molar_mass.g_per_mol
    lines = {
        name: _line(recipe, name, reagent, moles.get(name), product_mol, grams)
        for name, reagent in recipe.reagents.items()
    }
    return Batch(recipe, grams, reaction, lines, {})


def reaction_of(recipe: Recipe) -> Reaction:
    """How the product is made of its precursors and what follows them. Raises BalanceError."""
    inside = {name for reagent in recipe.reagents.values() for name in reagent.made_from}
    sources = [n for n, r in recipe.reagents.items() if n not in inside and r.amount is None]
    return _reaction(recipe, recipe.product.formula.value, sources, recipe.leaving)


def preparation_of(recipe: Recipe, name: str) -> Reaction:
    """How a solution is made of what it is `made_from`. Raises BalanceError."""
    reagent = recipe.reagents[name]
    sources = [n for n in reagent.made_from if recipe.reagents[n].amount is None]
    return _reaction(recipe, reagent.formula.value, sources, reagent.leaving)


def _reaction(
    recipe: Recipe, product: Formula, sources: Sequence[str], leaving: Sequence[Formula]
) -> Reaction:
    """The balanced reaction, with the reagents in proportion to its sources, and all that departs whole."""
    followers = {
        name: reagent.amount.value
        for name, reagent in recipe.reagents.items()
        if reagent.amount and reagent.amount.value.of in sources
    }
    brought = {name: _atoms(recipe.reagents[name]) for name in sources}
    for name, share in followers.items():
        for element, n in _atoms(recipe.reagents[name]).items():
            brought[share.of][element] = brought[share.of].get(element, Fraction(0)) + n * share.amount
    balanced = balance(product, brought, leaving)
    takes = dict(balanced.takes)
    takes |= {name: share.amount * takes[share.of] for name, share in followers.items()}
    gives = dict(balanced.gives)
    for name, moles in takes.items():
        for species, molecules in recipe.reagents[name].departs.items():
            gives[species] = gives.get(species, Fraction(0)) + molecules * moles
    return Reaction(product, takes, gives)


def _atoms(reagent: Reagent) -> dict[str, Fraction]:
    """What one mole of it brings, less what departs whole."""
    atoms = {element: Fraction(n) for element, n in reagent.formula.value.atoms.items()}
    for species, molecules in reagent.departs.items():
        for element, n in formula(species).atoms.items():
            atoms[element] = atoms.get(element, Fraction(0)) - n * molecules
    return atoms


def _moles(recipe: Recipe, reaction: Reaction) -> dict[str, Fraction]:
    """Moles of every reagent for one mole of product; those in proportion to its mass are left out."""
    moles = dict(reaction.takes)
    for name, reagent in recipe.reagents.items():
        if reagent.made_from and name in moles:
            for source, share in preparation_of(recipe, name).takes.items():
                moles[source] = moles.get(source, Fraction(0)) + share * moles[name]
    return moles


def _line(
    recipe: Recipe, name: str, reagent: Reagent, moles: Fraction | None, product_mol: float, grams: float
) -> Line:
    """Moles become grams of what is in the bottle, by its purity, and millilitres, by density or concentration."""
    g_per_mol = molar_mass(reagent.formula.value).g_per_mol
    purity = reagent.purity.value / 100 if reagent.purity else 1.0
    density = reagent.density.value if reagent.density else None
    if moles is not None:
        mol = float(moles) * product_mol
    else:
        assert reagent.amount is not None
        given = float(reagent.amount.value.amount) * grams
        in_grams = given if reagent.amount.value.unit == "g" else given * (density or 0.0) * purity
        mol = in_grams / g_per_mol
    tolerance = (reagent.tolerance or recipe.tolerance).value
    if reagent.concentration is not None:
        volume_ml = mol / reagent.concentration.value * 1000
        return Line(name, reagent, mol, volume_ml * density if density else None, volume_ml, tolerance)
    mass_g = mol * g_per_mol / purity
    return Line(name, reagent, mol, mass_g, mass_g / density if density else None, tolerance)
