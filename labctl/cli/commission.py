"""`labctl commission`: record that a real instrument is what its driver takes it for, before it may heat."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from labctl.analysis.cooling import Cooling, cooling
from labctl.bench.api import DriverEntry, Unverified
from labctl.bench.commissioning import COMMISSIONED, VALID_DAYS, VOIDED, needs_commission
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench, Instrument
from labctl.bench.trials import Shown, Trial, trials_of
from labctl.cli.interview import TEMPLATE, Interview, chosen
from labctl.cli.terminal import print_json, print_table, say
from labctl.errors import InstrumentError, PermissiveError, UsageError
from labctl.model.limits import limit
from labctl.model.readings import GOOD, Reading
from labctl.protocol.diagnosis import nearest
from labctl.runtime.assembly import connections
from labctl.runtime.backdoor import ascertained
from labctl.runtime.clock import RealClock, nap, wall_s
from labctl.runtime.commissioned import keep
from labctl.runtime.folder import DATABASE, Lock
from labctl.runtime.instruments import Connection, connect
from labctl.runtime.record import replayed
from labctl.runtime.serve import open_store
from labctl.store import Reader, Store

HEATERS = frozenset({"tube_furnace", "oven", "solvent_dryer"})
"""What has a cool-down that gas and custody must outlast."""

SEEN_WITHIN_S = 15.0
"""So long labctl waits to see what a person has just done (assumed: time-outs and reconnection of a slow line)."""
LOOKS_EVERY_S = 0.25


def main(arguments: Namespace) -> int:
    """Ask, look, and record; 8 when something is not as it must be, and that is recorded too."""
    folder: Path = arguments.bench
    bench = ascertained(load_bench(folder))
    name: str = arguments.instrument
    if name not in bench.instruments:
        raise UsageError(f"{bench.bench} has no instrument {name!r} ({nearest(name, bench.instruments)})")
    instrument = bench.instruments[name]
    entry = drivers()[instrument.driver]
    if arguments.questions:
        print(questions(name, bench, entry), end="")
        return 0
    if arguments.by is None:
        raise UsageError("say who stands for it: --by NAME")
    if bench.simulated:
        raise UsageError(
            f"{folder} is simulated, and its instruments count as commissioned; nothing was recorded"
        )
    if arguments.void:
        return _void(folder, bench, name, arguments)
    if not needs_commission(entry):
        say(f"nothing that driver {entry.name} leaves unverified is relevant for safety; {name} may heat")
        return 0
    if not instrument.serial_number:
        raise PermissiveError(
            f"{name} has no serial_number in {folder / 'bench.yaml'}; give it that of its plate"
        )
    interview = chosen(arguments.answers)
    with Lock(folder, "commission"), closing(open_store(folder, bench)) as store:
        _at_rest(store, bench)
        connection = connections(
            bench.model_copy(update={"instruments": {name: instrument}}), {entry.name: entry}, _any_clock
        )[name]
        with closing(connection.driver):
            data = _asked(bench, entry, connection, interview, arguments)
        keep(store, COMMISSIONED, data)
    return _tell(data, arguments)


def questions(name: str, bench: Bench, entry: DriverEntry) -> str:
    """A file of answers to fill in."""
    instrument = bench.instruments[name]
    signals = entry.signals
    measured = 'cooldown: ""    # measured to 100 degC, as in 15 min; or give --cooldown-from RUN\n'
    return TEMPLATE.format(
        name=name,
        title=entry.title,
        serial=instrument.serial_number or "(none in the bench file)",
        items="\n".join(f"  {json.dumps(item.text)}: false" for item in _relevant(entry)),
        trials="\n".join(f"  {t.name}: false    # {t.do}; {t.undo}" for t in trials_of(instrument, signals)),
        cooldown=measured if _cools(instrument) else "",
    )


def _relevant(entry: DriverEntry) -> list[Unverified]:
    return [item for item in entry.unknowns if item.safety]


def _cools(instrument: Instrument) -> bool:
    return bool(HEATERS & set(instrument.provides)) and instrument.chamber is not None


def _any_clock(bus: str) -> RealClock:
    return RealClock()


def _void(folder: Path, bench: Bench, name: str, arguments: Namespace) -> int:
    if not arguments.reason:
        raise UsageError("say why, for example what was repaired: --reason TEXT")
    with Lock(folder, "commission"), closing(open_store(folder, bench)) as store:
        data = {"instrument": name, "by": arguments.by, "reason": arguments.reason}
        keep(store, VOIDED, data)
    if arguments.json:
        print_json(data)
    else:
        print(f"{name}: no longer commissioned: {arguments.reason}")
    return 0


def _at_rest(store: Store, bench: Bench) -> None:
    """Cold trip tests are made on a cold bench that nobody uses."""
    state = replayed(store, list(bench.chambers))
    for run in state.runs.values():
        if run.end_state is None and run.started_s is not None:
            raise PermissiveError(f"run {run.run_id} is {run.state}; commission a bench at rest")
    for name, chamber in state.chambers.items():
        if chamber.energised or chamber.custody or chamber.safe:
            raise PermissiveError(
                f"{name} is not proven cold since it was last used; `labctl serve` watches it"
            )


def _asked(
    bench: Bench, entry: DriverEntry, connection: Connection, interview: Interview, arguments: Namespace
) -> dict[str, Any]:
    """The whole interview: what was answered, what labctl saw, and what speaks against the instrument."""
    name = connection.name
    instrument = bench.instruments[name]
    shown = _first_look(connection)
    audit = connection.audit
    assert audit is not None
    failed = [f"{i.name} is {i.found}, wanted {i.wanted}" for i in audit.items if not i.ok]
    say(f"{name}: {entry.title}, at {instrument.address}")
    say(f"  when the host falls silent: {entry.on_comms_loss}")
    say(f"  when power returns: {entry.on_power_return}")
    if not interview.plate(instrument.serial_number):
        failed.append(f"the serial number on its plate is not {instrument.serial_number}")
    known = shown_now(shown) | {item.name: item.found for item in audit.items}
    items = []
    for item in _relevant(entry):
        text = ", ".join(f"{by} {known[by]}" for by in item.shown_by if by in known)
        so = interview.item(item.text, text)
        items.append({"item": item.text, "showed": text, "so": so})
    failed += [f"not so: {item['item']}" for item in items if not item["so"]]
    trials = []
    for trial in trials_of(instrument, connection.driver.signals):
        done, against = _trial(trial, connection, interview)
        trials.append(done)
        failed += against
    measured, against = _cool_down(bench, instrument, name, interview, arguments)
    return {
        "instrument": name,
        "driver": entry.name,
        "serial_number": instrument.serial_number,
        "by": arguments.by,
        "note": interview.note(),
        "audit": audit.to_json(),
        "items": items,
        "trials": trials,
        "cooldown": measured,
        "failed": failed + against,
    }


def _first_look(connection: Connection) -> Shown:
    """Open, audit and read it. Raises InstrumentError, and PermissiveError while it is hot."""
    connect(connection)
    if connection.problem:
        raise InstrumentError(f"{connection.name}: {connection.problem}")
    shown = look(connection)
    temperature = shown.get("temperature")
    if (
        temperature is not None
        and temperature.quality is GOOD
        and (temperature.value or 0.0) > limit("T_open")
    ):
        raise PermissiveError(
            f"{connection.name} reads {temperature.value:.0f} degC; trip tests are made below {limit('T_open'):g} degC"
        )
    return shown


def look(connection: Connection) -> Shown:
    """What an instrument shows now."""
    signals = [signal.name for signal in connection.driver.signals]
    return dict(zip(signals, connection.driver.read(), strict=True))


def shown_now(shown: Shown) -> dict[str, str]:
    """Readings in words: a value with its unit, or how it is not to be believed."""
    return {name: in_words(reading) for name, reading in shown.items()}


def in_words(reading: Reading) -> str:
    """`25.1 degC`, `1372 degC (bad)`, `silent`."""
    if reading.value is None:
        return reading.quality.name.lower().replace("_", " ")
    value = f"{reading.value:g}" + (f" {reading.unit}" if reading.unit != "1" else "")
    return value if reading.quality is GOOD else f"{value} ({reading.quality.name.lower().replace('_', ' ')})"


def _trial(trial: Trial, connection: Connection, interview: Interview) -> tuple[dict[str, Any], list[str]]:
    """One cold trip test: what was seen of it, and what speaks against the instrument."""
    say(f"\n{trial.name}, with nothing heated: {trial.do}; then {trial.undo}")
    saw, against = [], []
    if interview.watched:
        for do, wanted, holds in (
            (trial.do, trial.wanted, trial.tripped),
            (trial.undo, trial.wanted_again, trial.restored),
        ):
            interview.act(do)
            shown, so = _until(connection, holds)
            text = ", ".join(f"{signal} {words}" for signal, words in shown_now(shown).items())
            saw.append(f"labctl {'saw' if so else 'did NOT see'} {wanted}: {text}")
            say(f"  {saw[-1]}")
            if not so:
                against.append(f"{trial.name}: labctl did not see {wanted} after: {do}")
    if not interview.trial(trial.name):
        against.append(f"{trial.name}: not confirmed")
    return {"trial": trial.name, "saw": saw, "so": not against}, against


def _until(connection: Connection, holds: Callable[[Shown], bool]) -> tuple[Shown, bool]:
    """Look until it shows what it should, or `SEEN_WITHIN_S` has passed; the last look, and whether it did."""
    deadline = wall_s() + SEEN_WITHIN_S
    while not holds(shown := look(connection)):
        if wall_s() > deadline:
            return shown, False
        nap(LOOKS_EVERY_S)
    return shown, True


def _cool_down(
    bench: Bench, instrument: Instrument, name: str, interview: Interview, arguments: Namespace
) -> tuple[dict[str, Any] | None, list[str]]:
    """The measured cool-down, and whether the bench file counts on a shorter one."""
    if not _cools(instrument):
        return None, []
    chamber = bench.chambers[instrument.chamber or ""]
    if arguments.cooldown_from is not None:
        found = _from_run(bench, name, chamber.cooldown_from_c, arguments)
        seconds, data = found.cooldown_s, {"measured_in": found.run, "tau_s": round(found.tau_s, 1)}
    else:
        seconds = arguments.cooldown or interview.cooldown_s(chamber.cooldown_s, chamber.cooldown_from_c)
        data = {"measured_in": None}
    data |= {"cooldown_s": round(seconds, 1), "from_c": chamber.cooldown_from_c}
    if seconds <= chamber.cooldown_s:
        return data, []
    return data, [
        f"it cools from {chamber.cooldown_from_c:g} degC in {seconds:.0f} s, and the bench file counts on "
        f"cooldown_s: {chamber.cooldown_s:g}"
    ]


def _from_run(bench: Bench, name: str, from_c: float, arguments: Namespace) -> Cooling:
    with Reader.open(arguments.bench / DATABASE) as reader:
        run = reader.run(arguments.cooldown_from).run_id
        return cooling(reader, run, name, from_c, bench.ambient_c)


def _tell(data: Mapping[str, Any], arguments: Namespace) -> int:
    failed: Sequence[str] = data["failed"]
    code = PermissiveError.exit_code if failed else 0
    if arguments.json:
        print_json({**data, "commissioned": not failed, "valid_days": 0 if failed else VALID_DAYS})
        return code
    rows = [(item["item"], item["so"]) for item in data["items"]]
    rows += [(trial["trial"], trial["so"]) for trial in data["trials"]]
    print_table(("what", "as it should be"), [(what, "yes" if so else "NO") for what, so in rows])
    if measured := data["cooldown"]:
        print(f"cool-down from {measured['from_c']:g} degC: {measured['cooldown_s']:g} s")
    for reason in failed:
        print(f"against it: {reason}")
    verdict = "NOT commissioned" if failed else f"commissioned by {data['by']}, for {VALID_DAYS} days"
    print(f"{data['instrument']} {data['serial_number']}: {verdict}")
    return code
