"""decide(context, state, inputs): one scan, from the image of the bench to events and commands.

The order is fixed: results of commands, people's requests, the supervisor's guards and safe states, runs and steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from labctl.engine import alarms, procedure, reconcile, returns, safe, spans, supervisor
from labctl.engine.context import Context
from labctl.engine.evolve import with_tally
from labctl.engine.machine import ACTING
from labctl.engine.requests import handle
from labctl.engine.scan import Scan
from labctl.engine.state import BenchState, RunState
from labctl.engine.steps import BEHAVIOURS, asking
from labctl.engine.steps.confirm import resolve
from labctl.model.commands import Command, Request, Result
from labctl.model.events import Event
from labctl.model.readings import Image
from labctl.protocol.plan import AnyStep, Heat, Plan

STALL = 2.5
"""Scans without which a bench was not observed: the factor of a reading's greatest age (assumed)."""

IDLE_SCAN_S = 5.0
"""How often labctl looks at a bench on which nothing is in use (assumed)."""


class Inputs(NamedTuple):
    """All that the core learns of the world in one scan.

    now_s: bench clock. dt_s: since the scan before (0 for the first). image: newest readings of instruments in use.
    results: of commands of earlier scans. requests: from the inbox. estop: the file is there. recovered: this is the
    first scan of a controller that found runs under way.
    """

    now_s: float
    dt_s: float
    image: Image
    results: Sequence[Result] = ()
    requests: Sequence[Request] = ()
    estop: bool = False
    recovered: bool = False


class Decision(NamedTuple):
    """What a scan came to. `state` is `state` before, evolved by `events`, with the new tally.

    settled: (request id, outcome in words, accepted) for each request.
    """

    state: BenchState
    events: list[Event]
    commands: list[Command]
    settled: list[tuple[str, str, bool]]


def decide(context: Context, state: BenchState, inputs: Inputs) -> Decision:
    """One scan. Pure: the same arguments always give the same decision."""
    scan = Scan(context, state, inputs.now_s, inputs.dt_s, inputs.image)
    scan.estopped = inputs.estop
    if inputs.recovered:
        _recover(scan)
    elif inputs.dt_s > STALL * IDLE_SCAN_S and inputs.dt_s > STALL * period_s(context, state):
        _void_proofs(scan, f"not observed for {inputs.dt_s:.0f} s")
    for result in inputs.results:
        _note(scan, result)
    if scan.state.pending:
        resolve(scan)
    for request in inputs.requests:
        handle(scan, request)
    if inputs.estop:
        _stop_everything(scan)
    in_use = supervisor.chambers_in_use(context, scan.state)
    for rig in in_use:
        supervisor.advance(scan, rig)
    for rig in context.rooms:
        if not any(one is rig for one in in_use):
            supervisor.look_around(scan, rig)
    for name, chamber in scan.state.chambers.items():
        if chamber.unaudited and not any(one.name == name for one in in_use):
            reconcile.audit_again(scan, context.rigs[name])
    if scan.state.alarms:
        alarms.advance(scan)
    for run_id in scan.state.runs:
        _advance_run(scan, run_id)
    return Decision(with_tally(scan.state, scan.tally), scan.events, scan.commands, scan.settled)


def period_s(context: Context, state: BenchState) -> float:
    """Seconds until the next scan is due: the shortest of the chambers in use."""
    rigs = supervisor.chambers_in_use(context, state)
    return min((rig.scan_s for rig in rigs), default=IDLE_SCAN_S)


def instruments_in_use(context: Context, state: BenchState) -> tuple[str, ...]:
    """The instruments to read in the next scan."""
    used = [name for rig in supervisor.chambers_in_use(context, state) for name in rig.instruments]
    around = [module for rig in context.rooms for module, _ in rig.io.values()]
    return tuple(dict.fromkeys(used + around)) if around else tuple(used)


def _note(scan: Scan, result: Result) -> None:
    command = scan.state.pending.get(result.command_id)
    if command is None:
        return
    data: dict[str, Any] = {"id": result.command_id, "outcome": result.outcome, "detail": result.detail}
    scan.emit("result", data | {"readback": result.readback}, command["stream"])


