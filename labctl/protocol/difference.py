"""What differs between two plans, by what it means: parameters, roles, contents, and steps by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from labctl.errors import Finding
from labctl.protocol.plan import Plan

Sort = Literal["added", "removed", "moved", "changed"]

UNITS = {
    "_k_per_min": "K/min", "_ma_per_g": "mA/g", "_sccm": "sccm", "_ppm": "ppm", "_rpm": "rpm", "_cm3": "cm3",
    "_c": "degC", "_k": "K", "_s": "s", "_v": "V", "_g": "g", "_a": "A", "_mg": "mg", "_ml": "mL",
}  # fmt: skip
"""Endings of a plan's field names, and the unit that each says."""

RATE = "rate_c"
"""The one that ends like a temperature and is a multiple of 1C."""

WORDS = {"target_c": "to", "speed_rpm": "speed", "duration_s": "for", "flow_sccm": "flow"}
"""What fields are called in a protocol, where not by their own name without its unit."""

DERIVED = ("instruments", "expected_s")
"""Follow from other fields, which differ then too."""

NAMES = ("id", "name", "quantity")
"""What entries of a list are told apart by."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. where: a parameter, a step or another part; what: of it, or nothing for all of it.

    before, after: values in `unit` as the plans have them; None where there is none.
    """

    sort: Sort
    where: str
    what: str
    before: Any
    after: Any
    unit: str = ""


def differences(a: Plan, b: Plan) -> tuple[Change, ...]:
    """Everything that differs from `a` to `b`, in the order of the plans."""
    return tuple(_differences(a, b))


def _differences(a: Plan, b: Plan) -> Iterator[Change]:
    one, two = a.outcome(), b.outcome()
    for field in ("protocol", "title"):
        yield from _compared(field, "", one[field], two[field])
    yield from _parameters(a, b)
    yield from _named("role", one["roles"], two["roles"])
    yield from _fields("product", one["product"] or {}, two["product"] or {})
    yield from _fields("charge", one["charge"], two["charge"])
    yield from _entries("contents", one.get("contents") or (), two.get("contents") or ())
    yield from _entries("expected", one["expected"], two["expected"])
    yield from _steps(one["steps"], two["steps"])
    yield from _compared("bench", "", a.bench_identity[:12], b.bench_identity[:12])


def _parameters(a: Plan, b: Plan) -> Iterator[Change]:
    """By value and unit; how they were written does not count."""
    one, two = ({p.name: p for p in plan.parameters} for plan in (a, b))
    for name in dict.fromkeys((*one, *two)):
        was, now, where = one.get(name), two.get(name), f"parameter {name}"
        if was is None or now is None:
            known = was or now
            assert known is not None
            sort: Sort = "added" if was is None else "removed"
            yield Change(sort, where, "", was and was.value, now and now.value, known.unit)
        else:
            yield from _compared(where, "", was.value, now.value, now.unit)
            yield from _compared(where, "provenance", was.provenance, now.provenance)


def _named(kind: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*one, *two)):
        yield from _compared(f"{kind} {name}", "", one.get(name), two.get(name))


def _entries(
    kind: str, one: Sequence[Mapping[str, Any]], two: Sequence[Mapping[str, Any]]
) -> Iterator[Change]:
    was, now = ({_name(entry): entry for entry in entries} for entries in (one, two))
    for name in dict.fromkeys((*was, *now)):
        where = f"{kind} {name}"
        if name not in was or name not in now:
            yield Change("removed" if name in was else "added", where, "", None, None)
        else:
            yield from _fields(where, was[name], now[name])


