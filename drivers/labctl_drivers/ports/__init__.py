"""Ports: what an address in the bench file leads to."""

from labctl_drivers.ports.line import PortLine, open_line
from labctl_drivers.ports.modbus import Modbus, ModbusRtu, float32_of, registers_of, signed
from labctl_drivers.ports.modbus_tcp import ModbusTcp
from labctl_drivers.ports.tap import Tap

__all__ = [
    "Modbus",
    "ModbusRtu",
    "ModbusTcp",
    "PortLine",
    "Tap",
    "float32_of",
    "open_line",
    "registers_of",
    "signed",
]
