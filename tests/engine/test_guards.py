"""Every interlock: trips at its boundary, does not just inside, and acts in whatever state the run is in."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from labctl.engine.evolve import evolve
from labctl.engine.guards import GUARDS
from labctl.engine.safe import ROOM_CHECK
from labctl.engine.state import BenchState, ChamberState
from labctl.model.events import BENCH_STREAM, Event
from labctl.model.readings import BAD, NOT_READY, SILENT, Quality
from tests.engine.bench import Hands, bundled, cool, cycle, dry, inert, purge, ramp
from tests.engine.steps.test_cell import cycling


def hot(celsius: float = 300.0, bench: str = "small", **changes: object) -> Hands:
    """The tube under nitrogen, heated."""
    heat = inert(**({"segments": (ramp(300.0, 1e6),), "timeout_s": 2e6} | changes))
    hands = Hands(purge(timeout_s=1e5), heat, bench=bench)
    hands.heated(celsius)
    return hands


def trips(hands: Hands) -> list[str]:
    return [t["guard"] for t in hands.of("tripped")]


def test_every_guard_is_on_a_bundled_bench() -> None:
    used = {g.guard for chamber in bundled("small").chambers.values() for g in chamber.guards}
    assert used == set(GUARDS)


# -- over_temperature ------------------------------------------------------------------------------


@pytest.mark.parametrize("thermometer", ["furnace", "furnace-monitor"])
def test_over_temperature_aborts_in_two_scans_above_setpoint_and_25_k(thermometer: str) -> None:
    hands = hot()
    hands.values[f"{thermometer}.temperature"] = 325.0
    hands.go(10.0)
    assert hands.run.state == "RUNNING"
    hands.values[f"{thermometer}.temperature"] = 325.1
    hands.scan()
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["over_temperature"]
    assert hands.run.state == "ABORTING"
    assert hands.tube.latched == ("over_temperature",)
    assert hands.tube.distrusted == (thermometer,)
    assert hands.tube.lease is None
    assert [c.verb for c in hands.commands][-2:] == ["heat_off", "set_flow"]


def test_one_hot_scan_is_no_trip() -> None:
    hands = hot()
    for celsius in (400.0, 300.0, 400.0, 300.0):
        hands.at(celsius)
        hands.scan()
    assert trips(hands) == []


def test_an_absolute_limit_trips_below_the_margin() -> None:
    hands = hot(1080.0, segments=(ramp(1090.0, 1e5),))
    hands.at(1100.0)
    hands.go(3.0)
    assert trips(hands) == []
    hands.at(1100.1)
    hands.go(2.0)
    assert trips(hands) == ["over_temperature"]


@pytest.mark.parametrize("quality", [BAD, SILENT, NOT_READY])
def test_a_hot_reading_that_is_not_good_is_never_taken_as_a_number(quality: Quality) -> None:
    hands = hot()
    hands.values["furnace-monitor.temperature"] = 2000.0
    hands.quality["furnace-monitor.temperature"] = quality
    hands.go(3.0)
    assert "over_temperature" not in trips(hands)


def test_the_limit_falls_no_faster_than_the_expected_cool_down() -> None:
    hands = hot()
    tau_s = hands.context.rigs["tube"].cooling_tau_s
    assert hands.ask("hold")[1]
    hands.at(22.0)
    hands.values["furnace.working_setpoint"] = 300.0
    assert hands.ask("abort")[1]
    before = hands.state.tally["tube/ceiling_c"]
    hands.go(60.0)
    expected = 22.0 + (before - 22.0) * math.exp(-60.0 / (1.5 * tau_s))
    assert hands.state.tally["tube/ceiling_c"] == pytest.approx(expected, abs=0.5)


def test_the_limit_falls_no_faster_than_the_ramp_of_a_controlled_stop() -> None:
    """A small furnace would cool by itself thirty times faster than a stop lets it."""
    hands = hot(900.0, segments=(ramp(900.0, 1e6),))
    assert hands.ask("stop")[1]
    for _ in range(4780):  # 5 K/min down to stop_ramp_above, then by itself
        now = hands.values["furnace.temperature"] or 0.0
        hands.at(now - 5.0 / 60.0)
        hands.scan()
        assert trips(hands) == []
    assert hands.tube.lease is not None
    hands.at((hands.values["furnace.temperature"] or 0.0) + 32.0)
    hands.go(2.0)
    assert trips(hands) == ["over_temperature"], "and no slower"


def test_a_furnace_that_cools_as_expected_trips_nothing_and_lingers_warm_without_a_trip() -> None:
    hands = hot(300.0, after="continue", segments=(ramp(300.0, 5.0),), band_k=10.0)
    tau_s = hands.context.rigs["tube"].cooling_tau_s
    hands.until(lambda: hands.run.end_state == "COMPLETE", 60.0)
    began = hands.now
    while hands.now - began < 4000.0:
        hands.at(max(59.0, 22.0 + 278.0 * math.exp(-(hands.now - began) / tau_s)))
        hands.scan()
    assert trips(hands) == []


def test_a_higher_setpoint_raises_the_limit_at_once() -> None:
    hands = Hands(dry(segments=(ramp(60.0, 20.0), ramp(100.0, 600.0))))
    hands.start()
    hands.values["oven.temperature"] = 60.0
    hands.until(lambda: len(hands.sent("heat")) == 2, 200.0)
    hands.values["oven.temperature"] = 120.0
    hands.go(60.0)
    assert trips(hands) == []


def test_an_oven_trips_within_twenty_seconds() -> None:
    hands = Hands(dry())
    hands.start()
    hands.phase("dry", "ramp")
    hands.values["oven.temperature"] = 126.0
    hands.go(20.0)
    assert trips(hands) == ["over_temperature"]


# -- stuck_heater ----------------------------------------------------------------------------------


def cooling(rise_k: float) -> Hands:
    """Off for more than five minutes, and then so much warmer."""
    hands = hot(bench="standard")
    assert hands.ask("stop")[1]
    hands.at(200.0)
    hands.go(310.0)
    hands.at(150.0)
    hands.go(2.0)
    hands.at(150.0 + rise_k)
    hands.go(2.0)
    return hands


def test_a_tube_that_grows_warmer_with_its_heater_off_is_a_latched_trip_that_calls_a_person() -> None:
    assert trips(cooling(3.0)) == []
    hands = cooling(3.1)
    assert trips(hands) == ["stuck_heater"]
    alarm = hands.alarms["tube/stuck_heater"]
    assert alarm["priority"] == "critical"
    assert "Open its contactor or breaker now" in alarm["message"]
    hands.at(100.0)
    hands.until(lambda: hands.tube.safe is None, 20.0)
    hands.go(2.0)
    assert hands.tube.latched == ("stuck_heater",)


def test_an_overshoot_within_five_minutes_and_a_room_that_grows_warmer_are_no_stuck_heater() -> None:
    hands = hot(bench="standard")
    assert hands.ask("stop")[1]
    hands.at(200.0)
    hands.go(200.0)
    hands.at(210.0)
    hands.go(90.0)
    assert trips(hands) == []
    hands = Hands(purge(timeout_s=1e5))
    hands.start()
    hands.go(400.0)
    hands.at(30.0)
    hands.go(10.0)
    assert trips(hands) == []


# -- sensor ----------------------------------------------------------------------------------------


def test_a_broken_thermometer_aborts_in_two_scans_and_loses_its_vote() -> None:
    hands = hot()
    hands.broken("furnace.temperature")
    hands.scan()
    assert hands.run.state == "RUNNING"
    hands.scan()
    assert trips(hands) == ["sensor"]
    assert hands.run.state == "ABORTING"
    assert hands.tube.distrusted == ("furnace",)


@pytest.mark.parametrize(
    ("name", "failed", "left"),
    [
        ("furnace", [], ("furnace-monitor",)),
        ("furnace", ["cable: not confirmed"], ("furnace", "furnace-monitor")),
        ("nitrogen", [], ("furnace", "furnace-monitor")),
    ],
)
def test_a_thermometer_commissioned_anew_has_its_vote_back(
    name: str, failed: list[str], left: tuple[str, ...]
) -> None:
    tube = ChamberState(distrusted=("furnace", "furnace-monitor"))
    known = BenchState(chambers={"tube": tube, "cell": ChamberState()})
    said = Event(BENCH_STREAM, "commissioned", {"instrument": name, "failed": failed}, 1.0)
    assert evolve(known, said).chambers == {"tube": replace(tube, distrusted=left), "cell": ChamberState()}


def test_clear_and_reset_give_no_thermometer_its_vote_back() -> None:
    hands = hot()
    hands.broken("furnace.temperature")
    hands.until(lambda: hands.run.state == "ABORTED", 600.0)
    hands.quality.clear()
    assert hands.ask("clear", reason="a plug was loose")[1]
    assert hands.ask("reset")[1]
    assert (hands.tube.latched, hands.tube.distrusted) == ((), ("furnace",))


def test_a_broken_monitor_alone_is_no_sensor_trip() -> None:
    hands = hot()
    hands.broken("furnace-monitor.temperature")
    hands.go(5.0)
    assert trips(hands) == []


def test_a_thermometer_that_is_not_ready_trips_only_while_it_heats() -> None:
    hands = Hands(purge(), inert())
    hands.values["oxygen.oxygen"] = 5.0
    hands.quality["furnace.temperature"] = NOT_READY
    hands.start()
    hands.go(100.0)
    assert trips(hands) == []
    hands = hot()
    hands.quality["furnace.temperature"] = NOT_READY
    hands.go(2.0)
    assert trips(hands) == ["sensor"]


# -- nitrogen --------------------------------------------------------------------------------------


def test_nitrogen_below_80_percent_for_5_s_turns_the_heater_off_and_keeps_the_gas() -> None:
    hands = hot()
    hands.values["nitrogen.flow"] = 160.0
    hands.go(10.0)
    assert hands.run.state == "RUNNING"
    hands.values["nitrogen.flow"] = 159.9
    hands.go(5.0)
    assert hands.run.state == "RUNNING"
    hands.scan()
    assert hands.run.state == "HOLDING"
    assert trips(hands) == ["nitrogen_low"]
    assert hands.tube.latched == ()
    assert [(c.verb, c.args) for c in hands.commands if not c.renewal][-2:] == [
        ("heat_off", {}), ("set_flow", {"flow_sccm": 200.0}),
    ]  # fmt: skip
    assert hands.alarms["tube/nitrogen_low"]["priority"] == "critical"
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    hands.go(14.0)
    assert hands.alarms
    hands.go(3.0)
    assert hands.alarms == {}
    assert hands.state.alarms["tube/nitrogen_low"]["state"] == "RTN_UNACK"


def test_a_flow_that_comes_back_within_5_s_is_no_trip() -> None:
    hands = hot()
    for _ in range(3):
        hands.values["nitrogen.flow"] = 0.0
        hands.go(4.0)
        hands.values["nitrogen.flow"] = 200.0
        hands.scan()
    assert trips(hands) == []


@pytest.mark.parametrize("quality", [BAD, SILENT])
def test_a_flow_reading_that_is_not_good_is_no_flow(quality: Quality) -> None:
    hands = hot()
    hands.quality["nitrogen.flow"] = quality
    hands.go(6.0)
    assert hands.run.state in ("HOLDING", "HELD")


def test_protective_flow_is_the_absolute_limit_whatever_was_commanded() -> None:
    gas = inert().under.model_copy(update={"flow_sccm": 110.0})  # type: ignore[union-attr]
    hands = hot(under=gas)
    hands.values["nitrogen.flow"] = 100.0
    hands.go(30.0)
    assert trips(hands) == []
    hands.values["nitrogen.flow"] = 99.0
    hands.go(6.0)
    assert trips(hands) == ["nitrogen_lost"]
    assert hands.run.state in ("HOLDING", "HELD")


def test_nitrogen_lost_for_ten_minutes_aborts_from_holding_and_stays_latched() -> None:
    hands = hot(bench="standard")
    hands.nitrogen(False)
    hands.go(6.0)
    assert hands.run.state == "HOLDING"
    hands.at(290.0)
    hands.go(590.0)
    assert hands.run.state == "HOLDING"
    hands.go(10.0)
    assert hands.run.state == "ABORTING"
    assert "nitrogen_lost" in hands.tube.latched
    assert hands.tube.flow_sccm == 200.0


@pytest.mark.parametrize("asked", [None, "pause", "hold"])
def test_nitrogen_is_back_in_seconds_in_a_tube_that_cools_when_its_controller_lost_its_setpoint(
    asked: str | None,
) -> None:
    hands = Hands(purge(), inert(after="continue"), cool(expected_s=1e5, timeout_s=2e5))
    hands.heated()
    hands.phase("cool", "cool")
    hands.at(280.0)
    hands.go(10.0)
    assert asked is None or hands.ask(asked)[1]
    hands.go(10.0)
    assert hands.tube.lease is None
    asked_before = len(hands.sent("set_flow"))
    hands.values["nitrogen.flow_setpoint"] = hands.values["nitrogen.flow"] = 0.0
    hands.go(7.0)
    assert [c.args for c in hands.sent("set_flow")[asked_before:]] == [{"flow_sccm": 200.0}]
    assert trips(hands) == ["nitrogen_lost"], "nobody's hand at the panel"
    hands.go(2.0)
    assert hands.run.state == "HELD"
    hands.until(lambda: hands.run.state == "RUNNING" or hands.ask("restart")[1], 120.0)


@pytest.mark.parametrize(("celsius", "guards"), [(150.0, ["panel_change"]), (151.0, ["nitrogen_lost"])])
def test_a_flow_dialled_away_while_it_cools_is_a_hand_at_the_panel_where_no_nitrogen_is_needed(
    celsius: float, guards: list[str]
) -> None:
    hands = Hands(purge(), inert(after="continue"), cool(expected_s=1e5, timeout_s=2e5))
    hands.heated()
    hands.phase("cool", "cool")
    hands.at(celsius)
    hands.go(10.0)
    hands.values["nitrogen.flow_setpoint"] = hands.values["nitrogen.flow"] = 50.0
    hands.go(10.0)
    assert trips(hands) == guards


def test_a_cold_tube_without_heat_needs_no_nitrogen() -> None:
    hands = Hands(purge(timeout_s=1e4), inert())
    hands.start()
    hands.phase("purge", "wash")
    hands.nitrogen(False)
    hands.go(700.0)
    assert trips(hands) == []


def test_a_bench_that_tightens_a_limit_trips_earlier() -> None:
    bench = bundled("small")
    tube = bench.chambers["tube"]
    guards = tuple(
        g.model_copy(update={"limits": {"nitrogen_low_fraction": 0.9}}) if g.guard == "nitrogen_low" else g
        for g in tube.guards
    )
    chambers = {**bench.chambers, "tube": tube.model_copy(update={"guards": guards})}
    hands = Hands(purge(), inert(), bench=bench.model_copy(update={"chambers": chambers}))
    hands.heated(300.0)
    hands.values["nitrogen.flow"] = 179.0
    hands.go(6.0)
    assert trips(hands) == ["nitrogen_low"]


# -- oxygen ----------------------------------------------------------------------------------------


def test_oxygen_while_hot_alarms_above_100_ppm_and_turns_the_heater_off_above_1000() -> None:
    hands = hot()
    hands.values["oxygen.oxygen"] = 100.0
    hands.go(5.0)
    assert hands.alarms == {}
    hands.values["oxygen.oxygen"] = 1000.0
    hands.go(5.0)
    assert list(hands.alarms) == ["tube/oxygen_high"]
    assert hands.run.state == "RUNNING"
    hands.values["oxygen.oxygen"] = 1000.1
    hands.scan()
    assert hands.run.state == "RUNNING"
    hands.scan()
    assert trips(hands) == ["oxygen_high"]
    assert hands.tube.lease is None
    assert not hands.tube.purged


@pytest.mark.parametrize("quality", [BAD, SILENT, NOT_READY])
def test_an_oxygen_reading_that_is_not_good_does_not_act(quality: Quality) -> None:
    hands = hot()
    hands.values["oxygen.oxygen"] = 209500.0
    hands.quality["oxygen.oxygen"] = quality
    hands.go(10.0)
    assert trips(hands) == []


@pytest.mark.parametrize("quality", [BAD, NOT_READY])
def test_an_analyser_that_has_nothing_good_to_say_while_hot_is_an_alarm_and_no_more(quality: Quality) -> None:
    hands = hot()
    hands.quality["oxygen.oxygen"] = quality
    hands.go(14.0)
    assert hands.alarms == {}
    hands.go(2.0)
    assert "a leak would not be seen" in hands.alarms["tube/oxygen_high"]["message"]
    hands.go(600.0)
    assert (trips(hands), hands.run.state) == ([], "RUNNING")
    del hands.quality["oxygen.oxygen"]
    hands.go(16.0)
    assert hands.alarms == {}
    hands.quality["oxygen.oxygen"] = quality
    hands.go(14.0)
    assert hands.alarms == {}, "it counts anew"


# -- silent ----------------------------------------------------------------------------------------


def test_a_silent_furnace_is_alarmed_at_5_s_held_at_15_and_aborted_at_30() -> None:
    hands = hot()
    hands.silence("furnace")
    hands.go(5.0)
    assert hands.alarms == {}
    hands.scan()
    assert "tube/furnace/silent" in hands.alarms
    hands.go(9.0)
    assert hands.run.state == "RUNNING"
    hands.scan()
    assert hands.run.state == "HOLDING"
    assert hands.sent("heat_off")
    hands.go(14.0)
    assert hands.run.state == "HOLDING"
    hands.go(1.0)
    assert hands.run.state == "ABORTING"
    assert hands.tube.latched == ("silent",)


def test_an_instrument_of_which_nothing_was_ever_heard_is_silent() -> None:
    hands = Hands(purge(timeout_s=1e4))
    hands.absent = {"nitrogen.flow"}
    hands.start()
    hands.go(25.0)
    assert hands.run.state in ("HOLDING", "HELD")
    assert "nitrogen has not answered" in (hands.run.reason or "")


def test_an_old_reading_is_a_silent_one() -> None:
    hands = hot()
    image = hands.image
    old = image()["furnace.temperature"]
    hands.image = lambda: image() | {"furnace.temperature": old}  # type: ignore[method-assign]
    hands.go(16.0)
    assert hands.run.state == "RUNNING"
    hands.go(3.0)
    assert hands.run.state in ("HOLDING", "HELD")


@pytest.mark.parametrize("instrument", ["oxygen", "furnace-monitor"])
def test_a_silent_witness_holds_with_the_heat_on(instrument: str) -> None:
    hands = hot()
    hands.silence(instrument)
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.tube.lease is not None
    assert hands.tube.safe is None


def test_a_cold_oven_that_falls_silent_holds_but_does_not_abort() -> None:
    hands = Hands(dry())
    hands.outcome["heat"] = "never"
    hands.start()
    hands.state.chambers["drying-oven"]
    hands.go(10.0)
    hands.silence("oven")
    hands.go(30.0)
    assert hands.run.state == "HOLDING"


# -- cell ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voltage", [1.999, 4.101])
def test_a_cell_voltage_outside_its_hard_window_is_open_circuit_at_once(voltage: float) -> None:
    hands = cycling()
    hands.values["cycler.limited"] = 1.0
    hands.values["cycler.voltage"] = voltage
    hands.scan()
    assert trips(hands) == ["cell_limits"]
    assert hands.commands[-1].verb == "open_circuit"
    hands.until(lambda: hands.run.end_state == "ABORTED", 30.0)
    assert hands.state.chambers["cell"].custody is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_current_of_either_sign_beyond_1_2_times_the_programmed_is_open_circuit(sign: float) -> None:
    hands = cycling()
    limit = hands.sent("source")[0].args["limit_a"]
    hands.values["cycler.current"] = sign * 1.199 * limit
    hands.go(20.0)
    assert trips(hands) == []
    hands.values["cycler.current"] = sign * 1.201 * limit
    hands.scan()
    assert trips(hands) == ["cell_limits"]


@pytest.mark.parametrize(("low", "high"), [(2.0, 4.1)])
def test_a_cell_at_its_window_or_badly_read_or_at_rest_is_left_alone(low: float, high: float) -> None:
    hands = cycling(lower_v=1.5, upper_v=4.5)
    for voltage in (low, high):
        hands.values["cycler.voltage"] = voltage
        hands.go(10.0)
    hands.values["cycler.voltage"] = 9.9
    hands.broken("cycler.voltage")
    hands.go(10.0)
    assert trips(hands) == []
    idle = Hands(cycle())
    idle.values["cycler.voltage"] = 1.0
    idle.start()
    idle.go(60.0)
    assert trips(idle) == []


# -- in whatever state -----------------------------------------------------------------------------


def test_guards_act_in_held_with_the_heat_on() -> None:
    hands = hot()
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 10.0)
    assert hands.tube.lease is not None
    hands.nitrogen(False)
    hands.go(6.0)
    assert hands.tube.lease is None
    assert hands.sent("heat_off")
    assert hands.run.state == "HELD"
    assert hands.ask("restart") == ("refused: tube is still being made safe", False)
    hands.at(400.0)
    hands.go(2.0)
    assert hands.run.state == "ABORTING"


def test_nitrogen_lost_during_a_controlled_stop_turns_the_heater_off() -> None:
    hands = hot(800.0, segments=(ramp(800.0, 1e6),))
    assert hands.ask("stop")[1]
    assert hands.sent("heat")[-1].args == {"target_c": 60.0, "ramp_k_per_min": 5.0}
    hands.at(790.0)
    hands.nitrogen(False)
    hands.go(6.0)
    assert hands.commands[-2].verb == "heat_off"
    assert hands.tube.lease is None
    assert hands.run.state == "STOPPING"


def test_guards_act_after_the_end_of_the_run_and_in_custody() -> None:
    hands = hot()
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.tube.custody is not None, 20.0)
    assert hands.run.end_state == "ABORTED"
    heat_offs = len(hands.sent("heat_off"))
    hands.at(340.0)
    hands.go(3.0)
    assert hands.tube.latched == ("over_temperature",)
    assert len(hands.sent("heat_off")) == heat_offs + 1
    hands.until(lambda: hands.tube.safe is None, 20.0)
    assert hands.tube.custody is not None


def test_nitrogen_that_fails_in_custody_is_alarmed() -> None:
    hands = hot(bench="standard")
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.tube.custody is not None, 20.0)
    hands.nitrogen(False)
    hands.go(6.0)
    assert "tube/nitrogen_lost" in hands.alarms
    hands.at(290.0)
    hands.go(600.0)
    assert "nitrogen_lost" in hands.tube.latched
    hands.go(70.0)
    by_hand = hands.alarms["tube/safe_flow/by_hand"]["message"]
    assert by_hand.startswith(ROOM_CHECK)
    assert "bypass valve" in by_hand


def test_a_trip_stays_latched_until_cleared_and_reset_and_only_by_its_own_run() -> None:
    hands = hot()
    hands.at(400.0)
    hands.go(2.0)
    hands.at(22.0)
    hands.until(lambda: hands.run.end_state == "ABORTED" and hands.tube.custody is None, 5000.0)
    assert hands.tube.latched == ("over_temperature",)
    assert hands.plan is not None
    again = {"run": "run-2", "plan": hands.plan.plan_hash}
    refused = "refused: tube has tripped (over_temperature); clear and reset that run first"
    assert hands.ask("submit", None, **again) == (refused, False)
    assert hands.ask("reset")[0] == "refused: run-1 is ABORTED; allowed now: CLEAR"
    assert hands.ask("clear")[0] == "refused: say what the cause was (--reason)"
    assert hands.ask("clear", reason="thermocouple had slipped")[1]
    assert hands.tube.latched == ("over_temperature",)
    assert hands.ask("reset")[1]
    assert not hands.tube.latched
    assert hands.run.end_state == "ABORTED"
    assert hands.ask("submit", None, **again)[1]


def test_a_trip_in_the_custody_of_a_stopped_run_is_reset_only_with_its_cause() -> None:
    hands = hot()
    assert hands.ask("stop")[1]
    hands.until(lambda: hands.run.end_state == "STOPPED", 60.0)
    hands.at(400.0)
    hands.go(2.0)
    assert hands.ask("reset")[0] == "refused: say what the cause was (--reason)"
    assert hands.tube.latched == ("over_temperature",)
    hands.at(100.0)
    assert hands.ask("reset", reason="a draught")[1]
    assert not hands.tube.latched
