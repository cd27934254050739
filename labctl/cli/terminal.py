"""What is written where: data on stdout, talk on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNLIMITED = 1000
"""Columns of a table that goes into a file or a pipe."""


def say(text: str) -> None:
    """Talk: one line on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(data: Any) -> None:
    """Data: one object on one line of stdout."""
    sys.stderr.flush()
    print(json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False), flush=True)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Data: a table on stdout, never cut to the width of a terminal that is not there."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else UNLIMITED)
    for line in console.render_lines(table, pad=False) if not console.is_terminal else ():
        print("".join(segment.text for segment in line).rstrip())
    if console.is_terminal:
        console.print(table)


@contextmanager
def naming(place: Path) -> Iterator[None]:
    """Have an OSError of writing there say where: a disk that is full does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(place)
        raise


def agreed(question: str) -> bool:
    """Whether a person at the terminal answers yes. Nobody is there to ask where stdin is none."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
