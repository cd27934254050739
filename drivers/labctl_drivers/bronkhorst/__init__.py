"""Bronkhorst thermal mass-flow controllers (EL-FLOW and kin) over ProPar, ASCII or binary, or Modbus RTU."""

from labctl_drivers.bronkhorst.driver import ENTRY, Bronkhorst

__all__ = ["ENTRY", "Bronkhorst"]
