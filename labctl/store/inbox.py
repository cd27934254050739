"""What people ask of a controller: rows that any process may add, and only the controller settles, once."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from labctl.errors import StoreError
from labctl.model.commands import Request
from labctl.store.chain import canonical_data, outcome_hash, request_hash
from labctl.store.schema import connect, explain, migrated, transaction

_ASKED = "id, idempotency_key, verb, args, actor, run, expected_state, issued_utc_ms, expires_utc_ms"


class Submitted(NamedTuple):
    """A request and what became of it. Times are Unix ms; outcome is None until the controller wrote it."""

    id: str
    idempotency_key: str
    verb: str
    args: dict[str, Any]
    actor: str
    run: str | None
    expected_state: str | None
    issued_utc_ms: int
    expires_utc_ms: int | None
    outcome: str | None


class Inbox:
    """The inbox of a bench over a connection that may write.

    Usage:
        with Inbox.open(bench / "labctl.db") as inbox:
            row = inbox.submit("stop", {}, actor="ada", run="run-1", issued_utc_ms=now, idempotency_key=key)
    """

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._db = connection
        self._where = where

    @classmethod
    def open(cls, path: Path) -> Self:
        """The inbox of the database at `path`, for a process that is not its controller.

        Raises:
            StoreError: there is no database, or its schema is not the one this labctl writes.
        """
        try:
            connection = connect(path)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: no database of a bench there ({error})") from error
        try:
            migrated(connection, str(path))
        except StoreError:
            connection.close()
            raise
        return cls(connection, f"inbox of {path}")

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(
        self,
        verb: str,
        args: dict[str, Any],
        *,
        actor: str,
        issued_utc_ms: int,
        idempotency_key: str,
        run: str | None = None,
        expected_state: str | None = None,
        expires_utc_ms: int | None = None,
    ) -> str:
        """Ask for `verb`; returns the row's id once it is on disk.

        The same idempotency key gives the same row, however often it is submitted.

        Raises:
            StoreError: the key stands for another request already, or the disk refuses.
            StoreBusyError: another process kept the database locked for too long.
        """
        asked = (verb, canonical_data(args), actor, run, expected_state)
        columns = (idempotency_key, *asked, issued_utc_ms, expires_utc_ms)
        with transaction(self._db, self._where):
            known = self._db.execute(
                "SELECT id, verb, args, actor, run, expected_state FROM inbox WHERE idempotency_key = ?",
                (idempotency_key,),
            ).fetchone()
            if known is not None:
                if known[1:] != asked:
                    raise StoreError(f"{self._where}: {idempotency_key!r} stands for another request already")
                return str(known[0])
            (row,) = self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM inbox").fetchone()
            self._db.execute(
                f"INSERT INTO inbox ({_ASKED}, request_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (row, *columns, request_hash(row, *columns)),
            )
        return str(row)

    def pending(self, now_utc_ms: int | None = None) -> list[Request]:
        """The requests without an outcome, oldest first; `expired` as of `now_utc_ms`."""
        try:
            rows = self._db.execute(
                f"SELECT {_ASKED} FROM inbox WHERE outcome IS NULL ORDER BY id"
            ).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self._where) from error
        return [
            Request(
                id=str(row),
                verb=verb,
                run=run,
                args=json.loads(args),
                actor=actor,
                expected_state=state,
                expired=now_utc_ms is not None and expires is not None and now_utc_ms > expires,
            )
            for row, _, verb, args, actor, run, state, _, expires in rows
        ]


def settle(connection: sqlite3.Connection, request: str, outcome: str, where: str) -> None:
    """Write the outcome of a request, once, inside the transaction that brings its event into the journal.

    Raises:
        StoreError: there is no such request.
    """
    known = connection.execute("SELECT request_sha256 FROM inbox WHERE id = ?", (int(request),)).fetchone()
    if known is None:
        raise StoreError(f"{where}: there is no request {request}")
    connection.execute(
        "UPDATE inbox SET outcome = ?, outcome_sha256 = ? WHERE id = ?",
        (outcome, outcome_hash(known[0], outcome), int(request)),
    )
