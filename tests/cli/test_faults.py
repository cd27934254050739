"""Faults from a file: what was asked for and what happened is kept with the run, and a wrong file begins nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labctl import cli
from labctl.bench.loader import find_bench
from labctl.cli.faults import read_faults
from labctl.errors import UsageError

FAULTS = """\
- {instrument: nitrogen, kind: supply_lost, at: 9 min, for: 20 s}
- {instrument: furnace, kind: corrupt, at_s: 120, for: 1 min, parameters: {chance: 0.2}}
"""


@pytest.fixture
def small_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small-bench").mkdir()
    Path("small-bench/bench.yaml").write_text(find_bench("small").read_text())
    return Path("small-bench")


def test_a_simulated_run_has_the_faults_of_its_file(
    small_bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("faults.yaml").write_text(FAULTS)
    words = f"run short-furnace --simulate --bench {small_bench} --faults faults.yaml --no-report --json"
    cli.main(words.split())
    out, said = capsys.readouterr()
    folder = Path(json.loads(out.splitlines()[-1])["bench"])
    assert "fault supply_lost of nitrogen (physics) at 540 s: acted 1 times, over" in said
    kept = json.loads((folder / "faults.json").read_text())
    assert [fault["hits"] > 0 for fault in kept["faults"]] == [True, True]
    assert {entry["fault"] for entry in kept["log"]} == {0, 1}
    assert (folder / "faults.yaml").read_text() == FAULTS


@pytest.mark.parametrize(
    "text",
    [
        "furnace: drop",
        "- drop",
        "- {instrument: furnace, kind: drop, at: 3}",
        "- {instrument: furnace, kind: drop, at: 3 K}",
    ],
)
def test_a_file_that_is_no_list_of_faults_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "faults.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"faults\.yaml"):
        read_faults(tmp_path / "faults.yaml")


def test_a_fault_that_cannot_be_begins_no_run(small_bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("faults.yaml").write_text("- {instrument: nitrogen, kind: suply_lost}")
    words = ["run", "short-furnace", "--simulate", "--bench", str(small_bench), "--faults", "faults.yaml"]
    assert cli.main(words) == 2
    assert "did you mean 'supply_lost'" in capsys.readouterr().err
    assert not Path("labctl-runs").exists()
