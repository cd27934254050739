"""The one table of safety limits: rules, guards, docs and messages quote the names, never a number of their own.

Beside it the names of the engine's guards and safe-state items, so that a bench file can be checked against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Limit(NamedTuple):
    """One named number. `stricter` says in which direction a bench may move it."""

    value: float
    unit: str
    stricter: Literal["lower", "higher"]
    meaning: str


LIMITS: Mapping[str, Limit] = {
    "T_inert": Limit(150.0, "degC", "lower", "above it no heating in an inert stage without protective flow"),
    "T_gas_off": Limit(100.0, "degC", "lower", "below it, proven, gas may stop"),
    "T_open": Limit(60.0, "degC", "lower", "below it a chamber may be opened"),
    "protective_flow_floor": Limit(100.0, "sccm", "higher", "least N2 flow while above T_inert"),
    "protective_flow_turnover": Limit(0.05, "1/min", "higher", "least tube volumes per minute above T_inert"),
    "nitrogen_low_fraction": Limit(0.80, "1", "higher", "of the setpoint; below it N2 is low"),
    "nitrogen_low_for": Limit(
        5.0, "s", "lower", "N2 low or lost, or its controller silent, so long: heater off"
    ),
    "nitrogen_lost_abort": Limit(600.0, "s", "lower", "N2 lost without recovery so long: abort"),
    "run_flow_proven": Limit(60.0, "s", "higher", "N2 near its setpoint so long before heating"),
    "over_temperature_margin": Limit(25.0, "K", "lower", "above the highest setpoint commanded in the stage"),
    "stuck_heater_after": Limit(300.0, "s", "lower", "heater off so long: from then on it may only cool"),
    "stuck_heater_rise": Limit(3.0, "K", "lower", "rise with the heater off: open the contactor"),
    "trip_scans": Limit(2.0, "scans", "lower", "consecutive scans before a temperature trips"),
    "purge_oxygen": Limit(100.0, "ppm", "lower", "oxygen at which a purge counts, and an alarm while hot"),
    "purge_oxygen_for": Limit(300.0, "s", "higher", "good oxygen readings below purge_oxygen so long"),
    "purge_volumes": Limit(8.0, "tube volumes", "higher", "of measured flow since the last interruption"),
    "purge_interruption": Limit(
        10.0, "s", "lower", "flow below nitrogen_low_fraction so long: washing starts anew"
    ),
    "oxygen_trip": Limit(1000.0, "ppm", "lower", "oxygen while hot: heater off"),
    "silent_alarm": Limit(5.0, "s", "lower", "an instrument in use silent so long: alarm"),
    "silent_hold": Limit(15.0, "s", "lower", "an instrument in use silent so long: hold"),
    "silent_abort": Limit(30.0, "s", "lower", "a heater silent so long: abort"),
    "vote_agreement": Limit(20.0, "K", "lower", "two thermometers that agree this well may let gas stop"),
    "vote_for": Limit(600.0, "s", "higher", "and both below T_gas_off so long"),
    "cooldown_factor": Limit(
        1.5, "1", "higher", "of the measured cool-down since the last trusted hot reading"
    ),
    "jump_rate": Limit(50.0, "K/s", "lower", "faster than any furnace: the thermometer is wrong"),
    "witness_for": Limit(15.0, "s", "lower", "an independent thermometer implausible so long: hold"),
    "detached_deficit": Limit(
        10.0, "K", "lower", "of the rise that the heat put in must have brought: sensor detached"
    ),
    "frozen_digits": Limit(5.0, "digits", "lower", "by which a value must have changed, and has not: frozen"),
    "frozen_readings": Limit(20.0, "readings", "lower", "of the very same value, besides"),
    "disagree_for": Limit(30.0, "s", "lower", "thermometers apart by more than vote_agreement so long: hold"),
    "panel_scans": Limit(3.0, "scans", "lower", "a setpoint is not what labctl commanded so long: hold"),
    "flow_deviation": Limit(
        0.10, "1", "lower", "of its own setpoint; flow beyond: the valve does not follow"
    ),
    "flow_deviation_for": Limit(15.0, "s", "lower", "so long: hold"),
    "ramp_lag": Limit(30.0, "K", "lower", "behind the working setpoint"),
    "ramp_lag_for": Limit(600.0, "s", "lower", "so long without coming nearer: hold"),
    "no_heat_output": Limit(99.0, "%", "lower", "output at least"),
    "no_heat_for": Limit(600.0, "s", "lower", "so long"),
    "no_heat_rise": Limit(5.0, "K", "higher", "and less rise than this: hold"),
    "fired_factor": Limit(1.5, "1", "lower", "of the planned time with heat above T_inert: hold"),
    "return_flow_fraction": Limit(0.90, "1", "higher", "of the setpoint: N2 is back"),
    "return_flow_for": Limit(60.0, "s", "higher", "so long, and a run held by N2 goes on by itself"),
    "return_outage": Limit(60.0, "s", "lower", "longest outage after which it does"),
    "return_drop": Limit(25.0, "K", "lower", "greatest loss of temperature after which it does"),
    "returns": Limit(2.0, "returns", "lower", "of one run by itself"),
    "held_max": Limit(7200.0, "s", "lower", "HELD or PAUSED so long: stop"),
    "cell_v_low": Limit(2.0, "V", "higher", "cell voltage below it: open circuit"),
    "cell_v_high": Limit(4.1, "V", "lower", "cell voltage above it: open circuit"),
    "cell_current_factor": Limit(
        1.2, "1", "lower", "of the programmed current, of either sign: open circuit"
    ),
    "stop_ramp": Limit(5.0, "K/min", "lower", "controlled cool-down of a stop"),
    "stop_ramp_above": Limit(
        500.0, "degC", "higher", "above it a stop cools at stop_ramp, below it naturally"
    ),
    "no_progress": Limit(
        60.0, "s", "lower", "a safe-state item unconfirmed so long: ask a person, and go on trying"
    ),
    "item_retry": Limit(10.0, "s", "lower", "between two tries of a safe-state item"),
    "realarm_after": Limit(3600.0, "s", "lower", "an alarm or bypass that lasts so long is told again"),
    "shelve_max": Limit(28800.0, "s", "lower", "longest for which an alarm may be shelved"),
    "bypass_max": Limit(43200.0, "s", "lower", "longest for which a guard may be bypassed"),
    "slow_stir": Limit(100.0, "rpm", "lower", "stirring in the safe state"),
    "tube_pressure_high": Limit(0.1, "bar", "lower", "tube pressure above it: no further heat, and an alarm"),
    "tube_pressure_high_for": Limit(5.0, "s", "lower", "so long"),
    "tube_pressure_trip": Limit(0.2, "bar", "lower", "tube pressure: heater off, flow stepped down"),
    "relief_step": Limit(5.0, "s", "lower", "between two steps of the flow while the pressure is relieved"),
    "tube_tight": Limit(0.002, "bar", "higher", "proven flow keeps a closed tube above it"),
    "tube_open_for": Limit(30.0, "s", "lower", "below tube_tight so long while hot: open or cracked"),
    "pressure_step": Limit(0.5, "1", "lower", "of the pressure, lost in one scan at steady flow: cracked"),
    "oxygen_step": Limit(10000.0, "ppm", "lower", "more oxygen than tube_open_for ago, while hot: cracked"),
    "contact_scans": Limit(2.0, "scans", "lower", "consecutive scans before a contact acts"),
    "signal_bad_for": Limit(15.0, "s", "lower", "a protective signal not good so long: its guard acts"),
    "door_alarm": Limit(300.0, "s", "lower", "an oven door open so long: alarm"),
    "exhaust_volumes": Limit(
        5.0, "chamber volumes", "higher", "of exhaust before a solvent dryer heats again"
    ),
    "room_oxygen_alarm": Limit(19.5, "%", "higher", "room oxygen below it: beacon, do not enter"),
    "room_oxygen_trip": Limit(18.0, "%", "higher", "room oxygen below it: heater off too"),
    "room_co_alarm": Limit(30.0, "ppm", "lower", "room CO above it: beacon, do not enter"),
    "room_co_trip": Limit(60.0, "ppm", "lower", "room CO above it: heater off too"),
    "bypass_after": Limit(15.0, "s", "lower", "hot without protective flow so long: the bypass is opened"),
    "reserve_factor": Limit(1.25, "1", "higher", "of safe_flow until T_gas_off: the gas reserve"),
    "reserve_warning": Limit(2.0, "1", "higher", "of the gas reserve: warn below it"),
    "permissive_told": Limit(90.0, "s", "lower", "a permissive missing so long: the run says which"),
    "permissive_alarm": Limit(600.0, "s", "lower", "a permissive missing so long: alarm"),
    "permissive_held": Limit(3600.0, "s", "lower", "a permissive missing so long: hold"),
    "flammable_plate": Limit(40.0, "degC", "lower", "a plate as warm gets no flammable solvent"),
    "instrument_off_c": Limit(20.0, "degC", "lower", "setpoint of a heater that is off"),
}

_VALUES = {name: entry.value for name, entry in LIMITS.items()}


def limit(name: str, tightened: Mapping[str, float] | None = None) -> float:
    """The number of that name; a bench's value counts only where it is stricter. Raises KeyError."""
    if not tightened or name not in tightened:
        return _VALUES[name]
    entry = LIMITS[name]
    return (min if entry.stricter == "lower" else max)(entry.value, tightened[name])


