"""The batch on its way: solution in a vessel, drying dish, boat in a tube, powder."""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl_simulators.physics.decomposition import PAPER_POLYMER_G_PER_G, Decomposition, fired
from labctl_simulators.physics.electrode import NONPOROUS, RATE_TEST_C, Electrode, fired_at
from labctl_simulators.physics.evaporation import Dish

DRIED_SALTS_G_PER_G = 1.470
"""Dried salts (VOC2O4, sodium phosphates) per gram of Na3V2(PO4)3, derived from the stoichiometry."""
SOLUTE_MOL_PER_G = 0.02
"""Dissolved salts per gram of product, mol (assumed)."""


@dataclass(slots=True)
class Batch:
    """What is being made. Defaults: the assumed recipe for 1 g of product.

    That is 10 mL THF, 5 mL ethanol, 9 mL water, 0.30 g polymer. polymer_g_per_g: per gram of product.
    tare_g: mass of the empty dish. fired_c: it comes as powder that was fired at so many degC before.
    place: the chamber it is in, or None: on the lab bench. poured: the dish is open, solvent may leave.
    """

    product_mass_g: float = 1.0
    thf_g: float = 8.89
    ethanol_g: float = 3.945
    water_g: float = 9.0
    polymer_g_per_g: float = PAPER_POLYMER_G_PER_G
    tare_g: float = 52.3147
    fired_c: float | None = None

    place: str | None = field(default=None, init=False)
    poured: bool = field(default=False, init=False)
    dish: Dish = field(init=False)
    heat: Decomposition = field(init=False)

    def __post_init__(self) -> None:
        solute = SOLUTE_MOL_PER_G * self.product_mass_g
        self.dish = Dish(self.thf_g, self.ethanol_g, self.water_g, solute)
        self.heat = Decomposition(self.polymer_g_per_g)
        if self.fired_c is not None:
            self.dish = Dish(0.0, 0.0, 0.0, solute)
            self.heat = fired(self.polymer_g_per_g, self.fired_c)

    @property
    def electrode(self) -> Electrode:
        """What a cathode of it is. Without polymer it is taken for the nonporous bulk, whatever it dried from.

        The paper has two cells of 900 degC that differ by 3 mAh/g at 1C: one made here is that of its Fig. 5c, one of
        powder that was there already that of its rate test (Fig. 5d).
        """
        if not self.polymer_g_per_g:
            return NONPOROUS
        return Electrode() if self.fired_c == RATE_TEST_C else fired_at(self.heat.peak_c)

    @property
    def solvent_g(self) -> float:
        """THF, ethanol and water left, g."""
        return self.dish.thf_g + self.dish.ethanol_g + self.dish.water_g

    @property
    def gross_g(self) -> float:
        """Dish and contents before firing, g."""
        solids = (DRIED_SALTS_G_PER_G + self.polymer_g_per_g) * self.product_mass_g
        return self.tare_g + solids + self.solvent_g

    @property
    def product_g(self) -> float:
        """Phosphate and carbon after firing, g."""
        return self.product_mass_g / (1.0 - self.heat.carbon_wt_pct / 100.0)

    def step(self, dt: float, temperature_c: float) -> None:
        """Move on by `dt` seconds at the temperature of the place it is in; 10 s are ample."""
        if self.poured and not self.dish.dry:
            self.dish.step(dt, temperature_c)
        self.heat.step(dt, temperature_c)
