"""When an instrument is not as labctl left it: a person adopts its setpoint or restores labctl's; a reset is audited.

Both are for a run that is held. A higher temperature is never adopted: limits do not rise in passing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from labctl.engine import procedure, safe, sharing
from labctl.engine.context import Rig
from labctl.engine.guards.commanded import ACTING, Difference, differences
from labctl.engine.scan import Scan
from labctl.engine.silencing import REASON, Verb
from labctl.engine.state import Data, RunState
from labctl.model.commands import Request
from labctl.model.limits import limit


def obstacle(scan: Scan, run: RunState) -> str | None:
    """Why a held run cannot go on: a setpoint that nobody has decided about, an instrument not audited again."""
    for rig in procedure.rigs_of(scan, run.run_id):
        chamber = scan.state.chambers[rig.name]
        for name in chamber.unaudited:
            return not_audited(name)
        told = scan.state.alarms.get(f"{rig.name}/panel_change", {}).get("active")
        for one in differences(scan, rig, chamber) if told else ():
            return f"{one}; adopt it (with a reason) or restore it first"
    return None


def not_audited(instrument: str) -> str:
    """Why nothing heats with it."""
    return f"{instrument} came back from a reset and has not passed its audit since"


def audit_again(scan: Scan, rig: Rig) -> None:
    """Ask an instrument that came back from a reset for all that safety rests on, once the heat is proven off."""
    chamber = scan.state.chambers[rig.name]
    off = chamber.lease is None and (chamber.safe is None or safe.is_done(chamber))
    if not off or any(c["verb"] == "audit" for c in scan.state.pending.values()):
        return
    key = f"{rig.name}/audit_s"
    if scan.now - scan.tally.get(key, -math.inf) >= limit("no_progress"):
        scan.tally[key] = scan.now
        for name in chamber.unaudited:
            scan.send(rig, name, "audit", run=chamber.run, why="it came back from a reset")


def _found(scan: Scan, run: RunState) -> list[tuple[Rig, Difference]]:
    rigs = procedure.rigs_of(scan, run.run_id)
    return [(r, one) for r in rigs for one in differences(scan, r, scan.state.chambers[r.name])]


def _cannot_restore(scan: Scan, request: Request) -> str | None:
    run = scan.state.runs.get(request.run or "")
    if run is None:
        return f"no run {request.run} on this bench"
    if run.state != "HELD":
        return f"{run.run_id} is {run.state}, not HELD"
    return None if _found(scan, run) else "every setpoint is what labctl commanded"


def _cannot_adopt(scan: Scan, request: Request) -> str | None:
    refused = _cannot_restore(scan, request)
    if refused is not None:
        return refused
    if not request.args.get("reason"):
        return REASON
    for rig, one in _found(scan, scan.state.runs[request.run or ""]):
        if others := sharing.others(scan, rig, request.run or ""):
            return f"{one}: {others[0].run_id} shares {rig.name}; restore it"
        if one.signal == ACTING:
            return f"{one}: it is in another mode; restore it"
        if one.verb == "heat" and one.found > one.wanted:
            return f"{one}: a higher temperature is not adopted; restore it"
        if one.verb == "set_flow" and one.found < rig.protective_sccm:
            return f"{one}: less than the protective flow of {rig.protective_sccm:g} sccm; restore it"
    return None


def _adopt(scan: Scan, request: Request) -> None:
    """What the instruments say is what the steps under way want from now on; the next step says again what it wants."""
    run = scan.state.runs[request.run or ""]
    steps = scan.context.steps[run.plan_hash]
    for rig, one in _found(scan, run):
        data: Data = {"chamber": rig.name, "instrument": one.instrument, "argument": one.argument}
        data |= {
            "was": one.wanted,
            "value": one.found,
            "reason": request.args["reason"],
            "actor": request.actor,
        }
        of_chamber = [name for name in run.active if steps[name].chamber == rig.name]
        scan.emit("adopted", data | {"steps": of_chamber}, run.run_id)


def _restore(scan: Scan, request: Request) -> None:
    """Set again what labctl commanded; a heater no higher than it is now, for the run is held."""
    run = scan.state.runs[request.run or ""]
    for rig, one in _found(scan, run):
        args, lease, until_s = {one.argument: one.wanted}, scan.state.chambers[rig.name].lease, None
        if one.verb == "heat" and lease is not None:
            read_c = scan.good(rig, one.instrument, "temperature")
            args["target_c"] = min(one.wanted, max(one.found, read_c or 0.0))
            args["ramp_k_per_min"], until_s = lease.ramp_k_per_min, lease.until_s
        why = f"restored by {request.actor}"
        scan.send(rig, one.instrument, one.verb, args, run=run.run_id, until_s=until_s, why=why)


VERBS: Mapping[str, Verb] = {
    "adopt": Verb(_cannot_adopt, _adopt),
    "restore": Verb(_cannot_restore, _restore),
}
