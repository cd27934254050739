"""What a bench's record says of its instruments while a controller owns them: the newest word, and how old it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labctl.bench.api import BAD, GOOD, SILENT, Quality
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.model.events import BENCH_STREAM, Event
from labctl.runtime.clock import utc_now_ms
from labctl.runtime.survey import Look, Seen, remembered
from labctl.store import NOT_READ, Row, Store

CHANNELS = [("furnace", "temperature", "degC"), ("furnace", "output", "%"), ("nitrogen", "flow", "sccm")]
AUDIT: dict[str, Any] = {
    "identity": {"maker": "Eurotherm"},
    "items": [
        {"item": "units", "found": "degF", "wanted": "degC", "ok": False},
        {"item": "sensor break", "found": "on", "wanted": "on", "ok": True},
    ],
}


def real() -> Bench:
    bench = load_bench("small")
    address = {"address": "serial:///dev/ttyUSB0"}
    return bench.model_copy(
        update={"instruments": {n: i.model_copy(update=address) for n, i in bench.instruments.items()}}
    )


def record(folder: Path, first_utc_ms: int) -> None:
    """Two audits of the furnace, and two scans 4 s apart: the second read nitrogen only."""
    with Store.create(folder / "labctl.db", bench="small", bench_yaml="", simulated=False) as store:
        layout = store.layout(CHANNELS)
        audits = [
            {"instrument": "furnace", "problem": "no reply"},
            {"instrument": "furnace", "problem": None, **AUDIT},
            {"instrument": "oven", "problem": "no reply"},
            {"instrument": "gone", "problem": None, **AUDIT},
        ]
        rows = [
            Row(layout, 0.0, (800.0, None, 199.0), bytes([GOOD, SILENT, GOOD]), (250, 0, 0)),
            Row(layout, 4.0, (None, None, 1372.0), bytes([NOT_READ, NOT_READ, BAD]), (0, 0, 1000)),
        ]
        events = [Event(BENCH_STREAM, "audit", data, 0.0) for data in audits]
        store.commit(events, lambda t_s: first_utc_ms + round(t_s * 1000), rows)


def readings(look: Look) -> dict[str, Seen]:
    return {seen.signal: seen for seen in look.readings}


def test_the_newest_reading_of_each_signal_is_shown_with_its_age(tmp_path: Path) -> None:
    record(tmp_path, utc_now_ms() - 10_000)
    found = remembered(tmp_path, real(), 4711)
    assert found.controller == 4711
    furnace = readings(found.looks["furnace"])
    assert furnace["temperature"][:4] == ("temperature", 800.0, "degC", Quality.GOOD)
    assert furnace["temperature"].age_s == pytest.approx(10.25, abs=2.0)
    assert furnace["output"].quality is SILENT
    flow = readings(found.looks["nitrogen"])["flow"]
    assert (flow.value, flow.quality) == (1372.0, BAD)
    assert flow.age_s == pytest.approx(7.0, abs=2.0)


def test_in_virtual_time_the_newest_scan_is_now(tmp_path: Path) -> None:
    record(tmp_path, 1_767_225_600_000)
    found = remembered(tmp_path, load_bench("small"), 1)
    assert readings(found.looks["furnace"])["temperature"].age_s == pytest.approx(4.25)
    assert readings(found.looks["nitrogen"])["flow"].age_s == pytest.approx(1.0)


def test_the_last_audit_counts_and_says_what_failed(tmp_path: Path) -> None:
    record(tmp_path, utc_now_ms())
    found = remembered(tmp_path, real(), 1)
    assert found.looks["furnace"].failures() == ["units is degF, wanted degC"]
    assert found.looks["furnace"].problem is None
    assert set(found.audited_utc_ms) == {"furnace"}
    assert set(found.looks) == set(real().instruments), "what the bench no longer has is left out"


def test_who_is_reachable_is_told_by_the_readings_then_by_the_audit(tmp_path: Path) -> None:
    record(tmp_path, utc_now_ms())
    looks = remembered(tmp_path, real(), 1).looks
    assert looks["furnace"].reachable, "one signal of two is not silent"
    assert looks["oven"].reachable is False, "it was not at its audit, and nothing was read since"
    assert looks["hotplate"].reachable is None, "nobody has tried"
    silent = Seen("temperature", None, "degC", SILENT, 0.0)
    assert Look(AUDIT, None, (silent,)).reachable is False, "it has gone since its audit"


def test_a_controller_that_has_only_just_begun_has_no_record_yet(tmp_path: Path) -> None:
    found = remembered(tmp_path, real(), 1)
    assert {look.reachable for look in found.looks.values()} == {None}
