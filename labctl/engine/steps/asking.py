"""What a run asks about itself: waiting for a time or a condition, deciding by one, and which steps are left out."""

from __future__ import annotations

from labctl.engine import procedure
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.protocol.plan import AnyStep, Condition, Decide, Wait

DECIDES_WITHIN_S = 600.0
"""How long a deciding step waits for a reading that it may use, where it waits at all (assumed)."""


def wait(scan: Scan, run: RunState, state: StepState, step: Wait, rig: Rig | None) -> None:
    """Let time pass, or wait until something holds; time held or paused does not count."""
    key = f"{run.run_id}/{step.id}"
    if state.phase == "enter":
        scan.tally.pop(f"{key}/holds_s", None)
        scan.phase(run, state, "wait")
    elif step.until is None:
        if scan.add(f"{key}/waited_s", scan.dt_s) >= step.duration_s:
            scan.finish(run, state, waited_s=scan.tally[f"{key}/waited_s"])
    else:
        lasted_s = _lasted_s(scan, run, step.id, step.until, rig)
        if lasted_s is None or lasted_s < step.until.for_s:
            if scan.now - state.entered_s > (step.timeout_s or 0.0):
                reason = f"{step.id}: not {words(step.until)} within {(step.timeout_s or 0.0) / 3600:.1f} h"
                procedure.fault(scan, run.run_id, reason, hold="maintain")
        else:
            scan.finish(run, state, waited_s=scan.now - state.entered_s)


def decide(scan: Scan, run: RunState, state: StepState, step: Decide, rig: Rig | None) -> None:
    """Ask once; the answer stands in the step's summary as `met`."""
    condition = step.condition
    if state.phase == "enter":
        scan.tally.pop(f"{run.run_id}/{step.id}/holds_s", None)
        scan.phase(run, state, "ask")
        return
    value = _value(scan, run, condition, rig)
    if value is None and condition.entered is not None:
        procedure.fault(scan, run.run_id, f"{step.id}: {condition.entered} was not entered", hold="maintain")
        return
    lasted_s = _lasted_s(scan, run, step.id, condition, rig)
    if value is None:
        if scan.now - state.entered_s > DECIDES_WITHIN_S:
            reason = f"{step.id}: {condition.instrument} cannot be read"
            procedure.fault(scan, run.run_id, reason, hold="maintain")
    elif lasted_s is None and step.otherwise == "hold":
        reason = f"{step.id}: {value:g} {condition.unit}, wanted {words(condition)}"
        procedure.fault(scan, run.run_id, reason, hold="maintain")
    elif lasted_s is None or lasted_s >= condition.for_s:
        scan.finish(run, state, met=lasted_s is not None, value=value)


def lacking(run: RunState, step: AnyStep) -> str | None:
    """Why a step does not begin and is left out, or None when all that it asks for holds."""
    for when in step.when:
        for name in when.met:
            if run.done.get(name, {}).get("met") is not True:
                return f"{name} was not met"
        for name in when.not_met:
            if run.done.get(name, {}).get("met") is True:
                return f"{name} was met"
        if when.condition is not None and when.condition.entered is not None:
            value = run.values.get(when.condition.entered)
            if value is None or not _holds(when.condition, value):
                shown = "was not entered" if value is None else f"is {value:g} {when.condition.unit}"
                return f"{when.condition.entered} {shown}, wanted {words(when.condition)}"
    return None


def words(condition: Condition) -> str:
    """A condition as people say it."""
    what = condition.entered or f"{condition.instrument} {condition.signal}"
    unit = "" if condition.unit == "1" else f" {condition.unit}"
    return f"{what} {condition.relation.replace('_', ' ')} {condition.value:g}{unit}"


def _value(scan: Scan, run: RunState, condition: Condition, rig: Rig | None) -> float | None:
    """What is asked about, or None: not entered, or no reading that may be used."""
    if condition.entered is not None:
        return run.values.get(condition.entered)
    return None if rig is None else scan.good(rig, condition.instrument, condition.signal or "")


def _lasted_s(scan: Scan, run: RunState, step_id: str, condition: Condition, rig: Rig | None) -> float | None:
    """For how long a condition has held without a break; None when it does not hold, or nobody can tell.

    A reading that stays bad for longer than one may be old holds the run, where the condition says so.
    """
    key = f"{run.run_id}/{step_id}"
    value = _value(scan, run, condition, rig)
    blind_s = scan.lasting(f"{key}/blind_s", value is None)
    if value is None:
        oldest_s = rig.max_age_s.get(condition.instrument or "", 0.0) if rig is not None else 0.0
        if condition.signal is not None and condition.on_bad == "hold" and blind_s > oldest_s:
            reason = f"{step_id}: {condition.instrument} {condition.signal} cannot be read"
            procedure.fault(scan, run.run_id, reason, hold="maintain")
        scan.lasting(f"{key}/holds_s", False)
        return None
    holds = _holds(condition, value, beyond=condition.hysteresis if f"{key}/holds_s" in scan.tally else 0.0)
    lasted_s = scan.lasting(f"{key}/holds_s", holds)
    return lasted_s if holds else None


def _holds(condition: Condition, value: float, beyond: float = 0.0) -> bool:
    match condition.relation:
        case "above":
            return value > condition.value - beyond
        case "at_least":
            return value >= condition.value - beyond
        case "below":
            return value < condition.value + beyond
        case "at_most":
            return value <= condition.value + beyond
