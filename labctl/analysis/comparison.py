"""Two runs side by side: how they ended, what came out, and where they left their plans."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.analysis.model import Analysis, Row

At = tuple[str | None, str]
"""A quantity of a step, or of the run as a whole."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A quantity of two runs, in `unit`; step: of which, or None for the run as a whole.

    judged: (within tolerance in the one, in the other), where it is held against the plan; None: not judged there.
    """

    quantity: str
    step: str | None
    one: float | None
    two: float | None
    unit: str
    judged: tuple[bool | None, bool | None] = (None, None)

    @property
    def differs(self) -> bool:
        """The values are not the same."""
        return self.one != self.two

    @property
    def deviates(self) -> bool:
        """Outside its tolerance in one of the runs at least."""
        return False in self.judged


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcomes by name as (one, other), quantities, and what was out of the ordinary in one of them alone."""

    outcomes: dict[str, tuple[str, str]]
    pairs: tuple[Pair, ...]
    only_one: tuple[str, ...]
    only_two: tuple[str, ...]


def compare(one: Analysis, two: Analysis) -> Comparison:
    """What two runs have in common and what not, from their analyses."""
    outcomes = {
        "state": (one.state, two.state),
        "reason": (one.reason or "", two.reason or ""),
        "verdict": (one.verdict.outcome, two.verdict.outcome),
        "seed": ("" if one.seed is None else str(one.seed), "" if two.seed is None else str(two.seed)),
    }
    told, also = ([f"{r.kind}: {r.text}" for r in a.remarks] for a in (one, two))
    return Comparison(
        outcomes,
        _pairs(one, two),
        tuple(text for text in dict.fromkeys(told) if text not in also),
        tuple(text for text in dict.fromkeys(also) if text not in told),
    )


def _pairs(one: Analysis, two: Analysis) -> tuple[Pair, ...]:
    """Results, then durations, then what else is judged: each once, with its judgement where there is one."""
    rows, others = (_judged(one), _judged(two))
    took, again = ({step.id: step.actual_s for step in a.steps} for a in (one, two))
    values: dict[At, tuple[float | None, float | None, str]] = {}
    for key in dict.fromkeys((*one.results, *two.results)):
        values[None, key] = one.results.get(key), two.results.get(key), ""
    for step in dict.fromkeys((*took, *again)):
        values[step, "duration"] = took.get(step), again.get(step), "s"
    for at in dict.fromkeys((*rows, *others)):
        row, other = rows.get(at), others.get(at)
        unit = row.unit if row else other.unit if other else ""
        values[at] = row.actual if row else None, other.actual if other else None, unit
    return tuple(
        Pair(
            quantity,
            step,
            was,
            now,
            unit,
            (_ok(rows.get((step, quantity))), _ok(others.get((step, quantity)))),
        )
        for (step, quantity), (was, now, unit) in values.items()
    )


def _judged(a: Analysis) -> dict[At, Row]:
    return {(row.step, row.quantity): row for row in a.verdict.rows if row.tolerance is not None}


def _ok(row: Row | None) -> bool | None:
    return row.ok if row is not None and row.actual is not None else None
