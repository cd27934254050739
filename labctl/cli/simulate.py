"""`labctl run --simulate`: the twin of a bench in a folder of its own, in virtual time, owned by this process."""

from __future__ import annotations

import gc
import json
import os
import signal
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import yaml

from labctl.bench.discovery import drivers
from labctl.bench.schema import Bench
from labctl.cli.faults import FAULTS_FILE, FAULTS_LOG, read_faults, tell_faults
from labctl.cli.memory import SIMULATED_RUNS
from labctl.cli.progress import Progress
from labctl.cli.terminal import say
from labctl.engine.context import with_plan
from labctl.engine.state import empty
from labctl.errors import PermissiveError
from labctl.forecast import Rehearsal, forecast
from labctl.model.commands import Request
from labctl.protocol.plan import Plan, canonical
from labctl.runtime.admission import BRING_PLANS, admitted
from labctl.runtime.clock import VirtualClock, cpu_s, wall_s
from labctl.runtime.folder import BENCH_FILE, DATABASE, ESTOP, Lock, acknowledge_estop
from labctl.runtime.lockstep import Lockstep
from labctl.runtime.record import InStore
from labctl.store import Store
from labctl.twin import Backdoor, check_faults, schedule, spec

COLLECT_AFTER = 50_000
"""New objects between two searches for garbage: what a scan leaves behind goes by itself, as it is in no cycle."""

STAYS_S = 60.0
"""So long, in real seconds, a paced run that was aborted waits for CLEAR, and again for RESET (assumed)."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated run that is over: where it is, and what it took of real time."""

    folder: Path
    run_id: str
    wall_s: float
    cpu_s: float


def run_id_of(plan: Plan, seed: int | None) -> str:
    """The same plan and seed always make the same run id."""
    return f"{plan.protocol}-{plan.plan_hash[:8]}" + ("" if seed is None else f"-s{seed}")


def simulate(
    bench: Bench, plan: Plan, protocol_text: str, arguments: Namespace, served: Bench | None = None
) -> Simulated:
    """Run a plan on the twin of a bench until it has ended and everything is cold.

    served: the bench as a simulator serves it: the run is in lock-step with that, over its wires.
    Raises PermissiveError when an instrument does not pass its audit, ForecastError when the plan does not complete on
    the nominal plant.
    """
    if served is None:
        return _simulate(bench, plan, protocol_text, arguments, None)
    with Lockstep(served) as lockstep:
        return _simulate(bench, plan, protocol_text, arguments, lockstep)


