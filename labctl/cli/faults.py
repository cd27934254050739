"""Files of faults, as a person writes them, and what became of the faults of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labctl.cli.terminal import print_table, say
from labctl.errors import UsageError
from labctl.model.quantity import QuantityError, parse
from labctl.protocol.diagnosis import nearest
from labctl.protocol.source import read

FAULTS_FILE, FAULTS_LOG = "faults.yaml", "faults.json"
"""In the folder of a run: what was asked for, and what each fault did, when."""
_TIMES = {"at": "at_s", "for": "for_s"}
_KEYS = ("instrument", "kind", "layer", "at", "for", "at_s", "for_s", "parameters", "when")


def read_faults(path: Path, also: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The schedule in a YAML list of {instrument, kind, at, for, parameters, when}.

    also: other keys that it may have. `at: 26 h` and `for: 30 s` are quantities; `at_s` and `for_s` are plain seconds.
    Raises UsageError or ValidationError.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    data = read(content, str(path)).data
    if not isinstance(data, list):
        raise UsageError(
            f"{path}: a list of faults is wanted: - {{instrument: ..., kind: ..., at: 2 h, for: 30 s}}"
        )
    return [_in_seconds(path, number, fault, (*_KEYS, *also)) for number, fault in enumerate(data, 1)]


def _in_seconds(path: Path, number: int, fault: Any, known: Sequence[str]) -> dict[str, Any]:
    if not isinstance(fault, Mapping):
        raise UsageError(f"{path}: fault {number} is not made of `key: value`: {fault!r}")
    seconds = dict(fault)
    for name in seconds:
        if name not in known:
            hint = nearest(name, known)
            raise UsageError(f"{path}: fault {number}: there is no key {name!r}; {hint}")
    for name, plain in _TIMES.items():
        if name in seconds and plain in seconds:
            raise UsageError(f"{path}: fault {number}: {name} and {plain} are the same; give one of them")
        if name in seconds:
            try:
                seconds[plain] = parse(seconds.pop(name), "time")
            except QuantityError as error:
                raise UsageError(f"{path}: fault {number}, {name}: {error}") from error
    return seconds


def tell_faults(report: Sequence[Mapping[str, Any]]) -> None:
    """Say what each fault did, as a table on stderr's side of things; nothing when there was none."""
    for entry in report:
        hits = f"{entry['hits']} times" if entry["hits"] else "NEVER"
        since = "" if entry["since_s"] is None else f" at {entry['since_s']:.0f} s"
        say(
            f"fault {entry['kind']} of {entry['instrument']} ({entry['layer']}){since}: acted {hits}, {entry['state']}"
        )


def print_faults(report: Sequence[Mapping[str, Any]]) -> None:
    """The same as a table."""
    columns = ("instrument", "layer", "kind", "at_s", "for_s", "state", "hits")
    rows = [tuple("" if entry[c] is None else str(entry[c]) for c in columns) for entry in report]
    print_table(columns, rows)
