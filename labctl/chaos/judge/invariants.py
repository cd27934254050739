"""What must never happen in any second, one small function each: None, or what is wrong in words.

What a fault excuses is said where it is excused.
"""

from __future__ import annotations

from labctl.chaos.judge.asked import ON_BYTES
from labctl.chaos.judge.numbers import (
    ANALYSER_S,
    BYPASS_S,
    CELL_HIGH_V,
    CELL_LOW_V,
    CELL_S,
    FLOW_TOLERANCE,
    GRACE_S,
    LATE_S,
    LOW_FRACTION,
    OVER_K,
    OVERSHOOT_K,
    OXYGEN_TRIP_PPM,
    PERSON_S,
    SAFE_S,
    STUCK_S,
    T_GAS_OFF_C,
    T_INERT_C,
    T_OPEN_C,
    TOLERANCE_K,
    UNSETTLED_S,
    WARM_UP_S,
    WITNESS_K,
    WITNESS_S,
)
from labctl.chaos.judge.observer import AtEnd, EachSecond, Invariants, Observer
from labctl.chaos.judge.said import ON_TELEMETRY, ON_WORD
from labctl.chaos.judge.told import GARBLED, Sample

ACTING = frozenset({"PAUSING", "HOLDING", "RESTARTING", "STOPPING", "ABORTING"})
GOING = frozenset({"RUNNING", "RESTARTING"})


def _interruptible(o: Observer, s: Sample) -> bool:
    """There is a contactor, and the I/O module that opens it was not disturbed for a minute."""
    return o.bounds.contactor and o.heard("io", s.t_s - PERSON_S)


def _forced(o: Observer, s: Sample) -> bool:
    """The furnace heats whatever anybody asks: its relay is stuck, and there is no contactor that labctl reaches."""
    return o.acts("furnace", "heater_stuck") and not _interruptible(o, s)


def _refuses(o: Observer, s: Sample) -> bool:
    """The furnace was asked to be off, and cannot hear it or is locked at its panel; and no contactor interrupts it.

    It falls back to 20 degC by its own ramp, and gives what that ramp needs.
    """
    return "furnace" not in o.heating and o.deaf("furnace") and not _interruptible(o, s)


def inert_heating(o: Observer, s: Sample) -> str | None:
    """I1: no heat above T_inert without protective flow, and 80 % of the commanded, beyond the grace."""
    low = False
    if s.heater_w > 0.0 and s.tube_c > T_INERT_C:
        wanted = max(o.bounds.protective_sccm, LOW_FRACTION * o.flow_sccm) * FLOW_TOLERANCE
        low = s.flow_sccm < wanted and not (_forced(o, s) or _refuses(o, s))
    lasted = o.lasting("inert_heating", low)
    if lasted > GRACE_S:
        return f"{s.heater_w:.0f} W at {s.tube_c:.0f} degC in {s.flow_sccm:.0f} sccm of N2 for {lasted:.0f} s"
    return None


def gas_returns(o: Observer, s: Sample) -> str | None:
    """While hot, N2 that can flow does flow: what stopped it is over, and it is asked for again."""
    dry = s.flow_sccm < FLOW_TOLERANCE * o.bounds.protective_sccm and s.tube_c > T_GAS_OFF_C + TOLERANCE_K
    hindered = dry and any(role == "gas" or kind == "cylinder_empty" for role, kind in s.acting)
    if o.lasting("gas_returns", dry and not hindered and bool(o.asked_flows)) > PERSON_S:
        return f"{s.flow_sccm:.0f} sccm of N2 at {s.tube_c:.0f} degC, and nothing hinders more"
    return None


def bypass_opens(o: Observer, s: Sample) -> str | None:
    """Hot, energised before, and the flow controller gives nothing: the second way for N2 is asked to open.

    Not while the module that opens it is disturbed, nor while the tube's pressure is being relieved. Gas of another
    kind is no N2, but the controller calls it flow: it lies, and is not judged here.
    """
    dry = False
    if o.bounds.bypass and s.flow_sccm < 0.5 * o.bounds.protective_sccm and s.tube_c > T_INERT_C:
        relieved = s.t_s - o.blocked_s < PERSON_S
        dry = not relieved and o.heard("io", s.t_s - PERSON_S) and not o.acts("gas", "swapped")
    lasted = o.lasting("bypass", dry)
    if lasted > BYPASS_S and o.bypass_s < s.t_s - lasted and not o.acts("io", "cylinder_empty"):
        return (
            f"{s.flow_sccm:.0f} sccm at {s.tube_c:.0f} degC for {lasted:.0f} s, and nobody opened the bypass"
        )
    return None


