"""The verbs that need no controller: what they print, where, and how they end."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from labctl import cli
from labctl.bench.loader import load_bench
from tests.analysis import synthetic


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    synthetic.make(folder / "labctl.db", scan_s=120.0)
    return folder


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def last_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(out(capsys).splitlines()[-1])


def test_init_makes_a_bench_that_loads_and_never_overwrites_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lab"
    assert cli.main(["init", str(folder)]) == 0
    assert out(capsys) == f"{folder / 'bench.yaml'}\n"
    assert load_bench(folder).simulated
    assert (folder / "protocols").is_dir()
    (folder / "bench.yaml").write_text("mine")
    (folder / "protocols").rmdir()
    assert cli.main(["init", str(folder)]) == 2
    assert (folder / "bench.yaml").read_text() == "mine"
    assert sorted(folder.iterdir()) == [folder / "bench.yaml"], "nothing was changed"


def test_what_is_no_text_or_no_database_is_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert cli.main(["protocols", "show", str(tmp_path / "binary.yaml")]) == 2
    assert "binary.yaml is not UTF-8 text" in capsys.readouterr().err
    (tmp_path / "labctl.db").mkdir()
    for words in ("status", "audit verify", "runs list", "stop"):
        assert cli.main([*words.split(), "--bench", str(tmp_path)]) == 1
        assert "labctl.db: a folder is no database" in capsys.readouterr().err


def test_a_parameter_given_twice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "3dp-nvp-c", "-p", "cycles=2", "-p", "cycles=3"]) == 2
    assert "cycles is given twice" in capsys.readouterr().err


def test_protocols_are_listed_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "mine.yaml").write_text("protocol: mine\ntitle: My own\n")
    (tmp_path / "protocols" / "broken.yaml").write_text("{")
    assert cli.main(["protocols", "list", "--json"]) == 0
    listed = {p["name"]: p for p in last_json(capsys)["protocols"]}
    assert listed["mine"]["title"] == "My own"
    assert not listed["mine"]["bundled"]
    assert listed["3dp-nvp-c"]["bundled"]
    assert cli.main(["protocols", "list"]) == 0
    assert "cannot be read" in out(capsys)
    assert cli.main(["protocols", "show", "mine"]) == 0
    assert out(capsys) == "protocol: mine\ntitle: My own\n"
    assert cli.main(["protocols", "show", "mien"]) == 2


def test_the_bundled_protocol_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "3dp-nvp-c"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "is valid on bench standard" in captured.err


def test_findings_are_json_on_request_and_end_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "3dp-nvp-c", "-p", "pyrolysis_hold=3 parsec", "--json"]) == 3
    found = last_json(capsys)
    keys = {"rule", "severity", "message", "file", "line", "column", "hint"}
    assert all(set(finding) == keys for finding in found["findings"])
    assert found["findings"][0]["severity"] == "error"
    assert found["plan_hash"] is None


def test_a_wrong_protocol_shows_line_and_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("protocol: mine\ntitle: T\nsteps:\n  - {id: mix, stirr: {with: x}}\n")
    assert cli.main(["validate", str(file)]) == 3
    err = capsys.readouterr().err
    assert f"--> {file}:4:" in err
    assert "^" in err
    assert "did you mean stir" in err


def test_a_wrong_bench_ends_with_3_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.yaml").write_text("bench: x\nchambers: {}\ninstrumens: {}\n")
    assert cli.main(["validate", "3dp-nvp-c", "--bench", str(tmp_path), "--json"]) == 3
    assert any("instrumens" in f["message"] for f in last_json(capsys)["findings"])


@pytest.mark.parametrize("what", ["protocol", "bench"])
def test_schemas_are_json_schemas(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", what]) == 0
    printed = json.loads(out(capsys))
    assert printed["type"] == "object"
    assert cli.main(["schema", what, "-o", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text()) == printed


def test_runs_are_listed_shown_and_exported(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = ["--bench", str(finished)]
    assert cli.main(["runs", "list", *bench]) == 0
    listed = out(capsys)
    assert synthetic.RUN in listed
    assert "SIMULATED" in listed
    assert cli.main(["runs", "list", "--json", *bench]) == 0
    assert last_json(capsys)["runs"][0]["end_state"] == "COMPLETE"
    assert "3dp-nvp-c " in listed
    assert cli.main(["runs", "show", *bench]) == 0
    shown = out(capsys)
    assert "capacity of the first discharge" in shown
    assert sum(line.startswith("preheat ") for line in shown.splitlines()) == 1
    assert shown.splitlines()[-1].startswith("journal head ")
    assert cli.main(["runs", "show", synthetic.RUN, "--json", *bench]) == 0
    one = last_json(capsys)
    assert one["verdict"]["outcome"] == "pass"
    assert cli.main(["runs", "export", synthetic.RUN, "--journal", *bench]) == 0
    rows = [json.loads(line) for line in out(capsys).splitlines()]
    assert rows[-1]["hash"] == one["journal_head"]
    path = tmp_path / "journal.jsonl"
    assert cli.main(["runs", "export", "--journal", "-o", str(path), *bench]) == 0
    assert len(path.read_text().splitlines()) == len(rows)


def test_a_folder_without_a_bench_says_where_one_is(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["runs", "list", "--bench", str(tmp_path)]) == 2
    simulated = tmp_path / "labctl-runs" / "run-1"
    simulated.mkdir(parents=True)
    shutil.copy(finished / "labctl.db", simulated / "labctl.db")
    assert cli.main(["report", "--bench", str(tmp_path)]) == 2
    assert f"--bench {simulated}" in capsys.readouterr().err
    assert cli.main(["runs", "show", "no-such-run", "--bench", str(simulated)]) == 2


def test_an_audit_passes_a_whole_record_and_refuses_a_damaged_one(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["audit", "verify", "--bench", str(finished)]) == 0
    assert synthetic.RUN in out(capsys)
    shutil.copy(finished / "labctl.db", tmp_path / "labctl.db")
    damaged = sqlite3.connect(tmp_path / "labctl.db")
    damaged.executescript(
        "DROP TRIGGER journal_refuses_update; UPDATE journal SET data = '{}' WHERE kind = 'answered'"
    )
    damaged.close()
    assert cli.main(["audit", "verify", "--json", "--bench", str(tmp_path)]) == 3
    found = last_json(capsys)
    assert not found["ok"]
    assert found["problems"]


def test_a_report_is_written_where_it_says(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", "--bench", str(finished)]) == 0
    path = Path(out(capsys).strip())
    assert path == finished / "reports" / f"{synthetic.RUN}.html"
    assert path.read_text().startswith("<!doctype html>")
    assert cli.main(["report", "-o", str(tmp_path / "r.html"), "--bench", str(finished)]) == 0
    assert (tmp_path / "r.html").is_file()
