"""Spans: which chambers a run has while it carries out a step.

Consecutive steps that work in the same chamber are one span: purge to unload keep the tube, with all that is on it.
Steps that need none go with what follows: a person who is asked to prepare something finds its chamber free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from labctl.protocol.plan import AnyStep, Heat, Manual

BESIDE = ("heat", "wait", "decide", "unload")
"""Kinds of steps in an oven that leave it as others want it; a cool-down does not."""


class Span(NamedTuple):
    """Steps in a row, by id, and the chambers that all of them have."""

    steps: tuple[str, ...]
    chambers: frozenset[str]


def chambers_of(step: AnyStep) -> frozenset[str]:
    """What a step works in, and where a person carries the batch."""
    into = step.into if isinstance(step, Manual) else None
    return frozenset(name for name in (step.chamber, into) if name is not None)


def spans(steps: Sequence[AnyStep]) -> tuple[Span, ...]:
    """The spans of a plan in order; its last steps may need no chamber any more."""
    found: list[Span] = []
    between: tuple[str, ...] = ()
    for step in steps:
        chambers = chambers_of(step)
        if not chambers:
            between = (*between, step.id)
            continue
        if found and found[-1].chambers & chambers:
            last = found.pop()
            found.append(Span((*last.steps, *between, step.id), last.chambers | chambers))
        else:
            found.append(Span((*between, step.id), chambers))
        between = ()
    return tuple(found)


def setpoints(steps: Iterable[AnyStep], chamber: str) -> frozenset[float] | None:
    """At which setpoints, in degC, steps heat a chamber; None where they want it for themselves.

    So do steps that cool it down or put gas into it. One setpoint can be shared.
    """
    found: set[float] = set()
    for step in steps:
        if step.chamber != chamber:
            continue
        if step.kind not in BESIDE or (isinstance(step, Heat) and (step.under or step.atmosphere != "air")):
            return None
        if isinstance(step, Heat):
            found.update(segment.target_c for segment in step.segments)
    return frozenset(found)
