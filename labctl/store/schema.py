"""The tables, triggers and views of a bench's database, and how an older file becomes a newer one.

Only this file knows SQL that declares. sqlite-utils writes the tables; it is imported when a file is made,
migrated or judged, never to look at one.

A scan is one row of `telemetry_N`, N being its layout; `readings` shows every scan of every layout as one row
for each reading. The telemetry tables refuse UPDATE and DELETE; a REPLACE is left to the digests, because a
trigger on each of 125,000 insertions costs a third of the whole.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import StoreBusyError, StoreError
from labctl.store.chain import NOT_READ

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x6C616263
"""Marks the file as labctl's ("labc")."""

BUSY_S = 2.0
"""How long a writer waits for another before it gives up."""

JOURNAL_TABLES = ("identity", "journal", "documents", "layouts", "channels")
"""Tables whose rows never change and never go."""


def explain(error: sqlite3.Error, where: str) -> StoreError:
    """The error of SQLite in the words of the person at the furnace."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    primary = code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(
            f"{where}: another process kept it for more than {BUSY_S:g} s; nothing was written ({error})"
        )
    if primary == sqlite3.SQLITE_FULL:
        return StoreError(
            f"{where}: the disk is full; nothing of this was written. Free some space ({error})"
        )
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(f"{where}: refused: {error}")
    return StoreError(f"{where}: {error}")


@contextmanager
def transaction(connection: sqlite3.Connection, where: str) -> Iterator[None]:
    """One durable transaction: all of it is kept, or none and a StoreError says why."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        raise explain(error, where) from error
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes: WAL, an fsync for each commit, transactions only where we say so."""
    if path.is_dir():
        raise StoreError(f"{path}: a folder is no database")
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def check_version(connection: sqlite3.Connection, where: str) -> int:
    """The schema version of a labctl database.

    Raises:
        StoreError: it is no labctl database, or a newer labctl made it.
    """
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise explain(error, where) from error
    if application != APPLICATION_ID:
        raise StoreError(f"{where}: not a database of labctl")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{where}: schema {version} is newer than schema {len(MIGRATIONS)}, the newest that this labctl "
            "knows; use the labctl that made it, or a newer one"
        )
    return int(version)


def migrated(connection: sqlite3.Connection, where: str) -> None:
    """Refuse a schema that is not the newest: only a controller migrates.

    Raises:
        StoreError: no labctl database, or of an older or a newer schema.
    """
    version = check_version(connection, where)
    if version < len(MIGRATIONS):
        raise StoreError(
            f"{where}: schema {version} is older than schema {len(MIGRATIONS)}; start the controller of this "
            "bench once, it brings the file up to date after a backup"
        )


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older file to the newest schema, after a backup beside it (`NAME.schema-N.backup`)."""
    version = check_version(connection, str(path))
    if version == len(MIGRATIONS):
        return
    backup = path.with_name(f"{path.name}.schema-{version}.backup")
    backup.unlink(missing_ok=True)
    copy = sqlite3.connect(backup)
    connection.backup(copy)
    copy.close()
    with transaction(connection, str(path)):
        apply(connection, version)


def apply(connection: sqlite3.Connection, version: int = 0) -> None:
    """Run the migrations after `version`, inside the caller's transaction."""
    from sqlite_utils import Database

    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    for migration in MIGRATIONS[version:]:
        for statement in migration(database):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")


