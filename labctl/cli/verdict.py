"""Planned against actual as a table on the terminal: each step named once, quantities with their units."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from labctl.analysis import Analysis, Row
from labctl.cli.terminal import print_table
from labctl.report.numbers import name_of, quantity


def print_verdict(analysis: Analysis) -> None:
    """Every comparison that is judged; what is only told stands in the report."""
    judged = [row for row in analysis.verdict.rows if row.tolerance is not None]
    print_table(("step", "quantity", "planned", "actual", "", "basis"), _rows(judged))


def mark(row: Row) -> str:
    """One word for how a comparison came out."""
    if row.ok:
        return "ok"
    return "OUTSIDE" if row.actual is not None else "not reached"


def _rows(judged: list[Row]) -> Iterator[tuple[str, ...]]:
    for step, rows in groupby(judged, key=lambda row: row.step):
        name = step or "whole run"
        for row in rows:
            planned = ("≤ " if row.is_limit else "") + quantity(row.planned, row.unit)
            yield (
                name,
                name_of(row.quantity),
                planned,
                quantity(row.actual, row.unit),
                mark(row),
                row.provenance,
            )
            name = ""
