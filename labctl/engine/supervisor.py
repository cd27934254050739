"""The bench supervisor: guards, purge proofs, leases, safe states and custody of all chambers, in every run state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from labctl.engine import cold, custody, guards, procedure, reconcile, relief, safe, services, sharing
from labctl.engine.context import Context, Rig
from labctl.engine.energy import watch_energy
from labctl.engine.guards.commanded import is_dialled
from labctl.engine.scan import Scan
from labctl.engine.state import BenchState, ChamberState, RunState
from labctl.engine.steps.gas import watch_purge
from labctl.model.commands import Command
from labctl.model.limits import limit

RENEW_FRACTION = 0.4
"""Of an instrument's dead-man: two renewals may be lost before a heater falls back (derived)."""


class _InUse(NamedTuple):
    """What was worked out last, and of what: runs and chambers are replaced whenever anything in them changes."""

    context: Context
    runs: Mapping[str, RunState]
    chambers: Mapping[str, ChamberState]
    rigs: tuple[Rig, ...]


_last: _InUse | None = None


def chambers_in_use(context: Context, state: BenchState) -> tuple[Rig, ...]:
    """Chambers that labctl must watch now: heated, under gas, being made safe, in custody, or used by a step.

    Asked several times a scan and nearly always about the same runs and chambers: those are not looked at anew.
    """
    global _last
    last = _last
    if (
        last is not None
        and last.runs is state.runs
        and last.chambers is state.chambers
        and last.context is context
    ):
        return last.rigs
    _last = _InUse(context, state.runs, state.chambers, _in_use(context, state))
    return _last.rigs


def _in_use(context: Context, state: BenchState) -> tuple[Rig, ...]:
    used = set()
    for run in state.runs.values():
        if run.active:
            steps = context.steps[run.plan_hash]
            for name in run.active:
                step = steps[name]
                if step.chamber is not None and step.instruments:
                    used.add(step.chamber)
    return tuple(
        context.rigs[name]
        for name, c in state.chambers.items()
        if name in used or c.energised or c.safe or c.custody or c.flow_sccm > 0.0
    )


def advance(scan: Scan, rig: Rig) -> None:
    """Watch one chamber for one scan: proofs, guards, leases, safe state, custody."""
    if rig.gas is not None:
        watch_purge(scan, rig)
    if rig.kind in ("tube", "oven"):
        cold.watch_heat(scan, rig)
    if scan.state.chambers[rig.name].lease is not None:
        watch_energy(scan, rig)
    guards.watch(scan, rig)
    if "tube_pressure" in rig.io:
        relief.advance(scan, rig)
    if rig.io:
        services.advance(scan, rig)
    if rig.shared:
        sharing.watch_heat(scan, rig)
    chamber = scan.state.chambers[rig.name]
    if chamber.lease is not None:
        _renew(scan, rig, chamber)
    elif chamber.energised and (chamber.custody is None or rig.kind == "oven"):
        _see_it_off(scan, rig, chamber)
        chamber = scan.state.chambers[rig.name]
    if chamber.safe is not None and not safe.is_done(chamber):
        safe.advance(scan, rig, chamber.run)
        chamber = scan.state.chambers[rig.name]
    if chamber.unaudited:
        reconcile.audit_again(scan, rig)
    if chamber.safe is not None and len(chamber.claims) > 1:
        _hold_with_it(scan, rig, chamber)
    run = scan.state.runs.get(chamber.run or "")
    if chamber.safe is not None and safe.is_done(chamber) and (run is None or run.end_state is not None):
        custody.open_or_release(scan, rig, chamber.safe["cause"], chamber.run)
    if rig.gas is not None and (chamber.custody or chamber.safe):
        custody.keep_gas(scan, rig, rig.gas)
    if chamber.custody is not None:
        if chamber.safe is None:
            custody.advance(scan, rig)
    elif chamber.energised and chamber.lease is None and rig.kind == "oven" and cold.is_open_cold(scan, rig):
        scan.emit("chamber_cold", {"chamber": rig.name}, chamber.run)


def _hold_with_it(scan: Scan, rig: Rig, chamber: ChamberState) -> None:
    """Whatever makes a shared chamber safe takes the heat from every run that has a batch in: each is held."""
    assert chamber.safe is not None
    reason = f"{rig.name}, which it shares, is made safe: {chamber.safe['cause']}"
    for run in sharing.users(scan, rig):
        if procedure.accepts(run, "HOLD"):
            procedure.fault(scan, run.run_id, reason, hold="cool")


