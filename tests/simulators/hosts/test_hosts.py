from __future__ import annotations

import importlib
import socket
import time
from collections.abc import Iterator

import pytest
import serial

from labctl.bench.api import CommunicationError
from labctl.errors import UsageError
from labctl_drivers.ports import open_line
from labctl_simulators.devices.api import Replies
from labctl_simulators.hosts.inprocess import Mount, mount, unmount
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.hosts.tcp import TcpHost
from tests.drivers.bench import VirtualClock
from tests.drivers.contract import RealClock

NAME = "Hosts/Tube-Furnace_1"


class Echo:
    """Answers bytes with themselves after `delay_s`, but for lines that begin with `#`."""

    def __init__(self, delay_s: float = 0.005) -> None:
        self.delay_s = delay_s
        self.fed: list[tuple[float, bytes]] = []

    def feed(self, data: bytes, now_s: float) -> Replies:
        self.fed.append((now_s, data))
        lines = [line for line in data.splitlines(keepends=True) if not line.startswith(b"#")]
        return [(self.delay_s, b"".join(lines))] if lines else []


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def mounting(clock: VirtualClock) -> Iterator[Mount]:
    yield mount(NAME, Echo(), clock)
    unmount(NAME)


def test_the_handler_imports_by_itself() -> None:
    # pyserial swallows an ImportError in a handler and says that the protocol is not known
    importlib.import_module("labctl_simulators.hosts.protocol_labsim")


def test_waiting_for_a_reply_jumps_to_its_time(mounting: Mount, clock: VirtualClock) -> None:
    port = open_line(f"labsim://{NAME}", clock).open_stream()
    port.write(b"hello")
    assert port.read(2) == b"he"
    assert port.read_some() == b"llo"
    assert clock.now() == pytest.approx(0.005)


def test_silence_costs_exactly_the_time_out(mounting: Mount, clock: VirtualClock) -> None:
    port = open_line(f"labsim://{NAME}", clock).open_stream(timeout_s=0.3)
    port.write(b"#")
    assert port.read(5) == b""
    assert port.read_some() == b""
    assert clock.now() == pytest.approx(0.6)


def test_a_serial_link_takes_the_time_of_its_bytes(clock: VirtualClock) -> None:
    mount(NAME, Echo(delay_s=0.0), clock, paced=True)
    try:
        port = open_line(f"labsim://{NAME}", clock).open_stream(baudrate=9600)
        port.write(b"12345678")
        assert port.read(8) == b"12345678"
    finally:
        unmount(NAME)
    assert clock.now() == pytest.approx(16 * 10 / 9600)


def test_in_waiting_never_moves_time(mounting: Mount, clock: VirtualClock) -> None:
    port = serial.serial_for_url(f"labsim://{NAME}", timeout=0.3)
    port.write(b"hello")
    assert port.in_waiting == 0
    clock.sleep(0.005)
    assert port.in_waiting == 5
    assert clock.now() == 0.005
    port.close()


def test_resetting_drops_what_has_come_and_not_what_is_under_way(
    mounting: Mount, clock: VirtualClock
) -> None:
    port = open_line(f"labsim://{NAME}", clock).open_stream()
    port.write(b"early")
    clock.sleep(0.01)
    port.write(b"late")
    port.reset_input()
    assert port.read(9) == b"late"


def test_a_read_that_would_never_end_is_refused(mounting: Mount) -> None:
    port = serial.serial_for_url(f"labsim://{NAME}")
    with pytest.raises(serial.SerialException, match="never end"):
        port.read(1)
    port.close()


def test_a_pulled_cable_is_a_communication_error_until_it_is_back(clock: VirtualClock) -> None:
    mount(NAME, Echo(), clock)
    port = open_line(f"labsim://{NAME}", clock).open_stream()
    unmount(NAME)
    for _ in range(2):
        with pytest.raises(CommunicationError):
            port.write(b"hello")
    mount(NAME, Echo(), clock)
    port.write(b"hello")
    assert port.read(5) == b"hello"
    unmount(NAME)


def test_a_name_is_mounted_once_and_never_with_a_visa_separator(mounting: Mount, clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="already"):
        mount(NAME, Echo(), clock)
    with pytest.raises(ValueError, match="::"):
        mount("a::b", Echo(), clock)


def test_an_unknown_instrument_or_scheme_is_named(clock: VirtualClock) -> None:
    with pytest.raises(CommunicationError, match="labsim://no/body"):
        open_line("labsim://no/body", clock).open_stream()
    with pytest.raises(CommunicationError, match="labsim://no/body"):
        open_line("labsim://no/body", clock).open_visa()
    for address in ("gpib://1", "/dev/ttyUSB0"):
        with pytest.raises(UsageError, match="serial://"):
            open_line(address, clock)
    with pytest.raises(UsageError):
        open_line("visa://ASRL1::INSTR", clock).open_stream()
    with pytest.raises(UsageError):
        open_line("tcp://127.0.0.1:1", clock).open_visa()


