"""What people ask for: one outcome each, refused with the reason."""

from __future__ import annotations

import pytest

from labctl.engine.context import with_plan
from tests.engine.bench import Hands, dry, inert, plan_of, purge, stir
from tests.engine.test_guards import hot


def running() -> Hands:
    hands = Hands(stir(duration_s=1e5, timeout_s=2e5))
    hands.start()
    hands.phase("stir", "stir")
    return hands


def test_an_expired_start_is_refused_but_stop_and_abort_never_expire() -> None:
    hands = Hands(stir())
    assert hands.plan is not None
    hands.ask("submit", None, run="run-1", plan=hands.plan.plan_hash)
    assert hands.ask("start", expired=True) == ("refused: it expired before it was read", False)
    assert hands.run.state == "IDLE"
    for verb in ("stop", "abort"):
        hands = running()
        assert hands.ask(verb, expired=True)[1]


def test_a_request_made_for_another_state_is_refused() -> None:
    hands = running()
    assert hands.ask("stop", expected_state="HELD") == ("refused: run-1 is RUNNING, not HELD", False)
    assert hands.ask("stop", expected_state="RUNNING")[1]


@pytest.mark.parametrize(("verb", "state"), [("stop", "STOPPING"), ("abort", "ABORTING")])
def test_asking_twice_to_stop_changes_nothing_more(verb: str, state: str) -> None:
    hands = running()
    assert hands.ask(verb) == ("accepted", True)
    changes, commands = len(hands.of("state_changed")), len(hands.commands)
    assert hands.ask(verb) == (f"accepted: run-1 is {state} already", True)
    assert len(hands.of("state_changed")) <= changes + 1
    assert len(hands.commands) == commands


def test_a_stop_of_an_aborting_run_is_no_mistake_and_an_abort_of_a_stopping_run_aborts() -> None:
    hands = running()
    hands.ask("abort")
    assert hands.ask("stop")[1]
    hands = running()
    hands.outcome["heat_off"] = "never"
    hands.ask("stop")
    hands.ask("abort")
    assert hands.run.state == "ABORTING"


@pytest.mark.parametrize(
    ("verb", "run", "args", "said"),
    [
        ("stop", "run-9", {}, "no run run-9 on this bench"),
        ("stop", None, {}, "no run None on this bench"),
        ("explode", "run-1", {}, "unknown command explode"),
        ("restart", "run-1", {}, "run-1 is RUNNING; allowed now: PAUSE, HOLD, STOP, ABORT"),
        ("start", "run-1", {}, "run-1 is RUNNING; allowed now: PAUSE, HOLD, STOP, ABORT"),
        ("submit", None, {}, "its plan is not on this bench"),
        ("temperature", None, {"chamber": "tub"}, "no chamber tub on this bench"),
        (
            "temperature",
            None,
            {"chamber": "tube", "temperature_c": float("nan")},
            "temperature_c must be a number",
        ),
        ("clear", None, {"chamber": "tube"}, "nothing has tripped in tube"),
        ("clear", None, {}, "nothing has tripped in None"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    verb: str, run: str | None, args: dict[str, object], said: str
) -> None:
    hands = running()
    assert hands.ask(verb, run, **args) == (f"refused: {said}", False)
    row = hands.of("request")[-1]
    assert row["accepted"] is False
    assert row["actor"] == "person"


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("run-1", "run run-1 exists already"),
        ("", "a run needs a name"),
        (None, "a run needs a name"),
        ("bench", "a run needs a name"),
    ],
)
def test_a_run_needs_a_name_of_its_own(run: str | None, said: str) -> None:
    hands = Hands(stir())
    assert hands.plan is not None
    assert hands.ask("submit", None, run="run-1", plan=hands.plan.plan_hash)[1]
    assert hands.ask("submit", None, run=run, plan=hands.plan.plan_hash) == (f"refused: {said}", False)


def test_two_runs_on_different_chambers_go_side_by_side() -> None:
    hands = Hands(stir(duration_s=600.0, timeout_s=2e5))
    other = plan_of(dry())
    hands.context = with_plan(hands.context, other)
    hands.start()
    assert hands.ask("submit", None, run="run-2", plan=other.plan_hash)[1]
    assert hands.ask("start", "run-2")[1]
    hands.values["oven.temperature"] = 100.0
    hands.until(lambda: all(r.end_state == "COMPLETE" for r in hands.state.runs.values()), 2000.0)


def test_an_ended_run_is_not_started_again() -> None:
    hands = running()
    hands.ask("abort")
    hands.until(lambda: hands.run.end_state == "ABORTED", 60.0)
    assert hands.ask("clear", reason="tried it")[1]
    assert hands.ask("reset")[1]
    assert hands.ask("start") == ("refused: run-1 ended ABORTED; submit it anew", False)


def test_a_forecast_and_what_is_said_about_a_run_are_journaled_and_cannot_rename_it() -> None:
    hands = Hands(stir())
    assert hands.plan is not None
    about = {"run": "other", "seed": 7}
    hands.ask(
        "submit", None, run="run-1", plan=hands.plan.plan_hash, about=about, forecast={"duration_s": 1.0}
    )
    assert hands.of("run_created") == [{"run": "run-1", "plan": hands.plan.plan_hash, "seed": 7}]
    assert hands.of("run_forecast") == [{"duration_s": 1.0}]


def test_a_trip_of_no_run_is_cleared_at_its_chamber() -> None:
    hands = hot()
    hands.ask("abort")
    hands.until(lambda: hands.tube.custody is not None, 20.0)
    hands.ask("clear", reason="tried it")
    hands.ask("reset")
    hands.at(400.0)
    hands.go(2.0)
    hands.at(50.0)
    hands.until(lambda: hands.tube.custody is None, 5000.0)
    assert hands.tube.latched == ("over_temperature",)
    assert hands.ask("clear", None, chamber="tube")[0] == "refused: say what the cause was (--reason)"
    assert hands.ask("clear", None, chamber="tube", reason="a hot day")[1]
    assert not hands.tube.latched


def test_a_trip_of_a_run_is_cleared_at_the_run() -> None:
    hands = hot()
    hands.at(400.0)
    hands.go(2.0)
    refused = ("refused: clear and reset run-1, which it tripped", False)
    assert hands.ask("clear", None, chamber="tube", reason="x") == refused


def test_nothing_goes_on_while_the_e_stop_is_set() -> None:
    hands = Hands(purge(), inert())
    hands.start()
    hands.phase("purge", "wash")
    hands.ask("pause")
    hands.until(lambda: hands.run.state == "PAUSED", 10.0)
    hands.estop = True
    assert not hands.ask("resume")[1]
