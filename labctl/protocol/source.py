"""YAML as labctl reads it: plain values, and the line and column of every one of them.

A strict subset, read once: no tags, anchors, aliases, merge keys or duplicate keys; at most 1 MiB, 32 levels and
15,000 values.
Plain scalars are resolved by our own rules, so that `no`, `on`, `12:30`, `1_000` and `007` stay as written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from labctl.errors import Finding, ValidationError

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 15_000
"""A thousand heating steps, all written out; the longest protocol of the library has 270 (assumed)."""
Path = tuple[str | int, ...]
"""Where a value is in a document: keys and indices from the root."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(?=[eE]))([eE][-+]?[0-9]+)?", re.ASCII
)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Escapes (`"\\e"`) and overrides of direction: they would command a terminal, or show what is not written."""
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Place(NamedTuple):
    """Where something was written: line and column from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: plain values, and where each value and key stands (1-based line, column).

    name: the file. files: where a document was put together from several, the file of what lies at and below a path.
    """

    name: str
    text: str
    data: Any
    values: dict[Path, tuple[int, int]] = field(repr=False)
    keys: dict[Path, tuple[int, int]] = field(repr=False)
    files: Mapping[Path, str] = field(default_factory=dict, repr=False)

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path`, or of its key; or of the nearest one around it."""
        return self.spot(path, key=key)[1:]

    def spot(self, path: Path, *, key: bool = False) -> Place:
        """As `place`, with the file."""
        found = None
        while path and found is None:
            found = (self.keys.get(path) if key else None) or self.values.get(path) or self.keys.get(path)
            path = path if found else path[:-1]
        line, column = found or self.values.get((), (1, 1))
        while path and path not in self.files:
            path = path[:-1]
        return Place(self.files.get(path, self.name), line, column)

    def finding(
        self,
        rule: str,
        path: Path,
        message: str,
        hint: str | None = None,
        severity: str = "error",
        *,
        key: bool = False,
    ) -> Finding:
        """A finding at the value (or key) of `path`."""
        return Finding(rule, severity, message, *self.spot(path, key=key), hint)


