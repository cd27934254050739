"""Parameters of a protocol: defaults, what was given, bounds, and the references that they fill in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from pydantic import ValidationError as SchemaError

from labctl.errors import Finding
from labctl.model.quantity import DIMENSIONS, QuantityError, dimension_of, parse
from labctl.protocol.diagnosis import MOST_HINTS, findings_of, nearest
from labctl.protocol.plan import Parameter
from labctl.protocol.schema import WrittenParameter, WrittenProtocol
from labctl.protocol.source import Document, Path, Place, scalar
from labctl.protocol.words import MOST_NAMED, MOST_TEXT, REFERENCE, Scalar

Resolved = dict[str, Parameter]


def resolve(document: Document, given: Mapping[str, str]) -> tuple[Resolved, list[Finding]]:
    """Every parameter of the document with its value, and what is wrong with them or with what was given."""
    block = document.data.get("parameters") if isinstance(document.data, dict) else None
    if not isinstance(block, dict) or len(block) > MOST_NAMED:
        block = {}  # the schema says so
    findings: list[Finding] = []
    resolved: Resolved = {}
    for name in given:
        if name not in block:
            path: Path = ("parameters",)
            message = f"there is no parameter {name!r}"
            findings.append(document.finding("PAR-001", path, message, nearest(name, block), key=True))
    for name, raw in block.items():
        try:
            written = WrittenParameter.model_validate(raw)
        except SchemaError:
            continue  # the schema says so, with its place
        parameter, found = _resolve_one(document, name, written, given.get(name))
        findings += found
        if parameter:
            resolved[name] = parameter
    return resolved, findings


def _resolve_one(
    document: Document, name: str, written: WrittenParameter, given: str | None
) -> tuple[Parameter | None, list[Finding]]:
    path: Path = ("parameters", name)

    def at(field: str, rule: str, message: str, hint: str | None = None) -> Finding:
        return document.finding(rule, (*path, field), message, hint, key=field == "given")

    value: Scalar | None = written.default if given is None else _read(given)
    if value is None:
        message = f"parameter {name!r} has no default and was not given"
        return None, [document.finding("PAR-002", path, message, f"give it: -p {name}=...", key=True)]
    source = "default" if given is None else "given"
    fields = {"min": written.min, "max": written.max, "default": written.default, source: value}
    texts = {field: v for field, v in fields.items() if v is not None}
    dimension = dimension_of(*texts.values()) or dimension_of(next(iter(texts.values())))
    canonical: dict[str, Scalar] = dict(texts)
    bounded = "min" in texts or "max" in texts
    for field, v in texts.items():
        try:
            canonical[field] = parse(v, dimension) if dimension else v
        except QuantityError as error:
            return None, [at(field, "QTY-001", f"parameter {name!r}: {error.reason}", error.hint)]
        if bounded and not _is_number(canonical[field]):
            return None, [at(field, "PAR-003", f"parameter {name!r}: {v!r} is not a number")]
    number = canonical[source]
    if "min" in canonical and _less(number, canonical["min"]):
        return None, [
            at(source, "PAR-003", f"parameter {name!r} is {value}, and must be at least {written.min}")
        ]
    if "max" in canonical and _less(canonical["max"], number):
        return None, [
            at(source, "PAR-003", f"parameter {name!r} is {value}, and must be at most {written.max}")
        ]
    return Parameter(
        name=name, value=number, unit=DIMENSIONS[dimension].unit if dimension else "", text=str(value),
        provenance=written.provenance, given=given is not None, confirm=written.confirm,
    ), []  # fmt: skip


def _read(given: str) -> Scalar:
    """What was given on a command line, by the rules of the file; what is no value there stays text."""
    value = scalar(given.strip())
    return given.strip() if value is None or (isinstance(value, float) and not isfinite(value)) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _less(a: Any, b: Any) -> bool:
    return bool(a < b)


@dataclass(frozen=True, slots=True)
class Filled:
    """A document whose references are replaced.

    used: names that were referred to, and where. open: places of references that could not be replaced.
    """

    document: Document
    used: dict[str, list[Path]]
    open: frozenset[Place]
    findings: list[Finding]


def fill(document: Document, resolved: Resolved) -> Filled:
    """Replace every `"{name}"` outside the block of parameters; an unknown name is a finding."""
    used: dict[str, list[Path]] = {}
    unresolved: set[Place] = set()
    findings: list[Finding] = []
    declared = document.data.get("parameters") if isinstance(document.data, dict) else None
    names = set(declared) if isinstance(declared, dict) else set()

    def replaced(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {
                k: v if (*path, k) == ("parameters",) else replaced(v, (*path, k)) for k, v in value.items()
            }
        if isinstance(value, list):
            return [replaced(v, (*path, i)) for i, v in enumerate(value)]
        if not isinstance(value, str) or "{" not in value:
            return value
        for name in dict.fromkeys(REFERENCE.findall(value)):
            used.setdefault(name, []).append(path)
            if name not in resolved:
                unresolved.add(document.spot(path))
            if name not in names:
                message = f"{{{name}}} refers to no parameter"
                hint = nearest(name, names) if len(findings) < MOST_HINTS else None
                findings.append(document.finding("PAR-004", path, message, hint))
        whole = REFERENCE.fullmatch(value)
        if whole and whole[1] in resolved:
            return _read(resolved[whole[1]].text)
        known = (len(resolved[name].text) for name in REFERENCE.findall(value) if name in resolved)
        if sum(known) > MOST_TEXT:
            message = f"grows by more than {MOST_TEXT} characters by its references"
            findings.append(document.finding("PAR-007", path, message, "write less, or refer to it once"))
            return ""
        return REFERENCE.sub(lambda m: resolved[m[1]].text if m[1] in resolved else m[0], value)

    data = replaced(document.data, ())
    return Filled(replace(document, data=data), used, frozenset(unresolved), findings)


def written(filled: Filled) -> tuple[WrittenProtocol | None, list[Finding]]:
    """The document as the language sees it, or what the language has against it."""
    try:
        return WrittenProtocol.model_validate(filled.document.data), []
    except SchemaError as error:
        found = findings_of(error, filled.document, WrittenProtocol)
        return None, [f for f in found if (f.file, f.line, f.column) not in filled.open]
