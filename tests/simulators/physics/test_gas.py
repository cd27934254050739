"""Mass flow and the tube's atmosphere wash, leak and fail as derived."""

import pytest

from labctl_simulators.physics.atmosphere import AIR_PPM, TubeAtmosphere
from labctl_simulators.physics.massflow import MassFlow


def purge_s(volume_cm3: float, flow_sccm: float, limit_ppm: float = 100.0) -> int:
    tube, seconds = TubeAtmosphere(volume_cm3), 0
    while tube.oxygen_ppm > limit_ppm:
        tube.step(1.0, flow_sccm, 25.0)
        seconds += 1
    return seconds


def test_200_sccm_wash_the_reference_tube_to_100_ppm_in_87_8_minutes() -> None:
    assert purge_s(2290.0, 200.0) / 60 == pytest.approx(87.8, rel=0.01)


@pytest.mark.parametrize(("volume", "flow", "minutes"), [(295, 200, 11), (1660, 500, 25), (2290, 500, 35)])
def test_other_tubes_take_their_volumes(volume: float, flow: float, minutes: float) -> None:
    assert purge_s(volume, flow) / 60 == pytest.approx(minutes, abs=0.8)


def test_losing_the_gas_brings_100_ppm_within_a_minute_or_so() -> None:
    tube = TubeAtmosphere()
    tube.oxygen_ppm = 2.0
    seconds = 0
    while tube.oxygen_ppm < 100.0:
        tube.step(1.0, 0.0, 25.0)
        seconds += 1
    assert 50 <= seconds <= 75


def test_an_air_leak_leaves_a_floor_of_oxygen() -> None:
    tube = TubeAtmosphere(leak_sccm=0.01)
    tube.oxygen_ppm = 10.0
    for _ in range(40_000):
        tube.step(1.0, 200.0, 25.0)
    assert tube.oxygen_ppm == pytest.approx(12.5, abs=0.2)


def test_a_heating_charge_gives_off_a_few_ppm_once() -> None:
    tube, highest = TubeAtmosphere(), 0.0
    tube.oxygen_ppm = 2.0
    for second in range(15_000):
        tube.step(1.0, 200.0, min(350.0, 25.0 + second / 30.0))
        highest = max(highest, tube.oxygen_ppm)
    assert 5.0 < highest < 20.0
    assert tube.oxygen_ppm < 5.0


def test_opening_the_tube_lets_air_in() -> None:
    tube = TubeAtmosphere()
    tube.oxygen_ppm = 2.0
    tube.open_to_air()
    assert tube.oxygen_ppm == AIR_PPM


def test_flow_settles_within_two_seconds_and_its_true_value_is_off_by_the_gain() -> None:
    flow = MassFlow(gain_error=0.003)
    flow.setpoint_sccm = 200.0
    flow.step(1.0)
    flow.step(1.0)
    assert flow.indicated_sccm == pytest.approx(200.0, rel=0.02)
    for _ in range(20):
        flow.step(1.0)
    assert flow.indicated_sccm == 200.0
    assert flow.flow_sccm == pytest.approx(200.6)


def test_a_closed_valve_leaks_by_and_a_lost_supply_does_not() -> None:
    flow = MassFlow()
    assert flow.flow_sccm == 0.5
    flow.setpoint_sccm = 500.0
    for _ in range(20):
        flow.step(1.0)
    flow.supply_ok = False
    for _ in range(20):
        flow.step(1.0)
    assert (flow.indicated_sccm, flow.flow_sccm) == (0.0, 0.0)
    flow.supply_ok = True
    for _ in range(20):
        flow.step(1.0)
    assert flow.flow_sccm == 500.0


def test_setpoints_are_bounded_by_shut_off_and_full_scale() -> None:
    flow = MassFlow()
    for setpoint, shown in ((9.0, 0.0), (5000.0, 1000.0)):
        flow.setpoint_sccm = setpoint
        for _ in range(30):
            flow.step(1.0)
        assert flow.indicated_sccm == shown
