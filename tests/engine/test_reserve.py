"""What is left in the cylinder: enough to cool down all that it protects, and its exchange."""

from __future__ import annotations

import math

import pytest

from labctl.engine.reserve import needed_l
from labctl.engine.scan import Scan
from labctl.model.readings import BAD
from tests.engine.bench import Hands, bare, inert, purge, ramp
from tests.engine.test_room import hot, raised, trips

PER_BAR = 10_000.0 / 200.0


def needed(hands: Hands) -> float:
    """What labctl reckons that a cool-down takes now, litres."""
    scan = Scan(hands.context, hands.state, hands.now, 1.0, hands.image())
    return needed_l(scan, "nitrogen-cylinder")


def test_the_reserve_is_a_quarter_more_than_safe_flow_until_gas_may_stop() -> None:
    hands = hot()
    tau_s = hands.context.rigs["tube"].cooling_tau_s
    assert needed(hands) == pytest.approx(
        1.25 * 0.2 / 60.0 * tau_s * math.log((300.0 - 22.0) / (100.0 - 22.0))
    )
    hands.at(100.0)
    assert needed(hands) == 0.0


def test_above_500_degc_the_reserve_counts_the_controlled_ramp_of_a_stop() -> None:
    hands = hot()
    tau_s = hands.context.rigs["tube"].cooling_tau_s
    hands.at(900.0)
    ramp_s = 400.0 / 5.0 * 60.0
    expected_s = ramp_s + tau_s * math.log((500.0 - 22.0) / (100.0 - 22.0))
    assert needed(hands) == pytest.approx(1.25 * 0.2 / 60.0 * expected_s)


def test_a_cylinder_below_twice_the_reserve_warns_and_below_it_the_run_stops_while_gas_lasts() -> None:
    hands = hot()
    reserve_bar = needed(hands) / PER_BAR
    hands.values["io.cylinder_pressure"] = 2.001 * reserve_bar
    hands.go(5.0)
    assert raised(hands) == []
    hands.values["io.cylinder_pressure"] = 1.999 * reserve_bar
    hands.go(5.0)
    assert (raised(hands), hands.run.state) == (["tube/gas_reserve"], "RUNNING")
    hands.values["io.cylinder_pressure"] = 1.001 * reserve_bar
    hands.go(5.0)
    assert hands.run.state == "RUNNING"
    hands.values["io.cylinder_pressure"] = 0.999 * reserve_bar
    hands.go(2.0)
    assert hands.run.state in ("STOPPING", "STOPPED")
    assert trips(hands) == ["gas_reserve"]
    assert "stopping while gas lasts" in (hands.run.reason or "")
    hands.go(20.0)
    assert hands.values["nitrogen.flow"] == 200.0
    assert hands.tube.lease is None


def test_a_held_run_is_stopped_too_and_custody_only_warns() -> None:
    hands = hot()
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    hands.values["io.cylinder_pressure"] = 0.001
    hands.go(3.0)
    assert hands.run.state in ("STOPPING", "STOPPED")
    hands.at(200.0)
    hands.until(lambda: hands.tube.custody is not None, 60.0)
    hands.go(5.0)
    assert "tube/gas_reserve" in raised(hands)
    assert hands.values["nitrogen.flow"] == 200.0


def counted(pressure_known: bool = True) -> Hands:
    """The small bench without a gauge: labctl counts what flows from what the bench file says."""
    bench = bare("small")
    tube = bench.chambers["tube"]
    guards = (*tube.guards, type(tube.guards[0])(guard="gas_reserve"))
    supply = bench.supplies["nitrogen-cylinder"].model_copy(
        update={"contents_l": 10.0, "full_bar": 0.2 if pressure_known else None}
    )
    chambers = {**bench.chambers, "tube": tube.model_copy(update={"guards": guards})}
    bench = bench.model_copy(update={"chambers": chambers, "supplies": {"nitrogen-cylinder": supply}})
    return Hands(purge(timeout_s=1e5), inert(segments=(ramp(300.0, 1e6),), timeout_s=2e6), bench=bench)


