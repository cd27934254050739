"""Faults that live in the instrument: power, the hands at its panel, its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labctl_simulators.devices import binder, eurotherm
from labctl_simulators.devices.api import Replies
from labctl_simulators.faults.fault import Kind, Target, Undo, nothing
from labctl_simulators.faults.wire import WRITES_REFUSED, Feed, lock, spoil

SETPOINT = {
    "eurotherm_3216": 100.0,
    "binder_mb1": 60.0,
    "alicat_mc": 0.0,
    "ika_hotplate": 100.0,
    "keithley_2450": 0.0,
}
"""What somebody dials in at the panel unless the fault says what: degC, sccm, rpm, V."""

ATTRIBUTES: Mapping[str, tuple[str, Mapping[str, Mapping[str, Any]]]] = {
    "setpoints_ignored": (
        "writes are accepted and have no effect: analog setpoint source, panel in use",
        {
            "alicat_mc": {"analog_source": True},
            "ika_hotplate": {"ignores_setpoints": True},
            "new_era_ne1000": {"ignores_settings": True},
        },
    ),
    "eeprom_worn": ("non-volatile registers keep what they had", {"eurotherm_3216": {"worn": True}}),
    "valve_hold": ("valve held at the panel", {"alicat_mc": {"held": True}}),
    "wrong_gas": ("another gas chosen at the panel: argon", {"alicat_mc": {"gas": 1}}),
    "dashes": ("numbers read as dashes", {"alicat_mc": {"dashed": True}}),
    "status_error": ("the status says that its converter is wrong", {"alicat_mc": {"tokens": ["ADC"]}}),
    "cell_failed": ("the oxygen cell is gone", {"rapidox_1100": {"no_sensor": True}}),
    "cleaning": ("the oxygen cell cleans itself", {"rapidox_1100": {"cleaning": True}}),
    "over_range": ("the state field says over range", {"rapidox_1100": {"state": 1}}),
    "limiter": ("the over-temperature limiter has tripped", {"binder_mb1": {"tripped": True}}),
    "other_channel": ("replies name another channel", {"neware_bts8": {"names_channel": 99}}),
    "menu_open": ("its menu is open: weighing is not executable now", {"mettler_mt_sics": {"busy": True}}),
    "milligrams": ("set to another unit at the panel", {"mettler_mt_sics": {"unit": "mg"}}),
    "api_disabled": ("the server's programming interface is switched off", {"neware_bts8": {"api": False}}),
}
"""Troubles that a device knows by itself: (help, attributes by device)."""


def _attributes(by_device: Mapping[str, Mapping[str, Any]]) -> Callable[[Target], Undo]:
    def begin(target: Target) -> Undo:
        wanted = by_device[target.twin.plant.models[target.name]]
        target.hit(", ".join(f"{name} = {value!r}" for name, value in wanted.items()))
        return target.change(target.device, **wanted)

    return begin


def _power(target: Target) -> Undo:
    plant = target.twin.plant

    def dead(request: bytes, feed: Feed) -> Replies:
        return []

    plug_in = plant.unplug(target.name)
    unmute = spoil(target, dead)
    target.hit("mains off")

    def undo() -> None:
        unmute()
        plug_in()
        target.hit("mains back")

    return undo


def _panel_setpoint(target: Target) -> Undo:
    device, model = target.device, target.twin.plant.models[target.name]
    value = float(SETPOINT[model] if target["value"] is None else target["value"])
    if model == "eurotherm_3216":
        selected = eurotherm.SP2 if device.registers[eurotherm.SELECT] else eurotherm.SP1
        device.registers[eurotherm.REMOTE] = 0
        device.registers[selected] = round(value * device.scale)
    elif model == "binder_mb1":
        device.manual_c = device.basic_c = value
    elif model == "ika_hotplate":
        device.speed_setpoint_rpm = value
    elif model == "alicat_mc":
        device.setpoint_sccm = value
    else:
        device.set("level_v", value)
    target.hit(f"setpoint {value:g}")
    return nothing


def _panel_mode(target: Target) -> Undo:
    """Somebody takes over at the panel, and leaves it so."""
    device, model = target.device, target.twin.plant.models[target.name]
    if model == "eurotherm_3216":
        device.write_single(eurotherm.MANUAL, 1)
        device.write_single(eurotherm.MANUAL_OUTPUT, round(float(target["output"]) * device.scale))
        target.hit(f"manual, output {target['output']} %")
    elif model == "binder_mb1":
        device.mode = binder.IDLE
        target.hit("idle")
    elif model == "ika_hotplate":
        device.stirring = device.heating = False
        target.hit("motor and heater off")
    elif model == "new_era_ne1000":
        device.state = "P" if device.state in "IW" else device.state
        target.hit("paused")
    else:
        device.set("output", False)
        target.hit("output off")
    return nothing


def _panel_tare(target: Target) -> Undo:
    target.device.answer(b"TI")
    target.hit(f"tare {target.device.tare_g:g} g")
    return nothing


DEVICE: Mapping[str, Kind] = {
    "power": Kind(
        "device", _power, "mains off; then back, with what it keeps and its defaults", {}, None, 3.0
    ),
    "panel_setpoint": Kind(
        "device", _panel_setpoint, "somebody dials another setpoint", {"value": None}, tuple(SETPOINT)
    ),
    "panel_mode": Kind(
        "device",
        _panel_mode,
        "somebody takes over at the panel: manual output, idle, motor or output off, paused",
        {"output": 50.0},
        ("eurotherm_3216", "binder_mb1", "ika_hotplate", "keithley_2450", "new_era_ne1000"),
    ),
    "panel_tare": Kind("device", _panel_tare, "somebody tares at the panel", {}, ("mettler_mt_sics",)),
    "local_lock": Kind("device", lock, "locked at the panel: writes are refused", {}, tuple(WRITES_REFUSED)),
    **{
        name: Kind("device", _attributes(by_device), text, {}, tuple(by_device))
        for name, (text, by_device) in ATTRIBUTES.items()
    },
}
