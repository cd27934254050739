from __future__ import annotations

from time import monotonic

import minimalmodbus
import pytest

from labctl.bench.api import GOOD, RefusedError
from labctl_drivers.eurotherm import Eurotherm
from labctl_drivers.ports import open_line
from labctl_simulators.devices.api import Bindings
from labctl_simulators.devices.eurotherm import Eurotherm3216, attach
from labctl_simulators.hosts.pty import PtyHost
from tests.drivers.contract import RealClock
from tests.strangers.modbus_server import Memory, served

# A 3216 at rest: 25.0 degC, loop in manual, everything else as the driver wants it.
REGISTERS = {
    **{1: 250, 2: 200, 3: 0, 4: 0, 5: 200, 15: 0, 23: 0, 24: 200, 26: 0, 34: 0, 35: 0, 75: 1 << 4},
    **{107: 0x0111, 111: 12000, 112: 0, 122: 0x3216, 273: 1, 276: 0, 516: 0, 525: 1, 531: 0, 578: 1},
}


@pytest.mark.evidence("eurotherm", "client", "minimalmodbus reads, writes and is refused over a serial line")
def test_minimalmodbus_drives_the_simulated_controller_over_a_serial_line() -> None:
    shown: list[float] = []
    bindings = Bindings(now=monotonic, thermocouple=lambda: 123.4, set_heater=shown.append)
    device, session = attach(bindings, {"unit": 3}, "")
    assert isinstance(device, Eurotherm3216)
    with PtyHost(session, monotonic) as host:
        client = minimalmodbus.Instrument(host.path, 3)
        client.serial.baudrate, client.serial.timeout = 9600, 0.15
        try:
            # the names that its own example driver of Eurotherm controllers uses: 1 is the process value
            assert client.read_register(1, number_of_decimals=1) == 123.4
            assert client.read_register(525) == 1
            client.write_register(24, 20.0, number_of_decimals=1, functioncode=6)
            client.write_registers(26, [1500])
            assert client.read_register(26, number_of_decimals=1) == 150.0
            client.write_register(273, 1, functioncode=6)
            client.write_register(3, 12.5, number_of_decimals=1, functioncode=6)
            assert shown[-1] == 0.125
            assert client.read_registers(1, 5) == [1234, 200, 125, 125, 200]
            with pytest.raises(minimalmodbus.SlaveReportedException):
                client.write_register(1, 1, functioncode=6)
            client.address = 4
            with pytest.raises(minimalmodbus.NoResponseError):
                client.read_register(1)
        finally:
            client.serial.close()


@pytest.mark.evidence(
    "eurotherm",
    "simulator",
    "pymodbus is read, heated and turned off by the driver, in blocks and register by register",
)
@pytest.mark.parametrize(("write_fc", "max_block"), [(6, 1), (6, 5), (16, 1), (16, 125)])
def test_the_driver_reads_heats_and_turns_off_what_pymodbus_serves(write_fc: int, max_block: int) -> None:
    memory = Memory(REGISTERS, functions=frozenset({3, write_fc}), widest=max_block)
    options = {"write_fc": write_fc, "max_block": max_block, "timeout_s": 2.0}
    with served(memory) as address:
        driver = Eurotherm(open_line(address, RealClock()), options)
        driver.open()
        assert driver.audit().ok
        image = driver.read()
        assert (image[0].value, image[0].quality) == (25.0, GOOD)
        driver.execute("heat", {"target_c": 350.0, "ramp_k_per_min": 5.0})
        assert [memory.values[a] for a in (24, 26, 35, 273, 276)] == [200, 3500, 50, 0, 1]
        driver.execute("renew", {"target_c": 350.0})
        driver.execute("heat_off", {})
        assert [memory.values[a] for a in (3, 24, 26, 273, 276)] == [0, 200, 200, 1, 0]
        driver.close()
    assert {f for f, _, _ in memory.asked} == {3, write_fc}
    assert max(count for _, _, count in memory.asked) == min(5, max_block)


def test_a_server_that_takes_no_blocks_refuses_and_the_driver_says_why() -> None:
    memory = Memory(REGISTERS, functions=frozenset({3}))
    with served(memory) as address:
        driver = Eurotherm(open_line(address, RealClock()), {"timeout_s": 2.0})
        driver.open()
        with pytest.raises(RefusedError, match="function not supported"):
            driver.execute("heat", {"target_c": 350.0, "ramp_k_per_min": 5.0})
        driver.close()
