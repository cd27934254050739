"""Simulated instruments by the names that drivers declare for them."""

from __future__ import annotations

from importlib import import_module

from labctl_simulators.devices.api import Attach

DEVICES: dict[str, str] = {
    "eurotherm_3216": "labctl_simulators.devices.eurotherm:attach",
    "binder_mb1": "labctl_simulators.devices.binder:attach",
    "ika_hotplate": "labctl_simulators.devices.ika:attach",
    "alicat_mc": "labctl_simulators.devices.alicat:attach",
    "rapidox_1100": "labctl_simulators.devices.rapidox:attach",
    "keithley_2450": "labctl_simulators.devices.keithley:attach",
}
"""Device name -> "module:function". Modules are imported when a bench uses them."""


def attach_function(device: str) -> Attach:
    """The `attach` of that device. Raises KeyError naming the known devices."""
    try:
        module, _, function = DEVICES[device].partition(":")
    except KeyError:
        raise KeyError(f"no simulated device {device!r}; there are {', '.join(sorted(DEVICES))}") from None
    attach: Attach = getattr(import_module(module), function)
    return attach
