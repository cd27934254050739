"""Solvents that burn: where they may evaporate, how hot, and what must be known before."""

from __future__ import annotations

import math
from collections.abc import Iterator

from labctl.bench.schema import Bench, Chamber
from labctl.protocol.plan import Heat, Manual, Plan
from labctl.protocol.rules.core import DRYING_C, Hit, Number, number, rule, top_c, wet_heats
from labctl.protocol.vapour import SAFE_FRACTION, closed_fraction, dilution_l_per_min, grams_of

BOILING_C = {"thf": 66.0, "ethanol": 78.4}


@rule(
    "SOL-001", "error",
    "Vapour of THF (flash point -14 degC) in a closed hot oven explodes.",
    "NAP 4911; DCHAS", waive="never",
)  # fmt: skip
def _rated(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat in wet_heats(plan, bench):
        if not bench.chambers[heat.chamber or ""].flammable_rated:
            grams = plan.charge.flammable_solvent_g
            message = f"up to {grams:.1f} g of solvent in {heat.chamber}, not rated for it"
            hint = "use a dryer whose chamber is `flammable_rated: true`"
            yield Hit(("steps", i, "heat", "with"), message, hint)


@rule(
    "SOL-002", "error",
    "Vapour stays below a quarter of its lower flammable limit: 1.4 mL of THF fill 30 L with as much as burns.",
    "NFPA 86; ideal gas, derived",
)  # fmt: skip
def _thin(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat in wet_heats(plan, bench):
        chamber, path = bench.chambers[heat.chamber or ""], ("steps", i, "heat", "with")
        if chamber.exhaust_l_per_min is not None:
            needed = dilution_l_per_min(plan.charge, top_c(heat))
            if chamber.exhaust_l_per_min < needed:
                message = (
                    f"the exhaust of {heat.chamber} draws {chamber.exhaust_l_per_min:g} L/min; vapour at "
                    f"{top_c(heat):g} degC wants {needed:.1f} L/min"
                )
                yield Hit(path, message, "dry cooler, or in a dryer with more exhaust", "warning")
        elif not chamber.flammable_rated and chamber.volume_cm3:
            times = closed_fraction(plan.charge, chamber.volume_cm3, top_c(heat))
            if times > SAFE_FRACTION:
                message = f"the solvent fills {heat.chamber} to {times:.1f} times its lower flammable limit"
                yield Hit(
                    path, message, "a smaller batch, or an exhaust", "error" if times > 1 else "warning"
                )


@rule(
    "SOL-003", "error",
    "THF forms peroxides, which explode as it evaporates: test it, and discard it above 100 ppm.",
    "NAP 4911; LCSS; Iowa State", number=Number(100.0, "ppm", "lower"), waive="never",
)  # fmt: skip
def _peroxides(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if plan.charge.thf_g <= 0:
        return
    most = number(bench, "SOL-003")
    for i, step in enumerate(plan.steps):
        if isinstance(step, Manual) and not step.when:
            tests = [e for e in step.enter if e.name == "peroxide" and e.max is not None]
            for entry in tests:
                if entry.max is not None and entry.max > most:
                    message = (
                        f"{entry.max:g} ppm of peroxide is more than the {most:g} ppm that may evaporate"
                    )
                    yield Hit(("steps", i, "manual", "enter", "peroxide", "max"), message, "20 ppm is usual")
            if tests:
                return
        if isinstance(step, Heat):
            message = f"step {step.id!r} evaporates THF, and no step before it tests for peroxides"
            hint = "put `manual: {do: ..., enter: {peroxide: {unit: ppm, max: 20}}}` before it"
            yield Hit(("steps", i, "heat"), message, hint)
            return


@rule(
    "SOL-004", "warning",
    "A peroxide former must not go dry with nothing left to dissolve in: leave 10 %, or have solids in it.",
    "Virginia Tech EHS; LCSS",
)  # fmt: skip
def _to_dryness(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if plan.charge.thf_g <= 0 or plan.contents or plan.product is not None:
        return
    for i, heat in wet_heats(plan, bench):
        message = f"step {heat.id!r} dries THF with no solids declared in it"
        yield Hit(("steps", i, "heat"), message, "say what is dissolved: `contents: {Na2CO3: 0.35 g, ...}`")
        return


@rule(
    "SOL-005", "error",
    "A hot oven ignites the solvent that is left in a batch: at least so much must be gone, by weight.",
    "safety contract; derived", number=Number(99.0, "%", "higher"), waive="never",
)  # fmt: skip
def _dried(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat in wet_heats(plan, bench):
        if top_c(heat) > DRYING_C:
            message = f"step {heat.id!r} goes above {DRYING_C:g} degC before the loss of solvent was weighed"
            least = number(bench, "SOL-005")
            hint = f"put `manual: {{..., require: {{solvent_loss: at least {least:g} %}}}}` before it"
            yield Hit(("steps", i, "heat"), message, hint)
            return


@rule(
    "SOL-006", "warning",
    "Within 5 K of its boiling point a stirred solvent bumps and foams over.",
    "boiling points (chemicals): THF 66 degC, ethanol 78.4 degC",
)  # fmt: skip
def _boiling(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat in wet_heats(plan, bench):
        lowest = min(BOILING_C[solvent] for solvent in grams_of(plan.charge))
        if _stirred(bench, heat) and top_c(heat) > lowest - 5:
            message = f"{top_c(heat):g} degC is near the boiling point of the batch, {lowest:g} degC"
            yield Hit(("steps", i, "heat", "to"), message, f"at most {lowest - 5:g} degC")


def _stirred(bench: Bench, heat: Heat) -> bool:
    return any(
        i.chamber == heat.chamber and "hotplate_stirrer" in i.provides for i in bench.instruments.values()
    )


@rule(
    "SOL-007", "error",
    "A plate hotter than 0.8 of its autoignition temperature (230 degC) lights THF that is spilt on it.",
    "chemicals (autoignition)", number=Number(184.0, "degC", "lower"), waive="never",
)  # fmt: skip
def _plate(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat in wet_heats(plan, bench):
        limit = _surface_c(bench, bench.chambers[heat.chamber or ""], heat)
        most = number(bench, "SOL-007")
        if limit is not None and limit > most:
            told = "has no limit" if math.isinf(limit) else f"may reach {limit:g} degC"
            message = f"the plate of {heat.heater} {told}, above {most:g} degC"
            yield Hit(("steps", i, "heat", "with"), message, "set its `max_temperature_c` in the bench file")


def _surface_c(bench: Bench, chamber: Chamber, heat: Heat) -> float | None:
    """How hot a surface open to the vapour may get; None where the heater is apart from it."""
    if chamber.kind != "vessel":
        return None
    limits = (bench.instruments[heat.heater].limits.max_temperature_c, chamber.max_temperature_c)
    return min((x for x in limits if x is not None), default=math.inf)
