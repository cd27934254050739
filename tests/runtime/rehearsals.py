"""Whole runs in virtual time over a real store, for tests of the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.engine.state import BenchState, empty
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.protocol.plan import Plan, canonical
from labctl.protocol.validation import load_plan
from labctl.runtime.clock import VirtualClock
from labctl.runtime.record import InStore, replayed
from labctl.store import Store
from labctl.twin import twin_bench

TOUCH_OF_HEAT = """\
protocol: touch-of-heat
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - id: heat
    heat:
      {with: furnace, to: 120 degC, ramp: 20 K/min, hold: 9 s, atmosphere: inert, under: {gas: nitrogen, flow: 0.2 slm}}
  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, under: {gas: nitrogen, flow: 200 sccm}}}
  - {id: unload, unload: {from: furnace, into: nothing}}
"""
"""The least that purges, heats, cools and leaves custody: some twenty minutes of bench time on the small bench."""


@dataclass(frozen=True)
class Rehearsed:
    """What a run left behind: its journal in the order in which it was written, and the state at its end."""

    events: list[Event]
    head: str
    state: BenchState
    replayed: BenchState
    run_id: str

    @property
    def end_state(self) -> str | None:
        return self.state.runs[self.run_id].end_state


def plan_of(folder: Path, bench: Bench, protocol: str, **parameters: str) -> Plan:
    """The plan of a protocol, by name or by its text."""
    name = protocol
    if "\n" in protocol:
        name = str(folder / f"{protocol.partition(chr(10))[0].partition(': ')[2]}.yaml")
        Path(name).write_text(protocol)
    return load_plan(name, parameters, bench)[0]


def rehearse(
    folder: Path, protocol: str, *, bench: str | Bench = "small", seed: int | None = 3, threads: bool = False
) -> Rehearsed:
    """Run a protocol on the twin of a bench until everything is cold, recorded in `folder`/labctl.db."""
    folder.mkdir(exist_ok=True)
    bench = twin_bench(load_bench(bench) if isinstance(bench, str) else bench)
    plan = plan_of(folder, bench, protocol)
    clock = VirtualClock()
    about: dict[str, Any] = {"simulated": True, "seed": seed, "bench_identity": plan.bench_identity}
    with Store.create(folder / "labctl.db", bench=bench.bench, bench_yaml="", simulated=True) as store:
        about["plan_document"] = store.put_document("plan", canonical(plan.model_dump(mode="json")))
        record = InStore(store, clock, empty(bench.chambers))
        with Rehearsal(
            bench, drivers(), plan, seed=seed, record=record, clock=clock, threads=threads
        ) as rehearsal:
            assert rehearsal.problems == []
            rehearsal.submit("run-1", about)
            rehearsal.controller.run(lambda: rehearsal.ended("run-1"))
            state = rehearsal.controller.state
        with Store.open(folder / "labctl.db") as again:
            return Rehearsed(
                events=list(again.read.every_event()),
                head=again.read.streams()["run-1"][1],
                state=state,
                replayed=replayed(again, list(bench.chambers)),
                run_id="run-1",
            )
