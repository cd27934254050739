"""The same instrument as a Modbus RTU unit: one block at every reading, what seldom changes at every fifth."""

from __future__ import annotations

from labctl_drivers.bronkhorst.parameters import (
    ALARM,
    FLUIDSET,
    FULL,
    MEASURE,
    Kind,
    Live,
    Parameter,
    Value,
    fraction,
)
from labctl_drivers.ports.modbus import ModbusRtu, float32_of, registers_of

BLOCK = 5
"""From the measure on: measure, setpoint, slope, analog input, control mode."""

SELDOM = 5
"""Fluid set and alarms are asked for at every fifth reading."""


class ModbusMap:
    """A `Wire` on a Modbus unit."""

    def __init__(self, modbus: ModbusRtu) -> None:
        self._modbus = modbus
        self._reads = 0
        self._fluidset = self._alarm = 0

    def live(self, capacity: float) -> Live:
        """One block; the capacity is not needed, the block tells fractions."""
        modbus = self._modbus
        flow, setpoint, _, _, mode = modbus.read_holding(MEASURE.address, BLOCK)
        if not self._reads:
            (self._fluidset,) = modbus.read_holding(FLUIDSET.address)
            (self._alarm,) = modbus.read_holding(ALARM.address)
        self._reads = (self._reads + 1) % SELDOM
        return Live(fraction(flow), setpoint / FULL, mode, self._fluidset, self._alarm)

    def read(self, parameter: Parameter) -> Value:
        words = self._modbus.read_holding(parameter.address, parameter.registers)
        if parameter.kind is Kind.FLOAT:
            return float32_of(words, low_word_first=False)
        if parameter.kind is Kind.TEXT:
            text = b"".join(word.to_bytes(2, "big") for word in words)
            return text.partition(b"\0")[0].decode("ascii", "replace").strip()
        return words[0]

    def write(self, parameter: Parameter, value: float) -> None:
        words = registers_of(value, low_word_first=False) if parameter.kind is Kind.FLOAT else (int(value),)
        self._modbus.write(parameter.address, words)

    def close(self) -> None:
        self._modbus.port.close()
