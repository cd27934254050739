"""`labctl samples`: what there is, what it was made of, and what was found out about it."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labctl.analysis import cell_tests
from labctl.analysis.samples import Register, Result, Sample, Share, cycle_life, read_register
from labctl.bench.loader import load_bench
from labctl.cli.control import actor, submit
from labctl.cli.memory import DATABASE, open_memory
from labctl.cli.terminal import print_json, print_table, say
from labctl.errors import UsageError
from labctl.model.quantity import QuantityError, parse
from labctl.model.samples import ADDED, FOUND, LABELLED, MERGED, PROPERTIES, SPLIT
from labctl.protocol.diagnosis import nearest
from labctl.runtime.commissioned import keep
from labctl.runtime.folder import Lock, controller_of, keep_file
from labctl.runtime.serve import open_store
from labctl.store.reader import Reader

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,63}")
_NUMBER = re.compile(r"\s*([+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)\s*(.*?)\s*")


def list_all(arguments: Namespace) -> int:
    """Every sample, in the order in which they were made."""
    with open_memory(arguments.bench) as reader:
        register = read_register(reader)
    chosen = [s for s in register.samples.values() if arguments.kind in (None, s.kind)]
    if arguments.json:
        print_json({"samples": [_as_json(register, s) for s in chosen]})
        return 0
    rows = [
        (s.id, s.kind, s.label, s.formula, s.lot, _grams(s.mass_g), _grams(register.left_g(s.id)), _day(s))
        for s in chosen
    ]
    print_table(("sample", "kind", "label", "formula", "lot", "made", "left", "since (UTC)"), rows)
    return 0


def show(arguments: Namespace) -> int:
    """One sample: what it was made of, what was made of it, and what was found out."""
    with open_memory(arguments.bench) as reader:
        register = read_register(reader)
        sample = _with_tests(reader, register.one(arguments.sample))
    if arguments.json:
        print_json(_as_json(register, sample))
        return 0
    for line in _words(register, sample):
        print(line)
    return 0


def tree(arguments: Namespace) -> int:
    """The whole chain of a sample, from the precursors' bottles to the life of the cell."""
    with open_memory(arguments.bench) as reader:
        register = read_register(reader)
        of = register.one(arguments.sample) if arguments.sample else register.newest()
        chain = [(depth, _with_tests(reader, sample)) for depth, sample in register.family(of.id)]
    if arguments.json:
        print_json({"tree": [{"depth": d, **_as_json(register, s)} for d, s in chain]})
        return 0
    for depth, sample in chain:
        pad = "   " * depth
        made_of = ", ".join(
            _share(p) for p in sample.parents if p.amount is not None or len(sample.parents) > 1
        )
        facts = [
            sample.kind,
            *filter(None, (sample.label, sample.formula, sample.lot and f"lot {sample.lot}")),
        ]
        print(f"{pad}{sample.id}  ({', '.join(facts)}{_mass(sample)})")
        if made_of:
            print(f"{pad}   of {made_of}")
        for result in sample.results:
            print(f"{pad}   {_result(result)}")
    return 0


def add(arguments: Namespace) -> int:
    """Tell of a sample that no run made: a bottle with its lot, a powder from elsewhere, an electrode."""
    with _register(arguments.bench) as register:
        _new(register, arguments.sample)
        shares = [(register.one(name).id, grams) for name, grams in _shares(arguments.of)]
        _there_is_enough(register, shares)
    data: dict[str, Any] = {"id": arguments.sample, "kind": arguments.kind}
    given = {"label": arguments.label, "formula": arguments.formula, "lot": arguments.lot}
    data |= {key: value for key, value in given.items() if value}
    if arguments.purity is not None:
        data["purity_wt_pct"] = _of_dimension(arguments.purity, "weight_percent")
    mass = arguments.mass
    if mass is None and shares and all(grams is not None for _, grams in shares):
        mass = round(sum(grams or 0.0 for _, grams in shares), 9)
    if mass is not None:
        data["mass_g"] = mass
    if shares:
        data["parents"] = [{"sample": name, "mass_g": grams} for name, grams in shares]
    return _tell(arguments, ADDED, data, arguments.sample)


