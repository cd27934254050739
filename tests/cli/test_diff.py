"""`diff`: two protocols, or two runs, and never one of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analysis import synthetic
from tests.commandline import Labctl


def test_what_a_parameter_changes_is_shown_where_it_acts(labctl: Labctl) -> None:
    code, out, _ = labctl("diff", "3dp-nvp-c", "3dp-nvp-c", "-p", "pyrolysis_hold=4 h")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["~", "parameter", "pyrolysis_hold", "6", "h", "4", "h"] in rows
    assert ["~", "step", "pyrolyse", "hold", "6", "h", "4", "h"] in rows
    assert any(row[0] == "+" and "EXP-001" in row for row in rows), "what is no longer judged is a finding"


def test_the_same_twice_is_no_difference(labctl: Labctl) -> None:
    assert labctl("diff", "3dp-nvp-c", "3dp-nvp-c")[1] == "no difference\n"


def test_steps_and_findings_of_two_files_as_json(tmp_path: Path, labctl: Labctl) -> None:
    head = "protocol: p\ntitle: t\nroles: {stirrer: hotplate_stirrer}\nsteps:\n"
    stir = "  - {{id: mix, stir: {{with: stirrer, speed: {}, for: 30 min}}}}\n"
    (tmp_path / "a.yaml").write_text(head + stir.format("300 rpm"))
    (tmp_path / "b.yaml").write_text(head + stir.format("500 rpm") + "  - {id: rest, wait: {for: 1 h}}\n")
    code, out, _ = labctl("diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "--json")
    assert code == 0
    found = json.loads(out)
    told = [(c["sort"], c["where"], c["what"], c["before"], c["after"], c["unit"]) for c in found["changes"]]
    assert told == [
        ("changed", "step mix", "speed", 300.0, 500.0, "rpm"),
        ("added", "step rest", "", None, "wait", ""),
    ]


def test_of_a_protocol_that_is_not_valid_its_findings_are_compared(tmp_path: Path, labctl: Labctl) -> None:
    (tmp_path / "bad.yaml").write_text("protocol: bad\nsteps:\n  - {id: a, heat: {to: 5 bananas}}\n")
    code, out, said = labctl("diff", "3dp-nvp-c", str(tmp_path / "bad.yaml"))
    assert code == 3
    assert "bananas" in out
    assert "only findings are compared" in said


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    for name, abort_at in (("one", None), ("two", "pyrolyse")):
        (tmp_path / name).mkdir()
        synthetic.make(tmp_path / name / "labctl.db", scan_s=120.0, abort_at=abort_at)
    return str(tmp_path / "one"), str(tmp_path / "two")


def test_two_runs_are_compared_by_outcome_and_deviation(two: tuple[str, str], labctl: Labctl) -> None:
    code, out, said = labctl("diff", *two)
    assert code == 0
    assert "SIMULATED" in said
    assert any(line.split() == ["state", "COMPLETE", "ABORTED"] for line in out.splitlines())
    assert any(line.startswith("+ trip: ") for line in out.splitlines())
    assert "ok, then not judged" in out
    found = json.loads(labctl("diff", *two, "--json")[1])
    assert found["outcomes"]["state"] == ["COMPLETE", "ABORTED"]
    assert found["changes"] == []


def test_a_run_is_also_known_by_its_id_in_the_memory_of_its_bench(
    two: tuple[str, str], labctl: Labctl
) -> None:
    code, out, _ = labctl("diff", synthetic.RUN, two[0], "--bench", two[0])
    assert (code, out) == (0, "no difference\n")


def test_a_run_and_a_protocol_have_nothing_in_common(two: tuple[str, str], labctl: Labctl) -> None:
    code, _, said = labctl("diff", two[0], "3dp-nvp-c")
    assert code == 2
    assert "is a run, and 3dp-nvp-c is none" in said
    assert labctl("diff", *two, "-p", "cycles=2")[0] == 2
