"""Gas through a tube: the proof that oxygen is washed out, the purge step that brings it about, and unloading.

The proof is kept for the chamber, every scan, whatever step runs: volumes of *measured* flow since the last
interruption, and how long good oxygen readings have stayed low. Heating needs it, and loses it with the flow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from labctl.engine import procedure, relief, sharing
from labctl.engine.cold import gas_may_stop, is_open_cold
from labctl.engine.context import Rig
from labctl.engine.scan import Scan, named
from labctl.engine.state import RunState, StepState
from labctl.engine.steps.confirm import confirmed
from labctl.engine.steps.people import ask
from labctl.model.limits import limit
from labctl.protocol.plan import Gas, Purge, Unload

AIR_OXYGEN_PPM = 209500.0
OXYGEN_TRUSTED_C = 300.0
"""Up to which a low oxygen reading means little oxygen (safety contract, limits table)."""


class _Names(NamedTuple):
    """In the tally, made once."""

    flow_ok_s: str
    no_flow_s: str
    washed_cm3: str
    clean_s: str
    gas_l: str


_names = named(_Names)


def watch_purge(scan: Scan, rig: Rig) -> None:
    """Integrate the proof by one scan; take it back when the flow was interrupted for too long or oxygen came in."""
    chamber, name = scan.state.chambers[rig.name], rig.name
    flow_ok_s, no_flow_s, washed, clean_s, gas_l = _names(name)
    wanted = chamber.flow_sccm
    flow = scan.value(rig.flow)
    flowing = flow is not None and wanted > 0.0 and flow >= limit("nitrogen_low_fraction") * wanted
    scan.lasting(flow_ok_s, flowing)
    if flow is not None and flow > 0.0:
        scan.add(gas_l, flow * scan.dt_s / 60e3)
        if rig.supply is not None:
            scan.add(rig.supply.used_l, flow * scan.dt_s / 60e3)
    if flowing and flow is not None:
        scan.add(washed, flow * scan.credit_s(rig) / 60.0)
        scan.tally.pop(no_flow_s, None)
    elif scan.lasting(no_flow_s, True) >= limit("purge_interruption"):
        scan.tally[washed] = 0.0
        if chamber.purged:
            scan.emit("purge_voided", {"chamber": name, "cause": "flow interrupted"}, chamber.run)
    if scan.told(rig, "door") == 0.0:
        scan.tally[washed] = 0.0
        if chamber.purged:
            scan.emit("purge_voided", {"chamber": name, "cause": "tube opened"}, chamber.run)
    oxygen = scan.value(rig.oxygen)
    if oxygen is not None and oxygen > limit("oxygen_trip"):
        if chamber.purged:
            scan.tally[washed] = 0.0
            scan.emit("purge_voided", {"chamber": name, "cause": f"{oxygen:.0f} ppm oxygen"}, chamber.run)
        else:  # what flows through a tube that stands open washes nothing out
            scan.tally[washed] = min(scan.tally.get(washed, 0.0), _washed_at_most_cm3(oxygen, rig))
    clean = oxygen is not None and oxygen < limit("purge_oxygen")
    scan.lasting(clean_s, clean)


def _washed_at_most_cm3(oxygen_ppm: float, rig: Rig) -> float:
    """The gas that has washed a tube at most, if so much oxygen is left of the air's: each volume leaves 1/e."""
    return rig.volume_cm3 * math.log(max(1.0, AIR_OXYGEN_PPM / oxygen_ppm))


def flow_proven(scan: Scan, rig: Rig) -> bool:
    """The commanded flow was measured without a break for long enough to heat."""
    since = scan.tally.get(_names(rig.name).flow_ok_s)
    return since is not None and scan.now - since >= limit("run_flow_proven")


def set_flow_if_needed(scan: Scan, run: RunState, step_id: str, gas: Gas | None, rig: Rig) -> bool:
    """Command the gas of a step (or what was adopted for it) unless it flows so already. Whether a command went out.

    Never less than protective flow into a chamber that is not seen to be below T_gas_off.
    """
    if gas is None:
        return False
    wanted = run.active[step_id].data.get("adopted", {}).get("flow_sccm", gas.flow_sccm)
    if max(scan.temperatures(rig), default=math.inf) >= limit("T_gas_off"):
        wanted = max(wanted, rig.protective_sccm)
    wanted = min(wanted, relief.cap_sccm(scan, rig))
    asked = scan.good(rig, gas.instrument, "flow_setpoint")
    arrived = asked is None or abs(asked - wanted) <= max(0.5, 0.005 * wanted)
    if scan.state.chambers[rig.name].flow_sccm == wanted and arrived:
        return False
    args = {"flow_sccm": wanted}
    scan.send(rig, gas.instrument, "set_flow", args, run=run.run_id, step=step_id)
    scan.tally.pop(f"{rig.name}/flow_ok_s", None)
    return True


