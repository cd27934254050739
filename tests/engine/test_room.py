"""What an I/O module tells: each signal acts at its limit, not just inside it, in whatever state the run is in."""

from __future__ import annotations

import pytest

from labctl.engine.decide import instruments_in_use, period_s
from labctl.engine.safe import ROOM_CHECK
from labctl.model.commands import Command
from labctl.model.readings import BAD, SILENT
from labctl.protocol.plan import Charge
from tests.engine.bench import Hands, bundled, dry, inert, purge, ramp


def wired(*steps: object, bench: object = None) -> Hands:
    """The small bench with its I/O module, in the hands of a test."""
    heat = inert(segments=(ramp(300.0, 1e6),), timeout_s=2e6)
    return Hands(*(steps or (purge(timeout_s=1e5), heat)), bench=bench or bundled("small"))  # type: ignore[arg-type]


def hot(celsius: float = 300.0) -> Hands:
    """The tube under nitrogen, heated, with all around it well."""
    hands = wired()
    hands.heated(celsius)
    assert hands.values["io.contactor"] == 1.0
    hands.go(65.0)
    assert raised(hands) == [] == trips(hands)
    return hands


def trips(hands: Hands) -> list[str]:
    return [t["guard"] for t in hands.of("tripped")]


def raised(hands: Hands) -> list[str]:
    return [name for name, alarm in hands.state.alarms.items() if alarm["active"]]


def switched(hands: Hands, output: str) -> list[bool]:
    return [bool(c.args["on"]) for c in hands.sent("set_output") if c.args["name"] == output]


def flows(commands: list[Command]) -> list[float]:
    return [c.args["flow_sccm"] for c in commands if c.verb == "set_flow"]


# -- contacts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("contact", ["limiter", "estop"])
def test_a_limiter_or_an_e_stop_that_opens_aborts_latched_takes_the_power_and_keeps_the_gas(
    contact: str,
) -> None:
    hands = hot()
    before = len(hands.commands)
    hands.values[f"io.{contact}"] = 0.0
    hands.scan()
    assert trips(hands) == []
    hands.scan()
    assert trips(hands) == ["limiter" if contact == "limiter" else "estop_contact"]
    assert hands.run.state == "ABORTING"
    assert hands.tube.lease is None
    hands.scan()
    assert hands.values["io.contactor"] == 0.0
    assert min(flows(hands.commands[before:]), default=200.0) >= 100.0
    assert hands.values["io.bypass"] == 0.0


@pytest.mark.parametrize("contact", ["extraction", "water"])
def test_lost_extraction_or_water_turns_the_heater_off_and_keeps_the_gas(contact: str) -> None:
    hands = hot()
    hands.values[f"io.{contact}"] = 0.0
    hands.go(2.0)
    assert (trips(hands), hands.run.state, hands.run.hold) == ([contact], "HOLDING", "cool")
    hands.go(15.0)
    assert hands.run.state == "HELD"
    assert (hands.values["furnace.output"], hands.values["io.contactor"]) == (0.0, 0.0)
    assert hands.values["nitrogen.flow"] == 200.0
    assert hands.tube.latched == ()
    assert not hands.state.alarms[f"tube/{contact}"]["message"].startswith("None")


def test_one_open_scan_of_a_contact_is_no_trip() -> None:
    hands = hot()
    for closed in (0.0, 1.0, 0.0, 1.0):
        hands.values["io.limiter"] = hands.values["io.extraction"] = closed
        hands.scan()
    assert trips(hands) == []


def test_extraction_that_fails_beside_a_cold_tube_is_an_alarm_and_no_more() -> None:
    hands = wired()
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("purge", "wash")
    hands.values["io.extraction"] = 0.0
    hands.go(5.0)
    assert raised(hands) == ["tube/extraction"]
    assert hands.run.state == "RUNNING"


def test_a_limiter_that_trips_in_custody_opens_the_contactor_and_stays_latched() -> None:
    hands = hot()
    assert hands.ask("abort")[1]
    hands.until(lambda: hands.tube.custody is not None, 60.0)
    hands.values["io.limiter"] = 0.0
    hands.go(3.0)
    assert hands.tube.latched == ("limiter",)
    hands.until(lambda: hands.tube.safe is None, 60.0)
    assert hands.tube.custody is not None
    assert hands.values["nitrogen.flow"] == 200.0


def test_a_held_run_loses_its_heat_with_the_extraction() -> None:
    hands = hot()
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.tube.lease is not None
    hands.values["io.extraction"] = 0.0
    hands.go(3.0)
    assert hands.tube.lease is None


def test_a_contact_that_cannot_be_read_holds_after_a_while_and_keeps_the_heat() -> None:
    hands = hot()
    hands.quality["io.limiter"] = BAD
    hands.go(14.0)
    assert hands.run.state == "RUNNING"
    hands.go(4.0)
    assert (hands.run.state, hands.run.hold) in (("HOLDING", "maintain"), ("HELD", "maintain"))
    assert hands.tube.lease is not None
    assert "no good reading of limiter from io" in hands.state.alarms["tube/limiter"]["message"]


