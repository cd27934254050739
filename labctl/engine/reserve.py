"""The gas reserve: whether what a cylinder holds lasts until everything that it protects is cold."""

from __future__ import annotations

import math

from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.model.limits import limit

LITRE_CM3 = 1000.0


def contents_l(scan: Scan, rig: Rig) -> float | None:
    """What the chamber's supply still holds, normal litres; by its gauge, else what it held less all that flowed.

    None: the bench names no supply. What flows through a bypass is not measured, and so not counted.
    """
    supply = rig.supply
    if supply is None:
        return None
    gauge = scan.told(rig, "cylinder_pressure")
    if gauge is not None and supply.litres_per_bar is not None:
        return gauge * supply.litres_per_bar
    held = scan.tally.get(f"supply/{supply.name}/held_l", supply.contents_l)
    return max(0.0, held - scan.tally.get(supply.used_l, 0.0))


def cooling_s(scan: Scan, rig: Rig, celsius: float) -> float:
    """Time to T_gas_off after a stop: its controlled ramp, then the measured cool-down as one exponential (assumed)."""
    ramp_to = limit("stop_ramp_above")
    if celsius > ramp_to:
        ramped_s = (celsius - ramp_to) / limit("stop_ramp") * 60.0 + _natural_s(scan, rig, ramp_to)
        return max(ramped_s, _natural_s(scan, rig, celsius))
    return _natural_s(scan, rig, celsius)


def _natural_s(scan: Scan, rig: Rig, celsius: float) -> float:
    above, end = celsius - scan.context.ambient_c, limit("T_gas_off") - scan.context.ambient_c
    return rig.cooling_tau_s * math.log(above / end) if above > end else 0.0


def needed_l(scan: Scan, supply: str, heating: Rig | None = None, target_c: float = 0.0) -> float:
    """1.25 times safe_flow until T_gas_off, of all chambers on a supply. heating: as if it were at `target_c`."""
    litres = 0.0
    for rig in scan.context.rigs.values():
        if rig.supply is None or rig.supply.name != supply:
            continue
        chamber = scan.state.chambers[rig.name]
        hottest = max(scan.temperatures(rig), default=chamber.lease.target_c if chamber.lease else math.nan)
        if rig is heating:
            hottest = max(target_c, hottest) if hottest == hottest else target_c
        elif not chamber.energised or chamber.atmosphere != "inert":
            continue
        seconds = rig.cooldown_s if math.isnan(hottest) else cooling_s(scan, rig, hottest)
        flow = max(chamber.flow_sccm, rig.protective_sccm)
        litres += limit("reserve_factor") * flow * seconds / 60.0 / LITRE_CM3
    return litres
