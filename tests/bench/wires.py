"""Drivers and simulator hosts on real links, in wall time, against pymodbus and lewis.

Servers are other processes, so that no side shares its interpreter lock with what it is measured against.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from labctl.bench.api import GOOD, Driver
from labctl_drivers.binder import ACTIVE_SETPOINT, DOOR, MANUAL_SETPOINT, TEMPERATURE, Binder
from labctl_drivers.eurotherm.driver import EPC_OPTIONS, Eurotherm
from labctl_drivers.eurotherm.profiles import EPC3000, EURO_3216, FloatProfile
from labctl_drivers.eurotherm.registers import region
from labctl_drivers.keithley import Keithley
from labctl_drivers.ports import open_line
from tests.bench.serve import serving

LEWIS = Path(__file__).parents[2] / ".venv-bench" / "bin" / "lewis"
Rounds = Generator[tuple[float, float], None, None]
STRETCH, STRETCHES = 250, 4
"""Readings in one stretch, and stretches of each side in one round."""
BAUDRATE = 115200
"""pymodbus waits for a silence that is shorter the faster the line: its best case on a pseudo terminal."""


class RealClock:
    """The clock of a real link."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def oven_over_tcp() -> Rounds:
    """A reading of the oven: three floats and the door, on kept connections to the same server."""
    with serving("oven") as address:

        def ours() -> float:
            return _reads_per_s(Binder(open_line(address, RealClock()), {}), STRETCH)

        def theirs() -> float:
            with _pymodbus(address, FramerType.RTU) as client:

                def read() -> None:
                    for register in (TEMPERATURE, MANUAL_SETPOINT, ACTIVE_SETPOINT):
                        assert (
                            len(client.read_holding_registers(register, count=2, device_id=1).registers) == 2
                        )
                    assert len(client.read_holding_registers(DOOR, count=1, device_id=1).registers) == 1

                return _per_s(read, STRETCH)

        yield from _in_turn(ours, theirs)


def network_furnace() -> Rounds:
    """A reading of the EPC3016: five floats, the sensor's two flags, the setpoint's source, manual.

    Both sides send the same four requests one after the other, on kept connections to the same server, and both
    check transaction id, unit, function and count of each answer. Theirs stops at the registers; ours goes on to
    numbers, refuses what cannot be, and stamps eight readings.
    """
    profile = EPC3000["EPC3016"]
    assert isinstance(profile, FloatProfile)
    asked = (
        (region(profile.live), 10),
        (profile.sensor_break, 2),
        (profile.setpoint_source, 1),
        (profile.in_manual, 1),
    )
    with serving("network-furnace") as address:

        def ours() -> float:
            driver = Eurotherm(open_line(address, RealClock()), {}, EPC_OPTIONS, EPC3000)
            return _reads_per_s(driver, STRETCH)

        def theirs() -> float:
            with _pymodbus(address, FramerType.SOCKET) as client:

                def read() -> None:
                    for register, count in asked:
                        answer = client.read_holding_registers(register, count=count, device_id=1)
                        assert len(answer.registers) == count

                return _per_s(read, STRETCH)

        yield from _in_turn(ours, theirs)


def cycler_over_a_socket() -> Rounds:
    """A reading of the 2450: one `:READ?` of voltage, current, time and status, on one raw socket to a server.

    Theirs is pyvisa's own `query` of the same line through the same resource; it stops at the text. Ours goes on to
    numbers, refuses what cannot be, and stamps five readings. In CPU time of this process: most of an exchange is
    the server's, which is the same for both, and how soon it wakes moves a reading by a fifth.
    """
    with serving("cycler") as address:
        resource = f"visa://TCPIP0::{address.removeprefix('tcp://').replace(':', '::')}::SOCKET"
        bare = open_line(resource, RealClock()).open_visa()
        line: Any = SimpleNamespace(address=resource, clock=RealClock(), open_visa=lambda **_: bare)
        driver = Keithley(line, {})
        driver.open()

        def read() -> None:
            assert bare.query(':READ? "defbuffer1",SOUR,READ,REL,SOURSTAT').count(",") == 3

        try:
            assert all(reading.quality == GOOD for reading in driver.read())
            while True:
                ours = theirs = 0.0
                for _ in range(STRETCHES * STRETCH // 10):
                    ours += _cpu_s(driver.read, 10)
                    theirs += _cpu_s(read, 10)
                yield STRETCHES * STRETCH / ours, STRETCHES * STRETCH / theirs
        finally:
            driver.close()


def furnace_on_a_pty() -> Rounds:
    """A reading of the furnace: five registers and the status word, on the same pseudo terminal."""
    profile = EURO_3216
    with serving("furnace") as address:
        while True:
            driver = Eurotherm(open_line(address, RealClock()), {"baudrate": BAUDRATE})
            ours = _reads_per_s(driver, 1000)
            client = ModbusSerialClient(address.removeprefix("serial://"), baudrate=BAUDRATE)
            client.connect()

            def read(client: ModbusSerialClient = client) -> None:
                assert len(client.read_holding_registers(profile.live, count=5, device_id=1).registers) == 5
                assert len(client.read_holding_registers(profile.status, count=1, device_id=1).registers) == 1

            theirs = _per_s(read, 100)
            client.close()  # type: ignore[no-untyped-call]
            yield ours, theirs


def simulator_against_lewis() -> Rounds:
    """One question for a temperature over TCP, from the same client: our hotplate, their circulating bath."""
    with (
        serving("hotplate") as address,
        _lewis() as their_port,
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as ours,
        socket.create_connection(("127.0.0.1", their_port)) as theirs,
    ):
        while True:
            yield (
                _per_s(lambda: _ask(ours, b"IN_PV_2\r\n"), 5000),
                _per_s(lambda: _ask(theirs, b"IN_PV_00\r"), 40),
            )


def _in_turn(ours: Callable[[], float], theirs: Callable[[], float]) -> Rounds:
    """Rounds of several short stretches each, side by side; the fastest counts, as all else only slows."""
    while True:
        stretches = [(ours(), theirs()) for _ in range(STRETCHES)]
        yield max(mine for mine, _ in stretches), max(other for _, other in stretches)


@contextmanager
def _pymodbus(address: str, framer: FramerType) -> Iterator[ModbusTcpClient]:
    host, _, port = address.removeprefix("tcp://").partition(":")
    client = ModbusTcpClient(host, port=int(port), framer=framer)
    client.connect()  # type: ignore[no-untyped-call]
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]


def _ask(link: socket.socket, question: bytes) -> None:
    link.sendall(question)
    answer = link.recv(4096)
    while not answer.endswith(b"\n"):
        answer += link.recv(4096)


@contextmanager
def _lewis() -> Iterator[int]:
    """One of lewis's own examples in a process of its own, as fast as it goes. It is GPL: never imported."""
    if not LEWIS.exists():
        raise SystemExit(f"{LEWIS} is missing: `make bench` builds it")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    where = f"julabo-version-1: {{bind_address: 127.0.0.1, port: {port}}}"
    command = [str(LEWIS), "julabo", "-p", where, "--cycle-delay", "0", "--output-level", "none"]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 20.0
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def _reads_per_s(driver: Driver, count: int) -> float:
    driver.open()
    try:
        assert all(reading.quality == GOOD for reading in driver.read())
        return _per_s(driver.read, count)
    finally:
        driver.close()


def _cpu_s(work: Callable[[], object], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        work()
    return time.process_time() - began


def _per_s(work: Callable[[], object], count: int) -> float:
    for _ in range(count // 20):
        work()
    began = time.perf_counter()
    for _ in range(count):
        work()
    return count / (time.perf_counter() - began)
