"""Interlocks: each a small function, evaluated by level every scan while its chamber is in use.

A guard never waits for an alarm's delay. Hold-class guards take the run to HOLDING and name how the chamber is held:
`maintain` keeps the last setpoint, `cool` runs the safe state. Trip-class guards are latched and abort.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from labctl.engine import procedure, safe
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.limits import limit
from labctl.model.readings import BAD, NOT_READY, SILENT

Tightened = Mapping[str, float]
Guard = Callable[[Scan, Rig, ChamberState, Tightened], None]


def _hold(
    scan: Scan, rig: Rig, guard: str, how: str, message: str, value: float | None, bound: float
) -> None:
    chamber = scan.state.chambers[rig.name]
    run = scan.state.runs.get(chamber.run or "")
    if run is not None and procedure.accepts(run, "HOLD"):
        _tripped(scan, rig, guard, f"hold ({how})", message, value, bound, latched=False)
        procedure.command(scan, run.run_id, "HOLD", reason=message, actor=f"guard {guard}", hold=how)
    elif how == "cool" and chamber.lease is not None and chamber.safe is None:
        _tripped(scan, rig, guard, "heater off", message, value, bound, latched=False)
        safe.start(scan, rig, message, "hold", chamber.run)
    elif how == "cool" and safe.is_ramping(chamber):
        _tripped(scan, rig, guard, "heater off", message, value, bound, latched=False)
        safe.end_ramp(scan, rig, chamber.run, message)


def _abort(
    scan: Scan,
    rig: Rig,
    guard: str,
    message: str,
    value: float | None,
    bound: float,
    distrust: str | None = None,
) -> None:
    chamber = scan.state.chambers[rig.name]
    if guard in chamber.latched:
        return
    _tripped(scan, rig, guard, "abort", message, value, bound, latched=True, distrust=distrust)
    run = scan.state.runs.get(chamber.run or "")
    if run is not None and procedure.accepts(run, "ABORT"):
        procedure.command(scan, run.run_id, "ABORT", reason=message, actor=f"guard {guard}")
    else:
        safe.start(scan, rig, message, "abort", chamber.run)


def _tripped(
    scan: Scan,
    rig: Rig,
    guard: str,
    action: str,
    message: str,
    value: float | None,
    bound: float,
    *,
    latched: bool,
    distrust: str | None = None,
) -> None:
    chamber = scan.state.chambers[rig.name]
    data = {
        "run": chamber.run or (chamber.custody or {}).get("run"),
        "guard": guard,
        "chamber": rig.name,
        "action": action,
        "message": message,
        "value": value,
        "limit": bound,
        "latched": latched,
        "distrust": distrust,
    }
    scan.emit("tripped", data, chamber.run)


def over_temperature(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """Above the highest setpoint commanded in the stage plus a margin, or above an absolute limit: latched abort.

    When the setpoint falls, the limit falls no faster than 1.5 times the expected time constant of the cool-down. With
    the heater off it ends at T_open plus the margin: the last kelvins above the room take longer than any constant.
    """
    temperatures = scan.temperatures(rig)
    margin = limit("over_temperature_margin", tightened)
    wanted = (chamber.lease.target_c if chamber.lease else limit("T_open")) + margin
    key = f"{rig.name}/ceiling_c"
    ceiling = scan.tally.get(key)
    if ceiling is None:
        ceiling = max([wanted, *(t + margin for t in temperatures)])
    elif ceiling > wanted:
        ambient = scan.context.ambient_c
        decay = math.exp(-scan.dt_s / (limit("cooldown_factor") * rig.cooling_tau_s))
        ceiling = max(wanted, ambient + (ceiling - ambient) * decay)
    else:
        ceiling = wanted
    scan.tally[key] = ceiling
    bound = ceiling if rig.max_temperature_c is None else min(ceiling, rig.max_temperature_c)
    hottest = max(temperatures, default=None)
    count = f"{rig.name}/over_n"
    if hottest is None or hottest <= bound:
        scan.tally.pop(count, None)
    elif scan.add(count, 1.0) >= limit("trip_scans", tightened):
        message = (
            f"{rig.name}: {hottest:.1f} degC is above the limit of {bound:.1f} degC; heater off, gas kept on"
        )
        seen_by = next(t for t in rig.thermometers if scan.good(rig, t, "temperature") == hottest)
        _abort(scan, rig, "over_temperature", message, hottest, bound, seen_by)


def stuck_heater(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """Demand is off, and yet a warm chamber grows warmer: latched abort, and a person opens the contactor.

    Each thermometer is judged against the lowest that it read since demand was off for stuck_heater_after. Below
    T_open the room may do that; whatever is stuck soon leads above it.
    """
    off = chamber.lease is None and not scan.good(rig, rig.heater, "output")
    owner = f"{rig.name}/off"
    if scan.lasting(f"{owner}_s", off) < limit("stuck_heater_after", tightened) or not off:
        if f"{owner}_n" in scan.tally:
            scan.forget(owner)
        return
    scan.tally.setdefault(f"{owner}_n", 0.0)
    rise = 0.0
    for name in rig.thermometers:
        value, key = scan.good(rig, name, "temperature"), f"{owner}/{name}_c"
        if value is not None and value > limit("T_open"):
            lowest = scan.tally[key] = min(value, scan.tally.get(key, value))
            rise = max(rise, value - lowest)
    bound, alarm = limit("stuck_heater_rise", tightened), f"{rig.name}/stuck_heater"
    if rise <= bound and alarm not in scan.state.alarms:
        scan.tally[f"{owner}_n"] = 0.0
        return
    message = (
        f"{rig.name}: rose by {rise:.1f} K although {rig.heater} is off. Open its contactor or breaker now; "
        "leave the gas on"
    )
    scan.alarm(alarm, rise > bound, message, run=chamber.run, priority="critical")
    if rise <= bound:
        scan.tally[f"{owner}_n"] = 0.0
    elif scan.add(f"{owner}_n", 1.0) >= limit("trip_scans", tightened):
        _abort(scan, rig, "stuck_heater", message, rise, bound)


def sensor(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """The heater's own thermometer is broken, out of range, or not ready while it heats: latched abort."""
    reading = scan.image.get(rig.temperatures[0]) if rig.temperatures else None
    count = f"{rig.name}/sensor_n"
    wrong = (BAD, NOT_READY) if chamber.lease is not None else (BAD,)
    if reading is None or reading.quality not in wrong:
        scan.tally.pop(count, None)
    elif scan.add(count, 1.0) >= limit("trip_scans", tightened):
        message = f"{rig.name}: the thermometer of {rig.heater} is broken or out of range; heater off"
        _abort(scan, rig, "sensor", message, reading.value, 0.0, rig.heater)


