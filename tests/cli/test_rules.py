"""`labctl rules` says why something must not be planned."""

from __future__ import annotations

import json

import pytest

from labctl import cli
from labctl.protocol.rules import CATALOGUE


def test_every_rule_is_listed_with_its_severity_reason_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == len(CATALOGUE) > 100
    for rule, line in zip(CATALOGUE.values(), lines, strict=True):
        assert rule.severity in ("error", "warning", "info")
        for part in (rule.id, rule.severity, rule.rationale, rule.source):
            assert part
            assert part in line


def test_one_rule_is_found_by_the_name_that_a_finding_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "sol-003", "--json"]) == 0
    (rule,) = json.loads(capsys.readouterr().out)["rules"]
    assert rule["rule"] == "SOL-003"
    assert rule["severity"] == "error"
    assert "peroxides" in rule["rationale"]


def test_one_rule_says_what_a_site_may_do_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "GAS-003"]) == 0
    told = capsys.readouterr().out
    assert "limit     50 sccm; a bench may set it higher: `rules: {GAS-003: {limit: ...}}`" in told
    assert "waive     its warnings" in told
    assert cli.main(["rules", "qty-001"]) == 0
    assert "waive     never" in capsys.readouterr().out


def test_an_unknown_rule_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rules", "SOL-03"]) == 2
    captured = capsys.readouterr()
    assert "no rule 'SOL-03' (did you mean SOL-003?)" in captured.err
    assert captured.out == ""
