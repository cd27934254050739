"""Read-only eyes on a bench's memory, for every face and for analysis.

Nothing here writes, waits for a writer, or imports more than the standard library.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from labctl.errors import StoreError, UsageError
from labctl.model.events import Event
from labctl.store.chain import NO_VALUE, NOT_READ, Channel, JournalRow, Tail, row_struct
from labctl.store.inbox import Submitted
from labctl.store.schema import BUSY_S, explain, migrated


class Identity(NamedTuple):
    """Whose memory it is: the bench, the SHA-256 of its file when it was made, whether it is simulated."""

    bench: str
    bench_sha256: str
    simulated: bool


class Run(NamedTuple):
    """A run as the journal tells it; bench clock in s, Unix time in ms. end_state is None until it ended."""

    run_id: str
    title: str | None
    plan: str | None
    protocol: str | None
    simulated: bool
    seed: int | None
    created_s: float
    created_utc_ms: int
    ended_s: float | None
    ended_utc_ms: int | None
    state: str
    end_state: str | None
    reason: str | None


class Fact(NamedTuple):
    """A journal row: the event, its place in its stream, Unix time in ms, and its hash."""

    event: Event
    seq: int
    utc_ms: int
    hash: str


class Latest(NamedTuple):
    """The newest reading of a channel: `Quality`, bench time of its scan in s, its age at that scan in ms."""

    instrument: str
    signal: str
    unit: str
    value: float | None
    quality: int
    mono_s: float
    utc_ms: int
    age_ms: int


class Bucket(NamedTuple):
    """Good readings of a channel in one interval: their mean bench time in s, extremes, mean and number."""

    t_s: float
    low: float
    mean: float
    high: float
    readings: int


class Checkpoint(NamedTuple):
    """The newest checkpoint, and the journal heads (seq, hash) of the open streams when it was written."""

    state: str
    heads: dict[str, tuple[int, str]]


class Reader:
    """A bench's memory, to look at.

    Usage:
        with Reader.open(bench / "labctl.db") as reader:
            for run in reader.runs(): ...
    """

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self.connection = connection
        self._where = where

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file read-only. A cleanly closed file on a read-only medium opens too.

        Raises:
            StoreError: there is none, it is no labctl database, or of another schema than this labctl reads.
        """
        if not path.exists():
            raise StoreError(f"{path}: no database of a bench there")
        if path.is_dir():
            raise StoreError(f"{path}: a folder is no database")
        where = str(path)
        address = f"{path.resolve().as_uri()}?mode=ro"
        # WAL needs two side files, made on demand, and the last writer to leave removes them: tried twice.
        # Where none can be made and none exist, nobody writes.
        for url in (address, address, f"{address}&immutable=1"):
            if "immutable" in url and path.with_name(f"{path.name}-wal").exists():
                continue
            connection = sqlite3.connect(
                url, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            except sqlite3.OperationalError as error:
                connection.close()
                if (error.sqlite_errorcode or 0) & 0xFF != sqlite3.SQLITE_CANTOPEN:
                    raise explain(error, where) from error
                continue
            except sqlite3.Error as error:
                connection.close()
                raise explain(error, where) from error
            try:
                migrated(connection, where)
            except StoreError:
                connection.close()
                raise
            return cls(connection, where)
        raise StoreError(
            f"{path}: cannot be opened; its -wal file is there and its folder refuses to be written"
        )

    def close(self) -> None:
        """Give the file back."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """The rows of a SELECT; a StoreError when the file cannot give them."""
        try:
            return self.connection.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self._where) from error

    # -- facts -----------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Whose memory it is."""
        rows = self.query("SELECT bench, bench_sha256, simulated FROM identity")
        if len(rows) != 1:
            raise StoreError(f"{self._where}: has {len(rows)} identities instead of one")
        bench, sha, simulated = rows[0]
        return Identity(bench, sha, bool(simulated))

    def runs(self) -> list[Run]:
        """Every run, oldest first."""
        rows = self.query(f"SELECT {', '.join(Run._fields)} FROM runs ORDER BY created_s, run_id")
        return [run._replace(simulated=bool(run.simulated)) for run in map(Run._make, rows)]

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            UsageError: there is none of that name.
        """
        runs = {run.run_id: run for run in self.runs()}
        if run_id not in runs:
            near = get_close_matches(run_id, runs, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"{self._where}: there is no run {run_id!r}{hint}")
        return runs[run_id]

    def streams(self) -> dict[str, tuple[int, str]]:
        """The newest seq and hash of every stream."""
        rows = self.query("SELECT stream, max(seq), hash FROM journal GROUP BY stream")
        return {stream: (seq, own) for stream, seq, own in rows}

    def facts(self, stream: str, after: int = 0, kinds: Sequence[str] = ()) -> list[Fact]:
        """The facts of a stream with a seq beyond `after`, only of these kinds if any are named."""
        wanted = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        rows = self.query(
            "SELECT stream, kind, data, mono_s, seq, utc_ms, hash FROM journal WHERE stream = ? AND seq > ?"
            f"{wanted} ORDER BY seq",
            stream,
            after,
            *kinds,
        )
        return [
            Fact(Event(stream, kind, json.loads(data), mono_s), seq, utc_ms, own)
            for stream, kind, data, mono_s, seq, utc_ms, own in rows
        ]

    def events(self, stream: str, after: int = 0, kinds: Sequence[str] = ()) -> list[Event]:
        """As `facts`, the events alone."""
        return [fact.event for fact in self.facts(stream, after, kinds)]

    def every_event(self) -> Iterator[Event]:
        """The events of all streams in the order in which they were decided."""
        rows = self.query("SELECT stream, kind, data, mono_s FROM journal ORDER BY rowid")
        return (Event(stream, kind, json.loads(data), mono_s) for stream, kind, data, mono_s in rows)

    def journal(self, stream: str) -> Iterator[JournalRow]:
        """The rows of a stream as they are kept."""
        sql = f"SELECT {', '.join(JournalRow._fields)} FROM journal WHERE stream = ? ORDER BY seq"
        return map(JournalRow._make, self.query(sql, stream))

    def document(self, sha256: str) -> str:
        """The text of a document.

        Raises:
            StoreError: there is none with this SHA-256.
        """
        rows = self.query("SELECT text FROM documents WHERE sha256 = ?", sha256)
        if not rows:
            raise StoreError(f"{self._where}: there is no document {sha256}")
        return str(rows[0][0])

    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint, or None before the first."""
        rows = self.query("SELECT state, heads FROM checkpoint")
        if not rows:
            return None
        heads = json.loads(rows[0][1])["streams"]
        return Checkpoint(rows[0][0], {stream: (seq, own) for stream, (seq, own) in heads.items()})

    def submitted(self, request: str | None = None) -> list[Submitted]:
        """The requests of the inbox, oldest first; only the one with this id if it is named."""
        chosen = "" if request is None else "WHERE id = ?"
        rows = self.query(
            f"SELECT {', '.join(Submitted._fields)} FROM inbox {chosen} ORDER BY id",
            *(() if request is None else (int(request),)),
        )
        return [
            each._replace(id=str(each.id), args=json.loads(str(each.args)))
            for each in map(Submitted._make, rows)
        ]

    # -- telemetry -------------------------------------------------------------------------------------

    def layouts(self) -> dict[int, str]:
        """The number and content hash of every layout."""
        return dict(self.query("SELECT id, sha256 FROM layouts ORDER BY id"))

    def channels(self, layout: int) -> list[Channel]:
        """The (instrument, signal, unit) of a layout, in order."""
        rows = self.query(
            "SELECT instrument, signal, unit FROM channels WHERE layout = ? ORDER BY position", layout
        )
        return [(instrument, signal, unit) for instrument, signal, unit in rows]

    def latest(self, scans: int = 600) -> list[Latest]:
        """The newest reading of each channel that was read in the last `scans` scans of the newest layout."""
        newest = [
            (rows[0][0], layout)
            for layout in self.layouts()
            if (rows := self.query(f"SELECT max(seq) FROM telemetry_{layout}")) and rows[0][0] is not None
        ]
        if not newest:
            return []
        layout = max(newest)[1]
        channels = self.channels(layout)
        found: dict[int, Latest] = {}
        values = ", ".join(f"v{i}" for i in range(len(channels)))
        for mono_ms, utc_ms, qualities, ages, *row in self.query(
            f"SELECT mono_ms, utc_ms, qualities, ages, {values} FROM telemetry_{layout} "
            "ORDER BY seq DESC LIMIT ?",
            scans,
        ):
            for i, quality in enumerate(qualities):
                if quality != NOT_READ and i not in found:
                    age = int.from_bytes(ages[2 * i : 2 * i + 2], "big")
                    found[i] = Latest(*channels[i], row[i], quality, mono_ms / 1000, utc_ms, age)
            if len(found) == len(channels):
                break
        return [found[i] for i in sorted(found)]

    def interval(self, run_id: str) -> tuple[float, float]:
        """Bench time in s of the first and the last fact of a run: its telemetry lies between them."""
        ((first, last),) = self.query("SELECT min(mono_s), max(mono_s) FROM journal WHERE stream = ?", run_id)
        if first is None:
            raise UsageError(f"{self._where}: there is no run {run_id!r}")
        return first, last

    def series(
        self,
        instrument: str,
        signal: str,
        run: str | None = None,
        interval: tuple[float, float] | None = None,
        buckets: int = 1000,
    ) -> list[Bucket]:
        """A channel's good readings in a run or an interval (bench time in s), in `buckets` steps of time.

        Reads the wide tables, which costs a third of asking the view.
        """
        if run is not None:
            interval = self.interval(run)
        found: dict[int, Bucket] = {}
        for layout in self.layouts():
            names = [c[:2] for c in self.channels(layout)]
            if (instrument, signal) not in names:
                continue
            i = names.index((instrument, signal))
            first_ms, last_ms = self._span(layout, interval)
            first, last = self._seqs(layout, first_ms, last_ms)
            for bucket, *numbers in self.query(
                f"SELECT (mono_ms - ?1) * ?2 / ?3 AS bucket, avg(mono_ms) / 1000.0, min(v{i}), avg(v{i}), "
                f"max(v{i}), count(v{i}) FROM telemetry_{layout} WHERE seq BETWEEN ?4 AND ?5 "
                f"AND substr(qualities, {i + 1}, 1) = x'00' AND v{i} IS NOT NULL GROUP BY bucket",
                first_ms,
                buckets,
                last_ms - first_ms + 1,
                first,
                last,
            ):
                part = Bucket._make(numbers)
                found[bucket] = _merged(found[bucket], part) if bucket in found else part
        return [found[bucket] for bucket in sorted(found)]

    def _span(self, layout: int, interval: tuple[float, float] | None) -> tuple[int, int]:
        if interval is not None:
            return round(interval[0] * 1000), round(interval[1] * 1000)
        bounds = [
            self.query(f"SELECT min(mono_ms), max(mono_ms) FROM telemetry_{n}")[0] for n in self.layouts()
        ]
        known = [b for b in bounds if b[0] is not None]
        return (min(b[0] for b in known), max(b[1] for b in known)) if known else (0, 0)

    def _seqs(self, layout: int, first_ms: int, last_ms: int) -> tuple[int, int]:
        """The seqs of a layout's scans within bench times, by bisection: the bench clock never goes back."""
        ((low, high),) = self.query(
            f"SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM telemetry_{layout}"
        )

        def reach(mono_ms: int) -> int:
            lo, hi = low, high + 1
            while lo < hi:
                middle = (lo + hi) // 2
                rows = self.query(
                    f"SELECT mono_ms FROM telemetry_{layout} WHERE seq >= ? ORDER BY seq LIMIT 1", middle
                )
                if rows and rows[0][0] < mono_ms:
                    lo = middle + 1
                else:
                    hi = middle
            return int(lo)

        return reach(first_ms), reach(last_ms + 1) - 1

    def newest_mono_ms(self) -> int:
        """Bench time of the newest scan or fact, in ms; 0 without any."""
        tables = [f"SELECT max(mono_ms) FROM telemetry_{n} WHERE seq = (SELECT max(seq) FROM telemetry_{n})"
                  for n in self.layouts()]  # fmt: skip
        return max((rows[0][0] or 0 for rows in map(self.query, tables)), default=0)

    def covered_seq(self) -> int:
        """The last scan that a telemetry digest covers."""
        rows = self.query(
            "SELECT max(json_extract(data, '$.last_seq')) FROM journal WHERE kind = 'telemetry_digest'"
        )
        return int(rows[0][0] or 0)

    def tail(self, first_seq: int, last_seq: int | None = None) -> Tail:
        """The running digest over the scans from `first_seq` on, from what the tables hold.

        Raises:
            StoreError: a scan is missing, or a channel that was not read has a value.
        """
        tail = Tail()
        hashes = self.layouts()
        for layout, seq, packed in heapq.merge(
            *(self._packed(layout, first_seq, last_seq) for layout in hashes), key=lambda row: row[1]
        ):
            if seq != (tail.last_seq + 1 if tail.rows else first_seq):
                raise StoreError(f"{self._where}: scan {seq} does not follow the one before it")
            tail.add(layout, hashes[layout], seq, [packed])
        return tail

    def _packed(self, layout: int, first_seq: int, last_seq: int | None) -> Iterator[tuple[int, int, bytes]]:
        width = len(self.channels(layout))
        values = "".join(f", v{i}" for i in range(width))
        structs = [row_struct(n).pack for n in range(width + 1)]
        rows = self.connection.execute(
            f"SELECT seq, mono_ms, utc_ms, qualities, ages{values} FROM telemetry_{layout} "
            "WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (first_seq, 2**62 if last_seq is None else last_seq),
        )
        for seq, mono_ms, utc_ms, qualities, ages, *row in rows:
            read = [
                NO_VALUE if v is None else v for v, q in zip(row, qualities, strict=True) if q != NOT_READ
            ]
            if row.count(None) < width - len(read):
                raise StoreError(f"{self._where}: scan {seq} has a value that was not read")
            yield layout, seq, structs[len(read)](layout, seq, mono_ms, utc_ms, *read) + qualities + ages


def _merged(one: Bucket, two: Bucket) -> Bucket:
    """One interval whose scans are of two layouts."""
    readings = one.readings + two.readings
    weight = two.readings / readings
    return Bucket(
        one.t_s + (two.t_s - one.t_s) * weight,
        min(one.low, two.low),
        one.mean + (two.mean - one.mean) * weight,
        max(one.high, two.high),
        readings,
    )
