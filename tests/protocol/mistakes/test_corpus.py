"""Mistakes that people make: each in a protocol that is right otherwise, found on its line, and nothing else with it.

A file of `corpus/` patches `good.yaml`, or the bundled bench with the small furnace. Where a finding is due, the
patched text says so: `# <- RULE`. Errors and warnings must be exactly those; notes are not looked at.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.bench.loader import bundled_benches, check_bench
from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.rules import CATALOGUE
from labctl.protocol.validation import check

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*.yaml"))
GOOD = (HERE / "good.yaml").read_text(encoding="utf-8")
SMALL = bundled_benches()["small"].read_text(encoding="utf-8")
DUE = re.compile(r"# <- ((?:[A-Z]+-\d+)(?:, [A-Z]+-\d+)*)")


def patched(text: str, patches: list[dict[str, str]]) -> str:
    for patch in patches:
        assert patch["instead"] in text, patch["instead"]
        text = text.replace(patch["instead"], patch["write"], 1)
    return text


def due(file: str, text: str) -> set[tuple[str, int, str]]:
    """File, line and rule of every finding that a text announces."""
    return {
        (file, number, rule)
        for number, line in enumerate(text.splitlines(), 1)
        for found in DUE.findall(line)
        for rule in found.split(", ")
    }


def on_small(patches: list[dict[str, str]]) -> tuple[Bench | None, list[Finding], str]:
    text = patched(SMALL, patches)
    return *check_bench(text, "bench.yaml"), text


def written(folder: Path, mistake: dict[str, Any]) -> set[tuple[str, int, str]]:
    """Write the files of a mistake; what is due in them."""
    texts = {"p.yaml": patched(GOOD, mistake.get("patch", []))}
    texts |= {name.removeprefix("file "): text for name, text in mistake.items() if name.startswith("file ")}
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return {each for name, text in texts.items() for each in due(Path(name).name, text)}


def told(findings: list[Finding]) -> set[tuple[str, int | None, str]]:
    return {(Path(f.file or "").name, f.line, f.rule) for f in findings if f.severity != "info"}


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_a_mistake_is_found_on_its_line_and_nothing_else(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mistake = yaml.safe_load(file.read_text(encoding="utf-8"))
    bench, findings, text = on_small(mistake.get("bench", []))
    wanted = due("bench.yaml", text)
    if bench is not None:
        wanted |= written(tmp_path, mistake)
        findings += check(tmp_path / "p.yaml", mistake.get("parameters", {}), bench, tmp_path)[1]
    assert wanted
    assert told(findings) == wanted, "\n".join(str(f) for f in findings)
    columns = [f.column for f in findings]
    assert None not in columns


def test_the_protocol_without_a_mistake_is_right() -> None:
    bench, findings, _ = on_small([])
    assert bench is not None
    plan, found = check(HERE / "good.yaml", {}, bench)
    assert plan is not None
    assert told(findings + found) == set()


def test_the_corpus_has_more_than_eighty_kinds_of_mistakes_by_rules_of_every_family() -> None:
    rules = {rule for file in CORPUS for found in DUE.findall(file.read_text()) for rule in found.split(", ")}
    assert len(CORPUS) >= 85
    assert rules <= set(CATALOGUE)
    families = {rule.partition("-")[0] for rule in rules}
    assert families >= {
        "YAML",
        "SCH",
        "QTY",
        "STEP",
        "PAR",
        "ROLE",
        "BIND",
        "INC",
        "SOL",
        "MIX",
        "GAS",
        "FUR",
        "CEL",
    }
