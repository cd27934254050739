"""Guards on the atmosphere: nitrogen that fails, and oxygen that comes in."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.engine import relief
from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import ALARM, HOLD, TRIP, Guard, Seen, Stage
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.limits import limit
from labctl.model.readings import BAD, NOT_READY


def needs_gas(
    scan: Scan, rig: Rig, chamber: ChamberState, tightened: Mapping[str, float] | None = None
) -> bool:
    """Whether nitrogen must flow now: an inert chamber is heated, or above T_inert, and its exhaust is free."""
    if chamber.atmosphere != "inert" or rig.gas is None:
        return False
    if relief.cap_sccm(scan, rig) < rig.protective_sccm:
        return False  # less is asked for: the exhaust is blocked, and the heater is off for it
    hot = max(scan.temperatures(rig), default=0.0) > limit("T_inert", tightened)
    return hot or chamber.lease is not None


def _silence(rig: Rig, flow: float | None) -> str | None:
    """The alarm that says why nothing is measured."""
    return f"{rig.name}/{rig.gas}/silent" if flow is None else None


def nitrogen_lost(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Measured flow below protective_flow, or its controller silent."""
    flow = scan.value(rig.flow)
    if (flow is not None and flow >= rig.protective_sccm) or not needs_gas(
        scan, rig, chamber, watch.tightened
    ):
        return None
    shown = "not measured" if flow is None else f"{flow:.0f} sccm"
    message = f"{rig.name}: N2 lost ({shown}, protective flow is {rig.protective_sccm:.0f} sccm); heater off"
    return Seen(message, flow, rig.protective_sccm, told_by=_silence(rig, flow))


def nitrogen_low(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Measured flow below 80 % of the commanded, or its controller silent."""
    flow = scan.value(rig.flow)
    bound = limit("nitrogen_low_fraction", watch.tightened) * chamber.flow_sccm
    if (flow is not None and flow >= bound) or not needs_gas(scan, rig, chamber, watch.tightened):
        return None
    shown = "not measured" if flow is None else f"{flow:.0f} sccm"
    message = f"{rig.name}: N2 is {shown}, below {bound:.0f} sccm; heater off, gas kept on"
    return Seen(message, flow, bound, told_by=_silence(rig, flow))


def _unmeasured(scan: Scan, rig: Rig, watch: Watch) -> Seen | None:
    """The analyser answers, and has had nothing good to say for signal_bad_for: a leak would not be seen."""
    reading = scan.image.get(f"{rig.analyser}.oxygen")
    answers = reading is not None and reading.quality in (BAD, NOT_READY)
    lasted = scan.lasting(f"{rig.name}/oxygen_unread_s", answers)
    bound = limit("signal_bad_for", watch.tightened)
    if lasted < bound:
        return None
    message = (
        f"{rig.name}: {rig.analyser} has had no good reading for {lasted:.0f} s; a leak would not be seen"
    )
    return Seen(message, None, bound, worst=None)


def oxygen_high(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Oxygen while hot: an alarm above purge_oxygen, heater off above oxygen_trip. Only a high good reading acts."""
    oxygen = scan.value(rig.oxygen)
    if oxygen is not None:
        scan.tally.pop(f"{rig.name}/oxygen_unread_s", None)
        if oxygen <= limit("purge_oxygen"):
            return None
    if not needs_gas(scan, rig, chamber, watch.tightened):
        return None
    if oxygen is None:
        return _unmeasured(scan, rig, watch)
    bound = limit("oxygen_trip", watch.tightened)
    if oxygen <= bound:
        message = f"{rig.name}: {oxygen:.0f} ppm oxygen while hot; look for a leak"
        return Seen(message, oxygen, limit("purge_oxygen"), worst=ALARM)
    message = f"{rig.name}: {oxygen:.0f} ppm oxygen while hot, above {bound:.0f} ppm; heater off, gas kept on"
    return Seen(message, oxygen, bound)


GUARDS = (
    Guard(
        "nitrogen_lost",
        nitrogen_lost,
        (Stage(HOLD, "nitrogen_low_for"), Stage(TRIP, "nitrogen_lost_abort")),
        on_bad="hold",
    ),
    Guard(
        "nitrogen_low",
        nitrogen_low,
        (Stage(HOLD, "nitrogen_low_for"),),
        on_bad="hold",
        hidden_by=("nitrogen_lost",),
    ),
    Guard(
        "oxygen_high",
        oxygen_high,
        (Stage(ALARM), Stage(HOLD, "trip_scans")),
        on_bad="alarm",
        priority="high",
        hidden_by=("nitrogen_lost", "tube_integrity", "door"),
        bypass=True,
    ),
)
