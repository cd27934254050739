"""Vapour of flammable solvents: how much of it a closed volume holds, and the air that keeps it thin.

Figures of THF and ethanol; each with its source.
"""

from __future__ import annotations

import math

from labctl.protocol.plan import Charge

GAS_CONSTANT = 8.314462618
PRESSURE_PA = 101_325.0
MOLAR_MASS = {"thf": 72.106, "ethanol": 46.068}
"""g/mol."""
LOWER_LIMIT = {"thf": 0.015, "ethanol": 0.031}
"""Lower flammable limits by volume: 1.5 % (chemicals; OSHA has 2 %) and 3.1 %."""
ANTOINE = {"thf": (9.12142, 1203.11, -46.795), "ethanol": (10.33675, 1648.22, -42.232)}
"""log10 P/Pa = A - B/(T/K + C) (Poling, by way of `chemicals`; 0.6 % of Perry within 277 to 361 K)."""
ANTOINE_C = (0.0, 100.0)
"""Temperatures beyond are taken for the nearest of these."""
TRANSFER_M3_S = 1.0e-6
"""Effective transfer of vapour from a dish, the upper end of what gives the paper's 24 h (assumed)."""
SAFE_FRACTION = 0.25
"""Of the lower limit: what a dryer may reach (NFPA 86)."""


def grams_of(charge: Charge) -> dict[str, float]:
    """Those of its flammable solvents that a charge has, in g."""
    return {name: g for name, g in (("thf", charge.thf_g), ("ethanol", charge.ethanol_g)) if g > 0}


def closed_fraction(charge: Charge, volume_cm3: float, celsius: float) -> float:
    """How many times its lower limit the vapour of a charge reaches in a closed volume (Le Chatelier's rule)."""
    moles_of_gas = PRESSURE_PA * volume_cm3 * 1e-6 / (GAS_CONSTANT * (celsius + 273.15))
    return sum(g / MOLAR_MASS[s] / moles_of_gas / LOWER_LIMIT[s] for s, g in grams_of(charge).items())


def dilution_l_per_min(charge: Charge, celsius: float) -> float:
    """Air that keeps the vapour of a dish at a quarter of its lower limit, as if each solvent were alone in it."""
    kelvin = 273.15 + min(max(celsius, ANTOINE_C[0]), ANTOINE_C[1])
    needed = 0.0
    for solvent in grams_of(charge):
        a, b, c = ANTOINE[solvent]
        vapour_m3_s = TRANSFER_M3_S * math.pow(10, a - b / (kelvin + c)) / PRESSURE_PA
        needed += vapour_m3_s / (SAFE_FRACTION * LOWER_LIMIT[solvent])
    return needed * 60_000.0
