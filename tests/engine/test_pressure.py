"""The tube itself: pressure, integrity, relief, and the permissives to heat it."""

from __future__ import annotations

import pytest

from labctl.engine.safe import ROOM_CHECK
from labctl.model.readings import BAD, NOT_READY
from tests.engine.bench import Hands, bundled, inert, purge, ramp
from tests.engine.test_room import flows, hot, raised, trips, wired


def squeeze(hands: Hands, bar_per_sccm: float, seconds: float) -> None:
    """Let an exhaust of that resistance make the pressure, for so long."""
    end = hands.now + seconds
    while hands.now < end - 1e-9:
        hands.values["io.tube_pressure"] = bar_per_sccm * (hands.values["nitrogen.flow"] or 0.0)
        hands.scan()


# -- pressure --------------------------------------------------------------------------------------


def test_a_tenth_of_a_bar_for_five_seconds_stops_the_ramp_and_keeps_the_heat() -> None:
    hands = hot()
    hands.values["io.tube_pressure"] = 0.1
    hands.go(20.0)
    assert hands.run.state == "RUNNING"
    hands.values["io.tube_pressure"] = 0.101
    hands.go(5.0)
    assert hands.run.state == "RUNNING"
    hands.go(2.0)
    assert (trips(hands), hands.run.state, hands.run.hold) == (["tube_pressure"], "HELD", "maintain")
    hands.go(5.0)
    assert hands.tube.lease is not None
    assert flows(hands.commands)[-1] == 200.0


def test_above_two_tenths_the_heater_goes_off_and_the_flow_steps_down_to_what_keeps_a_tenth() -> None:
    hands = hot()
    squeeze(hands, 0.2 / 200.0, 3.0)
    assert trips(hands) == []
    squeeze(hands, 0.201 / 200.0, 2.0)
    assert trips(hands) == ["tube_pressure"]
    assert hands.tube.lease is None
    assert hands.tube.latched == ("tube_pressure",)
    assert "nitrogen stepped down" in hands.state.alarms["tube/tube_pressure"]["message"]
    hands.at(200.0)
    squeeze(hands, 0.201 / 200.0, 60.0)
    assert 0.05 <= (hands.values["io.tube_pressure"] or 0.0) < 0.1
    assert hands.values["nitrogen.flow"] == hands.tube.flow_sccm
    assert [t["guard"] for t in hands.of("tripped")] == ["tube_pressure"]
    assert hands.tube.custody is not None


def test_a_tube_that_is_blocked_altogether_gets_no_nitrogen_until_there_is_room() -> None:
    hands = hot()
    hands.values["io.tube_pressure"] = 0.4
    hands.go(60.0)
    assert hands.values["nitrogen.flow_setpoint"] == 0.0
    assert hands.values["io.bypass"] == 0.0
    hands.go(200.0)
    assert hands.values["nitrogen.flow_setpoint"] == 0.0
    squeeze(hands, 2e-5, 200.0)
    assert hands.values["nitrogen.flow_setpoint"] == 200.0
    assert "tube/relief_sccm" not in hands.state.tally


def test_pressure_is_relieved_in_custody_too() -> None:
    hands = hot()
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.tube.custody is not None, 60.0)
    hands.at(200.0)
    squeeze(hands, 0.3 / 200.0, 60.0)
    assert "tube_pressure" in hands.tube.latched
    assert (hands.values["io.tube_pressure"] or 0.0) < 0.1
    assert (hands.values["nitrogen.flow"] or 0.0) < 100.0


def test_gas_that_custody_stopped_is_not_brought_back_by_relief_unless_the_tube_grows_hot() -> None:
    hands = hot()
    squeeze(hands, 0.25 / 200.0, 2.0)
    hands.at(200.0)
    squeeze(hands, 0.25 / 200.0, 60.0)
    assert hands.tube.flow_sccm == 72.0
    hands.at(90.0)
    squeeze(hands, 0.25 / 200.0, 660.0)
    assert (hands.tube.flow_sccm, hands.values["nitrogen.flow_setpoint"]) == (0.0, 0.0)
    assert flows(hands.commands)[-2:] == [72.0, 0.0]
    hands.at(100.0)
    squeeze(hands, 0.25 / 200.0, 60.0)
    assert 0.05 <= (hands.values["io.tube_pressure"] or 0.0) < 0.1
    hands.at(40.0)
    hands.until(lambda: hands.tube.custody is None, 5000.0)
    assert hands.values["nitrogen.flow_setpoint"] == 0.0


