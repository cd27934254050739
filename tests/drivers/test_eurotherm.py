from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from labctl.bench.api import (
    BAD,
    GOOD,
    SILENT,
    CommunicationError,
    Driver,
    NotDoneError,
    RefusedError,
)
from labctl_drivers.eurotherm import ENTRY, Eurotherm
from labctl_drivers.eurotherm.profiles import EURO_3216, PROFILES
from labctl_drivers.ports import open_line
from labctl_simulators.devices.api import Bindings, Replies, Session
from labctl_simulators.devices.eurotherm import BREAK_TYPE, CELLS, Eurotherm3216, attach
from labctl_simulators.hosts.pty import PtyHost
from tests.drivers.bench import VirtualClock, Wire, mounted
from tests.drivers.contract import DriverContract, RealClock

HEAT = {"target_c": 350.0, "ramp_k_per_min": 5.0}


class Furnace:
    """A thermocouple that shows what the test says, and the duty that the heater was last given."""

    def __init__(self) -> None:
        self.shown_c: float | None = 25.0
        self.duty = 0.0

    def set_heater(self, duty: float) -> None:
        self.duty = duty


class Rig:
    """A driver on a simulated 3216; `live` lets both pass the time."""

    def __init__(self, clock: VirtualClock, furnace: Furnace, device: Eurotherm3216, wire: Wire) -> None:
        self.clock, self.furnace, self.device, self.wire = clock, furnace, device, wire
        self.driver: Eurotherm

    def live(self, seconds: int, renew_c: float | None = None) -> None:
        for _ in range(seconds):
            self.clock.t_s = float(int(self.clock.t_s) + 1)
            self.device.tick(self.clock.t_s)
            if renew_c is not None:
                self.driver.execute("renew", {"target_c": renew_c})

    def value(self, name: str) -> float | None:
        reading = self.driver.read()[[s.name for s in ENTRY.signals].index(name)]
        assert reading.quality is GOOD
        return reading.value


@contextmanager
def rigged(options: Mapping[str, Any]) -> Iterator[Rig]:
    clock, furnace = VirtualClock(), Furnace()
    bindings = Bindings(
        now=lambda: float(int(clock.t_s)),
        thermocouple=lambda: furnace.shown_c,
        set_heater=furnace.set_heater,
    )
    device, session = attach(bindings, options, "SIM-1")
    assert isinstance(device, Eurotherm3216)
    rig = Rig(clock, furnace, device, Wire(session))
    with mounted("eurotherm-test/furnace", rig.wire, clock) as line:
        rig.driver = Eurotherm(line, options)
        rig.driver.open()
        yield rig
        rig.driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged({"max_temperature_c": 1100.0, "max_ramp_k_per_min": 10.0}) as rig:
        yield rig


class TestContract(DriverContract):
    entry = ENTRY
    hosts = ("pty", "tcp")

    def bindings(self, now: Callable[[], float]) -> Bindings:
        return Bindings(now=now, thermocouple=lambda: 25.0, set_heater=lambda duty: None)

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("heat", HEAT)
        driver.execute("renew", {"target_c": 350.0})
        driver.read()
        driver.execute("heat_off", {})
        driver.read()


