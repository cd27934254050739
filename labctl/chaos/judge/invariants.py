"""What must never happen, one small function each: None, or what is wrong in words.

Numbers are the safety contract's, written down here once more on purpose: a limit that is loosened in the product does
not loosen its judge. What a fault excuses is said where it is excused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labctl.chaos.judge.observer import Observer, Said
from labctl.chaos.judge.wire import Asked

T_INERT_C, T_GAS_OFF_C, T_OPEN_C = 150.0, 100.0, 60.0
LOW_FRACTION = 0.80
SCAN_S = 1.0
GRACE_S = 5.0 + 2.0 + 1.0
"""N2 low, two scans of a furnace stage, and the second of the plant in which a command acts."""
SAFE_S = 10.0
"""G1: safe within 5 s of a trip, read back within 10 s."""
OVER_K = 25.0
OVERSHOOT_K = 40.0
"""Heat that is in the element of the small-mass furnace already when it is switched off at full power (measured)."""
PERSON_S = 60.0
"""What labctl may take to bring gas back that can flow: the 60 s without progress after which it asks a person."""
TOLERANCE_K = 3.0
"""Thermocouples of a perturbed plant are off by up to 1.5 K each."""
FLOW_TOLERANCE = 0.98
"""Mass-flow controllers of a perturbed plant are off by 0.3 %."""
OXYGEN_TRIP_PPM = 1000.0
PURGE_VOLUMES = 8.0
STUCK_S = 60.0
ANALYSER_S = 20.0
"""Read every 5 s; twice before it acts; and what a zirconia cell lags (assumed)."""
CELL_S = 15.0
"""Two scans of cycling, 5 s each, and a command."""
ACTING = frozenset({"PAUSING", "HOLDING", "RESTARTING", "STOPPING", "ABORTING"})
UNSETTLED_S = 15.0
"""For so long after a fault a wire may still be out of step (three reads of the slowest)."""
CELL_LOW_V, CELL_HIGH_V = 2.0, 4.1


def _interruptible(o: Observer) -> bool:
    """There is a contactor, and the I/O module that opens it was not disturbed for a minute."""
    assert o.now is not None
    return o.bounds.contactor and o.now.t_s - o.deaf_s.get("io", -PERSON_S) >= PERSON_S


def _forced(o: Observer) -> bool:
    """The furnace heats whatever anybody asks: its relay is stuck, and there is no contactor that labctl reaches."""
    return o.acts("furnace", "heater_stuck") and not _interruptible(o)


# -- each second -----------------------------------------------------------------------------------


def inert_heating(o: Observer) -> str | None:
    """I1: no heat above T_inert without protective flow, and 80 % of the commanded, beyond the grace."""
    s = o.now
    assert s is not None
    wanted = max(o.bounds.protective_sccm, LOW_FRACTION * o.flow_sccm) * FLOW_TOLERANCE
    low = s.heater_w > 0.0 and s.tube_c > T_INERT_C and s.flow_sccm < wanted and not _forced(o)
    lasted = o.lasting("inert_heating", low)
    if lasted > GRACE_S:
        return f"{s.heater_w:.0f} W at {s.tube_c:.0f} degC in {s.flow_sccm:.0f} sccm of N2 for {lasted:.0f} s"
    return None


def gas_returns(o: Observer) -> str | None:
    """While hot, N2 that can flow does flow: what stopped it is over, and it is asked for again."""
    s = o.now
    assert s is not None
    dry = s.flow_sccm < FLOW_TOLERANCE * o.bounds.protective_sccm and s.tube_c > T_GAS_OFF_C + TOLERANCE_K
    hindered = dry and any(role == "gas" or kind == "cylinder_empty" for role, kind in s.acting)
    if o.lasting("gas_returns", dry and not hindered and bool(o.asked_flows)) > PERSON_S:
        return f"{s.flow_sccm:.0f} sccm of N2 at {s.tube_c:.0f} degC, and nothing hinders more"
    return None


def over_temperature(o: Observer) -> str | None:
    """The tube is not heated beyond the highest setpoint of the stage + 25 K for longer than a trip takes.

    What a stuck relay has heated is excused until it has cooled down again.
    """
    s = o.now
    assert s is not None
    highest = o.heating.get("furnace")
    beyond = -1.0 if highest is None else s.tube_c - highest - OVER_K - TOLERANCE_K
    if beyond <= 0.0 or _forced(o):
        o.lasting("over_temperature", False)
        o.lasting("too hot by force", _forced(o) and beyond > 0.0)
        return None
    if o.lasting("too hot by force", o.is_lasting("too hot by force")):
        return None
    lasted = o.lasting("over_temperature", s.heater_w > 0.0)
    if lasted > GRACE_S or beyond > OVERSHOOT_K:
        return f"{s.tube_c:.0f} degC with {s.heater_w:.0f} W, and {highest:.0f} degC was asked for"
    return None


def off_is_off(o: Observer) -> str | None:
    """Nothing asks the furnace to heat, and it does not.

    A controller that cannot hear, or is locked at its panel, falls back to 20 degC by its own ramp; where no contactor
    interrupts it, it gives what that ramp needs.
    """
    s = o.now
    assert s is not None
    on = "furnace" not in o.heating and s.heater_w > 0.0
    excused = on and (_forced(o) or (o.deaf("furnace") and not _interruptible(o)))
    lasted = o.lasting("off_is_off", on and not excused)
    return (
        f"{s.heater_w:.0f} W for {lasted:.0f} s after it was switched off" if lasted > SAFE_S + 2.0 else None
    )


def ended_without_power(o: Observer) -> str | None:
    """I2: no power goes into the furnace in the first second that begins after the end of a run."""
    s = o.now
    if s is None or o.ended_s is None or s.t_s < o.ended_s + 1.0:
        return None
    o.ended_s = None
    return (
        f"{s.heater_w:.0f} W" if s.heater_w > 0.0 and "furnace" not in o.leases and not _forced(o) else None
    )


def oven_off_is_off(o: Observer) -> str | None:
    """The same for the oven, when it can hear: it has no lease, and goes on at its last setpoint while it cannot."""
    s = o.now
    assert s is not None
    hindered = o.deaf("oven") or o.acts("oven", "heater_stuck")
    on = "oven" not in o.heating and s.oven_w > 0.0 and not hindered
    lasted = o.lasting("oven_off_is_off", on)
    return f"{s.oven_w:.0f} W for {lasted:.0f} s after it was switched off" if lasted > 2 * SAFE_S else None


def safe_state_is_whole(o: Observer) -> str | None:
    """Making a hot tube safe asks for both on the wire within G1: heat off, and at least protective flow.

    Excused is what a disturbed wire or instrument kept from being asked; it is asked again, and judged as I1 and I5b.
    """
    s, since = o.now, o.safe_s
    if s is None or since is None or s.t_s < since + SAFE_S:
        return None
    o.safe_s = None
    asked = "furnace" in o.heating and "furnace" not in o.unsure
    if asked and o.deaf_s.get("furnace", -UNSETTLED_S) < since - UNSETTLED_S:
        return "heat off was not asked for"
    flow = max((flow for t_s, flow in o.asked_flows if t_s >= since), default=0.0)
    if s.t_s - o.blocked_s < PERSON_S:
        return None
    if flow < o.bounds.protective_sccm and o.deaf_s.get("gas", -UNSETTLED_S) < since - UNSETTLED_S:
        return f"{flow:.0f} sccm were asked for at {s.tube_c:.0f} degC"
    return None


def open_sensor_heats_not(o: Observer) -> str | None:
    """G1: an open thermocouple turns the heater off within 5 s, proven within 10."""
    s = o.now
    assert s is not None
    lasted = o.lasting(
        "open sensor", o.acts("furnace", "sensor_open") and s.heater_w > 0.0 and not _forced(o)
    )
    return f"{s.heater_w:.0f} W for {lasted:.0f} s with the thermocouple open" if lasted > SAFE_S else None


def oxygen_heats_not(o: Observer) -> str | None:
    """No heat in more than 1000 ppm of oxygen for longer than an analyser and two scans take to see it.

    A controller locked at its panel refuses to be switched off, and one that lost its line falls back by its own ramp.
    """
    s = o.now
    assert s is not None
    rich = s.oxygen_ppm > 1.5 * OXYGEN_TRIP_PPM and s.tube_c > T_INERT_C and s.heater_w > 0.0
    blind = rich and any(role == "analyser" for role, _ in s.acting)
    excused = blind or o.acts("furnace", "local_lock") or _forced(o)
    lasted = o.lasting("oxygen", rich and not excused)
    return (
        f"{s.oxygen_ppm:.0f} ppm oxygen at {s.tube_c:.0f} degC with {s.heater_w:.0f} W"
        if lasted > ANALYSER_S
        else None
    )


def cell_within_limits(o: Observer) -> str | None:
    """A cell beyond its hard window carries no current for longer than two scans of cycling."""
    s = o.now
    assert s is not None
    beyond = s.cell_a != 0.0 and not CELL_LOW_V <= s.cell_v <= CELL_HIGH_V
    lasted = o.lasting("cell", beyond and not o.deaf("cycler"))
    return f"{s.cell_v:.2f} V with {s.cell_a * 1e3:.3f} mA for {lasted:.0f} s" if lasted > CELL_S else None


def nothing_is_stuck(o: Observer) -> str | None:
    """I12: an -ING state in which nothing at all happens for a minute after the faults is stuck."""
    s = o.now
    if s is None or o.liveness_s is None or s.t_s < o.liveness_s + STUCK_S:
        return None
    for run, state in o.states.items():
        if state in ACTING and run not in o.ended and s.t_s - max(o.spoken_s, o.liveness_s) > STUCK_S:
            return f"{run} is {state}, and nothing has happened for {s.t_s - o.spoken_s:.0f} s"
    return None


EACH_SECOND: Mapping[str, Callable[[Observer], str | None]] = {
    "I1 inert heating": inert_heating,
    "I5b gas returns": gas_returns,
    "over-temperature": over_temperature,
    "I2 off is off": off_is_off,
    "I2 oven off is off": oven_off_is_off,
    "I2 ended": ended_without_power,
    "G1 safe state": safe_state_is_whole,
    "G1 open sensor": open_sensor_heats_not,
    "oxygen": oxygen_heats_not,
    "cell limits": cell_within_limits,
    "I12 stuck": nothing_is_stuck,
}


# -- bytes -----------------------------------------------------------------------------------------


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
    """I7: after a latched trip nothing energises the chamber until a person has cleared and reset it."""
    if asked.energises and role == "furnace" and o.latched.get(o.bounds.tube):
        return f"{asked.what} {asked.value:g} after {', '.join(sorted(o.latched[o.bounds.tube]))}"
    return None


def washed_before_heat(o: Observer, role: str, asked: Asked, t_s: float) -> str | None:
    """I6: 8 tube volumes have really flowed since the last interruption before anything above T_inert is asked for."""
    if role != "furnace" or asked.what != "setpoint" or asked.value <= T_INERT_C or role in o.heating:
        return None
    volumes = o.washed_cm3 / o.bounds.volume_cm3
    return (
        None if volumes >= 0.95 * PURGE_VOLUMES else f"{volumes:.1f} tube volumes before {asked.value:g} degC"
    )


ON_BYTES: Mapping[str, Callable[[Observer, str, Asked, float], str | None]] = {
    "I5 gas commanded": gas_is_never_commanded_away,
    "I3 intent first": intent_first,
    "I4 limits": within_limits,
    "I6 purge": washed_before_heat,
    "I7 latched": latched_stays_off,
}


# -- what labctl says ------------------------------------------------------------------------------

TABLE: Mapping[str, frozenset[str]] = {
    "IDLE": frozenset({"RUNNING"}),
    "RUNNING": frozenset({"PAUSING", "HOLDING", "STOPPING", "ABORTING", "COMPLETE"}),
    "PAUSING": frozenset({"PAUSED", "HOLDING", "STOPPING", "ABORTING"}),
    "PAUSED": frozenset({"RUNNING", "HOLDING", "STOPPING", "ABORTING"}),
    "HOLDING": frozenset({"HELD", "STOPPING", "ABORTING"}),
    "HELD": frozenset({"RESTARTING", "STOPPING", "ABORTING"}),
    "RESTARTING": frozenset({"RUNNING", "HOLDING", "STOPPING", "ABORTING"}),
    "STOPPING": frozenset({"STOPPED", "ABORTING"}),
    "STOPPED": frozenset({"ABORTING", "IDLE"}),
    "ABORTING": frozenset({"ABORTED"}),
    "ABORTED": frozenset({"IDLE", "ABORTED"}),
    "COMPLETE": frozenset({"IDLE"}),
}
"""ISA-88 as reliability 1.1 has it, with CLEAR in ABORTED."""


def transitions_in_the_table(o: Observer, word: Said) -> str | None:
    """I8: every change of a run's state is one of the table, from the state that it had."""
    if word.kind != "state_changed":
        return None
    before, after = o.states.get(word.data["run"], "IDLE"), word.data["to"]
    if word.data["from"] != before or after not in TABLE[before]:
        return f"{word.data['run']}: {before} became {after} (says: from {word.data['from']})"
    return None


