"""Where a controller keeps what happened: in the bench's store, or, for a forecast, only in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from labctl.engine.evolve import evolve, with_tally
from labctl.engine.state import BenchState, empty, from_json, to_json
from labctl.model.commands import Request
from labctl.model.events import BENCH_STREAM, Event
from labctl.protocol.plan import canonical
from labctl.runtime.clock import BenchClock
from labctl.store import Row, Store

RUN_ENDED = "run_ended"
BATCH = 600
"""Scans in one transaction of virtual time, and between two telemetry digests."""

Channel = tuple[str, str, str]
Scanned = tuple[float, tuple[float | None, ...], bytes, tuple[int, ...]]
"""(bench clock in s, values, qualities, ages in ms) of one scan."""


class Record(Protocol):
    """What the controller needs of its memory."""

    def layout(self, channels: Sequence[Channel]) -> None:
        """Telemetry from now on has these channels."""

    def keep(
        self, state: BenchState, scanned: Scanned | None, events: list[Event], settled: list[Any]
    ) -> None:
        """One scan: the state after it, telemetry, events, outcomes. Durable when it returns, if there are events."""

    def asked(self) -> bool:
        """Whether a request waits."""

    def requests(self, utc_ms: int) -> list[Request]:
        """What people ask for, in order."""

    def ask(
        self, verb: str, args: dict[str, Any], *, actor: str, run: str | None, key: str, utc_ms: int
    ) -> None:
        """Put a request into the inbox."""

    def finish(self, state: BenchState) -> None:
        """Write what is still in memory."""


class InStore:
    """The store of a bench folder.

    Virtual time keeps its scans in batches; real time commits every scan. In virtual time the journal is folded as it
    is written, and must give the live state.
    """

    def __init__(self, store: Store, clock: BenchClock, initial: BenchState) -> None:
        """`initial`: the state that the journal folds to so far."""
        self.store = store
        self._clock = clock
        self._rows: list[Row] = []
        self._layout = 0
        self._since_digest = 0
        self._folded = initial

    def layout(self, channels: Sequence[Channel]) -> None:
        """See Record."""
        self._layout = self.store.layout(channels)

    def keep(
        self, state: BenchState, scanned: Scanned | None, events: list[Event], settled: list[Any]
    ) -> None:
        """See Record."""
        if scanned is not None:
            self._rows.append(Row(self._layout, *scanned))
            self._since_digest += 1
        due = self._since_digest >= BATCH
        if not (events or settled or due or len(self._rows) >= BATCH or not self._clock.virtual):
            return
        outcomes = [(request, outcome) for request, outcome, _ in settled]
        end = next((n for n, e in enumerate(events) if e.kind == RUN_ENDED), len(events))
        if due or end < len(events):
            self._scans()
            self._commit(state, [*events[:end], *self._digests(state), *events[end:]], outcomes)
        else:
            self._commit(state, events, outcomes)
        if self._clock.virtual:
            self._check(state, events)

    def asked(self) -> bool:
        """See Record."""
        return bool(self.store.inbox.pending())

    def requests(self, utc_ms: int) -> list[Request]:
        """See Record."""
        return self.store.inbox.pending(utc_ms)

    def ask(
        self, verb: str, args: dict[str, Any], *, actor: str, run: str | None, key: str, utc_ms: int
    ) -> None:
        """See Record."""
        self.store.inbox.submit(verb, args, actor=actor, issued_utc_ms=utc_ms, idempotency_key=key, run=run)

    def finish(self, state: BenchState) -> None:
        """See Record."""
        self._scans()
        self._commit(state, self._digests(state), [])

    def _scans(self) -> None:
        """The scans alone, for a digest covers what is kept: whoever is killed after this has decided nothing yet."""
        rows, self._rows = self._rows, []
        self.store.commit([], self._clock.utc_ms, rows)

    def _commit(self, state: BenchState, events: list[Event], settled: list[tuple[str, str]]) -> None:
        rows, self._rows = self._rows, []
        self.store.commit(events, self._clock.utc_ms, rows, canonical(state.tally), settled)

    def _digests(self, state: BenchState) -> list[Event]:
        """The digest of the telemetry since the last one, for the stream of a run under way, else for the bench's."""
        self._since_digest = 0
        digest = self.store.digest()
        if digest is None:
            return []
        live = next(
            (r.run_id for r in state.runs.values() if r.started_s is not None and r.end_state is None), None
        )
        if live is None:
            live = next((r for r in state.runs if self._folded_end(r) is None), None)
        return [Event(live or BENCH_STREAM, "telemetry_digest", digest, self._clock.now())]

    def _folded_end(self, run_id: str) -> str | None:
        run = self._folded.runs.get(run_id)
        return run.end_state if run else None

    def _check(self, state: BenchState, events: list[Event]) -> None:
        """fold(journal) + last checkpoint == live state."""
        for event in events:
            self._folded = evolve(self._folded, event)
        again = from_json(to_json(with_tally(self._folded, state.tally)))
        if again != state:
            raise AssertionError("the journal folded with the last checkpoint is not the live state")


class InMemory:
    """For forecasts: events are kept in a list, telemetry in columns, nothing on disk."""

    def __init__(self) -> None:
        """Empty."""
        self.events: list[Event] = []
        self.channels: list[Channel] = []
        self.rows: list[tuple[float, tuple[float | None, ...]]] = []
        self._inbox: list[Request] = []

    def layout(self, channels: Sequence[Channel]) -> None:
        """See Record."""
        self.channels = list(channels)

    def keep(
        self, state: BenchState, scanned: Scanned | None, events: list[Event], settled: list[Any]
    ) -> None:
        """See Record."""
        self.events.extend(events)
        if scanned is not None:
            self.rows.append(scanned[:2])

    def asked(self) -> bool:
        """See Record."""
        return bool(self._inbox)

    def requests(self, utc_ms: int) -> list[Request]:
        """See Record."""
        inbox, self._inbox = self._inbox, []
        return inbox

    def ask(
        self, verb: str, args: dict[str, Any], *, actor: str, run: str | None, key: str, utc_ms: int
    ) -> None:
        """See Record."""
        self._inbox.append(Request(key, verb, run, args, actor))

    def finish(self, state: BenchState) -> None:
        """See Record."""


def replayed(store: Store, chambers: Sequence[str]) -> BenchState:
    """The state that a store's journal and last checkpoint give: what a controller starts from."""
    state = empty(dict.fromkeys(chambers))
    for event in store.read.every_event():
        state = evolve(state, event)
    checkpoint = store.read.checkpoint()
    if checkpoint is None:
        return state
    return with_tally(state, json.loads(checkpoint.state))
