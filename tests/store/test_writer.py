"""The one writer: all or nothing, append-only, and what it acknowledged survives."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labctl.errors import StoreBusyError, StoreError
from labctl.model.events import Event
from labctl.store import NOT_READ, Reader, Row, Store, schema
from labctl.store.verify import verify
from tests.store.conftest import CELL, EPOCH_MS, FURNACE, scans, utc


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "labctl.db", bench="standard", bench_yaml="a: 1\n", simulated=True) as made:
        yield made


def test_a_bench_memory_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(StoreError, match="never overwritten"):
        Store.create(path, bench="other", bench_yaml="", simulated=False)
    assert path.read_bytes() == before
    assert not path.with_name("labctl.db.new").exists()


def test_streams_are_gapless_chains_that_begin_with_the_identity(store: Store) -> None:
    identity = store.head("bench")
    assert identity[0] == 0
    store.commit([Event("bench", "a", {}, 0.0), Event("bench", "b", {"x": [1, None, "°"]}, 1.5)], utc)
    first, second = store.read.journal("bench")
    assert (first.seq, first.prev_hash, first.utc_ms) == (1, identity[1], EPOCH_MS)
    assert (second.seq, second.prev_hash, second.data) == (2, first.hash, '{"x":[1,null,"°"]}')
    assert store.head("bench") == (2, second.hash)


def test_the_same_facts_give_the_same_hashes(tmp_path: Path) -> None:
    heads = set()
    for name in ("a.db", "b.db"):
        with Store.create(tmp_path / name, bench="standard", bench_yaml="a: 1\n", simulated=True) as store:
            store.commit([Event("run-1", "run_created", {"b": 1, "a": 0.1}, 0.25)], utc)
            heads.add(store.head("bench"))
    assert len(heads) == 1


def test_a_run_is_anchored_at_its_first_row_and_at_every_row_after_its_end(path: Path) -> None:
    with Reader.open(path) as reader:
        anchors = [e.data for e in reader.events("bench", kinds=["run_anchored"])]
        hashes = {run: [f.hash for f in reader.facts(run)] for run in ("run-1", "run-2")}
    assert [(a["run"], a["seq"]) for a in anchors] == [("run-1", 1), ("run-1", 4), ("run-1", 5), ("run-2", 1)]
    assert all(hashes[a["run"]][a["seq"] - 1] == a["hash"] for a in anchors)


@pytest.mark.parametrize(
    "data", [{"x": float("nan")}, {"x": float("inf")}, {"x": b"raw"}, {10: 1, 9: 2}, {"x": "\udcff"}]
)
def test_what_has_no_canonical_text_is_refused_and_nothing_is_kept(
    store: Store, data: dict[str, object]
) -> None:
    with pytest.raises(StoreError, match="cannot be kept"):
        store.commit([Event("bench", "good", {}, 0.0), Event("bench", "bad", data, 0.0)], utc)
    assert store.head("bench")[0] == 0
    assert store.read.events("bench") == []
    store.commit([Event("bench", "good", {}, 0.0)], utc)
    assert store.head("bench")[0] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET data = '{}'",
        "DELETE FROM journal WHERE seq = 1",
        "INSERT INTO journal SELECT stream, seq + 2, mono_s, utc_ms, kind, data, hash, hash FROM journal",
        "INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE seq = 1",
        "INSERT INTO journal SELECT stream, 3, mono_s, 0, kind, data, 'x', 'y' FROM journal WHERE seq = 2",
        "UPDATE telemetry_1 SET v0 = 0",
        "DELETE FROM telemetry_1",
        "UPDATE documents SET text = ''",
        "DELETE FROM documents",
        "INSERT OR REPLACE INTO documents SELECT sha256, kind, 'x', row_sha256 FROM documents",
        "UPDATE identity SET simulated = 0",
        "INSERT INTO identity VALUES (2, 'x', 'y', 0)",
        "UPDATE layouts SET sha256 = ''",
        "INSERT OR REPLACE INTO channels SELECT layout, position, 'x', signal, unit FROM channels",
        "DELETE FROM inbox",
        "UPDATE inbox SET actor = 'eve' WHERE outcome IS NULL",
        "UPDATE inbox SET outcome = 'other' WHERE outcome IS NOT NULL",
        "INSERT OR REPLACE INTO inbox SELECT * FROM inbox",
    ],
)
def test_history_cannot_be_changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for setting in ("OFF", "ON"):
            connection.execute(f"PRAGMA recursive_triggers={setting}")
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
    assert verify(path).ok


def test_a_run_ends_once(store: Store) -> None:
    store.commit(
        [Event("r", "run_created", {}, 0.0), Event("r", "run_ended", {"end_state": "ABORTED"}, 1.0)], utc
    )
    with pytest.raises(StoreError, match="a run ends once"):
        store.commit([Event("r", "run_ended", {"end_state": "COMPLETE"}, 2.0)], utc)
    assert store.read.run("r").end_state == "ABORTED"
    assert store.head("r")[0] == 2


def test_a_layout_is_its_list_of_channels(store: Store) -> None:
    assert store.layout(FURNACE) == 1
    assert store.layout(CELL) == 2
    assert store.layout(list(FURNACE)) == 1
    with Store.open(Path(store.read.query("PRAGMA database_list")[0][2])) as again:
        assert again.layout(CELL) == 2
    with pytest.raises(StoreError, match="each signal once"):
        store.layout([FURNACE[0], ("furnace", "temperature", "K")])


def test_telemetry_keeps_what_was_said_how_good_it_was_and_how_old(store: Store) -> None:
    layout = store.layout(CELL)
    odd = (812.5, float("nan"), -0.0)
    store.commit([], utc, [Row(layout, 1.0, odd, bytes([2, 3, 0]), (70_000, 1000, 258))])
    store.commit([], utc, [Row(layout, 2.0, (None, 5, None), bytes([NOT_READ, 0, NOT_READ]), (0, 7, 0))])
    rows = store.read.query(
        "SELECT seq, utc_ms, instrument, value, quality, age_ms FROM readings ORDER BY seq, 3"
    )
    assert rows == [
        (1, EPOCH_MS + 1000, "cycler", 0.0, 0, 258),
        (1, EPOCH_MS + 1000, "furnace", 812.5, 2, 65_535),
        (1, EPOCH_MS + 1000, "nitrogen", None, 3, 1000),
        (2, EPOCH_MS + 2000, "nitrogen", 5.0, 0, 7),
    ]
    assert store.digest() == store.read.tail(1).digest()


@pytest.mark.parametrize(
    "row",
    [
        Row(9, 1.0, (1.0, 2.0), bytes(2), (0, 0)),
        Row(1, 1.0, (1.0, 2.0), bytes(3), (0, 0)),
        Row(1, 1.0, (1.0,), bytes(2), (0, 0)),
        Row(1, 1.0, (1.0, 2.0), bytes(2), (70_000,)),
        Row(1, 1.0, (1.0, "2.0"), bytes(2), (0, 0)),  # type: ignore[arg-type]
    ],
)
def test_a_scan_that_does_not_fit_its_layout_is_refused_whole(store: Store, row: Row) -> None:
    assert store.layout(FURNACE) == 1
    with pytest.raises(StoreError, match="layout"):
        store.commit([Event("bench", "x", {}, 1.0)], utc, [*scans(1, 0, 1, 2), row])
    assert (store.head("bench")[0], store.digest(), store.read.latest()) == (0, None, [])


def test_the_bench_clock_never_goes_back(store: Store) -> None:
    layout = store.layout(FURNACE)
    store.commit([], utc, scans(layout, 5, 2, 2))
    with pytest.raises(StoreError, match=r"went back from 6 s to 5 s"):
        store.commit([Event("bench", "x", {}, 5.0)], utc, scans(layout, 5, 1, 2))
    assert store.head("bench")[0] == 0
    assert store.mono_s == 6.0


def test_a_digest_covers_what_came_since_the_last_one_across_layouts_and_restarts(store: Store) -> None:
    assert store.digest() is None
    one, two = store.layout(FURNACE), store.layout(CELL)
    store.commit([], utc, [*scans(one, 0, 2, 2), *scans(two, 2, 1, 3), *scans(one, 3, 1, 2)])
    digest = store.digest()
    assert digest is not None
    assert (digest["first_seq"], digest["last_seq"], digest["rows"], sorted(digest["layouts"])) == (
        1,
        4,
        4,
        ["1", "2"],
    )
    with pytest.raises(StoreError, match="not the digest"):
        store.commit([Event("bench", "telemetry_digest", {**digest, "rows": 5}, 4.0)], utc)
    assert store.digest() == digest
    path = Path(store.read.query("PRAGMA database_list")[0][2])
    store.close()
    with Store.open(path) as again:
        assert again.digest() == digest
        again.commit(
            [Event("bench", "telemetry_digest", {**digest, "scans": 4}, 4.0)], utc, scans(two, 4, 1, 3)
        )
        later = again.digest()
        assert later is not None
        assert (later["first_seq"], later["rows"]) == (5, 1)
    assert verify(path).ok


def test_a_checkpoint_comes_back_with_the_heads_it_belongs_to(store: Store) -> None:
    assert store.read.checkpoint() is None
    store.commit([Event("bench", "a", {}, 0.0)], utc, checkpoint="one")
    at = store.head("bench")
    store.commit([Event("bench", "b", {}, 1.0)], utc)
    kept = store.read.checkpoint()
    assert kept is not None
    assert (kept.state, kept.heads) == ("one", {"bench": at})


def test_a_file_changed_from_outside_is_not_resumed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE checkpoint SET state = '{\"step\":3}'")
        connection.commit()
    with pytest.raises(StoreError, match="not as sealed"):
        Store.open(path)


def test_a_full_disk_is_said_and_the_memory_stays_readable(store: Store) -> None:
    layout = store.layout(FURNACE)
    path = Path(store.read.query("PRAGMA database_list")[0][2])
    pages = store.read.query("PRAGMA page_count")[0][0]
    store.read.query(f"PRAGMA max_page_count={pages + 2}")
    kept = 0

    def fill() -> None:
        nonlocal kept
        while kept < 10_000:
            tick = Event("bench", "tick", {"n": kept}, float(kept))
            store.commit([tick], utc, scans(layout, kept, 1, 2))
            kept += 1

    with pytest.raises(StoreError, match="disk is full"):
        fill()
    assert kept > 0
    assert store.head("bench")[0] == kept
    with Reader.open(path) as reader:
        assert len(reader.events("bench")) == kept
    store.read.query("PRAGMA max_page_count=100000")
    store.commit([Event("bench", "freed", {}, float(kept))], utc)
    store.close()
    assert verify(path).ok


def test_a_second_writer_waits_and_then_says_who_is_in_the_way(store: Store) -> None:
    path = Path(store.read.query("PRAGMA database_list")[0][2])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.read.query("PRAGMA busy_timeout=50")
        started = time.monotonic()
        with pytest.raises(StoreBusyError, match="another process"):
            store.commit([Event("bench", "a", {}, 0.0)], utc)
        assert time.monotonic() - started >= 0.05
        other.execute("COMMIT")
    store.commit([Event("bench", "a", {}, 0.0)], utc)
    assert store.head("bench")[0] == 1


def test_a_second_controller_cannot_fork_the_journal(path: Path) -> None:
    with Store.open(path) as one, Store.open(path) as two:
        one.commit([Event("bench", "one", {}, 10.0)], utc)
        with pytest.raises(StoreError, match="not the next row"):
            two.commit([Event("bench", "two", {}, 10.0)], utc)
    assert verify(path).ok


def test_a_newer_schema_is_refused_by_name(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")
    for opened in (Store.open, Reader.open):
        with pytest.raises(StoreError, match="schema 99 is newer than schema 1"):
            opened(path)


def test_an_older_schema_is_migrated_after_a_backup(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = (*schema.MIGRATIONS, lambda database: ["CREATE TABLE samples (id INTEGER PRIMARY KEY) STRICT"])
    monkeypatch.setattr(schema, "MIGRATIONS", grown)
    with pytest.raises(StoreError, match="schema 1 is older than schema 2"):
        Reader.open(path)
    with Store.open(path) as store:
        assert store.read.query("SELECT count(*) FROM samples") == [(0,)]
    assert verify(path).ok
    monkeypatch.undo()
    assert verify(path.with_name("labctl.db.schema-1.backup")).ok


def test_other_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE x (y)")
    for opened in (Store.open, Reader.open):
        with pytest.raises(StoreError, match="not a database of labctl"):
            opened(foreign)
        with pytest.raises(StoreError, match="no database of a bench"):
            opened(tmp_path / "nothing.db")


def commit_for_ever(path: Path, acknowledge: int) -> None:
    """What the child does: commit, and only then say so, one byte each."""
    store = Store.open(path)
    layout = store.layout([("furnace", "temperature", "degC")])
    os.write(acknowledge, b"r")
    n = store.head("bench")[0]
    while True:
        n += 1
        row = Row(layout, float(n), (1.5,), bytes(1), (0,))
        store.commit([Event("bench", "tick", {"n": n}, float(n))], 0, [row], checkpoint="at")
        os.write(acknowledge, b"c")


def test_a_killed_writer_loses_nothing_that_it_acknowledged(store: Store) -> None:
    path = Path(store.read.query("PRAGMA database_list")[0][2])
    store.layout([("furnace", "temperature", "degC")])
    store.close()
    chance, before, acknowledged = random.Random(1), 0, 0
    for _ in range(20):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                commit_for_ever(path, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with open(reading, "rb") as said:
            assert said.read(1) == b"r"
            committed = len(said.read(chance.randrange(1, 5)))
            time.sleep(chance.uniform(0.0, 0.01))
            os.kill(child, signal.SIGKILL)
            committed += len(said.read())
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        with Store.open(path) as after:
            kept = after.head("bench")[0]
        assert before + committed <= kept <= before + committed + 1
        before, acknowledged = kept, acknowledged + committed
    assert acknowledged > 20
    assert verify(path).ok
