"""A small, real database: two runs, two layouts, every kind of row, one digest open at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.model.events import Event
from labctl.store import NOT_READ, Row, Store

FURNACE = [("furnace", "temperature", "degC"), ("nitrogen", "flow", "sccm")]
CELL = [*FURNACE, ("cycler", "voltage", "V")]
EPOCH_MS = 1_700_000_000_000


def utc(mono_s: float) -> int:
    return EPOCH_MS + round(mono_s * 1000)


def scans(layout: int, first_s: int, count: int, width: int) -> list[Row]:
    return [
        Row(layout, float(t), tuple(20.0 + t + i for i in range(width)), bytes(width), (5,) * width)
        for t in range(first_s, first_s + count)
    ]


def digested(store: Store, stream: str, t_s: float) -> Event:
    data = store.digest()
    assert data is not None
    return Event(stream, "telemetry_digest", data, t_s)


def write_runs(store: Store) -> None:
    plan = store.put_document("plan", '{"steps":[]}')
    furnace, cell = store.layout(FURNACE), store.layout(CELL)
    created = {"title": "Powder", "plan": plan, "simulated": True, "seed": 7, "plan_document": plan}
    store.commit([Event("bench", "bench_opened", {"note": "20 °C"}, 0.0)], utc)
    store.commit([Event("run-1", "run_created", {**created, "run": "run-1"}, 0.0)], utc)
    store.commit([], utc, scans(furnace, 0, 3, 2), checkpoint='{"step":1}')
    odd = Row(cell, 4.0, (812.5, None, 3.4), bytes([2, NOT_READ, 0]), (90_000, 0, 12))
    store.commit([Event("run-1", "state_changed", {"to": "RUNNING"}, 3.0)], utc, [*scans(cell, 3, 1, 3), odd])
    store.commit([digested(store, "run-1", 5.0)], utc)
    store.commit([Event("run-1", "run_ended", {"end_state": "COMPLETE"}, 5.0)], utc)
    store.commit([Event("run-1", "cleared", {"actor": "ada"}, 6.0)], utc)
    asked = store.inbox.submit(
        "start", {"x": 1.5}, actor="ada", issued_utc_ms=utc(6.0), idempotency_key="k-1"
    )
    store.inbox.submit("stop", {}, actor="bob", run="run-2", issued_utc_ms=utc(7.0), idempotency_key="k-2")
    told = {"request": asked, "verb": "start", "actor": "ada", "accepted": True, "outcome": "accepted"}
    events = [
        Event("run-2", "run_created", {**created, "run": "run-2"}, 7.0),
        Event("bench", "request", told, 7.0),
    ]
    store.commit(events, utc, scans(furnace, 7, 2, 2), checkpoint='{"step":2}', settled=[(asked, "accepted")])
    store.commit([Event("run-2", "state_changed", {"to": "RUNNING"}, 9.0)], utc, scans(cell, 9, 1, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of that database, closed."""
    file = tmp_path / "labctl.db"
    with Store.create(file, bench="standard", bench_yaml="bench: standard\n", simulated=True) as store:
        write_runs(store)
    return file
