"""Drying is selective, carbon follows paper and sensitivity table, minutes of overshoot do not count."""

import pytest

from labctl_simulators.batch import Batch
from labctl_simulators.physics.decomposition import Decomposition
from labctl_simulators.physics.electrode import NONPOROUS, Electrode
from labctl_simulators.physics.evaporation import ETHANOL, THF, WATER, Dish, vapour_pressure_pa

FILLED = (8.89, 3.945, 9.0)


def left_percent(dish: Dish) -> tuple[float, ...]:
    now = (dish.thf_g, dish.ethanol_g, dish.water_g)
    return tuple(100 * g / full for g, full in zip(now, FILLED, strict=True))


@pytest.mark.parametrize(
    ("substance", "celsius", "pascal"),
    [(THF, 40, 40223), (ETHANOL, 40, 17903), (WATER, 40, 7404), (WATER, 100, 101047)],
)
def test_vapour_pressures_follow_antoine(substance: int, celsius: float, pascal: float) -> None:
    assert vapour_pressure_pa(substance, celsius) == pytest.approx(pascal, rel=1e-4)


def test_a_day_at_40_degc_takes_thf_and_ethanol_and_leaves_the_water() -> None:
    dish = Dish(*FILLED)
    for _ in range(4 * 360):
        dish.step(10.0, 40.0)
    assert left_percent(dish) == pytest.approx((22, 73, 95), abs=1.0)
    for _ in range(20 * 360):
        dish.step(10.0, 40.0)
    assert left_percent(dish) == pytest.approx((0, 2.5, 65), abs=1.0)
    hours = 0.0
    while dish.water_g > 0.01 * FILLED[2]:
        dish.step(10.0, 100.0)
        hours += 10 / 3600
    assert hours == pytest.approx(3.5, abs=0.1)
    for _ in range(12 * 360):
        dish.step(10.0, 100.0)
    assert dish.thf_g + dish.ethanol_g == 0.0
    assert dish.water_g < 0.01


def fire(peak_c: float, hold_h: float, ramp: float = 5.0, overshoot_k: float = 0.0) -> Decomposition:
    """2 K/min to 350 degC, 5 h, `ramp` to the peak (overshooting for five minutes), hold, cool at 5 K/min."""
    batch, temperature = Decomposition(), 22.0
    while temperature < 350.0:
        batch.step(10.0, temperature)
        temperature += 2.0 / 6
    for _ in range(5 * 360):
        batch.step(10.0, 350.0)
    while temperature < peak_c:
        batch.step(10.0, temperature)
        temperature += ramp / 6
    for second in range(0, int(hold_h * 3600), 10):
        batch.step(10.0, peak_c + (overshoot_k if second < 300 else 0.0))
    while temperature > 450.0:
        batch.step(10.0, temperature)
        temperature -= 5.0 / 6
    return batch


@pytest.mark.parametrize(("peak_c", "carbon"), [(700, 4.2), (800, 2.7), (900, 1.9)])
def test_carbon_after_six_hours_is_the_papers(peak_c: float, carbon: float) -> None:
    assert fire(peak_c, 6.0).carbon_wt_pct == pytest.approx(carbon, abs=0.02)


@pytest.mark.parametrize(
    ("peak_c", "by_hold"),
    [
        (700, {2: 4.79, 4: 4.48, 8: 3.95, 10: 3.73, 12: 3.53}),
        (800, {2: 3.84, 4: 3.15, 8: 2.41, 10: 2.21, 12: 2.09}),
        (900, {2: 2.50, 4: 2.03, 8: 1.86, 10: 1.85, 12: 1.85}),
    ],
)
def test_carbon_falls_with_the_hold(peak_c: float, by_hold: dict[float, float]) -> None:
    assert {hold: fire(peak_c, hold).carbon_wt_pct for hold in by_hold} == pytest.approx(by_hold, abs=0.02)


def test_the_polymer_is_gone_within_an_hour_at_350_degc_and_unharmed_at_100() -> None:
    batch = Decomposition()
    for _ in range(24 * 360):
        batch.step(10.0, 100.0)
    assert (batch.polymer_left, batch.carbon_wt_pct) == (1.0, 0.0)
    for _ in range(360):
        batch.step(10.0, 350.0)
    assert batch.polymer_left < 1e-3


def test_without_polymer_no_carbon_is_left() -> None:
    batch = Decomposition(polymer_g_per_g=0.0)
    for _ in range(360):
        batch.step(10.0, 700.0)
    assert batch.carbon_wt_pct == 0.0


def test_an_overshoot_of_minutes_hardly_raises_the_effective_temperature() -> None:
    assert fire(800.0, 2.0).peak_c == pytest.approx(800.0, abs=0.1)
    assert fire(800.0, 2.0, overshoot_k=4.0).peak_c < 801.0


@pytest.mark.parametrize(("peak_c", "carbon"), [(700.0, 4.2), (800.0, 2.7), (900.0, 1.9)])
def test_powder_that_is_there_already_was_fired_as_the_paper_fired_it(peak_c: float, carbon: float) -> None:
    batch = Batch(fired_c=peak_c)
    assert batch.heat.carbon_wt_pct == pytest.approx(carbon, abs=0.1)
    assert batch.heat.peak_c == pytest.approx(peak_c, abs=1.0)
    assert batch.dish.dry


def test_what_a_cathode_is_depends_on_how_it_was_made() -> None:
    assert Batch(polymer_g_per_g=0.0).electrode is NONPOROUS
    assert Batch(fired_c=900.0).electrode == Electrode()
    assert Batch(fired_c=800.0).electrode.capacity_mah_per_g == pytest.approx(115.7)
