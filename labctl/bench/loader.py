"""From a bench file to a `Bench`: where it is, what it says, and whether its parts fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError as SchemaError

from labctl.bench.api import CAPABILITIES, DriverEntry
from labctl.bench.discovery import drivers
from labctl.bench.required import missing
from labctl.bench.schema import Bench, Instrument
from labctl.errors import Finding, UsageError, ValidationError
from labctl.model.limits import GUARD_NAMES, LIMITS, SAFE_ITEM_NAMES
from labctl.protocol.diagnosis import findings_of, misnamed, nearest
from labctl.protocol.rules import CATALOGUE
from labctl.protocol.source import Document, read

SCHEMES = ("serial", "tcp", "visa", "labsim")
SIMULATOR_OPTION = "sim_"
"""Options that begin so go to an instrument's twin; its plant may take some that its driver does not list."""
ADDRESSES = "serial:///dev/ttyUSB0, tcp://HOST:PORT, visa://RESOURCE or labsim://PLANT/INSTRUMENT"
LINKS: Mapping[str, tuple[str, ...]] = {
    "serial": ("serial", "tcp", "labsim"),
    "tcp": ("tcp", "labsim"),
    "visa": ("visa", "serial", "tcp", "labsim"),
}
"""Schemes that reach each link of a driver; a serial line is also reached through a terminal server."""


def bundled_benches() -> dict[str, Path]:
    """Every bundled bench by name. Finds the simulators' folder without importing them."""
    spec = find_spec("labctl_simulators")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    return {file.stem: file for folder in folders for file in sorted(Path(folder, "benches").glob("*.yaml"))}


def find_bench(name: str | Path) -> Path:
    """The file of a bench: a bench folder, a file, or the name of a bundled bench. Raises UsageError."""
    path = Path(name)
    if (path / "bench.yaml").is_file():
        return path / "bench.yaml"
    if path.is_file():
        return path
    bundled = bundled_benches()
    if str(name) in bundled:
        return bundled[str(name)]
    hint = nearest(name, bundled)
    raise UsageError(
        f"no bench {str(name)!r}: no folder with a bench.yaml, no file, no bundled bench ({hint})"
    )


def load_bench(
    name: str | Path, entries: Mapping[str, DriverEntry] | None = None, *, unprotected: bool = False
) -> Bench:
    """The bench of that folder, file or bundled name. Raises UsageError or ValidationError.

    unprotected: load one that lacks required protections too, to show on its twin what they are for.
    """
    path = find_bench(name)
    bench, findings = check_bench(path.read_bytes(), str(path), entries, unprotected=unprotected)
    if bench is None:
        raise ValidationError(findings)
    return bench


def check_bench(
    content: str | bytes,
    file: str,
    entries: Mapping[str, DriverEntry] | None = None,
    *,
    unprotected: bool = False,
) -> tuple[Bench | None, list[Finding]]:
    """The bench in `content`, or None, and all that is wrong with it. Drivers: `entries`, or discovery.

    unprotected: say nothing of required protections that it lacks.
    """
    try:
        document = read(content, file)
    except ValidationError as error:
        return None, error.findings
    entries = drivers() if entries is None else entries
    try:
        bench = Bench.model_validate(document.data)
    except SchemaError as error:
        return None, [*findings_of(error, document, Bench), *misnamed(document)]
    findings = [
        *misnamed(document),
        *_instruments(document, bench, entries),
        *_io(document, bench, entries),
        *_gauges(document, bench),
        *_parts(document, bench),
        *_protections(document, bench),
        *_rules(document, bench),
        *(() if unprotected else _lacking(document, bench)),
    ]
    return (None if any(f.severity == "error" for f in findings) else bench), findings


