"""Guards on heat: too hot, hot without being asked, and a thermometer that says nothing of use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import ALARM, TRIP, Guard, Seen, Stage
from labctl.engine.scan import Scan, named
from labctl.engine.state import ChamberState
from labctl.model.limits import limit
from labctl.model.readings import BAD, NOT_READY


@dataclass(frozen=True, slots=True)
class _Names:
    """In the tally, made once. off: owner of what `stuck_heater` remembers since demand was off."""

    ceiling_c: str
    off: str
    off_s: str
    off_n: str


_names = named(_Names)


def over_temperature(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Above the highest setpoint commanded in the stage plus a margin, or above an absolute limit.

    When the setpoint falls, the limit falls no faster than 1.5 times the expected time constant of the cool-down, nor
    than the ramp at which the heater is to cool. With the heater off it ends at T_open plus the margin: the last
    kelvins above the room take longer than any constant.
    """
    temperatures, tally = scan.temperatures(rig), scan.tally
    margin = limit("over_temperature_margin", watch.tightened)
    wanted = (chamber.lease.target_c if chamber.lease else limit("T_open")) + margin
    key = _names(rig.name).ceiling_c
    ceiling = tally.get(key)
    if ceiling is None:
        ceiling = max([wanted, *(t + margin for t in temperatures)])
    elif ceiling > wanted:
        ambient = scan.context.ambient_c
        decay = math.exp(-scan.dt_s / (limit("cooldown_factor") * rig.cooling_tau_s))
        fallen = ambient + (ceiling - ambient) * decay
        if chamber.lease is not None and chamber.lease.ramp_k_per_min:
            fallen = max(fallen, ceiling - chamber.lease.ramp_k_per_min * scan.dt_s / 60.0)
        ceiling = max(wanted, fallen)
    else:
        ceiling = wanted
    tally[key] = ceiling
    highest = rig.max_temperature_c
    bound = highest if highest is not None and highest < ceiling else ceiling
    hottest = max(temperatures, default=None)
    if hottest is None or hottest <= bound:
        return None
    seen_by = next(t for t in rig.thermometers if scan.good(rig, t, "temperature") == hottest)
    message = (
        f"{rig.name}: {hottest:.1f} degC is above the limit of {bound:.1f} degC; heater off, gas kept on"
    )
    return Seen(message, hottest, bound, distrust=seen_by)


def stuck_heater(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Demand is off, and yet a warm chamber grows warmer: only a person can open its contactor.

    Each thermometer is judged against the lowest that it read since demand was off for stuck_heater_after. Below
    T_open the room may do that; whatever is stuck soon leads above it.
    """
    names = _names(rig.name)
    owner = names.off
    off = chamber.lease is None and not scan.good(rig, rig.heater, "output")
    if scan.lasting(names.off_s, off) < limit("stuck_heater_after", watch.tightened) or not off:
        if names.off_n in scan.tally:
            scan.forget(owner)
        return None
    scan.tally[names.off_n] = 0.0
    rise = 0.0
    for name in rig.thermometers:
        value, key = scan.good(rig, name, "temperature"), f"{owner}/{name}_c"
        if value is not None and value > limit("T_open"):
            lowest = scan.tally[key] = min(value, scan.tally.get(key, value))
            rise = max(rise, value - lowest)
    bound = limit("stuck_heater_rise", watch.tightened)
    if rise <= bound:
        return None
    message = (
        f"{rig.name}: rose by {rise:.1f} K although {rig.heater} is off. Open its contactor or breaker now; "
        "leave the gas on"
    )
    return Seen(message, rise, bound)


def sensor(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """The heater's own thermometer is broken or out of range, or not ready while it heats."""
    reading = scan.image.get(rig.temperatures[0]) if rig.temperatures else None
    wrong = (BAD, NOT_READY) if chamber.lease is not None else (BAD,)
    if reading is None or reading.quality not in wrong:
        return None
    message = f"{rig.name}: the thermometer of {rig.heater} is broken or out of range; heater off"
    return Seen(message, reading.value, distrust=rig.heater)


SLOW = 60.0
"""Temperatures change slowly: their alarms return after a minute (EEMUA 191, recalled)."""

GUARDS = (
    Guard("over_temperature", over_temperature, (Stage(TRIP, "trip_scans"),), "trip", off_delay_s=SLOW),
    Guard(
        "stuck_heater",
        stuck_heater,
        (Stage(ALARM), Stage(TRIP, "trip_scans")),
        on_bad="trip",
        off_delay_s=SLOW,
    ),
    Guard("sensor", sensor, (Stage(TRIP, "trip_scans"),), "trip", off_delay_s=SLOW),
)
