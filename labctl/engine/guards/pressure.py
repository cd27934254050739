"""Guards on the tube itself: an exhaust that blocks, and a tube that is open or cracked."""

from __future__ import annotations

import math

from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import HOLD, TRIP, Guard, Seen, Stage
from labctl.engine.guards.room import unread, value_of
from labctl.engine.safe import ROOM_CHECK
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.engine.steps.gas import flow_proven
from labctl.model.limits import limit

CLEARLY = 1.5
"""Times tube_tight: at the least flow that brought the pressure so high, a closed tube must stay above tube_tight."""
STEADY = 0.05
"""Of the flow: what it may change between two readings of the pressure that are compared (assumed)."""
FREE = 1.5
"""Times the pressure that a free exhaust has made: beyond, something blocks it (assumed: heat makes it rise by less).
When that clears, the pressure falls, and the tube is whole."""


def tube_pressure(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """The pressure in the tube: no further heat above tube_pressure_high, heater off above tube_pressure_trip."""
    pressure = value_of(scan, rig, "tube_pressure")
    if pressure is None:
        return unread(scan, rig, watch, "tube_pressure")
    high, trip = limit("tube_pressure_high", watch.tightened), limit("tube_pressure_trip", watch.tightened)
    if pressure <= high:
        return None
    shown = f"{rig.name}: {pressure * 1e3:.0f} mbar in the tube, above"
    if pressure <= trip:
        message = f"{shown} {high * 1e3:.0f} mbar; the ramp stops. Look for a blocked trap or exhaust"
        return Seen(message, pressure, high, worst=HOLD, how="maintain")
    message = (
        f"{ROOM_CHECK} {shown} {trip * 1e3:.0f} mbar; heater off, nitrogen stepped down. "
        "Stay away from the tube's ends; free the exhaust when it is cold"
    )
    return Seen(message, pressure, trip)


def tube_integrity(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Nitrogen flows into a hot tube, and yet no pressure stands in it, or pressure or oxygen has stepped."""
    name, pressure = rig.name, scan.told(rig, "tube_pressure")
    if scan.told(rig, "door") == 0.0:
        # that is the guard `door`'s; what is compared begins anew once it is closed
        for owner in ("stepped_", "oxygen_before_", "untight_"):
            scan.forget(f"{name}/{owner}")
        return None
    flow = scan.value(rig.flow)
    proven = flow is not None and flow_proven(scan, rig)
    usual = _usual(scan, rig, flow)
    hot = max(scan.temperatures(rig), default=0.0) > limit("T_inert", watch.tightened)
    fell = _fell(scan, rig, watch, pressure, flow if proven else None, usual)
    rose = _rose(scan, rig, watch)
    bound = limit("tube_tight", watch.tightened)
    tight = scan.tally.get(f"{name}/tight_sccm")
    low = False
    if proven and flow is not None and pressure is not None:
        if CLEARLY * bound <= pressure <= usual and (tight is None or flow < tight):
            scan.tally[f"{name}/tight_sccm"] = flow
        low = hot and tight is not None and flow >= tight and pressure < bound
    lasted = scan.lasting(f"{name}/untight_s", low)
    if not hot or not proven or flow is None:
        return None
    if lasted >= limit("tube_open_for", watch.tightened) and pressure is not None:
        what = f"only {pressure * 1e3:.1f} mbar at {flow:.0f} sccm for {lasted:.0f} s, below {bound * 1e3:.0f} mbar"
        value, broken = pressure, bound
    elif fell is not None and pressure is not None:
        what = f"pressure fell from {fell * 1e3:.1f} to {pressure * 1e3:.1f} mbar at steady flow"
        value, broken = pressure, (1.0 - limit("pressure_step", watch.tightened)) * fell
    elif rose is not None:
        value, broken = rose, limit("oxygen_step", watch.tightened)
        what = f"oxygen rose by {rose:.0f} ppm within {limit('tube_open_for'):.0f} s"
    else:
        return None
    message = (
        f"{ROOM_CHECK} {name}: tube open or cracked: {what}. Heater off, nitrogen kept on; keep the extraction on "
        "and do not touch the tube before it is cold"
    )
    return Seen(message, value, broken)


def _usual(scan: Scan, rig: Rig, flow: float | None) -> float:
    """Up to which pressure, in bar, the exhaust is free at that flow; at less flow than was seen it makes less."""
    free_bar = scan.tally.get(f"{rig.name}/free_bar")
    if flow is None or free_bar is None:
        return math.inf
    return FREE * free_bar * min(1.0, flow / scan.tally[f"{rig.name}/free_sccm"])


def _note_usual(scan: Scan, rig: Rig, pressure: float, flow: float) -> None:
    """Remember the least at this flow; at another flow anew, unless by what was seen the exhaust is not free."""
    bar, sccm = f"{rig.name}/free_bar", f"{rig.name}/free_sccm"
    known_bar, known_sccm = scan.tally.get(bar, pressure), scan.tally.get(sccm, math.inf)
    other = abs(flow - known_sccm) > STEADY * flow
    free = pressure <= FREE * known_bar * max(1.0, flow / known_sccm)
    if (other and free) or pressure < known_bar:
        scan.tally[bar], scan.tally[sccm] = pressure, flow


def _fell(
    scan: Scan, rig: Rig, watch: Watch, pressure: float | None, flow: float | None, usual: float
) -> float | None:
    """The pressure before, if two readings in a row are less than the share of it that a step leaves.

    Above the usual it was the exhaust's, and that may go.
    """
    name = rig.name
    then, before, with_flow = (f"{name}/stepped_{what}" for what in ("s", "bar", "sccm"))
    if pressure is None or flow is None:
        scan.forget(f"{name}/stepped_")
        return None
    taken_s = scan.image[".".join(rig.io["tube_pressure"])].t_s
    last = scan.tally.get(before)
    if last is not None:
        last = min(last, usual)
    steady = last is not None and abs(flow - scan.tally[with_flow]) <= STEADY * flow
    share = 1.0 - limit("pressure_step", watch.tightened)
    clear = last is not None and last >= CLEARLY * limit("tube_tight", watch.tightened)
    if last is not None and steady and clear and pressure < share * last:
        seen_s = scan.tally.setdefault(then, taken_s)
        return last if taken_s > seen_s else None
    scan.tally.pop(then, None)
    scan.tally[before], scan.tally[with_flow] = pressure, flow
    _note_usual(scan, rig, pressure, flow)
    return None


def _rose(scan: Scan, rig: Rig, watch: Watch) -> float | None:
    """By how much more oxygen there is than up to tube_open_for ago, if that is a step."""
    oxygen, name = scan.value(rig.oxygen), rig.name
    since, before = f"{name}/oxygen_before_s", f"{name}/oxygen_before_ppm"
    if oxygen is None:
        return None
    rise = oxygen - scan.tally.get(before, oxygen)
    if rise > limit("oxygen_step", watch.tightened):
        return rise
    if scan.now - scan.tally.get(since, -1e9) >= limit("tube_open_for", watch.tightened) or rise < 0.0:
        scan.tally[since], scan.tally[before] = scan.now, oxygen
    return None


GUARDS = (
    Guard(
        "tube_pressure",
        tube_pressure,
        (Stage(HOLD, "tube_pressure_high_for"), Stage(TRIP, "trip_scans")),
        "hold",
    ),
    Guard("tube_integrity", tube_integrity, (Stage(TRIP),), "alarm"),
)
