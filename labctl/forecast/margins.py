"""What the plant of a forecast really does meanwhile: power of its heaters, oxygen while hot, vapour in a dryer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labctl.bench.schema import Bench
from labctl.model.limits import limit
from labctl.protocol.plan import Heat, Plan
from labctl.protocol.rules.gas import HOT_C, VERY_HOT_C, VERY_HOT_PPM
from labctl.protocol.vapour import GAS_CONSTANT, LOWER_LIMIT, MOLAR_MASS, PRESSURE_PA, SAFE_FRACTION
from labctl.twin import Twin

EVERY_S = 60.0
"""The plant is looked at so often; what matters here moves in minutes (assumed)."""

HEATED = {"tube_c": "furnace", "air_c": "oven", "plate_c": "hotplate"}
"""The temperature that tells what an instrument of the plant heats."""


@dataclass(frozen=True, slots=True)
class Oxygen:
    """The most oxygen in a tube while above `above_c`: ppm, when in s, and what may be there."""

    chamber: str
    above_c: float
    ppm: float
    at_s: float
    allowed_ppm: float

    @property
    def ok(self) -> bool:
        """No more than may be there."""
        return self.ppm <= self.allowed_ppm


@dataclass(frozen=True, slots=True)
class Vapour:
    """The strongest evaporation in a chamber, and when in s.

    needed_l_per_min: air that keeps it at a quarter of its lower flammable limit (LEL). of_limit: the part of that
    limit which the exhaust of the chamber leaves, mixed and steady; None where no exhaust is measured.
    """

    chamber: str
    at_s: float
    needed_l_per_min: float
    exhaust_l_per_min: float | None
    of_limit: float | None

    @property
    def ok(self) -> bool:
        """At most a quarter of the limit; an exhaust that nobody measured proves nothing."""
        return self.of_limit is not None and self.of_limit <= SAFE_FRACTION


@dataclass(frozen=True, slots=True)
class Margins:
    """How near the plant came to what must not be, each chamber once for each limit."""

    oxygen: tuple[Oxygen, ...]
    vapour: tuple[Vapour, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "oxygen": [{**asdict(o), "ok": o.ok} for o in self.oxygen],
            "vapour": [{**asdict(v), "ok": v.ok} for v in self.vapour],
        }


class Watcher:
    """Looks at the plant now and then. `kwh`: what its heaters have taken so far."""

    def __init__(self, twin: Twin, bench: Bench, plan: Plan) -> None:
        """`bench`: for what its exhausts draw; `plan`: for which tubes are heated under gas."""
        self.kwh = 0.0
        self._twin = twin
        self._bench = bench
        self._tubes = {
            s.chamber: (s.heater, s.under.instrument)
            for s in plan.steps
            if isinstance(s, Heat) and s.chamber and s.under
        }
        self._last_s = 0.0
        self._grams: dict[str, float] = {}
        self._oxygen: dict[tuple[str, float], Oxygen] = {}
        self._vapour: dict[str, Vapour] = {}

    def look(self, now_s: float) -> None:
        """Take in what happened since the last look, unless that was just now."""
        passed_s = now_s - self._last_s
        if passed_s < EVERY_S:
            return
        truth = self._twin.truth()
        self.kwh += sum(self._watts(truth)) * passed_s / 3.6e6
        self._see_oxygen(truth, now_s)
        self._see_vapour(truth["batch"], now_s, passed_s)
        self._last_s = now_s

    def margins(self) -> Margins:
        """What was seen."""
        return Margins(tuple(self._oxygen.values()), tuple(self._vapour.values()))

    def _watts(self, truth: Mapping[str, Any]) -> Iterator[float]:
        """Of each chamber once: by kind, then further ones of a kind."""
        first = [part for part in HEATED.values() if part in truth]
        yield from (truth[part]["heater_w"] for part in first)
        seen = {self._twin.plant.wiring[n][0] for part in first for n in self._showing(truth, truth[part])}
        for name, (chamber, _) in self._twin.plant.wiring.items():
            if chamber not in seen and "heater_w" in truth[name]:
                seen.add(chamber)
                yield truth[name]["heater_w"]

    def _showing(self, truth: Mapping[str, Any], part: object) -> Iterator[str]:
        return (name for name in self._twin.plant.wiring if truth[name] is part)

    def _see_oxygen(self, truth: Mapping[str, Any], now_s: float) -> None:
        for chamber, (heater, controller) in self._tubes.items():
            celsius, ppm = truth[heater]["tube_c"], truth[controller]["oxygen_ppm"]
            for above_c, allowed in ((HOT_C, limit("purge_oxygen")), (VERY_HOT_C, VERY_HOT_PPM)):
                worst = self._oxygen.get((chamber, above_c))
                if celsius > above_c and (worst is None or ppm > worst.ppm):
                    self._oxygen[chamber, above_c] = Oxygen(chamber, above_c, ppm, now_s, allowed)

    def _see_vapour(self, batch: Mapping[str, Any], now_s: float, passed_s: float) -> None:
        left = {solvent: batch[f"{solvent}_g"] for solvent in LOWER_LIMIT}
        gone, self._grams = {s: self._grams.get(s, g) - g for s, g in left.items()}, left
        place = batch["place"]
        if place is None or not any(grams > 0.0 for grams in gone.values()):
            return
        litres_per_mol = GAS_CONSTANT * (batch["temperature_c"] + 273.15) / PRESSURE_PA * 1000.0
        limits_l_per_min = sum(
            grams / MOLAR_MASS[s] / passed_s * 60.0 * litres_per_mol / LOWER_LIMIT[s]
            for s, grams in gone.items()
        )
        needed = limits_l_per_min / SAFE_FRACTION
        worst = self._vapour.get(place)
        if worst is None or needed > worst.needed_l_per_min:
            exhaust = self._bench.chambers[place].exhaust_l_per_min
            part = limits_l_per_min / exhaust if exhaust else None
            self._vapour[place] = Vapour(place, now_s, needed, exhaust, part)
