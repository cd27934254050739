"""Solvents leaving a covered dish: THF and ethanol first, water later, as selective evaporation needs.

    dn_i/dt = -K / RT (x_i γ_i p_i(T) - p_inf),  ln γ_i = A_i x_w²

Antoine constants: chemicals' `Psat_data_AntoinePoling` (checked against Perry 8: 0.4 % THF, 0.6 % ethanol,
0.3 % water). K and the activity constants are assumed: an open dish of 50 cm² would dry everything in three
hours, so 24 h at 40 degC that keep the water imply a covered vessel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

GAS_CONSTANT = 8.314462618
THF, ETHANOL, WATER = 0, 1, 2
ANTOINE = (
    (21.002846, 2770.263, -46.795),
    (23.801246, 3795.167, -42.232),
    (23.292122, 3885.698, -42.98),
)
"""ln(p/Pa) = A - B / (T/K + C) for THF, ethanol, water."""
MOLAR_MASS_G = (72.1057, 46.0684, 18.0153)
_ACTIVITY = (2.6, 1.3)
_LAST_MOL = 1e-6


def vapour_pressure_pa(substance: int, temperature_c: float) -> float:
    """Vapour pressure of THF, ETHANOL or WATER in Pa at degC. Above THF's 88 degC it is an extrapolation."""
    a, b, c = ANTOINE[substance]
    return exp(a - b / (temperature_c + 273.15 + c))


@dataclass(slots=True)
class Dish:
    """A dish of solution. Call `step` with its temperature; read grams left.

    conductance_m3_s: K, one gas-side conductance for all vapours. solute_mol: dissolved salts, which never
    leave.
    humidity_pa: partial pressure of water in the room (1.27 kPa: 40 % at 25 degC).
    """

    thf_g: float
    ethanol_g: float
    water_g: float
    solute_mol: float = 0.02
    conductance_m3_s: float = 1.0e-6
    humidity_pa: float = 1270.0

    _mol: list[float] = field(init=False)

    def __post_init__(self) -> None:
        grams = (self.thf_g, self.ethanol_g, self.water_g)
        self._mol = [g / m for g, m in zip(grams, MOLAR_MASS_G, strict=True)]

    @property
    def dry(self) -> bool:
        """True when nothing volatile is left."""
        return self._mol == [0.0, 0.0, 0.0]

    def step(self, dt: float, temperature_c: float) -> None:
        """Move on by `dt` seconds (10 s is ample: the fastest change takes hours)."""
        thf, ethanol, water = self._mol
        total = thf + ethanol + water
        if total == 0.0:
            return
        total += self.solute_mol
        water_fraction = water / total
        squared = water_fraction * water_fraction
        kelvin = temperature_c + 273.15
        rate = dt * self.conductance_m3_s / (GAS_CONSTANT * kelvin)
        mol = self._mol
        if thf:
            pressure = thf / total * exp(_ACTIVITY[THF] * squared) * vapour_pressure_pa(THF, temperature_c)
            mol[THF] = left if (left := thf - rate * pressure) > _LAST_MOL else 0.0
        if ethanol:
            pressure = ethanol / total * exp(_ACTIVITY[ETHANOL] * squared)
            left = ethanol - rate * pressure * vapour_pressure_pa(ETHANOL, temperature_c)
            mol[ETHANOL] = left if left > _LAST_MOL else 0.0
        if water:
            pressure = water_fraction * vapour_pressure_pa(WATER, temperature_c) - self.humidity_pa
            if pressure > 0.0:
                mol[WATER] = left if (left := water - rate * pressure) > _LAST_MOL else 0.0
        self.thf_g, self.ethanol_g, self.water_g = (n * m for n, m in zip(mol, MOLAR_MASS_G, strict=True))
