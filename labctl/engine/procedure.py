"""A run through its states: what each command and each end of an -ING state sets going."""

from __future__ import annotations

from typing import Any

from labctl.engine import alarms, custody, safe, sharing
from labctl.engine.context import Rig
from labctl.engine.machine import ACTING, next_state
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState, RunState
from labctl.model.limits import limit

HELD = "/held"
"""Of the alarm that a run waits for a person."""
WAITS = frozenset({"PAUSING", "PAUSED", "HOLDING", "HELD"})
"""States that end in STOP when nobody comes, and when what they wait for is never confirmed."""


def accepts(run: RunState, trigger: str) -> bool:
    """Whether the run's state accepts this command now."""
    return next_state(run.state, trigger, cleared=run.cleared) is not None


def command(
    scan: Scan,
    run_id: str,
    trigger: str,
    *,
    reason: str,
    actor: str,
    hold: str = "maintain",
    person: bool = False,
) -> None:
    """Move a run by a command that its state accepts, and set going what the new state does."""
    run = scan.state.runs[run_id]
    target = next_state(run.state, trigger, cleared=run.cleared)
    if target is None:
        raise ValueError(f"{trigger} is not accepted in {run.state}")
    data: dict[str, Any] = {"run": run_id, "from": run.state, "to": target, "trigger": trigger}
    data |= {"reason": reason, "actor": actor, "by_person": person}
    if trigger == "HOLD":
        data["hold"] = hold
    scan.emit("state_changed", data, run_id)
    if trigger in ("RESTART", "STOP", "ABORT"):
        for name in [n for n, a in scan.state.alarms.items() if n.endswith(HELD) and a.get("run") == run_id]:
            scan.alarm(name, False, "", run=run_id)
    _enter(scan, scan.state.runs[run_id], trigger, reason)


def fault(scan: Scan, run_id: str, reason: str, *, hold: str) -> None:
    """Something in the recipe cannot go on: hold the run for a person, and tell people unless an alarm does."""
    run = scan.state.runs[run_id]
    if not accepts(run, "HOLD"):
        return
    steps = scan.context.steps[run.plan_hash]
    where = next((c for name in run.active if (c := steps[name].chamber)), run_id)
    told = any(scan.state.alarms[name]["active"] for name in alarms.of_chamber(scan, where))
    if scan.state.chambers.get(where, ChamberState(run_id)).run != run_id:
        where = f"{where}/{run_id}"  # beside that of the run which leads there
    command(scan, run_id, "HOLD", reason=reason, actor="labctl", hold=hold)
    scan.alarm(f"{where}{HELD}", True, f"{run_id} is held: {reason}", run=run_id, hidden=told)


def rigs_of(scan: Scan, run_id: str) -> list[Rig]:
    """The chambers that a run has taken, or has a claim on."""
    chambers = scan.state.chambers.items()
    return [scan.context.rigs[n] for n, c in chambers if c.run == run_id or run_id in c.claims]


def advance(scan: Scan, run: RunState) -> None:
    """End an -ING state whose work is confirmed, and stop a run that was held for too long."""
    if run.state in ACTING and _is_done(scan, run):
        _done(scan, run)
    elif run.state in WAITS and scan.now - run.state_s >= limit("held_max"):
        reason = f"{run.state} for {limit('held_max') / 3600:.0f} h"
        command(scan, run.run_id, "STOP", reason=reason, actor="labctl")


def complete(scan: Scan, run: RunState) -> None:
    """All steps are done. What is still hot or under gas is made safe and stays in custody."""
    for rig in rigs_of(scan, run.run_id):
        chamber = scan.state.chambers[rig.name]
        if (chamber.energised or chamber.flow_sccm > 0.0) and not sharing.yield_heat(scan, run.run_id, rig):
            safe.start(scan, rig, "run complete", "complete", run.run_id)
    _done(scan, run)


