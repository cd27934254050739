"""A hotplate stirrer with a vessel on it: plate and liquid, a drive, and a bar that can lose its grip.

Power number of the bar Np = 70/Re + 0.35, torque = Np ρ N² D⁵ / 2π (a laminar line and a turbulent
plateau); it decouples above 6 mN m. All parameters are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, pi

LOOP_BAND_K = 15.0
"""Proportional band of what controls it: its full power for so many K."""
_REST_K = 1e-3
_DENSITY_KG_M3 = 950.0


@dataclass(slots=True)
class Hotplate:
    """A hotplate stirrer. Set `heater_w` (0..`max_heater_w`) and `speed_setpoint_rpm`, call `step`.

    liquid_g: what is in the vessel; 0 lifts the vessel off. viscosity_pa_s: of the liquid. bar_m: stirring
    bar length.
    decoupled: True once the torque was too high, until the drive stops. poured_ml: what was added through a pump.
    """

    ambient_c: float = 22.0
    max_heater_w: float = 600.0
    plate_j_per_k: float = 650.0
    loss_w_per_k: float = 0.9
    liquid_g: float = 30.0
    liquid_j_per_g_k: float = 2.6
    viscosity_pa_s: float = 0.002
    bar_m: float = 0.025
    speed_tau_s: float = 1.2

    heater_w: float = field(default=0.0, init=False)
    speed_setpoint_rpm: float = field(default=0.0, init=False)
    speed_rpm: float = field(default=0.0, init=False)
    torque_ncm: float = field(default=0.0, init=False)
    decoupled: bool = field(default=False, init=False)
    poured_ml: float = field(default=0.0, init=False)
    plate_c: float = field(init=False)
    liquid_c: float = field(init=False)
    _resting: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.plate_c = self.liquid_c = self.ambient_c

    @property
    def resting(self) -> bool:
        """Cold, not heated, and its drive turns as it is told."""
        return self._resting and self.heater_w <= 0.0 and self.speed_rpm == self.speed_setpoint_rpm

    @property
    def longest_step_s(self) -> float:
        """Euler stays stable to twice the plate's time constant; this is 1.6 times that, with its loop closed.

        A vessel with a few drops in it moves faster, and nobody heats one.
        """
        return 1.6 * self.plate_j_per_k / (self.loss_w_per_k + self.max_heater_w / LOOP_BAND_K)

    def pour(self, volume_ml: float) -> None:
        """Add liquid, at the temperature of what is there."""
        self.poured_ml += volume_ml
        self.liquid_g += volume_ml * _DENSITY_KG_M3 / 1000.0

    def step(self, dt: float, ambient_c: float) -> None:
        """Move on by `dt` seconds. A plate at rest at ambient temperature stays exactly there."""
        if self.speed_rpm != self.speed_setpoint_rpm:
            self._drive(dt)
        if self._resting and self.heater_w <= 0.0:
            return
        power = min(max(self.heater_w, 0.0), self.max_heater_w)
        plate, liquid = self.plate_c, self.liquid_c
        plate_k, ambient_k = plate + 273.15, ambient_c + 273.15
        loss = self.loss_w_per_k * (plate - ambient_c) + 3e-10 * (plate_k**4 - ambient_k**4)
        to_liquid = 0.0
        if self.liquid_g > 0.0:
            to_liquid = (0.25 + 0.0015 * self.speed_rpm**0.6) * (plate - liquid)
            capacity = self.liquid_g * self.liquid_j_per_g_k
            self.liquid_c = liquid + dt * (to_liquid - 0.05 * (liquid - ambient_c)) / capacity
        self.plate_c = plate + dt * (power - loss - to_liquid) / self.plate_j_per_k
        self._resting = (
            power == 0.0
            and -_REST_K < self.plate_c - ambient_c < _REST_K
            and -_REST_K < self.liquid_c - ambient_c < _REST_K
        )
        if self._resting:
            self.plate_c = self.liquid_c = ambient_c

    def _drive(self, dt: float) -> None:
        """Bring the drive towards its setpoint and work out the torque."""
        setpoint = self.speed_setpoint_rpm
        gap = self.speed_rpm - setpoint
        self.speed_rpm = setpoint if abs(gap) < 0.01 else setpoint + gap * exp(-dt / self.speed_tau_s)
        turns = self.speed_rpm / 60.0
        if turns <= 0.0 or self.liquid_g <= 0.0:
            self.torque_ncm, self.decoupled = 0.0, False
            return
        reynolds = _DENSITY_KG_M3 * turns * self.bar_m**2 / self.viscosity_pa_s
        power_number = 70.0 / reynolds + 0.35
        torque_nm = power_number * _DENSITY_KG_M3 * turns**2 * self.bar_m**5 / (2.0 * pi)
        self.decoupled = self.decoupled or torque_nm > 6e-3
        self.torque_ncm = 0.0 if self.decoupled else torque_nm * 100.0
