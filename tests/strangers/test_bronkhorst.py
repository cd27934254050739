from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import minimalmodbus
import pytest

from labctl.bench.api import BAD, GOOD
from labctl_drivers.bronkhorst import Bronkhorst
from labctl_drivers.ports import open_line
from labctl_simulators.devices.api import Bindings
from labctl_simulators.devices.bronkhorst import ElFlow, attach
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.physics.massflow import MassFlow
from tests.drivers.contract import RealClock
from tests.strangers import modbus_server


@contextmanager
def served(**options: Any) -> Iterator[tuple[ElFlow, str]]:
    """A controller on a pseudo terminal, and the path that leads to it."""
    flow = MassFlow(1000.0)
    device, session = attach(Bindings(now=monotonic, mass_flow=flow), options, "M21201234A")
    flow.indicated_sccm = 100.0
    with PtyHost(session, monotonic) as host:
        yield device, host.path


# The client drops an error of the link in ASCII, which is too short for it, and reports a time-out (25).
@pytest.mark.evidence(
    "bronkhorst", "client", "bronkhorst-propar, the maker's own, reads and sets it in binary and ASCII"
)
@pytest.mark.parametrize(("mode", "no_such_node"), [("binary", 0x80 + 5), ("ascii", 25)])
def test_the_makers_own_client_reads_and_sets_it(mode: str, no_such_node: int) -> None:
    with served() as (device, path):
        client = subprocess.run(
            [sys.executable, "-m", "tests.strangers.propar_client", path, "3", mode],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert client.returncode == 0, client.stderr
    said = json.loads(client.stdout)
    assert said.pop("capacity") == pytest.approx(916.149, abs=1e-3)
    assert said.pop("fsetpoint") == pytest.approx(916.149 / 2, abs=1e-3)
    chain = said.pop("chain")
    assert chain["205"] == pytest.approx(91.615, abs=1e-3)
    assert chain["206"] == pytest.approx(229.0, abs=1e-3)
    assert {n: chain[n] for n in ("8", "9", "12", "25", "28", "129")} == {
        "8": 3200,
        "9": 7999,
        "12": 18,
        "25": "N2        ",
        "28": 0,
        "129": "mln/min",
    }
    assert said == {
        "serial": "M21201234A",
        "model": "F-201CV-1K0",
        "fluid": "N2        ",
        "unit": "mln/min",
        "mode": 0,
        "set mode": True,
        "mode then": 18,
        "set half": True,
        "setpoint": 16000,
        "set dle": True,
        "setpoint dle": 0x1010,
        "set float": True,
        "measure": 3200,
        "chained writes": 0,
        "setpoint then": 8000,
        "set too much": False,
        "set measure": 13,
        "no such parameter": 4,
        "no such node": no_such_node,
        "many": True,
    }
    assert (device.mode, device.setpoint) == (18, 0.25)


@pytest.mark.evidence("bronkhorst", "client", "minimalmodbus reads, sets and is refused over a serial line")
def test_minimalmodbus_reads_and_sets_it_as_a_modbus_unit() -> None:
    with served(protocol="modbus", unit=7) as (device, path):
        client = minimalmodbus.Instrument(path, 7)
        client.serial.baudrate, client.serial.timeout = 19200, 0.15
        try:
            assert client.read_register(0x20) == 3200
            assert client.read_registers(0x20, 5) == [3200, 0, 0, 0, 0]
            assert client.read_float(0x8168) == pytest.approx(916.149, abs=1e-3)
            assert client.read_float(0xA100) == pytest.approx(91.615, abs=1e-3)
            assert client.read_string(0x8188, 5) == "N2        "
            assert client.read_string(0x81F8, 4) == "mln/min\0"
            assert client.read_string(0xF118, 8).rstrip("\0") == "M21201234A"
            client.write_register(0x24, 18)
            client.write_register(0x21, 16000, functioncode=6)
            assert (device.mode, device.setpoint) == (18, 0.5)
            client.write_float(0xA118, 229.0)
            assert client.read_register(0x21) == 7999
            for address in (0x8168, 0x25):  # half a float, and nothing
                with pytest.raises(minimalmodbus.IllegalRequestError):
                    client.read_register(address)
            with pytest.raises(minimalmodbus.IllegalRequestError):
                client.write_register(0xA118, 1)
            for address, value in ((0x21, 32001), (0x20, 1), (0x24, 0x112)):
                with pytest.raises(minimalmodbus.SlaveReportedException):
                    client.write_register(address, value)
            assert device.setpoint == pytest.approx(0.24996, abs=1e-5)
        finally:
            client.serial.close()


def registers(text: str, address: int, count: int) -> dict[int, int]:
    data = text.encode().ljust(2 * count, b"\0")
    return {address + n: int.from_bytes(data[2 * n : 2 * n + 2]) for n in range(count)}


@pytest.mark.evidence(
    "bronkhorst", "simulator", "pymodbus is read and set by the driver, RTU frames over TCP"
)
def test_the_driver_reads_and_sets_what_pymodbus_serves() -> None:
    # 1000 mln/min (0x447A0000) at 10 %, setpoint 10 %, mode 0, in the registers of the manual
    memory = modbus_server.Memory(
        {
            **{0x20: 3200, 0x21: 3200, 0x22: 0, 0x23: 0, 0x24: 0, 0x30: 0, 0x34: 0},
            **{0x8168: 0x447A, 0x8169: 0, 0xA118: 0, 0xA119: 0},
            **registers("N2        ", 0x8188, 5),
            **registers("mln/min", 0x81F8, 4),
            **registers("F-201CV", 0xF110, 7),
            **registers("M21201234A", 0xF118, 8),
            **registers("V8.27", 0xF128, 3),
        },
        functions=frozenset({3, 16}),
    )
    with modbus_server.served(memory) as address:
        options = {"protocol": "modbus", "timeout_s": 2.0, "serial_number": "M21201234A"}
        driver = Bronkhorst(open_line(address, RealClock()), options)
        driver.open()
        assert [i.name for i in driver.audit().items if not i.ok] == ["control mode"]
        flow = driver.read()[0]
        assert flow.value == pytest.approx(109.1525)
        assert flow.quality is BAD
        assert driver.execute("keep_on_comms_loss", {}) == {"control_mode": 18}
        assert memory.values[0x24] == 18
        assert driver.audit().ok
        assert driver.read()[0].quality is GOOD
        driver.execute("set_flow", {"flow_sccm": 109.1525})
        words = struct.pack(">HH", memory.values[0xA118], memory.values[0xA119])
        assert struct.unpack(">f", words)[0] == pytest.approx(100.0)
        driver.close()
