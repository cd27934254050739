"""Relief of a tube whose exhaust blocks: the flow steps down to the highest value that keeps the pressure low.

The only reason for which nitrogen is commanded below protective_flow into a hot tube: one that bursts holds none.
"""

from __future__ import annotations

import math

from labctl.engine.cold import gas_may_stop
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.model.limits import limit

LEAST = 0.1
"""Of the flow before: less is none, and what one begins with again (assumed; controllers close below 1 % of range)."""
CARE = 0.9
"""Of the flow that would bring the pressure just to its limit, were the exhaust's resistance constant."""
HALF, RISE = 0.5, 1.25
"""Below half of tube_pressure_high the flow rises by a quarter, which cannot bring it above."""


def cap_sccm(scan: Scan, rig: Rig) -> float:
    """The most that may be asked of the gas controller now, sccm; infinite while nothing is relieved."""
    return scan.tally.get(f"{rig.name}/relief_sccm", math.inf)


def advance(scan: Scan, rig: Rig) -> None:
    """Step the flow down while the pressure is too high, and up again while there is room."""
    pressure = scan.told(rig, "tube_pressure")
    cap, chamber = cap_sccm(scan, rig), scan.state.chambers[rig.name]
    if pressure is None or rig.gas is None:
        return
    if chamber.flow_sccm == 0.0 and gas_may_stop(scan, rig):
        return  # nothing lives by it: whoever stopped it need not see it back
    begins = "tube_pressure" in chamber.latched and pressure > limit("tube_pressure_trip")
    if math.isinf(cap) and not begins:
        return
    full, stepped = f"{rig.name}/relief_from_sccm", f"{rig.name}/relief_s"
    if math.isinf(cap):
        cap = scan.tally[full] = chamber.flow_sccm
    elif scan.now - scan.tally[stepped] < limit("relief_step"):
        return
    high, whole = limit("tube_pressure_high"), scan.tally[full]
    if pressure > high:
        wanted = cap * CARE * high / pressure
        wanted = 0.0 if wanted < LEAST * whole else round(wanted, 1)
    elif pressure < HALF * high and cap < whole:
        wanted = min(whole, round(max(cap * RISE, LEAST * whole), 1))
    else:
        wanted = cap
    scan.tally[f"{rig.name}/relief_sccm"], scan.tally[stepped] = wanted, scan.now
    if wanted != chamber.flow_sccm:
        why = f"tube pressure is {pressure * 1e3:.0f} mbar"
        scan.send(rig, rig.gas, "set_flow", {"flow_sccm": wanted}, run=chamber.run, why=why)
    elif wanted >= whole and pressure < HALF * high:
        for key in (full, stepped, f"{rig.name}/relief_sccm"):
            del scan.tally[key]
