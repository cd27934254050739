"""Capacity is right whatever the scan, and whether or not the cut-off fell on a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.analysis.capacity import Floats, half_cycles, summarise

CURRENT_A = 2e-4
HALF_S = 1800.0
"""Time of one half-cycle of the cell below: 0.1 mAh at 0.2 mA."""


def charging_v(t: Floats) -> Floats:
    """A flat plateau with a knee at its end: 3.8 V at HALF_S."""
    x = t / HALF_S
    knee: Floats = 3.4 + 0.02 * x - 1.1 * np.exp(-x / 0.01) + 0.38 * np.exp((x - 1) / 0.01)
    return knee


def measured(
    scan_s: float, halves: int, offset_s: float = 1.0, restarting: bool = True
) -> tuple[Floats, Floats, Floats]:
    """Elapsed, current and voltage as a cycler shows them: each half-cycle mirrored after the other."""
    elapsed, current, voltage = [], [], []
    begin = 0.0
    for half in range(halves):
        t = np.arange(offset_s, HALF_S + scan_s, scan_s)
        v = np.minimum(charging_v(t), 3.8)
        factor = np.where(t < HALF_S, 1.0, 0.6)
        elapsed.append(t + begin)
        begin += 0.0 if restarting else t[-1]
        sign = 1 if half % 2 == 0 else -1
        current.append(sign * CURRENT_A * factor)
        voltage.append(v if sign > 0 else 6.1 - v)
    return np.concatenate(elapsed), np.concatenate(current), np.concatenate(voltage)


@pytest.mark.parametrize("scan_s", [1.0, 5.0, 10.0])
@pytest.mark.parametrize("restarting", [True, False])
def test_charge_is_within_three_tenths_of_a_percent_at_any_scan(scan_s: float, restarting: bool) -> None:
    halves = half_cycles(*measured(scan_s, 6, restarting=restarting), lower_v=2.3, upper_v=3.8)
    assert [(h.cycle, h.direction) for h in halves] == [
        (n, d) for n in (1, 2, 3) for d in ("charge", "discharge")
    ]
    for half in halves:
        assert half.complete
        assert half.charge_mah == pytest.approx(0.1, rel=3e-3)


@given(offset_s=st.floats(0.1, 4.9))
def test_charge_does_not_depend_on_where_the_samples_fall(offset_s: float) -> None:
    half = half_cycles(*measured(5.0, 1, offset_s), lower_v=2.3, upper_v=3.8)[0]
    assert half.charge_mah == pytest.approx(0.1, rel=2e-3)


def test_what_flows_while_the_source_holds_the_voltage_is_not_counted() -> None:
    elapsed, current, voltage = measured(5.0, 1)
    tail = np.arange(HALF_S + 1, HALF_S + 60, 5.0)
    elapsed = np.append(elapsed, tail)
    current = np.append(current, CURRENT_A * np.exp(-(tail - HALF_S) / 30))
    voltage = np.append(voltage, np.full(tail.size, 3.8))
    half = half_cycles(elapsed, current, voltage, lower_v=2.3, upper_v=3.8)[0]
    assert half.charge_mah == pytest.approx(0.1, rel=2e-3)
    assert half.voltage_v[-1] == 3.8


def test_an_interrupted_half_cycle_is_not_a_capacity() -> None:
    elapsed, current, voltage = (a[:100] for a in measured(5.0, 1))
    halves = half_cycles(elapsed, current, voltage, lower_v=2.3, upper_v=3.8)
    assert [h.complete for h in halves] == [False]
    assert summarise(halves, 1e-3)[0].charge_mah is None


def test_rest_between_half_cycles_is_no_half_cycle() -> None:
    elapsed, current, voltage = measured(5.0, 2)
    middle = elapsed.size // 2
    elapsed = np.insert(elapsed, middle, [1805.0, 1810.0])
    current = np.insert(current, middle, [1e-9, -1e-9])
    voltage = np.insert(voltage, middle, [3.6, 3.5])
    halves = half_cycles(elapsed, current, voltage, lower_v=2.3, upper_v=3.8)
    assert [h.direction for h in halves] == ["charge", "discharge"]


def test_samples_that_were_not_read_are_left_out() -> None:
    elapsed, current, voltage = measured(5.0, 1)
    voltage[10:12] = np.nan
    half = half_cycles(elapsed, current, voltage, lower_v=2.3, upper_v=3.8)[0]
    assert half.charge_mah == pytest.approx(0.1, rel=2e-3)
    empty = np.array([])
    assert half_cycles(empty, empty, empty, lower_v=2.3, upper_v=3.8) == []


def test_specific_capacity_and_coulombic_efficiency_come_from_the_same_cycle() -> None:
    first = summarise(half_cycles(*measured(5.0, 4), lower_v=2.3, upper_v=3.8), 1e-3)[0]
    assert first.discharge_mah_per_g == pytest.approx(100.0, rel=3e-3)
    assert first.coulombic_efficiency == pytest.approx(1.0, rel=3e-3)
    unknown = summarise(half_cycles(*measured(5.0, 4), lower_v=2.3, upper_v=3.8), None)[0]
    assert unknown.discharge_mah_per_g is None
    assert unknown.discharge_mah == pytest.approx(0.1, rel=3e-3)
