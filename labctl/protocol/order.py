"""What must be over before a step begins, and which steps of a plan may be under way together."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.protocol.plan import AnyStep, Plan


def apart(plan: Plan) -> Iterator[tuple[int, int]]:
    """The indices of every two steps that may be under way at the same time."""
    needs = plan.needs
    if needs is None:
        return
    before: dict[str, frozenset[str]] = {}
    for step in plan.steps:
        before[step.id] = frozenset().union(*(before[n] | {n} for n in needs[step.id]))
    for i, one in enumerate(plan.steps):
        for j in range(i):
            if plan.steps[j].id not in before[one.id]:
                yield j, i


def shared(one: AnyStep, other: AnyStep) -> str | None:
    """An instrument or chamber that two steps both use."""
    if one.chamber is not None and one.chamber == other.chamber:
        return one.chamber
    return next((name for name in one.instruments if name in other.instruments), None)


def other_way(plan: Plan) -> list[int] | None:
    """The steps in another order in which they may happen, the later branch first; None where there is but one."""
    needs = plan.needs
    if needs is None:
        return None
    order: list[int] = []
    over: set[str] = set()
    while len(order) < len(plan.steps):
        due = [
            i for i, step in enumerate(plan.steps) if step.id not in over and over.issuperset(needs[step.id])
        ]
        order.append(due[-1])
        over.add(plan.steps[due[-1]].id)
    return order
