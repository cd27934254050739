"""What a rule is, and how it walks a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from labctl.bench.schema import Bench, Chamber
from labctl.protocol.chemistry import FormulaError, formula
from labctl.protocol.contents import kinds_of
from labctl.protocol.plan import (
    Cool,
    Dispense,
    Heat,
    LeakCheck,
    Manual,
    Plan,
    Portion,
    Purge,
    Requirement,
    Segment,
    Step,
    Substance,
    Weigh,
)
from labctl.protocol.source import Path

Waive = Literal["never", "warnings", "errors"]
"""What of a rule a bench may waive, with a reason: nothing, its warnings, or its errors too."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule found something. `severity` where it is not the rule's own.

    kept: True when this one cannot be waived although others of the rule can.
    """

    path: Path
    message: str
    hint: str | None = None
    severity: str | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """The number that a rule judges by. `stricter` says in which direction a bench may move it."""

    value: float
    unit: str
    stricter: Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, how serious it is at most, why it is there, and where it comes from.

    find: None for one that is judged while the file is read. number: what a bench may tighten.
    """

    id: str
    severity: str
    rationale: str
    source: str
    find: Callable[[Plan, Bench], Iterator[Hit]] | None = None
    number: Number | None = None
    waive: Waive = "warnings"


DRYING_C = 60.0
"""Above it only once flammable solvent is gone, by weight (safety contract)."""

RULES: list[Rule] = []
"""Every rule over a plan, in the order in which they are judged; filled as their modules are imported."""

NUMBERS: dict[str, Number] = {}
"""The number of each rule that has one."""


_Find = Callable[[Plan, Bench], Iterator[Hit]]


def rule(
    id: str,
    severity: str,
    rationale: str,
    source: str,
    *,
    number: Number | None = None,
    waive: Waive = "warnings",
) -> Callable[[_Find], _Find]:
    """Make a rule of the function below it."""

    def add(find: _Find) -> _Find:
        RULES.append(Rule(id, severity, rationale, source, find, number, waive))
        if number is not None:
            NUMBERS[id] = number
        return find

    return add


def number(bench: Bench, rule_id: str) -> float:
    """The number of a rule on this bench: its own, or what the bench tightened it to."""
    own = NUMBERS[rule_id]
    setting = bench.rules.get(rule_id)
    if setting is None or setting.limit is None:
        return own.value
    return (min if own.stricter == "lower" else max)(own.value, setting.limit)


_S = TypeVar("_S", bound=Step)


def steps(plan: Plan, kind: type[_S]) -> Iterator[tuple[int, _S]]:
    """Every step of a kind, with its index."""
    yield from ((i, s) for i, s in enumerate(plan.steps) if isinstance(s, kind))


def targets(plan: Plan) -> Iterator[tuple[int, Heat, Segment, Path]]:
    """Every ramp and soak, and where it was written."""
    for i, heat in steps(plan, Heat):
        for j, segment in enumerate(heat.segments):
            single: Path = ("steps", i, "heat")
            yield i, heat, segment, single if len(heat.segments) == 1 else (*single, "segments", j)


def ramps(plan: Plan) -> Iterator[tuple[Heat, float, Path]]:
    """The ramp of every segment in K/min, infinite where none is written and the instrument goes as fast as it can.

    A later segment without one that leads down is left out: no heater makes that faster than it loses heat.
    """
    step, was_c = -1, 0.0
    for i, heat, segment, path in targets(plan):
        falls = i == step and segment.target_c <= was_c
        step, was_c = i, segment.target_c
        if segment.ramp_k_per_min or not falls:
            yield heat, segment.ramp_k_per_min or math.inf, (*path, "ramp")


def rate(ramp_k_per_min: float) -> str:
    """A ramp of `ramps` in words."""
    return "no ramp, as fast as it can," if math.isinf(ramp_k_per_min) else f"{ramp_k_per_min:g} K/min"


def top_c(heat: Heat) -> float:
    """The highest target of a step in degC."""
    return max(segment.target_c for segment in heat.segments)


def tube_of(bench: Bench, step: Step) -> Chamber | None:
    """The chamber of a step if it is a tube."""
    chamber = bench.chambers.get(step.chamber or "")
    return chamber if chamber is not None and chamber.kind == "tube" else None


