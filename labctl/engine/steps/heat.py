"""Heating: prove the atmosphere, ramp by the instrument's own ramp, soak for time in band, leave; and cooling."""

from __future__ import annotations

from typing import Any

from labctl.engine import permissives, procedure, services, sharing
from labctl.engine.cold import is_open_cold
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState, soaked_s
from labctl.engine.steps.confirm import confirmed
from labctl.engine.steps.gas import set_flow_if_needed
from labctl.model.limits import limit
from labctl.protocol.plan import Cool, Heat

RATE_WINDOW_S = 600.0
"""Over which a heating rate is judged against the step's minimum (assumed)."""


def heat(scan: Scan, run: RunState, state: StepState, step: Heat, rig: Rig) -> None:
    """See the module. The step's data: `segment`, the index of the ramp and soak under way; `soaks`, those done.

    `shared`: other runs heated the oven for a while, or kept it hot: no forecast knows how long that takes.
    """
    match state.phase:
        case "enter":
            if len(state.data.get("soaks", ())) == len(step.segments):
                _end_heating(scan, run, state, step, rig)
            elif set_flow_if_needed(scan, run, step.id, step.under, rig):
                scan.phase(run, state, "gas", **_washing(scan, state, step, rig))
            else:
                scan.phase(run, state, "permissives", **_washing(scan, state, step, rig))
        case "gas":
            if confirmed(scan, rig, state):
                scan.phase(run, state, "permissives")
        case "permissives":
            lacking = permissives.missing(scan, run, step, rig)
            if lacking:
                permissives.wait(scan, run, state, step, rig, lacking)
            elif services.lets_power(scan, run, step.id, rig):
                permissives.granted(scan, run, step, rig)
                _start_segment(scan, run, state, step, rig)
        case "ramp":
            if confirmed(scan, rig, state) and _in_band(scan, state, step, rig):
                scan.phase(run, state, "soak")
                sharing.claim(scan, scan.state.runs[run.run_id], rig)
            else:
                _judge_rate(scan, run, state, step, rig)
        case "soak":
            _soak(scan, run, state, step, rig)
        case "leave":
            _leave(scan, run, state, step, rig)
    if state.phase != "leave" and scan.now - state.entered_s > _bound_s(state, step):
        reason = f"{step.id}: still in {state.phase} after {step.timeout_s / 3600:.1f} h"
        procedure.fault(scan, run.run_id, reason, hold="maintain")


def _washing(scan: Scan, state: StepState, step: Heat, rig: Rig) -> dict[str, float]:
    """Time for proving the purge anew, besides the step's own."""
    if permissives.lacks_proof(scan, step, rig):
        return {"washing_s": permissives.washing_s(step, rig)}
    return {"washing_s": 0.0} if "washing_s" in state.data else {}


def _bound_s(state: StepState, step: Heat) -> float:
    washing_s: float = state.data.get("washing_s", 0.0)
    return step.timeout_s + washing_s


def _segment(state: StepState) -> int:
    return int(state.data.get("segment", 0))


def _start_segment(scan: Scan, run: RunState, state: StepState, step: Heat, rig: Rig) -> None:
    index = _segment(state)
    segment = step.segments[index]
    told: dict[str, Any] = {"waits_for": []} if state.data.get("waits_for") else {}
    sharing.claim(scan, run, rig)
    leads = sharing.commands(scan, run, rig)
    if not leads:
        told["shared"] = True
    scan.phase(run, state, "ramp", segment=index, **told)
    scan.tally.pop(f"{soaked_s(run, step.id, index)}/lost", None)
    if not leads:
        return
    args = {"target_c": _target_c(state, step, index), "ramp_k_per_min": segment.ramp_k_per_min}
    until = state.entered_s + _bound_s(state, step) + limit("held_max")
    scan.send(rig, step.heater, "heat", args, run=run.run_id, step=step.id, until_s=until)


def _target_c(state: StepState, step: Heat, index: int) -> float:
    """Of the segment, or what a person adopted from the panel during it, which is never more."""
    planned = step.segments[index].target_c
    adopted: float = state.data.get("adopted", {}).get("target_c", planned)
    return min(planned, adopted)


def _in_band(scan: Scan, state: StepState, step: Heat, rig: Rig) -> bool:
    temperature = scan.good(rig, step.heater, "temperature")
    return (
        temperature is not None and abs(temperature - _target_c(state, step, _segment(state))) <= step.band_k
    )