def _enter(scan: Scan, run: RunState, trigger: str, reason: str) -> None:
    match run.state:
        case "HOLDING" | "PAUSING":
            for rig in rigs_of(scan, run.run_id):
                chamber = scan.state.chambers[rig.name]
                cool = run.state == "HOLDING" and run.hold == "cool" and chamber.energised
                if cool or not _can_maintain(scan, rig, chamber):
                    safe.start(scan, rig, reason, "hold", run.run_id)
                elif (
                    not sharing.keep_warm(scan, run.run_id, rig, running=True)
                    and run.actor != "guard panel_change"  # nobody fights a hand at the panel
                ):
                    _freeze_ramp(scan, rig, run)
        case "STOPPING" | "ABORTING":
            for rig in rigs_of(scan, run.run_id):
                chamber = scan.state.chambers[rig.name]
                if trigger == "STOP" and sharing.yield_heat(scan, run.run_id, rig):
                    continue
                if chamber.energised or chamber.flow_sccm > 0.0:
                    safe.start(scan, rig, reason, "stop" if trigger == "STOP" else "abort", run.run_id)
        case "RESTARTING" | "RUNNING" if trigger in ("RESTART", "RESUME"):
            for rig in rigs_of(scan, run.run_id):
                if scan.state.chambers[rig.name].safe is not None:
                    scan.emit("safe_left", {"chamber": rig.name}, run.run_id)
            for step in run.active.values():
                scan.phase(run, step, "enter")
        case "ABORTED" if trigger == "CLEAR":
            for name in trips_of(scan, run.run_id):
                alarms.acknowledge(scan, name, run.actor or "labctl")
        case "IDLE" if trigger == "RESET":
            for name in trips_of(scan, run.run_id):
                scan.emit("trips_reset", {"chamber": name}, run.run_id)
                alarms.reset(scan, name, run.actor or "labctl")
        case _:
            pass


def trips_of(scan: Scan, run_id: str) -> list[str]:
    """The chambers whose latched trips go with the RESET of this run."""
    return [n for n, c in scan.state.chambers.items() if c.latched and c.tripped_run == run_id]


def _can_maintain(scan: Scan, rig: Rig, chamber: ChamberState) -> bool:
    """Heat may stay on only while heater, sensor and gas are proven good; dosing never goes on."""
    if chamber.dosing:
        return False
    if chamber.lease is None:
        return True
    if (
        scan.good(rig, rig.heater, "temperature") is None
        or scan.good(rig, rig.heater, "working_setpoint") is None
    ):
        return False
    if rig.gas is None or chamber.atmosphere != "inert":
        return True
    flow = scan.value(rig.flow)
    return flow is not None and flow >= max(
        limit("nitrogen_low_fraction") * chamber.flow_sccm, rig.protective_sccm
    )


def _freeze_ramp(scan: Scan, rig: Rig, run: RunState) -> None:
    lease = scan.state.chambers[rig.name].lease
    working, setpoint = (
        scan.good(rig, rig.heater, "working_setpoint"),
        scan.good(rig, rig.heater, "setpoint"),
    )
    if lease is None or rig.heater is None or working is None:
        return
    if setpoint is None or abs(setpoint - lease.target_c) >= 0.5:
        working = min(working, lease.target_c)  # it may be on its way to what a hand at the panel set
    if abs(working - lease.target_c) < 0.5:
        return
    args = {"target_c": working, "ramp_k_per_min": lease.ramp_k_per_min}
    scan.send(rig, rig.heater, "heat", args, run=run.run_id, until_s=lease.until_s, why="ramp frozen")


def _is_done(scan: Scan, run: RunState) -> bool:
    if run.state == "RESTARTING":
        return True
    if any(p["stream"] == run.run_id for p in scan.state.pending.values()):
        return False
    chambers = [scan.state.chambers[rig.name] for rig in rigs_of(scan, run.run_id)]
    return all(c.safe is None or safe.is_done(c) for c in chambers)


def _done(scan: Scan, run: RunState) -> None:
    target = next_state(run.state, "DONE")
    assert target is not None
    data = {"run": run.run_id, "from": run.state, "to": target, "trigger": "DONE"}
    scan.emit("state_changed", data, run.run_id)
    if target in ("STOPPED", "ABORTED", "COMPLETE"):
        _end(scan, scan.state.runs[run.run_id], target)


def _end(scan: Scan, run: RunState, end_state: str) -> None:
    for rig in rigs_of(scan, run.run_id):
        chamber = scan.state.chambers[rig.name]
        if sharing.leave(scan, run.run_id, rig):
            continue
        if chamber.safe is None:
            scan.emit("chamber_released", {"chamber": rig.name}, run.run_id)
        elif safe.is_done(chamber):
            custody.open_or_release(scan, rig, run.reason or end_state, run.run_id)
    reason = run.reason if end_state != "COMPLETE" else None
    if run.end_state is None:
        ended = {"end_state": end_state, "reason": reason, "actor": run.actor, "by_person": run.by_person}
        scan.emit("run_ended", ended, run.run_id)
    scan.forget(f"{run.run_id}/")
