"""What people do and measure: a prompt, and the values that answer it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from labctl.engine import procedure, sharing
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.protocol.plan import Entry, Manual, Measure, Plan

HELD_AFTER = 3.0
"""Times the limit of a step that waits for a person: then its run is held (assumed)."""
LONGEST_LOT = 64
"""Characters, as in a protocol."""


def ask(
    scan: Scan,
    run: RunState,
    step_id: str,
    kind: str,
    do: str,
    *,
    confirm: tuple[str, ...] = (),
    enter: tuple[Entry, ...] = (),
    into: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Put a prompt before the operator; the step waits for its answer. `more`: what only this kind of prompt says."""
    prompt: dict[str, Any] = {"id": step_id, "step": step_id, "kind": kind, "do": do, "into": into}
    prompt |= more or {}
    prompt |= {"confirm": list(confirm), "enter": [e.model_dump() for e in enter], "blocking": True}
    scan.emit("prompt", prompt, run.run_id)


def manual(scan: Scan, run: RunState, state: StepState, step: Manual, rig: Rig | None) -> None:
    """Ask; when answered, judge the derived quantities that the step requires, and note where the batch went."""
    match state.phase:
        case "enter":
            scan.phase(run, state, "ask")
            more = _more(step.attach, checked=step.checked)
            others = sharing.warning(scan, scan.context.rigs[step.into], run) if step.into else ""
            ask(
                scan,
                run,
                step.id,
                "manual",
                step.do + others,
                confirm=step.confirm,
                enter=step.enter,
                into=step.into,
                more=more,
            )
        case "ask":
            if _is_waited_for(scan, run, state, step.within_s):
                return
            plan = scan.context.plans[run.plan_hash]
            try:
                derived = {r.quantity: derive(r.quantity, run.values, plan) for r in step.require}
            except KeyError as error:
                reason = f"{step.id}: cannot be judged without {error.args[0]}"
                procedure.fault(scan, run.run_id, reason, hold="maintain")
                return
            for wanted in step.require:
                value = derived[wanted.quantity]
                good = value >= wanted.value if wanted.relation == "at_least" else value <= wanted.value
                if not good:
                    relation = wanted.relation.replace("_", " ")
                    reason = (
                        f"{step.id}: {wanted.quantity} is {value:.1f} {wanted.unit}, wanted {relation} "
                        f"{wanted.value:g} {wanted.unit}"
                    )
                    procedure.fault(scan, run.run_id, reason, hold="maintain")
                    return
            if step.into is not None:
                scan.emit("contents_moved", {"chamber": step.into, "contents": run.run_id}, run.run_id)
            scan.finish(run, state, derived=derived)


def measure(scan: Scan, run: RunState, state: StepState, step: Measure, rig: Rig | None) -> None:
    """Ask for the values of a characterisation."""
    match state.phase:
        case "enter":
            scan.phase(run, state, "ask")
            do = f"Measure {step.what}"
            ask(scan, run, step.id, "measure", do, enter=step.enter, more=_more(step.attach))
        case "ask":
            if not _is_waited_for(scan, run, state, step.within_s):
                scan.finish(run, state, values={e.name: run.values[e.name] for e in step.enter})


def _more(attach: tuple[str, ...], *, checked: bool = False) -> dict[str, Any]:
    """What only some prompts ask for."""
    return ({"attach": list(attach)} if attach else {}) | ({"checked": True} if checked else {})


def _is_waited_for(scan: Scan, run: RunState, state: StepState, within_s: float | None) -> bool:
    """Whether nobody has answered yet. When that takes too long an alarm calls, then a graver one, then it is held."""
    waits = state.id in run.prompts
    if within_s is None:
        return waits
    waited = scan.now - state.phase_s if waits else 0.0
    message = f"{run.run_id}: {state.id} waits for a person since {waited / 60:.0f} min"
    scan.alarm(f"{run.run_id}/person_wanted", waited > within_s, message, run=run.run_id, priority="medium")
    scan.alarm(f"{run.run_id}/person_late", waited > 2.0 * within_s, message, run=run.run_id, priority="high")
    if waited > HELD_AFTER * within_s:
        reason = f"{state.id}: nobody came within {HELD_AFTER:g} times {within_s / 60:.0f} min"
        procedure.fault(scan, run.run_id, reason, hold="maintain")
    return waits


def derive(quantity: str, values: dict[str, float], plan: Plan) -> float:
    """A quantity that follows from entered values.

    solvent_loss, in %: weighed loss over the charge of THF and ethanol. Water that left with them is counted too, so
    this is what must at least be gone, not proof of what is (assumed; weighing cannot tell the solvents apart).
    Raises KeyError for a quantity that labctl cannot derive or that lacks its values.
    """
    if quantity != "solvent_loss":
        raise KeyError(quantity)
    if not plan.charge.flammable_solvent_g:
        raise KeyError("charge")
    lost = values["wet_mass"] - values["dry_mass"]
    return round(min(100.0, 100.0 * lost / plan.charge.flammable_solvent_g), 6)


def is_number(value: object) -> TypeGuard[float]:
    """Finite, and neither text nor yes or no."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def refusal(prompt: dict[str, Any], args: dict[str, Any], actor: str) -> str | None:
    """Why an answer to a prompt is not accepted, or None.

    Every item is confirmed, every value present and in range, every file there, and a second person has looked.
    """
    values, confirmed = args.get("values", {}), args.get("confirm", [])
    if not isinstance(values, dict) or not isinstance(confirmed, list):
        return "not an answer"
    missing = [c for c in prompt["confirm"] if c not in confirmed]
    if missing:
        return "not confirmed: " + ", ".join(missing)
    for entry in prompt["enter"]:
        value = values.get(entry["name"])
        if not is_number(value):
            return f"{entry['name']} ({entry['unit']}) is missing"
        low, high = entry["min"], entry["max"]
        if (low is not None and value < low) or (high is not None and value > high):
            return f"{entry['name']} is {value:g} {entry['unit']}, outside {low} to {high}"
    brought = [file.get("name") for file in args.get("files", ())]
    if lacking := [name for name in prompt.get("attach", ()) if name not in brought]:
        return f"bring a file: {', '.join(lacking)} (--attach NAME=FILE)"
    if strange := [str(name) for name in brought if name not in prompt.get("attach", ())]:
        return f"no such file is asked for: {', '.join(strange)}"
    if prompt.get("checked") and args.get("checked_by") in (None, "", actor):
        return f"a second person besides {actor} must have looked (--checked-by NAME)"
    if (lot := args.get("lot")) and (wrong := _no_lot(prompt, lot)):
        return wrong
    unknown = sorted(set(values) - {e["name"] for e in prompt["enter"]})
    return f"not asked for: {', '.join(unknown)}" if unknown else None


def _no_lot(prompt: dict[str, Any], lot: object) -> str | None:
    """Why that is not the lot of what is asked for."""
    if "lot" not in prompt:
        return f"{prompt['id']} asks for nothing that has a lot"
    if not isinstance(lot, str) or len(lot) > LONGEST_LOT or not lot.isprintable():
        return f"a lot is a line of at most {LONGEST_LOT} characters"
    return None
