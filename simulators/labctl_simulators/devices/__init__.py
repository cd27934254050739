"""Simulated instruments by the names that drivers declare for them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, NamedTuple

from labctl_simulators.devices.api import Attach

Wired = Literal["furnace", "oven", "hotplate", "flow", "oxygen", "cell", "services", "pan", "syringe"]
"""The part of its chamber that an instrument is wired to."""


class Entry(NamedTuple):
    """A simulated instrument: "module:function" of its `Attach`, imported when used, and its wiring."""

    attach: str
    wired_to: Wired


DEVICES: dict[str, Entry] = {
    "eurotherm_3216": Entry("labctl_simulators.devices.eurotherm:attach", "furnace"),
    "eurotherm_epc3016": Entry("labctl_simulators.devices.eurotherm_epc:attach", "furnace"),
    "binder_mb1": Entry("labctl_simulators.devices.binder:attach", "oven"),
    "ika_hotplate": Entry("labctl_simulators.devices.ika:attach", "hotplate"),
    "alicat_mc": Entry("labctl_simulators.devices.alicat:attach", "flow"),
    "bronkhorst_el_flow": Entry("labctl_simulators.devices.bronkhorst:attach", "flow"),
    "rapidox_1100": Entry("labctl_simulators.devices.rapidox:attach", "oxygen"),
    "io_module": Entry("labctl_simulators.devices.io_module:attach", "services"),
    "keithley_2450": Entry("labctl_simulators.devices.keithley:attach", "cell"),
    "mettler_mt_sics": Entry("labctl_simulators.devices.mettler:attach", "pan"),
    "new_era_ne1000": Entry("labctl_simulators.devices.new_era:attach", "syringe"),
    "neware_bts8": Entry("labctl_simulators.devices.neware:attach", "cell"),
}


GROUP = "labctl.simulators"
"""Entry points of other packages' devices: the name a driver declares, and an `Entry`."""


def device_entry(device: str) -> Entry:
    """The declaration of that device, built in or installed. Raises KeyError naming the known devices."""
    if device in DEVICES:
        return DEVICES[device]
    installed = _installed()
    if device not in installed:
        known = ", ".join(sorted({*DEVICES, *installed}))
        raise KeyError(f"no simulated device {device!r}; there are {known}")
    entry: Entry = installed[device].load()
    return entry


def attach_function(device: str) -> Attach:
    """The `attach` of that device. Raises KeyError naming the known devices."""
    module, _, function = device_entry(device).attach.partition(":")
    attach: Attach = getattr(import_module(module), function)
    return attach


@cache
def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
