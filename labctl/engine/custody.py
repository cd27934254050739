"""Custody: what remains to be watched after a chamber was made safe, independent of any run.

Gas stops only when two independent good thermometers agree and stay below T_gas_off; where two cannot be had, when the
time since the last trusted hot reading is long enough, or a person entered a temperature that they measured. While any
good reading is above T_gas_off, neither time nor person stops gas.
"""

from __future__ import annotations

from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.model.limits import limit


def watch_heat(scan: Scan, rig: Rig) -> None:
    """Remember when a chamber was last seen hot, and for how long two thermometers have agreed that it is cold."""
    temperatures = scan.temperatures(rig)
    key = f"{rig.name}/hot_s"
    if key not in scan.tally or (temperatures and max(temperatures) > limit("T_gas_off")):
        scan.tally[key] = scan.now
    trusted = [t for t in rig.thermometers if t not in scan.state.chambers[rig.name].distrusted]
    values = [v for t in trusted if (v := scan.good(rig, t, "temperature")) is not None]
    agree = (
        len(values) >= 2
        and max(values) - min(values) <= limit("vote_agreement")
        and max(values) < limit("T_gas_off")
    )
    scan.lasting(f"{rig.name}/vote_s", agree)


def gas_may_stop(scan: Scan, rig: Rig) -> bool:
    """Whether gas to this chamber may be stopped now."""
    temperatures = scan.temperatures(rig)
    if temperatures and max(temperatures) >= limit("T_gas_off"):
        return False
    since = scan.tally.get(f"{rig.name}/vote_s")
    if since is not None and scan.now - since >= limit("vote_for"):
        return True
    measured = scan.tally.get(f"{rig.name}/person_c")
    if measured is not None and measured < limit("T_gas_off"):
        return True
    return (
        scan.now - scan.tally.get(f"{rig.name}/hot_s", scan.now) >= limit("cooldown_factor") * rig.cooldown_s
    )


def is_open_cold(scan: Scan, rig: Rig) -> bool:
    """Whether a chamber may be opened: every good thermometer below T_open, or long enough since it was hot."""
    temperatures = scan.temperatures(rig)
    if temperatures:
        return max(temperatures) < limit("T_open")
    return (
        scan.now - scan.tally.get(f"{rig.name}/hot_s", scan.now) >= limit("cooldown_factor") * rig.cooldown_s
    )


def open_or_release(scan: Scan, rig: Rig, cause: str, run: str | None) -> None:
    """After a safe state was confirmed: keep custody of what is still hot or under gas, release what is not."""
    chamber = scan.state.chambers[rig.name]
    gas = rig.gas is not None and chamber.flow_sccm > 0.0
    hot = chamber.energised and rig.kind in ("tube", "oven") and not is_open_cold(scan, rig)
    if gas or hot:
        scan.emit("custody_opened", {"chamber": rig.name, "cause": cause, "run": run, "gas": gas}, run)
        return
    scan.emit("safe_left", {"chamber": rig.name}, run)
    scan.emit("chamber_cold", {"chamber": rig.name}, run)
    scan.emit("chamber_released", {"chamber": rig.name}, run)


def advance(scan: Scan, rig: Rig) -> None:
    """Carry custody of a chamber on by one scan."""
    custody = scan.state.chambers[rig.name].custody
    if custody is None:
        return
    if custody["gas"] and rig.gas is not None:
        if scan.state.chambers[rig.name].flow_sccm > 0.0:
            if gas_may_stop(scan, rig):
                scan.send(rig, rig.gas, "set_flow", {"flow_sccm": 0.0}, why="custody: cold enough")
        elif scan.good(rig, rig.gas, "flow_setpoint") == 0.0:
            scan.emit("custody_gas_stopped", {"chamber": rig.name})
        elif scan.lasting(f"{rig.name}/gas_retry_s", True) >= limit("item_retry"):
            scan.lasting(f"{rig.name}/gas_retry_s", False)
            scan.send(rig, rig.gas, "set_flow", {"flow_sccm": 0.0}, why="custody: not confirmed yet")
        return
    if is_open_cold(scan, rig):
        scan.emit("custody_closed", {"chamber": rig.name})
        scan.forget(f"{rig.name}/")
