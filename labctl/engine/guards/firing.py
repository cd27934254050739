"""Guards on a firing that does not go as it must: a heater that cannot follow, no heat at all, heat for too long."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from labctl.engine.context import Context, Rig, Watch
from labctl.engine.guards.frame import HOLD, Guard, Seen, Stage
from labctl.engine.scan import Scan, named
from labctl.engine.state import ChamberState
from labctl.model.limits import limit
from labctl.protocol.plan import Heat

QUIET_K = 10.0
"""A lag that needs no second look: a good loop lags its ramp by 6 K (measured on the simulated furnace)."""

NEARER = 0.9
"""Of the lag at first: a heater that has come so near follows, slowly (assumed)."""


@dataclass(frozen=True, slots=True)
class _Names:
    """In the tally, made once."""

    lag_k: str
    lag_s: str
    full_c: str
    full_s: str


@dataclass(frozen=True, slots=True)
class _Fired:
    """Of one run in one chamber."""

    fired_s: str
    planned_s: str


@cache
def _of_run(run: str, chamber: str) -> _Fired:
    return _Fired(*(f"{run}/{chamber}/{name}" for name in _Fired.__annotations__))


_names = named(_Names, "firing")


def ramp_deviation(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Far behind the working setpoint for long, and no nearer than at first: an aged element, a weak mains."""
    names, tally = _names(rig.name), scan.tally
    if chamber.lease is None:
        _forget(tally, names.lag_k, names.lag_s)
        return None
    asked, reading = scan.image.get(rig.keys.working_setpoint), scan.image.get(rig.keys.temperature)
    working = None if asked is None or asked[2] else asked[0]
    read_c = None if reading is None or reading[2] else reading[0]
    if working is None or read_c is None:
        return None
    if working - read_c < QUIET_K and names.lag_k not in tally and not watch.tightened:
        return None
    lag, bound = working - read_c, limit("ramp_lag", watch.tightened)
    if lag <= bound or lag < NEARER * tally.get(names.lag_k, lag):
        _forget(tally, names.lag_k, names.lag_s)
        if lag <= bound:
            return None
    first = tally.setdefault(names.lag_k, lag)
    since = tally.setdefault(names.lag_s, scan.now)
    if scan.now - since < limit("ramp_lag_for", watch.tightened):
        return None
    message = (
        f"{rig.name}: {lag:.0f} K behind its setpoint of {working:.0f} degC, and {first:.0f} K "
        f"{(scan.now - since) / 60:.0f} min ago: the heater cannot follow. Heater off"
    )
    return Seen(message, lag, bound)


def _forget(tally: dict[str, float], first: str, since: str) -> None:
    """What was seen while it heated says nothing about the next time: a hold may have let it cool."""
    if first in tally:
        del tally[first], tally[since]


def no_heat(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Full output for long, and hardly a rise: element, relay or fuse."""
    names, tally = _names(rig.name), scan.tally
    if chamber.lease is None:
        _forget(tally, names.full_c, names.full_s)
        return None
    reading = scan.image.get(rig.keys.output)
    output = None if reading is None or reading[2] else reading[0]
    if output is None or output < limit("no_heat_output", watch.tightened):
        _forget(tally, names.full_c, names.full_s)
        return None
    read_c = scan.good(rig, rig.heater, "temperature")
    if read_c is None:
        return None
    rise, bound = read_c - tally.setdefault(names.full_c, read_c), limit("no_heat_rise", watch.tightened)
    since = tally.setdefault(names.full_s, scan.now)
    if rise >= bound:
        tally[names.full_c], tally[names.full_s] = read_c, scan.now
        return None
    if scan.now - since < limit("no_heat_for", watch.tightened):
        return None
    message = (
        f"{rig.name}: {output:.0f} % output for {(scan.now - since) / 60:.0f} min raised it by {rise:.1f} K: "
        "no heat arrives. Heater off"
    )
    return Seen(message, rise, bound)


def fired_too_long(scan: Scan, rig: Rig, chamber: ChamberState, watch: Watch) -> Seen | None:
    """Heat above T_inert for longer than 1.5 times what the plan asks for in all; time held does not count."""
    run = scan.state.runs.get(chamber.run or "")
    if chamber.lease is None or run is None or run.state != "RUNNING":
        return None
    if max(scan.temperatures(rig), default=0.0) <= limit("T_inert", watch.tightened):
        return None
    names, tally = _of_run(run.run_id, rig.name), scan.tally
    fired = scan.add(names.fired_s, scan.dt_s)
    planned = tally.get(names.planned_s)
    if planned is None:
        planned = tally[names.planned_s] = planned_s(scan.context, run.plan_hash, rig)
    bound = limit("fired_factor", watch.tightened) * planned
    if fired <= bound:
        return None
    message = (
        f"{rig.name}: heated above {limit('T_inert'):.0f} degC for {fired / 3600:.1f} h, "
        f"planned were {planned / 3600:.1f} h. Heater off"
    )
    return Seen(message, fired, bound)


def planned_s(context: Context, plan_hash: str, rig: Rig) -> float:
    """How long a plan heats a chamber: ramps from the room's temperature, holds, and what they may catch up, in s."""
    total, at_c = 0.0, context.ambient_c
    for step in context.plans[plan_hash].steps:
        if not isinstance(step, Heat) or step.chamber != rig.name:
            continue
        for segment in step.segments:
            if segment.ramp_k_per_min:
                total += abs(segment.target_c - at_c) / segment.ramp_k_per_min * 60.0
            else:
                total += rig.cooldown_s
            total += segment.hold_s
            at_c = segment.target_c
        total += step.catch_up_s
    return total


GUARDS = (
    Guard("no_heat", no_heat, (Stage(HOLD),), on_bad="trip", priority="high", bypass=True),
    Guard(
        "ramp_deviation",
        ramp_deviation,
        (Stage(HOLD),),
        on_bad="trip",
        priority="high",
        hidden_by=("no_heat", "detached_sensor"),
        bypass=True,
    ),
    Guard("fired_too_long", fired_too_long, (Stage(HOLD),), on_bad="trip", priority="high", bypass=True),
)
