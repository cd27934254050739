"""A plan in place of the one that a run follows: what may change, and what never does.

What is over stays as it was. Purge, leak check, cool and unload cannot be left out, no chamber becomes hotter than the
run's plan allowed, and the bench with its guards is the same: a run that needs more is another run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from labctl.protocol.plan import AnyStep, Heat, Plan

KEPT = frozenset({"purge", "leak_check", "cool", "unload"})
"""Kinds of steps that keep air from hot carbon, and people from hot tubes."""


def without(plan: Plan, names: Collection[str]) -> Plan:
    """The plan without these steps. What needed one of them needs what that needed."""
    needs = {step.id: step.needs for step in plan.steps}

    def instead(wanted: Iterable[str]) -> Iterator[str]:
        for name in wanted:
            if name in names:
                yield from instead(needs[name] or ())
            else:
                yield name

    steps = []
    for step in plan.steps:
        if step.id in names:
            continue
        if step.needs is not None and any(name in names for name in step.needs):
            step = step.model_copy(update={"needs": tuple(dict.fromkeys(instead(step.needs)))})
        steps.append(step)
    return plan.model_copy(update={"steps": tuple(steps)})


def touched(old: Plan, new: Plan, active: Collection[str]) -> list[str]:
    """The active steps that the new plan changes or leaves out."""
    steps = {step.id: step for step in new.steps}
    return [step.id for step in old.steps if step.id in active and steps.get(step.id) != step]


def obstacle(old: Plan, new: Plan, done: Collection[str]) -> str | None:
    """Why a run that follows `old`, of which these steps are over, cannot follow `new`; None when it can."""
    before, after = {s.id: s for s in old.steps}, {s.id: s for s in new.steps}
    if new.bench_identity != old.bench_identity or new.simulated != old.simulated:
        return "it was planned for another bench"
    for what in ("protocol", "roles", "product", "charge", "contents"):
        if getattr(new, what) != getattr(old, what):
            return f"its {what} is another; submit it as a run of its own"
    if added := [name for name in after if name not in before]:
        return f"it has steps that the run has not: {', '.join(added)}"
    if [name for name in before if name in after] != list(after):
        return "its steps are in another order"
    for name, step in before.items():
        if name in done and after.get(name) != step:
            return f"{name} is over, and stays as it was"
        if name not in after and step.kind in KEPT:
            return f"{name} cannot be left out: {step.kind} keeps hot carbon from air, and people from heat"
        if name in after and after[name].kind != step.kind:
            return f"{name} is {after[name].kind} instead of {step.kind}"
    return _hotter(old.steps, new.steps)


def _hotter(old: Iterable[AnyStep], new: Iterable[AnyStep]) -> str | None:
    allowed = _hottest(old)
    for chamber, celsius in _hottest(new).items():
        if celsius > allowed.get(chamber, celsius):
            most = allowed[chamber]
            return (
                f"{chamber} would become hotter ({celsius:g} degC) than the run's plan allows ({most:g} degC)"
            )
    return None


def _hottest(steps: Iterable[AnyStep]) -> dict[str, float]:
    """By chamber, in degC."""
    found: dict[str, float] = {}
    for step in steps:
        if isinstance(step, Heat) and step.chamber is not None:
            target = max(segment.target_c for segment in step.segments)
            found[step.chamber] = max(found.get(step.chamber, target), target)
    return found