def over_temperature(o: Observer, s: Sample) -> str | None:
    """The tube is not heated beyond the highest setpoint of the stage + 25 K for longer than a trip takes.

    What a stuck relay has heated is excused until it has cooled down again. A controlled ramp down may be as hot as it
    began.
    """
    highest = o.heating.get("furnace")
    if highest is not None and o.ramp_from_c is not None:
        highest = max(highest, o.ramp_from_c)
    beyond = -1.0 if highest is None else s.tube_c - highest - OVER_K - TOLERANCE_K
    if beyond <= 0.0 or _forced(o, s):
        o.lasting("over_temperature", False)
        o.lasting("too hot by force", beyond > 0.0)
        return None
    if o.lasting("too hot by force", o.is_lasting("too hot by force")):
        return None
    lasted = o.lasting("over_temperature", s.heater_w > 0.0)
    heard = o.heard("furnace", s.t_s - UNSETTLED_S)
    late_s, further_k = (0.0, 0.0) if heard else (WITNESS_S, WITNESS_K)
    if lasted > GRACE_S + late_s or beyond > OVERSHOOT_K + further_k:
        return f"{s.tube_c:.0f} degC with {s.heater_w:.0f} W, and {highest:.0f} degC was asked for"
    return None


def off_is_off(o: Observer, s: Sample) -> str | None:
    """Nothing asks the furnace to heat, and it does not."""
    on = s.heater_w > 0.0 and "furnace" not in o.heating
    lasted = o.lasting("off_is_off", on and not (_forced(o, s) or _refuses(o, s)))
    return (
        f"{s.heater_w:.0f} W for {lasted:.0f} s after it was switched off" if lasted > SAFE_S + 2.0 else None
    )


def ended_without_power(o: Observer, s: Sample) -> str | None:
    """I2: no power goes into the furnace in the first second that begins after the end of its run."""
    if o.ended_s is None or s.t_s < o.ended_s + 1.0:
        return None
    o.ended_s = None
    hot = s.heater_w > 0.0 and "furnace" not in o.leases and not _forced(o, s)
    return f"{s.heater_w:.0f} W" if hot else None


def oven_off_is_off(o: Observer, s: Sample) -> str | None:
    """The same for the oven, when it can hear: it has no lease, and goes on at its last setpoint while it cannot.

    Once labctl has seen it cold, anybody may use it by hand.
    """
    on = s.oven_w > 0.0 and "oven" not in o.heating and o.bounds.chambers["oven"] in o.ours
    hindered = on and (o.deaf("oven") or o.acts("oven", "heater_stuck"))
    lasted = o.lasting("oven_off_is_off", on and not hindered)
    return f"{s.oven_w:.0f} W for {lasted:.0f} s after it was switched off" if lasted > 2 * SAFE_S else None


def safe_state_is_whole(o: Observer, s: Sample) -> str | None:
    """Making a hot tube safe asks for both on the wire within G1: heat off, and at least protective flow.

    Excused is what a disturbed wire or instrument kept from being asked; it is asked again, and judged as I1 and I5b.
    """
    since = o.safe_s
    if since is None or s.t_s < since + SAFE_S:
        return None
    o.safe_s = None
    asked = "furnace" in o.heating and "furnace" not in o.unsure and o.off_s.get("furnace", -1.0) < since
    if asked and o.heard("furnace", since - UNSETTLED_S):
        return "heat off was not asked for"
    flow = max((flow for t_s, flow in o.asked_flows if t_s >= since), default=0.0)
    if s.t_s - o.blocked_s < PERSON_S:
        return None
    if flow < o.bounds.protective_sccm and o.heard("gas", since - UNSETTLED_S):
        return f"{flow:.0f} sccm were asked for at {s.tube_c:.0f} degC"
    return None


def contactor_opens(o: Observer, s: Sample) -> str | None:
    """A trip after which the heater's controller is not trusted asks the contactor to open within G1."""
    since = o.opens_s
    if since is None or s.t_s < since + SAFE_S:
        return None
    o.opens_s = None
    if not o.bounds.contactor or o.contactor_s >= since or not o.heard("io", since - UNSETTLED_S):
        return None
    closed = "closed" if s.contactor else "open already"
    return (
        None if not s.contactor else f"nobody asked it to open {SAFE_S:.0f} s after the trip; it is {closed}"
    )


def contactor_rests(o: Observer, s: Sample) -> str | None:
    """With no run of the furnace going on and nothing heating, the contactor is open, where it can be reached."""
    closed = False
    if s.contactor and o.bounds.contactor and "furnace" not in o.heating:
        going = any(
            state in GOING and o.bounds.tube in o.taken.get(run, ()) for run, state in o.states.items()
        )
        closed = not going and o.heard("io", s.t_s - PERSON_S)
    lasted = o.lasting("contactor", closed)
    return f"closed for {lasted:.0f} s with nothing to heat" if lasted > PERSON_S else None


def open_sensor_heats_not(o: Observer, s: Sample) -> str | None:
    """G1: an open thermocouple turns the heater off within 5 s, proven within 10."""
    blind = s.heater_w > 0.0 and o.acts("furnace", "sensor_open") and not _forced(o, s)
    lasted = o.lasting("open sensor", blind)
    return f"{s.heater_w:.0f} W for {lasted:.0f} s with the thermocouple open" if lasted > SAFE_S else None


