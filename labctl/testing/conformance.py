"""What every driver must do, as tests to inherit.

A driver whose entry names a simulated device:

    from labctl.testing.conformance import SimulatedConformance

    class TestOven(SimulatedConformance):
        entry = ENTRY

        def bindings(self, now):
            oven = ConvectionOven()
            return Bindings(now=now, oven=oven, oven_sensor=lambda: oven.air_c)

and with a simulator of any other make, which need only turn bytes into timed bytes:

    class TestOven(DriverConformance):
        entry = ENTRY

        def session(self, now):
            return MySimulator()
"""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import pytest

from labctl.bench.api import CAPABILITIES, DRIVER_API, GOOD, SILENT, Driver, DriverEntry, RefusedError
from labctl.runtime.clock import BusClock, RealClock
from labctl.testing.wires import SPOILT, ForbiddenLine, Recorder, Wire, halves, late_by, mounted
from labctl_drivers.ports import open_line
from labctl_simulators.devices import attach_function
from labctl_simulators.devices.api import Bindings, Device, Session
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.hosts.tcp import TcpHost

PLAUSIBLE: Mapping[str, float] = {
    "target_c": 100.0,
    "ramp_k_per_min": 1.0,
    "speed_rpm": 300.0,
    "flow_sccm": 50.0,
    "voltage_v": 3.0,
    "limit_a": 1e-4,
    "volume_ml": 1.0,
    "rate_ml_per_min": 1.0,
}
"""A modest value of every numeric argument of a capability's verb, so that another one can be out of bounds."""

ABSURD = (float("nan"), float("inf"), float("-inf"), 1e9)
"""Numbers that no instrument can be asked for, in whatever unit."""

LATE_S = tuple(2.0 + n / 10 for n in range(1, 11))
"""How late replies are tried, s: beyond every time-out here, and close enough to meet each later question."""

LATE_READS = 8
"""Scans on a late line. Replies that carry no number (Modbus RTU) cannot be told apart for ever: on a line that stays
late by the wrong amount, one in some tens is taken for the present one by the best that a driver can do."""

IMPORT_ONLY = """
import sys
def watch(event, args):
    if event in ("socket.connect", "socket.bind") or event == "open" and str(args[0]).startswith("/dev/tty"):
        raise SystemExit(f"{event} {args[:2]} while it was imported")
sys.addaudithook(watch)
import importlib
importlib.import_module(sys.argv[1])
"""


class Rig(NamedTuple):
    """A driver, open on a simulated instrument, in virtual time."""

    clock: BusClock
    wire: Wire
    driver: Driver


