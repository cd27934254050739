"""A request is asked once, settled once, and nobody needs the controller to ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import StoreError
from labctl.model.commands import Request
from labctl.model.events import Event
from labctl.store import Inbox, Store
from tests.store.conftest import utc


def test_the_same_key_is_the_same_request(path: Path) -> None:
    with Inbox.open(path) as inbox:
        asked = [
            inbox.submit(
                "hold", {"why": "lunch"}, actor="ada", run="run-2", issued_utc_ms=t, idempotency_key="k-9"
            )
            for t in (1, 2)
        ]
        assert asked == ["3", "3"]
        with pytest.raises(StoreError, match="stands for another request"):
            inbox.submit("stop", {}, actor="ada", run="run-2", issued_utc_ms=3, idempotency_key="k-9")
        assert [r.id for r in inbox.pending()] == ["2", "3"]


def test_a_request_expires(path: Path) -> None:
    with Inbox.open(path) as inbox:
        inbox.submit(
            "resume", {"a": [1]}, actor="ada", run="run-2", expected_state="PAUSED",
            issued_utc_ms=100, expires_utc_ms=200, idempotency_key="k-3",
        )  # fmt: skip
        assert inbox.pending(200)[-1] == Request("3", "resume", "run-2", {"a": [1]}, "ada", "PAUSED", False)
        assert inbox.pending(201)[-1].expired


def test_an_outcome_is_written_once_and_with_the_facts_it_belongs_to(path: Path) -> None:
    with Store.open(path) as store:
        assert [r.verb for r in store.inbox.pending()] == ["stop"]
        before = store.head("bench")
        with pytest.raises(StoreError, match="no request 99"):
            store.commit([Event("bench", "x", {}, 20.0)], utc, settled=[("2", "done"), ("99", "done")])
        assert (store.head("bench"), len(store.inbox.pending())) == (before, 1)
        store.commit([Event("bench", "x", {}, 20.0)], utc, settled=[("2", "done")])
        assert store.inbox.pending() == []
        assert [s.outcome for s in store.read.submitted()] == ["accepted", "done"]
        assert store.read.submitted("2")[0].actor == "bob"
        with pytest.raises(StoreError, match="written once"):
            store.commit([], utc, settled=[("2", "refused")])


def test_there_must_be_a_bench(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database of a bench"):
        Inbox.open(tmp_path / "labctl.db")