def test_a_pressure_that_cannot_be_read_holds_the_run_warm() -> None:
    hands = hot()
    hands.values["io.tube_pressure"], hands.quality["io.tube_pressure"] = 0.5, BAD
    hands.go(14.0)
    assert hands.run.state == "RUNNING"
    hands.go(10.0)
    assert (hands.run.hold, hands.tube.latched) == ("maintain", ())
    assert hands.run.state in ("HOLDING", "HELD")


# -- integrity -------------------------------------------------------------------------------------


def test_a_hot_tube_that_keeps_no_pressure_for_half_a_minute_is_open_or_cracked() -> None:
    hands = hot()
    for bar in (0.0035, 0.003, 0.0025, 0.002):
        hands.values["io.tube_pressure"] = bar
        hands.go(40.0)
    assert trips(hands) == []
    hands.values["io.tube_pressure"] = 0.00199
    hands.go(30.0)
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["tube_integrity"]
    assert hands.tube.latched == ("tube_integrity",)
    assert hands.tube.lease is None
    message = hands.state.alarms["tube/tube_integrity"]["message"]
    assert message.startswith(ROOM_CHECK)
    assert "2.0 mbar at 200 sccm" in message
    hands.go(10.0)
    assert hands.values["nitrogen.flow"] == 200.0


def test_a_cold_tube_is_not_judged() -> None:
    hands = hot(140.0)
    hands.values["io.tube_pressure"] = 0.0
    hands.go(60.0)
    assert trips(hands) == []


def test_a_pressure_that_falls_by_half_at_steady_flow_is_a_crack_at_once() -> None:
    hands = hot()
    hands.values["io.tube_pressure"] = 0.01
    hands.go(3.0)
    hands.values["io.tube_pressure"] = 0.005
    hands.go(3.0)
    assert trips(hands) == []
    hands.values["io.tube_pressure"] = 0.0024
    hands.scan()
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["tube_integrity"]


@pytest.mark.parametrize("blocked_bar", [0.02, 0.09])
def test_an_exhaust_that_was_blocking_and_clears_at_once_is_no_crack(blocked_bar: float) -> None:
    hands = hot()
    squeeze(hands, 0.004 / 200.0, 5.0)
    squeeze(hands, blocked_bar / 200.0, 60.0)
    squeeze(hands, 0.004 / 200.0, 60.0)
    assert trips(hands) == []
    hands.values["io.tube_pressure"] = 0.0019
    hands.go(3.0)
    assert trips(hands) == ["tube_integrity"], "a crack is one all the same"


def test_an_exhaust_that_clears_while_its_pressure_is_relieved_is_no_crack() -> None:
    hands = hot()
    squeeze(hands, 0.004 / 200.0, 5.0)
    squeeze(hands, 2.0 / 200.0, 90.0)
    assert 0.0 < (hands.values["nitrogen.flow"] or 0.0) < 50.0
    squeeze(hands, 0.004 / 200.0, 600.0)
    assert trips(hands)[0] == "tube_pressure"
    assert "tube_integrity" not in trips(hands)
    assert hands.values["nitrogen.flow_setpoint"] == 200.0


def test_a_pressure_that_falls_with_the_flow_is_no_crack() -> None:
    hands = hot()
    hands.values["io.tube_pressure"] = 0.01
    hands.go(3.0)
    hands.values["nitrogen.flow"], hands.values["io.tube_pressure"] = 180.0, 0.0045
    hands.go(3.0)
    assert trips(hands) == []


@pytest.mark.parametrize(("oxygen", "guards"), [(10_005.0, ["oxygen_high"]), (10_006.0, ["tube_integrity"])])
def test_oxygen_that_steps_up_is_a_crack_and_oxygen_that_creeps_in_a_leak(
    oxygen: float, guards: list[str]
) -> None:
    hands = hot()
    hands.values["oxygen.oxygen"] = oxygen
    hands.go(2.0)
    assert trips(hands)[:1] == guards
    assert ("tube_integrity" in hands.tube.latched) is (guards == ["tube_integrity"])


