"""Every kind of fault on balance and pump: what is reported, that nothing false is, and recovery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from labctl.bench.api import BAD, GOOD, NOT_READY, SILENT, CommunicationError, NotDoneError
from labctl_simulators.faults import KINDS
from tests.drivers.dosing_world import ENTRIES, PUMP, World, dosing
from tests.drivers.test_faults import BABBLED_S, NEVER, RECOVERS_WITHIN_S, WIRE, kind_of


def concerned(name: str, way: str) -> bool:
    devices = KINDS[kind_of(way)].devices
    return devices is None or ENTRIES[name].device in devices


ON_WIRES = [
    (name, way)
    for name in ENTRIES
    for way in WIRE
    if concerned(name, way) and (name, way) != ("pump", "wrong_unit")
]


@pytest.fixture
def there() -> Iterator[World]:
    with dosing() as world:
        yield world


@pytest.mark.parametrize(("name", "way"), ON_WIRES, ids=lambda v: str(v))
def test_a_spoilt_wire_shows_the_truth_or_nothing(there: World, name: str, way: str) -> None:
    parameters, allowed = WIRE[way]
    there.adds_g = 1.0
    there.drivers["pump"].execute("dispense", {"volume_ml": 20.0, "rate_ml_per_min": 6.0})
    there.live(name, 2)
    there.fault(name, kind_of(way), **parameters)
    seen = {reading.quality for readings in there.live(name, 12) for reading in readings.values()}
    assert there.hits() > 0, "the fault was never there"
    assert seen <= allowed | NEVER if GOOD in allowed else seen == allowed
    there.twin.faults.clear()
    recovered = there.live(name, BABBLED_S if way == "babble" else RECOVERS_WITHIN_S)[-1]
    assert {reading.quality for reading in recovered.values()} == {GOOD}


def test_another_pump_of_the_line_is_not_taken_for_this_one() -> None:
    with dosing({**PUMP, "safe_s": 0}) as there:
        there.fault("pump", "wrong_unit")
        assert {r.quality for readings in there.live("pump", 4) for r in readings.values()} == NEVER
        there.twin.faults.clear()
        assert there.live("pump", RECOVERS_WITHIN_S)[-1]["pumping"].quality is GOOD


def test_no_changed_byte_passes_the_checksum_of_safe_mode(there: World) -> None:
    for byte in range(-9, 0):
        there.fault("pump", "corrupt", byte=byte, mask=0x01)
        assert {r.quality for readings in there.live("pump", 3) for r in readings.values()} == NEVER
        there.twin.faults.clear()
        there.live("pump", RECOVERS_WITHIN_S)


def test_a_balance_that_loses_power_comes_back_without_its_tare(there: World) -> None:
    there.drivers["balance"].execute("tare", {})
    assert there.read("balance")["tare"].value == pytest.approx(20.0, abs=1e-3)
    there.twin.faults.add({"instrument": "balance", "kind": "power", "for_s": 3.0})
    assert there.read("balance")["mass"].quality is SILENT
    said = there.live_unchecked("balance", RECOVERS_WITHIN_S)[-1]
    assert said["tare"].value == 0.0
    assert said["mass"].value == pytest.approx(0.0, abs=1e-3), "zeroed on what lies there"


def test_a_pump_that_loses_power_stops_and_says_so_and_is_kept_safe_again(there: World) -> None:
    there.drivers["pump"].execute("dispense", {"volume_ml": 20.0, "rate_ml_per_min": 6.0})
    there.live("pump", 5)
    there.twin.faults.add({"instrument": "pump", "kind": "power", "for_s": 3.0})
    for _ in range(RECOVERS_WITHIN_S):
        said = there.read("pump")
    assert (said["pumping"].value, said["alarm"].value) == (0.0, 1.0)
    assert there.device("pump").safe_s == 30, "it comes back in basic mode"
    assert said["dispensed"].value == 0.0, "the counter is lost with the power"


@pytest.mark.parametrize(
    ("kind", "parameters", "mass", "stable"),
    [
        ("draught", {}, GOOD, 0.0),
        ("pan_loaded", {}, BAD, 0.0),
        ("pan_loaded", {"grams": -300.0}, BAD, 0.0),
        ("sensor_open", {}, BAD, 0.0),
        ("menu_open", {}, NOT_READY, None),
        ("milligrams", {}, GOOD, 1.0),
    ],
)
def test_trouble_on_the_pan_is_no_weight_or_no_rest(
    there: World, kind: str, parameters: Mapping[str, Any], mass: object, stable: float | None
) -> None:
    there.fault("balance", kind, **parameters)
    said = there.live("balance", 8)[-1]
    assert said["mass"].quality is mass
    assert said["stable"].value == stable
    assert there.hits() > 0
    if stable != 1.0:
        with pytest.raises(NotDoneError):
            there.drivers["balance"].execute("tare", {})
    there.twin.faults.clear()
    there.live("balance", 15)
    there.drivers["balance"].execute("tare", {})


def test_a_hand_that_tares_at_the_panel_is_seen_in_the_tare(there: World) -> None:
    there.drivers["balance"].execute("tare", {})
    there.pan.put(1.0)
    there.live("balance", 10)
    there.fault("balance", "panel_tare")
    said = there.live("balance", 2)[-1]
    assert said["tare"].value == pytest.approx(21.0, abs=1e-3)


def test_a_frozen_and_a_drifting_balance_read_good(there: World) -> None:
    """No driver can know; the person sees that what they add does not show."""
    there.fault("balance", "sensor_drift", per_hour=36.0)
    seen = there.live_unchecked("balance", 10)
    first, last = seen[0]["mass"], seen[-1]["mass"]
    assert (last.value or 0.0) - (first.value or 0.0) == pytest.approx(0.09, abs=0.02)
    there.twin.faults.clear()
    there.live("balance", 2)
    there.fault("balance", "sensor_frozen")
    there.pan.put(5.0)
    assert there.live_unchecked("balance", 10)[-1]["mass"].value == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize(("kind", "alarm"), [("line_blocked", 2.0), ("panel_mode", 0.0)])
def test_a_pump_that_stops_by_itself_shows_it(there: World, kind: str, alarm: float) -> None:
    there.drivers["pump"].execute("dispense", {"volume_ml": 20.0, "rate_ml_per_min": 6.0})
    there.live("pump", 5)
    there.fault("pump", kind)
    said = there.live("pump", 4)[-1]
    assert (said["pumping"].value, said["alarm"].value) == (0.0, alarm)
    assert 0.0 < (said["dispensed"].value or 0.0) < 2.0


def test_settings_that_do_not_take_are_an_error_and_nothing_is_pumped(there: World) -> None:
    there.fault("pump", "setpoints_ignored")
    with pytest.raises(NotDoneError, match="VOL"):
        there.drivers["pump"].execute("dispense", {"volume_ml": 3.0, "rate_ml_per_min": 6.0})
    assert there.live("pump", 5)[-1]["pumping"].value == 0.0
    there.twin.faults.clear()
    there.drivers["pump"].execute("dispense", {"volume_ml": 3.0, "rate_ml_per_min": 6.0})


def test_a_start_whose_reply_is_lost_is_unknown_and_shows_in_the_readings(there: World) -> None:
    there.fault("pump", "drop", match="RUN")
    with pytest.raises(CommunicationError):
        there.drivers["pump"].execute("dispense", {"volume_ml": 3.0, "rate_ml_per_min": 6.0})
    there.twin.faults.clear()
    assert there.live("pump", 5)[-1]["pumping"].value == 1.0


def test_a_pump_that_nobody_speaks_to_stops_in_safe_mode_and_goes_on_in_basic_mode() -> None:
    for safe_s, pumped_ml in ((10, 1.0), (0, 6.0)):
        with dosing({**PUMP, "safe_s": safe_s}) as there:
            there.drivers["pump"].execute("dispense", {"volume_ml": 20.0, "rate_ml_per_min": 6.0})
            there.clock.sleep(60.0)
            said = there.read("pump")
            assert said["dispensed"].value == pytest.approx(pumped_ml, abs=0.25)
            assert said["alarm"].value == (3.0 if safe_s else 0.0)


KINDS_TRIED = {
    "power", "draught", "pan_loaded", "sensor_open", "menu_open", "milligrams", "panel_tare", "sensor_drift",
    "sensor_frozen", "hand_slips", "line_blocked", "panel_mode", "setpoints_ignored", "wrong_unit", "swapped",
}  # fmt: skip


def test_an_instrument_in_the_place_of_another_gives_no_number(there: World) -> None:
    there.fault("balance", "swapped", **{"with": "pump"})
    there.clock.sleep(1.0)
    for _ in range(3):
        for name in ENTRIES:
            assert {reading.quality for reading in there.read(name).values()} <= {SILENT, BAD}


def test_every_kind_of_fault_is_tried() -> None:
    tried = KINDS_TRIED | {kind_of(way) for _, way in ON_WIRES}
    models = {entry.device for entry in ENTRIES.values()}
    assert tried == {n for n, kind in KINDS.items() if kind.devices is None or set(kind.devices) & models}
