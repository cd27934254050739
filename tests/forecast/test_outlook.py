"""A forecast on a day: who is wanted when, the best start, and what is left in the cylinders."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.forecast import Forecast
from labctl.forecast.margins import Margins
from labctl.forecast.outlook import BEGIN, Outlook, Stock, Take, outlook
from labctl.protocol.plan import Heat, Plan, Segment

H = 3600.0
MONDAY = datetime(2026, 1, 5, 9)


def forecast_of(
    *attention_h: float, hours: float = 30.0, litres: float = 200.0, kwh: float = 10.0
) -> Forecast:
    wanted = tuple((h * H, f"at {h:g} h") for h in attention_h)
    return Forecast(hours * H, (), litres, kwh, wanted, {}, {"nitrogen": litres}, Margins((), ()))


def plan_on(bench: Bench, to_c: float = 800.0) -> Plan:
    heat = Heat(
        id="heat", heater="furnace", chamber="tube", segments=(Segment(target_c=to_c, ramp_k_per_min=5, hold_s=60),),
        band_k=5, atmosphere="inert", catch_up_s=60, timeout_s=600,
    )  # fmt: skip
    return Plan(protocol="p", title="", steps=(heat,), bench_identity=bench.identity, simulated=True)


@pytest.fixture
def bench() -> Bench:
    return load_bench("standard")


def look(
    bench: Bench,
    planned: Forecast,
    stock: Stock | None = None,
    *,
    start: datetime | None = None,
    finish: datetime | None = None,
) -> Outlook:
    known = stock or Stock.of_file(bench)
    return outlook(bench, plan_on(bench), planned, known, start=start, finish=finish, now=MONDAY)


def test_somebody_starts_it_and_is_told_when_they_come_back(bench: Bench) -> None:
    view = look(bench, forecast_of(4.5, 12.0), start=MONDAY)
    assert [(m.what, m.when, m.staffed) for m in view.moments] == [
        (BEGIN, MONDAY, True),
        ("at 4.5 h", MONDAY + timedelta(hours=4.5), True),
        ("at 12 h", MONDAY + timedelta(hours=12), False),
    ]
    assert (view.outside, view.end) == (1, MONDAY + timedelta(hours=30))


def test_who_is_wanted_at_the_start_anyway_is_not_counted_twice(bench: Bench) -> None:
    assert len(look(bench, forecast_of(0.0, 1.0), start=MONDAY).moments) == 2


def test_the_best_start_is_the_first_with_everybody_within_working_hours(bench: Bench) -> None:
    planned = forecast_of(14.0)  # at 9 it would be 23:00; at 18:00 it is 8:00
    best = look(bench, planned, start=MONDAY).best
    assert (best.when, best.outside) == (MONDAY.replace(hour=18), 0)


def test_without_a_start_that_suits_the_one_with_the_fewest_is_named(bench: Bench) -> None:
    planned = forecast_of(11.0, 12.0, 13.0)  # no 10 h of working hours hold all of them
    best = look(bench, planned, start=MONDAY).best
    assert (best.when, best.outside) == (MONDAY.replace(hour=21), 1)


def test_the_latest_start_for_an_end_counts_back_and_asks_for_people_too(bench: Bench) -> None:
    finish = datetime(2026, 1, 9, 12)
    view = look(bench, forecast_of(14.0), finish=finish)
    assert view.start == view.latest == finish - timedelta(hours=30)
    assert view.end == finish
    assert view.outside == 2  # begun on Thursday at 6, and wanted at 20
    assert view.latest_staffed == datetime(2026, 1, 7, 18)
    assert not view.late
    both = look(bench, forecast_of(14.0), start=finish - timedelta(hours=29), finish=finish)
    assert (both.late, both.latest) == (True, view.latest)


def test_what_others_still_take_is_not_there_for_this_plan(bench: Bench) -> None:
    planned = forecast_of(litres=200.0)
    stock = Stock({"nitrogen-cylinder": 800.0}, (Take("run-1", {"nitrogen": 500.0}),))
    (gas,) = look(bench, planned, stock).gas
    assert (gas.left_l, gas.enough) == (100.0, True)  # 300 L are there, 250 wanted
    tight = Stock({"nitrogen-cylinder": 740.0}, stock.takes)
    (gas,) = look(bench, planned, tight).gas
    assert (gas.left_l, gas.enough) == (40.0, False)


def test_a_cylinder_with_a_known_full_pressure_says_how_many_bar_are_left(bench: Bench) -> None:
    supply = bench.supplies["nitrogen-cylinder"].model_copy(update={"full_bar": 200.0})
    gauged = bench.model_copy(update={"supplies": {"nitrogen-cylinder": supply}})
    (gas,) = look(gauged, forecast_of(litres=9600.0)).gas
    assert gas.left_bar == pytest.approx(8.0)
    assert gas.low  # below the 10 bar that stay in a cylinder
    lower = gauged.model_copy(
        update={"supplies": {"nitrogen-cylinder": supply.model_copy(update={"reserve_bar": 5.0})}}
    )
    assert not look(lower, forecast_of(litres=9600.0)).gas[0].low


def test_power_and_gas_cost_what_the_bench_says(bench: Bench) -> None:
    assert look(bench, forecast_of()).cost is None
    priced = bench.model_copy(update={"prices": {"electricity": "0.30 EUR/kWh", "nitrogen": "12 EUR/m3"}})
    cost = look(priced, forecast_of(litres=250.0, kwh=20.0)).cost
    assert cost is not None
    assert [cost.electricity, cost.gas, cost.total] == pytest.approx([6.0, 3.0, 9.0])
    assert cost.currency == "EUR"


def test_protections_that_a_hot_tube_lacks_are_told(bench: Bench) -> None:
    known = Stock.of_file(bench)
    hot = outlook(bench, plan_on(bench), forecast_of(), known, start=MONDAY, finish=None, now=MONDAY)
    assert {*hot.lost["tube"]} == {"extraction", "tube pressure", "limiter contact", "door"}
    warm = outlook(bench, plan_on(bench, 100.0), forecast_of(), known, start=MONDAY, finish=None, now=MONDAY)
    assert warm.lost == {}


def test_somebody_stays_while_a_tube_is_hot_that_is_not_protected_by_itself(bench: Bench) -> None:
    curve = ((0.0, 50.0), (2 * H, 250.0), (8 * H, 250.0), (10 * H, 50.0), (11 * H, None))
    hot = replace(forecast_of(), profile={"furnace": curve})
    (stay,) = look(bench, hot, start=MONDAY).stays
    assert (stay.chamber, stay.begin, stay.end) == ("tube", MONDAY.replace(hour=10), MONDAY.replace(hour=18))
    guarded = load_bench("small")
    view = outlook(
        guarded, plan_on(guarded), hot, Stock.of_file(guarded), start=MONDAY, finish=None, now=MONDAY
    )
    assert (view.stays, view.lost) == ((), {})
