from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.bench.api import (
    GOOD,
    NOT_READY,
    SILENT,
    CommunicationError,
    Driver,
    NotDoneError,
    RefusedError,
)
from labctl.runtime.clock import RealClock
from labctl_drivers.keithley import ENTRY, SIGNALS, Keithley
from labctl_drivers.ports import open_line
from labctl_simulators.devices.api import Bindings
from labctl_simulators.devices.keithley import Keithley2450, attach
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.physics.electrode import Electrode
from labctl_simulators.physics.halfcell import HalfCell
from tests.drivers.bench import SPOILT, VirtualClock, Wire, mounted
from tests.drivers.contract import DriverContract

CHARGE = {"voltage_v": 3.8, "limit_a": 2e-4}


class Rig(NamedTuple):
    clock: VirtualClock
    cell: HalfCell
    device: Keithley2450
    wire: Wire
    driver: Keithley


@pytest.fixture
def rig() -> Iterator[Rig]:
    clock, cell = VirtualClock(), HalfCell()
    cell.assemble(Electrode(), active_mass_mg=1.7)
    cell.fraction_out = 0.02
    device, session = attach(Bindings(now=clock.now, cell=cell), {}, "04096331")
    assert isinstance(device, Keithley2450)
    wire = Wire(session)
    with mounted("keithley-test/cycler", wire, clock) as line:
        driver = Keithley(line, {})
        driver.open()
        yield Rig(clock, cell, device, wire, driver)
        driver.close()


def value(rig: Rig, name: str) -> float | None:
    index = [s.name for s in SIGNALS].index(name)
    reading = rig.driver.read()[index]
    assert reading.quality is GOOD
    return reading.value


class TestKeithleyContract(DriverContract):
    entry = ENTRY
    hosts = ("visa",)

    def bindings(self, now: Callable[[], float]) -> Bindings:
        cell = HalfCell()
        cell.assemble(Electrode(), active_mass_mg=1.7)
        return Bindings(now=now, cell=cell)

    def conversation(self, driver: Driver) -> None:
        # one reading: its elapsed time is 0, while that of a second one would be the host's
        driver.audit()
        driver.read()
        driver.execute("source", CHARGE)
        driver.execute("open_circuit", {})


def test_identity_and_safety_settings_are_audited(rig: Rig) -> None:
    audit = rig.driver.audit()
    assert audit.ok
    assert audit.identity["model"] == "2450"
    assert audit.identity["serial_number"] == "04096331"
    assert audit.identity["firmware"] == "1.6.7c"


def test_another_instrument_than_the_bench_names_fails_the_audit(rig: Rig) -> None:
    rig.driver.close()
    driver = Keithley(rig.driver.line, {"serial_number": "04096332"})
    driver.open()
    assert [item.found for item in driver.audit().items if not item.ok] == ["04096331"]
    driver.close()


def test_output_off_in_normal_mode_fails_the_audit(rig: Rig) -> None:
    rig.device.set("off_mode", "NORM")
    audit = rig.driver.audit()
    assert [item.name for item in audit.items if not item.ok] == ["output-off state"]


@pytest.mark.parametrize(
    ("setting", "found", "item"),
    [
        ("four_wire", False, "four-wire sense"),
        ("source", "CURR", "source function"),
        ("sense", "VOLT", "sense function"),
        ("readback", False, "source read-back"),
    ],
)
def test_each_setting_that_safety_rests_on_fails_the_audit(
    rig: Rig, setting: str, found: object, item: str
) -> None:
    rig.device.set(setting, found)
    assert [i.name for i in rig.driver.audit().items if not i.ok] == [item]


def test_old_errors_are_drained_and_fail_the_audit_once(rig: Rig) -> None:
    rig.device.error(-222, "Data out of range", 0.0)
    (item,) = [i for i in rig.driver.audit().items if not i.ok]
    assert item.name == "error queue"
    assert "-222" in item.found
    assert rig.driver.audit().ok


def test_an_output_found_on_outside_of_the_window_fails_the_audit(rig: Rig) -> None:
    rig.device.set("level_v", 4.5)
    rig.device.set("output", True)
    assert [i.name for i in rig.driver.audit().items if not i.ok] == ["armed voltage"]


def test_opening_with_the_output_on_changes_nothing(rig: Rig) -> None:
    rig.driver.execute("source", CHARGE)
    rig.driver.close()
    before = dict(rig.device.settings)
    rig.driver.open()
    assert rig.device.settings == before
    assert rig.cell.current_a == 2e-4


