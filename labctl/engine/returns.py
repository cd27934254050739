"""A run that was held because nitrogen failed goes on by itself when it is back soon enough, at most twice.

Soon enough: flow near its setpoint for a minute, a short outage, little heat lost, oxygen low by a good reading, and
nothing else in the way. Whatever is missing leaves it HELD for a person. Its step then proves what it needs anew.

The outage is counted from the scan in which nitrogen held a run that was going on. A run that a person had paused has
no such count, and it is dropped when a person holds the run too or the bench was not observed: then a person decides.
"""

from __future__ import annotations

from labctl.engine import procedure, reconcile, safe
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState
from labctl.model.limits import limit

BY_NITROGEN = frozenset({"guard nitrogen_low", "guard nitrogen_lost"})
"""Who held a run that may go on by itself."""


def watch(scan: Scan, run: RunState) -> None:
    """Look whether a run held for want of nitrogen may go on, and let it."""
    if run.state not in ("HOLDING", "HELD") or run.actor not in BY_NITROGEN:
        return
    if _was_going_on(scan, run.run_id):
        _count(scan, run.run_id)
    if _held(run.run_id) not in scan.tally:
        return
    for rig in procedure.rigs_of(scan, run.run_id):
        if rig.gas is not None and scan.state.chambers[rig.name].flow_sccm > 0.0:
            _watch_gas(scan, run, rig)


def leave_to_people(scan: Scan, run_id: str) -> None:
    """Whoever held it: only a person lets this run go on now."""
    scan.forget(f"{run_id}/return/")


def _held(run_id: str) -> str:
    return f"{run_id}/return/held_s"


def _hot(run_id: str, rig: Rig) -> str:
    return f"{run_id}/return/{rig.name}/hot_c"


def _was_going_on(scan: Scan, run_id: str) -> bool:
    """It was held in this scan, and no person had paused it."""
    moves = [event.data for event in scan.events if event.kind == "state_changed"]
    holds = [move for move in moves if move["run"] == run_id and move["trigger"] == "HOLD"]
    return any(hold["from"] in ("RUNNING", "RESTARTING") for hold in holds)


def _count(scan: Scan, run_id: str) -> None:
    """From now on, and remember how hot each chamber is."""
    leave_to_people(scan, run_id)
    scan.tally[_held(run_id)] = scan.now
    for rig in procedure.rigs_of(scan, run_id):
        if scan.temperatures(rig):
            scan.tally[_hot(run_id, rig)] = max(scan.temperatures(rig))


def _watch_gas(scan: Scan, run: RunState, rig: Rig) -> None:
    back = f"{run.run_id}/return/{rig.name}/back_s"
    hottest = max(scan.temperatures(rig), default=None)
    flow = scan.value(rig.flow)
    wanted = limit("return_flow_fraction") * scan.state.chambers[rig.name].flow_sccm
    for_s = scan.lasting(back, flow is not None and flow >= wanted)
    if for_s < limit("return_flow_for") or run.state != "HELD" or hottest is None:
        return
    outage_s = scan.tally[back] - scan.tally[_held(run.run_id)] + limit("nitrogen_low_for")
    drop_k = scan.tally.get(_hot(run.run_id, rig), float("inf")) - hottest
    if outage_s <= limit("return_outage") and drop_k <= limit("return_drop") and _is_free(scan, run, rig):
        _go_on(scan, run, rig, outage_s, drop_k)


def _is_free(scan: Scan, run: RunState, rig: Rig) -> bool:
    """Oxygen is low by a good reading, no trip is latched, the chamber is safe, and it may return once more."""
    chamber = scan.state.chambers[rig.name]
    oxygen = scan.value(rig.oxygen)
    if oxygen is None or oxygen > limit("purge_oxygen"):
        return False
    if chamber.latched or chamber.distrusted or not safe.is_done(chamber) or scan.estopped:
        return False
    if scan.tally.get(f"{run.run_id}/returns", 0.0) >= limit("returns"):
        return False
    return reconcile.obstacle(scan, run) is None


def _go_on(scan: Scan, run: RunState, rig: Rig, outage_s: float, drop_k: float) -> None:
    """RESTART, and tell people: they find the alarm even when it all went well."""
    nth = scan.add(f"{run.run_id}/returns", 1.0)
    message = (
        f"{rig.name}: N2 was back after {outage_s:.0f} s and {drop_k:.0f} K; the run goes on by itself "
        f"({nth:.0f} of {limit('returns'):.0f})"
    )
    alarm = f"{rig.name}/returned"
    scan.alarm(alarm, True, message, run=run.run_id, priority="medium")
    procedure.command(scan, run.run_id, "RESTART", reason=message, actor="labctl")
    scan.alarm(alarm, False, "", run=run.run_id)
