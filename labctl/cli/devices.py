"""`labctl devices`: what stands on a bench and what it says now; without a bench, which drivers there are."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labctl.bench.api import DriverEntry
from labctl.bench.commissioning import Commission, needs_commission, why_not
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench, Instrument
from labctl.cli.survey import survey
from labctl.cli.terminal import print_json, print_table, say
from labctl.errors import InstrumentError, UsageError
from labctl.protocol.diagnosis import nearest
from labctl.report.numbers import duration
from labctl.runtime.backdoor import ascertained
from labctl.runtime.clock import utc_now_ms
from labctl.runtime.commissioned import recorded_in
from labctl.runtime.folder import BENCH_FILE
from labctl.runtime.survey import Look, Seen, Survey


def main(arguments: Namespace) -> int:
    """List a bench's instruments, or the installed drivers where there is no bench; 6 when one is unreachable."""
    if arguments.bench is None and not Path(BENCH_FILE).is_file():
        return _installed(arguments)
    folder = arguments.bench or Path()
    bench = ascertained(load_bench(folder))
    entries = drivers()
    names = _named(arguments.name, bench.instruments, "instrument")
    found = survey(folder, bench, entries, "devices")
    known = recorded_in(folder)
    told = [described(n, bench, entries, found, known.get(n)) for n in names]
    if arguments.json:
        data = {"bench": bench.bench, "simulated": bench.simulated, "controller_pid": found.controller}
        print_json(data | {"instruments": told})
    else:
        _tell(bench, found, told)
    silent = [device["name"] for device in told if device["reachable"] is False]
    if silent:
        say(f"unreachable: {', '.join(silent)}")
    return InstrumentError.exit_code if silent else 0


def _named(name: str | None, known: Iterable[str], what: str) -> list[str]:
    known = list(known)
    if name is None:
        return known
    if name not in known:
        raise UsageError(f"there is no {what} {name!r} ({nearest(name, known)})")
    return [name]


def described(
    name: str, bench: Bench, entries: Mapping[str, DriverEntry], found: Survey, commission: Commission | None
) -> dict[str, Any]:
    """All that is known of an instrument, as JSON values."""
    instrument = bench.instruments[name]
    entry = entries[instrument.driver]
    look = found.looks[name]
    return {
        "name": name,
        "address": instrument.address,
        "serial_number": instrument.serial_number,
        "provides": list(instrument.provides),
        "chamber": instrument.chamber,
        "simulated": bench.simulated,
        **declared(entry),
        "reachable": look.reachable,
        "problem": look.problem if look.reachable is not True else None,
        "audit": _audit(look),
        "audited_utc_ms": found.audited_utc_ms.get(name),
        "commissioned": _commissioned(bench, instrument, entry, commission),
        "readings": [{**seen._asdict(), "quality": word(seen)} for seen in look.readings],
    }


def declared(entry: DriverEntry) -> dict[str, Any]:
    """What a driver says of its instruments, as JSON values."""
    return {
        "driver": entry.name,
        "title": entry.title,
        "capabilities": list(entry.capabilities),
        "link": entry.link,
        "on_comms_loss": entry.on_comms_loss,
        "on_power_return": entry.on_power_return,
        "dead_man_s": entry.lease_s,
        "unverified": [asdict(item) for item in entry.unknowns],
    }


def _audit(look: Look) -> dict[str, Any] | None:
    return None if look.audit is None else {"ok": not look.failures(), **look.audit}


def _commissioned(
    bench: Bench, instrument: Instrument, entry: DriverEntry, found: Commission | None
) -> dict[str, Any]:
    """Whether it may heat, and why not."""
    needed = needs_commission(entry) and not bench.simulated
    against = why_not(instrument, entry, found, utc_now_ms()) if needed else None
    data: dict[str, Any] = {"needed": needed, "ok": against is None, "against": against}
    if needed and found is not None and against is None:
        data |= {"by": found.by, "expires": found.expires}
    return data


def word(seen: Seen) -> str:
    """The quality of a reading, in words."""
    return seen.quality.name.lower().replace("_", " ")


