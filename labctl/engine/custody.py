"""Custody: what remains to be watched after a chamber was made safe, independent of any run."""

from __future__ import annotations

import math

from labctl.engine import relief, safe
from labctl.engine.cold import gas_may_stop, is_hot, is_open_cold
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.model.limits import limit


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
    assert custody is not None
    output = scan.good(rig, rig.heater, "output")
    if output is not None and output > 0.0:
        safe.start(scan, rig, f"{rig.heater} heats in custody", "abort", custody["run"])
    elif custody["gas"] and rig.gas is not None:
        _advance_gas(scan, rig, rig.gas)
    elif is_open_cold(scan, rig):
        scan.emit("custody_closed", {"chamber": rig.name})
        _return_alarms(scan, rig, None)
        scan.forget(f"{rig.name}/")


def keep_gas(scan: Scan, rig: Rig, gas: str) -> None:
    """Gas that a chamber made safe lives by is asked for again when it lacks.

    A controller that was without power, or a hand at its panel, would else leave hot carbon in air; so would a heater
    that sticks after the gas was stopped.
    """
    chamber, asked = scan.state.chambers[rig.name], f"{rig.name}/gas_asked_s"
    least = min(rig.protective_sccm, relief.cap_sccm(scan, rig))
    stopped = chamber.atmosphere == "inert" and chamber.flow_sccm == 0.0 < least
    if stopped and is_hot(scan, rig):
        scan.send(rig, gas, "set_flow", {"flow_sccm": least}, why="it is not cold after all")
        return
    setpoint = scan.good(rig, gas, "flow_setpoint")
    lost = setpoint is not None and setpoint < limit("nitrogen_low_fraction") * chamber.flow_sccm
    count = f"{rig.name}/gas_unset_n"
    if not lost:
        scan.tally.pop(count, None)
        return
    # what was commanded in this very scan is not read back before the next
    seen = scan.add(count, 1.0) >= limit("trip_scans")
    if not seen or scan.now - scan.tally.get(asked, -math.inf) < limit("item_retry"):
        return
    scan.tally[asked] = scan.now
    args = {"flow_sccm": chamber.flow_sccm}
    scan.send(rig, gas, "set_flow", args, why=f"{gas} has lost its setpoint")


def _advance_gas(scan: Scan, rig: Rig, gas: str) -> None:
    """Stop the gas when it may stop, and see that it has."""
    flow_sccm, retry = scan.state.chambers[rig.name].flow_sccm, f"{rig.name}/gas_retry_s"
    if not gas_may_stop(scan, rig):
        return
    if flow_sccm > 0.0:
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
