"""An Na3V2(PO4)3 | Na half-cell between the terminals of a source-measure unit.

x is the fraction of sodium taken out; two lags d1, d2 stand for diffusion in pores and grains:
    q = Q0 m exp(-(N_eq/τ)^p),  dx/dt = I/q,  C = I/q per hour,  d_k' = (a_k C - d_k)/t_k
    V = U(x + d1 + d2) + I R0 + (2RT/F) asinh(I/2 i0) ± 10 mV
    U(s) = 3.40 + 0.012 (s - 0.5) - 0.30 exp(-s/0.010) + 0.16 exp((s - 1)/0.010)
Fitted to the paper's capacities; R0, i0, t1, t2 and the walls of U are assumed. Agreement is by construction.

Each step is implicit in the current: either the limit, or just what ends the step at the voltage asked for.
So nothing is quantised by the step at a cut-off, and constant voltage is stable at any step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import asinh, copysign, exp

from labctl_simulators.physics.electrode import Electrode

_THERMAL_V = 8.314462618 * 298.15 / 96485.33212
_HYSTERESIS_V = 0.010
_T1_S, _T2_S = 0.008 * 3600.0, 0.8 * 3600.0
_EFFICIENCY = 0.97
"""Equivalent cycles are counted against a nominal 97 % of capacity (fit)."""


@dataclass(slots=True)
class HalfCell:
    """A half-cell, or bare terminals until `assemble`. Positive current charges (sodium leaves the cathode).

    voltage_v, current_a: at the terminals. limited: the current limit acts. fraction_out: x.
    charged_c: net charge since assembly, coulomb. short_ohm: bare terminals joined by that much.
    """

    electrode: Electrode | None = field(default=None, init=False)
    short_ohm: float | None = field(default=None, init=False)
    voltage_v: float = field(default=0.0, init=False)
    current_a: float = field(default=0.0, init=False)
    limited: bool = field(default=False, init=False)
    fraction_out: float = field(default=0.0, init=False)
    charged_c: float = field(default=0.0, init=False)
    equivalent_cycles: float = field(default=0.0, init=False)
    _fresh_c: float = field(default=0.0, init=False)
    _capacity_c: float = field(default=0.0, init=False)
    _lag1: float = field(default=0.0, init=False)
    _lag2: float = field(default=0.0, init=False)
    _target_v: float | None = field(default=None, init=False)
    _limit_a: float = field(default=0.0, init=False)
    _resting: bool = field(default=True, init=False)

    @property
    def resting(self) -> bool:
        """No cell, or one that has relaxed."""
        return self.electrode is None or self._resting

    @property
    def longest_step_s(self) -> float:
        """A fifth of its fast lag: a current that falls at constant voltage is followed to a per cent or so."""
        return _T1_S / 5.0

    def assemble(self, electrode: Electrode, active_mass_mg: float) -> None:
        """Put a fresh cell between the terminals: as made, Na3V2(PO4)3 is discharged."""
        self.electrode = electrode
        self._fresh_c = self._capacity_c = electrode.capacity_mah_per_g * active_mass_mg * 3.6e-3
        self.fraction_out = self.charged_c = self.equivalent_cycles = self._lag1 = self._lag2 = 0.0
        self._solve(0.0)

    def source(self, voltage_v: float, limit_a: float) -> None:
        """Hold `voltage_v` with |current| at most `limit_a`: constant current until it is reached."""
        self._target_v, self._limit_a = voltage_v, abs(limit_a)
        self._solve(0.0)

    def open_circuit(self) -> None:
        """Output off: no current; the voltage relaxes."""
        self._target_v = None
        self._solve(0.0)

    def touch(self) -> None:
        """Work out the terminals anew after a hand changed what is between them."""
        self._solve(0.0)

    def step(self, dt: float) -> None:
        """Move on by `dt` seconds, at most `longest_step_s`."""
        if self.electrode is None or self._resting:
            return
        self._solve(dt)
        current = self.current_a
        if current:
            capacity = self._capacity_c
            rate = current * 3600.0 / capacity
            self._lag1 += (self.electrode.lag1_h * rate - self._lag1) * (1.0 - exp(-dt / _T1_S))
            self._lag2 += (self.electrode.lag2_h * rate - self._lag2) * (1.0 - exp(-dt / _T2_S))
            moved = current * dt
            self.fraction_out += moved / capacity
            self.charged_c += moved
            self.equivalent_cycles += abs(moved) / (capacity * 2.0 * _EFFICIENCY)
            faded = exp(-((self.equivalent_cycles / self.electrode.fade_cycles) ** self.electrode.fade_power))
            self._capacity_c = self._fresh_c * faded
        elif self._target_v is None:
            self._lag1 *= exp(-dt / _T1_S)
            self._lag2 *= exp(-dt / _T2_S)
            if abs(self._lag1) + abs(self._lag2) < 1e-9:
                self._lag1 = self._lag2 = 0.0
                self._resting = True

    def _solve(self, dt: float) -> None:
        """Find the current that the step will carry and the voltage it ends at; move nothing."""
        self._resting = False
        target, limit = self._target_v, self._limit_a
        if self.electrode is None:
            self.voltage_v, self.current_a, self.limited = target or 0.0, 0.0, False
            if self.short_ohm is not None:
                wanted = (target or 0.0) / self.short_ohm
                self.limited = abs(wanted) > limit and target is not None
                self.current_a = copysign(limit, wanted) if self.limited else wanted
                self.voltage_v = self.current_a * self.short_ohm
            return
        if target is None:
            self.voltage_v, self.current_a, self.limited = self._voltage(0.0, dt), 0.0, False
            return
        rest_v = self._voltage(0.0, dt)
        full = copysign(limit, target - rest_v)
        full_v = self._voltage(full, dt)
        if (full_v < target) if full > 0.0 else (full_v > target):
            self.voltage_v, self.current_a, self.limited = full_v, full, True
            return
        self.voltage_v, self.limited = target, False
        self.current_a = self._current_at(target, full, dt)

    def _current_at(self, target_v: float, full_a: float, dt: float) -> float:
        """The current between 0 and `full_a` that ends the step at `target_v`, to 1e-6 of the limit."""
        low, high = 0.0, full_a
        for _ in range(20):
            middle = 0.5 * (low + high)
            if (self._voltage(middle, dt) < target_v) is (full_a > 0.0):
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    def _voltage(self, current: float, dt: float) -> float:
        """Terminal voltage after `dt` seconds of `current`."""
        electrode = self.electrode
        assert electrode is not None
        fraction, lag1, lag2 = self.fraction_out, self._lag1, self._lag2
        drop = 0.0
        if dt:
            rate = current / self._capacity_c
            fraction += rate * dt
            lag1 += (electrode.lag1_h * rate * 3600.0 - lag1) * (1.0 - exp(-dt / _T1_S))
            lag2 += (electrode.lag2_h * rate * 3600.0 - lag2) * (1.0 - exp(-dt / _T2_S))
        if current:
            drop = (
                current * electrode.resistance_ohm
                + 2.0 * _THERMAL_V * asinh(current / (2.0 * electrode.exchange_a))
                + copysign(_HYSTERESIS_V, current)
            )
        surface = fraction + lag1 + lag2
        return (
            3.40
            + 0.012 * (surface - 0.5)
            - 0.30 * exp(-surface / 0.010)
            + 0.16 * exp((surface - 1.0) / 0.010)
            + drop
        )