class DriverConformance(ABC):
    """Inherit as `Test...`, set `entry`, give `session`.

    options: of the bench file. hosts: "pty", "tcp" and "visa" (TCP behind VISA), whichever the real instrument's
    link is: the same conversation is held over each. settle_s: how long after a spoilt wire a driver may need until
    it reads again. beyond: (verb, arguments) that the driver must refuse with these options, besides absurd numbers.
    """

    entry: ClassVar[DriverEntry]
    options: ClassVar[Mapping[str, Any]] = {}
    hosts: ClassVar[tuple[str, ...]] = ()
    settle_s: ClassVar[float] = 10.0
    beyond: ClassVar[Sequence[tuple[str, Mapping[str, Any]]]] = ()

    @abstractmethod
    def session(self, now: Callable[[], float]) -> Session:
        """A healthy simulated instrument. What it shows must not change by itself: transcripts are compared."""

    def conversation(self, driver: Driver) -> None:
        """What is said on each host; add the verbs."""
        driver.audit()
        driver.read()
        driver.read()

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        """The driver, open."""
        clock = BusClock()
        wire = Wire(self.session(clock.now))
        with mounted(f"conformance/{self.entry.name}", wire, clock) as line:
            driver = self.entry.factory(line, self.options)
            driver.open()
            yield Rig(clock, wire, driver)
            driver.close()

    # -- what it declares ------------------------------------------------------------------------

    def test_it_is_written_for_this_labctl(self) -> None:
        assert self.entry.api == DRIVER_API

    def test_its_entry_declares_what_its_capabilities_ask_for(self) -> None:
        offered = {signal.name: signal.unit for signal in self.entry.signals}
        assert len(offered) == len(self.entry.signals)
        for name in self.entry.capabilities:
            assert dict(CAPABILITIES[name].signals).items() <= offered.items()

    # -- what it does without being asked: nothing -----------------------------------------------

    def test_importing_it_opens_nothing(self) -> None:
        command = [sys.executable, "-c", IMPORT_ONLY, self.entry.factory.__module__]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def test_making_one_opens_nothing(self) -> None:
        self.entry.factory(ForbiddenLine(), self.options).close()

    def test_an_unknown_option_is_refused_with_the_nearest_name(self) -> None:
        with pytest.raises(ValueError, match="no_such_thing"):
            self.entry.factory(ForbiddenLine(), {**self.options, "no_such_thing": 1})
        for name in self.entry.options:
            with pytest.raises(ValueError, match=name):
                self.entry.factory(ForbiddenLine(), {**self.options, f"{name}x": 1})

    # -- what it reads ---------------------------------------------------------------------------

    def test_a_healthy_instrument_reads_good_in_the_declared_units(self, rig: Rig) -> None:
        rig.driver.audit()
        image = rig.driver.read()
        assert [r.unit for r in image] == [s.unit for s in self.entry.signals]
        assert {r.quality for r in image} == {GOOD}
        assert rig.driver.audit().ok

    def test_what_shows_an_unverified_item_is_a_signal_or_an_item_of_its_audit(self, rig: Rig) -> None:
        there = {signal.name for signal in self.entry.signals} | {i.name for i in rig.driver.audit().items}
        for item in self.entry.unknowns:
            assert set(item.shown_by) <= there, item.text

    def test_a_reply_in_two_pieces_reads_the_same_wherever_it_is_split(self, rig: Rig) -> None:
        rig.wire.answered.clear()
        rig.driver.read()
        for at in range(1, max(map(len, rig.wire.answered))):
            rig.wire.spoil = halves(at, 0.002)
            assert {r.quality for r in rig.driver.read()} == {GOOD}, f"split before byte {at}"
            rig.clock.sleep(1.0)

    @pytest.mark.parametrize("way", SPOILT)
    def test_a_spoilt_wire_is_silence_never_a_number(self, rig: Rig, way: str) -> None:
        rig.driver.audit()
        spoil, rig.wire.spoil = rig.wire.spoil, SPOILT[way]
        for _ in range(3):
            for reading in rig.driver.read():
                assert (reading.value, reading.quality) == (None, SILENT)
            rig.clock.sleep(1.0)
        rig.wire.spoil = spoil
        self._recovers(rig)

    @pytest.mark.parametrize("late_s", LATE_S)
    def test_a_late_reply_is_silence_whatever_is_being_asked_when_it_comes(
        self, rig: Rig, late_s: float
    ) -> None:
        rig.driver.audit()
        spoil, rig.wire.spoil = rig.wire.spoil, late_by(late_s)
        for _ in range(LATE_READS):
            for reading in rig.driver.read():
                assert (reading.value, reading.quality) == (None, SILENT)
            rig.clock.sleep(0.1)
        rig.wire.spoil = spoil
        self._recovers(rig)

    def _recovers(self, rig: Rig) -> None:
        end = rig.clock.now() + self.settle_s
        while (image := rig.driver.read())[0].quality is not GOOD:
            assert rig.clock.now() < end
            rig.clock.sleep(1.0)
        assert {r.quality for r in image} == {GOOD}

    # -- what it refuses -------------------------------------------------------------------------

    def test_an_unknown_verb_is_refused_and_nothing_is_sent(self, rig: Rig) -> None:
        self._refuses(rig, "self_destruct", {})

    def test_an_absurd_number_is_refused_and_nothing_is_sent(self, rig: Rig) -> None:
        rig.driver.audit()  # some learn the instrument's own limits there
        for name in self.entry.capabilities:
            for verb, arguments in CAPABILITIES[name].verbs.items():
                if not self._commands(verb) or not set(arguments) <= PLAUSIBLE.keys():
                    continue
                modest = {argument: PLAUSIBLE[argument] for argument in arguments}
                for argument in arguments:
                    # the host moves such a ramp, so how steep it may be is for the host to say
                    hosts = argument == "ramp_k_per_min" and self.entry.host_ramp
                    for value in ABSURD[:-1] if hosts else ABSURD:
                        self._refuses(rig, verb, {**modest, argument: value})

    def test_what_is_beyond_its_limits_is_refused_and_nothing_is_sent(self, rig: Rig) -> None:
        rig.driver.audit()
        for verb, args in self.beyond:
            self._refuses(rig, verb, args)

    def _commands(self, verb: str) -> bool:
        """Whether the verb is one of this driver's: only who has no ramp or has a dead-man needs `renew`."""
        return verb != "renew" or self.entry.host_ramp or self.entry.lease_s is not None

    def _refuses(self, rig: Rig, verb: str, args: Mapping[str, Any]) -> None:
        before = len(rig.wire.carried)
        try:
            rig.driver.execute(verb, args)
        except RefusedError:
            assert len(rig.wire.carried) == before, f"{verb} {args} was refused after something was sent"
        else:
            pytest.fail(f"{verb} {args} was not refused")

    # -- how it ends, and what it says on every wire ---------------------------------------------

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

    def test_its_simulator_takes_requests_byte_by_byte(self) -> None:
        assert self._transcript("labsim", byte_by_byte=True) == self._transcript("labsim")

    def _transcript(self, host: str, *, byte_by_byte: bool = False) -> tuple[bytes, bytes]:
        frozen = BusClock()
        recorder = Recorder(self.session(frozen.now), byte_by_byte=byte_by_byte)
        with self._line(host, recorder) as line:
            driver = self.entry.factory(line, self.options)
            driver.open()
            self.conversation(driver)
            driver.close()
        return recorder.asked, recorder.answered

    @contextmanager
    def _line(self, host: str, session: Session) -> Iterator[Any]:
        clock = RealClock()
        if host == "labsim":
            with mounted(f"transcript/{self.entry.name}", session, BusClock()) as line:
                yield line
        elif host == "pty":
            with PtyHost(session, clock.now) as pty:
                yield open_line(pty.address, clock)
        else:
            with TcpHost(session, clock.now) as tcp:
                yield open_line(f"visa://{tcp.resource}" if host == "visa" else tcp.address, clock)


class SimulatedConformance(DriverConformance):
    """For a driver whose entry names a simulated device: set `entry`, give `bindings`.

    serial_number: of the simulated instrument.
    """

    serial_number: ClassVar[str] = ""

    @abstractmethod
    def bindings(self, now: Callable[[], float]) -> Bindings:
        """A healthy world for the instrument, which does not change by itself."""

    def attach(self, now: Callable[[], float]) -> tuple[Device, Session]:
        """The simulated instrument in that world."""
        assert self.entry.device is not None, "not simulated"
        return attach_function(self.entry.device)(self.bindings(now), self.options, self.serial_number)

    def session(self, now: Callable[[], float]) -> Session:
        return self.attach(now)[1]