def _tell(bench: Bench, found: Survey, told: list[dict[str, Any]]) -> None:
    kind = "SIMULATED" if bench.simulated else "REAL"
    by = "a fresh twin of it asked now" if bench.in_process else "asked now"
    if found.controller is not None:
        by = f"controller {found.controller} owns it; its newest readings and last audits"
    print(f"{kind} bench {bench.bench}: {by}")
    for device in told:
        print()
        _tell_device(device)


def _tell_device(device: Mapping[str, Any]) -> None:
    serial = device["serial_number"] or "none in the bench file"
    print(f"{device['name']}: {device['title']}")
    print(f"  {device['driver']} at {device['address']}, serial number {serial}")
    print(
        f"  plays {', '.join(device['provides'])}" + (f" in {device['chamber']}" if device["chamber"] else "")
    )
    if device["problem"]:
        print(f"  UNREACHABLE: {device['problem']}")
    print(f"  {_permission(device)}")
    if audit := device["audit"]:
        identity = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in audit["identity"].items())
        made = device["audited_utc_ms"]
        old = f"{duration((utc_now_ms() - made) / 1000.0)} ago" if made else "now"
        print(f"  audited {old}: {identity or 'it tells nothing of itself'}")
        _indented(("item", "found", "wanted", ""), [_item(item) for item in audit["items"]])
    if device["readings"]:
        _indented(("reading", "value", "quality", "age"), [_reading(seen) for seen in device["readings"]])
    else:
        print("  no reading")
    _tell_declared(device)


def _item(item: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return item["item"], item["found"], item["wanted"], "ok" if item["ok"] else "NOT OK"


def _reading(seen: Mapping[str, Any]) -> tuple[str, str, str, str]:
    unit = "" if seen["unit"] == "1" else f" {seen['unit']}"
    value = "–" if seen["value"] is None else f"{seen['value']:g}{unit}"
    age = "" if seen["age_s"] is None else duration(round(seen["age_s"], 1))
    return seen["signal"], value, seen["quality"], age


def _permission(device: Mapping[str, Any]) -> str:
    commissioned = device["commissioned"]
    if commissioned["against"]:
        return f"NOT to be energised: {commissioned['against']}"
    if not commissioned["needed"]:
        return "needs no commissioning" + (", being simulated" if device["simulated"] else "")
    return f"commissioned by {commissioned['by']}, until {commissioned['expires']}"


def _tell_declared(declares: Mapping[str, Any]) -> None:
    print(f"  when the host falls silent: {declares['on_comms_loss']}")
    print(f"  when power returns: {declares['on_power_return']}")
    dead_man = declares["dead_man_s"]
    print(f"  dead-man: {f'heat lapses {dead_man:g} s after the last renewal' if dead_man else 'none'}")
    for item in declares["unverified"]:
        print(f"  unverified{' (SAFETY)' if item['safety'] else ''}: {item['text']}")


def _indented(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    first, *rest = heads
    print_table((f"  {first}", *rest), _shifted(rows))


def _shifted(rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    for first, *rest in rows:
        yield (f"  {first}", *rest)


def _installed(arguments: Namespace) -> int:
    """The drivers that entry points name."""
    entries = drivers()
    names = _named(arguments.name, entries, "driver")
    if arguments.json:
        print_json({"drivers": [_driver(entries[name]) for name in names]})
        return 0
    say("no bench here: the installed drivers. Name a bench with --bench DIR")
    for name in names:
        entry = entries[name]
        print(f"{name}: {entry.title}")
        print(
            f"  plays {', '.join(entry.capabilities)}, link {entry.link}, simulated by {entry.device or 'nothing'}"
        )
        for option, meaning in entry.options.items():
            print(f"  option {option}: {meaning}")
        _tell_declared(declared(entry))
        print()
    sys.stdout.flush()
    return 0


def _driver(entry: DriverEntry) -> dict[str, Any]:
    signals = [{"signal": s.name, "unit": s.unit} for s in entry.signals]
    return {**declared(entry), "device": entry.device, "options": dict(entry.options), "signals": signals}
