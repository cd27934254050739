"""Weighing and dispensing steps bound to a recipe and to the instruments of a bench."""

from __future__ import annotations

from labctl.bench.schema import Bench
from labctl.errors import LabctlError, UsageError
from labctl.model.quantity import QuantityError
from labctl.protocol.batch import Batch, batch
from labctl.protocol.cookbook import find_recipe
from labctl.protocol.declared import NO_RECIPE
from labctl.protocol.plan import Dispense, Portion, Weigh
from labctl.protocol.recipe import Unit
from labctl.protocol.roles import Cast
from labctl.protocol.schema import WrittenDispense, WrittenProtocol, WrittenStep, WrittenWeigh
from labctl.protocol.source import Path

TOLERANCE_PCT = 1.0
"""Of what a protocol itself gives a mass or volume for, without a tolerance (assumed, as the recipes have it)."""
FLAMMABLE = frozenset({"C4H8O", "C2H6O", "CH4O", "C3H6O", "C3H8O", "C4H8O2", "C2H3N", "C7H8"})
"""Solvents with a flash point below 40 degC: THF and ethanol (chemicals 1.5.2), methanol, acetone, 2-propanol, ethyl
acetate, acetonitrile and toluene (handbook). Whatever has no formula here counts as flammable too."""
NOT_FLAMMABLE = frozenset({"H2O", "H3PO4"})
"""Liquids that do not burn."""
MARGIN_S = 1800.0
"""Added to the time-out of a dispense: a warm plate may have to cool first (assumed)."""


class Portions:
    """What the steps of one protocol take, by its recipe; findings go to `cast`."""

    def __init__(self, protocol: WrittenProtocol, bench: Bench, cast: Cast) -> None:
        self._protocol = protocol
        self._bench = bench
        self._cast = cast
        self._batch: Batch | None = None
        self._looked = False

    def weigh(self, step: WrittenStep, weigh: WrittenWeigh, at: Path) -> Weigh | None:
        """The step in the plan, or None and findings."""
        name = self._cast.instrument(weigh.with_, (*at, "with"), "balance")
        chamber = self._cast.chamber(name, (*at, "with"))
        portion = self._portion(weigh, "g", weigh.mass, at)
        if name is None or chamber is None or portion is None:
            return None
        return Weigh(
            id=step.id, title=step.title, instruments=(name,), chamber=chamber, balance=name, portion=portion
        )

    def dispense(self, step: WrittenStep, dispense: WrittenDispense, at: Path) -> Dispense | None:
        """The step in the plan, or None and findings."""
        name = self._cast.instrument(dispense.with_, (*at, "with"), "syringe_pump")
        chamber = self._cast.chamber(name, (*at, "with"))
        portion = self._portion(dispense, "mL", dispense.volume, at)
        if name is None or chamber is None or portion is None:
            return None
        holds = self._bench.instruments[name].options.get("syringe_ml")
        if holds is not None and portion.amount > float(holds):
            message = f"{portion.amount:g} mL of {portion.reagent} are more than the {holds:g} mL of {name}"
            self._cast.error(
                "BIND-009", (*at, "reagent"), message, "dispense it in several steps, by `volume`"
            )
        expected_s = 60.0 * portion.amount / dispense.rate
        flammable = dispense.flammable
        if flammable is None:
            flammable = portion.formula in FLAMMABLE or portion.formula not in NOT_FLAMMABLE
        return Dispense(
            id=step.id, title=step.title, instruments=(name,), chamber=chamber, pump=name, portion=portion,
            rate_ml_per_min=dispense.rate, flammable=flammable,
            timeout_s=dispense.timeout or round(1.5 * expected_s + MARGIN_S, 6),
        )  # fmt: skip

    def _portion(
        self, written: WrittenWeigh | WrittenDispense, unit: Unit, given: float | None, at: Path
    ) -> Portion | None:
        """As the recipe has it, or as the step says itself."""
        made = self._recipe(at) if given is None or self._has_recipe else None
        known = None if made is None else made.lines.get(written.reagent)
        if known is None:
            if given is not None:
                tolerance = written.tolerance or TOLERANCE_PCT
                return Portion(
                    reagent=written.reagent, unit=unit, amount=given, tolerance_pct=tolerance, lot=written.lot
                )
            if made is not None:
                message = f"recipe {made.recipe.recipe} has no reagent {written.reagent!r}"
                near = self._cast.near(written.reagent, made.lines)
                self._cast.error("RCP-006", (*at, "reagent"), message, near)
            return None
        reagent = known.reagent
        try:
            amount = given if given is not None else known.amount(unit)
        except QuantityError as error:
            self._cast.error("RCP-006", (*at, "reagent"), error.reason, error.hint)
            return None
        return Portion(
            reagent=written.reagent, formula=str(reagent.formula.value), unit=unit, amount=round(amount, 6),
            tolerance_pct=written.tolerance or known.tolerance_pct, follows=given is None,
            precursor=given is None and reagent.role == "precursor",
            purity_wt_pct=reagent.purity.value if reagent.purity else None, lot=written.lot or reagent.lot,
        )  # fmt: skip

    @property
    def _has_recipe(self) -> bool:
        product = self._protocol.product
        return product is not None and product.recipe != NO_RECIPE

    def _recipe(self, at: Path) -> Batch | None:
        """The batch of the product's recipe; looked up once, and complained about once."""
        if self._looked:
            return self._batch
        self._looked = True
        product = self._protocol.product
        if product is None or product.recipe == NO_RECIPE:
            message = "how much to take is said by no recipe"
            self._cast.error("RCP-006", at, message, "write a `product`, or the amount itself")
            return None
        try:
            self._batch = batch(find_recipe(product.recipe or product.formula), product.mass)
        except UsageError:
            return None  # the product says so already
        except LabctlError as error:
            self._cast.error("RCP-006", ("product",), str(error))
        return self._batch