def split(arguments: Namespace) -> int:
    """Take parts of a sample, each with its mass; together they cannot be more than there is."""
    with _register(arguments.bench) as register:
        whole = register.one(arguments.sample).id
        parts = _shares(arguments.into)
        for name, grams in parts:
            _new(register, name)
            if grams is None:
                raise UsageError(f"{name} needs its mass, as in {name}='0.5 g'")
        if len({name for name, _ in parts}) < len(parts):
            raise UsageError("a part is named twice")
        _there_is_enough(register, [(whole, sum(grams or 0.0 for _, grams in parts))])
    data = {"of": whole, "parts": [{"id": name, "mass_g": grams} for name, grams in parts]}
    return _tell(arguments, SPLIT, data, ", ".join(name for name, _ in parts))


def merge(arguments: Namespace) -> int:
    """Put samples together; its mass is what went in."""
    with _register(arguments.bench) as register:
        _new(register, arguments.sample)
        shares = [(register.one(name).id, grams) for name, grams in _shares(arguments.of)]
        if len(shares) < 2:
            raise UsageError("two samples are merged at least; `labctl samples split` takes a part of one")
        whole = [(name, register.left_g(name) if grams is None else grams) for name, grams in shares]
        _there_is_enough(register, whole)
        kinds = {register.samples[name].kind for name, _ in whole}
        if len(kinds) > 1 and arguments.kind is None:
            raise UsageError(f"{' and '.join(sorted(kinds))} are merged into what? Say --kind")
    data: dict[str, Any] = {"id": arguments.sample, "kind": arguments.kind or kinds.pop()}
    data |= {"label": arguments.label or "", "parts": [{"sample": n, "mass_g": grams} for n, grams in whole]}
    return _tell(arguments, MERGED, data, arguments.sample)


def result(arguments: Namespace) -> int:
    """Tell what was found out about a sample; a file is kept beside the record, and its digest in it."""
    with _register(arguments.bench) as register:
        sample = register.one(arguments.sample).id
    data: dict[str, Any] = {"sample": sample, **_measured(*arguments.value)}
    data["method"] = arguments.method or PROPERTIES[data["quantity"]].method
    if arguments.file is not None:
        data |= keep_file(arguments.bench, arguments.file)
    return _tell(arguments, FOUND, data, sample)


def label(arguments: Namespace) -> int:
    """Print what belongs on the vial; with a text, give the sample that label first."""
    with _register(arguments.bench) as register:
        sample = register.one(arguments.sample)
        others = [s.id for s in register.samples.values() if s.label == arguments.text and s.id != sample.id]
        if arguments.text and others:
            raise UsageError(f"{others[0]} has the label {arguments.text!r} already")
    if arguments.text:
        _tell(arguments, LABELLED, {"sample": sample.id, "label": arguments.text}, sample.id, quiet=True)
        sample = replace(sample, label=arguments.text)
    lines = [
        sample.label or sample.id,
        sample.id if sample.label else "",
        f"{sample.kind} {sample.formula}".strip(),
    ]
    lines += [f"lot {sample.lot}" if sample.lot else "", _grams(sample.mass_g), _day(sample)]
    for line in filter(None, lines):
        print(line)
    return 0


# -- what people type ------------------------------------------------------------------------------


def _register(folder: Path) -> _Opened:
    return _Opened(folder)


class _Opened:
    """The register of a bench folder, which may have no memory yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Register:
        if not (self._folder / DATABASE).exists():
            return Register()
        with Reader.open(self._folder / DATABASE) as reader:
            return read_register(reader)

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


def _new(register: Register, name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a sample: letters, digits, and any of . _ / - (64 at most)")
    if name in register.samples:
        raise UsageError(f"there is a sample {name} already")


def _shares(texts: Sequence[str]) -> list[tuple[str, float | None]]:
    """`NAME` or `NAME=MASS`, the mass in g."""
    shares = []
    for text in texts:
        name, given, mass = text.partition("=")
        shares.append((name.strip(), _of_dimension(mass, "mass") if given else None))
    return shares


def _there_is_enough(register: Register, shares: Sequence[tuple[str, float | None]]) -> None:
    for name, grams in shares:
        if grams is not None and grams <= 0.0:
            raise UsageError(f"{grams:g} g of {name} is nothing")
        lacking = None if grams is None else register.overdrawn(name, grams)
        if lacking is not None:
            left = register.left_g(name)
            raise UsageError(f"{name} has {left:g} g left, {lacking:.4g} g less than is taken")


def _of_dimension(text: str, dimension: str) -> float:
    try:
        return parse(text, dimension)
    except QuantityError as error:
        raise UsageError(str(error)) from None


def _measured(quantity: str, text: str) -> dict[str, Any]:
    """A result as it is kept: a number in the quantity's own unit, or words. Raises UsageError."""
    known = PROPERTIES.get(quantity)
    if known is None:
        hint = nearest(quantity, PROPERTIES) or f"there are {', '.join(PROPERTIES)}"
        raise UsageError(f"nothing is called {quantity!r} ({hint})")
    if not known.unit:
        return {"quantity": quantity, "value": text, "unit": ""}
    found = _NUMBER.fullmatch(text)
    if found is None or found[2] not in ("", known.unit):
        wanted = "a number" if known.unit == "1" else f"given in {known.unit}"
        raise UsageError(f"{quantity} is {wanted}, not {text!r}")
    value = float(found[1])
    if not known.low <= value <= known.high:
        raise UsageError(f"{quantity} of {value:g} {known.unit} cannot be: {known.low:g} to {known.high:g}")
    return {"quantity": quantity, "value": value, "unit": known.unit}


