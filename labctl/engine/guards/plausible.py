"""Guards on thermometers that read, but cannot be right: by physics, by the heat put in, by one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from labctl.engine.context import Rig, Watch
from labctl.engine.energy import keys
from labctl.engine.guards.frame import ALARM, HOLD, TRIP, Guard, Seen, Stage
from labctl.engine.scan import OBSERVED, Scan, named
from labctl.engine.state import ChamberState
from labctl.model.limits import limit
from labctl.model.readings import BAD, NOT_READY

QUIET_K = 2.0
"""Within it nothing needs a second look: no limit here is as strict (a thermocouple of class 1 is off by 1.5 K)."""


class _Memory(NamedTuple):
    """Of one thermometer: where it reads; in the tally the value a guard remembers, seen for how long, what was due."""

    name: str
    key: str
    value_c: str
    for_s: str
    change_k: str


@dataclass(frozen=True, slots=True)
class _Names:
    """In the tally, made once. apart_k: by how much thermometers that disagree did when both were last read."""

    apart_k: str


_names = named(_Names)


@lru_cache(256)
def _memories(guard: str, rig: Rig) -> tuple[_Memory, ...]:
    """Of each thermometer of a chamber, the heater's own first; the names are made once."""
    return tuple(
        _Memory(n, key, *(f"{rig.name}/{guard}/{n}/{what}" for what in _Memory._fields[2:]))
        for n, key in zip(rig.thermometers, rig.temperatures, strict=True)
    )


