"""The loop that heating controllers share: a working setpoint that ramps, a PID, what a broken sensor does."""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl_simulators.devices.api import Bindings
from labctl_simulators.devices.pid import Pid


@dataclass(slots=True)
class Loop:
    """One heating loop. working_c: the setpoint that acts, degC. output: what the heater gets, %."""

    bindings: Bindings
    pid: Pid
    working_c: float = field(default=20.0, init=False)
    output: float = field(default=0.0, init=False)

    def sensed(self) -> float | None:
        """The process value, degC; None while the sensor is open."""
        sense = self.bindings.thermocouple
        return sense() if sense is not None else None

    def servo(self, measured: float | None, target_c: float) -> None:
        """Start the ramp at the process value, and the loop without a bump."""
        self.working_c = target_c if measured is None else measured
        self.pid.reset()

    def approach(self, target_c: float, rate_k_per_s: float) -> None:
        """Move the working setpoint on by one tick; a rate of 0 means no limit."""
        if rate_k_per_s:
            step_k = rate_k_per_s * self.bindings.tick_s
            gap = target_c - self.working_c
            self.working_c += max(-step_k, min(step_k, gap))
        else:
            self.working_c = target_c

    def control(self, measured: float | None, low: float, high: float, on_break: float) -> None:
        """One pass: the PID within `low`..`high` %, or the output `on_break` without a process value."""
        if measured is None:
            self.drive(on_break)
            self.pid.reset()
        else:
            self.drive(self.pid.step(self.working_c, measured, low, high, self.bindings.tick_s))

    def drive(self, percent: float) -> None:
        """Give the heater this much of its power."""
        self.output = percent
        if self.bindings.set_heater is not None:
            self.bindings.set_heater(percent / 100.0)
