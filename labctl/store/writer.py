"""The store as its one writer sees it: the controller."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from struct import Struct
from struct import error as StructError
from types import TracebackType
from typing import Any, NamedTuple, Self

from labctl.errors import StoreError
from labctl.model.events import BENCH_STREAM, Event
from labctl.store.chain import (
    ANCHORED,
    DIGEST,
    ENDED,
    MAX_AGE_MS,
    NO_VALUE,
    NOT_READ,
    Channel,
    Head,
    JournalRow,
    Tail,
    canonical,
    canonical_data,
    checkpoint_hash,
    heads_text,
    identity_hash,
    layout_hash,
    row_hash,
    row_struct,
    seal_hash,
    sha256,
)
from labctl.store.inbox import Inbox, settle
from labctl.store.reader import Reader
from labctl.store.schema import (
    connect,
    create_file,
    explain,
    migrate,
    readings_statement,
    telemetry_statements,
    transaction,
)

Utc = int | Callable[[float], int]
"""Unix time in ms, or how to get it from bench time in s."""

Insertion = tuple[str, Callable[[Any], Any], Callable[..., bytes]]
"""How rows that read the same channels are kept: statement, choice of values, packing."""


class Row(NamedTuple):
    """One scan.

    layout: as `Store.layout` returned it. mono_s: bench clock in s; it never goes back.
    values: one for each channel of the layout, in its unit; None where there is none.
    qualities: one `Quality` byte for each channel; `NOT_READ` (255) where it was not read in this scan.
    ages_ms: one for each channel, how old the sample was at `mono_s`; more than 65,535 ms is kept as that.
    """

    layout: int
    mono_s: float
    values: tuple[float | None, ...]
    qualities: bytes
    ages_ms: Sequence[int]


class Store:
    """The memory of a bench, in the hands of its controller.

    Usage:
        store = Store.create(folder / "labctl.db", bench="standard", bench_yaml=text, simulated=True)
        furnace = store.layout([("furnace", "temperature", "degC")])
        store.commit([Event("bench", "bench_opened", {}, 0.0)], utc_ms=0, rows=[...], checkpoint=state)
    """

    _heads: dict[str, Head]
    _ended: set[str]
    _tail: Tail
    _seq: int
    _mono_ms: int
    _checkpoint: str | None
    _layouts: dict[int, tuple[tuple[Channel, ...], str]]
    _statements: dict[tuple[int, bytes], Insertion]

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._where = str(path)
        self.read = Reader(connection, self._where)
        self.inbox = Inbox(connection, f"inbox of {path}")
        try:
            self._load()
        except sqlite3.Error as error:
            raise explain(error, self._where) from error
        except (ValueError, TypeError, StructError) as error:
            raise StoreError(f"{self._where}: is damaged: {error}; run `labctl audit`") from error

    @classmethod
    def create(cls, path: Path, *, bench: str, bench_yaml: str, simulated: bool) -> Self:
        """Make the database of a bench. `bench` is its name, never a path: every chain begins with it.

        Raises:
            StoreError: the file exists (it is never overwritten), or the folder refuses.
        """
        text_hash = sha256(bench_yaml)

        def fill(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO identity VALUES (1, ?, ?, ?)", (bench, text_hash, int(simulated)))
            _put_document(connection, "bench", bench_yaml)
            heads = heads_text({}, None)
            connection.execute("INSERT INTO seal VALUES (1, ?, NULL, ?)", (heads, seal_hash(heads, None)))

        create_file(path, fill)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the database of a bench for writing; an older schema is migrated after a backup beside it.

        Raises:
            StoreError: there is none, it is of a newer schema, or its newest rows are not as sealed.
        """
        try:
            connection = connect(path)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: no database of a bench there ({error})") from error
        try:
            migrate(connection, path)
            return cls(connection, path)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- reading what one's own decisions rest on ------------------------------------------------------

    def head(self, stream: str) -> tuple[int, str]:
        """The seq and hash of the newest row of a stream; (0, identity) of a stream that has none."""
        return self._heads.get(stream, (0, self._identity))

    def digest(self) -> dict[str, Any] | None:
        """The data for an event "telemetry_digest" over the rows that none covers yet; None without any.

        Committing that event, unchanged or with more keys, is what makes the next digest begin anew.
        """
        return self._tail.digest()

    @property
    def mono_s(self) -> float:
        """Bench time of the newest row, in s: a bench clock that goes on goes on from here."""
        return self._mono_ms / 1000.0

    # -- writing ---------------------------------------------------------------------------------------

    def layout(self, channels: Sequence[Channel]) -> int:
        """The number of the layout of these (instrument, signal, unit); the same list has the same."""
        wanted = tuple((str(i), str(s), str(u)) for i, s, u in channels)
        for number, (known, _) in self._layouts.items():
            if known == wanted:
                return number
        if not wanted or len({c[:2] for c in wanted}) < len(wanted):
            raise StoreError(
                f"{self._where}: a layout names each signal once, and at least one: {wanted!r:.200}"
            )
        number = len(self._layouts) + 1
        sha = layout_hash(number, wanted)
        widths = [(n, len(known)) for n, (known, _) in self._layouts.items()]
        from sqlite_utils import Database

        database = Database(self._db, recursive_triggers=False, execute_plugins=False)
        with transaction(self._db, self._where):
            self._db.execute("INSERT INTO layouts VALUES (?, ?)", (number, sha))
            rows = [(number, position, *channel) for position, channel in enumerate(wanted)]
            self._db.executemany("INSERT INTO channels VALUES (?, ?, ?, ?, ?)", rows)
            for statement in telemetry_statements(database, number, len(wanted)):
                self._db.execute(statement)
            self._db.execute("DROP VIEW readings")
            self._db.execute(readings_statement([*widths, (number, len(wanted))]))
        self._layouts[number] = (wanted, sha)
        return number

    def put_document(self, kind: str, text: str) -> str:
        """Keep a text (a plan, a protocol, a bench file); returns its SHA-256, the name it is found by."""
        with transaction(self._db, self._where):
            return _put_document(self._db, kind, text)

    def document(self, sha: str) -> str:
        """The text with this SHA-256."""
        return self.read.document(sha)

    def commit(
        self,
        events: Sequence[Event],
        utc_ms: Utc,
        rows: Sequence[Row] = (),
        checkpoint: str | None = None,
        settled: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Keep facts, scans, the newest checkpoint and outcomes of requests: all durably, or none.

        events: in the order decided; seq and hash are assigned here, and runs anchored in the bench stream.
        utc_ms: for every row, or how to get it from its bench time.
        checkpoint: what `Reader.checkpoint` will give back, with the journal heads it belongs to.
        settled: (request id, outcome).

        Raises:
            StoreError: nothing was kept, and why: disk full, a fact that cannot be kept, a clock going back.
            StoreBusyError: another process kept the database locked for too long; nothing was kept.
        """
        utc = utc_ms if callable(utc_ms) else lambda mono_s: utc_ms
        heads, tail, ended = dict(self._heads), self._tail.copy(), set(self._ended)
        journal = list(self._chain(events, utc, heads, tail, ended))
        with transaction(self._db, self._where):
            self._db.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)", journal)
            at = self._seq, self._mono_ms
            try:
                for layout, group in groupby(rows, itemgetter(0)):
                    at = self._insert(layout, group, utc, at, tail)
            except (StructError, IndexError, TypeError) as error:
                raise StoreError(f"{self._where}: a scan does not fit its layout: {error}") from error
            stand = heads_text({s: h for s, h in heads.items() if s not in ended}, tail.digest())
            kept = self._checkpoint if checkpoint is None else checkpoint_hash(checkpoint, stand)
            if checkpoint is not None:
                self._db.execute(
                    "INSERT INTO checkpoint VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
                    "SET state = excluded.state, heads = excluded.heads, sha256 = excluded.sha256",
                    (checkpoint, stand, kept),
                )
            self._db.execute(
                "UPDATE seal SET heads = ?, checkpoint_sha256 = ?, sha256 = ?",
                (stand, kept, seal_hash(stand, kept)),
            )
            for request, outcome in settled:
                settle(self._db, request, outcome, self._where)
        self._heads, self._tail, self._ended = heads, tail, ended
        self._seq, self._mono_ms = at
        self._checkpoint = kept

    def _chain(
        self,
        events: Iterable[Event],
        utc: Callable[[float], int],
        heads: dict[str, Head],
        tail: Tail,
        ended: set[str],
    ) -> Iterator[JournalRow]:
        """The rows for these events, anchors between them; moves heads, tail and ended on."""
        digest = tail.digest()
        touched: dict[str, Event] = {}

        def follow(event: Event) -> JournalRow:
            seq, prev = heads.get(event.stream, (0, self._identity))
            # Adding 0.0 turns -0.0 into 0.0, which is what SQLite would give back.
            mono_s, utc_ms, data = float(event.t_s) + 0.0, int(utc(event.t_s)), canonical_data(event.data)
            own = row_hash(prev, event.stream, seq + 1, mono_s, utc_ms, event.kind, data)
            heads[event.stream] = (seq + 1, own)
            return JournalRow(event.stream, seq + 1, mono_s, utc_ms, event.kind, data, prev, own)

        def anchor(event: Event) -> JournalRow:
            seq, own = heads[event.stream]
            data = {"run": event.stream, "seq": seq, "hash": own}
            return follow(Event(BENCH_STREAM, ANCHORED, data, event.t_s))

        for event in events:
            if event.kind == DIGEST:
                if digest is None or any(event.data.get(k) != v for k, v in digest.items()):
                    raise StoreError(
                        f"{self._where}: {event.data!r:.200} is not the digest of the open telemetry"
                    )
                tail.clear()
            yield follow(event)
            if event.stream == BENCH_STREAM:
                continue
            if heads[event.stream][0] == 1:
                yield anchor(event)
            if event.kind == ENDED:
                ended.add(event.stream)
            if event.stream in ended:
                touched[event.stream] = event
        for event in touched.values():
            yield anchor(event)

    def _insert(
        self, layout: int, rows: Iterable[Row], utc: Callable[[float], int], at: tuple[int, int], tail: Tail
    ) -> tuple[int, int]:
        """Keep scans of one layout after the scan `at` (seq, mono_ms); returns the last one's."""
        if layout not in self._layouts:
            raise StoreError(f"{self._where}: there is no layout {layout}")
        channels, sha = self._layouts[layout]
        width = len(channels)
        pack_ages = Struct(f">{width}H").pack
        seq, newest = at
        for qualities, group in groupby(rows, itemgetter(3)):
            # Scans that read the same channels share a statement that names only those: NULLs cost nothing.
            if len(qualities) != width:
                raise StoreError(f"{self._where}: layout {layout} has {width} channels, not {len(qualities)}")
            sql, pick, pack = self._statement(layout, qualities)
            kept: list[tuple[Any, ...]] = []
            packed: list[bytes] = []
            first = seq + 1
            for _, mono_s, measured, _, ages_ms in group:
                seq += 1
                mono_ms = round(mono_s * 1000)
                if mono_ms < newest:
                    raise StoreError(
                        f"{self._where}: the bench clock went back from {newest / 1000:g} s to {mono_s:g} s"
                    )
                newest = mono_ms
                utc_ms = utc(mono_s)
                # -0.0 and NaN become what SQLite would give back: 0.0 and NULL.
                values = [NO_VALUE if v is None or v != v else v + 0.0 for v in pick(measured)]
                try:
                    ages = pack_ages(*ages_ms)
                except StructError:
                    ages = pack_ages(*(min(max(int(a), 0), MAX_AGE_MS) for a in ages_ms))
                kept.append((seq, mono_ms, utc_ms, qualities, ages, *values))
                packed.append(pack(layout, seq, mono_ms, utc_ms, *values) + qualities + ages)
            self._db.executemany(sql, kept)
            tail.add(layout, sha, first, packed)
        return seq, newest

    def _statement(self, layout: int, qualities: bytes) -> Insertion:
        known = self._statements.get((layout, qualities))
        if known is None:
            read = [i for i, quality in enumerate(qualities) if quality != NOT_READ]
            columns = "".join(f", v{i}" for i in read)
            sql = (
                f"INSERT INTO telemetry_{layout} (seq, mono_ms, utc_ms, qualities, ages{columns}) "
                f"VALUES (?, ?, ?, ?, ?{', ?' * len(read)})"
            )
            pick = itemgetter(*read) if len(read) > 1 else lambda values: [values[i] for i in read]
            known = self._statements[layout, qualities] = (sql, pick, row_struct(len(read)).pack)
        return known

    def _load(self) -> None:
        """Take up where the file ends; refuse a file whose newest rows are not those it was sealed with."""
        known = self.read.identity()
        self._identity = identity_hash(known.bench, known.bench_sha256, known.simulated)
        self._statements = {}
        self._layouts = {}
        for number, sha in self._db.execute("SELECT id, sha256 FROM layouts ORDER BY id").fetchall():
            self._layouts[number] = (tuple(self.read.channels(number)), sha)
        newest = "SELECT stream, max(seq), hash FROM journal GROUP BY stream"
        self._heads = {stream: (seq, own) for stream, seq, own in self._db.execute(newest)}
        self._ended = {s for (s,) in self._db.execute("SELECT stream FROM journal WHERE kind = ?", (ENDED,))}
        covered = self.read.covered_seq()
        self._tail = self.read.tail(covered + 1)
        self._seq = max(covered, self._tail.last_seq)
        self._mono_ms = self.read.newest_mono_ms()
        checkpoints = self._db.execute("SELECT state, heads FROM checkpoint").fetchall()
        self._checkpoint = checkpoint_hash(*checkpoints[0]) if checkpoints else None
        stand = heads_text(
            {s: h for s, h in self._heads.items() if s not in self._ended}, self._tail.digest()
        )
        sealed = self._db.execute("SELECT heads, checkpoint_sha256, sha256 FROM seal").fetchone()
        if sealed != (stand, self._checkpoint, seal_hash(stand, self._checkpoint)):
            raise StoreError(
                f"{self._where}: its newest rows are not as sealed: it was changed from outside, or "
                "the disk lost something. Nothing is resumed from it; keep a copy and run `labctl audit`"
            )


def _put_document(connection: sqlite3.Connection, kind: str, text: str) -> str:
    sha = sha256(text)
    if connection.execute("SELECT 1 FROM documents WHERE sha256 = ?", (sha,)).fetchone() is None:
        connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?)", (sha, kind, text, sha256(canonical([kind, sha])))
        )
    return sha