def guards_of(chamber: Chamber) -> set[str]:
    """The names of the guards on a chamber."""
    return {guard.guard for guard in chamber.guards}


def said(plan: Plan, words: str, before: int | None = None, into: str | None = None) -> bool:
    """True when a person's step is about one of `words`, in what it says or has confirmed.

    before: an index that it must stand before. into: the chamber that it must load.
    """
    wanted = words.split()
    return any(
        word in " ".join((step.do, *step.confirm)).lower()
        for step in plan.steps[:before]
        if isinstance(step, Manual) and not step.when and into in (None, step.into)
        for word in wanted
    )


class Flow(NamedTuple):
    """A flow that is asked for: step (index, then itself), controller, how much, and where it was written."""

    number: int
    step: Step
    controller: str
    sccm: float
    path: Path


def flows(plan: Plan) -> Iterator[Flow]:
    """Every flow of the plan, in order."""
    for i, step in enumerate(plan.steps):
        if isinstance(step, Purge | LeakCheck):
            yield Flow(i, step, step.gas, step.flow_sccm, ("steps", i, step.kind, "flow"))
        elif isinstance(step, Heat | Cool) and step.under:
            gas = step.under
            yield Flow(i, step, gas.instrument, gas.flow_sccm, ("steps", i, step.kind, "under", "flow"))


def in_batch(plan: Plan) -> tuple[Substance, ...]:
    """What is declared, and what steps weigh or dispense besides: a step that takes nitrate is as good as said so."""
    declared = plan.contents or ()
    known = {substance.name for substance in declared}
    taken = {step.portion.reagent: step.portion for step in plan.steps if isinstance(step, Weigh | Dispense)}
    return declared + tuple(_taken(portion) for name, portion in taken.items() if name not in known)


def _taken(portion: Portion) -> Substance:
    kinds = (*(kinds_of(portion.reagent) or ()), *(kinds_of(portion.formula) or ()))
    mass = portion.amount if portion.unit == "g" else None
    purity = 1.0 if portion.purity_wt_pct is None else portion.purity_wt_pct / 100.0
    name = portion.reagent
    return Substance(name=name, mass_g=mass, purity=purity, kinds=tuple(dict.fromkeys(kinds)))


def place_of(plan: Plan, substance: Substance) -> Path:
    """Where a substance is declared, or the step that takes it."""
    for i, step in enumerate(plan.steps):
        taken = isinstance(step, Weigh | Dispense) and step.portion.reagent == substance.name
        if taken and substance not in (plan.contents or ()):
            return ("steps", i, step.kind, "reagent")
    return ("contents", substance.name)


def having(plan: Plan, *kinds: str) -> list[Substance]:
    """The substances of the batch that are of one of these kinds."""
    return [s for s in in_batch(plan) if set(kinds) & set(s.kinds)]


def grams(substances: Iterable[Substance]) -> float | None:
    """Their mass as declared; None when that of any is not."""
    masses = [s.mass_g for s in substances]
    return None if None in masses else sum(m for m in masses if m is not None)


def atoms_in(text: str) -> Mapping[str, int]:
    """The atoms of a formula; a coating (`@C`) is left out, and what is no formula has none."""
    try:
        return formula(text.split("@")[0]).atoms
    except FormulaError:
        return {}


def wet_heats(plan: Plan, bench: Bench) -> Iterator[tuple[int, Heat]]:
    """Every heating step at which flammable solvent may still be in the batch: until its loss was weighed.

    One that goes above DRYING_C without that is the last of them: what comes after is the same mistake.
    """
    if plan.charge.flammable_solvent_g <= 0:
        return
    for i, step in enumerate(plan.steps):
        if isinstance(step, Manual) and not step.when and any(_proves_dry(r, bench) for r in step.require):
            return
        if isinstance(step, Heat):
            yield i, step
            if top_c(step) > DRYING_C:
                return


def _proves_dry(r: Requirement, bench: Bench) -> bool:
    return r.quantity == "solvent_loss" and r.relation == "at_least" and r.value >= number(bench, "SOL-005")