def test_a_cell_at_rest_shows_its_voltage_and_no_current(rig: Rig) -> None:
    assert value(rig, "voltage") == pytest.approx(rig.cell.voltage_v, abs=1e-6)
    assert value(rig, "current") == 0.0
    assert value(rig, "output") == 0.0


def test_a_cell_at_rest_on_two_wires_is_not_measured(rig: Rig) -> None:
    rig.device.set("four_wire", False)
    assert rig.driver.read()[0].quality is NOT_READY


def test_one_reading_is_one_query(rig: Rig) -> None:
    rig.wire.carried.clear()
    rig.driver.read()
    assert rig.wire.carried == [b':READ? "defbuffer1",SOUR,READ,REL,SOURSTAT\n']


@pytest.mark.parametrize(
    ("status", "seen"), [(b"1.920000E+02", GOOD), (b"1.92E+00", SILENT), (b"NAN", SILENT)]
)
def test_source_status_may_come_as_a_number_in_the_format_of_the_others(
    rig: Rig, status: bytes, seen: int
) -> None:
    rig.wire.spoil = lambda replies: [
        (at, raw.rpartition(b",")[0] + b"," + status + b"\n") for at, raw in replies
    ]
    readings = rig.driver.read()
    assert {reading.quality for reading in readings} == {seen}
    assert readings[4].value == (1.0 if seen is GOOD else None)


def test_sourcing_reads_everything_back_before_the_output_goes_on(rig: Rig) -> None:
    rig.wire.carried.clear()
    back = rig.driver.execute("source", CHARGE)
    assert back == {"voltage_v": 3.8, "limit_a": 2e-4, "output": 1.0, "off_mode": "HIMP"}
    sent = b"".join(rig.wire.carried).decode().split("\n")
    assert sent.index(":SOUR:VOLT:ILIM?") < sent.index(":SOUR:VOLT?") < sent.index(":OUTP ON")
    assert rig.cell.current_a == 2e-4
    assert value(rig, "limited") == 1.0
    assert value(rig, "output") == 1.0


@pytest.mark.parametrize(
    "args",
    [
        {"voltage_v": 4.2, "limit_a": 2e-4},
        {"voltage_v": 1.9, "limit_a": 2e-4},
        {"voltage_v": float("nan"), "limit_a": 2e-4},
        {"voltage_v": 3.8, "limit_a": 0.0},
        {"voltage_v": 3.8, "limit_a": -2e-4},
        {"voltage_v": 3.8, "limit_a": 1.2},
        {"voltage_v": 3.8, "limit_a": float("nan")},
    ],
)
def test_sourcing_outside_of_the_window_is_refused_and_nothing_is_sent(
    rig: Rig, args: dict[str, float]
) -> None:
    rig.wire.carried.clear()
    with pytest.raises(RefusedError):
        rig.driver.execute("source", args)
    assert rig.wire.carried == []


def test_a_bench_may_allow_less_current(rig: Rig) -> None:
    driver = Keithley(rig.driver.line, {"max_current_a": 0.01})
    with pytest.raises(RefusedError):
        driver.execute("source", {"voltage_v": 3.8, "limit_a": 0.02})