def test_without_a_gauge_what_flowed_is_taken_from_what_the_cylinder_held() -> None:
    hands = counted()
    hands.heated()
    used_l = hands.state.tally["supply/nitrogen-cylinder/used_l"]
    assert used_l == pytest.approx(hands.state.tally["tube/gas_l"])
    hands.go(60.0)
    assert hands.state.tally["supply/nitrogen-cylinder/used_l"] == pytest.approx(used_l + 0.2)
    hands.until(lambda: hands.run.state != "RUNNING", 10_000.0)
    left_l = 10.0 - hands.state.tally["supply/nitrogen-cylinder/used_l"]
    assert left_l == pytest.approx(needed(hands), abs=0.05)
    assert hands.run.actor == "guard gas_reserve"


def test_heat_is_not_begun_on_a_cylinder_that_could_not_cool_it_down() -> None:
    hands = counted()
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "permissives", 3000.0)
    hands.state.tally["supply/nitrogen-cylinder/used_l"] = 9.9
    hands.go(100.0)
    assert hands.step("heat").data["waits_for"] == ["gas_reserve"]
    words = {"supply": "nitrogen-cylinder", "lot": "4711", "pressure_bar": 0.2, "reason": "empty"}
    assert hands.ask("gas_swap", None, **words)[1]
    hands.phase("heat", "ramp", 3000.0)
    assert hands.of("gas_swapped")[0]["contents_l"] == pytest.approx(10.0)


def test_after_a_swap_flow_and_purge_are_proven_again() -> None:
    hands = hot()
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    words = {"supply": "nitrogen-cylinder", "lot": "4711", "pressure_bar": 180.0, "reason": "empty"}
    assert hands.ask("gas_swap", None, **words) == ("accepted", True)
    assert hands.of("gas_swapped")[0] | {"by": "person", "lot": "4711"} == hands.of("gas_swapped")[0]
    assert not hands.tube.purged
    assert hands.of("purge_voided")[-1]["cause"] == "nitrogen-cylinder was swapped"
    heats = len(hands.sent("heat"))
    assert hands.ask("restart")[1]
    hands.go(120.0)
    assert len(hands.sent("heat")) == heats
    hands.phase("heat", "ramp", 3000.0)
    assert hands.of("purge_proven")[-1]["volumes"] >= 8.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"supply": "argon"}, "no supply argon"),
        ({"lot": ""}, "say its lot (--lot)"),
        ({"reason": ""}, "say its reason (--reason)"),
        ({"pressure_bar": "full"}, "must be a number of bar"),
        ({"pressure_bar": 0.0}, "must be a number of bar"),
        ({"pressure_bar": 401.0}, "up to 400"),
    ],
)
def test_a_swap_that_says_too_little_is_refused(changes: dict[str, object], said: str) -> None:
    hands = counted()
    words = {"supply": "nitrogen-cylinder", "lot": "1", "pressure_bar": 200.0, "reason": "empty"} | changes
    outcome, accepted = hands.ask("gas_swap", None, **words)
    assert not accepted
    assert said in outcome


def test_a_cylinder_is_not_swapped_under_a_tube_that_is_being_heated() -> None:
    words = {"supply": "nitrogen-cylinder", "lot": "1", "pressure_bar": 200.0, "reason": "empty"}
    assert hot().ask("gas_swap", None, **words) == ("refused: tube heats on it; hold run-1 first", False)


def test_a_swap_needs_to_know_what_the_pressure_means() -> None:
    hands = counted(pressure_known=False)
    words = {"supply": "nitrogen-cylinder", "lot": "1", "pressure_bar": 200.0, "reason": "empty"}
    assert "has no `full_bar`" in hands.ask("gas_swap", None, **words)[0]


def test_a_tube_that_is_not_heated_needs_no_reserve_and_one_that_cannot_be_read_all_of_it() -> None:
    cold = counted()
    cold.start()
    assert needed(cold) == 0.0
    hands = hot()
    whole_s = hands.context.rigs["tube"].cooldown_s
    for name in ("furnace", "furnace-monitor"):
        hands.quality[f"{name}.temperature"] = BAD
    assert needed(hands) < 1.25 * 0.2 / 60.0 * whole_s, "it is at its setpoint, as far as anybody knows"
    assert hands.ask("abort")[1]
    hands.go(2.0)
    assert needed(hands) == pytest.approx(1.25 * 0.2 / 60.0 * whole_s)
