"""Eurotherm temperature controllers: one driver, a profile for each model.

`ENTRY` declares the 3200 series (Modbus RTU), `EPC` the EPC3000 series (Modbus TCP).
"""

from labctl_drivers.eurotherm.driver import ENTRY, EPC, Eurotherm

__all__ = ["ENTRY", "EPC", "Eurotherm"]
