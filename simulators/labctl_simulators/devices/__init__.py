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
    """A simulated instrument: "module:function" of its `Attach`, imported when used, and its wiring.

    longest_tick_s: what its `tick` is written for. One that goes by `Bindings.tick_s`, or by the time that it is told,
    may live in longer ticks than seconds where it is only forecast.
    """

    attach: str
    wired_to: Wired
    longest_tick_s: float = 1.0


ANY_S = 10.0
"""No plant has longer ticks."""

DEVICES: dict[str, Entry] = {
    "eurotherm_3216": Entry("labctl_simulators.devices.eurotherm:attach", "furnace", ANY_S),
    "eurotherm_epc3016": Entry("labctl_simulators.devices.eurotherm_epc:attach", "furnace", ANY_S),
    "binder_mb1": Entry("labctl_simulators.devices.binder:attach", "oven", ANY_S),
    "ika_hotplate": Entry("labctl_simulators.devices.ika:attach", "hotplate", ANY_S),
    "alicat_mc": Entry("labctl_simulators.devices.alicat:attach", "flow", ANY_S),
    "bronkhorst_el_flow": Entry("labctl_simulators.devices.bronkhorst:attach", "flow", ANY_S),
    "rapidox_1100": Entry("labctl_simulators.devices.rapidox:attach", "oxygen", ANY_S),
    "io_module": Entry("labctl_simulators.devices.io_module:attach", "services", ANY_S),
    "keithley_2450": Entry("labctl_simulators.devices.keithley:attach", "cell", ANY_S),
    "mettler_mt_sics": Entry("labctl_simulators.devices.mettler:attach", "pan", ANY_S),
    "new_era_ne1000": Entry("labctl_simulators.devices.new_era:attach", "syringe", ANY_S),
    "neware_bts8": Entry("labctl_simulators.devices.neware:attach", "cell", ANY_S),
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
