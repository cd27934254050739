"""`labctl rules`: what must not be planned, why, and where that comes from."""

from __future__ import annotations

from argparse import Namespace

from labctl.cli.terminal import print_json, print_table
from labctl.errors import UsageError
from labctl.protocol.diagnosis import nearest
from labctl.protocol.rules import RULES


def main(arguments: Namespace) -> int:
    """List every rule that a plan is judged by, or one; severity is what it is at most."""
    ids = [rule.id for rule in RULES]
    wanted = arguments.rule and arguments.rule.upper()
    if wanted and wanted not in ids:
        raise UsageError(f"no rule {arguments.rule!r} ({nearest(wanted, ids) or 'see labctl rules'})")
    shown = [rule for rule in RULES if wanted in (None, rule.id)]
    if arguments.json:
        rules = [
            {"rule": r.id, "severity": r.severity, "rationale": r.rationale, "source": r.source}
            for r in shown
        ]
        print_json({"rules": rules})
    else:
        rows = [(r.id, r.severity, r.rationale, r.source) for r in shown]
        print_table(("rule", "severity", "why", "source"), rows)
    return 0
