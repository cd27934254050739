"""Pages made from the tables of the code, so that they cannot say anything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from labctl.bench.api import DriverEntry
from labctl.bench.discovery import drivers
from labctl.engine import alarms as alarm
from labctl.engine.guards import GUARDS, Guard
from labctl.engine.machine import COMMANDS, DONE, STATES, next_state
from labctl.model.limits import LIMITS
from labctl.protocol.rules import RULES
from labctl.protocol.rules.language import LANGUAGE
from tests.docs import language
from tests.docs.evidence import Evidence, gathered, words
from tests.docs.markdown import table

DOCS = Path(__file__).parents[2] / "docs"
MADE = "<!-- Made from the code by `make docs`. -->"

KINDS_OF_EVIDENCE = {
    "client": "foreign client, our simulator",
    "simulator": "our driver, foreign simulator",
    "record": "bytes of a real instrument",
}


def limits() -> str:
    """Every safety limit by name."""
    rows = [
        (f"`{name}`", f"{entry.value:g}", entry.unit.replace("degC", "°C"), entry.stricter, entry.meaning)
        for name, entry in LIMITS.items()
    ]
    return page(
        "Safety limits",
        "One table in `labctl/model/limits.py`; guards, rules and messages quote these names. A bench file may move "
        "a limit in its stricter direction, never in the other.",
        table(("name", "value", "unit", "stricter is", "meaning"), rows),
        "## Guards",
        "What watches a chamber, every scan, whatever its run does. A bench file says which watch which chamber. Of "
        "two on one cause the graver comes first. *When bad*: what a reading that is not good leads to.",
        table(
            ("guard", "what it sees", "does", "when bad", "priority", "may be bypassed"),
            [_guard(guard) for guard in GUARDS.values()],
        ),
    )


def _guard(guard: Guard) -> tuple[str, ...]:
    """A guard as a row: its first sentence, and what it does after how long."""
    sees = (guard.sees.__doc__ or "").partition("\n")[0]
    does = [
        stage.action.name.lower() + (f" after `{stage.lasting}`" if stage.lasting else " at once")
        for stage in guard.stages
    ]
    may = "yes" if guard.bypass else "never"
    return (f"`{guard.name}`", sees, ", ".join(does), guard.on_bad, guard.priority, may)


def rules() -> str:
    """Every rule by name, and what a site may do about it."""
    waived = {"never": "never", "warnings": "warnings", "errors": "all of it"}
    rows = [
        (
            f"`{rule.id}`",
            rule.severity,
            rule.rationale,
            rule.source,
            f"{rule.number.value:g} {rule.number.unit}, {rule.number.stricter}" if rule.number else "",
            waived[rule.waive],
        )
        for rule in RULES
    ]
    read = [(f"`{rule.id}`", rule.rationale) for rule in LANGUAGE]
    return page(
        "Rules",
        "What `labctl validate` and `labctl plan` judge a plan by, before anything gets hot: `labctl rules ID` tells "
        "all about one. An error refuses, a warning is told at every start, a note asks for nothing. Severity is what "
        "it is at most; sources carry how sure they are.",
        table(("rule", "at most", "why", "source", "limit, stricter is", "may be waived"), rows),
        "## What a site may say about a rule",
        "In `bench.yaml`, `rules: {FUR-003: {limit: 3}}` tightens the number of a rule, and `rules: {FUR-003: {waive: "
        "REASON, by: NAME}}` turns what it finds into a note. Both are part of the identity of the bench and are "
        "journaled when a run is created. A rule that the safety contract keeps cannot be waived.",
        "## While a file is read",
        table(("rule", "why"), read),
    )


def alarms() -> str:
    """Every state of an alarm with every trigger."""
    rows = []
    for state in alarm.STATES:
        cells = []
        for trigger in alarm.TRIGGERS:
            on, off = (alarm.next_state(state, trigger, active=active) for active in (True, False))
            latched = alarm.next_state(state, trigger, latching=True)
            cells.append(" or ".join(dict.fromkeys(str(s) for s in (on, off, latched) if s)) or "–")
        rows.append((f"**{state}**", *cells))
    return page(
        "Alarms",
        "The table of `labctl/engine/alarms.py`, after ISA-18.2. Where two states stand, the condition decides, or "
        "whether the alarm latches. A dash is a refusal. An alarm only tells: guards act whatever state it is in.",
        table(("state", *alarm.TRIGGERS), rows),
        "`labctl alarms` lists them and counts what people had to deal with, `labctl ack` acknowledges. "
        "`labctl shelve` hides one for a while, with a reason: never one that asks for hands, and during a run never "
        "that of a guard that trips. `labctl bypass` lets a guard only tell, where the table of guards allows it; "
        "every face says so, again each hour, and it ends with the run. What comes first in a chamber is marked "
        "*first out*, and what merely follows from a shown alarm is suppressed.",
    )


def states() -> str:
    """Every state of a run with every command."""
    rows = []
    for state in STATES:
        cells = [next_state(state, command) or "–" for command in COMMANDS]
        if state == "ABORTED":
            cells[COMMANDS.index("RESET")] = "IDLE, once cleared"
        rows.append((f"**{state}**", *cells, DONE.get(state, "–")))
    return page(
        "States of a run",
        f"The {len(STATES) * len(COMMANDS)} cells of `labctl/engine/machine.py`, after ISA-88. A dash is a refusal. "
        "The last column is where an acting state goes by itself, once what it does is confirmed.",
        table(("state", *COMMANDS, "when done"), rows),
        "HOLD is for faults and people, PAUSE for people only. STOP cools down at a controlled rate, ABORT takes the "
        "energy away at once; both leave gas flowing. An aborted run can be reset only after a person said what the "
        "cause was (`labctl clear --reason ...`). What trips while no run uses its chamber, or after that reset, is "
        "cleared at the chamber, by the same verb. How a run ended is written once and never changes.",
    )


def instruments() -> str:
    """Every driver as it declares itself."""
    return page(
        "Instruments",
        "What each driver declares in its `DriverEntry`, and what speaks for it. **No driver was tried on a real "
        "instrument yet.** Items that nobody has confirmed on hardware are listed. With one that is marked **safety**, "
        "a real instrument reads, but no run that heats, stirs or charges with it starts before `labctl commission` "
        "has recorded it.",
        "Evidence is one of three. *independent both sides*: a foreign client works with our simulator, and our driver "
        "with a foreign one. *independent client only*: the first of the two. *self-consistent only*: driver and "
        "simulator share no code, but nobody else has met either. A foreign Modbus or VISA program is independent of "
        "our codecs, not of what we read in the makers' documents.",
        table(("instrument", "evidence"), [(e.title, words(_evidence(e))) for e in drivers().values()]),
        *(_instrument(entry) for entry in drivers().values()),
    )


def _evidence(entry: DriverEntry) -> list[Evidence]:
    return [each for each in gathered() if each.driver == entry.name]


def _instrument(entry: DriverEntry) -> str:
    ramp = "the host moves its setpoint along" if entry.host_ramp else "its own, where a step asks for one"
    heats = "heat" in entry.effects or bool(
        {"tube_furnace", "oven", "solvent_dryer"} & set(entry.capabilities)
    )
    facts = [
        ("driver", f"`{entry.name}`"),
        ("plays", ", ".join(f"`{c}`" for c in entry.capabilities)),
        ("link", entry.link),
        ("signals", ", ".join(f"{s.name} ({s.unit})" for s in entry.signals)),
        *([("ramp", ramp)] if heats else []),
        *([("dead-man", f"heat lapses {entry.lease_s:g} s after the last renewal")] if entry.lease_s else []),
        ("when the host falls silent", entry.on_comms_loss),
        ("when power returns", entry.on_power_return),
        ("simulated by", f"`{entry.device}`" if entry.device else "not simulated"),
        ("evidence", words(_evidence(entry))),
        *((KINDS_OF_EVIDENCE[e.side], f"{e.by} (`{e.test}`)") for e in _evidence(entry)),
    ]
    unverified = (
        "\n".join(f"- {'**safety**: ' if item.safety else ''}{item.text}" for item in entry.unknowns)
        or "- nothing is marked"
    )
    options = "\n".join(f"- `{name}`: {meaning}" for name, meaning in entry.options.items()) or "- none"
    return (
        f"## {entry.title}\n\n{table(('', ''), facts)}\n\n"
        f"Options in the bench file (`sim_`: of the simulated one only):\n\n{options}\n\n"
        f"Unverified:\n\n{unverified}"
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "limits.md": limits,
    "rules.md": rules,
    "states.md": states,
    "alarms.md": alarms,
    "instruments.md": instruments,
    "protocols.md": language.page,
}


def page(title: str, *parts: str) -> str:
    """A page of Markdown."""
    return "\n\n".join((f"# {title}", MADE, *parts)) + "\n"