def _is_guarded_by_gas(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> bool:
    if chamber.atmosphere != "inert" or rig.gas is None:
        return False
    return chamber.lease is not None or max(scan.temperatures(rig), default=0.0) > limit("T_inert", tightened)


def nitrogen_low(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """Measured flow below 80 % of the commanded, or its controller silent: heater off, held."""
    flow = scan.good(rig, rig.gas, "flow")
    bound = limit("nitrogen_low_fraction", tightened) * chamber.flow_sccm
    low = (flow is None or flow < bound) and _is_guarded_by_gas(scan, rig, chamber, tightened)
    lasted = scan.lasting(f"{rig.name}/n2_low_s", low)
    acts = low and lasted >= limit("nitrogen_low_for", tightened)
    alarm = f"{rig.name}/nitrogen"
    if not acts and alarm not in scan.state.alarms:
        return
    shown = "not measured" if flow is None else f"{flow:.0f} sccm"
    message = f"{rig.name}: N2 is {shown}, below {bound:.0f} sccm; heater off, gas kept on"
    scan.alarm(alarm, acts, message, run=chamber.run, priority="critical")
    if acts:
        _hold(scan, rig, "nitrogen_low", "cool", message, flow, bound)


def nitrogen_lost(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """Measured flow below protective_flow: heater off, held; without recovery for 10 min: abort."""
    flow = scan.good(rig, rig.gas, "flow")
    lost = (flow is None or flow < rig.protective_sccm) and _is_guarded_by_gas(scan, rig, chamber, tightened)
    lasted = scan.lasting(f"{rig.name}/n2_lost_s", lost)
    if not lost or lasted < limit("nitrogen_low_for", tightened):
        return
    shown = "not measured" if flow is None else f"{flow:.0f} sccm"
    message = f"{rig.name}: N2 lost ({shown}, protective flow is {rig.protective_sccm:.0f} sccm); heater off"
    if lasted >= limit("nitrogen_lost_abort", tightened):
        _abort(scan, rig, "nitrogen_lost", message, flow, rig.protective_sccm)
    else:
        _hold(scan, rig, "nitrogen_lost", "cool", message, flow, rig.protective_sccm)


def oxygen_high(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """Oxygen while hot: an alarm above purge_oxygen, heater off above oxygen_trip. Only a high good reading acts."""
    oxygen = scan.good(rig, rig.analyser, "oxygen")
    guarded = oxygen is not None and _is_guarded_by_gas(scan, rig, chamber, tightened)
    alarmed = guarded and oxygen is not None and oxygen > limit("purge_oxygen", tightened)
    scan.alarm(f"{rig.name}/oxygen", alarmed, f"{rig.name}: oxygen while hot", run=chamber.run)
    bound = limit("oxygen_trip", tightened)
    count = f"{rig.name}/oxygen_n"
    if not guarded or oxygen is None or oxygen <= bound:
        scan.tally.pop(count, None)
    elif scan.add(count, 1.0) >= limit("trip_scans", tightened):
        message = (
            f"{rig.name}: {oxygen:.0f} ppm oxygen while hot, above {bound:.0f} ppm; heater off, gas kept on"
        )
        _hold(scan, rig, "oxygen_high", "cool", message, oxygen, bound)


def silent(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """An instrument in use does not answer: alarm, then hold, and abort when it is the heater's."""
    image, now = scan.image, scan.now
    for name, key, max_age_s, count in rig.pulses:
        reading = image.get(key)
        quiet = reading is None or reading.quality is SILENT or now - reading.t_s > max_age_s
        if not quiet and count not in scan.tally and not scan.state.alarms:
            continue
        lasted = scan.lasting(count, quiet)
        scan.alarm(
            f"{rig.name}/{name}/silent",
            quiet and lasted >= limit("silent_alarm", tightened),
            f"{name} does not answer",
            run=chamber.run,
        )
        if not quiet or lasted < limit("silent_hold", tightened):
            continue
        message = f"{name} has not answered for {lasted:.0f} s"
        if name == rig.heater and chamber.energised and lasted >= limit("silent_abort", tightened):
            _abort(scan, rig, "silent", message + "; heater off", None, limit("silent_abort", tightened))
        else:
            how = "cool" if name in (rig.heater, rig.gas) else "maintain"
            _hold(scan, rig, "silent", how, message, None, limit("silent_hold", tightened))


def cell_limits(scan: Scan, rig: Rig, chamber: ChamberState, tightened: Tightened) -> None:
    """Cell voltage outside its hard window, or current beyond 1.2 times the programmed: open circuit, latched."""
    if not chamber.programmed_a:
        return
    voltage = scan.good(rig, rig.cycler, "voltage")
    low, high = limit("cell_v_low", tightened), limit("cell_v_high", tightened)
    if voltage is not None and not low <= voltage <= high:
        message = f"{rig.name}: cell at {voltage:.3f} V, outside {low} to {high} V; open circuit"
        _abort(scan, rig, "cell_limits", message, voltage, high if voltage > high else low)
    current = scan.good(rig, rig.cycler, "current")
    bound = limit("cell_current_factor", tightened) * chamber.programmed_a
    if current is not None and abs(current) > bound:
        message = f"{rig.name}: {current * 1e3:.4f} mA, beyond {bound * 1e3:.4f} mA; open circuit"
        _abort(scan, rig, "cell_limits", message, current, bound)


GUARDS: Mapping[str, Guard] = {
    "over_temperature": over_temperature,
    "stuck_heater": stuck_heater,
    "sensor": sensor,
    "nitrogen_lost": nitrogen_lost,
    "nitrogen_low": nitrogen_low,
    "oxygen_high": oxygen_high,
    "silent": silent,
    "cell_limits": cell_limits,
}
"""In the order in which they are evaluated: of two guards on one cause the graver comes first."""
