"""What must never be asked of an instrument, judged on the bytes that leave labctl."""

from __future__ import annotations

from labctl.chaos.judge.numbers import (
    PERSON_S,
    PURGE_VOLUMES,
    SCAN_S,
    T_GAS_OFF_C,
    T_INERT_C,
    TOLERANCE_K,
)
from labctl.chaos.judge.observer import Observer, OnBytes
from labctl.chaos.judge.wire import Asked


def gas_is_never_commanded_away(o: Observer, role: str, asked: Asked, t_s: float) -> str | None:
    """I5: no flow below protective_flow is commanded while the tube is above T_gas_off.

    A blocked exhaust excuses, and so does the minute after it, in which what was stepped down for it comes back.
    """
    if role != "gas" or asked.what != "flow" or o.now is None or t_s - o.blocked_s < PERSON_S:
        return None
    hot = o.now.tube_c > T_GAS_OFF_C + TOLERANCE_K
    if hot and asked.value < o.bounds.protective_sccm:
        return f"{asked.value:.0f} sccm asked for at {o.now.tube_c:.0f} degC"
    return None


def intent_first(o: Observer, role: str, asked: Asked, t_s: float) -> str | None:
    """I3: nothing energises without a row in the journal that allows it, nor beyond what it allows.

    In the scan in which a lease ends or changes a last renewal of it may go out before.
    """
    if not asked.energises:
        return None
    allowed, lapsed = o.leases.get(role), o.lapsed.get(role)
    if lapsed is not None and t_s - lapsed[1] < SCAN_S:
        allowed = max(lapsed[0], allowed or 0.0)
    if allowed is None:
        return f"{role}: {asked.what} {asked.value:g} without an intent"
    if asked.what == "setpoint" and asked.value > allowed + 0.06:
        return f"{role}: setpoint {asked.value:g}, and {allowed:g} was intended"
    return None


def within_limits(o: Observer, role: str, asked: Asked, t_s: float) -> str | None:
    """I4: nothing hotter or faster than protocol, bench and instrument allow."""
    highest, fastest = o.bounds.target_c.get(role), o.bounds.ramp_k_per_min.get(role)
    if asked.what == "setpoint" and highest is not None and asked.value > max(highest, 25.0) + 0.06:
        return f"{role}: {asked.value:g} degC asked for, and {highest:g} is the highest of the protocol"
    if asked.what == "rate" and fastest is not None and asked.value > fastest + 0.06:
        return f"{role}: {asked.value:g} K/min asked for, and {fastest:g} is the fastest allowed"
    return None


def latched_stays_off(o: Observer, role: str, asked: Asked, t_s: float) -> str | None:
    """I7: after a latched trip nothing energises the chamber until a person has cleared and reset it.

    The I/O module lets the furnace have its power.
    """
    if not asked.energises:
        return None
    trips = o.latched.get(o.bounds.chambers.get("furnace" if role == "io" else role, ""))
    return f"{role}: {asked.what} {asked.value:g} after {', '.join(sorted(trips))}" if trips else None


def washed_before_heat(o: Observer, role: str, asked: Asked, t_s: float) -> str | None:
    """I6: 8 tube volumes have really flowed since the last interruption before anything above T_inert is asked for."""
    if role != "furnace" or asked.what != "setpoint" or asked.value <= T_INERT_C or role in o.heating:
        return None
    volumes = o.washed_cm3 / o.bounds.volume_cm3
    return (
        None if volumes >= 0.95 * PURGE_VOLUMES else f"{volumes:.1f} tube volumes before {asked.value:g} degC"
    )


ON_BYTES: OnBytes = {
    "I5 gas commanded": gas_is_never_commanded_away,
    "I3 intent first": intent_first,
    "I4 limits": within_limits,
    "I6 purge": washed_before_heat,
    "I7 latched": latched_stays_off,
}