def _simulate(
    bench: Bench, plan: Plan, protocol_text: str, arguments: Namespace, lockstep: Lockstep | None
) -> Simulated:
    entries = drivers()
    faults = read_faults(arguments.faults) if arguments.faults else []
    check_faults(spec(bench, entries), faults)
    seed = lockstep.seed if lockstep else arguments.seed
    run_id = run_id_of(plan, seed)
    folder = _new_folder(Path.cwd() / SIMULATED_RUNS, run_id)
    if arguments.faults:
        (folder / FAULTS_FILE).write_bytes(arguments.faults.read_bytes())
    text = yaml.safe_dump(bench.model_dump(mode="json"), sort_keys=False)
    (folder / BENCH_FILE).write_text(text, encoding="utf-8")
    (folder / "protocols").mkdir()
    (folder / "protocols" / f"{plan.protocol}.yaml").write_text(protocol_text, encoding="utf-8")
    try:
        planned = forecast(bench, entries, plan)
    except BaseException:  # a forecast that fails, and an interrupt
        rmtree(folder)  # nothing has run in it
        raise
    say(f"SIMULATED run {run_id}, in {folder}")
    clock = lockstep.clock if lockstep else VirtualClock(arguments.speed)
    gc.set_threshold(COLLECT_AFTER)
    started, cpu = wall_s(), cpu_s()
    with (
        Lock(folder) as lock,
        Store.create(folder / DATABASE, bench=bench.bench, bench_yaml=text, simulated=True) as store,
        Rehearsal(
            bench,
            entries,
            plan,
            seed=seed,
            record=InStore(store, clock, empty(bench.chambers)),
            clock=clock,
            estop=folder / ESTOP,
            on_estop=lambda: acknowledge_estop(folder),
            lockstep=lockstep,
            threads=lockstep is not None,
        ) as rehearsal,
        ExitStack() as open_door,
    ):
        if rehearsal.problems:
            raise PermissiveError("; ".join(rehearsal.problems))
        controller = rehearsal.controller
        controller.on_request = partial(_learn, rehearsal, store)
        behind = lockstep.bench.backdoor if lockstep else None
        if behind is None:
            schedule(rehearsal.twin, faults)
            door = Backdoor(rehearsal.twin, lambda: min(clock.paced_now(), controller.next_s))
            behind = open_door.enter_context(door).address
        lock.say({"pid": os.getpid(), "backdoor": behind})
        about = {
            "title": plan.title,
            "simulated": True,
            "seed": seed,
            "plan_document": store.put_document("plan", canonical(plan.model_dump(mode="json"))),
            "protocol": plan.protocol,
            "protocol_document": store.put_document("protocol", protocol_text),
            "bench_identity": plan.bench_identity,
            **bench.of_rules(),
        }
        rehearsal.submit(run_id, about, planned.to_json())
        with Progress(plan, planned, controller, run_id) as progress:
            aftermath = _Aftermath(rehearsal, run_id, progress, folder)

            def over() -> bool:
                progress.look()
                return rehearsal.ended(run_id) and not aftermath.goes_on()

            with _stop_on_interrupt(rehearsal, run_id, progress, aftermath):
                controller.run(over)
        if lockstep is not None:
            say(f"in lock-step: {controller.scans} scans, {lockstep.requests} requests over the wires")
        if faults:
            tell_faults(rehearsal.twin.faults.report())
            done = {"faults": rehearsal.twin.faults.report(), "log": rehearsal.twin.faults.applications()}
            (folder / FAULTS_LOG).write_text(json.dumps(done, indent=1), encoding="utf-8")
    return Simulated(folder, run_id, wall_s() - started, cpu_s() - cpu)


def _learn(rehearsal: Rehearsal, store: Store, request: Request) -> Request:
    """Take in the plan that a request brings."""
    if request.verb not in BRING_PLANS or "documents" not in request.args:
        return request
    request, plan = admitted(request, store, rehearsal.bench, lambda plan: None)
    if plan is not None:
        rehearsal.controller.context = with_plan(rehearsal.controller.context, plan)
    return request


def _new_folder(parent: Path, name: str) -> Path:
    """`name`, or `name-2` and so on: a repeated run overwrites nothing."""
    parent.mkdir(exist_ok=True)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder


class _Aftermath:
    """A run at a pace that people follow was aborted: they get time to CLEAR and RESET it, even once all is cold."""

    def __init__(self, rehearsal: Rehearsal, run_id: str, progress: Progress, folder: Path) -> None:
        self._controller = rehearsal.controller
        self._run_id = run_id
        self._progress = progress
        self._folder = folder
        self._since_s = 0.0
        self._cleared: bool | None = None
        self.waited_for = rehearsal.clock.speed is not None

    def goes_on(self) -> bool:
        """Whether to wait still; asked only when the run has ended and everything is cold."""
        run = self._controller.state.runs[self._run_id]
        if not self.waited_for or run.state != "ABORTED":
            return False
        if run.cleared != self._cleared:
            self._since_s, self._cleared = wall_s(), run.cleared
            verb = "reset" if run.cleared else "clear --reason ..."
            self._progress.tell(
                f"ABORTED, and cold. `labctl {verb} --bench {self._folder}` is possible for {STAYS_S:.0f} s; "
                "Ctrl-C ends this at once."
            )
        return wall_s() - self._since_s < STAYS_S


@contextmanager
def _stop_on_interrupt(
    rehearsal: Rehearsal, run_id: str, progress: Progress, aftermath: _Aftermath
) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the run in order; a second one shortens nothing but the wait for people."""
    pressed: list[int] = []

    def stop(number: int, frame: Any) -> None:
        aftermath.waited_for = False
        if rehearsal.ended(run_id):
            return
        if pressed:
            progress.tell("Stopping already; the furnace cools down first.")
            return
        pressed.append(number)
        progress.tell("Stopping: cooling down under gas. This process ends when everything is safe and cold.")
        reason, key = "interrupted at the terminal", f"{run_id}/interrupt"
        rehearsal.controller.stop_soon(run_id, actor="terminal", reason=reason, key=key)

    before: dict[int, Any] = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