def protective_flow(volume_cm3: float, tightened: Mapping[str, float] | None = None) -> float:
    """Absolute least N2 flow in sccm while a tube of that volume is above T_inert."""
    turnover = limit("protective_flow_turnover", tightened) * volume_cm3
    return max(limit("protective_flow_floor", tightened), turnover)


GUARD_NAMES = (
    "over_temperature",
    "stuck_heater",
    "sensor",
    "sensor_jump",
    "detached_sensor",
    "frozen_sensor",
    "thermometers_disagree",
    "silent",
    "nitrogen_lost",
    "nitrogen_low",
    "oxygen_high",
    "limiter",
    "estop_contact",
    "tube_pressure",
    "tube_integrity",
    "extraction",
    "water",
    "contactor",
    "door",
    "room_oxygen",
    "room_co",
    "gas_reserve",
    "controller_reset",
    "flow_deviation",
    "panel_change",
    "no_heat",
    "ramp_deviation",
    "fired_too_long",
    "cell_limits",
)
"""The interlocks that a bench may put on a chamber."""

GUARDS_OF_INSTRUMENTS = frozenset({"silent"})
"""Those that watch every instrument of a chamber apart."""

SAFE_ITEM_NAMES = ("heat_off", "safe_flow", "dosing_off", "stir_slow", "open_circuit")
"""The items that a chamber's safe state may be made of."""
