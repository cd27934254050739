"""A site may tighten a rule, or waive it with a reason and a name; what the safety contract keeps stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labctl import cli
from labctl.bench.loader import bundled_benches, check_bench
from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.rules import CATALOGUE, NUMBERS, RULES
from labctl.protocol.validation import check_text
from tests.protocol.rules.examples import contents, manual

STANDARD = bundled_benches()["standard"].read_text()


def standing(rules: str) -> tuple[Bench | None, list[Finding]]:
    """The standard bench with a block of rules."""
    return check_bench(f"{STANDARD}rules: {rules}\n", "bench.yaml")


def with_rules(rules: str) -> Bench:
    bench, found = standing(rules)
    assert bench is not None, [str(f) for f in found]
    return bench


def about(rule: str, text: str, bench: Bench) -> list[Finding]:
    return [f for f in check_text(text, "p.yaml", {}, bench)[1] if f.rule == rule]


FAST = ("ramp: 5 K/min", "ramp: 6 K/min")


def test_a_waived_finding_is_a_note_that_says_who_and_why(paper: str) -> None:
    text = paper.replace(*FAST)
    (plain,) = [f for f in about("FUR-003", text, with_rules("{}")) if f.severity != "info"]
    assert plain.severity == "warning"
    waived = about("FUR-003", text, with_rules("{FUR-003: {waive: spare tubes at hand, by: Ada}}"))
    assert {f.severity for f in waived} == {"info"}
    assert "waived by Ada: spare tubes at hand" in waived[-1].message


def test_a_tightened_rule_finds_more(paper: str) -> None:
    strict = with_rules("{FUR-003: {limit: 4}}")
    assert [f.severity for f in about("FUR-003", paper, strict)] == ["warning", "info"]
    assert with_rules("{}").identity != strict.identity


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_every_number_of_a_rule_may_be_tightened_and_not_loosened(name: str) -> None:
    number = NUMBERS[name]
    stricter, looser = number.value * 0.9, number.value * 1.1
    if number.stricter == "higher":
        stricter, looser = looser, stricter
    assert standing(f"{{{name}: {{limit: {stricter}}}}}")[0] is not None
    bench, (finding,) = standing(f"{{{name}: {{limit: {looser}}}}}")
    assert bench is None
    assert (finding.rule, finding.hint) == ("BENCH-016", "a bench may tighten, never loosen")


@pytest.mark.parametrize("name", [rule.id for rule in CATALOGUE.values() if rule.waive == "never"])
def test_what_the_safety_contract_keeps_cannot_be_waived(name: str) -> None:
    bench, (finding,) = standing(f"{{{name}: {{waive: in a hurry, by: Ada}}}}")
    assert bench is None
    assert finding.message == f"{name} cannot be waived"


def test_over_temperature_sensors_pressure_flow_and_the_benchs_limits_are_among_what_cannot_be_waived() -> (
    None
):
    kept = {rule.id for rule in RULES if rule.waive == "never"}
    assert kept >= {"FUR-010", "FUR-011", "GAS-006", "GAS-007", "SAFE-001", "SAFE-005", "LIM-001", "SOL-003"}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("{FUR-03: {limit: 4}}", "there is no rule 'FUR-03'"),
        ("{FUR-001: {limit: 4}}", "judges by no number"),
        ("{FUR-003: {waive: spare tubes}}", "'by' is missing"),
        ("{FUR-003: {by: Ada}}", "'waive' is missing"),
        ("{FUR-003: {}}", "nothing is said of FUR-003"),
    ],
)
def test_a_mistake_in_the_rules_of_a_bench_is_found_on_its_line(rules: str, said: str) -> None:
    bench, (finding,) = standing(rules)
    assert bench is None
    assert said in finding.message
    assert (finding.rule, finding.line) == ("BENCH-016", STANDARD.count("\n") + 1)


def test_an_error_of_a_rule_whose_warnings_alone_may_be_waived_stands(paper: str) -> None:
    bench = with_rules("{CEL-001: {waive: we know this electrolyte, by: Ada}}")
    (wide,) = about("CEL-001", paper.replace("3.8 V]", "3.9 V]"), bench)
    assert wide.severity == "info"
    (too_wide,) = about("CEL-001", paper.replace("3.8 V]", "4.3 V]"), bench)
    assert too_wide.severity == "error"
    assert too_wide.message.endswith("this cannot be waived")


@pytest.mark.parametrize(("mass", "severity"), [("0.05 g", "info"), ("0.5 g", "error")])
def test_nitrate_with_polymer_is_waived_for_a_fifth_of_a_gram_alone(
    paper: str, mass: str, severity: str
) -> None:
    bench = with_rules("{MIX-005: {waive: blast shield, by: Ada}}")
    text = paper
    for old, new in (contents(f"NaNO3: {mass}", "F127: 0.1 g"), manual("Work behind the shield")):
        text = text.replace(old, new, 1)
    (finding,) = about("MIX-005", text, bench)
    assert finding.severity == severity


def test_a_run_journals_the_rules_of_its_bench_when_it_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "lab"
    folder.mkdir()
    small = bundled_benches()["small"].read_text()
    (folder / "bench.yaml").write_text(f"{small}rules: {{CEL-006: {{waive: dry room, by: Ada}}}}\n")
    (tmp_path / "rest.yaml").write_text("protocol: rest\nsteps:\n  - {id: rest, wait: {for: 1 min}}\n")
    assert cli.main(["run", "rest.yaml", "--bench", str(folder), "--simulate", "--json"]) == 0
    ended = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert cli.main(["runs", "export", ended["run_id"], "--bench", ended["bench"], "--journal"]) == 0
    rows = capsys.readouterr().out.splitlines()
    (created,) = [row for row in rows if '"run_created"' in row]
    assert '"rules":{"CEL-006":{"by":"Ada","waive":"dry room"}}' in created
