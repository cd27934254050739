"""Another plan for a run under way: compared with the one it follows, taken as a whole, and journaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from labctl.engine import procedure, safe, sharing
from labctl.engine.scan import Scan
from labctl.engine.silencing import REASON, Verb
from labctl.engine.state import RunState
from labctl.model.commands import Request
from labctl.protocol.revision import obstacle, touched

REVISABLE = ("RUNNING", "PAUSED", "HELD")


def _cannot_revise(scan: Scan, request: Request) -> str | None:
    if "against" in request.args:
        return str(request.args["against"])
    run = scan.state.runs.get(request.run or "")
    if run is None:
        return f"no run {request.run} on this bench"
    if run.state not in REVISABLE:
        return f"{run.run_id} is {run.state}; its plan can change while it is {', '.join(REVISABLE)}"
    if request.args.get("expected") != run.plan_hash:
        return f"the plan of {run.run_id} has changed meanwhile; look at it again"
    if not request.args.get("reason"):
        return REASON
    new = scan.context.plans.get(str(request.args.get("plan")))
    if new is None:
        return "its plan is not on this bench"
    old = scan.context.plans[run.plan_hash]
    refused = obstacle(old, new, run.done)
    changed = touched(old, new, run.active)
    if refused is None and changed and run.state == "RUNNING":
        return f"{', '.join(changed)} is under way; `labctl hold {run.run_id}` first"
    return refused or _cannot_share(scan, run, new.plan_hash)


def _cannot_share(scan: Scan, run: RunState, plan_hash: str) -> str | None:
    """What others share with a run stays at its setpoint."""
    for rig in procedure.rigs_of(scan, run.run_id):
        if not sharing.suits(scan, replace(run, plan_hash=plan_hash), rig):
            return f"{rig.name} is shared with {sharing.others(scan, rig, run.run_id)[0].run_id}, at one setpoint"
    return None


def _revise(scan: Scan, request: Request) -> None:
    """From now on the run follows the new plan; a step that it leaves out ends where it is, its chamber made safe."""
    assert request.run is not None
    run = scan.state.runs[request.run]
    new = scan.context.plans[str(request.args["plan"])]
    kept = {step.id for step in new.steps}
    dropped = [name for name in run.active if name not in kept]
    steps = scan.context.steps[run.plan_hash]
    for name in dropped:
        chamber = steps[name].chamber
        state = scan.state.chambers.get(chamber or "")
        if chamber is None or state is None or not state.energised or state.safe is not None:
            continue
        if not sharing.yield_heat(scan, run.run_id, scan.context.rigs[chamber]):
            safe.start(scan, scan.context.rigs[chamber], f"{name} was left out", "hold", run.run_id)
    data = {"old": run.plan_hash, "new": new.plan_hash, "by": request.actor, "dropped": dropped}
    data |= {"reason": str(request.args["reason"]), **request.args.get("about", {})}
    scan.emit("plan_revised", data, run.run_id)
    for name in dropped:
        scan.forget(f"{run.run_id}/{name}/")


VERBS: Mapping[str, Verb] = {"revise": Verb(_cannot_revise, _revise)}
"""Requests about the plan of a run."""
