"""The pump driver: golden bytes, numbers as the pump takes them, a program that ends, alarms that are kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some

from labctl.bench.api import CAPABILITIES, CommunicationError, NotDoneError
from labctl_drivers.new_era import ENTRY
from labctl_drivers.new_era.frame import ALARMS, Reply, decode, is_whole, number, packet, rate, volume
from labctl_drivers.new_era.frame import RATES as RATE_UNITS
from labctl_drivers.new_era.frame import VOLUMES as VOLUME_UNITS
from tests.drivers.dosing_world import PUMP, World, dosing


@pytest.fixture
def there() -> Iterator[World]:
    with dosing() as world:
        yield world


def test_it_offers_what_a_syringe_pump_must() -> None:
    assert (
        dict(CAPABILITIES["syringe_pump"].signals).items() <= {s.name: s.unit for s in ENTRY.signals}.items()
    )


def test_a_packet_of_safe_mode_has_the_golden_bytes() -> None:
    assert packet(b"0RAT") == bytes.fromhex("02 08 30 52 41 54 38 CB 03")


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"00S", Reply("S", "", "")),
        (b"00I1.500MM", Reply("I", "1.500MM", "")),
        (b"00S?OOR", Reply("S", "?OOR", "")),
        (b"00A?S", Reply("", "", "S")),
        (b"01S", None),
        (b"00Q", None),
        (b"0S", None),
    ],
)
def test_a_reply_is_read_the_same_in_both_modes(data: bytes, reply: Reply | None) -> None:
    assert decode(b"\x02" + data + b"\x03", 0) == decode(packet(data), 0) == reply


@given(some.binary(max_size=40))
def test_no_bytes_break_the_codec(raw: bytes) -> None:
    assert isinstance(is_whole(raw), bool)
    assert decode(raw, 0) is None or raw[0] == 2


@given(some.floats(0.001, 9999.0))
def test_a_volume_and_a_rate_keep_four_digits(wanted: float) -> None:
    text, unit = volume(wanted)
    assert float(text) * VOLUME_UNITS[unit] == pytest.approx(wanted, rel=5.1e-4, abs=5e-7)
    text, unit = rate(wanted)
    assert float(text) * RATE_UNITS[unit] == pytest.approx(wanted, rel=5.1e-4, abs=5e-7)
    assert len(text) <= 5


@pytest.mark.parametrize("absurd", [-1.0, 10_000.0, float("nan"), float("inf")])
def test_a_number_of_more_than_four_digits_is_none(absurd: float) -> None:
    with pytest.raises(ValueError, match="four digits"):
        number(absurd)


def test_it_pumps_the_volume_at_the_rate_and_stops(there: World) -> None:
    pump = there.drivers["pump"]
    done = pump.execute("dispense", {"volume_ml": 8.777, "rate_ml_per_min": 12.0})
    assert done == {"volume_ml": 8.777, "rate_ml_per_min": 12.0}
    seen = there.live("pump", 60)
    assert seen[20]["pumping"].value == 1.0
    assert seen[20]["dispensed"].value == pytest.approx(4.2, abs=0.3)
    assert seen[-1]["pumping"].value == 0.0
    assert there.twin.truth()["syringe"]["poured_ml"] == pytest.approx(8.777, abs=1e-6)


def test_less_than_a_millilitre_is_set_in_microlitres_and_read_in_millilitres(there: World) -> None:
    pump = there.drivers["pump"]
    pump.execute("dispense", {"volume_ml": 0.45, "rate_ml_per_min": 0.9})
    image = there.live("pump", 40)[-1]
    assert (image["dispensed"].value, image["volume"].value) == (0.45, 0.45)
    assert image["rate"].value == pytest.approx(0.9)


def test_a_pump_whose_second_phase_would_go_on_is_told_to_stop_there() -> None:
    with dosing({**PUMP, "sim_second_phase": "RAT"}) as there:
        there.drivers["pump"].execute("dispense", {"volume_ml": 1.0, "rate_ml_per_min": 20.0})
        assert there.live("pump", 10)[-1]["pumping"].value == 0.0
        assert there.twin.truth()["syringe"]["poured_ml"] == pytest.approx(1.0)


def test_stopping_forgets_the_rest_and_says_what_was_dispensed(there: World) -> None:
    pump = there.drivers["pump"]
    pump.execute("dispense", {"volume_ml": 10.0, "rate_ml_per_min": 10.0})
    there.live("pump", 31)
    assert pump.execute("pump_off", {})["dispensed_ml"] == pytest.approx(5.0, abs=0.4)
    assert there.device("pump").state == "S"
    pump.execute("pump_off", {})
    pump.execute("dispense", {"volume_ml": 1.0, "rate_ml_per_min": 10.0})
    assert there.read("pump")["volume"].value == 1.0


def test_a_pump_that_pumps_is_not_started_again(there: World) -> None:
    pump = there.drivers["pump"]
    pump.execute("dispense", {"volume_ml": 10.0, "rate_ml_per_min": 10.0})
    with pytest.raises(NotDoneError, match="stop it first"):
        pump.execute("dispense", {"volume_ml": 10.0, "rate_ml_per_min": 10.0})


@pytest.mark.parametrize("letter", ALARMS)
def test_an_alarm_is_acknowledged_by_the_answer_and_kept_until_the_next_dispense(
    there: World, letter: str
) -> None:
    there.device("pump").alarm = letter
    seen = there.live("pump", 3)
    assert [image["alarm"].value for image in seen] == [ALARMS[letter]] * 3
    there.drivers["pump"].execute("dispense", {"volume_ml": 1.0, "rate_ml_per_min": 10.0})
    assert there.read("pump")["alarm"].value == 0.0


def test_a_pump_that_comes_with_the_alarm_of_its_power_is_opened_and_read() -> None:
    for safe_s in (30, 0):
        with dosing({**PUMP, "sim_alarm": "R", "safe_s": safe_s}) as there:
            assert there.live("pump", RECOVERS_S)[-1]["pumping"].value == 0.0


RECOVERS_S = 8


def test_another_diameter_at_the_pump_is_told_and_nothing_is_pumped() -> None:
    with dosing() as there:
        there.device("pump").diameter_mm = 14.43
        driver = there.drivers["pump"]
        assert [i.name for i in driver.audit().items if not i.ok] == ["diameter"]
        with pytest.raises(NotDoneError, match="DIA"):
            driver.execute("dispense", {"volume_ml": 1.0, "rate_ml_per_min": 1.0})
        assert there.device("pump").state == "S"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "diameter_mm"),
        ({"diameter_mm": 26.59, "address": 100}, "address"),
        ({"diameter_mm": 26.59, "safe_s": 256}, "safe_s"),
        ({"diameter_mm": 26.59, "safe_s": 2.5}, "safe_s"),
    ],
)
def test_options_that_cannot_be_are_refused(there: World, options: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ENTRY.factory(there.drivers["pump"].line, options)


def test_a_closed_pump_pumps_on(there: World) -> None:
    pump = there.drivers["pump"]
    pump.execute("dispense", {"volume_ml": 10.0, "rate_ml_per_min": 10.0})
    pump.close()
    there.clock.sleep(2.0)
    assert there.device("pump").state == "I"
    with pytest.raises(CommunicationError):
        pump.execute("pump_off", {})
