"""The guard on a cell that is charged and discharged."""

from __future__ import annotations

from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import TRIP, Guard, Seen, Stage
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.limits import limit


def cell_limits(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Cell voltage outside its hard window, or current of either sign beyond 1.2 times the programmed."""
    if not chamber.programmed_a:
        return None
    voltage = scan.good(rig, rig.cycler, "voltage")
    low, high = limit("cell_v_low", watch.tightened), limit("cell_v_high", watch.tightened)
    if voltage is not None and not low <= voltage <= high:
        message = f"{rig.name}: cell at {voltage:.3f} V, outside {low} to {high} V; open circuit"
        return Seen(message, voltage, high if voltage > high else low)
    current = scan.good(rig, rig.cycler, "current")
    bound = limit("cell_current_factor", watch.tightened) * chamber.programmed_a
    if current is not None and abs(current) > bound:
        message = f"{rig.name}: {current * 1e3:.4f} mA, beyond {bound * 1e3:.4f} mA; open circuit"
        return Seen(message, current, bound)
    return None


GUARDS = (Guard("cell_limits", cell_limits, (Stage(TRIP),), on_bad="hold"),)
