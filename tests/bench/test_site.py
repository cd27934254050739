"""Working hours and prices mean what they say, and what they cannot mean is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.bench.loader import find_bench, load_bench
from labctl.bench.site import Price, WorkingHours, read_prices
from labctl.errors import ValidationError

MON, THU, FRI, SAT, SUN = 0, 3, 4, 5, 6


def test_each_day_has_its_own_hours() -> None:
    hours = WorkingHours.parse("Mon-Thu 08:00-18:00, Fri 08:00-14:00")
    assert hours.staffed(MON, 8 * 60)
    assert hours.staffed(THU, 18 * 60)
    assert not hours.staffed(THU, 18 * 60 + 1)
    assert hours.staffed(FRI, 13 * 60)
    assert not hours.staffed(FRI, 15 * 60)
    assert not hours.staffed(SAT, 10 * 60)


def test_days_may_go_over_the_weekend() -> None:
    hours = WorkingHours.parse("Sat-Mon 09:00-24:00")
    assert all(hours.staffed(day, 10 * 60) for day in (SAT, SUN, MON))
    assert not hours.staffed(FRI, 10 * 60)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "always",
        "Mon-Fri 8-18",
        "Mo-Fr 08:00-18:00",
        "Mon 18:00-08:00",
        "Mon 08:61-09:00",
        "Mon 08:00-25:00",
    ],
)
def test_hours_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours|no day"):
        WorkingHours.parse(text)


def test_a_price_is_of_a_kwh_or_of_a_litre_of_gas() -> None:
    priced = read_prices({"electricity": "300 EUR/MWh", "nitrogen": "12 EUR/m3"})
    assert priced == {"electricity": Price(0.3, "EUR"), "N2": Price(0.012, "EUR")}


@pytest.mark.parametrize(
    "prices",
    [
        {"electricity": "0.30 EUR"},
        {"electricity": "0.30 EUR/m3"},
        {"N2": "1 EUR/kWh"},
        {"water": "1 EUR/m3"},
        {"nitrogen": "1 EUR/m3", "N2": "2 EUR/m3"},
        {"electricity": "0.30 EUR/kWh", "N2": "12 USD/m3"},
        {"N2": "-1 EUR/m3"},
    ],
)
def test_a_price_that_means_nothing_is_refused(prices: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"price|currency"):
        read_prices(prices)


def test_a_mistake_is_found_on_its_line_and_money_is_no_part_of_the_identity(tmp_path: Path) -> None:
    text = find_bench("small").read_text()
    (tmp_path / "bench.yaml").write_text(text + "working_hours: Mon-Fri 8-18\n")
    with pytest.raises(ValidationError) as refused:
        load_bench(tmp_path)
    (finding,) = refused.value.findings
    assert (finding.rule, finding.line) == ("SCH-003", len(text.splitlines()) + 1)
    assert "Mon-Fri 08:00-18:00" in finding.message
    (tmp_path / "bench.yaml").write_text(
        text + "working_hours: Mon-Sun 00:00-24:00\nprices: {electricity: 0.30 EUR/kWh}\n"
    )
    assert load_bench(tmp_path).identity == load_bench("small").identity
    assert load_bench("small").hours.text == "Mon-Fri 08:00-18:00"
