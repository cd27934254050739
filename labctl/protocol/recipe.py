"""A recipe: from the product's formula and mass to what is weighed, by stoichiometry.

Precursors are balanced against the product, element by element and exactly (`reaction.py`); what follows them
(a chelator, a template polymer, a solvent) is given in proportion. A batch (`batch.py`) turns moles into grams.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from labctl.model.quantity import QuantityError, dimension_of, parse
from labctl.protocol.chemistry import Formula, FormulaError, MolarMass, formula, molar_mass
from labctl.protocol.diagnosis import nearest
from labctl.protocol.reaction import BalanceError
from labctl.protocol.words import Provenance, Written, problem

FARADAY_C_PER_MOL = 96485.33212
"""Charge of a mole of electrons (SI, exact to the digits shown)."""

Role = Literal["precursor", "chelator", "carbon source", "template polymer", "solvent"]
Form = Literal["solid", "liquid", "solution"]
Unit = Literal["g", "mL"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tagged(Generic[T]):
    """A value and where it comes from; written `[VALUE, PROVENANCE]`."""

    value: T
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Proportion:
    """How much, for each `of`: moles of another reagent (`3 per V2O5`), or a gram of product (`10 mL per g`)."""

    amount: Fraction
    unit: Literal["mol"] | Unit
    of: str


@dataclass(frozen=True, slots=True)
class Measured:
    """An amount as it is taken: by weight or by volume."""

    value: float
    unit: Unit


def measured(text: object) -> Measured:
    """The mass or volume in `text`. Raises QuantityError for anything else, and for nothing at all."""
    dimension: Literal["mass", "volume"] = "volume" if dimension_of(text) == "volume" else "mass"
    value = parse(text, dimension)
    if value <= 0:
        raise QuantityError(f"{text!r} is nothing", "a mass or a volume above zero is wanted")
    return Measured(value, "mL" if dimension == "volume" else "g")


def _tagged(read: Callable[[object], Any]) -> Any:
    """The annotation of a value that is written with its provenance; `read` makes the value of its text."""

    def pair(written: object) -> Tagged[Any]:
        if not isinstance(written, list) or len(written) != 2 or written[1] not in get_args(Provenance):
            tags = ", ".join(get_args(Provenance))
            raise problem("SCH-003", f"{written!r} is not [VALUE, PROVENANCE]", f"provenance: {tags}")
        return Tagged(_read(read, written[0]), written[1])

    return PlainValidator(pair)


def _read(read: Callable[[object], T], written: object) -> T:
    """What `read` makes of it, its refusals as findings."""
    try:
        return read(written)
    except QuantityError as error:
        context = {"reason": error.reason, "hint": error.hint or ""}
        raise PydanticCustomError("quantity", "{reason}", context) from None
    except FormulaError as error:
        raise problem("RCP-001", str(error)) from None


def _quantity(dimension: str) -> Any:
    return _tagged(lambda text: parse(text, dimension))


def _formula(text: object) -> Formula:
    return formula(str(text))


def _tolerance(text: object) -> float:
    percent = parse(text, "percent")
    if not 0 < percent < 100:
        raise QuantityError(f"{text!r} is no tolerance", "above 0 % and below 100 %")
    return percent


def _count(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise QuantityError(f"{number!r} is not a whole number above zero")
    return number


def _proportion(text: object) -> Proportion:
    amount, per, of = (part.strip() for part in str(text).partition(" per "))
    if not per:
        raise QuantityError(
            f"{text!r} is no proportion", "write `3 per V2O5`, `0.3 g per g` or `10 mL per g`"
        )
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", amount):
        return Proportion(Fraction(amount), "mol", of)
    given = measured(amount)
    if of != "g":
        raise QuantityError(f"{text!r} is not for a gram of product", f"write `{amount} per g`")
    return Proportion(Fraction(given.value), given.unit, "g")


def _formulae(texts: object) -> list[Formula]:
    if not isinstance(texts, list):
        raise problem("SCH-003", "a list of formulae is wanted", "write `[CO2, H2O]`")
    return [_read(_formula, text) for text in texts]


Formulae = Annotated[list[Formula], PlainValidator(_formulae)]
TaggedFormula = Annotated[Tagged[Formula], _tagged(_formula)]
Part = Annotated[Tagged[float], _quantity("weight_percent")]
Tolerance = Annotated[Tagged[float], _tagged(_tolerance)]


class Reagent(Written):
    """One bottle, or one solution that is made on the way.

    role: what it is there for; `precursor` ends up in the product. form: `solid` (weighed), `liquid` (weighed or
    poured) or `solution` (poured). purity: wt% of `formula` in it. density: g/mL. concentration: mol/L.
    amount: in proportion to something; without it, by the balance of elements. made_from: the reagents that this
    solution is made of, `leaving` what goes off meanwhile. departs: molecules that leave whole, for each formula.
    lot: the bottle's; tolerance: percent, of what is weighed (default: the recipe's).
    """

    formula: TaggedFormula
    role: Role
    form: Form = "solid"
    purity: Part | None = None
    density: Annotated[Tagged[float], _quantity("density")] | None = None
    concentration: Annotated[Tagged[float], _quantity("molarity")] | None = None
    amount: Annotated[Tagged[Proportion], _tagged(_proportion)] | None = None
    made_from: list[str] = Field(default_factory=list)
    leaving: Formulae = Field(default_factory=list)
    departs: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    lot: str = ""
    tolerance: Tolerance | None = None

    @model_validator(mode="after")
    def _can_be_measured(self) -> Reagent:
        wanted = {"solid": ("purity",), "liquid": ("purity", "density"), "solution": ("concentration",)}
        for name in wanted[self.form]:
            if getattr(self, name) is None:
                raise problem(
                    "SCH-002", f"a {self.form} needs a {name}", f"write `{name}: [VALUE, PROVENANCE]`"
                )
        if self.purity is not None and not 0 < self.purity.value <= 100:
            raise problem("RCP-002", f"a purity of {self.purity.value:g} wt% cannot be", key="purity")
        for name in ("density", "concentration"):
            given = getattr(self, name)
            if given is not None and given.value <= 0:
                raise problem("RCP-002", f"a {name} of zero cannot be", key=name)
        if self.amount is None and self.role != "precursor":
            raise problem(
                "SCH-002", f"a {self.role} needs an amount", "write `amount: [10 mL per g, assumed]`"
            )
        return self

    @property
    def provenances(self) -> dict[str, Provenance]:
        """Where each of its values comes from."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value.provenance for name, value in values.items() if isinstance(value, Tagged)}

    @property
    def basis(self) -> Provenance:
        """The least sure of where its values come from."""
        return max(self.provenances.values(), key=get_args(Provenance).index)


