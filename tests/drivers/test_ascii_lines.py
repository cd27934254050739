"""What holds for every driver whose instrument answers in lines of ASCII."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.bench.api import GOOD, SILENT, CommunicationError, Driver, DriverEntry
from labctl_drivers import ika, rapidox
from labctl_drivers.alicat import ENTRY as ALICAT
from labctl_drivers.ports import open_line
from labctl_simulators.devices import attach_function
from labctl_simulators.devices.api import Bindings, Replies, Session
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.massflow import MassFlow
from tests.drivers.bench import SPOILT, VirtualClock, Wire, mounted

ENTRIES = (ALICAT, rapidox.ENTRY, ika.ENTRY)
each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


@dataclass
class Rig:
    clock: VirtualClock
    age: Callable[[float], None]
    """Make the instrument show the time: its first fast reading is then a time stamp."""
    wire: Wire
    driver: Driver


def instrument(entry: DriverEntry, now: Callable[[], float]) -> tuple[Session, Callable[[float], None]]:
    flow, plate, gas = MassFlow(5000.0), Hotplate(), [100.0]
    assert entry.device is not None
    device: Any
    device, session = attach_function(entry.device)(
        Bindings(now=now, mass_flow=flow, hotplate=plate, oxygen=lambda: gas[0]), {}, "521641"
    )

    def age(t_s: float) -> None:
        flow.indicated_sccm = plate.plate_c = plate.speed_rpm = device.shown_ppm = t_s

    return session, age


@contextmanager
def rig_of(entry: DriverEntry) -> Iterator[Rig]:
    clock = VirtualClock()
    session, age = instrument(entry, clock.now)
    wire = Wire(session)
    with mounted(f"ascii-test/{entry.name}", wire, clock) as line:
        driver = entry.factory(line, {})
        driver.open()
        yield Rig(clock, age, wire, driver)
        driver.close()


def qualities(driver: Driver) -> set[int]:
    return {reading.quality for reading in driver.read()}


@each
def test_readings_come_as_declared(entry: DriverEntry) -> None:
    with rig_of(entry) as rig:
        readings = rig.driver.read()
        assert [r.unit for r in readings] == [s.unit for s in entry.signals]
        assert {r.quality for r in readings} == {GOOD}


@each
@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_spoilt_wire_is_silent_and_recovers(entry: DriverEntry, spoilt: str) -> None:
    with rig_of(entry) as rig:
        rig.wire.spoil = SPOILT[spoilt]
        for _ in range(3):
            rig.clock.t_s += 1.0
            assert qualities(rig.driver) == {SILENT}
        rig.wire.spoil = lambda replies: replies
        last = set()
        for _ in range(6):
            rig.clock.t_s += 1.0
            last = qualities(rig.driver)
        assert last == {GOOD}


@each
def test_one_lost_reply_costs_one_reading(entry: DriverEntry) -> None:
    with rig_of(entry) as rig:
        rig.wire.spoil = SPOILT["silence"]
        assert qualities(rig.driver) == {SILENT}
        rig.wire.spoil = lambda replies: replies
        rig.clock.t_s += 1.0
        assert qualities(rig.driver) == {GOOD}


@each
def test_an_instrument_that_comes_back_is_read_again_within_five_seconds(entry: DriverEntry) -> None:
    with rig_of(entry) as rig:
        rig.wire.spoil = SPOILT["silence"]
        for _ in range(600):
            rig.clock.t_s += 1.0
            rig.driver.read()
        rig.wire.spoil = lambda replies: replies
        for _ in range(5):
            rig.clock.t_s += 1.0
            rig.driver.read()
        assert qualities(rig.driver) == {GOOD}


@each
@pytest.mark.parametrize("late_s", [0.2, 0.5, 0.7, 1.0, 1.3, 2.0, 2.5, 4.0, 5.0])
def test_a_reading_is_never_older_than_it_says(entry: DriverEntry, late_s: float) -> None:
    """Replies begin to come late; what the instrument shows is the time, so each number tells its age."""

    def delay(replies: Replies) -> Replies:
        return [(d + late_s, r) for d, r in replies]

    with rig_of(entry) as rig:
        fast = 1 if entry.name == "ika" else 0
        rig.age(rig.clock.t_s)
        rig.driver.read()
        rig.wire.spoil = delay
        for n in range(1, 60):
            rig.clock.t_s = max(rig.clock.t_s, float(n))
            began = rig.clock.t_s
            rig.age(began)
            readings = rig.driver.read()
            shown = readings[2 if fast else 0]
            if shown.quality is GOOD:
                assert shown.value is not None
                assert shown.value >= began - 1.6


@each
@settings(max_examples=60, deadline=None)
@given(noise=st.lists(st.binary(max_size=80), max_size=6))
def test_garbage_never_becomes_a_good_number(entry: DriverEntry, noise: list[bytes]) -> None:
    with rig_of(entry) as rig:
        sent = iter(noise)
        rig.wire.spoil = lambda replies: [(0.01, next(sent, b"\r\n"))]
        for _ in range(len(noise)):
            rig.clock.t_s += 1.0
            assert GOOD not in qualities(rig.driver)


@each
@settings(max_examples=40, deadline=None)
@given(noise=st.binary(min_size=1, max_size=60).filter(lambda n: n[-1:] not in b"0123456789.- "))
def test_garbage_beside_a_reply_never_changes_a_number(entry: DriverEntry, noise: bytes) -> None:
    """Nothing on a line without a checksum can tell one digit too many, so those are left out."""
    with rig_of(entry) as rig:
        whole = [r.value for r in rig.driver.read()]
        rig.wire.spoil = lambda replies: [(d, noise + r) for d, r in replies]
        for _ in range(3):
            rig.clock.t_s += 1.0
            for value, reading in zip(whole, rig.driver.read(), strict=True):
                assert reading.quality is not GOOD or reading.value == value


@each
def test_an_unplugged_line_is_silent_and_opening_it_is_an_error(entry: DriverEntry) -> None:
    clock = VirtualClock()
    session, _ = instrument(entry, clock.now)
    with mounted(f"ascii-test/gone-{entry.name}", session, clock) as line:
        driver = entry.factory(line, {})
        driver.open()
    assert qualities(driver) == {SILENT}
    with pytest.raises(CommunicationError):
        driver.audit()
    with pytest.raises(CommunicationError):
        entry.factory(line, {}).open()


@each
def test_bytes_are_the_same_in_process_and_through_a_pseudo_terminal(entry: DriverEntry) -> None:
    def carried(driver: Driver) -> list[Any]:
        driver.open()
        driver.audit()
        readings = driver.read()
        driver.close()
        return [(r.value, r.unit, r.quality) for r in readings]

    class WallClock:
        now = staticmethod(time.monotonic)
        sleep = staticmethod(time.sleep)

    clock = VirtualClock()
    virtual = Wire(instrument(entry, lambda: 0.0)[0])
    with mounted(f"ascii-test/pty-{entry.name}", virtual, clock) as line:
        expected = carried(entry.factory(line, {}))
    real = Wire(instrument(entry, lambda: 0.0)[0])
    with PtyHost(real, time.monotonic) as host:
        assert isinstance(host, PtyHost)
        options = {"timeout_s": 0.15}
        assert carried(entry.factory(open_line(host.address, WallClock()), options)) == expected
    assert b"".join(real.carried) == b"".join(virtual.carried)
