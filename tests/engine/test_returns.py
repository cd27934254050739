"""Nitrogen that failed and is back: the run goes on by itself within bounds, and waits for a person outside them."""

from __future__ import annotations

import pytest

from labctl.model.readings import SILENT
from labctl.protocol.plan import Manual
from tests.engine.bench import Hands, bare, dry, inert, purge, ramp
from tests.engine.test_guards import hot
from tests.engine.test_trips import furnace


def outage(seconds: float, *, to_c: float = 300.0, hands: Hands | None = None) -> Hands:
    """Hot at 300 degC; nitrogen fails for so long, and the tube cools meanwhile."""
    hands = hands or hot(bench="standard")
    hands.nitrogen(False)
    hands.go(seconds)
    hands.nitrogen(True)
    hands.at(to_c)
    return hands


def test_a_short_outage_ends_in_a_restart_by_itself_a_minute_after_the_flow_is_back() -> None:
    hands = outage(40.0)
    back = hands.now
    hands.until(lambda: hands.run.state == "HELD", 30.0)
    hands.until(lambda: hands.run.state == "RUNNING", 70.0)
    assert 60.0 <= hands.now - back <= 63.0
    assert hands.run.actor == "labctl"
    assert "the run goes on by itself (1 of 2)" in (hands.run.reason or "")
    assert hands.state.alarms["tube/returned"]["state"] == "RTN_UNACK"
    hands.go(5.0)
    assert hands.step("heat").phase == "permissives"  # the purge is proven again before anything heats
    assert hands.tube.lease is None


def test_it_goes_on_twice_and_the_third_time_waits_for_a_person() -> None:
    hands = hot(bench="standard")
    for _ in range(2):
        outage(20.0, hands=hands)
        hands.until(lambda: hands.run.state == "RUNNING", 200.0)
        hands.go(5.0)
    outage(20.0, hands=hands)
    hands.go(200.0)
    assert hands.run.state == "HELD"
    assert hands.ask("restart")[1]


@pytest.mark.parametrize(
    ("seconds", "to_c", "goes_on"),
    [(58.0, 275.1, True), (58.0, 274.9, False), (63.0, 300.0, False)],
)
def test_a_long_outage_or_much_heat_lost_waits_for_a_person(
    seconds: float, to_c: float, goes_on: bool
) -> None:
    hands = outage(seconds, to_c=to_c)
    hands.go(120.0)
    assert (hands.run.state == "RUNNING") is goes_on


@pytest.mark.parametrize("ppm", [101.0, None])
def test_without_low_oxygen_by_a_good_reading_it_waits_for_a_person(ppm: float | None) -> None:
    hands = hot(bench="standard")
    if ppm is None:
        hands.absent.add("oxygen.oxygen")
    else:
        hands.values["oxygen.oxygen"] = ppm
    outage(20.0, hands=hands)
    hands.go(10.0)
    hands.go(70.0)
    assert hands.run.state == "HELD"


def test_flow_that_is_not_steady_for_a_minute_is_not_back() -> None:
    hands = outage(20.0)
    for _ in range(4):
        hands.go(50.0)
        hands.values["nitrogen.flow"] = 179.0
        hands.scan()
        hands.values["nitrogen.flow"] = 200.0
    hands.go(300.0)
    assert hands.run.state == "HELD"  # by the last time that it came back the outage was too long


def test_a_person_who_held_the_run_is_the_one_who_lets_it_go_on() -> None:
    hands = hot(bench="standard")
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    outage(20.0, hands=hands)
    hands.go(200.0)
    assert hands.run.state == "HELD"


@pytest.mark.parametrize("paused_s", [0.0, 10.0])
def test_a_run_that_a_person_paused_never_goes_on_by_itself(paused_s: float) -> None:
    hands = hot(bench="standard")
    assert hands.ask("pause")[1]
    hands.go(paused_s)
    outage(20.0, hands=hands)
    assert [s["actor"] for s in hands.of("state_changed") if s["trigger"] == "HOLD"] == [
        "guard nitrogen_lost"
    ]
    hands.go(200.0)
    assert hands.run.state == "HELD"
    assert hands.ask("restart")[1]