# -- permissives -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "value", "name"),
    [
        ("io.extraction", 0.0, "extraction"),
        ("io.limiter", 0.0, "limiter"),
        ("io.water", 0.0, "water"),
        ("io.tube_pressure", 0.1, "tube_pressure"),
        ("io.tube_pressure", 0.0019, "tube_pressure"),
        ("io.room_co", 31.0, "room_co"),
        ("io.room_oxygen", 19.4, "room_oxygen"),
        ("furnace.temperature", None, "temperature"),
    ],
)
def test_heat_waits_for_each_permissive_by_name(signal: str, value: float | None, name: str) -> None:
    hands = wired()
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "permissives", 3000.0)
    before, hands.values[signal] = hands.values[signal], value
    if value is None:
        hands.quality[signal] = NOT_READY
    hands.go(89.0)
    assert "waits_for" not in hands.step("heat").data
    hands.go(3.0)
    assert hands.step("heat").data["waits_for"] == [name]
    assert hands.of("step_waits")[-1]["why"].startswith(f"{name}: ")
    assert hands.sent("heat") == []
    hands.go(600.0)
    assert "waits to heat tube for 10 min" in hands.state.alarms["tube/heat/may not heat"]["message"]
    hands.values[signal], hands.quality = before, {}
    hands.phase("heat", "ramp", 100.0)
    assert "tube/heat/may not heat" not in raised(hands)
    assert hands.step("heat").data["waits_for"] == []


def test_a_step_that_may_not_heat_for_an_hour_is_held() -> None:
    hands = wired()
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "permissives", 3000.0)
    hands.values["io.limiter"] = 0.0
    hands.go(3590.0)
    assert hands.run.state == "RUNNING"
    hands.go(15.0)
    assert hands.run.state in ("HOLDING", "HELD")
    assert "may not heat: limiter: the excess-temperature limiter has tripped" in (hands.run.reason or "")


def test_what_a_bench_lacks_is_not_waited_for() -> None:
    heat = inert(segments=(ramp(300.0, 1e6),), timeout_s=2e6)
    bench = bundled("small")
    tube = bench.chambers["tube"].model_copy(update={"io": {"tube_pressure": "io.tube_pressure"}})
    hands = Hands(
        purge(timeout_s=1e5),
        heat,
        bench=bench.model_copy(update={"chambers": {**bench.chambers, "tube": tube}}),
    )
    hands.values["io.limiter"] = hands.values["io.extraction"] = 0.0
    hands.heated()
    hands.go(30.0)
    assert trips(hands) == [] == raised(hands)


def test_no_heat_is_begun_while_the_pressure_cannot_be_read() -> None:
    hands = wired()
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "permissives", 3000.0)
    hands.until(lambda: hands.now - hands.state.tally["tube/flow_ok_s"] >= 58.0, 100.0)
    hands.quality["io.tube_pressure"] = BAD
    hands.go(10.0)
    assert hands.sent("heat") == []
    assert hands.run.state == "RUNNING"
    hands.quality.clear()
    hands.phase("heat", "ramp", 30.0)


def test_an_alarm_that_somebody_acknowledged_sounds_again_when_its_trip_is_due() -> None:
    hands = hot()
    squeeze(hands, 0.101 / 200.0, 8.0)
    assert "the ramp stops" in hands.state.alarms["tube/tube_pressure"]["message"]
    assert hands.ask("ack", None, alarm="tube/tube_pressure")[1]
    assert hands.state.alarms["tube/tube_pressure"]["state"] == "ACKED"
    squeeze(hands, 0.201 / 200.0, 2.0)
    assert hands.state.alarms["tube/tube_pressure"]["state"] == "UNACK"
    assert "nitrogen stepped down" in hands.state.alarms["tube/tube_pressure"]["message"]


def test_an_analyser_that_has_nothing_to_say_shows_no_crack() -> None:
    hands = hot()
    hands.values["oxygen.oxygen"], hands.quality["oxygen.oxygen"] = 209_500.0, BAD
    hands.go(60.0)
    assert trips(hands) == []
