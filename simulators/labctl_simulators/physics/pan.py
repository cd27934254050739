"""The pan of a balance: what lies on it, and a load cell that takes its time to show it.

The cell follows the load with one time constant; a draught shakes it; buoyancy and temperature let it drift.
All parameters are assumed, those of a usual analytical balance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, inf, log

_REST_G = 1e-6


@dataclass(slots=True)
class WeighingPan:
    """What a balance weighs. Put things on with `put`, take them off with a negative mass, `clear` it.

    settling_s: time constant of the load cell. drift_g_per_h: of the reading, at rest. draught_g: how much moving air
    shakes it; 0: the draught shield is closed. slip_pct: by how much too much a clumsy hand puts on it.
    """

    settling_s: float = 0.7
    drift_g_per_h: float = 0.0001
    draught_g: float = 0.0
    slip_pct: float = 0.0

    load_g: float = field(default=0.0, init=False)
    felt_g: float = field(default=0.0, init=False)
    drifted_g: float = field(default=0.0, init=False)
    _tick: int = field(default=0, init=False)

    @property
    def resting(self) -> bool:
        """It shows what lies on it, in still air. Its zero drifts on, exactly over any step."""
        return self.felt_g == self.load_g and not self.draught_g

    @property
    def longest_step_s(self) -> float:
        """Its load cell moves exactly over any step; a dose under way has to be seen coming (assumed)."""
        return 5.0

    def put(self, mass_g: float) -> None:
        """Add (or take) a mass, g."""
        self.load_g += mass_g

    def clear(self) -> None:
        """Take everything off."""
        self.load_g = 0.0

    def step(self, dt: float, ambient_c: float) -> None:
        """Move on by `dt` seconds."""
        self._tick += 1
        self.drifted_g += self.drift_g_per_h * dt / 3600.0
        gap = self.felt_g - self.load_g
        if gap:
            self.felt_g = (
                self.load_g if abs(gap) < _REST_G else self.load_g + gap * exp(-dt / self.settling_s)
            )

    @property
    def shown_g(self) -> float:
        """What the load cell gives now, g."""
        shaken = self.draught_g * (1.0 if self._tick % 2 else -1.0)
        return self.felt_g + self.drifted_g + shaken

    @property
    def rests_at_g(self) -> float:
        """What the load cell will give once it has settled, if nobody touches it, g."""
        return self.load_g + self.drifted_g

    def settles_in_s(self, within_g: float) -> float:
        """Seconds until it shows its load to `within_g`, if nobody touches it; infinite in a draught."""
        if self.draught_g > within_g:
            return inf
        gap = abs(self.felt_g - self.load_g)
        return 0.0 if gap <= within_g else self.settling_s * log(gap / within_g)
