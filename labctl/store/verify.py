"""Is what the file says what was once written? Recomputes every proof that `labctl.store.chain` describes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from struct import error as StructError
from typing import Any

from labctl.errors import StoreError
from labctl.model.events import BENCH_STREAM
from labctl.store.chain import (
    ANCHORED,
    DIGEST,
    ENDED,
    REQUEST,
    Head,
    JournalRow,
    canonical,
    checkpoint_hash,
    heads_text,
    identity_hash,
    layout_hash,
    outcome_hash,
    request_hash,
    row_hash,
    seal_hash,
    sha256,
)
from labctl.store.reader import Reader
from labctl.store.schema import apply, readings_statement, telemetry_statements


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit of a file found. counts: how many of each thing were recomputed."""

    ok: bool
    problems: list[str]
    counts: dict[str, int]
    heads: dict[str, Head] = field(default_factory=dict)


def verify(path: Path, heads: Mapping[str, str] | None = None) -> Verdict:
    """Recompute every hash in the database at `path`.

    heads: hashes that streams are known to have reached (e.g. the journal head in a printed report): without
    one, an end cut off by somebody who also forged the seal cannot be seen.

    Raises:
        StoreError: there is no database, or none that this labctl reads. All else is in the verdict.
    """
    with Reader.open(path) as reader:
        reader.query("BEGIN")  # one view of the file, whatever a controller adds meanwhile
        audit = _Audit(reader)
        for check in (
            audit.file,
            audit.schema,
            audit.identity,
            audit.journal,
            audit.anchors,
            audit.layouts,
            audit.telemetry,
            audit.documents,
            audit.seal,
            audit.checkpoint,
            audit.inbox,
        ):
            audit.run(check)
        for stream, known in (heads or {}).items():
            if known not in {row.hash for row in audit.rows.get(stream, ())}:
                audit.problems.append(f"stream {stream}: the known head {known} is not in the journal")
    newest = {stream: (rows[-1].seq, rows[-1].hash) for stream, rows in audit.rows.items()}
    return Verdict(not audit.problems, audit.problems, audit.counts, newest)


