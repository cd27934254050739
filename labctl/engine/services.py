"""What labctl does with the I/O module of a chamber: contactor, nitrogen bypass, beacon, watchdog.

By level: each scan says how an output must be, and what is read back otherwise is commanded, and again until it is so.
Outputs are at rest without current: contactor open, bypass open, beacon dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from labctl.engine import relief
from labctl.engine.cold import gas_may_stop
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState, RunState
from labctl.engine.steps.gas import flow_proven
from labctl.model.limits import limit

OPENS_CONTACTOR = frozenset({"over_temperature", "stuck_heater", "limiter", "estop_contact"})
"""Trips after which the heater's own controller is not trusted to be off."""
ROOM_ALARMS = ("/room_oxygen", "/room_co")
EXPIRED = 2.0
"""What a module's watchdog reads once it has taken the current from every output."""


class Output(NamedTuple):
    """How an output must be, and why. blind: it is commanded so even while nobody can read how it is."""

    what: str
    on: bool
    why: str
    blind: bool = False


def advance(scan: Scan, rig: Rig) -> None:
    """See to the outputs of one chamber for one scan, and note what its contacts tell."""
    _note_door(scan, rig)
    _note_exhaust(scan, rig)
    chamber = scan.state.chambers[rig.name]
    for module in dict.fromkeys(instrument for instrument, _ in rig.io.values()):
        if scan.good(rig, module, "watchdog") == EXPIRED and _is_due(scan, f"{rig.name}/{module}_armed_s"):
            scan.send(rig, module, "arm", run=chamber.run, why="its watchdog has expired")
    for what, on, why, blind in _wanted(scan, rig, chamber):
        value = scan.told(rig, what)
        if value == (1.0 if on else 0.0):
            scan.tally.pop(f"{rig.name}/{what}_sent_s", None)
        elif (value is not None or blind) and _is_due(scan, f"{rig.name}/{what}_sent_s"):
            switch(scan, rig, what, on, run=chamber.run, why=why)


def switch(
    scan: Scan, rig: Rig, what: str, on: bool, *, run: str | None, step: str | None = None, why: str = ""
) -> None:
    """Command an output of the chamber's module."""
    module, signal = rig.io[what]
    scan.send(rig, module, "set_output", {"name": signal, "on": on}, run=run, step=step, why=why)


def lets_power(scan: Scan, run: RunState, step_id: str, rig: Rig) -> bool:
    """Whether the contactor is closed, or there is none; else it is commanded so, once in a while."""
    if "contactor" not in rig.io or scan.told(rig, "contactor") == 1.0:
        return True
    if _is_due(scan, f"{rig.name}/contactor_sent_s"):
        switch(scan, rig, "contactor", True, run=run.run_id, step=step_id)
    return False


def exhaust_missing_s(scan: Scan, rig: Rig) -> float:
    """How long a dryer's exhaust must still be proven after it was lost; 0: none was lost, or it is clear again."""
    lost = scan.tally.get(f"{rig.name}/exhaust_lost_s")
    if lost is None:
        return 0.0
    return math.inf if rig.exhaust_s is None else max(0.0, rig.exhaust_s - (scan.now - lost))


def person_says_clear(scan: Scan, rig: Rig) -> None:
    """A person has looked: what the lost exhaust left in a dryer is gone."""
    scan.tally.pop(f"{rig.name}/exhaust_lost_s", None)


def _wanted(scan: Scan, rig: Rig, chamber: ChamberState) -> Iterator[Output]:
    """What must be so now; outputs that may stay as they are are not named."""
    if "beacon" in rig.io:
        alarms = [n for n, a in scan.state.alarms.items() if n.endswith(ROOM_ALARMS) and a["active"]]
        yield Output("beacon", bool(alarms), ", ".join(alarms) or "the room is well again")
    if "contactor" in rig.io:
        tripped = OPENS_CONTACTOR.intersection(chamber.latched)
        if tripped or scan.estopped:
            yield Output("contactor", False, ", ".join(sorted(tripped)) or "e-stop", blind=True)
        elif chamber.lease is None and not _about_to_heat(scan, rig, chamber):
            yield Output("contactor", False, "nothing heats")
    if "bypass" in rig.io:
        yield from _bypass(scan, rig, chamber)


def _bypass(scan: Scan, rig: Rig, chamber: ChamberState) -> Iterator[Output]:
    flow = scan.value(rig.flow)
    relieved = relief.cap_sccm(scan, rig) < math.inf
    needs = chamber.energised and chamber.atmosphere == "inert" and not gas_may_stop(scan, rig)
    lacks = needs and not relieved and (flow is None or flow < rig.protective_sccm)
    lasted = scan.lasting(f"{rig.name}/lacks_gas_s", lacks)
    if lacks and lasted >= limit("bypass_after"):
        yield Output("bypass", True, f"no protective flow for {lasted:.0f} s", blind=True)
    elif relieved:
        yield Output("bypass", False, "the tube's pressure is too high", blind=True)
    elif not needs or (flow_proven(scan, rig) and chamber.flow_sccm > 0.0):
        yield Output("bypass", False, "the gas controller feeds the tube" if needs else "no gas is needed")


def _about_to_heat(scan: Scan, rig: Rig, chamber: ChamberState) -> bool:
    run = scan.state.runs.get(chamber.run or "")
    if run is None or run.state != "RUNNING":
        return False
    steps = scan.context.steps[run.plan_hash]
    return any(steps[name].kind == "heat" and steps[name].chamber == rig.name for name in run.active)


def _note_door(scan: Scan, rig: Rig) -> None:
    closed, key = scan.told(rig, "door"), f"{rig.name}/door_closed"
    if closed is not None and closed != scan.tally.get(key, 1.0):
        scan.emit("door", {"chamber": rig.name, "open": closed == 0.0}, scan.state.chambers[rig.name].run)
    if closed is not None:
        scan.tally[key] = closed


def _note_exhaust(scan: Scan, rig: Rig) -> None:
    """Vapour gathers in a dryer while its exhaust is off, and is gone when it has drawn long enough."""
    running, key = scan.told(rig, "extraction"), f"{rig.name}/exhaust_lost_s"
    if not rig.dries or running is None:
        return
    if running == 0.0:
        scan.tally[key] = scan.now
    elif key in scan.tally and exhaust_missing_s(scan, rig) == 0.0:
        del scan.tally[key]


def _is_due(scan: Scan, key: str) -> bool:
    if scan.now - scan.tally.get(key, -math.inf) < limit("item_retry"):
        return False
    scan.tally[key] = scan.now
    return True
