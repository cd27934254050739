"""Faces look at a bench's memory without writing, waiting, or importing half of the world."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.errors import StoreError, UsageError
from labctl.model.events import Event
from labctl.store import Bucket, Latest, Reader, Row, Store
from tests.store.conftest import EPOCH_MS, FURNACE, utc


def test_runs_are_read_from_the_journal(path: Path) -> None:
    with Reader.open(path) as reader:
        first, second = reader.runs()
        assert reader.run("run-2") == second
        with pytest.raises(UsageError, match="no run 'run-3'"):
            reader.run("run-3")
    assert (first.run_id, first.title, first.simulated, first.seed) == ("run-1", "Powder", True, 7)
    assert (first.state, first.end_state, first.ended_utc_ms) == ("RUNNING", "COMPLETE", EPOCH_MS + 5000)
    assert (second.state, second.end_state) == ("RUNNING", None)


def test_facts_can_be_followed_and_chosen(path: Path) -> None:
    with Reader.open(path) as reader:
        kinds = [event.kind for event in reader.events("run-1")]
        assert kinds == ["run_created", "state_changed", "telemetry_digest", "run_ended", "cleared"]
        assert [fact.seq for fact in reader.facts("run-1", after=3)] == [4, 5]
        assert [fact.event.data for fact in reader.facts("run-1", kinds=["cleared"])] == [{"actor": "ada"}]
        assert [event.kind for event in reader.every_event()][:3] == [
            "bench_opened",
            "run_created",
            "run_anchored",
        ]


def test_the_plan_of_a_run_is_found_by_its_hash(path: Path) -> None:
    with Reader.open(path) as reader:
        plan = reader.run("run-1").plan
        assert plan is not None
        assert reader.document(plan) == '{"steps":[]}'
        with pytest.raises(StoreError, match="no document"):
            reader.document("0" * 64)


def test_the_latest_reading_of_each_channel(path: Path) -> None:
    with Reader.open(path) as reader:
        assert reader.latest() == [
            Latest("furnace", "temperature", "degC", 29.0, 0, 9.0, EPOCH_MS + 9000, 5),
            Latest("nitrogen", "flow", "sccm", 30.0, 0, 9.0, EPOCH_MS + 9000, 5),
            Latest("cycler", "voltage", "V", 31.0, 0, 9.0, EPOCH_MS + 9000, 5),
        ]


def test_a_series_counts_good_readings_only_and_crosses_layouts(path: Path) -> None:
    with Reader.open(path) as reader:
        points = reader.series("furnace", "temperature", run="run-1", buckets=3)
        whole = reader.series("furnace", "temperature", buckets=1)
    # Scans at 0 to 3 s say 20 to 23 degC; the 812.5 degC at 4 s was of bad quality.
    assert points == [Bucket(1.0, 20.0, 21.0, 22.0, 3), Bucket(3.0, 23.0, 23.0, 23.0, 1)]
    assert [(b.low, b.high, b.readings) for b in whole] == [(20.0, 29.0, 7)]


def test_a_series_of_an_interval_has_its_scans_and_no_others(tmp_path: Path) -> None:
    with Store.create(tmp_path / "labctl.db", bench="b", bench_yaml="", simulated=True) as store:
        layout = store.layout(FURNACE)
        rows = [Row(layout, t / 2, (t / 2, None), bytes([0, 255]), (0, 0)) for t in range(1000)]
        store.commit([], utc, rows)
        assert [
            b.t_s for b in store.read.series("furnace", "temperature", interval=(100.0, 102.0), buckets=5)
        ] == [
            100.0,
            100.5,
            101.0,
            101.5,
            102.0,
        ]
        assert store.read.series("nitrogen", "flow") == []
        assert store.read.series("furnace", "temperature", interval=(600.0, 700.0)) == []


def test_an_empty_memory_is_no_error(tmp_path: Path) -> None:
    Store.create(tmp_path / "labctl.db", bench="b", bench_yaml="", simulated=False).close()
    with Reader.open(tmp_path / "labctl.db") as reader:
        assert (reader.runs(), reader.latest(), reader.series("a", "b"), reader.checkpoint()) == (
            [],
            [],
            [],
            None,
        )
        assert reader.query("SELECT * FROM readings") == []
        assert not reader.identity().simulated


def test_a_reader_sees_what_is_committed_while_it_looks(path: Path) -> None:
    with Store.open(path) as store, Reader.open(path) as reader:
        store.commit([Event("bench", "later", {}, 20.0)], utc)
        assert reader.events("bench")[-1].kind == "later"


def test_a_reader_cannot_write(path: Path) -> None:
    with Reader.open(path) as reader, pytest.raises(StoreError, match="readonly"):
        reader.query("INSERT INTO documents VALUES ('a', 'b', 'c', 'd')")


def test_a_closed_file_opens_on_a_medium_that_cannot_be_written(path: Path) -> None:
    folder = path.with_name("archive")
    folder.mkdir()
    copy = Path(shutil.copy(path, folder))
    # A link to nowhere refuses the side file as a read-only folder does, and does so for root too.
    side = copy.with_name("labctl.db-wal")
    side.symlink_to(folder / "nowhere" / "wal")
    with Reader.open(copy) as reader:
        assert len(reader.runs()) == 2
    side.unlink()
    side.mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        Reader.open(copy)


def test_looking_imports_no_more_than_the_standard_library(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from labctl.store.reader import Reader\n"
        "with Reader.open(Path(sys.argv[1])) as reader: reader.runs(), reader.latest(), reader.streams()\n"
        "print([m for m in ('sqlite_utils', 'pydantic', 'numpy', 'pint', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout == "[]\n"
