"""The proof that oxygen is washed out, purging, and unloading."""

from __future__ import annotations

import math

import pytest

from labctl.model.readings import BAD, NOT_READY, Quality
from tests.engine.bench import Hands, inert, purge, unload


def washing(**changes: object) -> Hands:
    hands = Hands(purge(**changes))
    hands.start()
    hands.phase("purge", "wash")
    return hands


def test_a_purge_is_proven_by_measured_volumes_and_five_minutes_of_good_oxygen() -> None:
    hands = washing()
    hands.go(200.0)
    hands.values["oxygen.oxygen"] = 99.0
    since = hands.now
    hands.until(lambda: "purge_proven" in hands.kinds(), 400.0)
    assert hands.now - since == pytest.approx(300.0, abs=2.0)
    assert hands.of("purge_proven")[0]["oxygen_ppm"] == 99.0
    assert hands.run.done["purge"]["volumes"] >= 8.0


def test_eight_volumes_are_needed_however_clean_it_reads() -> None:
    hands = washing(flow_sccm=100.0, timeout_s=1e5)
    hands.values["oxygen.oxygen"] = 1.0
    hands.go(479.0)
    assert "purge_proven" not in hands.kinds()
    hands.until(lambda: "purge_proven" in hands.kinds(), 10.0)


def test_without_an_analyser_volumes_alone_prove() -> None:
    hands = washing(analyser=None)
    hands.values["oxygen.oxygen"] = 500.0
    hands.until(lambda: "purge_proven" in hands.kinds(), 120.0)


@pytest.mark.parametrize("quality", [BAD, NOT_READY])
def test_a_low_oxygen_reading_that_is_not_good_never_counts(quality: Quality) -> None:
    hands = washing()
    hands.values["oxygen.oxygen"] = 1.0
    hands.quality["oxygen.oxygen"] = quality
    hands.until(lambda: hands.run.state == "HELD", 1000.0)
    assert "no good oxygen reading" in (hands.run.reason or "")


def test_an_interruption_of_the_flow_makes_the_washing_begin_anew() -> None:
    hands = washing(flow_sccm=100.0, timeout_s=1e5)
    hands.values["oxygen.oxygen"] = 1.0
    hands.go(400.0)
    washed = hands.state.tally["tube/washed_cm3"]
    hands.values["nitrogen.flow"] = 79.0
    hands.go(10.0)
    assert hands.state.tally["tube/washed_cm3"] == washed
    hands.go(2.0)
    assert hands.state.tally["tube/washed_cm3"] == 0.0
    hands.values["nitrogen.flow"] = 100.0
    since = hands.now
    hands.until(lambda: "purge_proven" in hands.kinds())
    assert hands.now - since >= 480.0


def test_what_flows_through_a_tube_that_stands_open_washes_nothing_out() -> None:
    hands = washing(flow_sccm=100.0, timeout_s=1e5)
    hands.values["oxygen.oxygen"] = 1.0
    hands.go(300.0)
    hands.values["oxygen.oxygen"] = 209500.0 * math.exp(-2.0)
    hands.go(1000.0)
    assert hands.state.tally["tube/washed_cm3"] == pytest.approx(2.0 * 100.0)
    hands.values["oxygen.oxygen"] = 1.0
    hands.go(355.0)
    assert "purge_proven" not in hands.kinds()
    hands.until(lambda: "purge_proven" in hands.kinds(), 10.0)
    assert hands.run.done["purge"]["volumes"] == pytest.approx(8.0, abs=0.05)


def test_a_scan_that_came_late_washes_no_more_than_was_seen() -> None:
    hands = washing()
    hands.go(10.0)
    hands.values["oxygen.oxygen"] = 1.0
    washed = hands.state.tally["tube/washed_cm3"]
    hands.scan(10.0)
    assert hands.state.tally["tube/washed_cm3"] - washed == pytest.approx(500.0 * 2.5 / 60.0)


