"""What people ask for: accepted or refused, always with one outcome and a row in the journal."""

from __future__ import annotations

from typing import Any

from labctl.engine import (
    alarms,
    cylinders,
    procedure,
    reconcile,
    reservations,
    returns,
    revisions,
    safe,
    samples,
    services,
    silencing,
)
from labctl.engine.context import Context
from labctl.engine.machine import COMMANDS, allowed_commands
from labctl.engine.scan import Scan
from labctl.engine.state import RunState
from labctl.engine.steps.people import is_number, refusal
from labctl.model.commands import Request
from labctl.model.events import BENCH_STREAM
from labctl.model.limits import limit
from labctl.protocol.plan import Cycle, Dispense, Heat, Stir

SETTLED = {
    "stop": ("STOPPING", "STOPPED", "ABORTING", "ABORTED", "COMPLETE"),
    "abort": ("ABORTING", "ABORTED", "COMPLETE"),
    "hold": ("HOLDING", "HELD"),
}
"""States in which what is asked is so already: asking twice does no harm and is no mistake. Whom a guard held and a
person holds too, only a person lets go on."""

WHY = "say what the cause was (--reason)"

OTHERS = {
    **silencing.VERBS,
    **cylinders.VERBS,
    **reconcile.VERBS,
    **reservations.VERBS,
    **revisions.VERBS,
    **samples.VERBS,
}
"""What is asked besides the commands of a run."""

NEVER_EXPIRE = frozenset({"stop", "abort"})


def handle(scan: Scan, request: Request) -> None:
    """Carry out one request, or refuse it with the reason."""
    reason = _refusal(scan, request)
    accepted = reason is None
    already = _is_so_already(scan, request) if accepted else None
    if accepted and already is None:
        match request.verb:
            case "submit":
                _submit(scan, request)
            case "answer":
                _answer(scan, request)
            case "temperature":
                scan.tally[f"{request.args['chamber']}/person_c"] = float(request.args["temperature_c"])
            case "clear" if request.run is None:
                scan.emit(
                    "trips_reset", {"chamber": request.args["chamber"], "reason": request.args["reason"]}
                )
                alarms.reset(scan, request.args["chamber"], request.actor)
            case verb if verb in OTHERS:
                OTHERS[verb].carry_out(scan, request)
            case _:
                _command(scan, request)
    elif already and request.verb == "hold":
        returns.leave_to_people(scan, str(request.run))
    outcome = f"accepted: {already}" if already else "accepted" if accepted else f"refused: {reason}"
    data: dict[str, Any] = {"request": request.id, "verb": request.verb, "actor": request.actor}
    data |= {"accepted": accepted, "outcome": outcome, "run": request.run}
    scan.emit("request", data, request.run)
    scan.settled.append((request.id, outcome, accepted))


def _is_so_already(scan: Scan, request: Request) -> str | None:
    run = scan.state.runs.get(request.run or "")
    if run is None or run.state not in SETTLED.get(request.verb, ()) or request.verb.upper() in _allowed(run):
        return None
    return f"{run.run_id} is {run.state} already"


def _allowed(run: RunState) -> tuple[str, ...]:
    return allowed_commands(run.state, cleared=run.cleared)


def _refusal(scan: Scan, request: Request) -> str | None:
    if request.expired and request.verb not in NEVER_EXPIRE:
        return "it expired before it was read"
    if request.verb == "submit":
        return _cannot_submit(scan, request)
    if request.verb == "temperature":
        return _cannot_believe(scan, request)
    if request.verb == "clear" and request.run is None:
        return _cannot_clear(scan, request)
    if request.verb in OTHERS:
        return OTHERS[request.verb].refusal(scan, request)
    run = scan.state.runs.get(request.run or "")
    if run is None:
        return f"no run {request.run} on this bench"
    if request.expected_state is not None and run.state != request.expected_state:
        return f"{run.run_id} is {run.state}, not {request.expected_state}"
    if request.verb == "answer":
        prompt = run.prompts.get(str(request.args.get("prompt")))
        return refusal(prompt, request.args, request.actor) if prompt else "nobody is asked that now"
    trigger = request.verb.upper()
    if trigger not in COMMANDS:
        return f"unknown command {request.verb}"
    if _is_so_already(scan, request):
        return None
    if not procedure.accepts(run, trigger):
        return f"{run.run_id} is {run.state}; allowed now: {', '.join(_allowed(run)) or 'none'}"
    if trigger == "START":
        return _cannot_start(scan, run)
    if trigger == "CLEAR" and not request.args.get("reason"):
        return WHY
    if trigger == "RESET" and not run.cleared and not request.args.get("reason"):
        return WHY if procedure.trips_of(scan, run.run_id) else None
    if trigger in ("RESTART", "RESUME"):
        return _cannot_go_on(scan, run)
    return None