class _Audit:
    """One pass over a file: what was found wrong, what was counted, and what later checks rest on."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.problems: list[str] = []
        self.counts: dict[str, int] = {}
        self.rows: dict[str, list[JournalRow]] = {}
        self.first_prev = ""
        self.digests: list[dict[str, Any]] = []
        self.covered = 0

    def run(self, check: Callable[[], Iterator[str]]) -> None:
        """Collect the problems of a check; what cannot even be read is one too."""
        try:
            self.problems.extend(check())
        except (StoreError, sqlite3.Error, StructError, ValueError, TypeError, KeyError, IndexError) as error:
            self.problems.append(f"{check.__name__}: cannot be read: {error}")

    def _query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.reader.query(sql, *arguments)

    # -- the file ------------------------------------------------------------------------------------

    def file(self) -> Iterator[str]:
        for (line,) in self._query("PRAGMA integrity_check"):
            if line != "ok":
                yield f"file: {line}"

    def schema(self) -> Iterator[str]:
        """The tables, indexes, triggers and views are exactly those that this labctl would have made."""
        found = _declared(lambda sql: self._query(sql))
        ((version,),) = self._query("PRAGMA user_version")
        widths = tuple((number, len(self.reader.channels(number))) for number in self.reader.layouts())
        expected = _expected(version, widths)
        self.counts["declarations"] = len(found)
        yield from (f"schema: {name} is missing" for name in sorted(expected.keys() - found.keys()))
        yield from (
            f"schema: {name} does not belong there" for name in sorted(found.keys() - expected.keys())
        )
        for name in sorted(found.keys() & expected.keys()):
            if found[name] != expected[name]:
                yield f"schema: {name} is not as declared"

    def identity(self) -> Iterator[str]:
        known = self.reader.identity()
        self.first_prev = identity_hash(known.bench, known.bench_sha256, known.simulated)
        if self._query("SELECT id, typeof(simulated), simulated IN (0, 1) FROM identity") != [
            (1, "integer", 1)
        ]:
            yield "identity: not as it was made"
        # An empty journal proves no identity; the bench file it names must at least be there.
        self.reader.document(known.bench_sha256)

    # -- the journal -----------------------------------------------------------------------------------

    def journal(self) -> Iterator[str]:
        count = 0
        for (stream,) in self._query("SELECT DISTINCT stream FROM journal ORDER BY stream"):
            prev = self.first_prev
            rows: list[JournalRow] = []
            for row in self.reader.journal(stream):
                place = f"journal: {stream} row {row.seq}"
                if row.seq != len(rows) + 1:
                    yield f"{place}: should be row {len(rows) + 1}"
                if row.prev_hash != prev:
                    yield f"{place}: does not follow the row before it"
                if row.hash != row_hash(row.prev_hash, *row[:6]):
                    yield f"{place}: is not what was written"
                if canonical(json.loads(row.data)) != row.data:
                    yield f"{place}: is not canonical"
                prev = row.hash
                rows.append(row)
                if row.kind == DIGEST:
                    self.digests.append(json.loads(row.data))
            self.rows[stream] = rows
            count += len(rows)
        self.counts["journal"] = count
        # The order in which facts of different streams were decided is that of their rows in the table.
        seen: dict[str, int] = {}
        order = self._query("SELECT rowid, stream, seq FROM journal ORDER BY rowid")
        for number, (rowid, stream, seq) in enumerate(order, 1):
            if rowid != number or seq != seen.get(stream, 0) + 1:
                yield f"journal: {stream} row {seq} is not where it was written"
            seen[stream] = seq

    def anchors(self) -> Iterator[str]:
        """The bench stream names the first row of each run, and the last one of each that ended."""
        named: dict[str, set[int]] = {}
        for row in self.rows.get(BENCH_STREAM, ()):
            if row.kind != ANCHORED:
                continue
            data = json.loads(row.data)
            run, seq = data["run"], data["seq"]
            rows = self.rows.get(run, [])
            if not 1 <= seq <= len(rows) or rows[seq - 1].hash != data["hash"]:
                yield f"anchors: row {seq} of {run} is not the one that the bench stream names"
            named.setdefault(run, set()).add(seq)
        for run, rows in self.rows.items():
            if run == BENCH_STREAM:
                continue
            if 1 not in named.get(run, ()):
                yield f"anchors: the first row of {run} is not anchored"
            if any(row.kind == ENDED for row in rows) and len(rows) not in named.get(run, ()):
                yield f"anchors: {run} ended and its last row is not anchored"
        self.counts["anchors"] = sum(map(len, named.values()))

    # -- telemetry -------------------------------------------------------------------------------------

    def layouts(self) -> Iterator[str]:
        layouts = self.reader.layouts()
        if list(layouts) != list(range(1, len(layouts) + 1)):
            yield "layouts: are not numbered 1, 2, 3 ..."
        for number, sha in layouts.items():
            places = self._query("SELECT position FROM channels WHERE layout = ? ORDER BY position", number)
            if [p for (p,) in places] != list(range(len(places))):
                yield f"layouts: the channels of layout {number} are not numbered 0, 1, 2 ..."
            if layout_hash(number, self.reader.channels(number)) != sha:
                yield f"layouts: layout {number} is not what was written"
        for (number,) in self._query("SELECT DISTINCT layout FROM channels"):
            if number not in layouts:
                yield f"layouts: there are channels of a layout {number} that does not exist"
        self.counts["layouts"] = len(layouts)

    def telemetry(self) -> Iterator[str]:
        """Every digest, recomputed; together they cover the scans from the first on, without a gap."""
        spans = sorted({(d["first_seq"], d["last_seq"]) for d in self.digests})
        known = {(d["first_seq"], d["last_seq"]): d for d in self.digests}
        for first, last in spans:
            if first != self.covered + 1:
                yield f"telemetry: a digest begins at scan {first}, the one before it ends at {self.covered}"
            self.covered = last
            digest = self.reader.tail(first, last).digest() or {}
            if any(known[first, last].get(key) != value for key, value in digest.items()) or not digest:
                yield f"telemetry: scans {first} to {last} are not what was written"
        total = sum(self._query(f"SELECT count(*) FROM telemetry_{n}")[0][0] for n in self.reader.layouts())
        tail = self.reader.tail(self.covered + 1)
        if total != self.covered + tail.rows:
            yield f"telemetry: there are {total} scans, of which {self.covered + tail.rows} are in order"
        self.counts["scans"] = total
        self.counts["scans_without_digest"] = tail.rows

    # -- the rest --------------------------------------------------------------------------------------

    def documents(self) -> Iterator[str]:
        rows = self._query("SELECT sha256, kind, text, row_sha256 FROM documents")
        for sha, kind, text, row_sha in rows:
            if sha256(text) != sha or sha256(canonical([kind, sha])) != row_sha:
                yield f"documents: {kind} {sha:.12} is not what was written"
        names = {sha for sha, *_ in rows}
        for stream, journal in self.rows.items():
            for row in journal:
                for sha in _named_documents(json.loads(row.data)):
                    if sha not in names:
                        yield f"documents: {stream} row {row.seq} names {sha:.12}, which is not there"
        self.counts["documents"] = len(rows)

    def seal(self) -> Iterator[str]:
        rows = self._query("SELECT id, heads, checkpoint_sha256, sha256 FROM seal")
        if len(rows) != 1 or rows[0][0] != 1:
            yield "seal: there is not one"
            return
        _, heads, checkpoint, sha = rows[0]
        ended = {s for s, rows in self.rows.items() if any(row.kind == ENDED for row in rows)}
        open_heads = {s: (r[-1].seq, r[-1].hash) for s, r in self.rows.items() if s not in ended}
        now = heads_text(open_heads, self.reader.tail(self.covered + 1).digest())
        if heads != now or seal_hash(heads, checkpoint) != sha:
            yield "seal: the newest rows are not those of the newest commit"
        if self._query("SELECT sha256 FROM checkpoint") != ([] if checkpoint is None else [(checkpoint,)]):
            yield "seal: the checkpoint is not that of the newest commit"

    def checkpoint(self) -> Iterator[str]:
        rows = self._query("SELECT id, state, heads, sha256 FROM checkpoint")
        self.counts["checkpoints"] = len(rows)
        for number, state, heads, sha in rows:
            if number != 1 or checkpoint_hash(state, heads) != sha:
                yield "checkpoint: is not what was written"
            sealed = json.loads(heads)
            for stream, (seq, own) in sealed["streams"].items():
                journal = self.rows.get(stream, [])
                if not 1 <= seq <= len(journal) or journal[seq - 1].hash != own:
                    yield f"checkpoint: belongs to a row {seq} of {stream} that is not in the journal"
            open_scans = sealed["telemetry"]
            if open_scans is not None:
                found = self.reader.tail(open_scans["first_seq"], open_scans["last_seq"])
                if found.digest() != open_scans:
                    yield "checkpoint: belongs to scans that are not in the telemetry"

    def inbox(self) -> Iterator[str]:
        rows = self._query(
            "SELECT request_sha256, outcome, outcome_sha256, id, idempotency_key, verb, args, actor, run, "
            "expected_state, issued_utc_ms, expires_utc_ms FROM inbox ORDER BY id"
        )
        for place, (request, outcome, sealed, *columns) in enumerate(rows, 1):
            if columns[0] != place or request_hash(*columns) != request:
                yield f"inbox: request {columns[0]} is not what was written"
            if sealed != (None if outcome is None else outcome_hash(request, outcome)):
                yield f"inbox: the outcome of request {columns[0]} is not what was written"
        kept = {str(number): outcome for _, outcome, _, number, *_ in rows if outcome is not None}
        told = {str(event["request"]): event["outcome"] for event in self._events(REQUEST)}
        for number in sorted(kept.keys() | told.keys()):
            if kept.get(number) != told.get(number):
                yield f"inbox: what became of request {number} is not what the journal tells"
        self.counts["requests"] = len(rows)

    def _events(self, kind: str) -> Iterator[dict[str, Any]]:
        """What the journal's events of a kind say, stream by stream."""
        yield from (json.loads(row.data) for rows in self.rows.values() for row in rows if row.kind == kind)


def _named_documents(data: dict[str, Any]) -> Iterator[str]:
    """What an event says is kept: the SHA-256 under each key that ends in `_document`."""
    yield from (str(sha) for key, sha in data.items() if key.endswith("_document"))


def _declared(query: Callable[[str], list[tuple[Any, ...]]]) -> dict[str, tuple[Any, ...]]:
    rows = query("SELECT name, type, tbl_name, sql FROM sqlite_master")
    return {name: tuple(rest) for name, *rest in rows}


@lru_cache(8)
def _expected(version: int, layouts: tuple[tuple[int, int], ...]) -> dict[str, tuple[Any, ...]]:
    """The declarations of a fresh database of this (the newest) version with these (id, width) of layouts."""
    from sqlite_utils import Database

    connection = sqlite3.connect(":memory:", isolation_level=None)
    apply(connection)
    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    for number, width in layouts:
        for statement in telemetry_statements(database, number, width):
            connection.execute(statement)
    connection.execute("DROP VIEW readings")
    connection.execute(readings_statement(layouts))
    expected = _declared(lambda sql: connection.execute(sql).fetchall())
    connection.close()
    return expected
