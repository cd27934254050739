from __future__ import annotations

import pytest

from labctl.bench.api import GOOD
from labctl_drivers.binder import (
    ACTIVE_SETPOINT,
    ALARM,
    DOOR,
    IDLE,
    LIMITER,
    MANUAL,
    MANUAL_SETPOINT,
    MODE,
    NOTE,
    TEMPERATURE,
    TEXT,
    TEXT_WORDS,
    Binder,
)
from labctl_drivers.ports import open_line
from tests.drivers.contract import RealClock
from tests.strangers.modbus_server import Memory, served

# 25.5 degC is 0x41CC0000; an oven of this maker sends the low word first.
REGISTERS = {TEMPERATURE: 0, TEMPERATURE + 1: 0x41CC, MANUAL_SETPOINT: 0, MANUAL_SETPOINT + 1: 0}
REGISTERS |= {ACTIVE_SETPOINT: 0, ACTIVE_SETPOINT + 1: 0, DOOR: 1, MODE: IDLE, LIMITER: 0, ALARM: 0, NOTE: 0}
REGISTERS |= dict.fromkeys(range(TEXT, TEXT + TEXT_WORDS), 0x2020)


@pytest.mark.evidence("binder", "simulator", "pymodbus is read and heated by the driver, RTU frames over TCP")
def test_the_driver_reads_and_heats_what_pymodbus_serves() -> None:
    memory = Memory(REGISTERS, functions=frozenset({3, 6, 16}))
    with served(memory) as address:
        driver = Binder(open_line(address, RealClock()), {})
        driver.open()
        assert driver.audit().ok
        image = driver.read()
        assert [(r.value, r.quality) for r in image] == [(25.5, GOOD), (0.0, GOOD), (0.0, GOOD), (1.0, GOOD)]
        driver.execute("heat", {"target_c": 40.0, "ramp_k_per_min": 0.0})
        assert (memory.values[MANUAL_SETPOINT], memory.values[MANUAL_SETPOINT + 1]) == (0, 0x4220)
        assert memory.values[MODE] == MANUAL
        driver.close()