def test_a_time_out_names_the_leak_that_its_floor_implies() -> None:
    hands = washing()
    hands.values["oxygen.oxygen"] = 419.0
    hands.until(lambda: hands.run.state == "HELD", 1000.0)
    assert "an air leak of about 1.00 sccm" in (hands.run.reason or "")
    assert "419 ppm oxygen after 15 min" in (hands.run.reason or "")


@pytest.mark.parametrize("ingress", ["flow", "oxygen"])
def test_a_proof_is_lost_with_the_flow_and_with_oxygen_and_heating_proves_it_anew(ingress: str) -> None:
    hands = Hands(purge(), inert())
    hands.heated(290.0)
    assert hands.tube.purged
    if ingress == "flow":
        hands.nitrogen(False)
    else:
        hands.values["oxygen.oxygen"] = 1001.0
    hands.go(12.0)
    assert not hands.tube.purged
    assert hands.run.state in ("HOLDING", "HELD")
    hands.nitrogen(True)
    hands.values["oxygen.oxygen"] = 5.0
    hands.at(100.0)
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.ask("restart")[1]
    since, heats = hands.now, len(hands.sent("heat"))
    hands.until(lambda: len(hands.sent("heat")) > heats, 1000.0)
    assert hands.now - since >= 230.0
    assert hands.tube.purged


def hot_unload() -> Hands:
    hands = Hands(purge(), inert(after="off"), unload())
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "ramp", 5000.0)
    hands.at(300.0)
    hands.phase("unload", "cold", 300.0)
    return hands


def test_gas_stops_after_two_thermometers_agreed_for_ten_minutes_and_a_person_opens() -> None:
    hands = hot_unload()
    hands.go(20.0)
    hands.at(99.0)
    hands.go(700.0)
    assert hands.tube.flow_sccm == 200.0
    hands.at(55.0)
    hands.until(lambda: "unload" in hands.run.prompts, 10.0)
    assert hands.sent("set_flow")[-1].args == {"flow_sccm": 0.0}
    assert hands.ask("answer", prompt="unload")[1]
    hands.until(lambda: hands.run.end_state == "COMPLETE", 10.0)
    assert hands.tube.contents == ()
    assert not hands.tube.purged
    assert not hands.tube.energised


@pytest.mark.parametrize("second", [76.0, None])
def test_thermometers_that_disagree_or_fail_leave_only_the_long_time(second: float | None) -> None:
    hands = hot_unload()
    hands.values["furnace.temperature"] = 55.0
    hands.values["furnace-monitor.temperature"] = second
    if second is None:
        hands.quality["furnace-monitor.temperature"] = BAD
    hot = hands.now
    hands.go(1300.0)
    assert hands.tube.flow_sccm == 200.0
    hands.values["furnace-monitor.temperature"] = 59.0 if second else None
    hands.values["furnace.temperature"] = 30.0
    hands.until(lambda: "unload" in hands.run.prompts)
    assert hands.now - hot >= 1.5 * 900.0


def test_while_any_good_reading_is_hot_neither_time_nor_person_stops_the_gas() -> None:
    hands = hot_unload()
    hands.values["furnace.temperature"] = 22.0
    hands.values["furnace-monitor.temperature"] = 101.0
    assert hands.ask("temperature", None, chamber="tube", temperature_c=30.0) == (
        "refused: tube reads 101 degC",
        False,
    )
    hands.state.tally["tube/person_c"] = 30.0
    hands.go(50.0)
    assert hands.tube.flow_sccm == 200.0


def test_a_temperature_that_a_person_measured_stands_for_thermometers_that_fail() -> None:
    hands = hot_unload()
    hands.at(90.0)
    hands.broken("furnace-monitor.temperature")
    hands.go(100.0)
    hands.values["furnace.temperature"] = 50.0
    assert hands.ask("temperature", None, chamber="tube", temperature_c=48.0)[1]
    hands.until(lambda: "unload" in hands.run.prompts, 10.0)
