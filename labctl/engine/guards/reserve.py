"""The guard on what is left in the cylinder."""

from __future__ import annotations

from labctl.engine import reserve
from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import ALARM, HOLD, Guard, Seen, Stage
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.limits import limit


def gas_reserve(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """What the cylinder holds, against what the cool-down of all that it feeds takes: stop while gas lasts."""
    if rig.supply is None or not chamber.energised or chamber.atmosphere != "inert":
        return None
    contents = reserve.contents_l(scan, rig)
    needed = reserve.needed_l(scan, rig.supply.name)
    warning = limit("reserve_warning", watch.tightened) * needed
    if contents is None or contents >= warning or not needed:
        return None
    shown = f"{rig.name}: {rig.supply.name} holds {contents:.0f} L"
    swap = f"Have a full cylinder ready, and `labctl gas swap {rig.supply.name}`"
    if contents >= needed:
        message = f"{shown}, below {warning:.0f} L; a cool-down from here needs {needed:.0f} L. {swap}"
        return Seen(message, contents, warning, worst=ALARM)
    message = f"{shown}, below the {needed:.0f} L that a cool-down needs; stopping while gas lasts. {swap}"
    return Seen(message, contents, needed, worst=HOLD, how="stop")


GUARDS = (
    Guard(
        "gas_reserve",
        gas_reserve,
        (Stage(ALARM, "contact_scans"), Stage(HOLD, "contact_scans")),
        on_bad="alarm",
        priority="high",
    ),
)