def _instruments(document: Document, bench: Bench, entries: Mapping[str, DriverEntry]) -> Iterator[Finding]:
    for name, instrument in bench.instruments.items():
        at = ("instruments", name)
        for i, capability in enumerate(instrument.provides):
            if capability not in CAPABILITIES:
                message = f"there is no capability {capability!r}"
                yield document.finding(
                    "BENCH-003", (*at, "provides", i), message, nearest(capability, CAPABILITIES)
                )
        entry = entries.get(instrument.driver)
        if entry is None:
            message, hint = f"there is no driver {instrument.driver!r}", nearest(instrument.driver, entries)
            yield document.finding("BENCH-001", (*at, "driver"), message, hint)
        else:
            yield from _fits_driver(document, name, instrument, entry, bench.backdoor is not None)
        if instrument.chamber is not None and instrument.chamber not in bench.chambers:
            message, hint = (
                f"there is no chamber {instrument.chamber!r}",
                nearest(instrument.chamber, bench.chambers),
            )
            yield document.finding("BENCH-004", (*at, "chamber"), message, hint)
        if instrument.calibration_due is not None and not _is_day(instrument.calibration_due):
            message = f"{instrument.calibration_due!r} is no day of the calendar"
            yield document.finding("BENCH-014", (*at, "calibration_due"), message, "as in 2027-03-31")
        scheme, separator, rest = instrument.address.partition("://")
        if not separator or scheme not in SCHEMES or not rest:
            message = f"{instrument.address!r} is not an address"
            yield document.finding("BENCH-005", (*at, "address"), message, ADDRESSES)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _fits_driver(
    document: Document, name: str, instrument: Instrument, entry: DriverEntry, served: bool
) -> Iterator[Finding]:
    at = ("instruments", name)
    for i, capability in enumerate(instrument.provides):
        if capability in CAPABILITIES and capability not in entry.capabilities:
            message = f"driver {entry.name} does not offer {capability}"
            yield document.finding(
                "BENCH-002", (*at, "provides", i), message, f"offers: {', '.join(entry.capabilities)}"
            )
    simulated = served or instrument.address.startswith("labsim://")
    for option in instrument.options:
        of_twin = option.startswith(SIMULATOR_OPTION)
        if option in entry.options and not (of_twin and not simulated):
            continue
        message, hint = f"driver {entry.name} has no option {option!r}", nearest(option, entry.options)
        if of_twin and not simulated:
            message, hint = f"{option!r} is an option of a simulator, and {name} is real", None
        severity = "warning" if of_twin and simulated else "error"
        yield document.finding("BENCH-006", (*at, "options", option), message, hint, severity, key=True)
    scheme = instrument.address.partition("://")[0]
    if scheme in SCHEMES and scheme not in LINKS.get(entry.link, SCHEMES):
        message = f"driver {entry.name} speaks {entry.link}, not {scheme}"
        yield document.finding("BENCH-005", (*at, "address"), message, f"use {', '.join(LINKS[entry.link])}")


def _io(document: Document, bench: Bench, entries: Mapping[str, DriverEntry]) -> Iterator[Finding]:
    """Each protective signal must be told by a module that has it wired: a wrong name would protect nobody."""
    known = CAPABILITIES["io"].signals
    for name, chamber in bench.chambers.items():
        for what, key in chamber.io.items():
            at = ("chambers", name, "io", what)
            if what not in known or what == "watchdog":
                message, hint = f"nothing protects by a signal {what!r}", nearest(what, known)
                yield document.finding("BENCH-013", at, message, hint, key=True)
                continue
            module, _, signal = key.partition(".")
            instrument = bench.instruments.get(module)
            if instrument is None or "io" not in instrument.provides:
                modules = [n for n, i in bench.instruments.items() if "io" in i.provides]
                hint = nearest(module, modules) if modules else "the bench has none"
                yield document.finding("BENCH-013", at, f"{module!r} is no I/O module", hint)
                continue
            entry = entries.get(instrument.driver)
            wired = (
                instrument.options.get("channels") or [s.name for s in entry.signals] if entry else [signal]
            )
            if signal not in wired or known.get(signal) != known[what]:
                message = f"{module} has no {signal!r} of unit {known[what]} wired"
                yield document.finding("BENCH-013", at, message, nearest(signal, [*wired]))


def _lacking(document: Document, bench: Bench) -> Iterator[Finding]:
    """A chamber that lacks a required protection is not run; a limit may be tightened, a protection not left out."""
    for chamber, part, name in missing(bench):
        what = "interlock" if part == "guards" else "safe-state item"
        hint = f"add {name} to {part} of {chamber}"
        message = f"{chamber} lacks the {what} {name!r}"
        yield document.finding("BENCH-020", ("chambers", chamber), message, hint, key=True)


def _gauges(document: Document, bench: Bench) -> Iterator[Finding]:
    """A gauge is a wired pressure of a module, and tells contents only where the full pressure is known."""
    for name, supply in bench.supplies.items():
        if supply.gauge is None:
            continue
        module, _, signal = supply.gauge.partition(".")
        instrument = bench.instruments.get(module)
        at = ("supplies", name, "gauge")
        if instrument is None or "io" not in instrument.provides or signal != "cylinder_pressure":
            yield document.finding(
                "BENCH-013",
                at,
                f"{supply.gauge!r} is no pressure of an I/O module",
                "MODULE.cylinder_pressure",
            )
        elif supply.full_bar is None:
            yield document.finding(
                "BENCH-013", at, "a gauge says nothing without `full_bar`", "the pressure at `contents_l`"
            )


