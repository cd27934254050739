"""`labctl rules`: what must not be planned, why, and where that comes from."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from labctl.cli.terminal import print_json, print_table
from labctl.errors import UsageError
from labctl.protocol.diagnosis import nearest
from labctl.protocol.rules import CATALOGUE, Rule


def main(arguments: Namespace) -> int:
    """List every rule that a file or plan is judged by, or tell all about one; severity is what it is at most."""
    wanted = arguments.rule and arguments.rule.upper()
    if wanted and wanted not in CATALOGUE:
        raise UsageError(f"no rule {arguments.rule!r} ({nearest(wanted, CATALOGUE) or 'see labctl rules'})")
    shown = [CATALOGUE[wanted]] if wanted else [*CATALOGUE.values()]
    if arguments.json:
        print_json({"rules": [_data(rule) for rule in shown]})
    elif wanted:
        print_table(("rule", wanted), _about(shown[0]))
    else:
        rows = [(r.id, r.severity, r.rationale, r.source) for r in shown]
        print_table(("rule", "severity", "why", "source"), rows)
    return 0


def _data(rule: Rule) -> dict[str, Any]:
    number = rule.number
    return {
        "rule": rule.id,
        "severity": rule.severity,
        "rationale": rule.rationale,
        "source": rule.source,
        "limit": None if number is None else number.value,
        "unit": None if number is None else number.unit,
        "stricter": None if number is None else number.stricter,
        "waive": rule.waive,
    }


def _about(rule: Rule) -> Iterator[tuple[str, str]]:
    """Everything about one rule, and what a site may write about it in its bench file."""
    yield "severity", rule.severity
    yield "why", rule.rationale
    yield "source", rule.source
    if rule.number is not None:
        unit = "" if rule.number.unit == "1" else f" {rule.number.unit}"
        tighten = f"a bench may set it {rule.number.stricter}: `rules: {{{rule.id}: {{limit: ...}}}}`"
        yield "limit", f"{rule.number.value:g}{unit}; {tighten}"
    what = {"never": "never", "warnings": "its warnings", "errors": "its warnings and errors"}[rule.waive]
    write = f": `rules: {{{rule.id}: {{waive: REASON, by: NAME}}}}` in the bench file"
    yield "waive", what if rule.waive == "never" else what + write
