"""`labctl diff`: what differs between two protocols, or two runs, by what it means."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labctl.analysis import Analysis, analyse
from labctl.analysis.comparison import Comparison, Pair, compare
from labctl.cli.memory import DATABASE, run_of
from labctl.cli.terminal import print_json, print_table, say
from labctl.cli.validate import checked, chosen_bench
from labctl.errors import Finding, UsageError, ValidationError
from labctl.protocol.difference import Change, differences, only_in
from labctl.protocol.plan import Plan
from labctl.report.numbers import name_of, quantity
from labctl.store.reader import Reader

MARKS = {"added": "+", "removed": "-", "moved": "~", "changed": "~"}


def main(arguments: Namespace) -> int:
    """Compare, and print. Returns 3 when a protocol is not valid; whether there are differences, stdout says."""
    runs = [_as_run(word, arguments.bench) for word in (arguments.a, arguments.b)]
    one, two = runs
    if one is not None and two is not None:
        return _of_runs(one, two, arguments)
    if one is not None or two is not None:
        run, other = (arguments.a, arguments.b) if one is not None else (arguments.b, arguments.a)
        raise UsageError(f"{run} is a run, and {other} is none; compare two runs, or two protocols")
    return _of_protocols(arguments)


# -- protocols


@dataclass(frozen=True, slots=True)
class Checked:
    """A protocol on a bench; plan is None when it is not valid."""

    name: str
    plan: Plan | None
    findings: list[Finding]


def _of_protocols(arguments: Namespace) -> int:
    bench = chosen_bench(arguments.bench)
    both = arguments.a != arguments.b
    sides = []
    for word, given in (
        (arguments.a, arguments.parameters if both else []),
        (arguments.b, arguments.parameters),
    ):
        asked = Namespace(protocol=word, parameters=given, bench=arguments.bench)
        sides.append(Checked(word, *checked(asked, bench)))
    one, two = sides
    changes = differences(one.plan, two.plan) if one.plan and two.plan else ()
    lost, new = only_in(one.findings, two.findings), only_in(two.findings, one.findings)
    invalid = [side.name for side in sides if side.plan is None]
    if arguments.json:
        hashes = {side: plan and plan.plan_hash for side, plan in (("a", one.plan), ("b", two.plan))}
        found = {"only_a": [asdict(f) for f in lost], "only_b": [asdict(f) for f in new]}
        print_json({"of": "protocols", "plan_hash": hashes, "invalid": invalid,
                    "changes": [asdict(c) for c in changes], "findings": found})  # fmt: skip
    else:
        print_changes(changes)
        _print_findings(lost, new)
        if invalid:
            say(f"{' and '.join(dict.fromkeys(invalid))} cannot be planned; only findings are compared")
        elif not (changes or lost or new):
            print("no difference")
    return ValidationError.exit_code if invalid else 0


def print_changes(changes: Sequence[Change]) -> None:
    """Differences of plans, each part named once."""
    if changes:
        print_table(("", "where", "what", "was", "is"), _rows(changes))


def _rows(changes: Sequence[Change]) -> Iterator[tuple[str, ...]]:
    named = ""
    for c in changes:
        where, named = ("" if c.where == named else c.where), c.where
        what = c.what or ("place" if c.sort == "moved" else "")
        yield MARKS[c.sort], where, what, shown(c.before, c.unit), shown(c.after, c.unit)


def shown(value: Any, unit: str) -> str:
    """A value of a plan as a person writes it."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        return quantity(value, unit) if unit else f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(v, '')}" for name, v in value.items() if v not in (None, [], ""))
    return ", ".join(shown(v, "") for v in value) if isinstance(value, list | tuple) else json.dumps(value)


def _print_findings(lost: Sequence[Finding], new: Sequence[Finding]) -> None:
    rows = [("-", f.severity, f.rule, f.message) for f in lost] + [
        ("+", f.severity, f.rule, f.message) for f in new
    ]
    if rows:
        print_table(("", "finding", "rule", "message"), rows)


# -- runs


def _as_run(word: str, bench: Path | None) -> Analysis | None:
    """The run that a word names: one of the bench's memory, or the newest of a bench folder; None: no run."""
    folder = Path(word)
    if (folder / DATABASE).is_file():
        with Reader.open(folder / DATABASE) as reader:
            return analyse(reader, run_of(reader, None), charts=False)
    memory = (bench or Path()) / DATABASE
    if not memory.is_file():
        return None
    with Reader.open(memory) as reader:
        if word not in {run.run_id for run in reader.runs()}:
            return None
        return analyse(reader, word, charts=False)


def _of_runs(one: Analysis, two: Analysis, arguments: Namespace) -> int:
    if arguments.parameters:
        raise UsageError("parameters are of protocols; what runs were given, their record says")
    changes, comparison = differences(one.plan, two.plan), compare(one, two)
    if arguments.json:
        print_json({
            "of": "runs",
            "a": one.run_id,
            "b": two.run_id,
            "changes": [asdict(c) for c in changes],
            "outcomes": {name: list(pair) for name, pair in comparison.outcomes.items()},
            "quantities": [{**asdict(p), "differs": p.differs} for p in comparison.pairs],
            "remarks": {"only_a": comparison.only_one, "only_b": comparison.only_two},
        })  # fmt: skip
        return 0
    for mark, run in (("-", one), ("+", two)):
        say(f"{mark} {'SIMULATED ' if run.simulated else ''}{run.run_id}")
    print_changes(changes)
    _print_comparison(comparison)
    if not changes and not _anything(comparison):
        print("no difference")
    return 0


def _anything(c: Comparison) -> bool:
    outcomes = any(one != two for one, two in c.outcomes.values())
    return bool(outcomes or any(p.differs for p in c.pairs) or c.only_one or c.only_two)


def _print_comparison(c: Comparison) -> None:
    rows: list[tuple[str, ...]] = [
        ("", name, one, two, "") for name, (one, two) in c.outcomes.items() if one != two
    ]
    rows += [_pair(p) for p in c.pairs if p.differs or p.deviates]
    if rows:
        print_table(("step", "quantity", "was", "is", ""), rows)
    for mark, texts in (("-", c.only_one), ("+", c.only_two)):
        for text in texts:
            print(f"{mark} {text}")


def _pair(p: Pair) -> tuple[str, ...]:
    return p.step or "", name_of(p.quantity), _actual(p.one, p), _actual(p.two, p), _judged(p)


def _actual(value: float | None, p: Pair) -> str:
    unit = "s" if p.quantity.endswith("_s") and not p.unit else p.unit
    return quantity(value, unit)


def _judged(p: Pair) -> str:
    words = {True: "ok", False: "OUTSIDE", None: "not judged"}
    one, two = (words[ok] for ok in p.judged)
    return "" if p.judged == (None, None) else one if one == two else f"{one}, then {two}"