def an_end_is_cold_handed(o: Observer, word: Said) -> str | None:
    """I2: a run ends only when nothing asks the furnace to heat any more.

    One that may not have heard that it was to heat need not be switched off.
    """
    asked = "furnace" in o.heating and "furnace" not in o.unsure
    if word.kind == "run_ended" and asked and not _forced(o):
        return f"{word.data['end_state']}, and the furnace was not asked to be off"
    return None


def complete_is_true(o: Observer, word: Said) -> str | None:
    """COMPLETE is said only when the sample really spent its soaks, near the temperature that the protocol says."""
    if word.kind != "run_ended" or word.data["end_state"] != "COMPLETE":
        return None
    for target, band, hold_s in o.bounds.soaks:
        spent = o.soaked_s[target, band]
        if spent < 0.9 * hold_s:
            return f"the sample was at {target:g} degC for {spent:.0f} s, wanted {hold_s:.0f} s"
    return None


def an_end_is_final(o: Observer, word: Said) -> str | None:
    """A run ends once, and its end state never changes."""
    if word.kind == "run_ended" and word.stream in o.ended:
        return f"{word.stream} was {o.ended[word.stream]} and became {word.data['end_state']}"
    return None


ON_WORD: Mapping[str, Callable[[Observer, Said], str | None]] = {
    "I8 transitions": transitions_in_the_table,
    "I2 end": an_end_is_cold_handed,
    "complete is true": complete_is_true,
    "end state": an_end_is_final,
}


# -- at the end ------------------------------------------------------------------------------------


def everything_is_safe(o: Observer) -> str | None:
    """Liveness: after the last fault everything came to an end: no run under way, cold, no heat, no current."""
    s = o.now
    if s is None:
        return None
    alive = [run for run in o.states if run not in o.ended]
    if alive:
        return f"{', '.join(alive)} never ended: {o.states[alive[0]]}"
    if s.heater_w > 0.0 or s.oven_w > 0.0 or s.cell_a != 0.0:
        return f"still energised: furnace {s.heater_w:.0f} W, oven {s.oven_w:.0f} W, cell {s.cell_a * 1e3:.1f} mA"
    if s.tube_c > T_OPEN_C + 10.0:
        return f"the tube is left at {s.tube_c:.0f} degC"
    return None


AT_END: Mapping[str, Callable[[Observer], str | None]] = {"I12 liveness": everything_is_safe}
