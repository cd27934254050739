"""Thermometers that read, but cannot be right: at each boundary by hand, and end to end on a simulated furnace."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.model.readings import BAD, GOOD, SILENT
from labctl.protocol.plan import Segment
from tests.engine.bench import Hands, bare, bundled, dry, inert, purge, ramp
from tests.engine.test_guards import trips
from tests.engine.test_trips import furnace
from tests.runtime.rehearsals import plan_of

LUKEWARM = """\
protocol: lukewarm
roles: {furnace: tube_furnace}
steps:
  - {id: warm, heat: {with: furnace, to: 30 degC, ramp: 20 K/min, hold: 20 min, atmosphere: air, after: cool}}
"""
"""A setpoint so near the room's temperature that its thermometer could as well lie on the bench (field failure:
a heater whose check never armed there)."""


def ramping(**changes: object) -> Hands:
    """The small tube under nitrogen, heater on at no output, every guard on the bench."""
    heat = inert(**({"segments": (ramp(300.0, 1e6),), "timeout_s": 2e6} | changes))
    hands = Hands(purge(timeout_s=1e5), heat, physics=True)
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "ramp", 3000.0)
    hands.values["furnace.output"] = 0.0
    hands.scan()
    return hands


def heated() -> Hands:
    """The same at 260 degC, with full output, and well followed by both thermometers."""
    hands = ramping()
    climb(hands, 200.0, 0.2)
    hands.values["furnace.output"] = 100.0
    climb(hands, 260.0, 0.5)
    return hands


def climb(hands: Hands, celsius: float, k_per_s: float = 2.0) -> None:
    """Both thermometers go there at that rate."""
    while (now := hands.values["furnace.temperature"] or 0.0) != celsius:
        step = max(-k_per_s, min(k_per_s, celsius - now))
        hands.at(now + step)
        hands.scan()


# -- sensor_jump -----------------------------------------------------------------------------------


def test_a_jump_faster_than_50_k_per_s_that_stays_aborts_in_two_scans() -> None:
    hands = ramping()
    climb(hands, 200.0)
    hands.at(250.0)
    hands.go(3.0)
    assert trips(hands) == []
    hands.values["furnace.temperature"] = 199.9
    hands.scan()
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["sensor_jump"]
    assert hands.run.state == "ABORTING"
    assert hands.tube.lease is None
    assert hands.tube.distrusted == ("furnace",)
    assert hands.tube.latched == ("sensor_jump",)


def test_one_wild_reading_or_a_change_across_a_gap_is_no_jump() -> None:
    hands = ramping()
    climb(hands, 200.0)
    for celsius in (22.0, 200.0, 22.0, 200.0):
        hands.values["furnace.temperature"] = celsius
        hands.scan()
    hands.quality["furnace.temperature"] = SILENT
    hands.go(3.0)
    del hands.quality["furnace.temperature"]
    hands.at(120.0)
    hands.go(3.0)
    assert trips(hands) == []


def test_a_witness_that_jumps_loses_its_vote_and_holds_with_the_heat_on() -> None:
    hands = ramping()
    climb(hands, 300.0)
    hands.values["furnace-monitor.temperature"] = 22.0
    hands.go(15.0)
    assert hands.run.state == "RUNNING"
    hands.scan()
    assert trips(hands) == ["sensor_jump"]
    assert hands.run.state in ("HOLDING", "HELD")
    assert hands.tube.lease is not None
    assert hands.tube.distrusted == ("furnace-monitor",)


def test_a_thermometer_that_jumps_in_custody_has_no_vote_there() -> None:
    hands = ramping()
    climb(hands, 300.0)
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.tube.custody is not None, 60.0)
    hands.values["furnace.temperature"] = 22.0
    hands.go(3.0)
    assert trips(hands) == ["sensor_jump"]
    assert "furnace" in hands.tube.distrusted


def deficit(hands: Hands) -> float:
    return hands.state.tally.get("tube/energy/deficit_k", 0.0)


def simmer(hands: Hands, until_k: float) -> None:
    """Heat goes in and the heater's thermometer only trembles, until so much rise is missing."""
    end = hands.now + 60.0
    while deficit(hands) <= until_k:
        assert hands.now < end
        celsius = hands.values["furnace.temperature"]
        hands.values["furnace.temperature"] = 22.1 if celsius == 22.0 else 22.0
        hands.scan()


# -- detached_sensor -------------------------------------------------------------------------------


def test_heat_that_the_thermometer_does_not_show_is_a_latched_abort_at_10_k() -> None:
    hands = ramping()
    hands.broken("furnace-monitor.temperature")  # no witness
    hands.values["furnace.output"] = 50.0
    simmer(hands, 10.0)
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["detached_sensor"]
    assert hands.run.state == "ABORTING"
    assert hands.tube.distrusted == ("furnace",)
    assert "may be detached" in (hands.run.reason or "")


