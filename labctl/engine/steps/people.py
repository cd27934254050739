"""What people do and measure: a prompt, and the values that answer it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from labctl.engine import procedure
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.protocol.plan import Entry, Manual, Measure, Plan


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
            ask(scan, run, step.id, "manual", step.do, confirm=step.confirm, enter=step.enter, into=step.into)
        case "ask":
            if step.id in run.prompts:
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
            ask(scan, run, step.id, "measure", f"Measure {step.what}", enter=step.enter)
        case "ask":
            if step.id not in run.prompts:
                scan.finish(run, state, values={e.name: run.values[e.name] for e in step.enter})


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


def refusal(prompt: dict[str, Any], args: dict[str, Any]) -> str | None:
    """Why an answer to a prompt is not accepted, or None: every item confirmed, every value present and in range."""
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
    unknown = sorted(set(values) - {e["name"] for e in prompt["enter"]})
    return f"not asked for: {', '.join(unknown)}" if unknown else None
