"""A syringe on a pump, with a line that leads somewhere: what is pushed arrives, unless the line is blocked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Syringe:
    """A syringe. arrives: told every millilitre that leaves it. contents_ml: what is in it.

    blocked: the line is closed: nothing moves, and the drive stalls. delivered: share of the plunger's travel that
    arrives (a perturbed plant's syringe is a little wider or narrower than it says).
    """

    arrives: Callable[[float], None]
    contents_ml: float = 50.0
    delivered: float = 1.0
    blocked: bool = False
    infused_ml: float = field(default=0.0, init=False)

    def infuse(self, volume_ml: float) -> float:
        """Push so much out; what the plunger really travelled, mL: less at its end stop, nothing when blocked."""
        moved = 0.0 if self.blocked else min(volume_ml, self.contents_ml)
        if moved > 0.0:
            self.contents_ml -= moved
            self.infused_ml += moved * self.delivered
            self.arrives(moved * self.delivered)
        return moved

    def withdraw(self, volume_ml: float) -> float:
        """Draw in so much; what the plunger really travelled, mL."""
        moved = 0.0 if self.blocked else volume_ml
        self.contents_ml += moved
        return moved