def test_heat_that_another_thermometer_misses_too_turns_the_heater_off_and_takes_no_vote() -> None:
    hands = ramping()
    hands.values["furnace.output"] = 50.0
    hands.values["furnace-monitor.temperature"] = 42.0
    simmer(hands, 10.0)
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["detached_sensor"]
    assert hands.run.state == "HOLDING"
    assert hands.tube.lease is None
    assert hands.tube.distrusted == hands.tube.latched == ()
    assert "may be dead" in (hands.run.reason or "")


def test_a_rise_as_slow_as_half_the_measured_rate_is_enough() -> None:
    hands = ramping()
    hands.values["furnace.output"] = 30.0
    for _ in range(200):
        hands.at((hands.values["furnace.temperature"] or 0.0) + 0.43)
        hands.scan()
    assert trips(hands) == []


def test_a_reading_that_is_not_good_is_left_to_the_guards_on_readings() -> None:
    hands = ramping()
    hands.values["furnace.output"] = 50.0
    hands.quality["furnace.temperature"] = BAD
    hands.go(3.0)
    assert trips(hands) == ["sensor"]


@pytest.mark.parametrize("every", [3, 25])
@pytest.mark.parametrize("lost", ["temperature", "output"])
def test_replies_that_are_lost_now_and_then_do_not_hide_that_heat_is_missing(every: int, lost: str) -> None:
    hands = ramping()
    hands.broken("furnace-monitor.temperature")  # no witness
    hands.values["furnace.output"] = 20.0
    since, celsius = hands.now, 22.0
    while not hands.of("tripped"):
        assert hands.now - since < 400.0
        celsius = 44.1 - celsius
        hands.values["furnace.temperature"] = celsius
        hands.quality[f"furnace.{lost}"] = SILENT if (hands.now - since) % every == every - 1 else GOOD
        hands.scan()
    assert trips(hands) == ["detached_sensor"]


def test_a_gap_proves_no_heat_and_a_fall_across_it_is_no_heat_missing() -> None:
    hands = ramping()
    hands.values["furnace.output"] = 50.0
    simmer(hands, 4.0)
    before = deficit(hands)
    hands.at(15.0)
    hands.scan(60.0)
    assert deficit(hands) == before
    hands.quality["furnace.temperature"] = SILENT
    hands.scan()
    hands.quality.clear()
    hands.at(18.0)
    hands.scan()
    assert deficit(hands) == pytest.approx(before - 3.0)


def test_a_thermometer_that_does_not_read_is_not_blamed_for_heat_that_was_missing_before() -> None:
    hands = ramping()
    hands.values["furnace.output"] = 50.0
    hands.values["furnace-monitor.temperature"] = 42.0
    simmer(hands, 10.0)
    hands.quality["furnace.temperature"] = SILENT
    hands.go(3.0)
    assert trips(hands) == []


# -- frozen_sensor ---------------------------------------------------------------------------------


def test_a_value_that_stays_while_it_must_have_changed_by_five_digits_holds_cold() -> None:
    hands = heated()
    stopped = hands.now
    hands.until(lambda: bool(hands.of("tripped")), 60.0)
    assert 20.0 <= hands.now - stopped <= 22.0
    (trip,) = hands.of("tripped")
    assert (trip["guard"], trip["action"], trip["distrust"]) == ("frozen_sensor", "hold (cool)", "furnace")
    assert trip["value"] >= 0.5
    assert hands.tube.lease is None
    assert hands.tube.latched == ()


def test_a_value_that_stays_at_a_steady_hold_is_believed() -> None:
    hands = ramping()
    climb(hands, 200.0, 0.2)
    hands.values["furnace.output"] = 15.0
    hands.values["furnace.working_setpoint"] = 200.0
    hands.go(700.0)
    assert trips(hands) == []


def test_an_oven_that_must_follow_its_setpoint_and_does_not_is_held() -> None:
    hands = Hands(dry(segments=(ramp(100.0, 600.0),)), physics=True)
    hands.start()
    hands.phase("dry", "ramp")
    for _ in range(60):
        hands.scan()  # the host moves the setpoint
        if hands.of("tripped"):
            break
    assert trips(hands) == ["frozen_sensor"]
    assert hands.now > 200.0


@pytest.mark.parametrize(("celsius", "frozen"), [(35.0, True), (79.0, False)])
def test_an_oven_far_below_a_setpoint_that_stays_cannot_read_the_same_for_long(
    celsius: float, frozen: bool
) -> None:
    hands = Hands(dry(segments=(Segment(target_c=90.0, ramp_k_per_min=0.0, hold_s=1e4),)), physics=True)
    hands.start()
    hands.phase("dry", "ramp")
    hands.values["oven.temperature"] = celsius
    hands.go(599.0)
    assert ("frozen_sensor" in trips(hands)) is frozen


