"""Chambers that people keep for a while: for themselves, or a shared one at a setpoint for all who want that."""

from __future__ import annotations

import math
from collections.abc import Mapping

from labctl.engine import sharing
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.silencing import REASON, Verb
from labctl.engine.steps.people import is_number
from labctl.model.commands import Request
from labctl.model.limits import limit

LONGEST_S = 14 * 86_400.0
"""Of a reservation (assumed: what nobody remembers blocks a bench)."""


def _cannot_reserve(scan: Scan, request: Request) -> str | None:
    name, for_s = str(request.args.get("chamber")), request.args.get("for_s")
    if name not in scan.context.rigs:
        return f"no chamber {name} on this bench; there are {', '.join(scan.context.rigs)}"
    if not request.args.get("reason"):
        return REASON
    if not is_number(for_s) or not 0.0 < float(for_s) <= LONGEST_S:
        return f"say for how long (--for), at most {LONGEST_S / 86400:.0f} days"
    kept = scan.state.reservations.get(name)
    if kept is not None and scan.now < kept["until_s"] and kept["by"] != request.actor:
        return f"{name} is reserved by {kept['by']}: {kept['reason']}"
    wanted = request.args.get("setpoint_c")
    if wanted is not None:
        return _cannot_share(scan, scan.context.rigs[name], request)
    owner = scan.state.runs.get(scan.state.chambers[name].run or "")
    if owner is not None and owner.end_state is None:
        return f"{name} is busy with run {owner.run_id} ({owner.state})"
    for other in sharing.claims_of_people(scan, name):
        if other["by"] != request.actor:
            return f"{name} is kept at {other['setpoint_c']:g} degC by {other['by']}: {other['contents']}"
    return None


def _cannot_share(scan: Scan, rig: Rig, request: Request) -> str | None:
    """A claim is on a shared chamber, says what is put in, and asks for the setpoint that it has, if it has one."""
    wanted = request.args["setpoint_c"]
    if not rig.shared:
        return f"{rig.name} is not shared; reserve it for yourself, without a setpoint"
    if not request.args.get("contents"):
        return "say what is put in (--contents)"
    most = min(rig.max_temperature_c or math.inf, limit("T_inert"))
    if not is_number(wanted) or not 0.0 < float(wanted) <= most:
        return f"people keep {rig.name} at {most:g} degC at most, not at {wanted}; hotter is for runs"
    chamber = scan.state.chambers[rig.name]
    for claim in (*chamber.claims.values(), *sharing.claims_of_people(scan, rig.name)):
        if claim["setpoint_c"] not in (wanted, None) and claim.get("by") != request.actor:
            return f"{rig.name} is kept at {claim['setpoint_c']:g} degC: {claim['contents']}"
    owner = scan.state.runs.get(chamber.run or "")
    if owner is not None and owner.end_state is None and not chamber.claims:
        return f"{rig.name} is busy with run {owner.run_id} ({owner.state})"
    return None


def _reserve(scan: Scan, request: Request) -> None:
    name, until_s = request.args["chamber"], scan.now + float(request.args["for_s"])
    data = {"chamber": name, "until_s": until_s, "by": request.actor, "reason": str(request.args["reason"])}
    if request.args.get("setpoint_c") is not None:
        data |= {"id": f"{name}/{request.actor}", "setpoint_c": float(request.args["setpoint_c"])}
        data["contents"] = str(request.args["contents"])
    scan.emit("reserved", data)


def _of(scan: Scan, request: Request) -> str | None:
    """Which reservation of a chamber a person means: that of the whole, or their own claim on it."""
    name = str(request.args.get("chamber"))
    return next((one for one in (name, f"{name}/{request.actor}") if one in scan.state.reservations), None)


def _cannot_end(scan: Scan, request: Request) -> str | None:
    if _of(scan, request) is not None:
        return None
    name = str(request.args.get("chamber"))
    others = [kept["by"] for kept in sharing.claims_of_people(scan, name)]
    return f"{name} is not reserved" + (f" by {request.actor}, but by {', '.join(others)}" if others else "")


def _end(scan: Scan, request: Request) -> None:
    name, ended = request.args["chamber"], _of(scan, request)
    told = {} if ended == name else {"id": ended}
    scan.emit("reservation_ended", {"chamber": name, "by": request.actor} | told)


VERBS: Mapping[str, Verb] = {
    "reserve": Verb(_cannot_reserve, _reserve),
    "unreserve": Verb(_cannot_end, _end),
}
"""Requests of the bench, not of a run."""