class Product(Written):
    """What is made: its formula, mass, oxidation states (their sum is zero), and electrons cycled per formula."""

    formula: TaggedFormula
    mass: Annotated[Tagged[float], _quantity("mass")]
    states: dict[str, int]
    electrons: Annotated[Tagged[int], _tagged(_count)]


class Reference(Written):
    """What somebody else computed for one gram, to compare with."""

    source: str
    molar_mass_g_per_mol: float = Field(gt=0)
    capacity_mah_per_g: float = Field(gt=0)
    amounts: dict[str, Annotated[Measured, PlainValidator(lambda text: _read(measured, text))]]


class Recipe(Written):
    """A recipe file."""

    recipe: str = Field(pattern="^[a-z0-9][a-z0-9_-]*$", max_length=64)
    title: str
    source: dict[str, str]
    product: Product
    leaving: Formulae
    tolerance: Tolerance
    reagents: dict[str, Reagent] = Field(min_length=1)
    reference: Reference | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> Recipe:
        for name, reagent in self.reagents.items():
            if reagent.made_from and reagent.amount:
                raise problem("RCP-003", f"{name} is made on the way, so its amount follows from the product")
            for other in (*reagent.made_from, *_proportional_to(reagent)):
                if other not in self.reagents or other == name:
                    hint = nearest(other, set(self.reagents) - {name}) or ""
                    raise problem("RCP-003", f"{name}: no other reagent {other!r}", hint)
            for other in reagent.made_from:
                if self.reagents[other].made_from:
                    raise problem("RCP-003", f"{name} is made from {other}, which is made from others itself")
            for other in _proportional_to(reagent):
                if self.reagents[other].amount:
                    raise problem(
                        "RCP-003", f"{name} is in proportion to {other}, which the elements do not fix"
                    )
        for name in self.reference.amounts if self.reference else ():
            if name not in self.reagents:
                raise problem(
                    "RCP-003", f"reference: no reagent {name!r}", nearest(name, self.reagents) or ""
                )
        return self

    @property
    def molar_mass(self) -> MolarMass:
        """Of the product."""
        return molar_mass(self.product.formula.value)

    @property
    def charge(self) -> int:
        """The sum of the product's oxidation states, in elementary charges. Raises BalanceError."""
        atoms = self.product.formula.value.atoms
        for element in sorted({*atoms} - {*self.product.states}):
            raise BalanceError(element, f"{element} needs an oxidation state")
        for element in sorted({*self.product.states} - {*atoms}):
            made = self.product.formula.value
            raise BalanceError(element, f"{element} has an oxidation state and is not in {made}")
        return sum(n * self.product.states[element] for element, n in atoms.items())

    @property
    def capacity_mah_per_g(self) -> float:
        """Theoretical capacity: electrons * F / 3.6 / M (derived)."""
        return self.product.electrons.value * FARADAY_C_PER_MOL / 3.6 / self.molar_mass.g_per_mol


def _proportional_to(reagent: Reagent) -> tuple[str, ...]:
    """The reagent to whose moles this one's are in proportion, if it is so."""
    return (reagent.amount.value.of,) if reagent.amount and reagent.amount.value.unit == "mol" else ()
