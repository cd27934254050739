"""Custody: what remains to be watched after a chamber was made safe, independent of any run.

Gas stops only when two independent good thermometers agree and stay below T_gas_off; where two cannot be had, when the
time since the last trusted hot reading is long enough, or a person entered a temperature that they measured. While any
good reading is above T_gas_off, neither time nor person stops gas.
"""

from __future__ import annotations

import math

from labctl.engine import safe
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.model.limits import limit


def watch_heat(scan: Scan, rig: Rig) -> None:
    """Remember when a chamber was last seen hot, and for how long two thermometers have agreed that it is cold.

    While it is heated it counts as hot and they have no vote: what they read says little about where it will be.
    """
    hottest = max(scan.temperatures(rig), default=-math.inf)
    heated = scan.state.chambers[rig.name].lease is not None
    tally, now, name = scan.tally, scan.now, rig.name
    if heated or hottest > limit("T_gas_off") or f"{name}/hot_s" not in tally:
        tally[f"{name}/hot_s"] = now
        tally.pop(f"{name}/person_c", None)
    if heated or hottest > limit("T_open") or f"{name}/warm_s" not in tally:
        tally[f"{name}/warm_s"] = now
    values = _trusted(scan, rig)
    agree = not heated and len(values) >= 2 and _agree(values) and max(values) < limit("T_gas_off")
    scan.lasting(f"{name}/vote_s", agree)


def _trusted(scan: Scan, rig: Rig) -> list[float]:
    """Good temperatures of the sensors that have a vote."""
    distrusted = scan.state.chambers[rig.name].distrusted
    if not distrusted:
        return scan.temperatures(rig)
    values = (scan.good(rig, t, "temperature") for t in rig.thermometers if t not in distrusted)
    return [v for v in values if v is not None]


def _agree(values: list[float]) -> bool:
    return max(values) - min(values) <= limit("vote_agreement")


def gas_may_stop(scan: Scan, rig: Rig) -> bool:
    """Whether gas to this chamber may be stopped now."""
    temperatures = scan.temperatures(rig)
    if temperatures and max(temperatures) >= limit("T_gas_off"):
        return False
    since = scan.tally.get(f"{rig.name}/vote_s")
    if since is not None and scan.now - since >= limit("vote_for"):
        return True
    return _person_says_below(scan, rig, limit("T_gas_off")) or _long_since(scan, rig, "hot_s")


def is_open_cold(scan: Scan, rig: Rig) -> bool:
    """Whether a chamber may be opened: no good thermometer at T_open or above, and proof that it is so.

    The proof: two trusted thermometers agree (or the only one there is), or a person measured, or it is long enough
    since it was warm.
    """
    temperatures = scan.temperatures(rig)
    if temperatures and max(temperatures) >= limit("T_open"):
        return False
    values = _trusted(scan, rig)
    if values and len(values) >= min(2, len(rig.thermometers)) and _agree(values):
        return True
    return _person_says_below(scan, rig, limit("T_open")) or _long_since(scan, rig, "warm_s")


def _person_says_below(scan: Scan, rig: Rig, bound: float) -> bool:
    measured = scan.tally.get(f"{rig.name}/person_c")
    return measured is not None and measured < bound


def _long_since(scan: Scan, rig: Rig, key: str) -> bool:
    since = scan.tally.get(f"{rig.name}/{key}", scan.now)
    return scan.now - since >= limit("cooldown_factor") * rig.cooldown_s


def open_or_release(scan: Scan, rig: Rig, cause: str, run: str | None) -> None:
    """After a safe state was confirmed: keep custody of what is still hot or under gas, release what is not."""
    chamber = scan.state.chambers[rig.name]
    run = run or (chamber.custody or {}).get("run")
    gas = rig.gas is not None and chamber.flow_sccm > 0.0
    hot = chamber.energised and rig.kind in ("tube", "oven") and not is_open_cold(scan, rig)
    if gas or hot or chamber.custody is not None:
        scan.emit("custody_opened", {"chamber": rig.name, "cause": cause, "run": run, "gas": gas}, run)
        return
    scan.emit("safe_left", {"chamber": rig.name}, run)
    scan.emit("chamber_cold", {"chamber": rig.name}, run)
    scan.emit("chamber_released", {"chamber": rig.name}, run)
    _return_alarms(scan, rig, run)


def advance(scan: Scan, rig: Rig) -> None:
    """Carry custody of a chamber on by one scan."""
    custody = scan.state.chambers[rig.name].custody
    if custody is None:
        return
    output = scan.good(rig, rig.heater, "output")
    if output is not None and output > 0.0:
        safe.start(scan, rig, f"{rig.heater} heats in custody", "abort", custody["run"])
    elif custody["gas"] and rig.gas is not None:
        _advance_gas(scan, rig, rig.gas)
    elif is_open_cold(scan, rig):
        scan.emit("custody_closed", {"chamber": rig.name})
        _return_alarms(scan, rig, None)
        scan.forget(f"{rig.name}/")


def _advance_gas(scan: Scan, rig: Rig, gas: str) -> None:
    """Stop the gas when it may stop, and see that it has; bring it back when the chamber is hot after all."""
    flow_sccm, retry = scan.state.chambers[rig.name].flow_sccm, f"{rig.name}/gas_retry_s"
    if not gas_may_stop(scan, rig):
        if flow_sccm == 0.0:
            args = {"flow_sccm": rig.protective_sccm}
            scan.send(rig, gas, "set_flow", args, why="custody: not cold after all")
    elif flow_sccm > 0.0:
        scan.send(rig, gas, "set_flow", {"flow_sccm": 0.0}, why="custody: cold enough")
    elif scan.good(rig, gas, "flow_setpoint") == 0.0:
        scan.emit("custody_gas_stopped", {"chamber": rig.name})
    elif scan.lasting(retry, True) >= limit("item_retry"):
        scan.lasting(retry, False)
        scan.send(rig, gas, "set_flow", {"flow_sccm": 0.0}, why="custody: not confirmed yet")


def _return_alarms(scan: Scan, rig: Rig, run: str | None) -> None:
    """Nobody watches the chamber from now on: its alarms return."""
    for name in [a for a in scan.state.alarms if a.startswith(f"{rig.name}/")]:
        scan.alarm(name, False, "", run=run)