def _recover(scan: Scan) -> None:
    """After a restart: what was under way is unknown, and every run is held cold, with gas on, for a person."""
    for command in list(scan.state.pending.values()):
        data = {
            "id": command["id"],
            "outcome": "failed",
            "detail": "the controller was restarted",
            "readback": {},
        }
        scan.emit("result", data, command["stream"])
    _void_proofs(scan, "the controller was restarted")
    for run in list(scan.state.runs.values()):
        if run.end_state is None and procedure.accepts(run, "HOLD"):
            procedure.command(
                scan, run.run_id, "HOLD", reason="the controller was restarted", actor="labctl", hold="cool"
            )
    for name, chamber in scan.state.chambers.items():
        if (chamber.lease is not None or chamber.programmed_a) and chamber.safe is None:
            safe.start(scan, scan.context.rigs[name], "the controller was restarted", "hold", chamber.run)


def _void_proofs(scan: Scan, cause: str) -> None:
    """What must last without a break was not seen to last: flow, purge and votes are proven anew, or by a person."""
    for run_id in scan.state.runs:
        returns.leave_to_people(scan, run_id)
    for name, chamber in scan.state.chambers.items():
        for proof in ("flow_ok_s", "clean_s", "vote_s", "washed_cm3"):
            scan.tally.pop(f"{name}/{proof}", None)
        if chamber.purged:
            scan.emit("purge_voided", {"chamber": name, "cause": cause}, chamber.run)


def _stop_everything(scan: Scan) -> None:
    """The e-stop: every run aborts, and every chamber that labctl has energised becomes safe."""
    for run in list(scan.state.runs.values()):
        if run.end_state is None and procedure.accepts(run, "ABORT"):
            procedure.command(scan, run.run_id, "ABORT", reason="e-stop", actor="e-stop", person=True)
    for name, chamber in scan.state.chambers.items():
        if chamber.energised and chamber.custody is None:
            safe.start(scan, scan.context.rigs[name], "e-stop", "abort", chamber.run)


def _advance_run(scan: Scan, run_id: str) -> None:
    run = scan.state.runs[run_id]
    if run.state == "RUNNING":
        _advance_steps(scan, run)
    elif run.end_state is None or run.state in ACTING:
        procedure.advance(scan, run)
        returns.watch(scan, scan.state.runs[run_id])


def _advance_steps(scan: Scan, run: RunState) -> None:
    """Every active step by one scan; what was waiting for one that is over begins at once."""
    steps = scan.context.steps[run.plan_hash]
    needs = scan.context.needs.get(run.plan_hash)
    turn, over, waits, advanced = run.active, len(run.done), run.waits is not None, False
    while run.state == "RUNNING":
        if not run.active or len(run.done) != over or waits:
            over, waits = len(run.done), False
            due = _due(scan.context.plans[run.plan_hash], run, needs)
            if not due and not run.active:
                procedure.complete(scan, run)
                return
            due = [step for step in due if not _is_left_out(scan, run, step)]
            for step in spans.enter(scan, run, due):
                _begin_step(scan, run, step)
            run = scan.state.runs[run.run_id]
            if not run.active and len(run.done) == over:
                return
            turn = {s.id: run.active[s.id] for s in due if s.id in run.active} if advanced else run.active
        advanced = True
        for step_id, state in turn.items():
            if state.failed is not None:
                procedure.fault(scan, run.run_id, f"{step_id}: {state.failed}", hold="cool")
                return
            step = steps[step_id]
            rig = scan.context.rigs[step.chamber] if step.chamber else None
            BEHAVIOURS[step.kind](scan, run, state, step, rig)
            if needs is not None:
                # a branch beside this one sees what it entered, and stops when it held the run
                run = scan.state.runs[run.run_id]
                if run.state != "RUNNING":
                    return
        run = scan.state.runs[run.run_id]
        if run.active and len(run.done) == over:
            return


def _due(plan: Plan, run: RunState, needs: Mapping[str, tuple[str, ...]] | None) -> list[AnyStep]:
    """The steps that begin now: the next one, or every one whose needs are over."""
    waiting = (s for s in plan.steps if s.id not in run.done)
    if needs is None:
        return [] if run.active else list(islice(waiting, 1))
    return [s for s in waiting if s.id not in run.active and all(n in run.done for n in needs[s.id])]


def _is_left_out(scan: Scan, run: RunState, step: AnyStep) -> bool:
    """A step whose `when` does not hold is over before it began."""
    lacking = asking.lacking(run, step) if step.when else None
    if lacking is None:
        return False
    scan.emit("step_skipped", {"id": step.id, "kind": step.kind, "because": lacking}, run.run_id)
    return True


def _begin_step(scan: Scan, run: RunState, step: AnyStep) -> None:
    data: dict[str, Any] = {"id": step.id, "kind": step.kind, "chamber": step.chamber}
    if isinstance(step, Heat):
        data["atmosphere"] = step.atmosphere
    scan.emit("step_started", data, run.run_id)
