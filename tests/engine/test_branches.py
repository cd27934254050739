"""Steps that happen side by side: each begins when what it needs is over, and all stop together."""

from __future__ import annotations

from labctl.protocol.plan import Condition, Wait, When
from tests.engine.bench import Hands, dry, stir


def wait(name: str, seconds: float, *needs: str) -> Wait:
    return Wait(id=name, duration_s=seconds, needs=needs)


def begun(hands: Hands) -> dict[str, float]:
    return {e.data["id"]: e.t_s for e in hands.events if e.kind == "step_started"}


def test_branches_run_side_by_side_and_are_joined() -> None:
    steps = (wait("a", 100.0), wait("b", 30.0), wait("b2", 30.0, "b"), wait("end", 10.0, "a", "b2"))
    hands = Hands(*steps)
    hands.start()
    hands.until(lambda: hands.run.end_state == "COMPLETE", 300.0)
    at = begun(hands)
    assert at["a"] == at["b"] < at["b2"] < at["end"]
    ended = {e.data["id"]: e.t_s for e in hands.events if e.kind == "step_done"}
    assert ended["b2"] < ended["a"] <= at["end"]


def test_time_is_counted_once_a_scan_in_every_branch() -> None:
    hands = Hands(wait("a", 100.0), wait("b", 20.0), *(wait(f"c{i}", 5.0, "b") for i in range(4)))
    hands.start()
    start_s = hands.now
    hands.until(lambda: "a" in hands.run.done, 300.0)
    assert 100.0 <= hands.now - start_s <= 110.0


def test_two_instruments_work_at_once() -> None:
    hands = Hands(stir(needs=()), dry(needs=()), bench="standard")
    hands.values |= {"oven.temperature": 22.0}
    hands.start()
    hands.phase("stir", "stir")
    assert set(hands.run.active) == {"stir", "dry"}
    hands.phase("dry", "ramp")
    hands.values["oven.temperature"] = 100.0
    hands.until(lambda: hands.run.end_state == "COMPLETE", 4000.0)


def test_a_fault_in_one_branch_holds_all_and_a_restart_goes_on_with_all() -> None:
    hands = Hands(stir(needs=()), wait("other", 1000.0), bench="standard")
    hands.start()
    hands.phase("stir", "start")
    hands.values["hotplate.speed"] = 0.0
    hands.outcome["stir"] = "acknowledged"
    hands.until(lambda: hands.run.state == "HELD", 400.0)
    before = hands.state.tally["run-1/other/waited_s"]
    hands.go(500.0)
    assert hands.state.tally["run-1/other/waited_s"] == before
    del hands.outcome["stir"]
    assert hands.ask("restart")[1]
    hands.until(lambda: "stir" in hands.run.done, 200.0)
    hands.until(lambda: hands.run.end_state == "COMPLETE", 1100.0)


def test_a_controller_that_was_restarted_finds_all_branches_held() -> None:
    hands = Hands(wait("a", 100.0), wait("b", 50.0))
    hands.start()
    hands.go(10.0)
    hands.scan(0.0, recovered=True)
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert set(hands.run.active) == {"a", "b"}
    assert hands.ask("restart")[1]
    hands.until(lambda: hands.run.end_state == "COMPLETE", 200.0)


def test_a_branch_that_waits_for_a_chamber_does_not_keep_the_others_from_going_on() -> None:
    hands = Hands(stir(needs=()), wait("other", 100.0), wait("end", 1.0, "stir", "other"), bench="standard")
    said = {"chamber": "vessel", "for_s": 3600.0, "reason": "cleaning"}
    assert hands.ask("reserve", None, **said) == ("accepted", True)
    hands.start()
    hands.until(lambda: "other" in hands.run.done, 120.0)
    assert hands.run.waits == "vessel is reserved by person: cleaning"
    assert not hands.run.active
    assert hands.ask("unreserve", None, chamber="vessel") == ("accepted", True)
    hands.until(lambda: hands.run.end_state == "COMPLETE", 200.0)


def test_a_step_that_is_left_out_costs_the_branch_beside_it_no_time() -> None:
    asks = When(condition=Condition(entered="x", relation="above", value=1.0, unit="g"))
    hands = Hands(wait("a", 100.0), wait("b", 20.0), wait("c", 5.0, "b").model_copy(update={"when": (asks,)}))
    hands.start()
    start_s = hands.now
    hands.until(lambda: hands.run.end_state == "COMPLETE", 200.0)
    assert hands.of("step_skipped")[0]["id"] == "c"
    assert 100.0 <= hands.now - start_s <= 110.0