@pytest.mark.parametrize("disturbed", ["late", "furnace", "furnace-monitor"])
def test_a_scan_that_came_late_or_a_lost_reading_does_not_end_a_steady_soak(disturbed: str) -> None:
    hands = ramping()
    hands.values["furnace.output"] = 60.0
    climb(hands, 200.0, 0.5)
    hands.values["furnace.output"] = 15.0
    hands.values["furnace.working_setpoint"] = 200.0
    hands.go(120.0)
    if disturbed != "late":
        hands.quality[f"{disturbed}.temperature"] = BAD
    hands.scan(3.0 if disturbed == "late" else 1.0)
    hands.quality.clear()
    hands.go(120.0)
    assert trips(hands) == []
    assert hands.tube.lease is not None


def test_a_value_that_stays_is_found_as_soon_when_replies_are_lost_between() -> None:
    hands = heated()
    stopped = hands.now
    while not hands.of("tripped"):
        hands.quality["furnace.temperature"] = SILENT if (hands.now - stopped) % 7.0 == 6.0 else GOOD
        hands.scan()
    assert trips(hands) == ["frozen_sensor"]
    assert hands.now - stopped <= 27.0


def test_the_time_of_a_scan_that_came_late_is_no_time_in_which_a_value_stayed() -> None:
    hands = heated()
    hands.go(5.0)
    hands.scan(60.0)
    hands.go(5.0)
    assert trips(hands) == []


def test_a_value_that_returns_after_the_heat_was_off_is_not_the_one_that_stayed() -> None:
    hands = ramping()
    hands.values["furnace.output"] = 20.0
    climb(hands, 60.0, 0.5)
    hands.go(5.0)
    hands.nitrogen(False)
    hands.until(lambda: hands.tube.lease is None, 10.0)
    hands.nitrogen(True)
    hands.values["furnace.output"] = 0.0
    hands.until(lambda: hands.tube.lease is not None, 1000.0)
    hands.values["furnace.output"] = 20.0
    hands.go(15.0)
    assert trips(hands) == ["nitrogen_lost"]


def test_a_setpoint_that_climbed_while_nobody_looked_proves_nothing_of_an_oven() -> None:
    hands = Hands(dry(segments=(ramp(100.0, 600.0),)), physics=True)
    hands.start()
    hands.phase("dry", "ramp")
    hands.go(30.0)
    before = hands.state.tally["drying-oven/energy/change_k"]
    hands.scan(60.0)
    assert hands.state.tally["drying-oven/energy/change_k"] == before


def test_of_an_oven_whose_setpoint_is_not_read_nothing_is_concluded() -> None:
    hands = Hands(dry(segments=(ramp(100.0, 600.0),)), physics=True)
    hands.start()
    hands.phase("dry", "ramp")
    hands.quality["oven.working_setpoint"] = SILENT
    hands.go(20.0)
    assert hands.state.tally["drying-oven/energy/change_k"] == 0.0


def test_a_furnace_whose_power_nobody_measured_is_not_held_against_it() -> None:
    bench = bare("small")
    tube = bench.chambers["tube"].model_copy(update={"heating_k_per_min": None})
    unmeasured = bench.model_copy(update={"chambers": {**bench.chambers, "tube": tube}})
    hands = Hands(purge(timeout_s=1e5), inert(), physics=True, bench=unmeasured)
    hands.heated(22.0)
    hands.values["furnace.output"] = 100.0
    hands.go(60.0)
    assert trips(hands) == []
    assert hands.state.tally["tube/energy/change_k"] == 0.0


# -- thermometers_disagree -------------------------------------------------------------------------


def test_thermometers_more_than_20_k_apart_for_30_s_hold_cold_with_an_alarm() -> None:
    hands = ramping()
    climb(hands, 200.0)
    hands.values["furnace.output"] = 15.0
    hands.values["furnace-monitor.temperature"] = 220.0
    hands.go(60.0)
    assert trips(hands) == []
    hands.values["furnace-monitor.temperature"] = 220.1
    hands.go(30.0)
    assert hands.run.state == "RUNNING"
    hands.scan()
    assert trips(hands) == ["thermometers_disagree"]
    assert hands.run.state == "HOLDING"
    assert hands.tube.lease is None
    assert "tube/thermometers_disagree" in hands.state.alarms


@pytest.mark.parametrize("lost", ["silent", "broken"])
def test_thermometers_that_disagree_go_on_doing_so_when_one_is_not_read_any_more(lost: str) -> None:
    hands = ramping()
    climb(hands, 200.0)
    hands.values["furnace.output"] = 15.0
    hands.values["furnace-monitor.temperature"] = 230.0
    hands.go(18.0)
    hands.broken("furnace-monitor.temperature")
    if lost == "silent":
        hands.silence("furnace-monitor")
    hands.go(12.0)
    assert hands.run.state == "RUNNING"
    hands.go(2.0)
    assert trips(hands) == ["thermometers_disagree"]
    assert hands.tube.lease is None
    assert "30.0 K apart when both were last read" in hands.of("tripped")[0]["message"]