def sensor_jump(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """A temperature that changed faster than any furnace can, and stays where it jumped to.

    Without a reading between, a gap may have let it change: only two good readings in a row are compared.
    """
    tally, image = scan.tally, scan.image
    found = None
    for name, key, believed, _, _ in _memories("sensor_jump", rig):
        reading = image.get(key)
        if reading is None or reading[2] or reading[0] is None:
            tally.pop(believed, None)
            continue
        value = reading[0]
        jump = value - tally.get(believed, value)
        if -QUIET_K < jump < QUIET_K:
            tally[believed] = value
            continue
        bound = limit("jump_rate", watch.tightened)
        if abs(jump) <= bound * rig.max_age_s[name] / OBSERVED:
            tally[believed] = value
        elif found is None:
            heats = name == rig.heater
            message = (
                f"{rig.name}: {name} jumped from {tally[believed]:.1f} to {value:.1f} degC, faster than "
                f"{bound:g} K/s; " + ("heater off" if heats else "it has no vote any more")
            )
            found = Seen(message, value, bound, distrust=name)
            if not heats:
                found = found._replace(worst=HOLD, how="maintain")
    return found


def detached_sensor(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Heat goes in and the heater's own thermometer does not show it: it reads something else than the chamber.

    At any setpoint, near the room's temperature too. Where another thermometer says the same, there may be no heat:
    the heater goes off all the same, but nobody loses a vote.
    """
    deficit = scan.tally.get(keys(rig.name).deficit_k)
    if deficit is None or chamber.lease is None:
        return None
    bound = limit("detached_deficit", watch.tightened)
    if deficit <= bound or scan.good(rig, rig.heater, "temperature") is None:
        return None
    lacking = (
        f"{rig.name}: {rig.heater} heats, and shows {deficit:.0f} K less rise than the heat must have brought"
    )
    if _borne_out(scan, rig):
        message = f"{lacking}, as another thermometer does; its element may be dead. Heater off"
        return Seen(message, deficit, bound, worst=HOLD)
    message = f"{lacking}; its thermometer may be detached. Heater off"
    return Seen(message, deficit, bound, distrust=rig.heater)


def _borne_out(scan: Scan, rig: Rig) -> bool:
    """Another good thermometer reads what the heater's own does."""
    values = scan.temperatures(rig)
    return len(values) > 1 and max(values) - min(values) <= limit("vote_agreement")


def frozen_sensor(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """The very same value again and again, while by the energy put in it must have moved five display digits.

    The heater's own cannot be called good any more, so its hold cools; a frozen witness holds with the heat on.
    """
    tally, image = scan.tally, scan.image
    for name, key, last_key, for_key, then_key in _memories("frozen_sensor", rig):
        if chamber.lease is None:
            tally.pop(last_key, None)
            continue
        reading = image.get(key)
        if reading is None or reading[2] or reading[0] is None:
            continue
        if tally.get(last_key) != reading[0]:
            tally[last_key] = reading[0]
            if for_key in tally:
                del tally[for_key], tally[then_key]
            continue
        changed = tally.get(keys(rig.name).change_k, 0.0)
        if for_key not in tally:
            tally[for_key], tally[then_key] = 0.0, changed
            continue
        for_s = scan.add(for_key, scan.credit_s(rig))
        changed = abs(changed - tally[then_key])
        bound = limit("frozen_digits", watch.tightened) * rig.digit_k[name]
        patience_s = limit("frozen_readings", watch.tightened) * rig.max_age_s[name] / OBSERVED
        if changed < bound or for_s < patience_s:
            continue
        message = (
            f"{rig.name}: {name} has read {reading.value:g} degC for {for_s:.0f} s, and must have changed by "
            f"{changed:.1f} K"
        )
        return Seen(message, changed, bound, how="cool" if name == rig.heater else "maintain", distrust=name)
    return None


def thermometers_disagree(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Two good thermometers of a chamber apart by more than may be: one of them is wrong, and nobody knows which.

    Before heating and while heating; they may differ while a chamber cools, where they only lose their vote. Those that
    differed go on doing so while one of them is not read: that they agree again was not seen.
    """
    values, tally, key = scan.temperatures(rig), scan.tally, _names(rig.name).apart_k
    if len(values) < 2:
        return _without_witness(scan, rig, chamber, watch)
    apart = max(values) - min(values)
    if apart < QUIET_K and not watch.tightened:
        tally.pop(key, None)
        return None
    bound = limit("vote_agreement", watch.tightened)
    if apart <= bound or (chamber.lease is None and chamber.energised):
        tally.pop(key, None)
        return None
    tally[key] = apart
    message = (
        f"{rig.name}: its thermometers are {apart:.1f} K apart ({min(values):.1f} to {max(values):.1f} degC)"
    )
    return Seen(message, apart, bound)


def _without_witness(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Heated with nothing to hold the heater's own thermometer against, although the bench has it."""
    key = _names(rig.name).apart_k
    if chamber.lease is None:
        scan.tally.pop(key, None)
        return None
    apart = scan.tally.get(key)
    if apart is not None:
        message = f"{rig.name}: its thermometers were {apart:.1f} K apart when both were last read"
        return Seen(message, apart, limit("vote_agreement", watch.tightened))
    for name, key in zip(rig.thermometers[1:], rig.temperatures[1:], strict=True):
        reading = scan.image.get(key)
        if reading is not None and reading.quality in (BAD, NOT_READY):
            message = f"{rig.name}: {name} does not read; nothing is left to check {rig.heater} against"
            return Seen(message, reading.value, worst=ALARM)
    return None


GUARDS = (
    Guard(
        "sensor_jump",
        sensor_jump,
        (Stage(HOLD, "witness_for"), Stage(TRIP, "trip_scans")),
        on_bad="trip",
        hidden_by=("sensor", "detached_sensor", "over_temperature"),
    ),
    Guard(
        "detached_sensor",
        detached_sensor,
        (Stage(HOLD, "trip_scans"), Stage(TRIP, "trip_scans")),
        on_bad="trip",
        hidden_by=("sensor_jump",),
    ),
    Guard("frozen_sensor", frozen_sensor, (Stage(HOLD),), on_bad="trip", priority="high"),
    Guard(
        "thermometers_disagree",
        thermometers_disagree,
        (Stage(ALARM, "disagree_for"), Stage(HOLD, "disagree_for")),
        on_bad="alarm",
        priority="high",
        hidden_by=("sensor_jump", "detached_sensor", "frozen_sensor"),
        bypass=True,
    ),
)