def test_heat_goes_to_the_target_by_the_instruments_own_ramp(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(120, renew_c=350.0)
    assert rig.value("setpoint") == 350.0
    assert rig.value("working_setpoint") == pytest.approx(35.0, abs=0.2)
    assert rig.furnace.duty > 0
    assert rig.value("renewals") == 120


def test_the_fall_back_is_set_before_anything_that_energises(rig: Rig) -> None:
    rig.device.registers[24] = 8000
    rig.driver.execute("heat", HEAT)
    written = [int.from_bytes(r[2:4]) for r in rig.wire.carried if r[1] == 6]
    assert written == [24, 35, 26, 276, 273]


def test_setpoints_in_eeprom_are_written_once_however_long_it_heats(rig: Rig) -> None:
    for _ in range(5):
        rig.driver.execute("heat", HEAT)
        rig.live(100, renew_c=350.0)
        rig.driver.execute("heat_off", {})
    assert dict(rig.device.nv_writes) == {35: 1}


def test_without_renewals_the_instrument_falls_back_and_the_heater_goes_off(rig: Rig) -> None:
    rig.driver.execute("heat", {"target_c": 350.0, "ramp_k_per_min": 0.0})
    rig.live(60, renew_c=350.0)
    rig.furnace.shown_c = 340.0
    assert rig.furnace.duty > 0
    rig.live(7)
    assert rig.value("remote_fail") == 1
    assert rig.value("setpoint") == 20
    assert rig.furnace.duty == 0


def test_a_renewal_takes_the_lease_up_again(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(10)
    assert rig.value("remote_fail") == 1
    rig.live(1, renew_c=350.0)
    assert rig.value("remote_fail") == 0
    assert rig.value("setpoint") == 350


def test_heat_off_is_proven_with_the_thermocouple_open_and_the_break_action_off(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.device.registers[BREAK_TYPE] = 0
    rig.furnace.shown_c = None
    rig.live(2, renew_c=350.0)
    assert rig.furnace.duty == 1.0  # what a 3216 does then
    assert rig.driver.execute("heat_off", {})["output_percent"] == 0
    rig.live(60)
    assert rig.furnace.duty == 0.0
    assert rig.value("manual") == 1


def test_heat_off_fails_loudly_when_the_output_stays(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(60, renew_c=350.0)
    rig.device.registers[30] = rig.device.registers[31] = 100  # output limits hold it at 10 %
    with pytest.raises(NotDoneError, match="output still reads 10 %"):
        rig.driver.execute("heat_off", {})


@pytest.mark.parametrize("lost", range(12))
def test_heat_off_survives_any_one_lost_reply(rig: Rig, lost: int) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(30, renew_c=350.0)
    count = 0

    def lose(replies: Replies) -> Replies:
        nonlocal count
        count += 1
        return [] if count == lost + 1 else replies

    rig.wire.spoil = lose
    rig.driver.execute("heat_off", {})
    assert rig.furnace.duty == 0
    assert rig.device.registers[24] == 200


@pytest.mark.parametrize("polls", [0, 2])
def test_heat_off_reaches_an_instrument_that_hears_and_cannot_be_heard(rig: Rig, polls: int) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(30, renew_c=350.0)
    assert rig.furnace.duty > 0
    rig.wire.spoil = lambda replies: []
    for _ in range(polls):
        assert {reading.quality for reading in rig.driver.read()} == {SILENT}
    with pytest.raises(CommunicationError):
        rig.driver.execute("heat_off", {})
    rig.live(1)
    assert rig.furnace.duty == 0
    assert rig.device.registers[24] == 200


def test_an_open_thermocouple_is_bad_and_keeps_the_raw_value(rig: Rig) -> None:
    rig.furnace.shown_c = None
    image = rig.driver.read()
    assert (image[0].value, image[0].quality) == (1372.0, BAD)
    assert image[4].value == 1
    rig.furnace.shown_c = 25.0
    rig.live(1)
    assert rig.driver.read()[0].quality is GOOD


def test_an_over_range_value_is_bad(rig: Rig) -> None:
    rig.furnace.shown_c = 1500.0
    assert rig.driver.read()[0].quality is BAD


def test_silence_takes_less_than_a_scan(rig: Rig) -> None:
    rig.driver.read()
    rig.wire.spoil = lambda replies: []
    for _ in range(5):
        start = rig.clock.now()
        assert rig.driver.read()[0].quality is SILENT
        assert rig.clock.now() - start < 1.0


@pytest.mark.parametrize("delay", [0.29, 0.31, 0.45, 0.61, 0.75, 0.95, 1.3])
def test_a_late_reply_is_never_taken_for_another(rig: Rig, delay: float) -> None:
    rig.driver.read()
    stale = 25.0
    rig.wire.spoil = lambda replies: [(delay, reply) for _, reply in replies]
    rig.driver.read()
    rig.wire.spoil = lambda replies: replies
    rig.furnace.shown_c = 700.0
    rig.live(1)
    for _ in range(3):
        image = rig.driver.read()
        assert image[0].value != stale
        assert image[0].value in (700.0, None)
        assert image[4].value in (0.0, None)
        rig.live(1)


def test_targets_and_ramps_beyond_the_bench_are_refused_unsent(rig: Rig) -> None:
    rig.driver.read()
    for verb, args in (
        ("heat", {"target_c": 1101.0, "ramp_k_per_min": 5.0}),
        ("heat", {"target_c": -1.0, "ramp_k_per_min": 5.0}),
        ("heat", {"target_c": 350.0, "ramp_k_per_min": 11.0}),
        ("heat", {"target_c": 350.0, "ramp_k_per_min": 0.01}),
        ("renew", {"target_c": 1101.0}),
        ("heat", {"target_c": float("nan"), "ramp_k_per_min": 5.0}),
    ):
        before = len(rig.wire.carried)
        with pytest.raises(RefusedError):
            rig.driver.execute(verb, args)
        assert len(rig.wire.carried) == before


def test_a_thermometer_refuses_every_verb() -> None:
    with rigged({"read_only": True}) as rig:
        rig.driver.read()
        before = len(rig.wire.carried)
        for verb, args in (("heat", HEAT), ("renew", {"target_c": 20.0}), ("heat_off", {})):
            with pytest.raises(RefusedError, match="thermometer"):
                rig.driver.execute(verb, args)
        assert len(rig.wire.carried) == before


@pytest.mark.parametrize(
    ("register", "value", "item"),
    [
        (578, 0, "sensor break"),
        (34, 500, "output on sensor break"),
        (516, 1, "units"),
        (531, 1, "ramp units"),
        (24, 8000, "setpoint after power return"),
        (112, 300, "setpoint limits"),
        (525, 0, "decimal places"),
    ],
)
def test_the_audit_refuses_a_dangerous_setting_and_names_it(
    rig: Rig, register: int, value: int, item: str
) -> None:
    rig.device.registers[register] = value
    audit = rig.driver.audit()
    assert not audit.ok
    assert item in [i.name for i in audit.items if not i.ok]
    assert all(request[1] == 3 for request in rig.wire.carried)


def test_silence_during_a_verb_is_an_unknown_outcome(rig: Rig) -> None:
    rig.driver.read()
    rig.wire.spoil = lambda replies: []
    for verb, args in (("heat", HEAT), ("renew", {"target_c": 350.0}), ("heat_off", {})):
        with pytest.raises(CommunicationError):
            rig.driver.execute(verb, args)


def test_an_energising_write_is_never_repeated(rig: Rig) -> None:
    rig.driver.read()
    rig.wire.spoil = lambda replies: [r for r in replies if r[1][1] != 6]
    rig.wire.carried.clear()
    with pytest.raises(CommunicationError):
        rig.driver.execute("renew", {"target_c": 350.0})
    assert [r[1] for r in rig.wire.carried] == [6]


def test_the_instrument_mode_is_not_among_what_it_writes() -> None:
    assert all(199 not in profile.writable for profile in PROFILES.values())
    assert all(CELLS[address].access in ("rw", "nv") for address in EURO_3216.writable)


def test_a_mains_failure_leaves_no_setpoint_that_heats(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(60, renew_c=350.0)
    rig.device.power_off()
    assert rig.furnace.duty == 0
    assert rig.driver.read()[0].quality is SILENT
    rig.device.power_on()
    rig.live(30)
    assert rig.furnace.duty == 0
    assert rig.value("setpoint") == 20


class Bus:
    """Two instruments on one pair of wires."""

    def __init__(self, *sessions: Session) -> None:
        self.sessions = sessions

    def feed(self, data: bytes, now_s: float) -> Replies:
        return [reply for session in self.sessions for reply in session.feed(data, now_s)]


def test_two_controllers_share_one_serial_line() -> None:
    shown = {1: 111.0, 2: 222.0}
    sessions = [
        attach(Bindings(now=lambda: 0.0, thermocouple=partial(shown.get, unit)), {"unit": unit}, "")[1]
        for unit in shown
    ]
    with PtyHost(Bus(*sessions), time.monotonic) as host:
        line = open_line(host.address, RealClock())
        first, second = (Eurotherm(line, {"unit": unit}) for unit in shown)
        first.open()
        second.open()
        assert first.read()[0].value == 111.0
        assert second.read()[0].value == 222.0
        first.close()
        assert second.read()[0].value == 222.0
        with pytest.raises(CommunicationError, match="other settings"):
            Eurotherm(line, {"unit": 3, "baudrate": 19200}).open()
        second.close()
        first.open()
        assert first.read()[0].value == 111.0
        first.close()
