"""What must not be planned: one small function for each rule, over a plan and its bench.

Sources: property tables and the literature (with their tags), vendors of instruments and tubes, and the
safety contract. `RULES` are judged over a plan, `CATALOGUE` is what `labctl rules` shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.plan import Plan
from labctl.protocol.rules import (
    cells,
    furnace,
    gas,
    kept,
    language,
    limits,
    mixing,
    notes,
    offgas,
    protection,
    solvents,
)
from labctl.protocol.rules.core import NUMBERS, RULES, Hit, Number, Rule
from labctl.protocol.source import Document

__all__ = [
    "CATALOGUE",
    "NUMBERS",
    "RULES",
    "Hit",
    "Number",
    "Rule",
    "cells",
    "furnace",
    "gas",
    "judge",
    "kept",
    "language",
    "limits",
    "mixing",
    "notes",
    "offgas",
    "protection",
    "solvents",
]


CATALOGUE: Mapping[str, Rule] = {
    rule.id: rule for rule in (*sorted(RULES, key=lambda r: r.id), *language.LANGUAGE)
}
"""Every rule by its name: those over a plan first, then those that are judged while a file is read."""


def judge(plan: Plan, bench: Bench, document: Document) -> list[Finding]:
    """What every rule finds in the plan, at its place in the document; what the bench waives becomes a note."""
    return [finding for rule in RULES for finding in _judged(rule, plan, bench, document)]


def _judged(rule: Rule, plan: Plan, bench: Bench, document: Document) -> Iterator[Finding]:
    if rule.find is None:
        return
    setting = bench.rules.get(rule.id)
    for hit in rule.find(plan, bench):
        severity, message = hit.severity or rule.severity, hit.message
        if setting is not None and setting.waive is not None and severity != "info":
            if _may_waive(rule, hit, severity):
                severity, message = "info", f"{message}; waived by {setting.by}: {setting.waive}"
            else:
                message += "; this cannot be waived"
        yield document.finding(rule.id, hit.path, message, hit.hint, severity)


def _may_waive(rule: Rule, hit: Hit, severity: str) -> bool:
    return not hit.kept and rule.waive in (("errors",) if severity == "error" else ("errors", "warnings"))
