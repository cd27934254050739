"""The control loop of a heating controller: PID, derivative on the process value."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Pid:
    """Output in % of full power.

    band_k: proportional band. integral_s, derivative_s: reset and rate times (0: none). The defaults are
    assumed; with the reference furnace they overshoot 2 K at 350 degC after 2 K/min. The derivative
    is filtered with a fifth of its time, and the integral stands still where it would wind up further.
    """

    band_k: float = 20.0
    integral_s: float = 600.0
    derivative_s: float = 40.0
    _integral: float = field(default=0.0, init=False)
    _last: float | None = field(default=None, init=False)
    _slope: float = field(default=0.0, init=False)

    def reset(self) -> None:
        """Forget the past: the loop was opened."""
        self._integral = 0.0
        self._last = None
        self._slope = 0.0

    def step(
        self, setpoint: float, measured: float, low: float = 0.0, high: float = 100.0, dt: float = 1.0
    ) -> float:
        """The output of the next `dt` seconds, within `low`..`high` %."""
        gain = 100.0 / self.band_k
        error = setpoint - measured
        if self._last is not None and self.derivative_s:
            filtered = min(1.0, 5.0 * dt / self.derivative_s)
            self._slope += filtered * ((measured - self._last) / dt - self._slope)
        self._last = measured
        wanted = gain * (error - self.derivative_s * self._slope) + self._integral
        output = min(high, max(low, wanted))
        if self.integral_s and (output == wanted or (error < 0) == (wanted > high)):
            self._integral += gain * error * dt / self.integral_s
        return output