def oxygen_heats_not(o: Observer, s: Sample) -> str | None:
    """No heat in more than 1000 ppm of oxygen for longer than an analyser and two scans take to see it.

    Not while the analyser is disturbed, or warms up after that: then nobody can see it. A controller locked at its
    panel refuses to be switched off, and one that lost its line falls back by its own ramp.
    """
    rich = s.heater_w > 0.0 and s.oxygen_ppm > 1.5 * OXYGEN_TRIP_PPM and s.tube_c > T_INERT_C
    if rich:
        blind = any(role == "analyser" for role, _ in s.acting)
        blind = blind or s.t_s - o.restarted_s.get("analyser", -WARM_UP_S) < WARM_UP_S
        rich = not (blind or o.acts("furnace", "local_lock") or _forced(o, s) or _refuses(o, s))
    lasted = o.lasting("oxygen", rich)
    return (
        f"{s.oxygen_ppm:.0f} ppm oxygen at {s.tube_c:.0f} degC with {s.heater_w:.0f} W"
        if lasted > ANALYSER_S
        else None
    )


def cell_within_limits(o: Observer, s: Sample) -> str | None:
    """A cell beyond its hard window carries no current for longer than two scans of cycling that read it.

    Until then the cycler itself holds voltage and current to what was programmed.
    """
    beyond = s.cell_a != 0.0 and not CELL_LOW_V <= s.cell_v <= CELL_HIGH_V
    unread = o.deaf("cycler") or any(o.acts("cycler", kind) for kind in GARBLED)
    lasted = o.lasting("cell", beyond and not unread)
    return f"{s.cell_v:.2f} V with {s.cell_a * 1e3:.3f} mA for {lasted:.0f} s" if lasted > CELL_S else None


def nothing_is_stuck(o: Observer, s: Sample) -> str | None:
    """I12: an -ING state in which nothing at all happens for a minute after the faults is stuck.

    A controlled ramp down that gets cooler goes on.
    """
    if o.ramp_from_c is not None and s.t_s - o.cooler_s <= STUCK_S:
        return None
    if o.liveness_s is None or s.t_s < o.liveness_s + STUCK_S or s.t_s - o.spoken_s <= STUCK_S:
        return None
    for run, state in o.states.items():
        if state in ACTING and run not in o.ended and s.t_s - max(o.spoken_s, o.liveness_s) > STUCK_S:
            return f"{run} is {state}, and nothing has happened for {s.t_s - o.spoken_s:.0f} s"
    return None


EACH_SECOND: EachSecond = {
    "I1 inert heating": inert_heating,
    "I5b gas returns": gas_returns,
    "bypass": bypass_opens,
    "over-temperature": over_temperature,
    "I2 off is off": off_is_off,
    "I2 oven off is off": oven_off_is_off,
    "I2 ended": ended_without_power,
    "G1 safe state": safe_state_is_whole,
    "G1 contactor": contactor_opens,
    "contactor at rest": contactor_rests,
    "G1 open sensor": open_sensor_heats_not,
    "oxygen": oxygen_heats_not,
    "cell limits": cell_within_limits,
    "I12 stuck": nothing_is_stuck,
}


# -- at the end ------------------------------------------------------------------------------------


def everything_is_safe(o: Observer) -> str | None:
    """Liveness: after the last fault everything came to an end: no run under way, cold, no heat, no current.

    Where nobody comes, a run may wait for ever for what only a person can clear.
    """
    s = o.now
    if s is None:
        return None
    alive = [run for run in o.states if run not in o.ended and (o.attended or run not in o.waiting)]
    if alive:
        return f"{', '.join(alive)} never ended: {o.states[alive[0]]}"
    if s.heater_w > 0.0 or s.oven_w > 0.0 or s.cell_a != 0.0:
        return f"still energised: furnace {s.heater_w:.0f} W, oven {s.oven_w:.0f} W, cell {s.cell_a * 1e3:.1f} mA"
    if s.tube_c > T_OPEN_C + 10.0:
        return f"the tube is left at {s.tube_c:.0f} degC"
    return None


def every_request_has_one_outcome(o: Observer) -> str | None:
    """I10: whatever anybody asked for was accepted or refused, once, and says who asked."""
    last_s = o.now.t_s if o.now else 0.0
    open_ones = [r for r, t_s in o.requests.items() if o.outcomes[r] != 1 and t_s < last_s - LATE_S]
    return f"{open_ones[0]} has {o.outcomes[open_ones[0]]} outcomes" if open_ones else None


AT_END: AtEnd = {"I12 liveness": everything_is_safe, "I10 one outcome": every_request_has_one_outcome}

INVARIANTS = Invariants(EACH_SECOND, ON_BYTES, ON_WORD, ON_TELEMETRY, AT_END)
