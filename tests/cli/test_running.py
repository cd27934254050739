"""`run`, `plan` and `status`: what they print where, how they end, and that nothing is overwritten."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.bench.loader import find_bench
from labctl.store import Store
from tests.commandline import Labctl

RUN_KEYS = {
    "run_id", "bench", "state", "reason", "virtual_s", "wall_s", "cpu_s", "journal_head", "alarms", "verdict",
    "results", "report",
}  # fmt: skip
ROW_KEYS = {"quantity", "planned", "actual", "unit", "tolerance", "ok", "provenance"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with the small bench in `small`."""
    (tmp_path / "small").mkdir()
    shutil.copy(find_bench("small"), tmp_path / "small" / "bench.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def last_json(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def tightened(folder: Path, **limits: float) -> None:
    """The small bench with stricter limits of its over-temperature guard."""
    bench = yaml.safe_load((folder / "bench.yaml").read_text())
    bench["chambers"]["tube"]["guards"][0]["limits"] = limits
    (folder / "bench.yaml").write_text(yaml.safe_dump(bench))


def test_an_interrupt_in_the_middle_of_a_commit_stops_the_run_in_order(
    here: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, batches = Store._insert, 0

    def interrupted(self: Store, *arguments: Any) -> tuple[int, int]:
        nonlocal batches
        batches += 1
        if batches == 3:
            signal.raise_signal(signal.SIGINT)
        return insert(self, *arguments)

    monkeypatch.setattr(Store, "_insert", interrupted)
    code, out, _ = labctl("run", "short-furnace", "--simulate", "--bench", "small", "--yes", "--json")
    result = last_json(out)
    assert (code, result["state"], result["reason"]) == (4, "STOPPED", "interrupted at the terminal")
    assert labctl("audit", "verify", "--bench", result["bench"])[0] == 0


def test_a_run_that_is_refused_tells_its_findings_as_json_too(here: Path, labctl: Labctl) -> None:
    code, out, said = labctl(
        "run", "short-furnace", "-p", "hold=3 K", "--simulate", "--bench", "small", "--json"
    )
    assert (code, "hold" in said) == (3, True)
    assert [finding["severity"] for finding in last_json(out)["findings"]] == ["error"]


@pytest.mark.parametrize(
    "words", [["schema", "protocol", "-o"], ["plan", "short-furnace", "--bench", "small", "--html"]]
)
def test_no_file_that_is_written_takes_the_place_of_a_database(
    here: Path, labctl: Labctl, words: list[str]
) -> None:
    with closing(sqlite3.connect("labctl.db")) as database:
        database.execute("CREATE TABLE scans (seq)")
    before = (here / "labctl.db").read_bytes()
    code, _, said = labctl(*words, "labctl.db")
    assert (code, "labctl.db is a database; it is never overwritten" in said) == (2, True)
    assert (here / "labctl.db").read_bytes() == before


def test_a_disk_without_room_for_the_report_does_not_take_the_verdict_along(here: Path) -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20)); "
        "from labctl.cli import main; sys.exit(main())"
    )
    words = ["run", "short-furnace", "--simulate", "--bench", "small", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    result = last_json(done.stdout)
    assert (result["state"], result["verdict"]["outcome"], result["report"]) == ("COMPLETE", "pass", None)
    said = done.stderr.splitlines()[-1]
    assert said == "labctl: the run is on record, but its report is not written: File too large"
    assert not list((Path(result["bench"]) / "reports").iterdir())


def test_a_simulated_run_tells_everything_in_one_object_and_is_never_overwritten(
    here: Path, labctl: Labctl
) -> None:
    words = ("run", "short-furnace", "--simulate", "--bench", "small", "--seed", "3", "--json")
    code, out, said = labctl(*words)
    assert code == 0
    assert len(out.splitlines()) == 1
    result = last_json(out)
    assert set(result) == RUN_KEYS
    assert set(result["verdict"]) == {"outcome", "rows"}
    assert all(set(row) >= ROW_KEYS for row in result["verdict"]["rows"])
    assert {"purge_s", "nitrogen_l"} <= set(result["results"])
    folder = here / "labctl-runs" / result["run_id"]
    assert Path(result["bench"]) == folder
    assert Path(result["report"]).is_file()
    assert said.splitlines()[0] == f"SIMULATED run {result['run_id']}, in {folder}"
    assert sorted(p.name for p in (here / "small").iterdir()) == ["bench.yaml"]

    kept = (folder / "labctl.db").read_bytes()
    again = last_json(labctl(*words, "--no-report")[1])
    assert (again["run_id"], again["journal_head"]) == (result["run_id"], result["journal_head"])
    assert (again["bench"], again["report"]) == (f"{folder}-2", None)
    assert (folder / "labctl.db").read_bytes() == kept

    shown = last_json(labctl("status", "--json", "--bench", str(folder))[1])
    assert {"controller_pid", "guard_pid", "runs", "custody", "allowed_commands"} <= set(shown)
    assert shown["allowed_commands"] == ["RESET"]
    assert shown["runs"][0]["end_state"] == "COMPLETE"


def test_data_goes_to_stdout_and_talk_to_stderr(here: Path, labctl: Labctl) -> None:
    code, out, said = labctl("run", "short-furnace", "--simulate", "--bench", "small")
    assert code == 0
    *table, ended, report = out.splitlines()
    assert ended == f"SIMULATED {Path(report).stem}: COMPLETE, pass"
    assert Path(report).is_file()
    assert table[0].split()[:2] == ["step", "quantity"]
    assert "heat done" in said
    assert "heat done" not in out
    assert "\x1b" not in out + said


def test_a_run_that_trips_ends_with_5(here: Path, labctl: Labctl) -> None:
    tightened(here / "small", over_temperature_margin=2.5)  # the second thermometer of this plant reads high
    code, out, said = labctl(
        "run", "short-furnace", "--simulate", "--bench", "small", "--seed", "4", "--json"
    )
    assert code == 5, said
    result = last_json(out)
    assert result["state"] == "ABORTED"
    assert "above the limit" in result["reason"]
    assert result["verdict"]["outcome"] != "pass"


def test_a_plan_that_does_not_come_to_its_end_is_not_started(here: Path, labctl: Labctl) -> None:
    tightened(here / "small", over_temperature_margin=0.01)
    code, out, said = labctl(
        "run", "short-furnace", "--simulate", "--bench", "small", "--seed", "1", "--json"
    )
    assert (code, out) == (3, "")
    assert "ABORTED" in said
    assert not list(here.glob("labctl-runs/*"))


def test_a_person_is_wanted_in_the_row_of_the_step_that_wants_them(here: Path, labctl: Labctl) -> None:
    (here / "two.yaml").write_text(
        "protocol: two\ntitle: Two steps\nroles: {}\nsteps:\n"
        "  - {id: rest, wait: {for: 30 min}}\n"
        "  - {id: pour, manual: {do: Pour it out}}\n"
    )
    code, out, said = labctl("plan", "two.yaml", "--bench", "small", "--start", "2026-01-05 09:00")
    assert code == 0, said
    rows = [line.split(maxsplit=6) for line in out.splitlines() if line.startswith("Mon ")]
    assert [row[1:4:2] + row[4:] for row in rows] == [
        ["09:00", "09:30", "rest", "wait", "Start the run"],
        ["09:30", "09:30", "pour", "manual", "Pour it out"],
    ]


def test_a_plan_says_what_a_run_takes(here: Path, labctl: Labctl) -> None:
    code, out, _ = labctl("plan", "short-furnace", "--bench", "small", "--json")
    assert code == 0
    planned = last_json(out)
    assert {"plan_hash", "duration_s", "steps", "nitrogen_l", "energy_kwh", "attention", "findings"} <= set(
        planned
    )
    assert all({"id", "start_s", "end_s", "setpoint", "hold_s"} <= set(step) for step in planned["steps"])
    assert [s["setpoint"] for s in planned["steps"]] == [None, 300.0, None, None]
    assert planned["attention"][0]["at_s"] > planned["steps"][2]["start_s"]


WRONG: list[tuple[str, int]] = [
    ("run short-furnace", 2),
    ("run short-furnace --simulate --speed 0", 2),
    ("run short-furnace --simulate --seed x", 2),
    ("run short-furnace --bench small --seed 3", 2),
    ("run short-furnace --bench small", 2),
    ("run short-furnace --simulate --bench nowhere", 2),
    ("run nothing-of-that-name --simulate", 3),
    ("run short-furnace --simulate -p hold=forever", 3),
    ("run short-furnace --simulate -p nonsense=1", 3),
    ("run broken.yaml --simulate", 3),
    ("run binary.yaml --simulate", 3),
    ("run . --simulate", 3),
    ("plan broken.yaml", 3),
    ("validate broken.yaml --json", 3),
    ("validate short-furnace --bench broken", 3),
    ("serve --bench small", 2),
    ("serve --bench broken", 3),
    ("status --bench small", 2),
    ("status --bench damaged --json", 1),
    ("pause --bench small", 2),
    ("stop some-run --bench small", 2),
    ("manual --bench small --enter x", 2),
    ("manual --bench small", 2),
    ("clear --bench small", 2),
    ("estop --bench empty", 2),
    ("sim truth --bench small", 7),
    ("runs list --bench small", 2),
    ("runs show no-run --bench small", 2),
    ("runs export --bench small", 2),
    ("report --bench small", 2),
    ("audit verify --bench small", 2),
    ("audit verify --bench damaged", 1),
    ("protocols show nothing-of-that-name", 2),
    ("init small", 2),
    ("schema nonsense", 2),
    ("demo --seed x", 2),
]


@pytest.mark.parametrize(("words", "code"), WRONG, ids=lambda value: str(value))
def test_bad_input_is_answered_within_one_screen(here: Path, labctl: Labctl, words: str, code: int) -> None:
    (here / "broken.yaml").write_text("protocol: broken\nsteps:\n  - {id: a, heat: {to: 5 bananas}}\n")
    (here / "binary.yaml").write_bytes(bytes(range(256)))
    for name in ("broken", "damaged", "empty"):
        (here / name).mkdir()
    (here / "broken" / "bench.yaml").write_text("bench: [")
    (here / "damaged" / "labctl.db").write_bytes(b"not a database" * 100)
    got, out, said = labctl(*words.split())
    assert got == code, said
    assert "Traceback" not in said
    assert "This is a bug" not in said
    assert 1 <= len((said + out).splitlines()) <= 40
    assert not (here / "empty" / "ESTOP").exists()
    assert not (here / "labctl-runs").exists(), "nothing is made for a run that does not begin"


def test_a_mistake_is_shown_where_it_stands(here: Path, labctl: Labctl) -> None:
    (here / "broken.yaml").write_text("protocol: broken\nsteps:\n  - {id: a, heat: {to: 5 bananas}}\n")
    _, _, said = labctl("run", "broken.yaml", "--simulate")
    assert "broken.yaml:3:24" in said
    assert "      ^" in said