def _see_it_off(scan: Scan, rig: Rig, chamber: ChamberState) -> None:
    """A heater that labctl does not ask to heat and that heats (a hand at its panel) is switched off again.

    Judged by readings since it was switched off: a line that is busy with that shows what was before. An oven tells no
    output; its setpoint shows whether it could heat.
    """
    signal, off = ("setpoint", limit("instrument_off_c") + 0.5) if rig.kind == "oven" else ("output", 0.0)
    value, count, seen = (
        scan.good(rig, rig.heater, signal),
        f"{rig.name}/unasked_n",
        f"{rig.name}/unasked_s",
    )
    if value is None or value <= off:
        scan.tally.pop(count, None)
        scan.tally.pop(seen, None)
        return
    sampled_s = scan.image[f"{rig.heater}.{signal}"].t_s
    if _is_being_switched_off(scan, rig) or sampled_s <= scan.tally.get(seen, float("-inf")):
        return
    scan.tally[seen] = sampled_s
    if scan.add(count, 1.0) < limit("trip_scans"):
        return
    shown = f"is set to {value:.0f} degC" if rig.kind == "oven" else f"heats at {value:.0f} %"
    message = f"{rig.name}: {rig.heater} {shown}, and labctl did not ask it to; heater off"
    run = scan.state.runs.get(chamber.run or "")
    if chamber.safe is not None:
        safe.reopen(scan, rig, "heat_off", message, chamber.run)
    elif run is not None and procedure.accepts(run, "HOLD"):
        procedure.fault(scan, run.run_id, message, hold="cool")
    else:
        safe.start(scan, rig, message, "abort", chamber.run)


def _is_being_switched_off(scan: Scan, rig: Rig) -> bool:
    return any(
        command["instrument"] == rig.heater and command["verb"] == "heat_off" and "unknown_s" not in command
        for command in scan.state.pending.values()
    )


def look_around(scan: Scan, rig: Rig) -> None:
    """What matters of a chamber that is not in use: the room's air, and that its bypass stays closed."""
    guards.watch(scan, rig, idle=True)
    services.advance(scan, rig)


def _renew(scan: Scan, rig: Rig, chamber: ChamberState) -> None:
    lease = chamber.lease
    assert lease is not None
    if scan.now >= lease.until_s:
        message = f"{rig.name}: heating was authorised until now and not renewed; heater off"
        run = scan.state.runs.get(chamber.run or "")
        if run is not None and sharing.keep_warm(scan, run.run_id, rig, running=True):
            message = f"{rig.name}: heating was authorised for it until now; the heat goes on for others"
            procedure.fault(scan, run.run_id, message, hold="maintain")
        elif run is not None and procedure.accepts(run, "HOLD"):
            procedure.fault(scan, run.run_id, message, hold="cool")
        elif chamber.safe is None:
            safe.start(scan, rig, message, "hold", chamber.run)
        return
    if rig.lease_s is not None:
        target, due = lease.target_c, RENEW_FRACTION * rig.lease_s
    elif rig.host_ramp:
        target, due = (
            _host_setpoint(scan, lease.from_c, lease.target_c, lease.ramp_k_per_min, lease.since_s),
            0.0,
        )
        if scan.tally.get(f"{rig.name}/sent_c") == target or is_dialled(scan, rig, chamber):
            return  # there already, or somebody else set it: `panel_change` says so, and nobody fights
    else:
        return
    key = f"{rig.name}/renewed_s"
    if scan.now - max(scan.tally.get(key, 0.0), lease.since_s) >= due and scan.now > lease.since_s:
        scan.tally[key] = scan.now
        scan.tally[f"{rig.name}/sent_c"] = target
        scan.commands.append(
            Command("renewal", lease.instrument, "renew", {"target_c": target}, renewal=True)
        )


def _host_setpoint(
    scan: Scan, from_c: float | None, target_c: float, ramp_k_per_min: float, since_s: float
) -> float:
    """Where a ramp that the host carries out stands now, rounded to 0.1 K."""
    if from_c is None or not ramp_k_per_min:
        return target_c
    travelled = ramp_k_per_min * (scan.now - since_s) / 60.0
    if travelled >= abs(target_c - from_c):
        return target_c
    return round(from_c + (travelled if target_c > from_c else -travelled), 1)
