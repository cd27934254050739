"""A forecast against runs on plants that are off, what it sees of the plant, and that it ends."""

from __future__ import annotations

import pytest

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.engine.steps import BEHAVIOURS
from labctl.forecast import Forecast, ForecastError, Rehearsal, forecast
from labctl.forecast.coarse import litres_of, steps_of
from labctl.forecast.profile import above, celsius_at, profile_of
from labctl.protocol.plan import Cool, Heat, Plan
from labctl.protocol.validation import check_text, load_plan
from labctl.runtime.record import InMemory

FURNACE = "short-furnace"
DRYING = """\
protocol: drying
title: An hour of drying
roles: {dryer: solvent_dryer}
product: {formula: Na3V2(PO4)3, mass: 1.0 g}
charge: {thf: 10 mL, ethanol: 5 mL, water: 9 mL}
steps:
  - {id: test, manual: {do: Test the THF for peroxides, enter: {peroxide: {unit: ppm, min: 0, max: 20}}}}
  - {id: pour, manual: {do: Pour into the dish, into: dryer}}
  - {id: evaporate, heat: {with: dryer, to: 40 degC, hold: 1 h, band: 2 K, after: cool}}
"""


def planned_on(bench: Bench, text: str) -> Plan:
    plan, findings = check_text(text, "p.yaml", {}, bench)
    assert plan is not None, findings
    return plan


@pytest.fixture(scope="module")
def small() -> Bench:
    return load_bench("small")


@pytest.fixture(scope="module")
def planned(small: Bench) -> Forecast:
    return forecast(small, drivers(), load_plan(FURNACE, {}, small)[0])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_duration_gas_and_end_temperatures_hold_on_a_perturbed_plant(
    small: Bench, planned: Forecast, seed: int
) -> None:
    """Every scan of a run, on a plant with other heaters, thermometers, flows and rooms: within 5 %."""
    plan, record = load_plan(FURNACE, {}, small)[0], InMemory()
    with Rehearsal(small, drivers(), plan, seed=seed, record=record) as rehearsal:
        rehearsal.submit("run", {})
        rehearsal.controller.run(lambda: rehearsal.ended("run"))
        run = rehearsal.controller.state.runs["run"]
    assert run.state == "COMPLETE"
    ended_s = max(step["ended_s"] for step in run.done.values())
    assert ended_s == pytest.approx(planned.duration_s, rel=0.05)
    heated = [s.id for s in plan.steps if isinstance(s, Heat | Cool)]
    went = {s.id: s.end_c for s in steps_of(plan, run.done, profile_of(record)) if s.id in heated}
    assert went == pytest.approx({s.id: s.end_c for s in planned.steps if s.id in heated}, rel=0.05)
    assert litres_of(record) == pytest.approx(planned.nitrogen_l, rel=0.05)


def test_what_a_run_keeps_of_its_forecast_is_what_it_is_judged_by(planned: Forecast) -> None:
    kept = planned.to_json()
    assert set(kept) == {"duration_s", "steps", "nitrogen_l", "energy_kwh", "attention", "profile"}
    assert set(kept["steps"][0]) == {"id", "kind", "start_s", "end_s", "setpoint", "hold_s"}
    assert planned.gas_l == {"nitrogen": planned.nitrogen_l}


def test_oxygen_in_a_hot_tube_is_seen_whatever_its_analyser_shows(planned: Forecast) -> None:
    (hot,) = planned.margins.oxygen  # 300 degC: above 200, not above 400
    assert (hot.chamber, hot.above_c, hot.allowed_ppm, hot.ok) == ("tube", 200.0, 100.0, True)
    assert 2.0 <= hot.ppm < 100.0


def test_a_tube_that_leaks_is_forecast_with_its_leak(small: Bench, planned: Forecast) -> None:
    """0.05 sccm of air in 200 sccm are 52 ppm more (washout law)."""
    leaky = small.chambers["tube"].model_copy(update={"leak_sccm": 0.05})
    bench = small.model_copy(update={"chambers": {**small.chambers, "tube": leaky}})
    (hot,) = forecast(bench, drivers(), load_plan(FURNACE, {}, bench)[0]).margins.oxygen
    assert hot.ppm - planned.margins.oxygen[0].ppm == pytest.approx(52.0, abs=10.0)


def test_the_strongest_evaporation_says_how_much_air_it_wants() -> None:
    """3 L/min for a quarter of the limit at K = 7e-7 m3/s (reference); here K is 1e-6, and ethanol adds to it."""
    bench = load_bench("standard")
    plan = planned_on(bench, DRYING)
    (vapour,) = forecast(bench, drivers(), plan).margins.vapour
    assert vapour.chamber == "drying-oven"
    assert 3.0 < vapour.needed_l_per_min < 6.0
    assert vapour.of_limit is None
    assert not vapour.ok, "an exhaust that nobody measured proves nothing"
    drawn = bench.chambers["drying-oven"].model_copy(update={"exhaust_l_per_min": 2.0})
    weak = bench.model_copy(update={"chambers": {**bench.chambers, "drying-oven": drawn}})
    (vapour,) = forecast(weak, drivers(), planned_on(weak, DRYING)).margins.vapour
    assert vapour.of_limit == pytest.approx(0.25 * vapour.needed_l_per_min / 2.0)
    assert not vapour.ok


def test_a_forecast_that_would_wait_for_ever_ends_with_a_reason(
    small: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step whose behaviour never comes to its end, as a mistake in one would be."""
    text = "protocol: p\ntitle: t\nroles: {}\nsteps:\n  - {id: rest, wait: {for: 1 min}}\n"
    monkeypatch.setitem(BEHAVIOURS, "wait", lambda *_: None)
    with pytest.raises(ForecastError, match=r"nothing has changed for 3 h; it is in rest"):
        forecast(small, drivers(), planned_on(small, text))


def test_a_profile_is_read_between_its_points() -> None:
    points = ((0.0, 20.0), (10.0, 40.0), (20.0, None), (30.0, 25.0), (40.0, 25.0))
    assert celsius_at(points, 5.0) == 30.0
    assert celsius_at(points, 15.0) == 40.0
    assert celsius_at(points, 25.0) is None
    assert celsius_at(points, 99.0) == 25.0
    assert celsius_at((), 1.0) is None


def test_where_a_profile_passes_a_temperature_is_read_between_its_points_too() -> None:
    points = ((0.0, 50.0), (10.0, 250.0), (80.0, 250.0), (100.0, 50.0), (110.0, None))
    assert above(points, 150.0) == (5.0, 90.0)
    assert above(points, 300.0) is None
    assert above(points[1:3], 150.0) == (10.0, 80.0)
    assert above((), 150.0) is None
