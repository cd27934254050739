"""What every driver must do, as tests to inherit: on the in-process host and on the wires its instrument has.

class TestEurothermContract(DriverContract):
    entry = ENTRY
    hosts = ("pty",)

    def bindings(self, now):
        return Bindings(now=now, thermocouple=lambda: 25.0)
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import pytest

from labctl.bench.api import CAPABILITIES, GOOD, SILENT, Driver, DriverEntry, RefusedError
from labctl_drivers.ports import open_line
from labctl_simulators.devices import attach_function
from labctl_simulators.devices.api import Bindings, Device, Replies, Session
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.hosts.tcp import TcpHost
from tests.drivers.bench import SPOILT, VirtualClock, Wire, mounted


class RealClock:
    """The machine's."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Recorder:
    """A session that keeps every byte, both ways, as streams: hosts may split bytes, never reorder them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.asked = b""
        self.answered = b""

    def feed(self, data: bytes, now_s: float) -> Replies:
        self.asked += data
        replies = self.session.feed(data, now_s)
        self.answered += b"".join(reply for _, reply in replies)
        return replies


class Rig(NamedTuple):
    clock: VirtualClock
    device: Device
    wire: Wire
    driver: Driver


class Unopenable:
    """A line that fails the test when it is used."""

    address = "labsim://nowhere/nothing"
    clock = VirtualClock()

    def open_stream(self, **_: Any) -> Any:
        pytest.fail("opened before open()")

    def open_visa(self, **_: Any) -> Any:
        pytest.fail("opened before open()")


class DriverContract(ABC):
    """Inherit as `Test...`, set `entry`, give `bindings`.

    options: of the bench file. serial_number: of the simulated instrument. hosts: "pty", "tcp" and "visa"
    (TCP behind VISA), whichever the real instrument's link is. settle_s: how long after a spoilt wire a
    driver may need until it reads again.
    """

    entry: ClassVar[DriverEntry]
    options: ClassVar[Mapping[str, Any]] = {}
    serial_number: ClassVar[str] = ""
    hosts: ClassVar[tuple[str, ...]] = ()
    settle_s: ClassVar[float] = 10.0

    @abstractmethod
    def bindings(self, now: Callable[[], float]) -> Bindings:
        """A healthy world for the instrument. It must not change by itself: transcripts are compared."""

    def conversation(self, driver: Driver) -> None:
        """What is said on each host; add the verbs."""
        driver.audit()
        driver.read()
        driver.read()

    def attach(self, now: Callable[[], float]) -> tuple[Device, Session]:
        assert self.entry.device is not None, "not simulated"
        return attach_function(self.entry.device)(self.bindings(now), self.options, self.serial_number)

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        clock = VirtualClock()
        device, session = self.attach(clock.now)
        wire = Wire(session)
        with mounted(f"contract/{self.entry.name}", wire, clock) as line:
            driver = self.entry.factory(line, self.options)
            driver.open()
            yield Rig(clock, device, wire, driver)
            driver.close()

    def test_its_entry_declares_what_its_capabilities_ask_for(self) -> None:
        offered = {signal.name: signal.unit for signal in self.entry.signals}
        assert len(offered) == len(self.entry.signals)
        for name in self.entry.capabilities:
            assert dict(CAPABILITIES[name].signals).items() <= offered.items()

    def test_making_one_opens_nothing(self) -> None:
        self.entry.factory(Unopenable(), self.options).close()

    def test_an_unknown_option_is_refused_with_the_nearest_name(self) -> None:
        for name in self.entry.options:
            with pytest.raises(ValueError, match=name):
                self.entry.factory(Unopenable(), {**self.options, f"{name}x": 1})

    def test_a_healthy_instrument_reads_good_in_the_declared_units(self, rig: Rig) -> None:
        rig.driver.audit()
        image = rig.driver.read()
        assert [r.unit for r in image] == [s.unit for s in self.entry.signals]
        assert {r.quality for r in image} == {GOOD}
        assert rig.driver.audit().ok

    def test_an_unknown_verb_is_refused_and_nothing_is_sent(self, rig: Rig) -> None:
        before = len(rig.wire.carried)
        with pytest.raises(RefusedError):
            rig.driver.execute("self_destruct", {})
        assert len(rig.wire.carried) == before

    @pytest.mark.parametrize("way", SPOILT)
    def test_a_spoilt_wire_is_silence_never_a_number(self, rig: Rig, way: str) -> None:
        rig.driver.audit()
        spoil, rig.wire.spoil = rig.wire.spoil, SPOILT[way]
        for _ in range(3):
            for reading in rig.driver.read():
                assert (reading.value, reading.quality) == (None, SILENT)
            rig.clock.sleep(1.0)
        rig.wire.spoil = spoil
        end = rig.clock.now() + self.settle_s
        while (image := rig.driver.read())[0].quality is not GOOD:
            assert rig.clock.now() < end
            rig.clock.sleep(1.0)
        assert {r.quality for r in image} == {GOOD}

    def test_a_closed_driver_is_silent_and_closes_twice(self, rig: Rig) -> None:
        rig.driver.close()
        rig.driver.close()
        assert {r.quality for r in rig.driver.read()} == {SILENT}

    def test_every_host_carries_the_same_bytes(self) -> None:
        here = self._transcript("labsim")
        assert here[0]
        assert here[1]
        for host in self.hosts:
            assert self._transcript(host) == here, host

    def _transcript(self, host: str) -> tuple[bytes, bytes]:
        frozen = VirtualClock()
        _, session = self.attach(frozen.now)
        recorder = Recorder(session)
        with self._line(host, recorder) as line:
            driver = self.entry.factory(line, self.options)
            driver.open()
            self.conversation(driver)
            driver.close()
        return recorder.asked, recorder.answered

    @contextmanager
    def _line(self, host: str, session: Session) -> Iterator[Any]:
        if host == "labsim":
            with mounted(f"transcript/{self.entry.name}", session, VirtualClock()) as line:
                yield line
        elif host == "pty":
            with PtyHost(session, time.monotonic) as pty:
                yield open_line(pty.address, RealClock())
        else:
            with TcpHost(session, time.monotonic) as tcp:
                yield open_line(f"visa://{tcp.resource}" if host == "visa" else tcp.address, RealClock())
