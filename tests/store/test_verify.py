"""Every byte that a verdict rests on is found when it changes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import StoreError
from labctl.store.verify import verify

PROOFS: dict[str, tuple[str, ...]] = {
    "identity": ("identity:", "journal:"),
    "journal": ("journal:", "seal:"),
    "documents": ("documents:", "identity:"),
    "layouts": ("layouts:",),
    "channels": ("layouts:",),
    "telemetry_1": ("telemetry:", "seal:"),
    "telemetry_2": ("telemetry:", "seal:"),
    "seal": ("seal:",),
    "checkpoint": ("checkpoint:", "seal:"),
    "inbox": ("inbox:",),
}
"""Every table, and the checks that must find a change in it."""


def forge(path: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change a database with every trigger out of the way and back in place, word for word."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for sql, arguments in statements:
            connection.execute(sql, arguments)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")


def restore(path: Path, original: bytes | bytearray) -> None:
    """The file as it was, without the side files of whoever looked at it."""
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    path.write_bytes(original)


def flipped(value: Any) -> Iterator[Any]:
    """The value with one bit of it changed, at its ends and in its middle."""
    if isinstance(value, int):
        yield value ^ 1
    elif isinstance(value, float):
        yield value + 2.0**-40
    elif isinstance(value, str):
        place = len(value) // 2
        yield value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
        yield value + " "
    elif isinstance(value, bytes):
        for place in {0, len(value) - 1}:
            yield value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
    else:
        yield from (0, "x")


def forgeries(path: Path) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    connection = sqlite3.connect(path)
    for table in PROOFS:
        cursor = connection.execute(f"SELECT rowid, * FROM {table}")
        columns = [each[0] for each in cursor.description][1:]
        for rowid, *values in cursor.fetchall():
            yield f"{table}[{rowid}] deleted", f"DELETE FROM {table} WHERE rowid = ?", (rowid,)
            for column, value in zip(columns, values, strict=True):
                for other in flipped(value):
                    name = f"{table}[{rowid}].{column} = {other!r:.40}"
                    yield name, f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (other, rowid)
    connection.close()


def test_an_untouched_database_has_no_problems(path: Path) -> None:
    verdict = verify(path)
    assert verdict.problems == []
    assert verdict.ok
    assert verdict.counts["journal"] == 13
    assert verdict.counts["scans"] == 8
    assert verdict.counts["scans_without_digest"] == 3


def test_one_changed_value_in_any_row_of_any_table_is_found(path: Path) -> None:
    """Each row and column of the whole database, one at a time, each found by the checks of its own table."""
    changes, tried, missed = list(forgeries(path)), 0, []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
    bare = path.read_bytes()
    assert all(problem.startswith("schema: ") for problem in verify(path).problems)
    for name, sql, arguments in changes:
        restore(path, bare)
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=OFF")
                connection.execute(sql, arguments)
        except sqlite3.IntegrityError:
            continue  # The table's own declaration refuses that value whoever writes it.
        tried += 1
        found = verify(path).problems
        if not any(problem.startswith(PROOFS[name.split("[")[0]]) for problem in found):
            missed.append(name)
    # The newest request of the inbox has no successor that would miss it, nor an outcome of which the journal tells.
    assert missed == ["inbox[2] deleted"]
    assert tried > 300


def test_a_request_that_was_carried_out_cannot_wait_again_nor_be_gone(path: Path) -> None:
    again = "UPDATE inbox SET outcome = NULL, outcome_sha256 = NULL WHERE id = 1"
    for forged in ((again,), ("DELETE FROM inbox",)):
        original = path.read_bytes()
        forge(path, *((sql, ()) for sql in forged))
        assert verify(path).problems == ["inbox: what became of request 1 is not what the journal tells"]
        restore(path, original)


def test_one_flipped_byte_of_the_file_itself_is_found(path: Path) -> None:
    """Bytes of the payload, changed below SQLite, found by their text in the file."""
    original = path.read_bytes()
    for text in (
        b"bench_opened",
        b'"note":"20',
        b"COMPLETE",
        b"furnace",
        b"cycler",
        b'{"step":2}',
        b"bench: standard",
    ):
        places = [i for i in range(len(original)) if original.startswith(text, i)]
        assert places, text
        for place in places:
            damaged = bytearray(original)
            damaged[place + 1] ^= 1
            restore(path, damaged)
            with suppress(StoreError):
                assert not verify(path).ok, (text, place)


def test_a_removed_trigger_is_found(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER journal_refuses_update")
    connection.close()
    assert verify(path).problems == ["schema: journal_refuses_update is missing"]


def test_a_view_that_lies_is_found(path: Path) -> None:
    forge(path, ("DROP VIEW runs", ()), ("CREATE VIEW runs AS SELECT 'run-1' AS run_id", ()))
    assert verify(path).problems == ["schema: runs is not as declared"]


def test_a_scan_replaced_behind_the_triggers_is_found(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA recursive_triggers=OFF")
    connection.execute("REPLACE INTO telemetry_1 SELECT seq, mono_ms, utc_ms, qualities, ages, 21.5, v1 FROM "
                       "telemetry_1 WHERE seq = 2")  # fmt: skip
    connection.commit()
    connection.close()
    assert (
        verify(path).problems
        == [
            "telemetry: scans 1 to 5 are not what was written",
            "checkpoint: belongs to scans that are not in the telemetry",
        ][:1]
    )


def test_a_forged_run_is_betrayed_by_the_bench_stream(path: Path) -> None:
    """A whole stream written anew, chain and all, is not the one that was anchored."""
    from labctl.store.chain import row_hash

    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT * FROM journal WHERE stream = 'run-1' ORDER BY seq").fetchall()
    connection.close()
    statements, prev = [], rows[0][6]
    for stream, seq, mono_s, utc_ms, kind, data, *_ in rows:
        told = data.replace("COMPLETE", "ABORTED")
        own = row_hash(prev, stream, seq, mono_s, utc_ms, kind, told)
        statements.append(
            (
                "UPDATE journal SET data = ?, prev_hash = ?, hash = ? WHERE stream = ? AND seq = ?",
                (told, prev, own, stream, seq),
            )
        )
        prev = own
    forge(path, *statements)
    assert verify(path).problems == [
        "anchors: row 4 of run-1 is not the one that the bench stream names",
        "anchors: row 5 of run-1 is not the one that the bench stream names",
    ]


def test_a_plan_that_a_run_names_must_be_there(path: Path) -> None:
    forge(path, ("DELETE FROM documents WHERE kind = 'plan'", ()))
    problems = verify(path).problems
    assert len(problems) == 2
    assert all(p.startswith("documents: run-") and "which is not there" in p for p in problems)


def test_a_tail_cut_off_is_found(path: Path) -> None:
    forge(path, ("DELETE FROM journal WHERE stream = 'run-2' AND seq = 2", ()))
    assert "seal: the newest rows are not those of the newest commit" in verify(path).problems


def test_a_known_head_that_is_gone_is_found_even_where_the_seal_was_forged(
    path: Path, tmp_path: Path
) -> None:
    whole = verify(path)
    head = whole.heads["bench"][1]
    assert verify(path, {"bench": head}).ok
    from labctl.store import Store

    other = tmp_path / "other.db"
    with Store.create(other, bench="standard", bench_yaml="bench: standard\n", simulated=True):
        pass
    assert verify(other).ok
    problems = verify(other, {"bench": head}).problems
    assert problems == [f"stream bench: the known head {head} is not in the journal"]


def test_no_database_is_an_error_and_not_a_verdict(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        verify(tmp_path / "labctl.db")
    (tmp_path / "text.db").write_text("hello " * 200)
    with pytest.raises(StoreError):
        verify(tmp_path / "text.db")


def test_a_copy_can_be_audited_anywhere(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy.db"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    assert verify(copy).ok