def test_thermometers_that_agreed_again_have_forgotten_it() -> None:
    hands = ramping()
    climb(hands, 200.0)
    hands.values["furnace.output"] = 15.0
    for apart_k in (1.0, 10.0):
        hands.values["furnace-monitor.temperature"] = 230.0
        hands.go(18.0)
        hands.values["furnace-monitor.temperature"] = 200.0 + apart_k
        hands.go(2.0)
        hands.broken("furnace-monitor.temperature")
        hands.go(60.0)
        assert trips(hands) == []
        assert hands.tube.lease is not None
        hands.quality.clear()


def test_they_may_disagree_while_a_chamber_cools_and_may_not_before_it_is_heated() -> None:
    hands = ramping()
    climb(hands, 200.0)
    assert hands.ask("stop")[1]
    hands.values["furnace-monitor.temperature"] = 160.0
    hands.go(120.0)
    assert trips(hands) == []
    cold = Hands(purge(timeout_s=1e5), inert(), physics=True)
    cold.values["furnace-monitor.temperature"] = 60.0
    cold.start()
    cold.until(lambda: cold.run.state == "HELD", 60.0)
    assert not cold.sent("heat")


def test_a_broken_witness_is_alarmed_and_nothing_more() -> None:
    hands = ramping()
    hands.broken("furnace-monitor.temperature")
    hands.go(60.0)
    assert hands.run.state == "RUNNING"
    assert (
        "nothing is left to check furnace against"
        in (hands.state.alarms["tube/thermometers_disagree"]["message"])
    )


# -- end to end ------------------------------------------------------------------------------------


def test_a_thermocouple_that_falls_out_of_a_hot_furnace_aborts_and_has_no_vote() -> None:
    with furnace(200.0) as hot:
        since = hot.now
        hot.fault("furnace", "sensor_detached")
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 60.0)
        assert hot.now - since <= 4.0
        assert hot.tube.latched[0] in ("detached_sensor", "sensor_jump")
        assert hot.tube.distrusted == ("furnace",)
        assert len(hot.of("alarm")) <= 3
        hot.until(lambda: hot.tube.custody is not None, 60.0)
        hot.until(lambda: hot.tube.custody is None, 20_000.0)
        assert hot.truth("furnace", "tube_c") < 62.0


@pytest.mark.parametrize(
    ("witness", "guard"),
    [
        ("sensor_open", "detached_sensor"),
        ("sensor_detached", "detached_sensor"),
        (None, "thermometers_disagree"),
    ],
)
def test_a_detached_thermocouple_is_found_at_a_setpoint_near_the_room(
    tmp_path: Path, witness: str | None, guard: str
) -> None:
    with furnace(None, given=plan_of(tmp_path, bundled("small"), LUKEWARM)) as hot:
        hot.fault("furnace", "sensor_detached")
        if witness:
            hot.fault("furnace-monitor", witness)
        hot.until(lambda: bool(hot.of("tripped")), 1200.0)
        assert hot.of("tripped")[0]["guard"] == guard
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 10.0)
        assert hot.truth("furnace", "tube_c") < 120.0


@pytest.mark.parametrize("at_c", [60.0, 200.0])
def test_a_thermocouple_that_freezes_on_the_ramp_is_held_cold(at_c: float) -> None:
    with furnace(at_c) as hot:
        hot.fault("furnace", "sensor_frozen")
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 300.0)
        guards = [t["guard"] for t in hot.of("tripped")]
        assert guards[0] in ("frozen_sensor", "thermometers_disagree")
        assert hot.truth("furnace", "tube_c") < at_c + 100.0  # at full output it heats by 5 K/s
        assert hot.truth("gas", "flow_sccm") > 100.0


def test_a_thermocouple_that_drifts_is_held_where_the_two_are_20_k_apart() -> None:
    with furnace(200.0) as hot:
        hot.fault("furnace", "sensor_drift", per_hour=-450.0)
        hot.until(lambda: bool(hot.of("tripped")), 600.0)
        (trip,) = hot.of("tripped")
        assert (trip["guard"], trip["latched"]) == ("thermometers_disagree", False)
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 10.0)


def test_two_thermometers_that_jump_at_once_are_told_by_the_heater_s_own() -> None:
    hands = ramping()
    climb(hands, 300.0)
    hands.at(22.0)
    hands.go(2.0)
    assert trips(hands) == ["sensor_jump"]
    assert "furnace jumped from 300.0 to 22.0" in (hands.run.reason or "")
    assert hands.tube.distrusted == ("furnace",)
