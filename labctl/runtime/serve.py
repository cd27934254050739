"""A controller on a real bench: owns its instruments in real time, until nobody needs it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from labctl.bench.commissioning import barred
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.engine.context import compile_bench, with_plan
from labctl.engine.state import BenchState, RunState
from labctl.errors import ControllerError, PermissiveError, UsageError
from labctl.model.commands import Command, Request
from labctl.model.events import BENCH_STREAM, Event
from labctl.protocol.plan import Plan
from labctl.runtime.admission import BRING_PLANS, admitted
from labctl.runtime.assembly import bus_of, connections, facts
from labctl.runtime.backdoor import Backdoor, answers, ascertained, batch
from labctl.runtime.capture import to_folder
from labctl.runtime.clock import RealClock, nap, utc_now_ms, wall_s
from labctl.runtime.commissioned import recorded
from labctl.runtime.controller import Controller
from labctl.runtime.folder import (
    BENCH_FILE,
    DATABASE,
    ESTOP,
    UNREACHABLE,
    Lock,
    acknowledge_estop,
)
from labctl.runtime.instruments import Connection, Threaded
from labctl.runtime.record import InStore, replayed
from labctl.store import Store

LAST_RESORT_S = 10.0
"""How long a controller that fails waits for its heaters to read off (assumed: several tries on a slow line)."""

IDLE_EXIT_S = 60.0
"""A controller that was started for a run leaves after so long with nothing to watch (assumed)."""


GOING_ON = frozenset({"restart", "resume", "revise"})
ENERGISING = BRING_PLANS | {"start"} | GOING_ON
"""Requests after which something may be energised. A run that goes on does not end because a commission expires."""


class Server:
    """The controller process of a bench folder."""

    def __init__(self, folder: Path, *, until_idle: bool, capture: Path | None = None) -> None:
        """Take the lock, open the memory, find out where the bench was left. Raises BenchLockedError, StoreError.

        capture: folder for transcripts of every line.
        """
        self.folder = folder
        self.bench = ascertained(load_bench(folder))
        if self.bench.in_process:
            raise UsageError(
                f"{folder}: every instrument is simulated; use `labctl run PROTOCOL --simulate --bench {folder}`"
            )
        self._until_idle = until_idle
        self._capture_to = capture
        self._leave = False
        with ExitStack() as undo:
            self._lock = undo.enter_context(Lock(folder))
            self._open()
            undo.pop_all()

    def _open(self) -> None:
        """Take up the bench where its memory ends."""
        folder = self.folder
        self._store = open_store(folder, self.bench)
        state = replayed(self._store, list(self.bench.chambers))
        self._entries = drivers()
        # nobody else can add to them while this process holds the lock
        self._commissions = recorded(self._store.read)
        clock = RealClock(self._store.mono_s + 1.0, self.bench.speed)
        door = self._door = (
            Backdoor(self.bench.backdoor) if self.bench.simulated and self.bench.backdoor else None
        )
        start_s = clock.now()
        self._began_utc_ms = clock.utc_ms(start_s)
        self._capture = None
        if self._capture_to is not None:
            self._capture = to_folder(self._capture_to, self.bench, start_s, self._began_utc_ms)
        made = connections(
            self.bench,
            self._entries,
            lambda bus: clock,
            admit=door.admit if door else None,
            capture=self._capture,
        )
        self._instruments = Threaded(made, {bus_of(self.bench, n): clock for n in made}, wait=False)
        context = compile_bench(self.bench, facts(self.bench, self._entries), self._plans(state))
        self.controller = Controller(
            context,
            state,
            self._instruments,
            clock,
            InStore(self._store, clock, state),
            operator=None if door is None else partial(_simulated_operator, self.bench, door),
            estop=folder / ESTOP,
            on_estop=lambda: acknowledge_estop(folder),
            recovered=any(r.end_state is None for r in state.runs.values()) or _unsafe(state),
            on_request=self._learn,
        )

    def run(self) -> None:
        """Connect, then scan until told to leave or idle; never while a run or a chamber still needs watching."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_leave)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._instruments.connect_all()
        if self._capture is not None:
            self._capture.begin(self._instruments.connections, self._began_utc_ms)
        self._note_audits()
        self._lock.say({"pid": os.getpid(), "serving": True})
        controller = self.controller
        busy_s = wall_s()

        def over() -> bool:
            nonlocal busy_s
            if controller.busy() or controller.record.asked():
                busy_s = wall_s()
                return False
            return self._leave or (self._until_idle and wall_s() - busy_s > IDLE_EXIT_S)

        try:
            controller.run(over)
        except Exception:
            self._heat_off()
            raise
        finally:
            self._instruments.close()
            if self._capture is not None:
                self._capture.close()
            self._store.close()
            self._lock.__exit__(None, None, None)

    def _learn(self, request: Request) -> Request:
        """What a request is decided by besides the readings: its plan, and with what nothing may be energised now."""
        if request.verb in ENERGISING:
            now = None if request.verb in GOING_ON else utc_now_ms()
            lasts_s = float(request.args.get("forecast", {}).get("duration_s", 0.0))
            bars = barred(self.bench, self._entries, self._commissions, self.folder, now, lasts_s)
            self.controller.context = replace(self.controller.context, barred=bars)
        return self._admit(request) if request.verb in BRING_PLANS else request

    def _heat_off(self) -> None:
        """The last thing that a controller does which cannot go on (disk full, a bug): heaters off, gas as it is."""
        hot = [
            self.controller.context.rigs[n] for n, c in self.controller.state.chambers.items() if c.energised
        ]
        heaters = [rig.heater for rig in hot if rig.heater is not None]
        self._instruments.execute(
            [Command(f"last/{n}", name, "heat_off", {}) for n, name in enumerate(heaters)]
        )
        deadline, off = wall_s() + LAST_RESORT_S, 0
        while off < len(heaters) and wall_s() < deadline:
            self._instruments.read((), 0.0, wall_s())
            off += sum(
                r.outcome == "ok" for r in self._instruments.results() if r.command_id.startswith("last/")
            )
            nap(0.05)

    def _told_to_leave(self, number: int, frame: Any) -> None:
        """A process that is told to go while something is hot first stops the runs, and goes when all is cold."""
        if self._leave:
            return
        self._leave = True
        for run in self.controller.state.runs.values():
            if run.end_state is None and run.started_s is not None:
                reason, key = "the controller was told to leave", f"{run.run_id}/leave/{os.getpid()}"
                self.controller.stop_soon(run.run_id, actor="system", reason=reason, key=key)

    def _plans(self, state: BenchState) -> list[Plan]:
        plans = []
        for event in self._store.read.every_event():
            if event.kind in ("run_created", "plan_revised") and event.stream in state.runs:
                plans.append(Plan.model_validate_json(self._store.document(event.data["plan_document"])))
        return plans

    def _admit(self, request: Request) -> Request:
        """Take in the plan that a request brings; the batch of a new run begins."""

        def against(plan: Plan) -> str | None:
            return "; ".join(blocked(self._instruments.connections, plan)) or None

        request, plan = admitted(request, self._store, self.bench, against)
        if plan is None:
            return request
        if request.verb == "submit" and "against" not in request.args and self._door is not None:
            _begin_batch(self._door, plan, str(request.args.get("run", "")))
        self.controller.context = with_plan(self.controller.context, plan)
        return request

    def _note_audits(self) -> None:
        """What every instrument said of itself goes into the journal of the bench."""
        now = self.controller.clock.now()
        events = []
        for name, connection in self._instruments.connections.items():
            data: dict[str, Any] = {"instrument": name, "problem": connection.problem}
            if connection.audit is not None:
                data |= connection.audit.to_json()
            events.append(Event(BENCH_STREAM, "audit", data, now))
        self._store.commit(events, self.controller.clock.utc_ms)


