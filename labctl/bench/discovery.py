"""Which drivers there are: entry points of the group `labctl.drivers`, or the built-in ones by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from labctl.bench.api import DRIVER_API, DriverEntry
from labctl.errors import UsageError

GROUP = "labctl.drivers"
BUILT_IN = (
    "alicat",
    "binder",
    "bronkhorst",
    "eurotherm",
    "eurotherm-epc",
    "ika",
    "io",
    "keithley",
    "mettler",
    "new-era",
    "neware",
    "rapidox",
)

BESIDE = {"eurotherm-epc": "labctl_drivers.eurotherm:EPC", "new-era": "labctl_drivers.new_era:ENTRY"}
"""Declarations beside the `ENTRY` of the module of their family, or in a module that is not called as they are."""


@cache
def drivers() -> Mapping[str, DriverEntry]:
    """Every driver by name; importing one opens nothing.

    Raises UsageError naming a driver that cannot be imported, or that was written for another DRIVER_API.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    for name in BUILT_IN:  # a checkout that is not installed has no entry points
        found.setdefault(name, EntryPoint(name, BESIDE.get(name, f"labctl_drivers.{name}:ENTRY"), GROUP))
    return {name: load(found[name]) for name in sorted(found)}


def load(point: EntryPoint) -> DriverEntry:
    """The declaration behind an entry point. Raises UsageError."""
    try:
        entry = getattr(import_module(point.module), point.attr)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"driver {point.name} ({point.value}) cannot be imported: {error}") from error
    if not isinstance(entry, DriverEntry):
        raise UsageError(f"driver {point.name} ({point.value}) is not a DriverEntry")
    if entry.api != DRIVER_API:
        raise UsageError(
            f"driver {point.name} is written for DRIVER_API {entry.api}; this labctl has {DRIVER_API}"
        )
    return entry
