"""Oven and hotplate heat, cool and rest like the apparatus they stand for."""

import pytest

from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.oven import ConvectionOven


def heat(oven: ConvectionOven, target_c: float, seconds: int) -> None:
    """PI with an 8 K band and 500 s: the loop the targets were made with."""
    integral = 0.0
    for _ in range(seconds):
        error = target_c - oven.air_c
        duty = (error + integral) / 8.0
        if 0.0 < duty < 1.0:
            integral += error / 500.0
        oven.duty = duty
        oven.step(1.0, 25.0)


def test_holding_100_degc_takes_501_w() -> None:
    oven = ConvectionOven(ambient_c=25.0)
    heat(oven, 100.0, 4 * 3600)
    assert oven.heater_w == pytest.approx(501.0, rel=0.02)
    assert oven.load_c == pytest.approx(100.0, abs=0.5)


def test_an_open_door_takes_the_air_from_100_to_76_degc_in_a_minute() -> None:
    oven = ConvectionOven(ambient_c=25.0)
    heat(oven, 100.0, 4 * 3600)
    oven.door_open = True
    oven.duty = 1.0
    for _ in range(60):
        oven.step(1.0, 25.0)
    assert oven.air_c == pytest.approx(76.0, abs=6.0)


def test_an_oven_cools_from_100_to_40_degc_in_half_an_hour_and_rests_at_ambient() -> None:
    oven, seconds = ConvectionOven(ambient_c=25.0), 0
    heat(oven, 100.0, 4 * 3600)
    oven.duty = 0.0
    while oven.air_c > 40.0:
        oven.step(1.0, 25.0)
        seconds += 1
    assert seconds / 60 == pytest.approx(37.0, rel=0.15)
    for _ in range(60_000):
        oven.step(1.0, 25.0)
    assert (oven.heater_w, oven.air_c, oven.wall_c, oven.load_c) == (0.0, 25.0, 25.0, 25.0)


@pytest.mark.parametrize(("viscosity", "torque_ncm"), [(1e-3, 0.0035), (0.1, 0.018), (1.0, 0.15)])
def test_torque_at_500_rpm_grows_with_viscosity(viscosity: float, torque_ncm: float) -> None:
    plate = Hotplate(viscosity_pa_s=viscosity)
    plate.speed_setpoint_rpm = 500.0
    for _ in range(30):
        plate.step(1.0, 22.0)
    assert plate.speed_rpm == 500.0
    assert plate.torque_ncm == pytest.approx(torque_ncm, rel=0.1)


def test_a_bar_in_syrup_loses_its_grip_until_the_drive_stops() -> None:
    plate = Hotplate(viscosity_pa_s=10.0)
    plate.speed_setpoint_rpm = 500.0
    for _ in range(30):
        plate.step(1.0, 22.0)
    assert plate.decoupled
    plate.speed_setpoint_rpm = 0.0
    for _ in range(60):
        plate.step(1.0, 22.0)
    assert not plate.decoupled


def test_a_plate_heats_its_vessel_and_comes_back_to_rest() -> None:
    plate = Hotplate()
    plate.heater_w = 50.0
    for _ in range(1800):
        plate.step(1.0, 22.0)
    assert plate.plate_c > plate.liquid_c > 30.0
    plate.heater_w = 0.0
    for _ in range(40_000):
        plate.step(1.0, 22.0)
    assert (plate.plate_c, plate.liquid_c) == (22.0, 22.0)
