"""Whether the commands of a step took effect; a lost reply is resolved by reading back, never by sending again."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import Data, StepState
from labctl.model.limits import limit

RESOLVE_FOR_S = 10.0
"""How long a command with a lost reply may stay unresolved (assumed: ten furnace scans)."""

TARED_WITHIN_G = 0.002
"""Net of what rests on a balance that was tared (assumed: twenty digits of an analytical balance)."""

READ_BACK: Mapping[str, tuple[str, str]] = {
    "heat": ("setpoint", "target_c"),
    "set_flow": ("flow_setpoint", "flow_sccm"),
    "stir": ("speed_setpoint", "speed_rpm"),
}
"""Verb -> the signal that shows it, and the argument that it must show."""


def confirmed(scan: Scan, rig: Rig, step: StepState) -> bool:
    """All commands that the step waits for were read back as wanted."""
    return not step.awaits


def resolve(scan: Scan) -> None:
    """Settle every command whose reply was lost, whoever waits for it and whatever state its run is in."""
    for command in list(scan.state.pending.values()):
        if "unknown_s" not in command:
            continue
        shown = _shown(scan, scan.context.rigs[command["chamber"]], command)
        if shown is not None:
            outcome, detail = "ok", f"resolved by read-back: {shown}"
        elif scan.now - command["unknown_s"] >= RESOLVE_FOR_S:
            outcome, detail = "failed", "reply lost, and nothing read back shows that it was carried out"
        else:
            continue
        data = {"id": command["id"], "outcome": outcome, "detail": detail, "readback": {}}
        scan.emit("result", data, command["stream"])


def _shown(scan: Scan, rig: Rig, command: Data) -> str | None:
    """What the readings show of a command that was carried out, in words; None when they do not show it."""
    name, verb = command["instrument"], command["verb"]
    match verb:
        case "heat" | "set_flow" | "stir":
            signal, argument = READ_BACK[verb]
            wanted = float(command["args"][argument])
            value = scan.good(rig, name, signal)
            near = value is not None and abs(value - wanted) <= max(0.5, 0.005 * abs(wanted))
            return f"{signal} is {value:g}" if near else None
        case "heat_off":
            setpoint = scan.good(rig, name, "setpoint")
            idle = f"{name}.output" not in scan.image or scan.good(rig, name, "output") == 0.0
            off = setpoint is not None and setpoint <= limit("instrument_off_c") + 0.5
            # a loop in automatic that fell back to 20 degC was not switched off: it drives an open thermocouple
            taken = f"{name}.manual" not in scan.image or scan.good(rig, name, "manual") == 1.0
            return f"setpoint is {setpoint:g}" if off and idle and taken else None
        case "dispense":
            return "pumping is 1" if scan.good(rig, name, "pumping") == 1.0 else None
        case "pump_off":
            return "pumping is 0" if scan.good(rig, name, "pumping") == 0.0 else None
        case "tare":
            return _is_tared(scan, rig, name)
        case "stir_off":
            return "speed_setpoint is 0" if scan.good(rig, name, "speed_setpoint") == 0.0 else None
        case "open_circuit":
            return "output is 0" if scan.good(rig, name, "output") == 0.0 else None
        case "set_output":
            what, wanted = command["args"]["name"], 1.0 if command["args"]["on"] else 0.0
            return f"{what} is {wanted:g}" if scan.good(rig, name, what) == wanted else None
        case "source":
            return _sources(scan, rig, name, float(command["args"]["voltage_v"]))
    return None


def _is_tared(scan: Scan, rig: Rig, name: str) -> str | None:
    """At rest, and next to nothing of what lies there is left of the net."""
    mass = scan.good(rig, name, "mass")
    rests = scan.good(rig, name, "stable") == 1.0
    return f"mass is {mass:g}" if rests and mass is not None and abs(mass) <= TARED_WITHIN_G else None


def _sources(scan: Scan, rig: Rig, name: str, target_v: float) -> str | None:
    """An output that is on shows nothing of its voltage: the current must run towards it."""
    voltage, current = scan.good(rig, name, "voltage"), scan.good(rig, name, "current")
    if scan.good(rig, name, "output") != 1.0 or voltage is None or current is None:
        return None
    return f"current is {current:g} A" if current * (target_v - voltage) > 0.0 else None
