"""What heat makes of the dried batch: polymer to char, part of the char away again, and a memory of heat.

Stage 1, polystyrene: first order, E = 168 kJ/mol (PCFC study), A from the DTG peak at 372.4 degC (Zeng
2007) at an assumed 10 K/min. Stage 2 above 500 degC: a labile part of the carbon leaves by first order, a
graphitic part stays. Its three constants are fitted to the paper's 4.2/2.7/1.9 wt% at 700/800/900 degC with
an assumed 6 h hold and ramps of 2 and 5 K/min: agreement there is by construction, and E2 is not identified.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

from labctl_simulators.physics.evaporation import GAS_CONSTANT

PAPER_POLYMER_G_PER_G = 0.30
"""Polymer per product of the fitted recipe (assumed); other amounts scale linearly (assumed)."""
_A1, _E1 = 3.169e11, 168e3
_A2, _E2 = 25.128, 115.66e3
_LABILE_WT_PCT = 3.3619
_GRAPHITIC_WT_PCT = 1.85
_FILTER_TAU_S = 600.0


@dataclass(slots=True)
class Decomposition:
    """The dried batch in the furnace. Call `step` with the sample temperature; 10 s steps are ample.

    polymer_g_per_g: structure-directing polymer per gram of product.
    peak_c: effective pyrolysis temperature: the maximum of the sample temperature filtered with 600 s, so
    that a controller's overshoot of minutes does not count (assumed).
    """

    polymer_g_per_g: float = PAPER_POLYMER_G_PER_G
    sample_c: float = 22.0

    polymer_left: float = field(default=1.0, init=False)
    labile_left: float = field(default=1.0, init=False)
    peak_c: float = field(init=False)
    _filtered_c: float = field(init=False)

    def __post_init__(self) -> None:
        self.peak_c = self._filtered_c = self.sample_c

    @property
    def carbon_wt_pct(self) -> float:
        """Carbon of the product that is not polymer any more, wt%."""
        char = _GRAPHITIC_WT_PCT + _LABILE_WT_PCT * self.labile_left
        return (1.0 - self.polymer_left) * char * self.polymer_g_per_g / PAPER_POLYMER_G_PER_G

    def step(self, dt: float, sample_c: float) -> None:
        """Move on by `dt` seconds at `sample_c` degC. Below 150 degC it only remembers."""
        self._filtered_c += (sample_c - self._filtered_c) * (1.0 - exp(-dt / _FILTER_TAU_S))
        if self._filtered_c > self.peak_c:
            self.peak_c = self._filtered_c
        if sample_c < 150.0:
            return
        rt = GAS_CONSTANT * (sample_c + 273.15)
        if self.polymer_left:
            left = self.polymer_left * exp(-dt * _A1 * exp(-_E1 / rt))
            self.polymer_left = left if left > 1e-12 else 0.0
        if sample_c > 500.0:
            self.labile_left *= exp(-dt * _A2 * exp(-_E2 / rt))


HOLD_S, RAMP_C_PER_S = 6 * 3600.0, 5.0 / 60.0
"""How powder that comes ready-made is taken to have been fired: the hold and ramp that the fit assumes."""


def fired(polymer_g_per_g: float, peak_c: float) -> Decomposition:
    """A batch after pyrolysis at `peak_c` degC for 6 h."""
    batch = Decomposition(polymer_g_per_g)
    step_s = 60.0
    ramp_s = (peak_c - batch.sample_c) / RAMP_C_PER_S
    for n in range(int((ramp_s + HOLD_S) / step_s)):
        batch.step(step_s, min(peak_c, batch.sample_c + n * step_s * RAMP_C_PER_S))
    return batch