def test_a_module_that_is_silent_is_told_once() -> None:
    hands = hot()
    hands.silence("io")
    hands.go(40.0)
    assert raised(hands) == ["tube/io/silent"]
    assert hands.quality["io.limiter"] is SILENT
    assert hands.run.state == "HELD"


# -- doors -----------------------------------------------------------------------------------------


def test_a_tube_opened_hot_loses_its_heat_and_its_purge_proof() -> None:
    hands = hot()
    hands.values["io.door"] = 0.0
    hands.go(2.0)
    assert trips(hands) == ["door"]
    assert not hands.tube.purged
    assert hands.of("purge_voided")[-1]["cause"] == "tube opened"
    assert hands.state.alarms["tube/door"]["message"].startswith(ROOM_CHECK)
    assert hands.of("door") == [{"chamber": "tube", "open": True}]
    hands.values["io.door"] = 1.0
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    hands.at(160.0)
    assert hands.ask("restart")[1]
    hands.go(60.0)
    assert hands.tube.lease is None
    hands.phase("heat", "ramp", 3000.0)
    assert hands.of("purge_proven")[-1]["volumes"] >= 8.0


def oven_with_door(solvent: bool) -> Hands:
    bench = bundled("small")
    oven = bench.chambers["drying-oven"]
    guards = (*oven.guards, next(g for g in bench.chambers["tube"].guards if g.guard == "door"))
    oven = oven.model_copy(update={"io": oven.io | {"door": "io.door"}, "guards": guards})
    bench = bench.model_copy(update={"chambers": {**bench.chambers, "drying-oven": oven}})
    hands = Hands(dry(), bench=bench, charge=Charge(thf_g=8.9) if solvent else None)
    hands.start()
    hands.phase("dry", "ramp")
    hands.scan()
    return hands


def test_an_oven_door_is_logged_and_alarmed_after_five_minutes() -> None:
    hands = oven_with_door(solvent=False)
    hands.values["io.door"] = 0.0
    hands.go(290.0)
    assert (raised(hands), hands.run.state) == ([], "RUNNING")
    assert {"chamber": "drying-oven", "open": True} in hands.of("door")
    hands.go(30.0)
    assert raised(hands) == ["drying-oven/door"]
    assert hands.run.state == "RUNNING"
    hands.values["io.door"] = 1.0
    hands.scan()
    assert {"chamber": "drying-oven", "open": False} in hands.of("door")


def test_an_oven_opened_with_solvent_in_it_is_switched_off() -> None:
    hands = oven_with_door(solvent=True)
    hands.values["io.door"] = 0.0
    hands.go(20.0)
    assert trips(hands) == ["door"]
    assert hands.sent("heat_off")


def test_a_dryer_heats_again_only_after_its_exhaust_drew_five_volumes() -> None:
    hands = Hands(dry(), bench=bundled("small"))
    hands.start()
    hands.phase("dry", "ramp")
    hands.scan()
    hands.values["io.extraction"] = 0.0
    hands.go(20.0)
    assert (trips(hands), [c.verb for c in hands.commands if c.instrument == "oven"][-1]) == (
        ["extraction"],
        "heat_off",
    )
    hands.until(lambda: hands.run.state == "HELD", 100.0)
    hands.values["io.extraction"] = 1.0
    heats = len(hands.sent("heat"))
    hands.scan()
    assert hands.ask("restart")[1]
    # 53 L five times at 500 L/min
    hands.go(20.0)
    assert len(hands.sent("heat")) == heats
    hands.go(20.0)
    assert len(hands.sent("heat")) == heats + 1


def test_where_nobody_measured_the_exhaust_a_person_says_that_a_dryer_is_clear() -> None:
    bench = bundled("small")
    oven = bench.chambers["drying-oven"].model_copy(update={"exhaust_l_per_min": None})
    bench = bench.model_copy(update={"chambers": {**bench.chambers, "drying-oven": oven}})
    hands = Hands(dry(), bench=bench)
    hands.start()
    hands.phase("dry", "ramp")
    hands.scan()
    hands.values["io.extraction"] = 0.0
    hands.until(lambda: hands.run.state == "HELD", 100.0)
    hands.values["io.extraction"] = 1.0
    hands.go(600.0)
    assert hands.ask("restart")[1]
    heats = len(hands.sent("heat"))
    hands.go(600.0)
    assert len(hands.sent("heat")) == heats
    assert hands.step("dry").data["waits_for"] == ["exhaust"]
    assert hands.ask("hold")[1]
    hands.until(lambda: hands.run.state == "HELD", 100.0)
    assert hands.ask("restart", reason="aired for an hour, no smell")[1]
    hands.go(30.0)
    assert len(hands.sent("heat")) == heats + 1


