from __future__ import annotations

import pytest
from pymodbus import FramerType
from pymodbus.simulator import DataType, SimData, SimDevice

from labctl.bench.api import GOOD
from labctl_drivers.io import ENTRY
from labctl_drivers.ports import open_line
from tests.drivers.contract import RealClock
from tests.strangers.modbus_server import served


@pytest.mark.evidence(
    "io", "simulator", "pymodbus shows bits and registers to the driver, which switches a coil"
)
def test_the_driver_reads_and_switches_what_pymodbus_serves() -> None:
    coils = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    contacts = [SimData(0, values=[True] * 2 + [False] + [True] * 13, datatype=DataType.BITS)]
    # a watchdog of 10 s for every function, which runs
    watchdog = [SimData(0x1000, values=[100, 0xFFFF, 0, 1, 0, 0, 1, 0, 0], datatype=DataType.REGISTERS)]
    identity = [SimData(0x2010, values=[22, 750, 352], datatype=DataType.REGISTERS)]
    currents = [SimData(0, values=[17376, 4000, 4040, 16800], datatype=DataType.REGISTERS)]
    device = SimDevice(1, simdata=(coils, contacts, watchdog + identity, currents), use_bit_addressing=True)
    with served(device, FramerType.SOCKET) as address:
        driver = ENTRY.factory(open_line(address, RealClock()), {"timeout_s": 2.0, "readback": 0})
        driver.open()
        audit = driver.audit()
        assert audit.ok
        assert (audit.identity["series"], audit.identity["item"]) == ("750", "352")

        def seen() -> dict[str, float | None]:
            readings = dict(zip((s.name for s in driver.signals), driver.read(), strict=True))
            assert {r.quality for r in readings.values()} == {GOOD}
            return {name: reading.value for name, reading in readings.items()}

        before = seen()
        assert [before[name] for name in ("door", "extraction", "limiter", "water")] == [1, 1, 0, 1]
        assert before["room_oxygen"] == pytest.approx(20.9)
        assert before["cylinder_pressure"] == pytest.approx(200.0)
        assert (before["contactor"], before["bypass"], before["watchdog"]) == (0, 1, 1)
        driver.execute("set_output", {"name": "contactor", "on": True})
        assert seen() == before | {"contactor": 1.0}
        driver.close()
