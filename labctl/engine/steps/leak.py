"""Whether a tube is tight: by the oxygen that stays in it under flow.

The exhaust is open, so no pressure stands that could decay; what leaks in does so against the flow. What is left of
the air before, and given off by the walls, counts as leak until it is gone: the tube is never tighter than it seems.
"""

from __future__ import annotations

from labctl.engine import procedure
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.engine.steps.confirm import confirmed
from labctl.engine.steps.gas import AIR_OXYGEN_PPM, OXYGEN_TRUSTED_C, set_flow_if_needed
from labctl.model.limits import limit
from labctl.protocol.plan import Gas, LeakCheck

GAS_OXYGEN_PPM = 2.0
"""What nitrogen 5.0 itself carries (assumed: at most 2-3 ppm by its grade)."""


def leak_check(scan: Scan, run: RunState, state: StepState, step: LeakCheck, rig: Rig) -> None:
    """Flow, and wait until the leak that the oxygen would be was small enough for long enough."""
    key = f"{run.run_id}/{step.id}/tight_s"
    if state.phase == "enter":
        scan.tally.pop(key, None)
        set_flow_if_needed(scan, run, step.id, Gas(instrument=step.gas, flow_sccm=step.flow_sccm), rig)
        scan.phase(run, scan.state.runs[run.run_id].active[step.id], "watch")
        return
    leak_sccm = _leak_sccm(scan, step, rig) if confirmed(scan, rig, state) else None
    tight_s = scan.lasting(key, leak_sccm is not None and leak_sccm < step.below_sccm)
    if key in scan.tally and tight_s >= step.duration_s:
        oxygen = scan.good(rig, step.analyser, "oxygen")
        scan.finish(run, state, leak_sccm=leak_sccm, oxygen_ppm=oxygen)
    elif scan.now - state.entered_s > step.timeout_s:
        seen = "it cannot be judged" if leak_sccm is None else f"up to {leak_sccm:.2f} sccm of air leak in"
        reason = f"{step.id}: {seen}, wanted below {step.below_sccm:g} sccm; look at flanges and seals"
        procedure.fault(scan, run.run_id, reason, hold="maintain")


def _leak_sccm(scan: Scan, step: LeakCheck, rig: Rig) -> float | None:
    """The leak that the oxygen would be; None without flow, good readings, or where oxygen is not trusted."""
    oxygen, flow = scan.good(rig, step.analyser, "oxygen"), scan.good(rig, step.gas, "flow")
    if oxygen is None or flow is None or flow < limit("nitrogen_low_fraction") * step.flow_sccm:
        return None
    temperatures = scan.temperatures(rig)
    if not temperatures or max(temperatures) > OXYGEN_TRUSTED_C:
        return None
    return max(0.0, oxygen - GAS_OXYGEN_PPM) * flow / AIR_OXYGEN_PPM
