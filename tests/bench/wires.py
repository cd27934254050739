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

from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from labctl.bench.api import GOOD, Driver
from labctl_drivers.binder import ACTIVE_SETPOINT, DOOR, MANUAL_SETPOINT, TEMPERATURE, Binder
from labctl_drivers.eurotherm.driver import Eurotherm
from labctl_drivers.eurotherm.profiles import EURO_3216
from labctl_drivers.ports import open_line
from tests.bench.serve import serving

LEWIS = Path(__file__).parents[2] / ".venv-bench" / "bin" / "lewis"
Rounds = Generator[tuple[float, float], None, None]
BAUDRATE = 115200
"""pymodbus waits for a silence that is shorter the faster the line: its best case on a pseudo terminal."""


class RealClock:
    """The clock of a real link."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def oven_over_tcp() -> Rounds:
    """A reading of the oven: three floats and the door, on one kept connection to the same server."""
    with serving("oven") as address:
        host, _, port = address.removeprefix("tcp://").partition(":")
        while True:
            driver = Binder(open_line(address, RealClock()), {})
            ours = _reads_per_s(driver, 1000)
            client = ModbusTcpClient(host, port=int(port), framer=FramerType.RTU)
            client.connect()  # type: ignore[no-untyped-call]

            def read(client: ModbusTcpClient = client) -> None:
                for register in (TEMPERATURE, MANUAL_SETPOINT, ACTIVE_SETPOINT):
                    assert len(client.read_holding_registers(register, count=2, device_id=1).registers) == 2
                assert len(client.read_holding_registers(DOOR, count=1, device_id=1).registers) == 1

            theirs = _per_s(read, 1000)
            client.close()  # type: ignore[no-untyped-call]
            yield ours, theirs


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


def _per_s(work: Callable[[], object], count: int) -> float:
    for _ in range(count // 20):
        work()
    began = time.perf_counter()
    for _ in range(count):
        work()
    return count / (time.perf_counter() - began)
