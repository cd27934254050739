"""The hands and eyes of the simulated operator: does what a prompt asks on the plant, and reads it off.

What is entered is what a person would read off a balance or an analyser: rounded, with its small error.
Values that the plant has no model for are refused by name, never made up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from labctl_simulators.batch import Batch
from labctl_simulators.chambers import Tube
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.oven import ConvectionOven
from labctl_simulators.physics.pan import WeighingPan
from labctl_simulators.plant import Plant

MAX_OPEN_C = 70.0
"""The simulated operator leaves a hotter tube alone: T_open is 60 degC, the rest for sensors' errors."""
ACTIVE_MASS_MG = 1.70
"""Phosphate on a 12 mm disc at 1.5 mg/cm² (assumed)."""
VESSEL_G = 18.4321
"""A weighing vessel of glass (assumed)."""
_GRAMS = {"kg": 1e3, "g": 1.0, "mg": 1e-3, "ug": 1e-6}
_KINDS = {"tube": Tube, "oven": ConvectionOven, "vessel": Hotplate, "cell": HalfCell}


class OperatorError(Exception):
    """The simulated operator cannot do or read what a prompt asks. The message names it."""


class Operator:
    """Answers prompts on a plant. The same plant and the same prompts give the same answers."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._read: dict[str, Callable[[Batch], tuple[float, str, float]]] = {
            "tare": lambda batch: (batch.tare_g, "g", 1e-4),
            "wet_mass": lambda batch: (batch.gross_g, "g", 1e-4),
            "dry_mass": lambda batch: (batch.gross_g, "g", 1e-4),
            "product_mass": lambda batch: (batch.product_g, "g", 1e-4),
            "peroxide": lambda batch: (3.0 + plant.spread("peroxide", -2.0, 2.0), "ppm", 1.0),
            "carbon": lambda batch: (
                batch.heat.carbon_wt_pct + plant.spread("carbon", -0.005, 0.005),
                "wt%",
                0.01,
            ),
            "keep": lambda batch: (0.0, "1", 1.0),
            "active_mass": lambda batch: (self._active_mass_mg() * 1e-3, "g", 1e-5),
        }

    def reads(self, entry: Mapping[str, Any]) -> bool:
        """Whether the plant has a model for this entry, in this unit."""
        if _quantity(entry) not in self._read:
            return False
        unit = self._read[_quantity(entry)](self.plant.batch)[1]
        asked = entry.get("unit", unit)
        return asked == unit or (unit == "g" and asked in _GRAMS)

    def answer(self, step: Mapping[str, Any]) -> dict[str, float | bool]:
        """Do what the prompt asks and return what a person enters: values by name, confirmations as True.

        step: {"kind": manual | measure | unload, "do", "enter": [{"name", "unit"}], "into", "confirm", "run"}; an entry
        whose name also says of which sample it is has its "quantity".
        Raises OperatorError naming a quantity, unit, place or kind that the plant does not know.
        """
        self.plant.rouse()
        kind, entries = step["kind"], step.get("enter") or ()
        if kind not in ("manual", "measure", "unload", "weigh"):
            raise OperatorError(f"the simulated operator does not know prompts of kind {kind!r}")
        wanted = {entry["name"]: entry for entry in entries}
        for name in map(_quantity, entries):
            if name not in self._read:
                known = ", ".join(sorted(self._read))
                raise OperatorError(f"no model gives {name!r}: the simulated operator can read {known}")
        batch = self.plant.batch_of(step.get("run") or "")
        if kind == "unload":
            self._unload(batch)
        elif kind == "weigh":
            kept = "keep" in wanted and self._value(batch, wanted["keep"]) >= 0.5
            self._weigh(str(step["pan"]), 0.0 if kept else step["put_g"])
        elif kind == "manual":
            self._move(batch, step.get("into"), {_quantity(entry) for entry in entries})
        answers: dict[str, float | bool] = {name: self._value(batch, entry) for name, entry in wanted.items()}
        return answers | dict.fromkeys(step.get("confirm") or (), True)

    def _value(self, batch: Batch, entry: Mapping[str, Any]) -> float:
        """What the display shows, in the unit that is asked for."""
        value, unit, resolution = self._read[_quantity(entry)](batch)
        shown = round(value / resolution) * resolution
        asked = entry.get("unit", unit)
        if asked == unit:
            return round(shown, 9)
        if unit == "g" and asked in _GRAMS:
            return round(shown / _GRAMS[asked], 9)
        raise OperatorError(f"{entry['name']} is read in {unit}, not in {asked!r}")

    def _move(self, batch: Batch, into: str | None, wanted: Collection[str]) -> None:
        """Carry the batch to where the prompt wants it."""
        plant = self.plant
        if into is None and "wet_mass" in wanted and not batch.poured:
            into = "oven"
        elif into is None and "active_mass" in wanted:
            into = "cell"
        if into is None:
            return
        name = self._place(into)
        chamber = plant.chambers[name]
        if isinstance(chamber, HalfCell):
            chamber.assemble(batch.electrode, round(self._active_mass_mg(), 2))
            return
        if isinstance(chamber, Tube):
            self._open(name, chamber)
        elif isinstance(chamber, ConvectionOven) and not batch.poured:
            batch.poured = True
            self._empty_vessels()
        batch.place = name

    def _weigh(self, place: str, mass_g: float | None) -> None:
        """Put an empty vessel on the pan (None), or so much into it; a clumsy hand puts a little more or less."""
        pan = self.plant.chambers.get(place)
        if not isinstance(pan, WeighingPan):
            raise OperatorError(f"{place!r} is no pan of this bench")
        if mass_g is None:
            pan.clear()
            pan.put(VESSEL_G)
        else:
            pan.put(mass_g * (1.0 + pan.slip_pct / 100.0) if mass_g > 0.0 else mass_g)

    def _unload(self, batch: Batch) -> None:
        """Take the product out of the tube it is in."""
        chamber = self.plant.chambers.get(batch.place or "")
        if batch.place and isinstance(chamber, Tube):
            self._open(batch.place, chamber)
        batch.place = None

    def _open(self, name: str, tube: Tube) -> None:
        """Take a flange off, and let air in."""
        if tube.furnace.tube_c > MAX_OPEN_C:
            raise OperatorError(
                f"the simulated operator does not open {name!r} at {tube.furnace.tube_c:.0f} degC"
            )
        tube.atmosphere.open_to_air()

    def _empty_vessels(self) -> None:
        for chamber in self.plant.chambers.values():
            if isinstance(chamber, Hotplate):
                chamber.liquid_g = 0.0

    def _place(self, into: str) -> str:
        """The chamber of that name, of that instrument, or the only one of that kind."""
        plant = self.plant
        if into in plant.chambers:
            return into
        if into in plant.wiring:
            return plant.wiring[into][0]
        named = [
            name for name, chamber in plant.chambers.items() if isinstance(chamber, _KINDS.get(into, ()))
        ]
        if len(named) != 1:
            there = ", ".join(plant.chambers) or "none"
            raise OperatorError(f"{into!r} names {len(named)} chambers of this bench; there are {there}")
        return named[0]

    def _active_mass_mg(self) -> float:
        return ACTIVE_MASS_MG + self.plant.spread("active mass", -0.05, 0.05)


def _quantity(entry: Mapping[str, Any]) -> str:
    """What is to be read, whichever sample it is of."""
    return str(entry.get("quantity") or entry["name"])
