"""A controller killed in the scan in which a run ends leaves a run that the next one ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.engine.state import empty
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.protocol.plan import canonical
from labctl.runtime.clock import VirtualClock
from labctl.runtime.controller import Controller
from labctl.runtime.record import RUN_ENDED, InStore, replayed
from labctl.store import Store
from labctl.store.verify import verify
from labctl.twin import twin_bench
from tests.runtime.rehearsals import plan_of

MIX = """\
protocol: mix
roles: {stirrer: hotplate_stirrer}
steps:
  - {id: mix, stir: {with: stirrer, speed: 300 rpm, for: 2 min}}
"""


class Killed(BaseException):
    """In place of SIGKILL: nothing after it is done."""


class Dying(Store):
    """The store of a controller that is killed just before it keeps that a run ended."""

    def commit(self, events: Any, *rest: Any, **more: Any) -> None:
        if any(event.kind == RUN_ENDED for event in events):
            raise Killed
        super().commit(events, *rest, **more)


@pytest.mark.parametrize(
    ("ask", "ask_again", "end"),
    [("abort", None, "ABORTED"), ("stop", None, "STOPPED"), (None, "restart", "COMPLETE")],
)
def test_a_run_whose_controller_was_killed_as_it_ended_is_ended_by_the_next(
    tmp_path: Path, ask: str | None, ask_again: str | None, end: str
) -> None:
    bench = twin_bench(load_bench("small"))
    plan, clock, path = plan_of(tmp_path, bench, MIX), VirtualClock(), tmp_path / "labctl.db"
    Store.create(path, bench=bench.bench, bench_yaml="", simulated=True).close()
    store = Dying.open(path)
    about = {"simulated": True, "seed": 3, "bench_identity": plan.bench_identity}
    about["plan_document"] = store.put_document("plan", canonical(plan.model_dump(mode="json")))
    record = InStore(store, clock, empty(bench.chambers))
    with Rehearsal(bench, drivers(), plan, seed=3, record=record, clock=clock) as rehearsal:
        first = rehearsal.controller

        def asked(of: InStore, controller: Controller, verb: str) -> None:
            now_ms = clock.utc_ms(clock.now())
            of.ask(verb, {"reason": "look"}, actor="ada", run="run-1", key=verb, utc_ms=now_ms)
            controller.hurry()

        rehearsal.submit("run-1", about)
        first.run(lambda: clock.now() > 60.0)
        if ask:
            asked(record, first, ask)
        with pytest.raises(Killed):
            first.run(lambda: False)
        store.close()

        with Store.open(path) as kept:
            left = replayed(kept, list(bench.chambers))
            assert left.runs["run-1"].state not in ("ABORTED", "STOPPED", "COMPLETE")
            assert verify(path).ok
            again = InStore(kept, clock, left)
            second = Controller(first.context, left, first.instruments, clock, again, recovered=True)
            if ask_again:
                second.run(lambda: second.state.runs["run-1"].state == "HELD")
                asked(again, second, ask_again)
            second.run(lambda: second.state.runs["run-1"].end_state is not None)
            second.run(lambda: not second.busy())
            again.finish(second.state)
            assert second.state.runs["run-1"].end_state == end
            assert replayed(kept, list(bench.chambers)) == second.state
            ends: list[Event] = kept.read.events("run-1", kinds=[RUN_ENDED])
            assert len(ends) == 1
    assert verify(path).ok