def _soak(scan: Scan, run: RunState, state: StepState, step: Heat, rig: Rig) -> None:
    index = _segment(state)
    key = soaked_s(run, step.id, index)
    credit_s = scan.credit_s(rig) if _in_band(scan, state, step, rig) else 0.0
    soaked = scan.add(key, credit_s)
    lost = scan.add(f"{key}/lost", scan.dt_s - credit_s)
    segment = step.segments[index]
    for number, checkpoint in enumerate(step.checkpoints):
        name = f"{step.id}:checkpoint{number}"
        if soaked >= checkpoint.at_s and index == 0 and name not in state.data:
            scan.phase(run, state, "soak", **{name: True})
            prompt = {"id": name, "step": step.id, "kind": "checkpoint", "do": checkpoint.do}
            scan.emit(
                "prompt", prompt | {"confirm": [], "enter": [], "into": None, "blocking": False}, run.run_id
            )
            return
    if soaked >= segment.hold_s:
        soaks = [*state.data.get("soaks", []), soaked]
        if index + 1 < len(step.segments):
            kept = {k: v for k, v in state.data.get("adopted", {}).items() if k != "target_c"}
            told: dict[str, Any] = {"adopted": kept} if "adopted" in state.data else {}
            scan.phase(run, state, "soak", segment=index + 1, soaks=soaks, **told)
            fresh = scan.state.runs[run.run_id].active[step.id]
            _start_segment(scan, run, fresh, step, rig)
        else:
            _end_heating(scan, run, state, step, rig, soaks=soaks)
    elif lost > step.catch_up_s:
        reason = f"{step.id}: {lost / 60:.0f} min out of band during the soak, more than can be caught up"
        procedure.fault(scan, run.run_id, reason, hold="maintain")


def _end_heating(scan: Scan, run: RunState, state: StepState, step: Heat, rig: Rig, **data: Any) -> None:
    """Nothing is left to soak: off, where the step wants it off."""
    off = step.after in ("cool", "off")
    kept = off and sharing.keep_warm(scan, run.run_id, rig)
    scan.phase(run, state, "leave", **data, **({"shared": True} if kept else {}))
    if off:
        if not kept:
            scan.send(rig, step.heater, "heat_off", run=run.run_id, step=step.id)
        sharing.heat_is_over(scan, scan.state.runs[run.run_id], rig)


def _leave(scan: Scan, run: RunState, state: StepState, step: Heat, rig: Rig) -> None:
    if not confirmed(scan, rig, state) or (step.after == "cool" and not is_open_cold(scan, rig)):
        return
    shared: dict[str, Any] = {"shared": True} if "shared" in state.data else {}
    targets_c = [segment.target_c for segment in step.segments]
    scan.finish(run, state, soaks_s=state.data["soaks"], targets_c=targets_c, **shared)


def _judge_rate(scan: Scan, run: RunState, state: StepState, step: Heat, rig: Rig) -> None:
    if not step.min_rate_k_per_min or scan.state.chambers[rig.name].run != run.run_id:
        return
    temperature = scan.good(rig, step.heater, "temperature")
    key = f"{run.run_id}/{step.id}/rate"
    since = scan.tally.get(f"{key}_s")
    if temperature is None:
        return
    if since is None or since < state.phase_s:
        scan.tally[f"{key}_s"], scan.tally[f"{key}_c"] = scan.now, temperature
    elif scan.now - since >= RATE_WINDOW_S:
        rate = (temperature - scan.tally[f"{key}_c"]) / ((scan.now - since) / 60.0)
        scan.tally[f"{key}_s"], scan.tally[f"{key}_c"] = scan.now, temperature
        if rate < step.min_rate_k_per_min:
            reason = f"{step.id}: heats at {rate:.2f} K/min, below {step.min_rate_k_per_min:g} K/min"
            procedure.fault(scan, run.run_id, reason, hold="cool")


def cool(scan: Scan, run: RunState, state: StepState, step: Cool, rig: Rig) -> None:
    """Gas on, heater off, wait until every thermometer of the chamber is good and below the wanted temperature."""
    match state.phase:
        case "enter":
            set_flow_if_needed(scan, run, step.id, step.under, rig)
            if scan.state.chambers[rig.name].lease is not None:
                scan.send(rig, step.heater, "heat_off", run=run.run_id, step=step.id)
            scan.phase(run, scan.state.runs[run.run_id].active[step.id], "cool")
        case "cool":
            temperatures = scan.temperatures(rig)
            seen = len(temperatures) == len(rig.thermometers)
            if confirmed(scan, rig, state) and seen and max(temperatures) < step.below_c:
                scan.finish(run, state, end_c=max(temperatures))
                return
    if scan.now - state.entered_s > step.timeout_s:
        reason = f"{step.id}: not below {step.below_c:g} degC after {step.timeout_s / 3600:.1f} h"
        procedure.fault(scan, run.run_id, reason, hold="maintain")
