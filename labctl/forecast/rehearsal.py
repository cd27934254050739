"""A plan on the simulated twin of its bench: controller, plant and operator in this process and in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labctl.bench.api import DriverEntry
from labctl.bench.schema import Bench
from labctl.engine.context import compile_bench
from labctl.engine.state import BenchState, RunState, empty
from labctl.errors import PermissiveError, UsageError, WaitTimeoutError
from labctl.forecast.pace import Unhurried
from labctl.protocol.plan import Plan
from labctl.runtime.assembly import bus_of, connections, facts
from labctl.runtime.backdoor import batch
from labctl.runtime.clock import BusClock, VirtualClock
from labctl.runtime.controller import Controller
from labctl.runtime.instruments import Inline, Instruments, Threaded
from labctl.runtime.lockstep import Lockstep
from labctl.runtime.record import Record
from labctl.twin import Mounted, Twin, build, spec, twin_bench

LEAST_STALL_S = 10_800.0
"""A rehearsal in which nothing changes for so long is given up; longer than a run may be held (assumed)."""

STALL_COOLDOWNS = 3.0
"""Nor before so many of the bench's longest measured cool-downs (assumed: twice what custody may wait)."""

COARSE_DEADMAN_S = 600.0
"""Dead-man of the twin's heaters in a forecast, whose scans are further apart than the real one."""

COARSE_TICK_S = 5
"""Ticks of a forecast's plant, where all that is in it bears that: loops and thermometers need no more (assumed)."""


