"""What is around a tube, end to end: a small furnace in virtual time, judged on what is really the case."""

from __future__ import annotations

import pytest

from tests.engine.test_trips import PROTECTIVE_SCCM, Furnace, furnace


def flow(hot: Furnace) -> float:
    return hot.truth("gas", "flow_sccm")


def ended(hot: Furnace) -> None:
    """Nothing is left to watch, and the tube is cold."""
    hot.until(lambda: hot.run.end_state is not None and hot.tube.custody is None, 40_000.0)
    assert hot.truth("furnace", "tube_c") < 62.0
    assert not hot.truth("services", "contactor")


def test_a_run_needs_its_contactor_and_its_bypass_is_closed_for_it() -> None:
    with furnace() as hot:
        assert hot.truth("services", "contactor") == 1.0
        assert hot.truth("services", "bypass") == 0.0
        assert flow(hot) == pytest.approx(200.0, rel=0.01)


def test_an_exhaust_that_blocks_while_heating_turns_the_heat_off_and_no_pressure_stays() -> None:
    with furnace() as hot:
        hot.fault("furnace", "exhaust_blocked", over_s=60.0)
        hot.until(lambda: "tube_pressure" in hot.tube.latched, 120.0)
        since = hot.now
        assert hot.truth("services", "tube_bar") < 0.25
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 10.0)
        assert hot.now - since <= 3.0
        hot.go(60.0)
        while hot.truth("furnace", "tube_c") > 110.0:
            hot.go(10.0)
            assert 0.0 <= hot.truth("services", "tube_bar") < 0.101
        hot.until(lambda: hot.run.end_state == "ABORTED", 60.0)
        ended(hot)


@pytest.mark.parametrize(
    ("instrument", "kind", "parameters", "guard"),
    [
        ("furnace", "cracked_tube", {}, "tube_integrity"),
        ("io", "contact_open", {"contact": "limiter"}, "limiter"),
        ("io", "contact_open", {"contact": "estop"}, "estop_contact"),
    ],
)
def test_a_crack_a_limiter_and_an_e_stop_abort_with_nitrogen_on(
    instrument: str, kind: str, parameters: dict[str, str], guard: str
) -> None:
    with furnace() as hot:
        since = hot.now
        hot.fault(instrument, kind, **parameters)
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 40.0)
        assert hot.now - since <= 8.0
        hot.go(2.0)
        assert guard in hot.tube.latched
        while hot.truth("furnace", "tube_c") > 110.0:
            hot.go(10.0)
            assert flow(hot) >= 0.98 * PROTECTIVE_SCCM
        ended(hot)
        assert hot.run.end_state == "ABORTED"


@pytest.mark.parametrize(
    ("instrument", "kind", "parameters", "guard"),
    [
        ("io", "contact_open", {"contact": "extraction"}, "extraction"),
        ("furnace", "opened", {}, "door"),
        ("io", "room_air", {"oxygen_pct": 17.0}, "room_oxygen"),
        ("io", "room_air", {"co_ppm": 80.0, "oxygen_pct": 20.9}, "room_co"),
    ],
)
def test_extraction_door_and_room_air_hold_cool_with_nitrogen_on_until_a_person_restarts(
    instrument: str, kind: str, parameters: dict[str, float], guard: str
) -> None:
    with furnace() as hot:
        hot.fault(instrument, kind, **parameters)
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 10.0)
        assert next(t["guard"] for t in hot.of("tripped")) == guard
        hot.until(lambda: hot.run.state == "HELD", 60.0)
        hot.go(30.0)
        assert flow(hot) >= PROTECTIVE_SCCM
        assert hot.truth("services", "beacon") == float(kind == "room_air")
        hot.faults.clear(instrument)
        hot.until(
            lambda: hot.truth("gas", "oxygen_ppm") < 1000.0, 3600.0
        )  # a tube that was open is full of air
        hot.go(30.0)
        hot.ask("restart")
        hot.until(lambda: hot.run.end_state is not None, 20_000.0)
        assert hot.run.end_state == "COMPLETE"
        assert not hot.truth("services", "beacon")


def test_a_cylinder_that_runs_out_takes_the_heat_and_opens_the_bypass() -> None:
    with furnace() as hot:
        hot.fault("io", "cylinder_empty")
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 20.0)
        hot.go(30.0)
        assert hot.truth("services", "bypass") == 1.0
        hot.faults.clear("io")  # a full cylinder
        hot.until(lambda: flow(hot) >= PROTECTIVE_SCCM, 30.0)


def test_a_module_that_is_gone_lets_go_of_the_contactor_and_the_run_is_held_cold() -> None:
    with furnace() as hot:
        hot.fault("io", "power")
        hot.until(lambda: hot.truth("furnace", "heater_w") == 0.0, 10.0)
        hot.until(lambda: hot.run.state in ("HOLDING", "HELD", "ABORTING", "ABORTED"), 60.0)
        assert flow(hot) >= PROTECTIVE_SCCM