def _steps(one: Sequence[Mapping[str, Any]], two: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    was, now = ({step["id"]: step for step in steps} for steps in (one, two))
    common = [i for i in was if i in now]
    moved = _moved(common, [i for i in now if i in was])
    for name, step in was.items():
        if name not in now:
            yield Change("removed", f"step {name}", "", step["kind"], None)
    for name, step in now.items():
        where = f"step {name}"
        if name not in was:
            yield Change("added", where, "", None, step["kind"])
            continue
        if name in moved:
            yield Change("moved", where, "", [*was].index(name) + 1, [*now].index(name) + 1)
        if was[name]["kind"] != step["kind"]:
            yield Change("changed", where, "kind", was[name]["kind"], step["kind"])
        else:
            yield from _fields(where, was[name], step)


def _moved(before: list[str], after: list[str]) -> set[str]:
    """The fewest that were taken elsewhere: all but the longest sequence that kept its order."""
    place = {name: n for n, name in enumerate(before)}
    best: list[tuple[int, str | None]] = []
    for i, name in enumerate(after):
        earlier = [(best[j][0], after[j]) for j in range(i) if place[after[j]] < place[name]]
        length, previous = max(earlier, default=(0, None))
        best.append((length + 1, previous))
    kept: set[str] = set()
    name_at: str | None = max(zip(best, after, strict=True))[1] if after else None
    links = {name: previous for name, (_, previous) in zip(after, best, strict=True)}
    while name_at is not None:
        kept.add(name_at)
        name_at = links[name_at]
    return {*after} - kept


def _fields(where: str, one: Mapping[str, Any], two: Mapping[str, Any], of: str = "") -> Iterator[Change]:
    """Field by field, into what is nested."""
    for name in dict.fromkeys((*one, *two)):
        if name not in DERIVED:
            yield from _value(where, name, one.get(name), two.get(name), of)


def _value(where: str, name: str, was: Any, now: Any, of: str) -> Iterator[Change]:
    what, unit = _words(name)
    whole = f"{of} {what}".strip()
    if isinstance(was, Mapping) or isinstance(now, Mapping):
        if was is None or now is None:
            yield Change("added" if was is None else "removed", where, whole, was, now)
        else:
            yield from _fields(where, was, now, whole)
    elif _listed(was) or _listed(now):
        yield from _listing(where, what, whole, was or [], now or [])
    else:
        yield from _compared(where, whole, was, now, unit)


def _listed(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value)


def _listing(where: str, what: str, whole: str, was: list[Any], now: list[Any]) -> Iterator[Change]:
    if max(len(was), len(now)) == 1 and len(was) == len(now):  # a single segment is the step itself
        yield from _fields(where, was[0], now[0], "" if what == "segments" else whole)
        return
    named = all(any(key in entry for key in NAMES) for entry in (*was, *now))
    if named:
        one, two = ({_name(entry): entry for entry in entries} for entries in (was, now))
        pairs = [(name, one.get(name), two.get(name)) for name in dict.fromkeys((*one, *two))]
    else:
        pairs = [(str(n), *pair) for n, pair in enumerate(zip_longest(was, now), 1)]
    for name, before, after in pairs:
        label = f"{whole} {name}"
        if before is None or after is None:
            yield Change("added" if before is None else "removed", where, label, before, after)
        else:
            yield from _fields(where, before, after, label)


def _name(entry: Mapping[str, Any]) -> str:
    return next((str(entry[key]) for key in NAMES if key in entry), "")


def _words(name: str) -> tuple[str, str]:
    """What a field is called, and its unit."""
    if name == RATE:
        return "rate", "C"
    ending = next((e for e in UNITS if name.endswith(e)), "")
    return WORDS.get(name, name.removesuffix(ending).replace("_", " ")), UNITS.get(ending, "")


def _compared(where: str, what: str, was: Any, now: Any, unit: str = "") -> Iterator[Change]:
    if was != now:
        sort: Sort = "added" if was is None else "removed" if now is None else "changed"
        yield Change(sort, where, what, was, now, unit)


def only_in(one: Sequence[Finding], other: Sequence[Finding]) -> list[Finding]:
    """The findings of one that the other does not have: the same rule saying the same is the same, wherever."""
    known = {(f.rule, f.severity, f.message) for f in other}
    return [f for f in one if (f.rule, f.severity, f.message) not in known]