def _begin_batch(door: Backdoor, plan: Plan, run: str) -> None:
    """Tell the operator behind the backdoor what will be made; one who does not hear it makes the usual gram."""
    try:
        door.ask("charge", batch=batch(plan), run=run)
    except (ControllerError, UsageError) as error:
        print(f"the simulated operator was not told of {plan.protocol}: {error}", file=sys.stderr, flush=True)


def _simulated_operator(bench: Bench, door: Backdoor, run: RunState) -> list[tuple[str, dict[str, object]]]:
    """Answers from the operator behind the backdoor, as long as it claims the bench; else a person is waited for."""
    if not ascertained(bench).simulated:
        return []
    try:
        return answers(run, lambda prompt: door.ask("answer", prompt=prompt))
    except (ControllerError, UsageError) as error:
        print(f"the simulated operator gave no answer: {error}", file=sys.stderr, flush=True)
        return []


def open_store(folder: Path, bench: Bench) -> Store:
    """The memory of a bench, made at its first use.

    Raises StoreError, and PermissiveError when what is real now was simulated before, or the other way round.
    """
    path = folder / DATABASE
    if path.exists():
        store = Store.open(path)
        if store.read.identity().simulated != bench.simulated:
            store.close()
            was, now = ("simulated", "real") if not bench.simulated else ("real", "simulated")
            raise PermissiveError(
                f"{folder}: the record is of a {was} bench, and its addresses are {now} now"
                + ("; start its simulator again: labctl sim up" if bench.backdoor else "")
            )
        return store
    text = (folder / BENCH_FILE).read_text(encoding="utf-8")
    return Store.create(path, bench=bench.bench, bench_yaml=text, simulated=bench.simulated)


def blocked(connected: Any, plan: Plan) -> list[str]:
    """The instruments of a plan that cannot be used now, with the reason; those that do not answer first."""
    names = sorted({i for step in plan.steps for i in step.instruments})
    problems: list[str] = []
    for name in names:
        connection: Connection = connected[name]
        if connection.problem:
            problems.insert(0, f"{UNREACHABLE}: {name}: {connection.problem}")
        elif connection.audit is not None and not connection.audit.ok:
            failed = [f"{i.name} is {i.found}, wanted {i.wanted}" for i in connection.audit.items if not i.ok]
            problems.append(f"{name}: {'; '.join(failed)}")
    return problems


def _unsafe(state: BenchState) -> bool:
    return any(c.energised or c.safe or c.custody or c.lease for c in state.chambers.values())
