"""Galvanostatic cycling on an instrument that holds a voltage and limits the current.

A half cycle is constant current until the cell reaches the voltage; the instrument itself never goes beyond it, even
when nobody reads. Its end is seen as the voltage reached, or as the limit no longer acting in two readings running.
"""

from __future__ import annotations

from labctl.engine import procedure
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.engine.steps.confirm import confirmed
from labctl.protocol.plan import Cycle

VOLTAGE_REACHED_V = 0.002
"""How near to its target a half cycle ends (assumed: twice the resolution of a 2450 on its 20 V range)."""


NO_CURRENT = 0.01
"""Of the programmed current: less at the end of a half cycle is none (assumed; a cell takes most of it until then)."""


def cycle(scan: Scan, run: RunState, state: StepState, step: Cycle, rig: Rig) -> None:
    """Charge and discharge in turn, charge first: as-made Na3V2(PO4)3 is the discharged state. Then open circuit."""
    half = int(state.data.get("half", 0))
    target = step.lower_v if half % 2 else step.upper_v
    match state.phase:
        case "enter":
            mass_mg = run.values.get(step.mass)
            if mass_mg is None:
                procedure.fault(
                    scan,
                    run.run_id,
                    f"{step.id}: no {step.mass.replace('_', ' ')} was entered",
                    hold="maintain",
                )
                return
            _source(scan, run, state, step, rig, half, target, mass_mg)
        case "source":
            if confirmed(scan, rig, state):
                scan.phase(run, state, "limit")
        case "limit":
            if not _has_reached(scan, run, step, rig, target):
                pass
            elif _is_open(scan, step, rig, state.data["current_a"]):
                reason = f"{step.id}: {target:g} V were there without a current: look for a lead that is off"
                procedure.fault(scan, run.run_id, reason, hold="cool")
                return
            elif half + 1 < 2 * step.cycles:
                following = step.upper_v if half % 2 else step.lower_v
                mass_mg = run.values[step.mass]
                _source(scan, run, state, step, rig, half + 1, following, mass_mg)
            else:
                scan.phase(run, state, "open")
                scan.send(rig, step.cycler, "open_circuit", run=run.run_id, step=step.id)
        case "open":
            if confirmed(scan, rig, state):
                scan.finish(run, state, cycles=step.cycles, current_a=state.data["current_a"])
                return
    if scan.now - state.entered_s > step.timeout_s:
        reason = f"{step.id}: half cycle {half + 1} did not end within {step.timeout_s / 3600:.1f} h in all"
        procedure.fault(scan, run.run_id, reason, hold="cool")


def _source(
    scan: Scan,
    run: RunState,
    state: StepState,
    step: Cycle,
    rig: Rig,
    half: int,
    target_v: float,
    mass_mg: float,
) -> None:
    # mA/g x mg = uA
    current_a = step.rate_c * step.specific_current_ma_per_g * mass_mg * 1e-6
    scan.phase(run, state, "source", half=half, current_a=current_a)
    args = {"voltage_v": target_v, "limit_a": current_a}
    until = scan.now + step.timeout_s
    scan.send(rig, step.cycler, "source", args, run=run.run_id, step=step.id, until_s=until)


def _is_open(scan: Scan, step: Cycle, rig: Rig, programmed_a: float) -> bool:
    current = scan.good(rig, step.cycler, "current")
    return current is not None and abs(current) < NO_CURRENT * programmed_a


def _has_reached(scan: Scan, run: RunState, step: Cycle, rig: Rig, target_v: float) -> bool:
    voltage = scan.good(rig, step.cycler, "voltage")
    limited = scan.good(rig, step.cycler, "limited")
    key = f"{run.run_id}/{step.id}/unlimited_n"
    if voltage is None or limited is None:
        return False
    if limited:
        scan.tally.pop(key, None)
    elif scan.add(key, 1.0) >= 2.0:
        del scan.tally[key]
        return True
    reached = abs(voltage - target_v) <= VOLTAGE_REACHED_V
    if reached:
        scan.tally.pop(key, None)
    return reached
