"""Neware battery cyclers through the TCP interface of their BTS 8.0 server.

The schedule is a step file that runs on the cycler itself, under its own protection limits: neither this
computer nor the BTS server is needed for it to go on, or to end.
"""

from labctl_drivers.neware.driver import ENTRY, SIGNALS, Neware
from labctl_drivers.neware.schedule import PROTECTED_V, Block, Programme

__all__ = ["ENTRY", "PROTECTED_V", "SIGNALS", "Block", "Neware", "Programme"]
