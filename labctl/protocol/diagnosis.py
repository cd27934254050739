"""From a model's complaint to a finding at a place, with the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

import pydantic
from pydantic import BaseModel

from labctl.errors import Finding
from labctl.protocol.source import Document, Path

MOST = 1000
"""So many complaints about one file are looked into: each wants its place."""
MOST_HINTS = 100
"""After so many complaints no nearest name is looked for any more: each search takes a millisecond."""
MOST_NAMES, LONGEST, COMPARED = 200, 100, 30
"""No name is looked for among more than so many, nor one that is longer, nor compared with more: those that begin
alike and are as long come first. A file may hold thousands of each."""


def nearest(word: object, valid: Iterable[str]) -> str | None:
    """`did you mean X?`, or the valid names when none is near and they are few; None for none, or too many."""
    names = sorted(valid)
    if len(names) > MOST_NAMES or len(str(word)) > LONGEST:
        return None
    text = str(word)
    likely = sorted(names, key=lambda name: (name[:1] != text[:1], abs(len(name) - len(text))))[:COMPARED]
    near = get_close_matches(text, likely, 1, 0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"valid: {', '.join(names)}" if 0 < len(names) <= 16 else None


SHAPES = {
    "model_type": "must be made of `key: value`",
    "dict_type": "must be made of `key: value`",
    "list_type": "must be a list",
    "string_type": "must be text",
}
"""What is wrong with the shape of a value, by pydantic's name for it, without words of Python."""


def misnamed(document: Document) -> list[Finding]:
    """Every name of a protocol or bench that could lead out of a folder: names become files, topics and commands."""
    named = [(path, path[-1], True) for path in document.keys]
    named += [(path, _at(document.data, path), False) for path in document.values if _names(path)]
    return [
        document.finding("SCH-005", path, f"{name!r} is not a name", "no slashes, and no two dots", key=key)
        for path, name, key in named
        if isinstance(name, str) and _LEADS_AWAY.search(name)
    ]


_LEADS_AWAY = re.compile(r"[/\\]|\.\.")


def _names(path: Path) -> bool:
    """Whether the value at a path is a name that no pattern of its own holds."""
    return (
        path == ("bench",)
        or path[:1] == ("samples",)
        or (path[:1] == ("expected",) and path[-1] == "quantity")
    )


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


def findings_of(error: pydantic.ValidationError, document: Document, model: type[BaseModel]) -> list[Finding]:
    """Every complaint of `model` about `document`, where it belongs; of very many, the first and how many more."""
    complaints = error.errors(include_url=False)
    found = [_finding(e, document, model, nth < MOST_HINTS) for nth, e in enumerate(complaints[:MOST])]
    if more := complaints[MOST:]:
        message = f"{len(more)} more mistakes, beginning here"
        found.append(document.finding("SCH-004", tuple(more[0]["loc"]), message, "mend the others first"))
    return found


def _finding(error: Any, document: Document, model: type[BaseModel], hinted: bool) -> Finding:
    path: Path = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx") or {}
    name = _name(document, path)
    if kind == "extra_forbidden":
        hint = nearest(path[-1], valid_keys(model, path[:-1])) if hinted else None
        return document.finding("SCH-001", path, f"unknown key {path[-1]!r}", hint, key=True)
    if kind == "missing":
        return document.finding("SCH-002", path[:-1], f"{path[-1]!r} is missing{_of(document, path[:-1])}")
    if kind == "quantity":
        return document.finding("QTY-001", path, f"{name}: {context['reason']}", context.get("hint") or None)
    if kind == "finding":
        where = (*path, context["key"]) if context["key"] else path
        hint = context["hint"] or None
        return document.finding(context["rule"], where, context["reason"], hint, key=bool(context["key"]))
    if kind == "literal_error":
        message = f"{name}: {error['input']!r} is not one of its values"
        valid = [v for v in _literals(model, path) if isinstance(v, str)] if hinted else []
        return document.finding("SCH-003", path, message, nearest(error["input"], valid))
    if kind == "too_long":
        return document.finding("SCH-003", path, f"{name}: at most {context['max_length']} are taken")
    hint = "write it in quotes" if kind == "string_type" and isinstance(error["input"], int | float) else None
    message = SHAPES.get(kind) or error["msg"][0].lower() + error["msg"][1:]
    return document.finding("SCH-003", path, f"{name}: {message}" if name else message, hint)


def _name(document: Document, path: Path) -> str:
    """A path for people: `step mix: stir.speed`, `instruments.oven.driver`."""
    step = document.data["steps"][path[1]] if path[:1] == ("steps",) and len(path) > 1 else None
    if isinstance(step, dict) and isinstance(step.get("id"), str):
        return f"step {step['id']}: {'.'.join(str(p) for p in path[2:])}".removesuffix(": ")
    return ".".join(str(p) for p in path)


def _of(document: Document, path: Path) -> str:
    return f" in {_name(document, path)}" if path else ""


def valid_keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys, as written, that a mapping at `path` of a document of `model` may have."""
    return sorted({alias for m in _models(model, path) for alias in _fields(m)})


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _models(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    return [a for a in _annotations(model, path) if isinstance(a, type) and issubclass(a, BaseModel)]


def _literals(model: type[BaseModel], path: Path) -> list[object]:
    return [a for a in _annotations(model, path) if not isinstance(a, type)]


def _annotations(model: type[BaseModel], path: Path) -> list[Any]:
    """Every type, model or literal value that may stand at `path`; containers are looked through."""
    found: list[Any] = [model]
    for key in path:
        tables = [_fields(m) for m in found if isinstance(m, type) and issubclass(m, BaseModel)]
        fields = [table[str(key)] for table in tables if str(key) in table]
        found = [leaf for annotation in fields for leaf in _leaves(annotation)] or found
    return found


def _leaves(annotation: Any) -> list[Any]:
    arguments = get_args(annotation)
    return [leaf for a in arguments for leaf in _leaves(a)] if arguments else [annotation]
