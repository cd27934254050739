"""From a bench to its instruments: drivers made, lines opened, instruments grouped by bus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from labctl.bench.api import Clock, DriverEntry, Line
from labctl.bench.schema import Bench, Instrument
from labctl.engine.context import Facts
from labctl.runtime.capture import Capture
from labctl.runtime.instruments import Connection
from labctl_drivers.ports import open_line

SIMULATOR_OPTION = "sim_"
"""Options of a bench file with this prefix are for the twin, not for the driver."""


def bus_of(bench: Bench, name: str) -> str:
    """The bus of an instrument: those with one address share one line, thread and time."""
    address = bench.instruments[name].address
    parts = urlsplit(address)
    return name if parts.scheme == "labsim" else f"{parts.scheme}://{parts.netloc}{parts.path}"


def facts(bench: Bench, entries: Mapping[str, DriverEntry]) -> dict[str, Facts]:
    """What the engine needs to know of each instrument's driver."""
    declared = {name: entries[i.driver] for name, i in bench.instruments.items()}
    return {name: Facts(e.host_ramp, e.lease_s, _digit_k(e)) for name, e in declared.items()}


def _digit_k(entry: DriverEntry) -> float:
    return next((s.resolution for s in entry.signals if s.name == "temperature"), Facts().digit_k)


def connections(
    bench: Bench,
    entries: Mapping[str, DriverEntry],
    clock_of: Callable[[str], Clock],
    *,
    coarse: bool = False,
    admit: Callable[[str], None] | None = None,
    capture: Capture | None = None,
    wrap: Callable[[Line], Line] | None = None,
) -> dict[str, Connection]:
    """A connection, not yet open, for every instrument.

    `clock_of` by bus; `coarse`: no rate below the scan's; `admit`: asked before a line is opened, each time; `capture`:
    told every byte and every call; `wrap`: what is put around each line.
    """
    made = {}
    for name, instrument in bench.instruments.items():
        entry, bus = entries[instrument.driver], bus_of(bench, name)
        clock = clock_of(bus)
        tap = None if capture is None else capture.tap(name, clock)
        line: Line = open_line(instrument.address, clock, admit, tap)
        if wrap is not None:
            line = wrap(line)
        driver = entry.factory(line, driver_options(instrument, entry))
        if capture is not None:
            driver = capture.narrated(name, driver)
        made[name] = Connection(name, driver, bus, 0.0 if coarse else instrument.every_s)
    return made


def driver_options(instrument: Instrument, entry: DriverEntry) -> dict[str, Any]:
    """The bench's options with its limits and serial number, as far as the driver knows them."""
    options = {k: v for k, v in instrument.options.items() if not k.startswith(SIMULATOR_OPTION)}
    limits = {k: v for k, v in instrument.limits.model_dump().items() if v is not None}
    known: dict[str, Any] = {k: min(v, options.pop(k, v)) for k, v in limits.items()}
    known["serial_number"] = instrument.serial_number
    known["read_only"] = set(instrument.provides) == {"thermometer"}
    return {k: v for k, v in known.items() if k in entry.options and v} | options
