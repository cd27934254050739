"""Instruments in process for tests of drivers: a clock, a wire that can fail, a mounted session."""

from labctl.runtime.clock import BusClock as VirtualClock
from labctl.testing.wires import SPOILT, Wire, mounted

__all__ = ["SPOILT", "VirtualClock", "Wire", "mounted"]