def _protections(document: Document, bench: Bench) -> Iterator[Finding]:
    """Guards, limits and safe-state items that labctl does not have would protect nobody."""
    for name, chamber in bench.chambers.items():
        at = ("chambers", name)
        if chamber.shared and chamber.kind != "oven":
            message = f"{name} is a {chamber.kind}: only an oven has room for several runs"
            yield document.finding("BENCH-017", (*at, "shared"), message, "leave `shared` out", key=True)
        for i, item in enumerate(chamber.safe_state):
            if item not in SAFE_ITEM_NAMES:
                message, hint = f"there is no safe-state item {item!r}", nearest(item, SAFE_ITEM_NAMES)
                yield document.finding("BENCH-010", (*at, "safe_state", i), message, hint)
        for i, guard in enumerate(chamber.guards):
            if guard.guard not in GUARD_NAMES:
                message, hint = f"there is no guard {guard.guard!r}", nearest(guard.guard, GUARD_NAMES)
                yield document.finding("BENCH-011", (*at, "guards", i, "guard"), message, hint)
            if guard.guard == "detached_sensor" and chamber.heating_k_per_min is None:
                message = f"{name} has no heating_k_per_min, without which detached_sensor sees nothing"
                hint = "measure how fast it heats at full output, where it is slowest"
                yield document.finding("BENCH-015", (*at, "guards", i, "guard"), message, hint)
            for quantity, value in guard.limits.items():
                where = (*at, "guards", i, "limits", quantity)
                if quantity not in LIMITS:
                    message, hint = f"there is no limit {quantity!r}", nearest(quantity, LIMITS)
                    yield document.finding("BENCH-012", where, message, hint, key=True)
                    continue
                entry = LIMITS[quantity]
                if value > entry.value if entry.stricter == "lower" else value < entry.value:
                    message = (
                        f"{quantity} of {value:g} {entry.unit} is looser than {entry.value:g} {entry.unit}"
                    )
                    yield document.finding("BENCH-012", where, message, "a bench may tighten, never loosen")


def _rules(document: Document, bench: Bench) -> Iterator[Finding]:
    """A rule may be tightened; it may be waived, with a reason and a name, where the safety contract lets it."""
    for name, setting in bench.rules.items():
        rule, at = CATALOGUE.get(name), ("rules", name)
        if rule is None:
            message, hint = f"there is no rule {name!r}", nearest(name, CATALOGUE)
            yield document.finding("BENCH-016", at, message, hint, key=True)
            continue
        if setting.limit is not None:
            number = rule.number
            if number is None:
                message = f"{name} judges by no number that could be tightened"
                yield document.finding("BENCH-016", (*at, "limit"), message, key=True)
            elif setting.limit > number.value if number.stricter == "lower" else setting.limit < number.value:
                message = (
                    f"{setting.limit:g} {number.unit} is looser than {name}: {number.value:g} {number.unit}"
                )
                yield document.finding(
                    "BENCH-016", (*at, "limit"), message, "a bench may tighten, never loosen"
                )
        if (setting.waive is None) is not (setting.by is None):
            lacking = "waive" if setting.waive is None else "by"
            message, hint = (
                f"{lacking!r} is missing: a waiver has a reason and a name",
                "{waive: REASON, by: NAME}",
            )
            yield document.finding("BENCH-016", at, message, hint)
        elif setting.waive is not None and rule.waive == "never":
            message = f"{name} cannot be waived"
            yield document.finding("BENCH-016", (*at, "waive"), message, rule.rationale, key=True)
        elif setting.waive is None and setting.limit is None:
            message = f"nothing is said of {name}"
            yield document.finding("BENCH-016", at, message, "`limit: ...`, or `waive: REASON, by: NAME`")


def _parts(document: Document, bench: Bench) -> Iterator[Finding]:
    for name, supply in bench.supplies.items():
        for i, fed in enumerate(supply.feeds):
            if fed not in bench.instruments:
                message, hint = f"there is no instrument {fed!r} to feed", nearest(fed, bench.instruments)
                yield document.finding("BENCH-007", ("supplies", name, "feeds", i), message, hint)
    addresses: dict[tuple[str, str], str] = {}
    for name, instrument in bench.instruments.items():
        unit = str(instrument.options.get("unit", ""))
        other = addresses.setdefault((instrument.address, unit), name)
        if other != name:
            message = f"{name} has the address and unit of {other}"
            yield document.finding("BENCH-009", ("instruments", name, "address"), message)
    simulated = [n for n, i in bench.instruments.items() if i.address.startswith("labsim://")]
    if simulated and not bench.in_process:
        real = next(n for n in bench.instruments if n not in simulated)
        message = f"the bench mixes simulated instruments ({simulated[0]}) and real ones ({real})"
        yield document.finding(
            "BENCH-008", ("instruments", real, "address"), message, "make all of them one or the other"
        )
