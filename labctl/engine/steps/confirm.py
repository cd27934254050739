"""Whether the commands of a step took effect; a lost reply is resolved by reading back, never by sending again."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import Data, StepState

RESOLVE_FOR_S = 10.0
"""How long a command with a lost reply may stay unresolved (assumed: ten furnace scans)."""

READ_BACK: Mapping[str, tuple[str, str]] = {
    "heat": ("setpoint", "target_c"),
    "set_flow": ("flow_setpoint", "flow_sccm"),
    "stir": ("speed_setpoint", "speed_rpm"),
}
"""Verb -> the signal that shows it, and the argument that it must show."""

SHOWS: Mapping[str, tuple[str, float]] = {"open_circuit": ("output", 0.0), "source": ("output", 1.0)}


def confirmed(scan: Scan, rig: Rig, step: StepState) -> bool:
    """All commands that the step waits for were read back as wanted."""
    for command_id in step.awaits:
        command = scan.state.pending.get(command_id)
        if command is not None and "unknown_s" in command:
            _resolve(scan, rig, command)
    return not step.awaits


def _resolve(scan: Scan, rig: Rig, command: Data) -> None:
    shown, wanted = _expected(command)
    value = scan.good(rig, command["instrument"], shown)
    outcome = None
    if value is not None and wanted is not None and abs(value - wanted) <= max(0.5, 0.005 * abs(wanted)):
        outcome, detail = "ok", f"resolved by read-back: {shown} is {value:g}"
    elif scan.now - command["unknown_s"] >= RESOLVE_FOR_S:
        outcome, detail = "failed", f"reply lost, and {shown} does not show it"
    if outcome is not None:
        data = {"id": command["id"], "outcome": outcome, "detail": detail, "readback": {}}
        scan.emit("result", data, command["stream"])


def _expected(command: Data) -> tuple[str, float | None]:
    verb = command["verb"]
    if verb in READ_BACK:
        signal, argument = READ_BACK[verb]
        return signal, float(command["args"][argument])
    return SHOWS.get(verb, ("", None))
