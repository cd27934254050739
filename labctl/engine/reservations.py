"""Chambers that people keep for themselves for a while: runs wait, or say so."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.engine.scan import Scan
from labctl.engine.silencing import REASON, Verb
from labctl.engine.steps.people import is_number
from labctl.model.commands import Request

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
    owner = scan.state.runs.get(scan.state.chambers[name].run or "")
    if owner is not None and owner.end_state is None:
        return f"{name} is busy with run {owner.run_id} ({owner.state})"
    kept = scan.state.reservations.get(name)
    if kept is not None and scan.now < kept["until_s"] and kept["by"] != request.actor:
        return f"{name} is reserved by {kept['by']}: {kept['reason']}"
    return None


def _reserve(scan: Scan, request: Request) -> None:
    until_s = scan.now + float(request.args["for_s"])
    data = {"chamber": request.args["chamber"], "until_s": until_s, "by": request.actor}
    scan.emit("reserved", data | {"reason": str(request.args["reason"])})


def _cannot_end(scan: Scan, request: Request) -> str | None:
    name = str(request.args.get("chamber"))
    return None if name in scan.state.reservations else f"{name} is not reserved"


def _end(scan: Scan, request: Request) -> None:
    scan.emit("reservation_ended", {"chamber": request.args["chamber"], "by": request.actor})


VERBS: Mapping[str, Verb] = {
    "reserve": Verb(_cannot_reserve, _reserve),
    "unreserve": Verb(_cannot_end, _end),
}
"""Requests of the bench, not of a run."""
