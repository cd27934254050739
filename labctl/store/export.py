"""What leaves the database: journal lines that anyone can check, and telemetry that any program can read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import TextIO

from labctl.store.chain import canonical
from labctl.store.reader import Reader

COLUMNS = (
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


def export_journal(reader: Reader, stream: str) -> Iterator[str]:
    """The rows of a run (or of "bench"), one canonical JSON object a line, without the line's end.

    hash = SHA-256 of prev_hash followed by the canonical text of [stream, seq, mono_s, utc_ms, kind, data];
    the `hash` of the last line is the head.
    """
    for row in reader.journal(stream):
        yield canonical({**row._asdict(), "data": json.loads(row.data)})


def export_telemetry(reader: Reader, run: str, out: TextIO) -> int:
    """Write the readings of a run as CSV, one reading a line; returns how many.

    Columns: scan, bench and Unix time of the scan in ms, instrument, signal, unit, value (empty when there
    was none), quality (see `Quality`) and the sample's age at the scan in ms.
    """
    from sqlite_utils import Database

    first, last = reader.interval(run)
    database = Database(reader.connection, recursive_triggers=False, execute_plugins=False)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in database.query(
        f"SELECT {', '.join(COLUMNS)} FROM readings WHERE mono_ms BETWEEN ? AND ? "
        "ORDER BY seq, instrument, signal",
        (round(first * 1000), round(last * 1000)),
    ):
        writer.writerow(row.values())
        count += 1
    return count
