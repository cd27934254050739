"""Guards on what stands around a chamber: contacts, room air, and the contactor that lets its heater have power.

An open contact is unsafe, whether something opened it or its wire broke. What a bench has not wired is absent, and no
guard asks for it.
"""

from __future__ import annotations

from collections.abc import Callable

from labctl.engine import sharing
from labctl.engine.context import Rig, Watch
from labctl.engine.guards.frame import ALARM, HOLD, TRIP, Action, Guard, Seen, Stage
from labctl.engine.safe import ROOM_CHECK
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.limits import limit
from labctl.model.readings import SILENT

CLOSED, OPEN = 1.0, 0.0


def unread(scan: Scan, rig: Rig, watch: Watch, what: str) -> Seen | None:
    """A wired signal has not been good for signal_bad_for. That a module is silent is told once, by its own guard."""
    if what not in rig.io:
        return None
    instrument, signal = rig.io[what]
    reading = scan.image.get(f"{instrument}.{signal}")
    silent = (
        reading is None or reading.quality is SILENT or scan.now - reading.t_s > rig.max_age_s[instrument]
    )
    told = silent and any(w.pulse is not None and w.pulse.instrument == instrument for w in rig.watches)
    lasted = scan.lasting(f"{rig.name}/{what}_unread_s", not told)
    bound = limit("signal_bad_for", watch.tightened)
    if lasted < bound or told:
        return None
    message = f"{rig.name}: no good reading of {what} from {instrument} for {lasted:.0f} s"
    return Seen(message, None, bound, worst=None, how="maintain")


def value_of(scan: Scan, rig: Rig, what: str) -> float | None:
    """What is told of a signal, if it is wired and good; then it is not unread any more."""
    value = scan.told(rig, what)
    if value is not None:
        scan.tally.pop(f"{rig.name}/{what}_unread_s", None)
    return value


def is_open(scan: Scan, rig: Rig, what: str) -> bool | None:
    """Whether a contact is open; None: not known, or not wired."""
    value = value_of(scan, rig, what)
    return None if value is None else value < CLOSED


def is_driven(scan: Scan, rig: Rig, chamber: ChamberState) -> bool:
    """It is heated, or still hot from it."""
    return chamber.lease is not None or (
        chamber.energised and max(scan.temperatures(rig), default=0.0) > limit("T_open")
    )


