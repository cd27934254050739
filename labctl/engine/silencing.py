"""What people may say of alarms and guards: acknowledge, shelve, take out of service, bypass. Each with its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from labctl.engine import alarms
from labctl.engine.guards import GUARDS
from labctl.engine.guards.frame import TRIP
from labctl.engine.scan import Scan
from labctl.engine.steps.people import is_number
from labctl.model.commands import Request
from labctl.model.limits import limit

REASON = "say why (--reason)"


class Verb(NamedTuple):
    """refusal: why not, or None. carry_out: what it does."""

    refusal: Callable[[Scan, Request], str | None]
    carry_out: Callable[[Scan, Request], None]


def _cannot_name(scan: Scan, request: Request) -> str | None:
    alarm = request.args.get("alarm")
    if alarm in scan.state.alarms:
        return None
    return f"no alarm {alarm}; there are {', '.join(scan.state.alarms) or 'none'}"


def _cannot_move(scan: Scan, request: Request, trigger: str) -> str | None:
    refused = _cannot_name(scan, request)
    if refused is not None:
        return refused
    state = scan.state.alarms[request.args["alarm"]]["state"]
    return None if alarms.next_state(state, trigger) else f"{request.args['alarm']} is {state}"


def _cannot_ack(scan: Scan, request: Request) -> str | None:
    return _cannot_move(scan, request, "ack")


def _ack(scan: Scan, request: Request) -> None:
    alarms.move(scan, request.args["alarm"], "ack", by=request.actor)


def _cannot_shelve(scan: Scan, request: Request) -> str | None:
    refused = _cannot_move(scan, request, "remove" if request.args.get("out_of_service") else "shelve")
    if refused is not None:
        return refused
    if not request.args.get("reason"):
        return REASON
    name = request.args["alarm"]
    if name.endswith("/by_hand") or name.endswith("/bypassed"):
        return f"{name} asks a person to act; it cannot be shelved"
    if _trips(scan, name) and any(
        r.started_s is not None and not r.end_state for r in scan.state.runs.values()
    ):
        return f"{name} belongs to a guard that trips; it cannot be shelved while a run is under way"
    longest = limit("shelve_max")
    return (
        _cannot_last(request.args.get("for_s"), longest) if not request.args.get("out_of_service") else None
    )


def _shelve(scan: Scan, request: Request) -> None:
    said = {"by": request.actor, "reason": request.args["reason"]}
    if request.args.get("out_of_service"):
        alarms.move(scan, request.args["alarm"], "remove", **said)
    else:
        until_s = scan.now + float(request.args["for_s"])
        alarms.move(scan, request.args["alarm"], "shelve", until_s=until_s, **said)


def _cannot_unshelve(scan: Scan, request: Request) -> str | None:
    back = "return" if _cannot_move(scan, request, "return") is None else "unshelve"
    return _cannot_move(scan, request, back)


def _unshelve(scan: Scan, request: Request) -> None:
    name = request.args["alarm"]
    back = "return" if scan.state.alarms[name]["state"] == "OUT_OF_SERVICE" else "unshelve"
    alarms.move(scan, name, back, by=request.actor)


def _cannot_bypass(scan: Scan, request: Request) -> str | None:
    name, chamber = str(request.args.get("guard")), str(request.args.get("chamber"))
    rig = scan.context.rigs.get(chamber)
    if rig is None:
        return f"no chamber {chamber} on this bench; there are {', '.join(scan.context.rigs)}"
    watched = {watch.guard: watch for watch in rig.watches}
    if name not in watched:
        return f"{chamber} has no guard {name}; it has {', '.join(watched)}"
    if not GUARDS[name].bypass:
        return f"{name} can never be bypassed"
    if not request.args.get("reason"):
        return REASON
    return _cannot_last(request.args.get("for_s"), limit("bypass_max"))


def _bypass(scan: Scan, request: Request) -> None:
    until_s = scan.now + float(request.args["for_s"])
    guard, chamber = request.args["guard"], request.args["chamber"]
    alarms.begin_bypass(scan, guard, chamber, until_s, request.actor, request.args["reason"])


def _cannot_unbypass(scan: Scan, request: Request) -> str | None:
    name = f"{request.args.get('chamber')}/{request.args.get('guard')}"
    return None if name in scan.state.bypasses else f"{name} is not bypassed"


def _unbypass(scan: Scan, request: Request) -> None:
    name = f"{request.args['chamber']}/{request.args['guard']}"
    alarms.end_bypass(scan, name, "taken back", request.actor)


def _trips(scan: Scan, alarm: str) -> bool:
    """Whether an alarm is that of a guard which trips."""
    watches = (watch for rig in scan.context.rigs.values() for watch in rig.watches if watch.alarm == alarm)
    return any(stage.action is TRIP for watch in watches for stage in GUARDS[watch.guard].stages)


def _cannot_last(for_s: object, longest_s: float) -> str | None:
    if not is_number(for_s) or not 0.0 < float(for_s) <= longest_s:
        return f"say for how long (--for), at most {longest_s / 3600:.0f} h"
    return None


VERBS: Mapping[str, Verb] = {
    "ack": Verb(_cannot_ack, _ack),
    "shelve": Verb(_cannot_shelve, _shelve),
    "unshelve": Verb(_cannot_unshelve, _unshelve),
    "bypass": Verb(_cannot_bypass, _bypass),
    "unbypass": Verb(_cannot_unbypass, _unbypass),
}
"""Requests of the bench, not of a run."""