def read(content: str | bytes, name: str) -> Document:
    """The document in `content`; `name` is the file as findings show it. Raises ValidationError."""
    text = _decoded(content, name)
    reader = _Reader(name)
    try:
        reader.build(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise _refused("YAML-001", *_in_plain_words(error, name)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        raise _refused("YAML-001", f"not YAML: {error.reason}", name, _end(before)) from None
    return Document(name, text, reader.root, reader.values, reader.keys)


def scalar(text: str) -> str | int | float | bool | None:
    """A plain scalar by our own rules. A float that is too large becomes infinite; the caller refuses it."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_IN_WORDS: Mapping[str, tuple[str, str | None]] = {
    "',' or ']'": ("a list is not closed", "a `]` or a `,` is missing before this place"),
    "',' or '}'": ("a block in braces is not closed", "a `}` or a `,` is missing before this place"),
    "cannot start any token": (
        "nothing may begin with this character",
        "indent with spaces; put text in quotes",
    ),
    "tab character": ("a tab stands in the indentation", "indent with spaces"),
    "expected key": ("this line fits none of the blocks around it", "indent it like its neighbours"),
    "expected '-'": (
        "this line fits none of the lists around it",
        "indent it like its neighbours, and begin with `- `",
    ),
    "mapping values are not": (
        "a `: ` stands where no value may",
        "put text with a colon in quotes; mind the indentation",
    ),
    "sequence entries are not": ("a `- ` stands where no list may", "put the list on lines of its own"),
    "expected ':'": ("a key has no `:` after it", "write `key: value`"),
    "end of stream": ("a quote is never closed", "close it where the text ends"),
    "document indicator": ("a quote or bracket is never closed", "close it where it ends"),
    "document start": ("something stands after the end", "is there a bracket too many?"),
    "escape character": ("an escape that YAML does not know", "write it in single quotes: '...'"),
}
"""What the parser says, and the same for people who never saw one: what is wrong, and what to write."""


def _in_plain_words(error: Any, name: str) -> tuple[str, str, tuple[int, int], str | None]:
    """What is wrong, the file, the place, and what to do, of a complaint of the parser."""
    problem, mark = str(error.problem), error.problem_mark or error.context_mark
    said, hint = next((told for part, told in _IN_WORDS.items() if part in problem), (problem, None))
    message = f"not YAML: {said}"
    began = error.context_mark
    if began is not None and mark is not None and began.line != mark.line:
        message += f"; it begins at line {began.line + 1}"
    return message, name, _mark(mark), hint


class _Reader:
    """Builds values from parser events with a stack of its own, so that depth is ours to limit."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.values: dict[Path, tuple[int, int]] = {}
        self.keys: dict[Path, tuple[int, int]] = {}
        self.stack: list[tuple[Path, dict[str, Any] | list[Any]]] = []
        self.pending: str | None = None
        self.documents = 0

    def build(self, events: Iterator[Any]) -> None:
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                at = _mark(event.start_mark)
                self.check(event, at)
                if not self.is_key(event, at):
                    self.add(event, at)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.stack.pop()
            elif isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    message = "a second document begins here; one file holds one document"
                    raise self.refused("YAML-010", message, _mark(event.start_mark))

    def check(self, event: Any, at: tuple[int, int]) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self.refused("YAML-003", f"alias *{event.anchor} is not taken", at, "write the value out")
        if event.anchor is not None:
            raise self.refused("YAML-003", f"anchor &{event.anchor} is not taken", at, "write the value out")
        if isinstance(event, yaml.ScalarEvent) and (unseen := _UNSEEN.search(event.value)):
            raise self.refused("YAML-011", f"a control character, {unseen[0]!a}, is not taken", at)
        if event.tag is not None:
            raise self.refused("YAML-002", f"tag {event.tag} is not taken", at, "write plain YAML")

    def is_key(self, event: Any, at: tuple[int, int]) -> bool:
        if not self.stack or self.pending is not None or not isinstance(self.stack[-1][1], dict):
            return False
        path, mapping = self.stack[-1]
        assert isinstance(mapping, dict)
        if not isinstance(event, yaml.ScalarEvent):
            raise self.refused("YAML-001", "a key must be a plain word", at)
        if event.value == "<<" and not event.style:
            raise self.refused("YAML-004", "merge key << is not taken", at, "write the values out")
        if event.value in mapping:
            line, column = self.keys[(*path, event.value)]
            first = f"it stands at line {line}, column {column} already"
            raise self.refused("YAML-005", f"duplicate key {event.value!r}", at, first)
        self.pending = event.value
        mapping[event.value] = None
        self.keys[(*path, event.value)] = at
        return True

    def add(self, event: Any, at: tuple[int, int]) -> None:
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = event.value if event.style else scalar(event.value)
            if isinstance(value, float) and not math.isfinite(value):
                raise self.refused("YAML-009", f"{event.value} is too large for a number", at)
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self.attach(value)
        self.values[path] = at
        if len(self.values) > MAX_VALUES:
            raise self.refused("YAML-012", f"more than {MAX_VALUES} values", at)
        if isinstance(value, dict | list):
            self.stack.append((path, value))
            if len(self.stack) > MAX_DEPTH:
                raise self.refused("YAML-007", f"nested more than {MAX_DEPTH} levels deep", at)

    def attach(self, value: Any) -> Path:
        if not self.stack:
            self.root = value
            return ()
        path, parent = self.stack[-1]
        if isinstance(parent, list):
            parent.append(value)
            return (*path, len(parent) - 1)
        key, self.pending = self.pending, None
        assert key is not None
        parent[key] = value
        return (*path, key)

    def refused(
        self, rule: str, message: str, at: tuple[int, int], hint: str | None = None
    ) -> ValidationError:
        return _refused(rule, message, self.name, at, hint)


def _decoded(content: str | bytes, name: str) -> str:
    """UTF-8 text of at most MAX_BYTES, without a byte order mark."""
    try:
        raw = content.encode("utf-8") if isinstance(content, str) else content
        if len(raw) > MAX_BYTES:
            raise _refused("YAML-006", f"{len(raw)} bytes; at most {MAX_BYTES} are read", name, (1, 1))
        return raw.decode("utf-8-sig")
    except UnicodeEncodeError as error:
        raise _refused("YAML-008", "not UTF-8 text", name, _end(str(error.object)[: error.start])) from None
    except UnicodeDecodeError as error:
        before = bytes(error.object[: error.start]).decode("utf-8", "replace")
        raise _refused("YAML-008", "not UTF-8 text", name, _end(before), "save the file as UTF-8") from None


def _end(before: str) -> tuple[int, int]:
    """Line and column of the character after `before`."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _mark(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _refused(
    rule: str, message: str, name: str, at: tuple[int, int], hint: str | None = None
) -> ValidationError:
    return ValidationError([Finding(rule, "error", message, name, at[0], at[1], hint)])