def create_file(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a database with the newest schema and what `fill` puts in; it appears whole or not at all.

    Raises:
        StoreError: the file exists already; it is never overwritten.
    """
    if path.exists():
        raise StoreError(f"{path}: exists already; a bench's memory is never overwritten")
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        with transaction(connection, str(path)):
            apply(connection)
            fill(connection)
    except sqlite3.Error as error:
        raise explain(error, str(path)) from error
    finally:
        connection.close()
    try:
        os.link(draft, path)
    except FileExistsError:
        raise StoreError(f"{path}: exists already; a bench's memory is never overwritten") from None
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


# -- statements ------------------------------------------------------------------------------------


def append_only(table: str) -> list[str]:
    """Triggers that refuse UPDATE and DELETE on a table."""
    return [
        f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ]


def refuses_insert(table: str, name: str, condition: str, why: str) -> str:
    """A trigger that refuses an INSERT (and so INSERT OR REPLACE) under a condition."""
    return (
        f"CREATE TRIGGER {table}_{name} BEFORE INSERT ON {table} WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
    )


def telemetry_statements(database: Database, layout: int, width: int) -> list[str]:
    """The wide table of a layout: one row for each scan, one column for each of its `width` channels."""
    columns: dict[str, type] = {"seq": int, "mono_ms": int, "utc_ms": int, "qualities": bytes, "ages": bytes}
    table = f"telemetry_{layout}"
    sql = database.create_table_sql(
        table,
        columns | {f"v{i}": float for i in range(width)},
        pk="seq",
        not_null=set(columns) - {"seq"},
        strict=True,
    )
    return [sql, *append_only(table)]


def readings_statement(layouts: Iterable[tuple[int, int]]) -> str:
    """The view `readings` over the (id, width) of all layouts."""
    names = (
        "layout",
        "seq",
        "mono_ms",
        "utc_ms",
        "instrument",
        "signal",
        "unit",
        "value",
        "quality",
        "age_ms",
    )
    empty = "SELECT " + ", ".join(f"NULL AS {name}" for name in names) + " WHERE 0"
    return "CREATE VIEW readings AS " + " UNION ALL ".join([empty, *(_arm(*each) for each in layouts)])


def _arm(layout: int, width: int) -> str:
    value = " ".join(f"WHEN {i} THEN t.v{i}" for i in range(width))
    digit = "instr('123456789ABCDEF', substr(hex(substr(t.ages, 2 * c.position + 1, 2)), {}, 1))"
    age = " + ".join(f"{weight} * {digit.format(i)}" for i, weight in enumerate((4096, 256, 16, 1), 1))
    return (
        f"SELECT c.layout, t.seq, t.mono_ms, t.utc_ms, c.instrument, c.signal, c.unit, "
        f"CASE c.position {value} END, "
        f"CAST(hex(substr(t.qualities, c.position + 1, 1)) AS INTEGER), {age} "
        f"FROM channels c JOIN telemetry_{layout} t WHERE c.layout = {layout} "
        f"AND substr(t.qualities, c.position + 1, 1) <> x'{NOT_READ:02X}'"
    )


RUNS = """CREATE VIEW runs AS
SELECT c.stream AS run_id,
  json_extract(c.data, '$.title') AS title,
  json_extract(c.data, '$.plan') AS plan,
  json_extract(c.data, '$.protocol') AS protocol,
  json_extract(c.data, '$.simulated') AS simulated,
  json_extract(c.data, '$.seed') AS seed,
  c.mono_s AS created_s, c.utc_ms AS created_utc_ms,
  e.mono_s AS ended_s, e.utc_ms AS ended_utc_ms,
  coalesce(json_extract(s.data, '$.to'), 'IDLE') AS state,
  json_extract(e.data, '$.end_state') AS end_state,
  coalesce(json_extract(e.data, '$.reason'), json_extract(s.data, '$.reason')) AS reason
FROM journal c
LEFT JOIN journal e ON e.kind = 'run_ended' AND e.stream = c.stream
LEFT JOIN journal s ON s.kind = 'state_changed' AND s.stream = c.stream
  AND s.seq = (SELECT max(seq) FROM journal WHERE kind = 'state_changed' AND stream = c.stream)
WHERE c.kind = 'run_created'"""
"""Runs are a reading of the journal, so there is nothing that could disagree with it."""


def _first_schema(database: Database) -> Iterator[str]:
    def table(
        name: str, columns: dict[str, type], *, pk: str | tuple[str, ...], null: set[str] | None = None
    ) -> str:
        required = (
            set(columns) - (null or set()) - ({pk} if isinstance(pk, str) and columns[pk] is int else set())
        )
        return database.create_table_sql(name, columns, pk=pk, not_null=required, strict=True)

    yield table("identity", {"id": int, "bench": str, "bench_sha256": str, "simulated": int}, pk="id")
    yield table(
        "journal",
        {
            "stream": str,
            "seq": int,
            "mono_s": float,
            "utc_ms": int,
            "kind": str,
            "data": str,
            "prev_hash": str,
            "hash": str,
        },
        pk=("stream", "seq"),
    )
    yield "CREATE INDEX journal_by_kind ON journal (kind, stream, seq)"
    yield table("documents", {"sha256": str, "kind": str, "text": str, "row_sha256": str}, pk="sha256")
    yield table("layouts", {"id": int, "sha256": str}, pk="id")
    yield table(
        "channels",
        {"layout": int, "position": int, "instrument": str, "signal": str, "unit": str},
        pk=("layout", "position"),
    )
    yield table(
        "seal",
        {"id": int, "heads": str, "checkpoint_sha256": str, "sha256": str},
        pk="id",
        null={"checkpoint_sha256"},
    )
    yield table("checkpoint", {"id": int, "state": str, "heads": str, "sha256": str}, pk="id")
    yield table(
        "inbox",
        {
            "id": int,
            "idempotency_key": str,
            "verb": str,
            "args": str,
            "actor": str,
            "run": str,
            "expected_state": str,
            "issued_utc_ms": int,
            "expires_utc_ms": int,
            "request_sha256": str,
            "outcome": str,
            "outcome_sha256": str,
        },
        pk="id",
        null={"run", "expected_state", "expires_utc_ms", "outcome", "outcome_sha256"},
    )
    yield "CREATE UNIQUE INDEX inbox_keys ON inbox (idempotency_key)"
    yield "CREATE INDEX inbox_pending ON inbox (id) WHERE outcome IS NULL"
    for name in JOURNAL_TABLES:
        yield from append_only(name)
    yield refuses_insert(
        "identity", "is_one", "EXISTS (SELECT 1 FROM identity)", "a database has one identity"
    )
    yield refuses_insert(
        "journal",
        "follows",
        "NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM journal WHERE stream = NEW.stream) "
        "OR NEW.seq > 1 AND "
        "NEW.prev_hash IS NOT (SELECT hash FROM journal WHERE stream = NEW.stream AND seq = NEW.seq - 1)",
        "not the next row of its stream",
    )
    yield refuses_insert(
        "journal",
        "ends_once",
        "NEW.kind = 'run_ended' AND EXISTS "
        "(SELECT 1 FROM journal WHERE kind = 'run_ended' AND stream = NEW.stream)",
        "a run ends once",
    )
    for name, key in (("documents", "sha256"), ("layouts", "id")):
        taken = f"EXISTS (SELECT 1 FROM {name} WHERE {key} = NEW.{key})"
        yield refuses_insert(name, "replaces_none", taken, f"{name} is append-only")
    yield refuses_insert(
        "channels",
        "replaces_none",
        "EXISTS (SELECT 1 FROM channels WHERE layout = NEW.layout AND position = NEW.position)",
        "channels is append-only",
    )
    yield refuses_insert(
        "inbox",
        "replaces_none",
        "NEW.outcome IS NOT NULL OR EXISTS "
        "(SELECT 1 FROM inbox WHERE id = NEW.id OR idempotency_key = NEW.idempotency_key)",
        "a request is submitted once, without an outcome",
    )
    yield append_only("inbox")[1]
    fixed = (
        "idempotency_key verb args actor run expected_state issued_utc_ms expires_utc_ms request_sha256 id"
    )
    yield (
        "CREATE TRIGGER inbox_settles_once BEFORE UPDATE ON inbox "
        "WHEN OLD.outcome IS NOT NULL OR NEW.outcome IS NULL OR "
        + " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in fixed.split())
        + " BEGIN SELECT RAISE(ABORT, 'an outcome is written once, and nothing else changes'); END"
    )
    yield RUNS
    yield readings_statement(())


MIGRATIONS: tuple[Callable[[Database], Iterable[str]], ...] = (_first_schema,)
"""One for each schema version; the number of them is the newest version."""
