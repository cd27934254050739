"""What a run is doing, in words."""

from __future__ import annotations

from labctl.cli.standing import phase_of
from labctl.engine.state import RunState, StepState


def test_a_step_that_may_not_heat_says_what_it_waits_for() -> None:
    waits = StepState("pyrolyse", "permissives", 0.0, 0.0, {"waits_for": ["extraction", "limiter"]})
    run = RunState("run-1", "plan", "RUNNING", active={"pyrolyse": waits})
    assert phase_of(run) == "pyrolyse (permissives: waits for extraction, limiter)"


def test_a_step_that_waits_for_nothing_says_its_phase_alone() -> None:
    ramps = StepState("pyrolyse", "ramp", 0.0, 0.0, {"waits_for": []})
    assert phase_of(RunState("run-1", "plan", "RUNNING", active={"pyrolyse": ramps})) == "pyrolyse (ramp)"
