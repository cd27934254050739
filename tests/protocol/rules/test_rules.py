"""Every rule objects to one example, where its mistake was written, and lets one pass."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import labctl
from labctl.errors import Finding
from labctl.protocol.rules import CATALOGUE, RULES
from labctl.protocol.validation import check_text
from tests.protocol.rules.examples import EXAMPLES, Case, Example


def judged(paper: str, case: Case) -> tuple[str, list[Finding]]:
    """The protocol of a case, and what is found in it."""
    text = paper
    for old, new in case.edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text, check_text(text, "p.yaml", case.parameters, case.bench)[1]


def names(example: Example) -> str:
    return f"{example.rule}-{example.severity}"


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_a_rule_objects_where_the_mistake_was_written(paper: str, example: Example) -> None:
    text, found = judged(paper, example.fails)
    hits = [f for f in found if f.rule == example.rule and f.severity == example.severity]
    assert hits, [str(f) for f in found]
    lines = [n for n, line in enumerate(text.splitlines(), 1) if example.at in line]
    assert hits[0].line in lines


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_a_rule_lets_pass_what_is_right(paper: str, example: Example) -> None:
    _, found = judged(paper, example.passes)
    assert "unknown key" not in " ".join(f.message for f in found)
    assert not [str(f) for f in found if f.rule == example.rule and f.severity == example.severity]
    read = {f.rule.partition("-")[0] for f in found if f.severity == "error"}
    assert read <= {"LIM", "GAS", "FUR", "SOL"}, [str(f) for f in found]


def test_every_rule_has_an_example_that_fails_and_one_that_passes() -> None:
    assert {example.rule for example in EXAMPLES} == {rule.id for rule in RULES}
    assert max(Counter(rule.id for rule in RULES).values()) == 1


def test_every_finding_that_the_code_can_make_is_a_rule_that_labctl_rules_explains() -> None:
    package = Path(labctl.__file__).parent
    found = {
        name
        for file in package.rglob("*.py")
        for name in re.findall(r"\"([A-Z]{2,5}-[0-9]{3})\"", file.read_text(encoding="utf-8"))
    }
    assert found == set(CATALOGUE), "tell of it in labctl/protocol/rules/language.py"