def _contact(
    what: str, means: str, says: str, worst: Action
) -> Callable[[Scan, Rig, ChamberState, Watch], Seen | None]:
    """A contact that is open: acts while the chamber is heated or hot, and tells people at any time. means: in docs."""

    def sees(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
        opened = is_open(scan, rig, what)
        if opened is None:
            return unread(scan, rig, watch, what)
        if not opened:
            return None
        message = says.format(chamber=rig.name)
        return Seen(message, OPEN, CLOSED, worst=worst if is_driven(scan, rig, chamber) else ALARM)

    sees.__doc__ = means
    return sees


def estop_contact(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """The e-stop's contact is open: as the e-stop, it takes heat away and never nitrogen."""
    opened = is_open(scan, rig, "estop")
    if opened is None:
        return unread(scan, rig, watch, "estop")
    message = f"{rig.name}: the e-stop is pressed; heater off, gas kept on. Release it, then clear and reset the run"
    return Seen(message, OPEN, CLOSED) if opened else None


def holds_solvent(scan: Scan, rig: Rig, chamber: ChamberState) -> bool:
    """Flammable solvent may be in it: a dryer, in a run that began with some and has not weighed that it is gone."""
    return rig.dries and any(sharing.may_hold_solvent(scan, run) for run in sharing.users(scan, rig))


def door(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """A tube opened hot, or an oven opened with solvent in it: heater off. Another oven: an alarm after a while."""
    opened = is_open(scan, rig, "door")
    if opened is None:
        return unread(scan, rig, watch, "door")
    if not opened:
        return None
    if rig.kind == "tube":
        if not is_driven(scan, rig, chamber):
            return None  # that is how it is loaded
        hottest = max(scan.temperatures(rig), default=0.0)
        message = (
            f"{ROOM_CHECK} {rig.name} was opened at {hottest:.0f} degC; heater off, gas kept on. Close it"
        )
        return Seen(message, OPEN, CLOSED, worst=HOLD)
    if rig.kind == "oven" and holds_solvent(scan, rig, chamber):
        message = (
            f"{ROOM_CHECK} {rig.name} was opened with solvent in it; heater off. Close it, keep sparks away"
        )
        return Seen(message, OPEN, CLOSED, worst=HOLD)
    bound = limit("door_alarm", watch.tightened)
    message = (
        f"{rig.name} has been open for {bound / 60.0:.0f} min; what it does not soak is not counted. Close it"
    )
    return Seen(message, OPEN, CLOSED, worst=ALARM)


def contactor(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """The contactor is open although the chamber is to be heated: nothing may wait there at full demand."""
    value = value_of(scan, rig, "contactor")
    if value is None:
        return unread(scan, rig, watch, "contactor")
    if chamber.lease is None or value == CLOSED:
        return None
    message = f"{rig.name}: the contactor has opened while {rig.heater} heats; heater off. Look for why, then restart"
    return Seen(message, value, CLOSED, worst=HOLD)


def room_oxygen(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Too little oxygen in the room. Nitrogen is never closed for it."""
    value = value_of(scan, rig, "room_oxygen")
    if value is None:
        return unread(scan, rig, watch, "room_oxygen")
    low, trip = limit("room_oxygen_alarm", watch.tightened), limit("room_oxygen_trip", watch.tightened)
    if value >= low:
        return None
    return _do_not_enter(f"room oxygen is {value:.1f} %", value, low, trip, beyond=value < trip, unit="%")


def room_co(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Carbon monoxide in the room. Nitrogen is never closed for it."""
    value = value_of(scan, rig, "room_co")
    if value is None:
        return unread(scan, rig, watch, "room_co")
    high, trip = limit("room_co_alarm", watch.tightened), limit("room_co_trip", watch.tightened)
    if value <= high:
        return None
    return _do_not_enter(f"room CO is {value:.0f} ppm", value, high, trip, beyond=value > trip, unit="ppm")


def _do_not_enter(what: str, value: float, alarm: float, trip: float, *, beyond: bool, unit: str) -> Seen:
    """The same for both gases; `beyond`: so much that the heater goes off too."""
    bound = trip if beyond else alarm
    did = "heater off, beacon on" if beyond else "beacon on"
    message = (
        f"DO NOT ENTER: {what}, limit {bound:g} {unit}; {did}, nitrogen left on. Ventilate; isolate at the breaker "
        "outside; close the cylinder only from outside, or below T_gas_off"
    )
    return Seen(message, value, bound, worst=HOLD if beyond else ALARM)


_AFTER_ALARM = (Stage(ALARM, "contact_scans"), Stage(HOLD, "contact_scans"))

GUARDS = (
    Guard(
        "limiter",
        _contact(
            "limiter",
            "The excess-temperature limiter has tripped.",
            "{chamber}: the excess-temperature limiter has tripped; heater off, gas kept on. Find out what was too "
            "hot, reset it at its panel, then clear and reset the run",
            TRIP,
        ),
        (*_AFTER_ALARM, Stage(TRIP, "contact_scans")),
        on_bad="hold",
    ),
    Guard(
        "estop_contact",
        estop_contact,
        (Stage(HOLD, "contact_scans"), Stage(TRIP, "contact_scans")),
        on_bad="hold",
    ),
    Guard(
        "extraction",
        _contact(
            "extraction",
            "The extraction stands still; beside a cold chamber an alarm.",
            ROOM_CHECK + " {chamber}: the extraction has stopped; heater off, gas, fan and exhaust left on",
            HOLD,
        ),
        _AFTER_ALARM,
        on_bad="hold",
    ),
    Guard(
        "water",
        _contact(
            "water",
            "Cooling water stands still; beside a cold chamber an alarm.",
            "{chamber}: cooling water has stopped; heater off, gas kept on",
            HOLD,
        ),
        _AFTER_ALARM,
        on_bad="hold",
    ),
    Guard("contactor", contactor, (Stage(HOLD, "contact_scans"),), on_bad="hold", priority="high"),
    Guard(
        "door",
        door,
        (Stage(ALARM, "door_alarm"), Stage(HOLD, "contact_scans")),
        on_bad="alarm",
        priority="high",
        bypass=True,
    ),
    Guard("room_oxygen", room_oxygen, _AFTER_ALARM, on_bad="alarm", always=True),
    Guard("room_co", room_co, _AFTER_ALARM, on_bad="alarm", always=True),
)
