"""The twin of a bench: its plant, one session for each instrument, its truth, its operator.

A spec is plain JSON, derived from a bench file:

    {"name": "small", "ambient_c": 22,
     "chambers": {"tube": {"kind": "tube", "volume_cm3": 100, "physics": {...}}, ...},
     "instruments": {"furnace": {"device": "eurotherm_3216", "chamber": "tube", "serial_number": "...",
                                 "options": {...}, "provides": ["tube_furnace"]}, ...},
     "batch": {"product_mass_g": 1.0, "thf_g": 8.89, "ethanol_g": 3.945, "water_g": 9.0}}
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from labctl_simulators.chambers import Chamber, Station, Tube
from labctl_simulators.devices.api import Replies, Session
from labctl_simulators.faults import Faults
from labctl_simulators.faults.kinds import Link
from labctl_simulators.operator import Operator
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.oven import ConvectionOven
from labctl_simulators.physics.pan import WeighingPan
from labctl_simulators.physics.services import Services
from labctl_simulators.plant import Plant

_PART = {"flow": "gas", "oxygen": "gas"}


class PlantSession:
    """An instrument's session that first brings the plant to the present. Threads may share the plant."""

    __slots__ = ("_lock", "_plant", "_station", "session")

    def __init__(self, plant: Plant, station: Station, session: Session, lock: threading.Lock) -> None:
        self._plant = plant
        self._station = station
        self.session = session
        self._lock = lock

    def feed(self, data: bytes, now_s: float) -> Replies:
        """As `Session.feed`, at plant time `now_s`."""
        with self._lock:
            plant, station = self._plant, self._station
            if now_s >= plant.next_s:
                plant.live(now_s)
            if station.dozes_since is not None:
                plant.wake(station)
            station.asked_s = now_s
            return self.session.feed(data, now_s)


class Twin:
    """A simulated bench. sessions: by instrument. operator: its hands; hold `lock` when threads run.

    links: what carries each instrument's bytes, filled in by whoever hosts it. faults: what goes wrong, the same.
    """

    def __init__(self, name: str, plant: Plant) -> None:
        self.name = name
        self.plant = plant
        self.lock = threading.Lock()
        self.operator = Operator(plant)
        self.seats = {
            instrument: PlantSession(plant, plant.stations[plant.wiring[instrument][0]], session, self.lock)
            for instrument, session in plant.sessions.items()
        }
        self.sessions: dict[str, Session] = {**self.seats}
        self.links: dict[str, Link] = {}
        self.faults = Faults(self, plant.seed or 0)

    def advance_to(self, now_s: float) -> None:
        """Bring the plant to the present without asking an instrument."""
        with self.lock:
            self.plant.advance_to(now_s)

    def truth(self) -> dict[str, Any]:
        """What is really the case: `t` in s, a part for each kind of chamber, and by instrument.

        furnace {heater_w, tube_c, sample_c}, gas {flow_sccm, oxygen_ppm}, oven {heater_w, air_c, load_c},
        hotplate {heater_w, plate_c, liquid_c, speed_rpm}, cell {voltage_v, current_a, charged_c}, batch.
        Of several chambers of a kind, the first has the kind's name.
        """
        with self.lock:
            return self.known()

    def entered(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """What the operator enters for a prompt: values, and a note on those that no model gives.

        Those are the middle of what is allowed. Raises OperatorError for what its hands cannot do.
        """
        if prompt["kind"] == "checkpoint":
            return {"values": {}}
        known = [entry for entry in prompt["enter"] if self.operator.reads(entry)]
        values = {entry["name"]: _middle(entry) for entry in prompt["enter"] if entry not in known}
        note = f"no model gives {', '.join(values)}: middle of the allowed range" if values else ""
        with self.lock:
            read = self.operator.answer({**prompt, "enter": known})
        return {"values": values | {entry["name"]: read[entry["name"]] for entry in known}, "note": note}

    def known(self) -> dict[str, Any]:
        """As `truth`, for who holds the lock."""
        plant = self.plant
        truth: dict[str, Any] = {"t": plant.now(), "ambient_c": plant.ambient_c, "batch": self._batch()}
        by_chamber = {name: _truth_of(chamber) for name, chamber in plant.chambers.items()}
        for parts in by_chamber.values():
            for kind, values in parts.items():
                truth.setdefault(kind, values)
        for instrument, (place, wired_to) in plant.wiring.items():
            truth[instrument] = by_chamber[place][_PART.get(wired_to, wired_to)]
        return truth

    def _batch(self) -> dict[str, Any]:
        batch = self.plant.batch
        return {
            "place": batch.place,
            "temperature_c": self.plant.temperature_c(batch),
            "thf_g": batch.dish.thf_g,
            "ethanol_g": batch.dish.ethanol_g,
            "water_g": batch.dish.water_g,
            "polymer_left": batch.heat.polymer_left,
            "carbon_wt_pct": batch.heat.carbon_wt_pct,
            "pyrolysis_c": batch.heat.peak_c,
        }


def _middle(entry: Mapping[str, Any]) -> float:
    low = 0.0 if entry["min"] is None else entry["min"]
    high = low + 2.0 if entry["max"] is None else entry["max"]
    return float(low + high) / 2.0


def build(spec: Mapping[str, Any], seed: int | None, tick_s: int = 1) -> Twin:
    """The twin of a bench. seed None: the nominal plant; any number: a plant perturbed by it.

    tick_s: how long its ticks may be.
    Raises ValueError for a chamber kind, physics parameter or wiring that is not simulated, KeyError for
    such a device.
    """
    return Twin(str(spec.get("name", "bench")), Plant(spec, seed, tick_s))


def _truth_of(chamber: Chamber) -> dict[str, dict[str, float | bool]]:
    if isinstance(chamber, Tube):
        furnace, sccm = chamber.furnace, chamber.flow_sccm
        around = {} if chamber.services is None else {"services": _services(chamber.services)}
        return around | {
            "furnace": {"heater_w": furnace.heater_w, "tube_c": furnace.tube_c, "sample_c": furnace.sample_c},
            "gas": {"flow_sccm": sccm, "oxygen_ppm": chamber.atmosphere.oxygen_ppm},
        }
    if isinstance(chamber, ConvectionOven):
        return {"oven": {"heater_w": chamber.heater_w, "air_c": chamber.air_c, "load_c": chamber.load_c}}
    if isinstance(chamber, Hotplate):
        plate = {"plate_c": chamber.plate_c, "liquid_c": chamber.liquid_c, "speed_rpm": chamber.speed_rpm}
        syringe = {"poured_ml": chamber.poured_ml}
        return {"hotplate": {"heater_w": chamber.heater_w, **plate}, "syringe": syringe}
    if isinstance(chamber, WeighingPan):
        return {"pan": {"load_g": chamber.load_g, "shown_g": chamber.shown_g}}
    cell = {"voltage_v": chamber.voltage_v, "current_a": chamber.current_a, "charged_c": chamber.charged_c}
    return {"cell": {**cell, "limited": chamber.limited}}


def _services(services: Services) -> dict[str, float | bool]:
    """Contacts by name (True: closed), what is on, and the pressures. The bypass is open without current."""
    coils = services.coils
    on = {**coils, "bypass": not coils["bypass"], "heater_fed": services.heater_fed}
    pressures = {"tube_bar": services.tube_bar, "cylinder_bar": services.cylinder_gauge_bar}
    return {**services.contacts, **on, **pressures}
