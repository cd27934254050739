"""The reference furnace behaves like its published targets, and a cold one costs nothing."""

from copy import copy

import pytest

from labctl_simulators.physics.furnace import TubeFurnace


class Loop:
    """PID, derivative on the process value, conditional anti-windup: the loop of the targets."""

    def __init__(self) -> None:
        self.integral = 0.0
        self.last: float | None = None

    def duty(self, setpoint: float, measured: float) -> float:
        error = setpoint - measured
        slope = 0.0 if self.last is None else measured - self.last
        self.last = measured
        duty = (error + self.integral - 40.0 * slope) / 20.0
        if 0.0 < duty < 1.0 or (duty >= 1.0) == (error < 0.0):
            self.integral += error / 600.0
        return duty


@pytest.fixture(scope="module")
def soaked() -> tuple[TubeFurnace, float]:
    """A furnace after 5 K/min to 900 degC and three hours there, and its overshoot in K."""
    furnace, loop = TubeFurnace(ambient_c=25.0), Loop()
    setpoint, highest = 25.0, 0.0
    for _ in range(21_300):
        setpoint = min(900.0, setpoint + 5.0 / 60.0)
        furnace.set_duty(loop.duty(setpoint, furnace.thermocouple_c))
        furnace.step(1.0, 25.0, 200.0)
        highest = max(highest, furnace.tube_c)
    return furnace, highest - 900.0


def test_holding_900_degc_takes_483_w_and_overshoots_by_less_than_5_k(
    soaked: tuple[TubeFurnace, float],
) -> None:
    furnace, overshoot_k = soaked
    assert furnace.heater_w == pytest.approx(483.0, rel=0.02)
    assert furnace.sample_c == pytest.approx(900.0, abs=1.0)
    assert 1.0 < overshoot_k < 5.0


def test_natural_cooling_follows_the_reference_curve(soaked: tuple[TubeFurnace, float]) -> None:
    furnace = copy(soaked[0])
    furnace.set_duty(0.0)
    hours = {}
    for second in range(1, 31_000):
        furnace.step(1.0, 25.0, 200.0)
        for mark in (700, 500, 300, 100, 60):
            if mark not in hours and furnace.tube_c <= mark:
                hours[mark] = second / 3600
    expected = {700: 0.36, 500: 1.13, 300: 2.54, 100: 6.08, 60: 8.18}
    assert hours == pytest.approx(expected, rel=0.05)


def test_full_power_reaches_900_degc_in_20_minutes() -> None:
    furnace = TubeFurnace(ambient_c=25.0)
    furnace.set_duty(1.0)
    seconds = 0
    while furnace.tube_c < 900.0:
        furnace.step(1.0, 25.0, 200.0)
        seconds += 1
    assert seconds / 60 == pytest.approx(20.6, rel=0.02)


def test_a_furnace_that_cooled_down_rests_exactly_at_ambient() -> None:
    furnace = TubeFurnace(
        element_j_per_k=60, insulation_j_per_k=60, tube_j_per_k=30, sample_j_per_k=3, tube_sample_w_per_k=0.3
    )
    furnace.set_duty(0.1)
    furnace.step(1.0, 22.0, 0.0)
    assert furnace.element_c > 22.0
    furnace.set_duty(0.0)
    for _ in range(6000):
        furnace.step(1.0, 22.0, 0.0)
    assert (furnace.heater_w, furnace.element_c, furnace.tube_c, furnace.sample_c) == (0.0, 22.0, 22.0, 22.0)


def test_duty_is_clipped_to_full_power() -> None:
    furnace = TubeFurnace()
    furnace.set_duty(1.7)
    furnace.step(1.0, 22.0, 0.0)
    assert furnace.heater_w == 2000.0
    furnace.set_duty(-1.0)
    furnace.step(1.0, 22.0, 0.0)
    assert furnace.heater_w == 0.0
