"""A tube furnace as four heat nodes: element, insulation, tube and sample; a thermocouple lags the tube.

    C_h dT_h = u P - G_hi (T_h - T_i) - [G_ht + E_ht (T_h² + T_t²)(T_h + T_t)] (T_h - T_t)
    C_i dT_i = G_hi (T_h - T_i) - G_ia (T_i - T_a)
    C_t dT_t = q_ht - q_ts - (G_t + m c_p) (T_t - T_a) - E_end (T_t⁴ - T_a⁴)
    C_s dT_s = [G_ts + E_ts (T_t² + T_s²)(T_t + T_s)] (T_t - T_s)

Explicit Euler; see `longest_step_s`. Parameters are assumed (no vendor publishes such curves for furnaces of
1-3 kW): the defaults hold 900 degC with 483 W of 2 kW and cool from there to 60 degC in 8.2 h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

STEFAN_BOLTZMANN = 5.670374419e-8
"""W/m²K⁴ (CODATA 2018)."""
KELVIN = 273.15
HOTTEST_C = 1200.0
"""No tube furnace of such a bench gets hotter (assumed)."""
_REST_K = 1e-3


@dataclass(slots=True)
class TubeFurnace:
    """A tube furnace and what lies in its tube. Set `duty` (0..1), call `step`, read temperatures in degC.

    heater_w: full power. *_j_per_k: heat capacities. *_w_per_k: conductances between neighbours.
    *_radiation_m2: effective area times emissivity. gas_w_per_k_sccm: heat that process gas carries off.
    thermocouple_tau_s: time constant of the thermocouple. ambient_c: temperature at which it starts, at rest.
    Capacities, conductances and the time constant are taken once: `step` runs a hundred thousand times a run.
    """

    ambient_c: float = 22.0
    full_power_w: float = 2000.0
    element_j_per_k: float = 1400.0
    insulation_j_per_k: float = 2600.0
    tube_j_per_k: float = 550.0
    sample_j_per_k: float = 25.0
    element_insulation_w_per_k: float = 1.05
    insulation_ambient_w_per_k: float = 0.42
    element_tube_w_per_k: float = 1.2
    element_tube_radiation_m2: float = 0.030
    tube_sample_w_per_k: float = 0.05
    tube_sample_radiation_m2: float = 0.004
    tube_end_radiation_m2: float = 0.0016
    tube_ambient_w_per_k: float = 0.05
    gas_w_per_k_sccm: float = 2.2e-5
    thermocouple_tau_s: float = 8.0

    duty: float = field(default=0.0, init=False)
    heater_w: float = field(default=0.0, init=False)
    element_c: float = field(init=False)
    insulation_c: float = field(init=False)
    tube_c: float = field(init=False)
    sample_c: float = field(init=False)
    thermocouple_c: float = field(init=False)
    _resting: bool = field(default=True, init=False)
    _capacities: tuple[float, float, float, float] = field(init=False)
    _exchange: tuple[float, float, float, float, float, float, float, float, float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.element_c = self.insulation_c = self.tube_c = self.ambient_c
        self.sample_c = self.thermocouple_c = self.ambient_c
        self._capacities = (
            self.element_j_per_k,
            self.insulation_j_per_k,
            self.tube_j_per_k,
            self.sample_j_per_k,
        )
        self._exchange = (
            self.element_insulation_w_per_k,
            self.insulation_ambient_w_per_k,
            self.element_tube_w_per_k,
            self.element_tube_radiation_m2 * STEFAN_BOLTZMANN,
            self.tube_sample_w_per_k,
            self.tube_sample_radiation_m2 * STEFAN_BOLTZMANN,
            self.tube_ambient_w_per_k,
            self.gas_w_per_k_sccm,
            self.tube_end_radiation_m2 * STEFAN_BOLTZMANN,
            self.thermocouple_tau_s,
        )

    @property
    def resting(self) -> bool:
        """Cold, and not heated."""
        return self._resting and self.duty == 0.0

    @property
    def longest_step_s(self) -> float:
        """Euler stays stable to twice the shortest time constant; this is 1.6 times that at HOTTEST_C."""
        kelvin = HOTTEST_C + KELVIN
        radiated = 4.0 * STEFAN_BOLTZMANN * kelvin**3
        g_inner, g_outer = self.element_insulation_w_per_k, self.insulation_ambient_w_per_k
        g_tube = self.element_tube_w_per_k + self.element_tube_radiation_m2 * radiated
        g_sample = self.tube_sample_w_per_k + self.tube_sample_radiation_m2 * radiated
        g_room = self.tube_ambient_w_per_k + self.tube_end_radiation_m2 * radiated
        losses = (g_inner + g_tube, g_inner + g_outer, g_tube + g_sample + g_room, g_sample)
        return 1.6 * min(c / g for c, g in zip(self._capacities, losses, strict=True))

    def set_duty(self, duty: float) -> None:
        """Power the element at this fraction of full power, clipped to 0..1, until told otherwise."""
        self.duty = 0.0 if duty < 0.0 else 1.0 if duty > 1.0 else duty

    def step(self, dt: float, ambient_c: float, gas_sccm: float) -> None:
        """Move on by `dt` seconds. A furnace at rest at ambient temperature stays exactly there."""
        duty = self.duty
        if duty == 0.0 and self._resting:
            return
        self.heater_w = power = duty * self.full_power_w
        element_capacity, insulation_capacity, tube_capacity, sample_capacity = self._capacities
        g_inner, g_outer, g_tube, r_tube, g_sample, r_sample, g_room, g_gas, r_ends, tau = self._exchange
        ambient = ambient_c + KELVIN
        element, insulation = self.element_c + KELVIN, self.insulation_c + KELVIN
        tube, sample = self.tube_c + KELVIN, self.sample_c + KELVIN
        tube2, ambient2 = tube * tube, ambient * ambient
        to_insulation = g_inner * (element - insulation)
        to_shell = g_outer * (insulation - ambient)
        to_tube = (g_tube + r_tube * (element * element + tube2) * (element + tube)) * (element - tube)
        to_sample = (g_sample + r_sample * (tube2 + sample * sample) * (tube + sample)) * (tube - sample)
        to_room = (g_room + g_gas * gas_sccm) * (tube - ambient)
        to_room += r_ends * (tube2 * tube2 - ambient2 * ambient2)
        self.element_c += dt * (power - to_insulation - to_tube) / element_capacity
        self.insulation_c += dt * (to_insulation - to_shell) / insulation_capacity
        self.tube_c = tube_c = self.tube_c + dt * (to_tube - to_sample - to_room) / tube_capacity
        self.sample_c += dt * to_sample / sample_capacity
        self.thermocouple_c = tube_c + (self.thermocouple_c - tube_c) * exp(-dt / tau)
        self._resting = duty == 0.0 and self._rest(ambient_c)

    def _rest(self, ambient_c: float) -> bool:
        """Settle exactly on ambient temperature once every node is near it."""
        if not (
            -_REST_K < self.insulation_c - ambient_c < _REST_K
            and -_REST_K < self.tube_c - ambient_c < _REST_K
            and -_REST_K < self.sample_c - ambient_c < _REST_K
            and -_REST_K < self.element_c - ambient_c < _REST_K
        ):
            return False
        self.element_c = self.insulation_c = self.tube_c = ambient_c
        self.sample_c = self.thermocouple_c = ambient_c
        return True