def _tell(arguments: Namespace, kind: str, data: dict[str, Any], about: str, *, quiet: bool = False) -> int:
    """Into the journal: by the controller if one runs, else by whoever holds the lock for a moment."""
    folder: Path = arguments.bench
    owner = controller_of(folder)
    if owner is not None:
        submit(folder, "sample", None, {"kind": kind, "data": data}, actor(arguments))
    else:
        with Lock(folder, "samples"), closing(open_store(folder, load_bench(folder))) as store:
            keep(store, kind, {**data, "by": actor(arguments)})
    if not quiet:
        print(about)
        say(f"{kind.replace('_', ' ')}: told in the journal of {folder}")
    return 0


# -- what they read --------------------------------------------------------------------------------


def _with_tests(reader: Reader, sample: Sample) -> Sample:
    """A cell with what its cycles say of its life."""
    if sample.kind != "cell" or not sample.run:
        return sample
    name = sample.id.removeprefix(f"{sample.run}/cell").removeprefix(".")
    tests = [cycles for of, cycles in cell_tests(reader, sample.run) if (of or "") == name]
    return replace(sample, results=(*sample.results, *(r for cycles in tests for r in cycle_life(cycles))))


def _words(register: Register, sample: Sample) -> Iterator[str]:
    facts: Mapping[str, str] = {
        "sample": sample.id,
        "kind": sample.kind,
        "label": sample.label,
        "formula": sample.formula,
        "lot": sample.lot,
        "purity": "" if sample.purity_wt_pct is None else f"{sample.purity_wt_pct:g} wt%",
        "mass": _grams(sample.mass_g),
        "left": _grams(register.left_g(sample.id)),
        "made by": sample.run or sample.by,
        "since": _day(sample),
        "made of": ", ".join(map(_share, sample.parents)),
        "gone into": ", ".join(child.id for child in register.children(sample.id)),
    }
    yield from (f"{name:10}{value}" for name, value in facts.items() if value)
    yield from (f"{'result':10}{_result(found)}" for found in sample.results)


def _as_json(register: Register, sample: Sample) -> dict[str, Any]:
    facts = asdict(sample)
    facts["parents"] = [asdict(share) for share in sample.parents]
    facts["results"] = [asdict(found) for found in sample.results]
    children = [child.id for child in register.children(sample.id)]
    return facts | {"left_g": register.left_g(sample.id), "children": children}


def _grams(mass_g: float | None) -> str:
    return "" if mass_g is None else f"{mass_g:.4f} g"


def _mass(sample: Sample) -> str:
    return f", {_grams(sample.mass_g)}" if sample.mass_g is not None else ""


def _share(share: Share) -> str:
    return share.sample if share.amount is None else f"{share.amount:.4f} {share.unit} {share.sample}"


def _result(found: Result) -> str:
    value = found.value if isinstance(found.value, str) else f"{found.value:g}"
    unit = "" if found.unit in ("", "1") else f" {found.unit}"
    told = ", ".join(
        filter(None, (found.method, found.file and f"{found.file} {found.sha256[:12]}", found.by))
    )
    return f"{found.quantity.replace('_', ' ')} {value}{unit}{f'  ({told})' if told else ''}"


def _day(sample: Sample) -> str:
    return datetime.fromtimestamp(sample.at_utc_ms / 1000.0, UTC).strftime("%Y-%m-%d %H:%M")