class Rehearsal:
    """A bench's twin with a controller on it, in this process and in virtual time.

    Usage:
        with Rehearsal(bench, entries, plan, seed=7, record=InMemory()) as rehearsal:
            rehearsal.submit("run-1", {})
            rehearsal.controller.run(lambda: not rehearsal.controller.busy())
    """

    def __init__(
        self,
        bench: Bench,
        entries: Mapping[str, DriverEntry],
        plan: Plan,
        *,
        seed: int | None,
        record: Record,
        clock: VirtualClock | None = None,
        state: BenchState | None = None,
        coarse: bool = False,
        threads: bool = False,
        estop: Path | None = None,
        on_estop: Callable[[], None] | None = None,
        lockstep: Lockstep | None = None,
        prepare: Callable[[Twin], None] | None = None,
        also: Sequence[Plan] = (),
    ) -> None:
        """Build the plant and mount it.

        also: plans of further runs that may be submitted.
        threads: one worker per bus instead of inline. prepare: given the twin before anything is mounted.
        lockstep: the bench as it is served elsewhere, instead of a twin in this process; its seed and clock count.
        """
        self.bench = twin_bench(bench) if lockstep is None else lockstep.bench
        self.plan = plan
        self.clock = lockstep.clock if lockstep else clock or VirtualClock()
        self.record = record
        self._first_said_s: dict[str, float] = {}
        clocks = {bus_of(self.bench, name): BusClock() for name in self.bench.instruments}
        if lockstep is None:
            options = {"sim_deadman_s": COARSE_DEADMAN_S} if coarse else {}
            wanted = spec(self.bench, entries, plan, options)
            twin = build(wanted, seed, COARSE_TICK_S if coarse else 1)
            if prepare is not None:
                prepare(twin)
            links = {name: entries[i.driver].link for name, i in self.bench.instruments.items()}
            self._plant: Mounted | Lockstep = Mounted(
                twin, self.bench, lambda name: clocks[bus_of(self.bench, name)], links
            )
        else:
            lockstep.charge(plan)
            self._plant = lockstep
        wrap = lockstep.line if lockstep else None
        made = connections(self.bench, entries, clocks.__getitem__, coarse=coarse, wrap=wrap)
        instruments: Instruments = Threaded(made, clocks, wait=True) if threads else Inline(made, clocks)
        instruments.connect_all()
        self.problems = [
            f"{name}: {connection.problem or _failed(connection.audit)}"
            for name, connection in made.items()
            if connection.problem or (connection.audit is not None and not connection.audit.ok)
        ]
        context = compile_bench(self.bench, facts(self.bench, entries), [plan, *also], coarse=coarse)
        make = Unhurried if coarse else Controller
        self.controller = make(
            context,
            state or empty(self.bench.chambers),
            instruments,
            self.clock,
            record,
            operator=self._answers,
            estop=estop,
            on_estop=on_estop,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release ports and addresses."""
        self.controller.instruments.close()
        if isinstance(self._plant, Mounted):
            self._plant.__exit__(kind, error, trace)

    @property
    def twin(self) -> Twin:
        """The plant of this process. Raises UsageError in lock-step, where it is behind its backdoor."""
        if isinstance(self._plant, Lockstep):
            raise UsageError("the plant of this bench is in another process; ask at its backdoor")
        return self._plant.twin

    def submit(
        self,
        run_id: str,
        about: dict[str, Any],
        forecast: dict[str, Any] | None = None,
        plan: Plan | None = None,
    ) -> None:
        """Put a run of the plan (or of one of the others, which begins a batch) and its start into the inbox."""
        utc = self.clock.utc_ms(self.clock.now())
        if plan is not None:
            self.twin.plant.charge(batch(plan), run_id)
        args: dict[str, Any] = {"run": run_id, "plan": (plan or self.plan).plan_hash, "about": about}
        if forecast is not None:
            args["forecast"] = forecast
        self.record.ask("submit", args, actor="labctl", run=None, key=f"{run_id}/submit", utc_ms=utc)
        self.record.ask("start", {}, actor="labctl", run=run_id, key=f"{run_id}/start", utc_ms=utc)
        self.controller.hurry()  # or when it is read would hang on how fast this machine is

    def _answers(self, run: RunState) -> list[tuple[str, dict[str, object]]]:
        """What the operator says. Raises WaitTimeoutError when it has been refused for as long as a stall lasts."""
        now, given = self.clock.now(), self._plant.answer(run)
        for key, answer in given:
            if now - self._first_said_s.setdefault(key, now) > LEAST_STALL_S:
                raise WaitTimeoutError(
                    f"nobody answers {answer['prompt']!r}: that of the simulated operator is {self.controller.refusal}"
                )
        return given

    def ended(self, run_id: str) -> bool:
        """The run is over and no chamber is left to watch. Raises PermissiveError when it was refused its start."""
        run = self.controller.state.runs.get(run_id)
        if (run is None or run.started_s is None) and self.controller.refusal is not None:
            raise PermissiveError(f"{run_id} was not started: {self.controller.refusal}")
        if run is None or (run.end_state is None and run.state in ("IDLE", "RUNNING")):
            return False
        waited_s = self.clock.now() - self.controller.changed_s
        waiting = [n for n, c in self.controller.state.chambers.items() if c.safe or c.custody]
        cooldown_s = max((self.bench.chambers[name].cooldown_s for name in waiting), default=0.0)
        if waited_s > max(LEAST_STALL_S, STALL_COOLDOWNS * cooldown_s):
            hours = f"{waited_s / 3600:.0f} h"
            raise WaitTimeoutError(
                f"{run_id} is {run.state}; nothing has changed for {hours}: {self._waits_for()}"
            )
        return run.end_state is not None and not self.controller.busy()

    def _waits_for(self) -> str:
        """What keeps a chamber from being safe or cold, in words."""
        state = self.controller.state
        items = [
            f"{name} waits for {item}"
            for name, chamber in state.chambers.items()
            for item, progress in (chamber.safe or {}).get("items", {}).items()
            if not progress["confirmed"]
        ]
        custody = [f"{name} is in custody" for name, chamber in state.chambers.items() if chamber.custody]
        return "; ".join(
            [*items, *custody, *(alarm["message"] for alarm in state.alarms.values() if alarm["active"])]
        )


def _failed(audit: Any) -> str:
    return "; ".join(f"{i.name} is {i.found}, wanted {i.wanted}" for i in audit.items if not i.ok)