def purge(scan: Scan, run: RunState, state: StepState, step: Purge, rig: Rig) -> None:
    """Wash until the chamber's proof is complete, by the stricter of the step's demands and the limits."""
    name = rig.name
    match state.phase:
        case "enter":
            set_flow_if_needed(scan, run, step.id, Gas(instrument=step.gas, flow_sccm=step.flow_sccm), rig)
            scan.tally[f"{name}/purge_sccm"] = step.flow_sccm
            data = {"litres_before": scan.tally.get(f"{name}/gas_l", 0.0)}
            scan.phase(run, scan.state.runs[run.run_id].active[step.id], "wash", **data)
        case "wash":
            if confirmed(scan, rig, state) and _is_proven(scan, step, rig):
                oxygen, volumes = note_proof(scan, rig, run.run_id)
                litres = scan.tally.get(f"{name}/gas_l", 0.0) - state.data["litres_before"]
                scan.finish(run, state, oxygen_ppm=oxygen, volumes=volumes, litres=litres)
                return
    if scan.now - state.entered_s > step.timeout_s:
        below = step.oxygen_below_ppm
        why = why_not_proven(scan, rig, step.id, step.flow_sccm, below, step.timeout_s)
        procedure.fault(scan, run.run_id, why, hold="maintain")


def note_proof(scan: Scan, rig: Rig, run_id: str) -> tuple[float | None, float]:
    """Say that the oxygen is washed out; returns it in ppm, and the volumes that it took."""
    oxygen = scan.value(rig.oxygen)
    volumes = scan.tally[_names(rig.name).washed_cm3] / rig.volume_cm3
    data = {"chamber": rig.name, "oxygen_ppm": oxygen, "volumes": volumes}
    scan.emit("purge_proven", data, run_id)
    return oxygen, volumes


def is_washed_again(scan: Scan, rig: Rig) -> bool:
    """The proof anew, under the gas of a step that is entered again after its proof was lost.

    Above OXYGEN_TRUSTED_C off-gas makes zirconia read falsely low, so there only the measured volumes prove, and a
    good reading can only contradict.
    """
    if scan.tally.get(_names(rig.name).washed_cm3, 0.0) < limit("purge_volumes") * rig.volume_cm3:
        return False
    since = scan.tally.get(_names(rig.name).clean_s)
    if max(scan.temperatures(rig), default=0.0) > OXYGEN_TRUSTED_C:
        oxygen = scan.value(rig.oxygen)
        return oxygen is None or oxygen < limit("purge_oxygen")
    return rig.analyser is None or (since is not None and scan.now - since >= limit("purge_oxygen_for"))


def _is_proven(scan: Scan, step: Purge, rig: Rig) -> bool:
    volumes = max(step.volumes, limit("purge_volumes"))
    if scan.tally.get(_names(rig.name).washed_cm3, 0.0) < volumes * max(step.volume_cm3, rig.volume_cm3):
        return False
    if step.analyser is None:
        return True
    oxygen = scan.good(rig, step.analyser, "oxygen")
    below = oxygen is not None and oxygen < min(step.oxygen_below_ppm, limit("purge_oxygen"))
    since = scan.tally.get(_names(rig.name).clean_s)
    stable = max(step.stable_s, limit("purge_oxygen_for"))
    return below and since is not None and scan.now - since >= stable


def why_not_proven(
    scan: Scan, rig: Rig, step_id: str, flow_sccm: float, below_ppm: float, after_s: float
) -> str:
    """What a purge that takes too long has come to, and the leak that this would be."""
    oxygen = scan.value(rig.oxygen)
    if oxygen is None:
        return f"{step_id}: no good oxygen reading; purge not proven after {after_s / 60:.0f} min"
    # the floor of a washed tube is leak x 20.95 % / flow (reference domain 3.3, derived)
    leak = oxygen * flow_sccm / AIR_OXYGEN_PPM
    return (
        f"{step_id}: {oxygen:.0f} ppm oxygen after {after_s / 60:.0f} min, wanted below "
        f"{below_ppm:.0f} ppm; a floor like this is an air leak of about {leak:.2f} sccm"
    )


def unload(scan: Scan, run: RunState, state: StepState, step: Unload, rig: Rig) -> None:
    """Stop the gas when that is safe, then have a person open the chamber and take the product out."""
    match state.phase:
        case "enter":
            scan.phase(run, state, "cold")
        case "cold":
            if not is_open_cold(scan, rig) or (step.gas is not None and not gas_may_stop(scan, rig)):
                return
            if step.gas is not None and scan.state.chambers[rig.name].flow_sccm > 0.0:
                scan.send(rig, step.gas, "set_flow", {"flow_sccm": 0.0}, run=run.run_id, step=step.id)
            scan.phase(run, scan.state.runs[run.run_id].active[step.id], "gas")
        case "gas":
            if confirmed(scan, rig, state):
                scan.phase(run, state, "open")
                ask(
                    scan,
                    run,
                    step.id,
                    "unload",
                    f"Open {rig.name} and take the {step.into} out{sharing.warning(scan, rig, run)}",
                    into=step.into,
                )
        case "open":
            if _answered(scan, run, step.id):
                if scan.state.chambers[rig.name].purged:
                    scan.emit("purge_voided", {"chamber": rig.name, "cause": "opened"}, run.run_id)
                scan.emit("contents_moved", {"chamber": rig.name, "contents": None}, run.run_id)
                kept = scan.state.chambers[rig.name].lease is not None  # warm, for others who share it
                if not kept:
                    scan.emit("chamber_cold", {"chamber": rig.name}, run.run_id)
                scan.finish(run, state, into=step.into, below_c=step.below_c)
                if not kept:
                    scan.forget(f"{rig.name}/")


def _answered(scan: Scan, run: RunState, prompt: str) -> bool:
    return prompt not in scan.state.runs[run.run_id].prompts