# -- the room --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "well", "alarm", "still", "trip"),
    [("room_oxygen", 19.5, 19.4, 18.0, 17.9), ("room_co", 30.0, 31.0, 60.0, 61.0)],
)
def test_bad_room_air_lights_the_beacon_and_then_takes_the_heat_but_never_the_nitrogen(
    signal: str, well: float, alarm: float, still: float, trip: float
) -> None:
    hands = hot()
    before = len(hands.commands)
    hands.values[f"io.{signal}"] = well
    hands.go(5.0)
    assert raised(hands) == []
    hands.values[f"io.{signal}"] = alarm
    hands.go(3.0)
    assert raised(hands) == [f"tube/{signal}"]
    assert "DO NOT ENTER" in hands.state.alarms[f"tube/{signal}"]["message"]
    hands.scan()
    assert hands.values["io.beacon"] == 1.0
    hands.values[f"io.{signal}"] = still
    hands.go(5.0)
    assert hands.run.state == "RUNNING"
    hands.values[f"io.{signal}"] = trip
    hands.go(2.0)
    assert (trips(hands), hands.run.hold) == ([signal], "cool")
    hands.go(20.0)
    assert min(flows(hands.commands[before:]), default=200.0) >= 200.0
    hands.values[f"io.{signal}"] = well
    hands.go(40.0)
    assert hands.values["io.beacon"] == 0.0


def test_bad_room_air_is_told_in_an_idle_laboratory_too() -> None:
    hands = wired()
    hands.go(20.0)
    hands.values["io.room_oxygen"] = 19.0
    hands.go(15.0)
    assert raised(hands) == ["tube/room_oxygen"]
    assert hands.values["io.beacon"] == 1.0
    assert hands.tube.flow_sccm == 0.0


# -- outputs ---------------------------------------------------------------------------------------


def test_the_bypass_is_closed_while_it_is_not_needed_and_opened_when_nitrogen_is_not_seen_to_flow() -> None:
    hands = hot()
    assert hands.values["io.bypass"] == 0.0
    hands.nitrogen(False)
    hands.go(14.0)
    assert hands.values["io.bypass"] == 0.0
    hands.go(5.0)
    assert hands.values["io.bypass"] == 1.0
    hands.nitrogen(True)
    hands.go(30.0)
    assert hands.values["io.bypass"] == 1.0
    hands.go(60.0)
    assert hands.values["io.bypass"] == 0.0


def test_a_contactor_that_opens_by_itself_takes_the_demand_away_and_closes_for_a_restart() -> None:
    hands = hot()
    hands.values["io.contactor"] = 0.0
    hands.go(2.0)
    assert trips(hands) == ["contactor"]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.values["furnace.output"] == 0.0
    assert hands.ask("restart")[1]
    hands.phase("heat", "ramp", 200.0)
    assert hands.values["io.contactor"] == 1.0


def test_the_contactor_is_closed_for_heat_alone() -> None:
    hands = wired()
    hands.values["oxygen.oxygen"] = 5.0
    hands.start()
    hands.phase("heat", "permissives", 3000.0)
    assert switched(hands, "contactor") == []
    hands.phase("heat", "ramp", 100.0)
    assert switched(hands, "contactor") == [True]
    first_heat = next(i for i, c in enumerate(hands.commands) if c.verb == "heat")
    assert hands.commands[first_heat - 1].args == {"name": "contactor", "on": True}


def test_the_e_stop_file_opens_the_contactor_even_of_a_module_that_does_not_answer() -> None:
    hands = hot()
    hands.silence("io")
    hands.estop = True
    hands.scan()
    assert switched(hands, "contactor")[-1] is False
    assert hands.run.state == "ABORTING"
    sent = len(switched(hands, "contactor"))
    hands.values["io.contactor"] = None  # what it was sent is not to be read
    hands.go(11.0)
    assert len(switched(hands, "contactor")) == sent + 1


def test_the_bypass_stays_closed_in_an_idle_laboratory() -> None:
    hands = wired()
    hands.go(20.0)
    assert switched(hands, "bypass") == [False]
    assert "io" in instruments_in_use(hands.context, hands.state)


def test_a_module_is_read_often_enough_for_its_watchdog_whatever_is_in_use() -> None:
    hands = Hands(dry(), bench=bundled("small"))
    hands.start()
    assert period_s(hands.context, hands.state) <= 4.0


def test_an_expired_watchdog_is_armed_again() -> None:
    hands = hot()
    hands.values["io.watchdog"] = 2.0
    hands.values["io.contactor"] = 0.0
    hands.go(2.0)
    assert [c.verb for c in hands.commands if c.verb == "arm"] == ["arm"]
    assert trips(hands) == ["contactor"]


def test_an_e_stop_that_cannot_be_read_holds_the_run_warm() -> None:
    hands = hot()
    hands.quality["io.estop"] = BAD
    hands.go(14.0)
    assert trips(hands) == []
    hands.go(3.0)
    assert trips(hands) == ["estop_contact"]
    assert (hands.run.hold, hands.tube.latched) == ("maintain", ())


def test_a_cold_tube_may_be_open() -> None:
    hands = wired()
    hands.start()
    hands.values["io.door"] = 0.0
    hands.go(60.0)
    assert trips(hands) == [] == raised(hands)