def test_a_visa_time_out_takes_virtual_seconds_and_no_real_ones(mounting: Mount, clock: VirtualClock) -> None:
    instrument = open_line(f"labsim://{NAME}", clock).open_visa(timeout_s=60.0)
    began = time.monotonic()
    assert instrument.query("hello") == "hello"
    before = clock.now()
    instrument.write("#")
    with pytest.raises(Exception, match="VI_ERROR_TMO"):
        instrument.read()
    assert clock.now() - before == pytest.approx(60.0)
    assert time.monotonic() - began < 30.0
    assert instrument.query("again") == "again"
    instrument.close()


def test_a_pseudo_terminal_takes_seven_bits_and_even_parity() -> None:
    with PtyHost(Echo(), time.monotonic) as host:
        port = open_line(host.address, RealClock()).open_stream(bytesize=7, parity="E", timeout_s=1.0)
        port.write(b"hello")
        assert port.read(5) == b"hello"
        port.close()


def test_a_lost_connection_costs_its_request_and_is_made_again_for_the_next() -> None:
    session = Echo()
    with TcpHost(session, time.monotonic) as host:
        line = open_line(host.address, RealClock())
        port = line.open_stream(timeout_s=1.0)
        place = host.port

    def ask() -> bytes:
        port.write(b"hello")
        return port.read(5)

    with pytest.raises(CommunicationError):
        ask()
    with TcpHost(session, time.monotonic, port=place):
        port.write(b"again")
        assert port.read_some() == b"again"
        port.close()
        with pytest.raises(CommunicationError, match="closed"):
            port.write(b"after closing")


def test_a_peer_that_hung_up_between_requests_costs_none() -> None:
    session = Echo()
    with TcpHost(session, time.monotonic) as host:
        place = host.port
        port = open_line(host.address, RealClock()).open_stream(timeout_s=1.0)
    with TcpHost(session, time.monotonic, port=place):
        port.reset_input()
        port.write(b"hello")
        assert port.read(5) == b"hello"
        port.close()


def test_visa_over_tcp_does_not_wait_for_the_other_side() -> None:
    with TcpHost(Echo(delay_s=0.0), time.monotonic) as host:
        instrument = open_line(f"visa://{host.resource}", RealClock()).open_visa()
        began = time.monotonic()
        for _ in range(100):
            instrument.write("#")
            instrument.write("#")
            assert instrument.query("hello") == "hello"
        assert time.monotonic() - began < 3.0  # 100 times 40 ms without TCP_NODELAY
        instrument.close()


def test_a_simulator_listens_to_this_machine_only_unless_told() -> None:
    with pytest.raises(ValueError, match="exposed"):
        TcpHost(Echo(), time.monotonic, host="0.0.0.0")


def test_a_host_delays_replies_by_the_bench_clock() -> None:
    with (
        TcpHost(Echo(delay_s=0.1), time.monotonic) as host,
        socket.create_connection(("127.0.0.1", host.port)) as s,
    ):
        began = time.monotonic()
        s.sendall(b"hello")
        assert s.recv(5) == b"hello"
        assert time.monotonic() - began > 0.09


def test_closing_a_host_twice_is_fine() -> None:
    host = PtyHost(Echo(), time.monotonic)
    host.start()
    host.close()
    host.close()


def test_in_lockstep_a_host_takes_what_was_sent_and_says_when_the_reply_is_due() -> None:
    session = Echo(delay_s=0.25)
    with TcpHost(session, time.monotonic) as host:
        host.lockstep(True)
        with socket.create_connection((host.host, host.port)) as link:
            link.sendall(b"hello again")
            assert host.carry(5, 10.0) == [(10.25, 5)]
            assert link.recv(64) == b"hello"
            assert host.carry(6, 11.0) == [(11.25, 6)]
            assert link.recv(64) == b" again"
            link.sendall(b"#silence\n")
            assert host.carry(9, 12.0) == []
        with pytest.raises(ConnectionError):
            host.carry(1, 13.0)
        host.lockstep(False)
        with socket.create_connection((host.host, host.port)) as link:
            link.sendall(b"by itself")
            assert link.recv(64) == b"by itself"
    assert session.fed[:2] == [(10.0, b"hello"), (11.0, b" again")]


def test_in_lockstep_the_bytes_of_a_terminal_take_their_time() -> None:
    with PtyHost(Echo(delay_s=0.0), lambda: 0.0, baudrate=9600) as host:
        host.lockstep(True)
        port = open_line(host.address, RealClock()).open_stream(bytesize=7, parity="E", timeout_s=5.0)
        port.write(b"12345678")
        ((due_s, length),) = host.carry(8, 100.0)
        assert due_s == pytest.approx(100.0 + 16 * 10 / 9600)
        assert port.read(length) == b"12345678"
        port.close()
