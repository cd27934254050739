"""What a restart, a stall and a lost journal line may not do; the state as data."""

from __future__ import annotations

import json

from labctl.engine.state import BenchState, empty, from_json, to_json
from tests.engine.bench import Hands, cycle, inert, purge, ramp
from tests.engine.steps.test_cell import cycling
from tests.engine.test_guards import hot


def test_a_restarted_controller_holds_every_run_cold_with_the_gas_on() -> None:
    hands = hot()
    since = len(hands.commands)
    hands.scan(0.0, recovered=True)
    assert hands.run.state == "HOLDING"
    assert [c.verb for c in hands.commands[since:]] == ["heat_off", "set_flow"]
    assert not hands.tube.purged
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    assert hands.run.reason == "the controller was restarted"


def test_what_was_in_flight_at_a_restart_has_failed() -> None:
    hands = Hands(purge(), inert())
    hands.outcome["set_flow"] = "never"
    hands.start()
    hands.scan(0.0, recovered=True)
    assert hands.state.pending == {}
    assert hands.of("result")[0]["detail"] == "the controller was restarted"
    hands.outcome.clear()
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    assert hands.ask("restart")[1]
    hands.phase("purge", "wash", 10.0)


def test_a_run_that_was_held_with_the_heat_on_is_cold_after_a_restart() -> None:
    hands = hot()
    hands.ask("hold")
    hands.until(lambda: hands.run.state == "HELD", 5.0)
    hands.scan(0.0, recovered=True)
    assert hands.tube.lease is None
    assert hands.sent("heat_off")


def test_a_cell_that_was_held_under_current_is_open_after_a_restart() -> None:
    hands = cycling()
    hands.ask("hold")
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    hands.scan(0.0, recovered=True)
    assert hands.sent("open_circuit")


def test_an_abort_under_way_goes_on_after_a_restart() -> None:
    hands = hot()
    hands.outcome["heat_off"] = "never"
    hands.ask("abort")
    hands.scan(0.0, recovered=True)
    hands.outcome.clear()
    hands.until(lambda: hands.run.end_state == "ABORTED", 15.0)


def test_time_that_nobody_observed_proves_nothing() -> None:
    hands = hot()
    hands.scan(60.0)
    assert not hands.tube.purged
    assert hands.of("purge_voided")[-1]["cause"] == "not observed for 60 s"
    hands = hot()
    hands.ask("abort")
    hands.until(lambda: hands.tube.custody is not None, 10.0)
    hands.at(60.0)
    hands.go(10.0)
    hands.scan(700.0)
    assert hands.tube.flow_sccm == 200.0


def test_a_state_survives_json_at_every_change_of_a_run() -> None:
    for hands in (Hands(purge(), inert()), Hands(cycle())):
        hands.values["oxygen.oxygen"] = 5.0
        hands.start()
        seen = len(hands.events)
        for second in range(900):
            if second == 500:
                hands.at(300.0)
            if second == 700:
                hands.nitrogen(False)
            hands.scan()
            if len(hands.events) > seen:
                seen = len(hands.events)
                assert from_json(json.loads(json.dumps(to_json(hands.state), allow_nan=False))) == hands.state


def restarted(**changes: object) -> Hands:
    """A tube of 2,290 cm3 under 200 sccm whose purge was voided while it was held, and which goes on."""
    brief = inert(segments=(ramp(200.0, 600.0),), timeout_s=3600.0, **changes)
    hands = Hands(purge(timeout_s=1e5), brief, bench="standard")
    hands.heated(150.0)
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    hands.scan(0.0, recovered=True)
    hands.go(5.0)
    hands.at(50.0)
    hands.state.tally["tube/washed_cm3"] = 0.0
    assert hands.ask("restart")[1]
    return hands


def test_a_purge_proven_anew_takes_ninety_minutes_and_is_neither_alarmed_nor_held_for_it() -> None:
    hands = restarted()
    began = hands.now
    hands.phase("heat", "ramp", 6000.0)
    assert 90 * 60.0 < hands.now - began < 94 * 60.0
    assert hands.of("alarm") == []
    assert hands.step("heat").data["waits_for"] == []
    hands.scan()
    hands.at(200.0)
    hands.phase("heat", "soak", 100.0)
    hands.phase("heat", "leave", 700.0)  # the washing did not count against the hour that its step has


def test_a_purge_that_is_not_proven_anew_in_twice_its_time_is_held_and_names_the_leak() -> None:
    hands = restarted()
    began = hands.now
    hands.values["oxygen.oxygen"] = 100.0
    hands.until(lambda: hands.run.state == "HELD", 15_000.0)
    assert 180 * 60.0 < hands.now - began < 190 * 60.0
    assert "an air leak of about 0.10 sccm" in (hands.run.reason or "")
    assert hands.alarms["tube/held"]["first_out"]


def test_the_washing_of_a_restart_is_forgotten_by_the_next() -> None:
    hands = restarted()
    hands.phase("heat", "ramp", 6000.0)
    assert hands.step("heat").data["washing_s"] > 0.0
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.ask("restart")[1]
    hands.phase("heat", "ramp", 200.0)
    assert hands.step("heat").data["washing_s"] == 0.0


def test_an_empty_bench_is_what_a_journal_begins_with() -> None:
    state = empty({"tube": None})
    assert from_json(to_json(state)) == state
    assert state.chambers["tube"].flow_sccm == 0.0
    assert BenchState().runs == {}