@pytest.mark.parametrize("state", ["HOLDING", "HELD"])
def test_a_person_may_hold_a_run_that_nitrogen_holds_and_it_stays_so(state: str) -> None:
    hands = hot(bench="standard")
    hands.nitrogen(False)
    hands.until(lambda: hands.run.state == "HOLDING", 20.0)
    hands.nitrogen(state == "HELD")
    hands.until(lambda: hands.run.state == state, 20.0)
    assert hands.ask("hold", reason="I am at the tube") == (f"accepted: run-1 is {state} already", True)
    hands.nitrogen(True)
    hands.go(200.0)
    assert hands.run.state == "HELD"
    assert hands.ask("restart")[1]
    hands.phase("heat", "ramp", 6000.0)
    outage(20.0, hands=hands)
    hands.until(lambda: hands.run.actor == "labctl", 200.0)  # nobody holds it this time


@pytest.mark.parametrize(("unseen_s", "recovered"), [(1.0, True), (60.0, False)])
@pytest.mark.parametrize("state", ["HOLDING", "HELD"])
def test_a_run_held_by_nitrogen_while_nobody_looked_waits_for_a_person(
    state: str, unseen_s: float, recovered: bool
) -> None:
    """The bench clock of a controller that was killed does not tell for how long; a stalled one saw no flow."""
    hands = outage(20.0)
    hands.until(lambda: hands.run.state == state, 30.0)
    hands.scan(unseen_s, recovered=recovered)
    hands.go(200.0)
    assert hands.run.state == "HELD"
    assert hands.run.actor == "guard nitrogen_lost"


def test_a_supply_that_fails_for_seconds_costs_no_run() -> None:
    with furnace(100.0) as hot_:
        hot_.fault("nitrogen", "supply_lost")
        hot_.go(9.0)
        assert hot_.truth("furnace", "heater_w") == 0.0
        hot_.faults.clear("nitrogen")
        hot_.until(lambda: hot_.rehearsal.ended("run-1"), 20_000.0)
        assert [s["actor"] for s in hot_.of("state_changed") if s["trigger"] == "RESTART"] == ["labctl"]
        assert hot_.run.end_state == "COMPLETE"


def test_a_run_with_an_oven_too_goes_on_for_its_tube_alone() -> None:
    heat = inert(segments=(ramp(300.0, 1e6),), timeout_s=2e6)
    put = Manual(id="put", do="Put it into the oven", into="drying-oven")
    hands = Hands(put, dry(), purge(timeout_s=1e5), heat, bench="standard")
    hands.start()
    assert hands.ask("answer", prompt="put", confirm=[], values={})[1]
    hands.values |= {"oven.temperature": 100.0, "oxygen.oxygen": 5.0}
    hands.until(lambda: "dry" in hands.run.done)
    hands.values["oven.temperature"] = 22.0
    hands.phase("heat", "ramp", 3000.0)
    hands.scan()
    hands.at(300.0)
    assert hands.state.chambers["drying-oven"].run == "run-1", "what it made is still in it"
    outage(20.0, hands=hands)
    hands.until(lambda: hands.run.state == "HELD", 30.0)
    hands.until(lambda: hands.run.state == "RUNNING", 90.0)


def test_a_run_whose_heat_was_not_known_when_nitrogen_failed_waits_for_a_person() -> None:
    hands = hot(bench="standard")
    for name in ("furnace", "furnace-monitor"):
        hands.quality[f"{name}.temperature"] = SILENT
    hands.nitrogen(False)
    hands.until(lambda: hands.run.actor == "guard nitrogen_lost", 20.0)
    hands.quality.clear()
    hands.nitrogen(True)
    hands.go(120.0)
    assert hands.run.state == "HELD"


def test_a_run_of_which_nobody_knows_since_when_it_lacked_nitrogen_waits_for_a_person() -> None:
    hands = outage(20.0)
    hands.until(lambda: hands.run.state == "HELD", 30.0)
    del hands.state.tally["run-1/return/held_s"]
    hands.go(120.0)
    assert hands.run.state == "HELD"


def test_a_run_with_a_thermometer_that_lost_its_vote_waits_for_a_person() -> None:
    hands = hot(bench="standard")
    hands.watch("sensor_jump", bare("standard"))
    hands.scan()
    hands.values["furnace-monitor.temperature"] = 22.0
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.tube.distrusted == ("furnace-monitor",)
    hands.values["furnace-monitor.temperature"] = 300.0
    hands.go(5.0)
    assert hands.ask("restart")[1]
    hands.go(5.0)
    outage(20.0, hands=hands)
    hands.go(120.0)
    assert hands.run.state == "HELD"
