"""What a protocol declares besides its steps: published results, and what is in the batch."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.errors import UsageError, ValidationError
from labctl.model.quantity import DIMENSIONS, QuantityError, parse
from labctl.protocol.chemistry import FormulaError, formula
from labctl.protocol.contents import KINDS, kinds_of
from labctl.protocol.cookbook import find_recipe
from labctl.protocol.plan import Expected, Parameter, Product, Substance
from labctl.protocol.roles import Cast
from labctl.protocol.schema import WrittenProtocol
from labctl.protocol.source import Path
from labctl.protocol.words import Scalar

NO_RECIPE = "none"
"""What a product says that nobody has a recipe for."""


def made(protocol: WrittenProtocol, cast: Cast) -> Product | None:
    """The product. Somebody must know what to weigh: a recipe tells, or the protocol says that there is none."""
    product = protocol.product
    if product is None:
        return None
    if product.recipe != NO_RECIPE:
        try:
            followed = find_recipe(product.recipe or product.formula).product.formula.value
            if product.recipe and followed != formula(product.formula):
                message = f"recipe {product.recipe!r} makes {followed}, not {product.formula}"
                cast.error("RCP-005", ("product", "recipe"), message)
        except (UsageError, ValidationError, FormulaError) as error:
            hint = f"write one, or say that there is none: `recipe: {NO_RECIPE}`"
            at = "recipe" if product.recipe else "formula"
            cast.error("RCP-005", ("product", at), f"no recipe tells what to weigh: {error}", hint)
    return Product(formula=product.formula, mass_g=product.mass, made_at_c=product.made_at)


def substances(protocol: WrittenProtocol, cast: Cast) -> tuple[Substance, ...] | None:
    """Every substance with what it is: as declared, and as its name tells; None when nothing is declared."""
    if protocol.contents is None:
        return None
    found = []
    for name, declared in protocol.contents.items():
        known = kinds_of(name)
        if known is None and not declared.is_:
            message = f"what {name!r} is cannot be told from its name"
            hint = f"write its formula, or say so: `{name}: {{is: polymer}}`; kinds: {', '.join(KINDS)}"
            cast.error("MIX-006", ("contents", name), message, hint, key=True)
            continue
        kinds = tuple(dict.fromkeys((*declared.is_, *(known or ()))))
        found.append(Substance(name=name, mass_g=declared.mass, purity=declared.purity / 100.0, kinds=kinds))
    return tuple(found)


def published(
    protocol: WrittenProtocol, parameters: Mapping[str, Parameter], cast: Cast
) -> tuple[Expected, ...]:
    """The expected results that apply to the parameters of this plan; values elsewhere only are a note."""
    applying: list[Expected] = []
    elsewhere: dict[str, int] = {}
    for i, e in enumerate(protocol.expected):
        held = [
            _holds(protocol, parameters, cast, name, value, ("expected", i, "when", name))
            for name, value in e.when.items()
        ]
        if all(held):
            applying.append(
                Expected(quantity=e.quantity, value=e.value, unit=e.unit, tolerance=e.tolerance,
                         provenance=e.provenance, step=e.step)
            )  # fmt: skip
            if e.step is not None and e.step not in (known := [s.id for s in protocol.steps]):
                message = f"there is no step {e.step!r}"
                cast.error("STEP-006", ("expected", i, "step"), message, cast.near(e.step, known))
        else:
            elsewhere.setdefault(e.quantity, i)
    for quantity, i in elsewhere.items():
        if all(e.quantity != quantity for e in applying):
            message = f"nothing is published about {quantity} at these parameters; it will not be judged"
            cast.findings.append(cast.document.finding("EXP-001", ("expected", i), message, severity="info"))
    return tuple(applying)


def _holds(
    protocol: WrittenProtocol,
    parameters: Mapping[str, Parameter],
    cast: Cast,
    name: str,
    value: Scalar,
    path: Path,
) -> bool:
    parameter = parameters.get(name)
    if parameter is None:
        if name not in protocol.parameters:
            hint = cast.near(name, protocol.parameters)
            cast.error("PAR-001", path, f"there is no parameter {name!r}", hint, key=True)
        return False
    dimension = next((d.name for d in DIMENSIONS.values() if d.unit == parameter.unit), None)
    if dimension is None:
        return bool(value == parameter.value)
    try:
        return parse(value, dimension) == parameter.value
    except QuantityError as error:
        cast.error("QTY-001", path, f"{name}: {error.reason}", error.hint)
        return False
