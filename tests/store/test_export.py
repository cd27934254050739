"""What is exported can be checked by anybody, with nothing of labctl."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

from labctl.store import Reader
from labctl.store.export import export_journal, export_telemetry


def recompute(lines: list[str]) -> str:
    """An independent reading of the rule that the journal states."""
    head: str = json.loads(lines[0])["prev_hash"]
    for line in lines:
        row = json.loads(line)
        told = [row[key] for key in ("stream", "seq", "mono_s", "utc_ms", "kind", "data")]
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        head = hashlib.sha256((head + text).encode("utf-8")).hexdigest()
    return head


def test_anyone_can_recompute_the_head_of_a_journal(path: Path) -> None:
    with Reader.open(path) as reader:
        for stream, (count, head) in reader.streams().items():
            lines = list(export_journal(reader, stream))
            assert len(lines) == count
            assert recompute(lines) == head
            assert (
                recompute([line.replace("COMPLETE", "ABORTED") for line in lines]) == head
                or stream == "run-1"
            )


def test_anyone_can_recompute_where_every_chain_begins(path: Path) -> None:
    with Reader.open(path) as reader:
        first = json.loads(next(export_journal(reader, "bench")))
    bench_sha = hashlib.sha256(b"bench: standard\n").hexdigest()
    identity = f'{{"bench":"standard","bench_sha256":"{bench_sha}","simulated":true}}'
    assert first["prev_hash"] == hashlib.sha256(identity.encode()).hexdigest()


def test_anyone_can_recompute_a_telemetry_digest(path: Path) -> None:
    with Reader.open(path) as reader:
        (digest,) = [e.data for e in reader.events("run-1", kinds=["telemetry_digest"])]
    told, scans = hashlib.sha256(), []
    with closing(sqlite3.connect(path)) as connection:
        for layout, columns in ((1, "v0, v1"), (2, "v0, v1, v2")):
            rows = connection.execute(
                f"SELECT seq, mono_ms, utc_ms, qualities, ages, {columns} FROM telemetry_{layout}"
            )
            scans += [(row[0], layout, row) for row in rows]
    for seq, layout, (_, mono_ms, utc_ms, qualities, ages, *values) in sorted(scans):
        if digest["first_seq"] <= seq <= digest["last_seq"]:
            told.update(struct.pack("<4q", layout, seq, mono_ms, utc_ms))
            for value, quality in zip(values, qualities, strict=True):
                if quality != 255:
                    told.update(
                        bytes.fromhex("000000000000f87f") if value is None else struct.pack("<d", value)
                    )
            told.update(qualities + ages)
    assert told.hexdigest() == digest["sha256"]


def test_telemetry_leaves_as_one_reading_a_line(path: Path) -> None:
    out = io.StringIO()
    with Reader.open(path) as reader:
        count = export_telemetry(reader, "run-1", out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert count == len(rows) == 3 * 2 + 3 + 2
    assert list(rows[0]) == [
        "seq",
        "mono_ms",
        "utc_ms",
        "instrument",
        "signal",
        "unit",
        "value",
        "quality",
        "age_ms",
    ]
    assert list(rows[0].values()) == [
        "1",
        "0",
        "1700000000000",
        "furnace",
        "temperature",
        "degC",
        "20.0",
        "0",
        "5",
    ]
    bad = [row for row in rows if row["quality"] != "0"]
    assert [(row["instrument"], row["value"], row["age_ms"]) for row in bad] == [
        ("furnace", "812.5", "65535")
    ]
