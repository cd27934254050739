"""What is hashed, and how: everything a stranger needs to recompute the proof of a run.

Canonical text is JSON with sorted keys, no spaces, UTF-8 unescaped, no NaN and no infinity; numbers as
Python's `json` writes them (shortest decimals that read back to the same float).

Identity   identity = SHA-256 of the canonical text of {"bench": name, "bench_sha256": SHA-256 of the bench
           file's text, "simulated": true or false}: the `prev_hash` of the first row of every stream.
Journal    hash = SHA-256 of prev_hash (64 hexadecimal characters) followed by the canonical text of
           [stream, seq, mono_s, utc_ms, kind, data]. `seq` counts 1, 2, 3 ... in each stream.
Anchors    The first row of a run, and its last row once it has ended, are named in the stream "bench" by
           an event "run_anchored" {"run", "seq", "hash"}, so the head of "bench" vouches for every run.
Documents  sha256 = SHA-256 of the text; row_sha256 = SHA-256 of the canonical text of [kind, sha256].
           An event names one under a key that ends in "_document".
Layout     SHA-256 of the canonical text of [id, [[instrument, signal, unit], ...]].
Telemetry  An event "telemetry_digest" {"first_seq", "last_seq", "rows", "layouts", "sha256"} covers the rows
           since the one before it. For each row in the order of seq, hash: layout, seq, mono_ms, utc_ms (each
           8 bytes, signed, little-endian); the value of each channel that was read, i.e. whose quality is not
           255 (IEEE double, little-endian; no value is the bytes 00 00 00 00 00 00 f8 7f); the qualities (one
           byte for each channel); the ages (two bytes for each channel, unsigned, big-endian, in ms).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from labctl.errors import StoreError

NOT_READ = 0xFF
"""Quality byte of a channel that was not read in a scan: its value is NULL and it is no reading at all."""

MAX_AGE_MS = 0xFFFF
"""Ages are kept in two bytes; a reading of this age is this old or older."""

NO_VALUE = struct.unpack("<d", bytes.fromhex("000000000000f87f"))[0]

Channel = tuple[str, str, str]
"""(instrument, signal, unit)"""

Head = tuple[int, str]
"""seq and hash of the newest row of a stream"""

DIGEST = "telemetry_digest"
ANCHORED = "run_anchored"
ENDED = "run_ended"
REQUEST = "request"


class JournalRow(NamedTuple):
    """One fact as it is kept. mono_s: bench clock in s; utc_ms: Unix time in ms; data: canonical text."""

    stream: str
    seq: int
    mono_s: float
    utc_ms: int
    kind: str
    data: str
    prev_hash: str
    hash: str


def canonical(value: Any) -> str:
    """The canonical text of `value`.

    Raises:
        StoreError: it has no canonical text: NaN, a key that is no string, bytes, a lone surrogate.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise StoreError(f"cannot be kept in the journal: {error}: {value!r:.200}") from error
    return text


def canonical_data(data: dict[str, Any]) -> str:
    """The canonical text of an event's data, proven to come back from reading it (number keys do not)."""
    text = canonical(data)
    if canonical(json.loads(text)) != text:
        raise StoreError(f"cannot be kept in the journal: keys must be strings: {data!r:.200}")
    return text


def sha256(text: str) -> str:
    """SHA-256 of the UTF-8 of `text`, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def identity_hash(bench: str, bench_sha256: str, simulated: bool) -> str:
    """What every chain of a database begins with."""
    return sha256(canonical({"bench": bench, "bench_sha256": bench_sha256, "simulated": simulated}))


def row_hash(prev_hash: str, stream: str, seq: int, mono_s: float, utc_ms: int, kind: str, data: str) -> str:
    """The hash of a journal row; `data` is its canonical text and goes in as it stands."""
    head = canonical([stream, seq, mono_s, utc_ms, kind])
    return sha256(f"{prev_hash}{head[:-1]},{data}]")


def layout_hash(layout: int, channels: Sequence[Channel]) -> str:
    """The content hash of a layout."""
    return sha256(canonical([layout, [list(c) for c in channels]]))


def heads_text(heads: Mapping[str, Head], digest: dict[str, Any] | None) -> str:
    """Where the open streams and the telemetry without a digest stand, as canonical text."""
    return canonical({"streams": heads, "telemetry": digest})


def checkpoint_hash(state: str, heads: str) -> str:
    """SHA-256 of the canonical text of [state, heads]; `heads` as of `heads_text` when it was written."""
    return sha256(canonical([state, heads]))


def seal_hash(heads: str, checkpoint_sha256: str | None) -> str:
    """SHA-256 of the canonical text of [heads, checkpoint_sha256]: what the newest commit left."""
    return sha256(canonical([heads, checkpoint_sha256]))


def request_hash(*columns: Any) -> str:
    """SHA-256 of the canonical text of the columns of a request, from id to expires_utc_ms."""
    return sha256(canonical(list(columns)))


def outcome_hash(request_sha256: str, outcome: str) -> str:
    """SHA-256 of the canonical text of [request_sha256, outcome]."""
    return sha256(canonical([request_sha256, outcome]))


class Tail:
    """The running digest of the telemetry rows that no digest covers yet.

    Values go in as they come out of the database: float, or `NO_VALUE` where it holds NULL.
    """

    def __init__(self) -> None:
        self.first_seq = 0
        self.last_seq = 0
        self.rows = 0
        self.layouts: dict[int, str] = {}
        self._sha = hashlib.sha256()

    def copy(self) -> Self:
        """An independent copy, to be kept only if the transaction succeeds."""
        other = type(self)()
        other.__dict__.update(self.__dict__, layouts=dict(self.layouts), _sha=self._sha.copy())
        return other

    def add(self, layout: int, layout_sha256: str, first_seq: int, packed: Sequence[bytes]) -> None:
        """Cover `packed` (see `packer`), rows of one layout with the seqs from `first_seq` on."""
        if not self.rows:
            self.first_seq = first_seq
        self.layouts[layout] = layout_sha256
        self.rows += len(packed)
        self.last_seq = first_seq + len(packed) - 1
        self._sha.update(b"".join(packed))

    def clear(self) -> None:
        """Begin anew: a digest covers what was added so far."""
        self.__dict__.update(Tail().__dict__)

    def digest(self) -> dict[str, Any] | None:
        """The data of the `telemetry_digest` event for these rows, or None when there are none."""
        if not self.rows:
            return None
        return {
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "rows": self.rows,
            "layouts": {str(layout): sha for layout, sha in sorted(self.layouts.items())},
            "sha256": self._sha.hexdigest(),
        }


def row_struct(present: int) -> struct.Struct:
    """layout, seq, mono_ms, utc_ms and `present` values, as they are hashed."""
    return struct.Struct(f"<qqqq{present}d")
