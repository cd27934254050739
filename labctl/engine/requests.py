"""What people ask for: accepted or refused, always with one outcome and a row in the journal."""

from __future__ import annotations

from typing import Any

from labctl.engine import procedure
from labctl.engine.machine import COMMANDS, allowed_commands
from labctl.engine.scan import Scan
from labctl.engine.state import RunState
from labctl.engine.steps.people import refusal
from labctl.model.commands import Request

NEVER_EXPIRE = frozenset({"stop", "abort"})


def handle(scan: Scan, request: Request) -> None:
    """Carry out one request, or refuse it with the reason."""
    reason = _refusal(scan, request)
    accepted = reason is None
    if accepted:
        match request.verb:
            case "submit":
                _submit(scan, request)
            case "answer":
                _answer(scan, request)
            case _:
                _command(scan, request)
    outcome = "accepted" if accepted else f"refused: {reason}"
    data: dict[str, Any] = {"request": request.id, "verb": request.verb, "actor": request.actor}
    data |= {"accepted": accepted, "outcome": outcome, "run": request.run}
    scan.emit("request", data, request.run)
    scan.settled.append((request.id, outcome, accepted))


def _refusal(scan: Scan, request: Request) -> str | None:
    if request.expired and request.verb not in NEVER_EXPIRE:
        return "it expired before it was read"
    if request.verb == "submit":
        return _cannot_submit(scan, request)
    run = scan.state.runs.get(request.run or "")
    if run is None:
        return f"no run {request.run} on this bench"
    if request.expected_state is not None and run.state != request.expected_state:
        return f"{run.run_id} is {run.state}, not {request.expected_state}"
    if request.verb == "answer":
        prompt = run.prompts.get(request.args.get("prompt", ""))
        return refusal(prompt, request.args) if prompt else "nobody is asked that now"
    trigger = request.verb.upper()
    if trigger not in COMMANDS:
        return f"unknown command {request.verb}"
    if not procedure.accepts(run, trigger):
        allowed = ", ".join(allowed_commands(run.state, cleared=run.cleared)) or "none"
        return f"{run.run_id} is {run.state}; allowed now: {allowed}"
    if trigger == "START":
        return _cannot_start(scan, run)
    if trigger == "CLEAR" and not request.args.get("reason"):
        return "say what the cause was (--reason)"
    return None


def _cannot_submit(scan: Scan, request: Request) -> str | None:
    if "against" in request.args:
        return str(request.args["against"])
    if request.args["plan"] not in scan.context.plans:
        return "its plan is not on this bench"
    if request.args["run"] in scan.state.runs:
        return f"run {request.args['run']} exists already"
    return _busy(scan, request.args["plan"])


def _cannot_start(scan: Scan, run: RunState) -> str | None:
    if run.end_state is not None:
        return f"{run.run_id} ended {run.end_state}; submit it anew"
    if scan.estopped:
        return "the e-stop is set; `labctl clear` it first"
    return _busy(scan, run.plan_hash)


def chambers_of(scan: Scan, plan_hash: str) -> list[str]:
    """The chambers that the steps of a plan work in."""
    return sorted({s.chamber for s in scan.context.plans[plan_hash].steps if s.chamber})


def _busy(scan: Scan, plan_hash: str) -> str | None:
    """Why the chambers of a plan cannot be taken now."""
    for name in chambers_of(scan, plan_hash):
        chamber = scan.state.chambers[name]
        owner = scan.state.runs.get(chamber.run or "")
        if chamber.custody is not None:
            return f"{name} is in custody since {chamber.custody['cause']}"
        if chamber.safe is not None:
            return f"{name} is being made safe"
        if owner is not None and owner.end_state is None:
            return f"{name} is busy with run {owner.run_id} ({owner.state})"
        if chamber.latched:
            return f"{name} has tripped ({', '.join(chamber.latched)}); clear and reset that run first"
    return None


def _submit(scan: Scan, request: Request) -> None:
    run, plan_hash = request.args["run"], request.args["plan"]
    scan.emit("run_created", {"run": run, "plan": plan_hash, **request.args.get("about", {})}, run)
    if "forecast" in request.args:
        scan.emit("run_forecast", request.args["forecast"], run)


def _answer(scan: Scan, request: Request) -> None:
    values = {k: float(v) for k, v in request.args.get("values", {}).items()}
    answer = {"prompt": request.args["prompt"], "values": values, "actor": request.actor}
    answer["confirm"] = list(request.args.get("confirm", []))
    answer["note"] = request.args.get("note", "")
    scan.emit("answered", answer, request.run)


def _command(scan: Scan, request: Request) -> None:
    assert request.run is not None
    if request.verb == "start":
        for name in chambers_of(scan, scan.state.runs[request.run].plan_hash):
            scan.emit("chamber_taken", {"chamber": name, "run": request.run}, request.run)
    reason = str(request.args.get("reason") or f"{request.verb} by {request.actor}")
    procedure.command(
        scan, request.run, request.verb.upper(), reason=reason, actor=request.actor, person=True
    )
