"""Findings as a person reads them: the line of the file, a caret under the place, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill, shorten

from labctl.cli.parser import coloured
from labctl.cli.terminal import UNLIMITED
from labctl.errors import Finding

SEVERITIES = ("error", "warning", "info")
COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "info": "\x1b[1;36m"}
EXCERPTS, SHOWN = 5, 20
"""So many errors and warnings are printed with their lines, and so many findings at all: they fit on one screen."""
ALIKE = 10
"""So many findings of one rule are printed in brief."""
DIM, PLAIN = "\x1b[2m", "\x1b[0m"


def print_findings(findings: Sequence[Finding]) -> None:
    """Print findings on stderr within one screen: the worst with excerpts, more in a line each, and how many."""
    colour = coloured(sys.stderr)
    width = get_terminal_size((110, 24)).columns
    ordered = sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.file or "", f.line or 0))
    excerpts = sum(f.severity != "info" for f in ordered[:EXCERPTS])
    for finding in ordered[:excerpts]:
        print(describe(finding, width, colour), end="\n\n", file=sys.stderr)
    several = len({finding.file for finding in findings}) > 1
    for finding in ordered[excerpts:SHOWN]:
        note = finding.severity == "info"
        print(_note(finding, width, several) if note else _line(finding, width), file=sys.stderr)
    if len(ordered) > SHOWN:
        print(
            f"... and {len(ordered) - SHOWN} more; `labctl validate --json` has all of them", file=sys.stderr
        )
    print(count(findings), file=sys.stderr)


def _line(finding: Finding, width: int) -> str:
    return shorten(_seen(str(finding)), width)


def _note(finding: Finding, width: int, several: bool) -> str:
    """A note in full: it asks for nothing, so it needs no place but its line, of a file where there are several."""
    where = ""
    if finding.line is not None:
        where = (
            f" {Path(finding.file).name}:{finding.line}"
            if several and finding.file
            else f" line {finding.line}"
        )
    return fill(f"note {finding.rule}{where}: {_seen(finding.message)}", width, subsequent_indent="  ")


def print_briefly(findings: Sequence[Finding]) -> None:
    """Print findings on stderr without excerpts: those of one rule under one head, with what to do said once."""
    colour = coloured(sys.stderr)
    ordered = sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.rule, f.hint or ""))
    width = get_terminal_size().columns if sys.stderr.isatty() else UNLIMITED
    for (severity, rule, hint), group in groupby(ordered, key=lambda f: (f.severity, f.rule, f.hint)):
        paint, dim, plain = (COLOURS[severity], DIM, PLAIN) if colour else ("", "", "")
        print(f"{paint}{severity}{plain} {rule}{f': {dim}{hint}{plain}' if hint else ''}", file=sys.stderr)
        alike = list(group)
        for finding in alike[:ALIKE]:
            text = fill(finding.message, width, initial_indent="  ", subsequent_indent="    ")
            print(text, file=sys.stderr)
        if len(alike) > ALIKE:
            print(f"  ... and {len(alike) - ALIKE} more", file=sys.stderr)


def describe(finding: Finding, width: int = 110, colour: bool = False) -> str:
    """A finding with the line it stands on, at most `width` columns of it."""
    paint, dim, plain = (COLOURS[finding.severity], DIM, PLAIN) if colour else ("", "", "")
    lines = [f"{paint}{finding.severity}{plain} {finding.rule}: {_seen(finding.message)}"]
    if finding.file is not None:
        place = ":".join(
            str(part) for part in (finding.file, finding.line, finding.column) if part is not None
        )
        lines.append(f"  {dim}-->{plain} {place}")
        lines += [f"{dim}{margin} |{plain} {text}" for margin, text in excerpt(finding, max(width - 9, 20))]
    if finding.hint:
        lines.append(f"  {dim}={plain} {finding.hint}")
    return "\n".join(lines)


def _seen(text: str) -> str:
    """`text` without characters that a terminal would obey: a file is shown before it is known to be harmless."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def excerpt(finding: Finding, width: int) -> list[tuple[str, str]]:
    """The line of the finding and its caret, as (margin, text), or nothing if the source cannot be read.

    A long line is cut on both sides, so that the place is in sight.
    """
    source = _source(finding.file or "")
    if finding.line is None or not 0 < finding.line <= len(source):
        return []
    line = source[finding.line - 1].expandtabs(1).rstrip()
    rows = []
    caret = (finding.column or 1) - 1
    start = max(0, min(caret - width // 2, len(line) - width))
    shown = line[start : start + width]
    if start:
        shown = "..." + shown[3:]
    if start + width < len(line):
        shown = shown[:-3] + "..."
    rows.append((f"{finding.line:5}", _seen(shown)))
    if finding.column is not None:
        rows.append((" " * 5, " " * (caret - start) + "^"))
    return rows


def count(findings: Sequence[Finding]) -> str:
    """How many of each severity, for example `2 errors, 1 warning`."""
    numbers = [(sum(f.severity == severity for f in findings), severity) for severity in SEVERITIES]
    words = [
        f"{n} {'note' if severity == 'info' else severity}{'s' * (n != 1)}" for n, severity in numbers if n
    ]
    return ", ".join(words) or "no findings"


@cache
def _source(file: str) -> tuple[str, ...]:
    try:
        return tuple(Path(file).read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return ()
