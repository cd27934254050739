"""What every driver must do: the public conformance suite, held against the drivers of this house."""

from labctl.runtime.clock import RealClock
from labctl.testing.conformance import SimulatedConformance as DriverContract

__all__ = ["DriverContract", "RealClock"]
