"""How a bench stands, from its record alone: the journal folded, as every controller does."""

from __future__ import annotations

import json
from collections.abc import Iterator

from labctl.engine.evolve import evolve, with_tally
from labctl.engine.state import BenchState, ChamberState, RunState, StepState
from labctl.model.events import Event, clock
from labctl.store.reader import Reader


def standing(reader: Reader) -> BenchState:
    """The state of the bench as of the last commit."""
    events = list(reader.every_event())
    state = BenchState(chambers={name: ChamberState() for name in _chambers(events)})
    for event in events:
        state = evolve(state, event)
    checkpoint = reader.checkpoint()
    return with_tally(state, json.loads(checkpoint.state)) if checkpoint else state


def _chambers(events: list[Event]) -> list[str]:
    """Every chamber that anything ever happened to."""
    return sorted({e.data["chamber"] for e in events if e.data.get("chamber")})


def _awaited(step: StepState) -> str:
    names = step.data.get("waits_for")
    return f": waits for {', '.join(names)}" if names else ""


def shared(state: BenchState) -> Iterator[str]:
    """Who claims what of ovens that runs share."""
    for name, chamber in state.chambers.items():
        for run_id, claim in chamber.claims.items():
            wants = "no more heat" if claim["setpoint_c"] is None else f"{claim['setpoint_c']:g} degC"
            leads = ", which leads" if run_id == chamber.run else ""
            yield f"claim: {name} by {run_id}{leads}: {wants} until {clock(claim['until_s'])}, {claim['contents']}"


def phase_of(run: RunState) -> str:
    """What the run is doing, in words."""
    if run.active:
        return ", ".join(f"{step.id} ({step.phase}{_awaited(step)})" for step in run.active.values())
    if run.waits is not None and run.end_state is None:
        return f"waits: {run.waits}"
    return run.end_state or "not started"
