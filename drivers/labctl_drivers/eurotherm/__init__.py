"""Eurotherm temperature controllers over Modbus RTU: one driver, a profile for each model."""

from labctl_drivers.eurotherm.driver import ENTRY, Eurotherm

__all__ = ["ENTRY", "Eurotherm"]
