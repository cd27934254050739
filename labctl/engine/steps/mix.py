"""Stirring."""

from __future__ import annotations

from labctl.engine import procedure
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.engine.steps.confirm import confirmed
from labctl.protocol.plan import Stir

SPEED_TOLERANCE = 0.05
"""Of the commanded speed; within it the motor is taken to run as commanded (assumed)."""


def stir(scan: Scan, run: RunState, state: StepState, step: Stir, rig: Rig) -> None:
    """Start, see the speed reached, count the time at speed, stop."""
    match state.phase:
        case "enter":
            scan.phase(run, state, "start")
            until = scan.now + step.timeout_s
            args = {"speed_rpm": _speed_rpm(state, step)}
            scan.send(rig, step.stirrer, "stir", args, run=run.run_id, step=step.id, until_s=until)
        case "start":
            if confirmed(scan, rig, state) and _at_speed(scan, state, step, rig):
                scan.phase(run, state, "stir")
        case "stir":
            stirred = scan.add(
                f"{run.run_id}/{step.id}/stirred_s",
                scan.credit_s(rig) if _at_speed(scan, state, step, rig) else 0.0,
            )
            if stirred >= step.duration_s:
                scan.phase(run, state, "stop", stirred_s=stirred)
                scan.send(rig, step.stirrer, "stir_off", run=run.run_id, step=step.id)
        case "stop":
            if confirmed(scan, rig, state):
                scan.finish(run, state, stirred_s=state.data["stirred_s"], speed_rpm=step.speed_rpm)
                return
    if scan.now - state.entered_s > step.timeout_s:
        reason = f"{step.id}: not stirred for {step.duration_s:.0f} s within {step.timeout_s:.0f} s"
        procedure.fault(scan, run.run_id, reason, hold="cool")


def _speed_rpm(state: StepState, step: Stir) -> float:
    """Of the step, or what a person adopted from the panel."""
    speed: float = state.data.get("adopted", {}).get("speed_rpm", step.speed_rpm)
    return speed


def _at_speed(scan: Scan, state: StepState, step: Stir, rig: Rig) -> bool:
    speed, wanted = scan.good(rig, step.stirrer, "speed"), _speed_rpm(state, step)
    return speed is not None and abs(speed - wanted) <= SPEED_TOLERANCE * wanted