def test_a_limit_that_does_not_take_effect_leaves_the_output_off(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    obey = Keithley2450.set
    monkeypatch.setattr(
        Keithley2450, "set", lambda self, name, v: None if name == "limit_a" else obey(self, name, v)
    )
    with pytest.raises(NotDoneError, match="ILIM"):
        rig.driver.execute("source", CHARGE)
    assert not rig.device.settings["output"]


def test_open_circuit_stops_the_current_in_high_impedance(rig: Rig) -> None:
    rig.driver.execute("source", CHARGE)
    rig.device.set("off_mode", "NORM")
    assert rig.driver.execute("open_circuit", {}) == {"output": 0.0, "off_mode": "HIMP"}
    assert rig.cell.current_a == 0.0
    assert rig.driver.execute("open_circuit", {})["output"] == 0.0


def test_an_instrument_that_hears_and_cannot_be_heard_lets_go_of_the_cell(rig: Rig) -> None:
    rig.driver.execute("source", CHARGE)
    rig.device.set("off_mode", "NORM")
    rig.wire.spoil = SPOILT["silence"]
    assert rig.driver.read()[0].quality is SILENT
    with pytest.raises(CommunicationError):
        rig.driver.execute("open_circuit", {})
    assert (rig.device.settings["output"], rig.device.settings["off_mode"]) == (False, "HIMP")


def test_a_driver_that_was_closed_switches_nothing_off(rig: Rig) -> None:
    rig.driver.execute("source", CHARGE)
    rig.driver.close()
    with pytest.raises(CommunicationError, match="not open"):
        rig.driver.execute("open_circuit", {})
    assert rig.device.settings["output"]


def test_an_output_that_stays_on_is_reported(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.driver.execute("source", CHARGE)
    monkeypatch.setattr(Keithley2450, "set", lambda self, name, v: None)
    with pytest.raises(NotDoneError, match="output"):
        rig.driver.execute("open_circuit", {})


def test_a_lost_reply_to_output_on_is_an_unknown_outcome(rig: Rig) -> None:
    def lose_the_output(replies: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
        return [] if rig.wire.carried[-1] == b":OUTP?\n" and rig.device.settings["output"] else replies

    rig.wire.spoil = lose_the_output
    with pytest.raises(CommunicationError):
        rig.driver.execute("source", CHARGE)


def test_a_repeated_reply_is_not_taken_for_the_next_reading(rig: Rig) -> None:
    rig.wire.spoil = lambda replies: replies * 2
    seen = []
    for _ in range(4):
        seen.append(rig.driver.read()[2])
        rig.clock.sleep(1.0)
    good = [r.value for r in seen if r.quality is GOOD]
    assert len(good) == len(set(good))


def test_a_silence_takes_its_timeout_of_bench_time_only(rig: Rig) -> None:
    rig.wire.spoil = SPOILT["silence"]
    before = rig.clock.now()
    rig.driver.read()
    assert rig.clock.now() - before == pytest.approx(1.0, abs=0.1)


def test_a_full_charge_ends_at_its_voltage_with_the_limit_bit_dropping(rig: Rig) -> None:
    rig.driver.execute("source", CHARGE)
    limited, volts, amps = [], [], []
    for _ in range(800):
        rig.clock.sleep(5.0)
        for _ in range(5):
            rig.cell.step(1.0)
        voltage, current, _, limit, _ = rig.driver.read()
        assert voltage.value is not None
        assert current.value is not None
        amps.append(current.value)
        volts.append(voltage.value)
        limited.append(limit.value)
        if not limit.value:
            break
    assert volts[-1] == pytest.approx(3.8, abs=1e-3)
    assert max(volts) <= 3.8 + 1e-3
    assert all(limited[:-1])
    assert amps[-1] < 2e-4


@given(garbage=st.binary(max_size=60))
def test_no_reply_but_a_reading_becomes_a_number(garbage: bytes) -> None:
    clock = VirtualClock()
    cell = HalfCell()
    _, session = attach(Bindings(now=clock.now, cell=cell), {}, "1")
    wire = Wire(session)
    with mounted("keithley-garbage/cycler", wire, clock) as line:
        driver = Keithley(line, {})
        driver.open()
        wire.spoil = lambda replies: [(0.01, garbage.replace(b",", b";") + b"\n")]
        assert all(r.quality is SILENT for r in driver.read())
        driver.close()


def test_over_a_raw_socket_a_reply_that_comes_too_late_is_not_the_next_reading() -> None:
    _, session = attach(Bindings(now=lambda: 0.0, cell=None), {}, "04096331")
    wire = Wire(session)
    host = TcpHost(wire, RealClock().now, delays=False)
    with host:
        driver = Keithley(open_line(f"visa://{host.resource}", RealClock()), {})
        driver.open()
        late: list[tuple[float, bytes]] = []

        def hold(replies: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
            late.extend(replies)
            return []

        def release(replies: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
            held = [(0.0, reply) for _, reply in late]
            late.clear()
            return held + replies

        wire.spoil = hold
        assert all(r.quality is SILENT for r in driver.read())
        wire.spoil = release
        elapsed = driver.read()[2]
        assert elapsed.value is not None
        assert elapsed.value >= 1.0
        driver.close()


def test_an_instrument_that_was_away_is_read_again_when_it_is_back() -> None:
    _, session = attach(Bindings(now=lambda: 0.0, cell=None), {}, "04096331")
    first = TcpHost(session, RealClock().now, delays=False)
    with first:
        driver = Keithley(open_line(f"visa://{first.resource}", RealClock()), {})
        driver.open()
    assert all(r.quality is SILENT for r in driver.read())
    assert all(r.quality is SILENT for r in driver.read())
    session.feed(b"SENS:CURR:RSEN ON\n", 0.0)
    with TcpHost(session, RealClock().now, delays=False, port=first.port):
        assert all(r.quality is GOOD for r in driver.read())
    driver.close()
