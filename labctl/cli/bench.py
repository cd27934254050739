"""`labctl bench check`: could this bench run now? Its file, its instruments, what it lacks, how it stands."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labctl.bench.api import DriverEntry
from labctl.bench.commissioning import DAY_MS, Commission, command, needs_commission, overdue, why_not
from labctl.bench.discovery import drivers
from labctl.bench.loader import check_bench, find_bench
from labctl.bench.schema import Bench, Instrument
from labctl.cli.findings import count, print_findings
from labctl.cli.standing import standing
from labctl.cli.survey import survey
from labctl.cli.terminal import print_json, print_table
from labctl.errors import Finding, InstrumentError, UsageError, ValidationError
from labctl.protocol.compose import compose
from labctl.protocol.library import protocols
from labctl.protocol.roles import Cast
from labctl.protocol.rules.protection import lost
from labctl.protocol.source import read
from labctl.runtime.backdoor import ascertained
from labctl.runtime.clock import utc_now_ms
from labctl.runtime.commissioned import recorded_in
from labctl.runtime.folder import BENCH_FILE, DATABASE, ESTOP
from labctl.runtime.survey import Look, Survey
from labctl.store import Reader

SOON_DAYS = 30
"""A calibration or commission that ends so soon is worth a word (assumed: as long as an order takes)."""

SERIAL = "serial number"
"""The audit item of drivers that can be asked for it."""

CANNOT_BE_ASKED = "cannot be asked"
"""What that item says of an instrument that does not tell."""


def check(arguments: Namespace) -> int:
    """Say everything that keeps the bench from running; 0 only when nothing does."""
    folder: Path = arguments.bench
    if not (folder / BENCH_FILE).is_file():
        raise UsageError(f"{folder}: no {BENCH_FILE} there; `labctl init` makes one")
    file = find_bench(folder)
    entries = drivers()
    bench, findings = check_bench(file.read_bytes(), str(file), entries)
    if bench is None:
        return _broken(findings, arguments)
    bench = ascertained(bench)
    found = survey(folder, bench, entries, "bench check")
    known = recorded_in(folder)
    told = [_instrument(n, bench, entries, found.looks[n], known.get(n)) for n in bench.instruments]
    cast = list(_protocols(folder, bench))
    absent = [
        {"chamber": chamber, "signal": signal, "lost": what}
        for chamber in bench.chambers
        for signal, what in lost(bench, chamber).items()
    ]
    problems = [*_problems(told, folder), *_of_protocols(cast), *_standing(folder, bench)]
    silent = any(device["reachable"] is False for device in told)
    code = InstrumentError.exit_code if silent else ValidationError.exit_code if problems else 0
    if arguments.json:
        data = {"bench": bench.bench, "simulated": bench.simulated, "controller_pid": found.controller}
        data |= {"could_run": not problems, "problems": problems, "findings": [asdict(f) for f in findings]}
        print_json(data | {"instruments": told, "protocols": cast, "lost_protections": absent})
        return code
    _tell(bench, file, findings, found, told)
    _tell_rest(cast, absent, problems)
    return code


def _broken(findings: list[Finding], arguments: Namespace) -> int:
    if arguments.json:
        problems = [finding.message for finding in findings if finding.severity == "error"]
        print_json({"could_run": False, "problems": problems, "findings": [asdict(f) for f in findings]})
    else:
        print_findings(findings)
    return ValidationError.exit_code


def _instrument(
    name: str, bench: Bench, entries: Mapping[str, DriverEntry], look: Look, commission: Commission | None
) -> dict[str, Any]:
    """Everything that is asked of one instrument, as JSON values."""
    instrument = bench.instruments[name]
    entry = entries[instrument.driver]
    now = utc_now_ms()
    needed = needs_commission(entry) and not bench.simulated
    against = why_not(instrument, entry, commission, now) if needed else None
    held = commission if needed and against is None else None
    return {
        "name": name,
        "driver": instrument.driver,
        "reachable": look.reachable,
        "problem": look.problem if look.reachable is False else None,
        "serial_number": instrument.serial_number,
        "serial_number_told": _told(look),
        "audit_failed": [text for text in look.failures() if not text.startswith(SERIAL)],
        "audited": look.audit is not None,
        "calibration_due": instrument.calibration_due,
        "calibration_overdue": None if bench.simulated else overdue(instrument, now),
        "calibration_soon": not bench.simulated and _soon(instrument, now),
        "commission_needed": needed,
        "commission_against": against,
        "commissioned_until": None if held is None else held.expires,
        "commission_soon": held is not None and held.expires_utc_ms < now + SOON_DAYS * DAY_MS,
    }


def _told(look: Look) -> str | None:
    """The serial number that an instrument tells of itself; None when it tells none."""
    if look.audit is None:
        return None
    items = {item["item"]: item["found"] for item in look.audit["items"]}
    told = look.audit["identity"].get("serial_number") or items.get(SERIAL)
    return None if told == CANNOT_BE_ASKED else told


def _soon(instrument: Instrument, now_utc_ms: int) -> bool:
    return overdue(instrument, now_utc_ms + SOON_DAYS * DAY_MS) is not None


def _problems(told: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    for device in told:
        name = device["name"]
        if device["reachable"] is False:
            yield f"{name} is unreachable: {device['problem'] or 'it does not answer its controller'}"
        found, wanted = device["serial_number_told"], device["serial_number"]
        if found is not None and wanted and found != wanted:
            yield f"{name} has serial number {found}, and the bench file says {wanted}"
        yield from (f"{name}: {text}" for text in device["audit_failed"])
        if device["calibration_overdue"]:
            yield f"{name} was due for calibration on {device['calibration_due']}"
        if device["commission_against"]:
            yield f"{name} {device['commission_against']} (`{command(name, folder)}`)"


def _protocols(folder: Path, bench: Bench) -> Iterator[dict[str, Any]]:
    """Each protocol that a person could name here, and which of its roles nothing on the bench can play."""
    for name, file in protocols(folder).items():
        lacking = []
        try:
            document = compose(read(file.read_bytes(), str(file)), folder)
            roles = document.data.get("roles") if isinstance(document.data, dict) else None
            if isinstance(roles, dict) and all(isinstance(c, str) for c in roles.values()):
                cast = Cast(roles, document, bench)
                cast.bind()
                lacking = [str(finding) for finding in cast.findings]
        except ValidationError as error:
            lacking = [str(finding) for finding in error.findings]
        own = file.parent == folder / "protocols"
        yield {"protocol": name, "own": own, "covered": not lacking, "lacking": lacking}


def _of_protocols(cast: list[dict[str, Any]]) -> Iterator[str]:
    """A protocol that lies beside the bench is meant for it; of those that come with labctl some need not fit."""
    for protocol in cast:
        if protocol["own"]:
            yield from protocol["lacking"]


def _standing(folder: Path, bench: Bench) -> Iterator[str]:
    """What its memory says against a start."""
    if (folder / ESTOP).exists():
        yield "the e-stop is set; `labctl clear --reason ...` takes it back"
    if not (folder / DATABASE).exists():
        return
    with Reader.open(folder / DATABASE) as reader:
        state = standing(reader)
        was = reader.identity().simulated
    if was != bench.simulated:
        kinds = {True: "simulated", False: "real"}
        yield f"its record is of a {kinds[was]} bench, and its addresses are {kinds[bench.simulated]} now"
    for name, chamber in state.chambers.items():
        if chamber.custody:
            yield f"{name} is in custody since {chamber.custody['cause']}"
        elif chamber.safe:
            yield f"{name} is being made safe"
        if chamber.latched:
            yield f"{name} has tripped ({', '.join(chamber.latched)}); clear and reset that run"


def _tell(
    bench: Bench, file: Path, findings: list[Finding], found: Survey, told: list[dict[str, Any]]
) -> None:
    kind = "SIMULATED" if bench.simulated else "REAL"
    owner = f", owned by controller {found.controller}" if found.controller is not None else ""
    print(f"{kind} bench {bench.bench}{owner}")
    if findings:
        print_findings(findings)
    print(f"{file}: {count(findings)}")
    print()
    columns = {
        "answers": _answers,
        "serial number": _serial,
        "audit": _audit,
        "calibration": _calibration,
        "commissioned": _commissioned,
    }
    print_table(
        ("instrument", "driver", *columns),
        [(d["name"], d["driver"], *(say(d) for say in columns.values())) for d in told],
    )


def _answers(device: Mapping[str, Any]) -> str:
    return {True: "yes", False: "NO", None: "not asked"}[device["reachable"]]


def _serial(device: Mapping[str, Any]) -> str:
    declared, told = device["serial_number"], device["serial_number_told"]
    if not declared:
        return "none declared"
    if told is None:
        return f"{declared}, not told" if device["audited"] else declared
    return declared if told == declared else f"{declared}, IS {told}"


def _audit(device: Mapping[str, Any]) -> str:
    if not device["audited"]:
        return "–"
    return f"{len(device['audit_failed'])} NOT ok" if device["audit_failed"] else "ok"


def _calibration(device: Mapping[str, Any]) -> str:
    due = device["calibration_due"]
    if due is None:
        return "–"
    return (
        f"{due}, OVERDUE"
        if device["calibration_overdue"]
        else f"{due}{', soon' * device['calibration_soon']}"
    )


def _commissioned(device: Mapping[str, Any]) -> str:
    if not device["commission_needed"]:
        return "not needed"
    until = device["commissioned_until"]
    return f"until {until}{', soon' * device['commission_soon']}" if until else "NO"


def _tell_rest(
    cast: list[dict[str, Any]],
    absent: list[dict[str, str]],
    problems: list[str],
) -> None:
    covered = [p["protocol"] for p in cast if p["covered"]]
    others = [p["protocol"] for p in cast if not p["covered"]]
    print()
    print(
        f"roles covered: {', '.join(covered) or 'of no protocol'}"
        + f"; not: {', '.join(others)}" * bool(others)
    )
    for each in absent:
        print(f"no {each['signal']} signal for {each['chamber']}: {each['lost']}")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print(f"could NOT run: {len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "could run")
