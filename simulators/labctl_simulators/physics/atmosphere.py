"""Oxygen in a furnace tube: a stirred volume washed by gas, with leaks.

    c(t + dt) = c_ss + (c - c_ss) exp(-Q dt / V_holdup),  c_ss = Σ q_i c_i / Q,  V_holdup = V 298.15 K / T

The exact step makes it independent of dt. Derived; 2290 cm³ at 200 sccm reach 100 ppm in 87.8 min.
Back-diffusion (1 sccm of air, dying out e-fold per 10 sccm of outflow), inlet 2 ppm (N2 5.0) and
out-gassing are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

AIR_PPM = 209500.0
OUTGAS_PER_CM3 = 0.2 / 2290.0
"""Oxygen given off between 100 and 300 degC, cm³ per cm³ of tube: 5-20 ppm at 2 K/min (assumed)."""


@dataclass(slots=True)
class TubeAtmosphere:
    """The gas in a tube of `volume_cm3`. Call `step` with the flow in; read `oxygen_ppm`.

    inlet_ppm: oxygen in the supply. leak_sccm: air drawn in past the seals.
    """

    volume_cm3: float = 2290.0
    inlet_ppm: float = 2.0
    leak_sccm: float = 0.0

    oxygen_ppm: float = field(default=AIR_PPM, init=False)
    _adsorbed_cm3: float = field(default=0.0, init=False)
    _flow_sccm: float = field(default=-1.0, init=False)
    _through_sccm: float = field(default=0.0, init=False)
    _oxygen_sccm_ppm: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.open_to_air()

    def open_to_air(self) -> None:
        """Take a flange off: the tube fills with air, and its walls with moisture."""
        self.oxygen_ppm = AIR_PPM
        self._adsorbed_cm3 = OUTGAS_PER_CM3 * self.volume_cm3

    def admit(self, leak_sccm: float) -> None:
        """Let this much air in past the seals from now on."""
        self.leak_sccm = leak_sccm
        self._flow_sccm = -1.0  # so that the next step adds it up anew

    def step(self, dt: float, flow_sccm: float, tube_c: float) -> None:
        """Move on by `dt` seconds with `flow_sccm` of supply gas into a tube at `tube_c` degC."""
        if flow_sccm != self._flow_sccm:
            self._flow_sccm = flow_sccm
            air_sccm = self.leak_sccm + exp(-0.1 * flow_sccm)
            self._through_sccm = flow_sccm + air_sccm
            self._oxygen_sccm_ppm = flow_sccm * self.inlet_ppm + air_sccm * AIR_PPM
        through_sccm, oxygen = self._through_sccm, self._oxygen_sccm_ppm
        if tube_c > 100.0 and self._adsorbed_cm3 > 1e-9:
            released = self._adsorbed_cm3 * min(1.0, (tube_c - 100.0) / 200.0) * dt / 1500.0
            self._adsorbed_cm3 -= released
            oxygen += released * 6e7 / dt
        steady_ppm = oxygen / through_sccm
        turnover = through_sccm * dt * (tube_c + 273.15) / (17889.0 * self.volume_cm3)
        self.oxygen_ppm = steady_ppm + (self.oxygen_ppm - steady_ppm) * exp(-turnover)
