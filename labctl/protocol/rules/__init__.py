"""What must not be planned: one small function for each rule, over a plan and its bench.

Sources: property tables and the literature (with their tags), vendors of instruments and tubes, and the
safety contract. `RULES` is what `labctl rules` shows.
"""

from __future__ import annotations

from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.plan import Plan
from labctl.protocol.rules import chemistry, furnace, gas, limits, protection
from labctl.protocol.rules.core import RULES, Hit, Rule
from labctl.protocol.source import Document

__all__ = ["RULES", "Hit", "Rule", "chemistry", "furnace", "gas", "judge", "limits", "protection"]


def judge(plan: Plan, bench: Bench, document: Document) -> list[Finding]:
    """What every rule finds in the plan, at its place in the document."""
    return [
        document.finding(rule.id, hit.path, hit.message, hit.hint, hit.severity or rule.severity)
        for rule in RULES
        for hit in rule.find(plan, bench)
    ]