def _cannot_go_on(scan: Scan, run: RunState) -> str | None:
    """A safe state once begun is carried through before anything heats again."""
    for rig in procedure.rigs_of(scan, run.run_id):
        chamber = scan.state.chambers[rig.name]
        if chamber.safe is not None and not safe.is_done(chamber):
            return f"{rig.name} is still being made safe"
    if scan.estopped:
        return "the e-stop is set"
    return reconcile.obstacle(scan, run) or _barred(scan, run.plan_hash)


def _cannot_clear(scan: Scan, request: Request) -> str | None:
    """Trips of no run are cleared at the chamber; those of a run by CLEAR and RESET of it."""
    chamber = scan.state.chambers.get(str(request.args.get("chamber")))
    if chamber is None or not chamber.latched:
        return f"nothing has tripped in {request.args.get('chamber')}"
    owner = scan.state.runs.get(chamber.tripped_run or "")
    if owner is not None and owner.state != "IDLE":
        return f"clear and reset {owner.run_id}, which it tripped"
    return None if request.args.get("reason") else WHY


def _cannot_believe(scan: Scan, request: Request) -> str | None:
    """A temperature that a person measured counts where thermometers cannot vote, never against a hot one."""
    name, value = str(request.args.get("chamber")), request.args.get("temperature_c")
    if name not in scan.state.chambers:
        return f"no chamber {name} on this bench"
    if not is_number(value):
        return "temperature_c must be a number"
    hottest = max(scan.temperatures(scan.context.rigs[name]), default=None)
    if hottest is not None and hottest >= limit("T_gas_off"):
        return f"{name} reads {hottest:.0f} degC"
    return None


def _cannot_submit(scan: Scan, request: Request) -> str | None:
    if "against" in request.args:
        return str(request.args["against"])
    plan, run = str(request.args.get("plan")), request.args.get("run")
    if plan not in scan.context.plans:
        return "its plan is not on this bench"
    if not isinstance(run, str) or not run or run == BENCH_STREAM:
        return "a run needs a name"
    if run in scan.state.runs:
        return f"run {run} exists already"
    return _tripped(scan, plan) or _barred(scan, plan)


def _cannot_start(scan: Scan, run: RunState) -> str | None:
    if run.end_state is not None:
        return f"{run.run_id} ended {run.end_state}; submit it anew"
    if scan.estopped:
        return "the e-stop is set; `labctl clear` it first"
    for name in chambers_of(scan, run.plan_hash):
        for instrument in scan.state.chambers[name].unaudited:
            return reconcile.not_audited(instrument)
    return _tripped(scan, run.plan_hash) or _barred(scan, run.plan_hash)


def chambers_of(scan: Scan, plan_hash: str) -> list[str]:
    """The chambers that the steps of a plan work in."""
    return sorted({name for span in scan.context.spans[plan_hash] for name in span.chambers})


def _tripped(scan: Scan, plan_hash: str) -> str | None:
    """A run waits for chambers that are busy, and not for one that only a person can make usable again."""
    for name in chambers_of(scan, plan_hash):
        latched = scan.state.chambers[name].latched
        if latched:
            return f"{name} has tripped ({', '.join(latched)}); clear and reset that run first"
    return None


def energised(context: Context, plan_hash: str) -> set[str]:
    """The instruments that safety rests on while a plan heats, stirs, doses or charges: of such steps and chambers."""
    steps = [
        step for step in context.plans[plan_hash].steps if isinstance(step, Heat | Stir | Cycle | Dispense)
    ]
    chambers = {step.chamber for step in steps if step.chamber}
    driven = {name for step in steps for name in step.instruments}
    return driven | {name for chamber in chambers for name in context.rigs[chamber].instruments}


def barred(context: Context, plan_hash: str) -> list[str]:
    """Why nothing may be energised for a plan."""
    used = energised(context, plan_hash) if context.barred else set()
    return [context.barred[name] for name in sorted(used & context.barred.keys())]


def _barred(scan: Scan, plan_hash: str) -> str | None:
    return "; ".join(barred(scan.context, plan_hash)) or None


def _submit(scan: Scan, request: Request) -> None:
    run, plan_hash = request.args["run"], request.args["plan"]
    scan.emit("run_created", {**request.args.get("about", {}), "run": run, "plan": plan_hash}, run)
    if "forecast" in request.args:
        scan.emit("run_forecast", request.args["forecast"], run)


def _answer(scan: Scan, request: Request) -> None:
    values = {k: float(v) for k, v in request.args.get("values", {}).items()}
    answer = {"prompt": request.args["prompt"], "values": values, "actor": request.actor}
    answer["confirm"] = list(request.args.get("confirm", []))
    answer["note"] = request.args.get("note", "")
    answer |= {word: request.args[word] for word in ("checked_by", "files", "lot") if request.args.get(word)}
    scan.emit("answered", answer, request.run)


def _command(scan: Scan, request: Request) -> None:
    assert request.run is not None
    if request.verb == "restart" and request.args.get("reason"):
        for rig in procedure.rigs_of(scan, request.run):
            services.person_says_clear(scan, rig)
    reason = str(request.args.get("reason") or f"{request.verb} by {request.actor}")
    procedure.command(
        scan, request.run, request.verb.upper(), reason=reason, actor=request.actor, person=True
    )
