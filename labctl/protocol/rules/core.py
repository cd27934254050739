"""What a rule is, and how it walks a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from labctl.bench.schema import Bench, Chamber
from labctl.protocol.plan import Cool, Heat, Plan, Purge, Segment, Step
from labctl.protocol.source import Path


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule found something. `severity` where it is not the rule's own."""

    path: Path
    message: str
    hint: str | None = None
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, how serious it is at most, why it is there, and where it comes from."""

    id: str
    severity: str
    rationale: str
    source: str
    find: Callable[[Plan, Bench], Iterator[Hit]]


RULES: list[Rule] = []
"""Every rule, in the order in which they are judged; filled as their modules are imported."""


_Find = Callable[[Plan, Bench], Iterator[Hit]]


def rule(id: str, severity: str, rationale: str, source: str) -> Callable[[_Find], _Find]:
    """Make a rule of the function below it."""

    def add(find: _Find) -> _Find:
        RULES.append(Rule(id, severity, rationale, source, find))
        return find

    return add


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


def tube_of(bench: Bench, step: Step) -> Chamber | None:
    """The chamber of a step if it is a tube."""
    chamber = bench.chambers.get(step.chamber or "")
    return chamber if chamber is not None and chamber.kind == "tube" else None


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
        if isinstance(step, Purge):
            yield Flow(i, step, step.gas, step.flow_sccm, ("steps", i, "purge", "flow"))
        elif isinstance(step, Heat | Cool) and step.under:
            gas = step.under
            yield Flow(i, step, gas.instrument, gas.flow_sccm, ("steps", i, step.kind, "under", "flow"))
