"""Ports: what an address in the bench file leads to."""

from labctl_drivers.ports.line import PortLine, open_line
from labctl_drivers.ports.modbus import ModbusRtu, float32_of, registers_of, signed

__all__ = ["ModbusRtu", "PortLine", "float32_of", "open_line", "registers_of", "signed"]
