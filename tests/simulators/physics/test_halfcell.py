"""A half-cell sourced as a source-measure unit does gives the paper's capacities."""

from statistics import fmean

import pytest

from labctl_simulators.physics.electrode import NONPOROUS, Electrode, fired_at, first_discharge_mah_per_g
from labctl_simulators.physics.halfcell import HalfCell

MASS_MG = 1.70


def half_cycle(cell: HalfCell, volt: float, amp: float, sample_s: int = 5) -> float:
    """Charge in mAh/g by trapezoids over samples, until a sample finds the limit no longer acting."""
    cell.source(volt, amp)
    charge, before = 0.0, cell.current_a
    while True:
        for _ in range(sample_s):
            cell.step(1.0)
        charge += sample_s * (before + cell.current_a) / 2
        before = cell.current_a
        if not cell.limited:
            return abs(charge) / 3.6e-3 / MASS_MG


def first_discharge(electrode: Electrode) -> float:
    """First discharge at 1C (117 mA/g) in mAh/g, after the first charge."""
    cell = HalfCell()
    cell.assemble(electrode, MASS_MG)
    amp = 117e-6 * MASS_MG
    half_cycle(cell, 3.8, amp)
    return half_cycle(cell, 2.3, amp)


def discharge(cell: HalfCell, rate: float, steps: int = 400) -> float:
    """True discharge capacity in mAh/g of one cycle at a C-rate, in about `steps` steps a half-cycle."""
    amp, dt = rate * 117e-6 * MASS_MG, 3600.0 / rate / steps
    charges = []
    for volt in (3.8, 2.3):
        cell.source(volt, amp)
        while cell.limited:
            cell.step(dt)
        charges.append(cell.charged_c)
    return (charges[0] - charges[1]) / 3.6e-3 / MASS_MG


@pytest.mark.parametrize(("pyrolysis_c", "capacity"), [(700, 99.2), (800, 110.1), (900, 116.4)])
def test_the_first_1c_discharge_is_the_papers(pyrolysis_c: float, capacity: float) -> None:
    assert first_discharge(fired_at(pyrolysis_c)) == pytest.approx(capacity, abs=0.3)


@pytest.mark.parametrize("pyrolysis_c", [725.0, 750.0, 775.0, 825.0, 850.0, 875.0])
def test_between_the_papers_points_capacity_follows_their_quadratic(pyrolysis_c: float) -> None:
    expected = first_discharge_mah_per_g(pyrolysis_c)
    assert first_discharge(fired_at(pyrolysis_c)) == pytest.approx(expected, abs=0.3)


def test_the_quadratic_passes_105_2_and_113_8() -> None:
    between = [first_discharge_mah_per_g(celsius) for celsius in (750.0, 850.0)]
    assert between == pytest.approx([105.2, 113.8], abs=0.05)


def test_the_rate_test_of_the_900_cell_is_within_0_9_mah_per_g() -> None:
    cell = HalfCell()
    cell.assemble(Electrode(), MASS_MG)
    rates = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 0.1)
    means = [fmean(discharge(cell, rate) for _ in range(5)) for rate in rates]
    assert means == pytest.approx([117.6, 116.5, 115.3, 113.4, 111.2, 106.6, 96.8, 115.2], abs=0.9)


@pytest.mark.parametrize(("rate", "cycles", "percent"), [(1.0, 100, 95.0), (5.0, 1000, 77.0)])
def test_the_900_cell_fades_as_published(rate: float, cycles: int, percent: float) -> None:
    cell = HalfCell()
    cell.assemble(Electrode(), MASS_MG)
    capacities = [discharge(cell, rate, steps=100) for _ in range(cycles)]
    assert 100 * capacities[-1] / capacities[0] == pytest.approx(percent, abs=0.5)


def test_an_unfired_batch_makes_a_cell_of_next_to_no_capacity() -> None:
    assert first_discharge(fired_at(100.0)) < 2.0


def test_a_fresh_cell_is_discharged_and_charges_at_constant_current_before_voltage() -> None:
    cell = HalfCell()
    cell.assemble(Electrode(), MASS_MG)
    assert 2.5 < cell.voltage_v < 3.3
    cell.source(3.8, 2e-4)
    assert (cell.limited, cell.current_a) == (True, 2e-4)
    for _ in range(1800):
        cell.step(1.0)
    assert 3.35 < cell.voltage_v < 3.45
    for _ in range(3600):
        cell.step(1.0)
    assert (cell.limited, cell.voltage_v) == (False, 3.8)
    assert 0.0 < cell.current_a < 2e-5


def test_constant_voltage_never_passes_the_voltage_nor_the_limit() -> None:
    cell = HalfCell()
    cell.assemble(Electrode(), MASS_MG)
    cell.source(3.8, 2e-3)
    for _ in range(1200):
        cell.step(1.0)
        assert cell.voltage_v <= 3.8
        assert 0.0 <= cell.current_a <= 2e-3


def test_at_open_circuit_the_voltage_relaxes_and_no_charge_moves() -> None:
    cell = HalfCell()
    cell.assemble(Electrode(), MASS_MG)
    cell.source(3.8, 2e-4)
    for _ in range(1800):
        cell.step(1.0)
    loaded, charge = cell.voltage_v, cell.charged_c
    cell.open_circuit()
    assert (cell.current_a, cell.limited) == (0.0, False)
    assert cell.voltage_v < loaded
    for _ in range(200_000):
        cell.step(1.0)
    rested = cell.voltage_v
    cell.step(1.0)
    assert (cell.voltage_v, cell.charged_c) == (rested, charge)


def test_bare_terminals_carry_no_current() -> None:
    cell = HalfCell()
    cell.source(3.8, 2e-4)
    cell.step(1.0)
    assert (cell.voltage_v, cell.current_a, cell.limited) == (3.8, 0.0, False)


def test_the_nonporous_bulk_gives_less_and_fades_more() -> None:
    cell = HalfCell()
    cell.assemble(NONPOROUS, MASS_MG)
    capacities = [discharge(cell, 1.0, steps=100) for _ in range(100)]
    assert capacities[0] == pytest.approx(60.1, abs=1.0)
    assert 100 * capacities[-1] / capacities[0] == pytest.approx(40.0, abs=1.5)
