"""What a run is doing, in words."""

from __future__ import annotations

from labctl.cli.standing import phase_of, shared
from labctl.engine.state import BenchState, ChamberState, Data, RunState, StepState


def test_a_step_that_may_not_heat_says_what_it_waits_for() -> None:
    waits = StepState("pyrolyse", "permissives", 0.0, 0.0, {"waits_for": ["extraction", "limiter"]})
    run = RunState("run-1", "plan", "RUNNING", active={"pyrolyse": waits})
    assert phase_of(run) == "pyrolyse (permissives: waits for extraction, limiter)"


def test_a_step_that_waits_for_nothing_says_its_phase_alone() -> None:
    ramps = StepState("pyrolyse", "ramp", 0.0, 0.0, {"waits_for": []})
    assert phase_of(RunState("run-1", "plan", "RUNNING", active={"pyrolyse": ramps})) == "pyrolyse (ramp)"


def test_claims_on_a_shared_oven_say_who_leads_and_until_when() -> None:
    claims: dict[str, Data] = {
        "run-1": {"setpoint_c": 40.0, "until_s": 7260.0, "contents": "Gel"},
        "run-2": {"setpoint_c": None, "until_s": 3600.0, "contents": "Glass"},
    }
    bench = BenchState(chambers={"oven": ChamberState("run-1", claims), "tube": ChamberState("run-3")})
    assert list(shared(bench)) == [
        "claim: oven by run-1, which leads: 40 degC until 2:01, Gel",
        "claim: oven by run-2: no more heat until 1:00, Glass",
    ]
