"""Safe is an ordered procedure per chamber: each item independent, repeated until read back, then a person is asked.

Items only ever take energy away or keep gas flowing, so repeating one can do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from labctl.engine import relief
from labctl.engine.cold import gas_may_stop
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState, Data
from labctl.model.limits import limit

ROOM_CHECK = "Check room O2 and CO at the door; isolate at the breaker outside."


class Item(NamedTuple):
    """One item of a safe state.

    act: instrument, verb and arguments, or None when there is nothing to do. proven: read back as wanted, given
    whether the instrument acknowledged. by_hand: what a person does where labctl cannot.
    """

    act: Callable[[Scan, Rig, ChamberState], tuple[str, str, dict[str, Any]] | None]
    proven: Callable[[Scan, Rig, ChamberState, bool], bool]
    by_hand: str


def _heat_off(scan: Scan, rig: Rig, chamber: ChamberState) -> tuple[str, str, dict[str, Any]] | None:
    return (rig.heater, "heat_off", {}) if rig.heater else None


def _heat_is_off(scan: Scan, rig: Rig, chamber: ChamberState, acked: bool) -> bool:
    if rig.kind != "tube" and f"{rig.heater}.output" not in scan.image:
        return acked  # ovens have no question for it
    output = scan.good(rig, rig.heater, "output")
    return acked and output is not None and output <= 0.0


def _safe_flow(scan: Scan, rig: Rig, chamber: ChamberState) -> tuple[str, str, dict[str, Any]] | None:
    if rig.gas is None or (chamber.atmosphere != "inert" and chamber.flow_sccm == 0.0):
        return None
    wanted = max(chamber.flow_sccm, rig.protective_sccm)
    oxygen = scan.value(rig.oxygen)
    if oxygen is not None and oxygen > limit("purge_oxygen"):
        wanted = max(wanted, scan.tally.get(f"{rig.name}/purge_sccm", 0.0))
    return (rig.gas, "set_flow", {"flow_sccm": min(wanted, relief.cap_sccm(scan, rig))})


def _gas_flows(scan: Scan, rig: Rig, chamber: ChamberState, acked: bool) -> bool:
    if gas_may_stop(scan, rig):
        return True  # proven cold: what lacks gas then lacks nothing
    flow = scan.value(rig.flow)
    return acked and flow is not None and flow >= limit("nitrogen_low_fraction") * chamber.flow_sccm


def _stir_slow(scan: Scan, rig: Rig, chamber: ChamberState) -> tuple[str, str, dict[str, Any]] | None:
    return (rig.stirrer, "stir", {"speed_rpm": limit("slow_stir")}) if rig.stirrer else None


def _dosing_off(scan: Scan, rig: Rig, chamber: ChamberState) -> tuple[str, str, dict[str, Any]] | None:
    return (rig.pump, "pump_off", {}) if rig.pump else None


def _is_not_dosing(scan: Scan, rig: Rig, chamber: ChamberState, acked: bool) -> bool:
    return acked and scan.good(rig, rig.pump, "pumping") == 0.0


def _open_circuit(scan: Scan, rig: Rig, chamber: ChamberState) -> tuple[str, str, dict[str, Any]] | None:
    return (rig.cycler, "open_circuit", {}) if rig.cycler else None


def _is_open(scan: Scan, rig: Rig, chamber: ChamberState, acked: bool) -> bool:
    return acked and scan.good(rig, rig.cycler, "output") == 0.0


def _ramp_down(scan: Scan, rig: Rig, chamber: ChamberState) -> tuple[str, str, dict[str, Any]] | None:
    if rig.heater is None or _below_stop_ramp(scan, rig, chamber, True):
        return None
    return (rig.heater, "heat", {"target_c": limit("T_open"), "ramp_k_per_min": limit("stop_ramp")})


def _below_stop_ramp(scan: Scan, rig: Rig, chamber: ChamberState, acked: bool) -> bool:
    temperatures = scan.temperatures(rig)
    # without a good reading there is nothing to control the ramp by: heat_off takes over
    return not temperatures or max(temperatures) < limit("stop_ramp_above")


ITEMS: dict[str, Item] = {
    "ramp_down": Item(_ramp_down, _below_stop_ramp, "Wait: the furnace cools at a controlled rate."),
    "heat_off": Item(_heat_off, _heat_is_off, "Switch the heater off at its breaker; leave the gas on."),
    "safe_flow": Item(_safe_flow, _gas_flows, "Open the nitrogen bypass valve by hand."),
    "dosing_off": Item(_dosing_off, _is_not_dosing, "Take the pump's line out of the vessel."),
    "stir_slow": Item(_stir_slow, lambda scan, rig, chamber, acked: acked, "Set the stirrer to 100 rpm."),
    "open_circuit": Item(_open_circuit, _is_open, "Disconnect the cell at its holder."),
}


def start(scan: Scan, rig: Rig, cause: str, then: str, run: str | None) -> None:
    """Begin (or harden) the safe state of a chamber, in custody too. `then`: "hold", "stop", "abort" or "complete".

    A procedure under way is restarted only by a harder one, so that no item is lost and none begins anew for ever.
    """
    chamber = scan.state.chambers[rig.name]
    order = ("hold", "complete", "stop", "abort")
    if chamber.safe and order.index(chamber.safe["then"]) >= order.index(then):
        return
    items = list(rig.safe_state)
    if then == "stop" and rig.kind == "tube" and chamber.lease is not None:
        items = ["ramp_down", *items]
    scan.emit("safe_started", {"chamber": rig.name, "cause": cause, "then": then, "items": items}, run)
    advance(scan, rig, run)


def advance(scan: Scan, rig: Rig, run: str | None) -> None:
    """Carry the safe state of a chamber on by one scan."""
    safe = scan.state.chambers[rig.name].safe
    assert safe is not None
    for name, progress in safe["items"].items():
        if progress["confirmed"]:
            continue
        _advance_item(scan, rig, name, progress, run)
        if is_ramping(scan.state.chambers[rig.name]):
            return  # a controlled stop needs its heater until it is cool enough


def is_ramping(chamber: ChamberState) -> bool:
    """A controlled stop still heats."""
    return bool(chamber.safe and not chamber.safe["items"].get("ramp_down", {"confirmed": True})["confirmed"])


def end_ramp(scan: Scan, rig: Rig, run: str | None, why: str) -> None:
    """Heat no longer while stopping: go on to `heat_off` in this scan."""
    data = {"chamber": rig.name, "item": "ramp_down", "confirmed": True, "why": why}
    scan.emit("safe_item", data, run)
    advance(scan, rig, run)


def reopen(scan: Scan, rig: Rig, name: str, why: str, run: str | None) -> None:
    """What an item brought about is so no longer: bring it about again."""
    safe = scan.state.chambers[rig.name].safe
    if safe is not None and name in safe["items"] and safe["items"][name]["confirmed"]:
        again = {"confirmed": False, "acked": False, "first_s": None, "last_s": None, "why": why}
        scan.emit("safe_item", {"chamber": rig.name, "item": name, **again}, run)


def is_done(chamber: ChamberState) -> bool:
    """Every item was read back as wanted."""
    return chamber.safe is not None and all(i["confirmed"] for i in chamber.safe["items"].values())


def _advance_item(scan: Scan, rig: Rig, name: str, progress: Data, run: str | None) -> None:
    chamber, item = scan.state.chambers[rig.name], ITEMS[name]
    base = {"chamber": rig.name, "item": name}
    alarm = f"{rig.name}/{name}/by_hand"
    action = item.act(scan, rig, chamber)
    if action is None or item.proven(scan, rig, chamber, progress["acked"]):
        scan.emit("safe_item", base | {"confirmed": True}, run)
        scan.alarm(alarm, False, "", run=run)
        return
    waiting = "unknown_s" not in scan.state.pending.get(progress["command"], {"unknown_s": None})
    due = progress["last_s"] is None or scan.now - progress["last_s"] >= limit("item_retry")
    if due and not waiting and not (name == "ramp_down" and progress["acked"]):
        instrument, verb, args = action
        until = scan.now + 86400.0 if verb == "heat" else None
        command = scan.send(rig, instrument, verb, args, run=run, until_s=until, why=f"safe state: {name}")
        first_s = scan.now if progress["first_s"] is None else progress["first_s"]
        tries = {"tries": progress["tries"] + 1, "first_s": first_s, "last_s": scan.now}
        tries |= {"command": command, "acked": False}
        scan.emit("safe_item", base | tries, run)
    first_s = progress["first_s"]
    if first_s is None or scan.now - first_s < limit("no_progress"):
        return
    if name != "ramp_down":
        message = f"{ROOM_CHECK} {rig.name}: {name} is not confirmed. {item.by_hand} labctl goes on trying."
        scan.alarm(alarm, True, message, run=run, priority="critical")
    elif not progress["acked"]:
        scan.emit("safe_item", base | {"confirmed": True, "why": "the ramp is not accepted"}, run)
