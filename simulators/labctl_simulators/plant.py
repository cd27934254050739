"""One bench as matter: chambers, the batches in them, and the instruments wired to them, on one tick of 1 s.

At tick k the models have moved to k seconds under what the actuators did since k - 1; then every device
lives that second, in bench order. So what a sensor shows at k is the state at k, whoever asks, whenever.

A plant that only has to show where a plan leads may live in longer ticks: k then counts on by as many seconds.

No chamber notices another. One that is at rest, whose instruments nobody asks, is left alone until somebody does; it
then lives what it missed, and shows what it would have shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from labctl_simulators.batch import Batch
from labctl_simulators.chambers import PARTS, Chamber, Station, Tube
from labctl_simulators.devices import Wired, attach_function, device_entry
from labctl_simulators.devices.api import Bindings, Device, Sense, Session
from labctl_simulators.physics.atmosphere import TubeAtmosphere
from labctl_simulators.physics.furnace import TubeFurnace
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.massflow import MassFlow
from labctl_simulators.physics.noise import WhiteNoise, channel, uniform
from labctl_simulators.physics.oven import ConvectionOven
from labctl_simulators.physics.pan import WeighingPan
from labctl_simulators.physics.services import Services
from labctl_simulators.physics.syringe import Syringe

BATCH_EVERY_S = 10
"""Drying and decomposition take hours; they move in steps of this many seconds."""
TICKS_S = (5, 2, 1)
"""How long ticks may be; each is a whole part of BATCH_EVERY_S."""
DOZES_AFTER_S = 60
"""A chamber at rest is left alone once nobody has asked its instruments for so long."""
LAGS_S = 200
"""Of what it missed, it lives so much tick by tick: the slowest lag of an instrument, 10 s, forgets all before that."""
BATCHES = 8
"""So many are kept: what was made longest ago has left the laboratory by then (assumed)."""
HEATER_POWER = (-0.20, 0.10)
THERMOCOUPLE_K = 1.5
FLOW_GAIN = 0.003
AMBIENT_K = 5.0
"""Spreads of a perturbed plant: heater power, thermocouple offset, true flow against indicated, room."""
RESISTANCE_SENSOR_K = 0.5
"""Spread of Pt100 and Pt1000 offsets in ovens and vessels (assumed, class B at 100 degC)."""
SYRINGE = 0.005
"""Spread of what a syringe delivers against its plunger's travel (assumed)."""
LOAD_CELL_G = 3e-5
"""Noise of a balance's load cell (assumed, repeatability of an analytical balance)."""

Model = TypeVar("Model")


@dataclass(slots=True)
class Sensor:
    """A true value as an instrument sees it: with offset and noise, or nothing when `broken`.

    Noise is drawn once a tick. noise: standard deviation in the value's unit. relative: of more noise, in
    proportion to the value.
    """

    plant: Plant
    source: Callable[[], float]
    white: WhiteNoise
    offset: float = 0.0
    noise: float = 0.05
    relative: float = 0.0
    broken: bool = False
    _tick: int = field(default=-1, init=False)
    _value: float = field(default=0.0, init=False)

    def read(self) -> float | None:
        """The value of this tick, None when broken."""
        if self.broken:
            return None
        tick = self.plant.tick
        if self._tick != tick:
            self._tick = tick
            true = self.source()
            noise = self.noise + self.relative * true if self.relative else self.noise
            self._value = true + self.offset + noise * self.white.at(tick)
        return self._value


class Plant:
    """Chambers by name, the batch, devices and their sessions by instrument.

    spec: see `labctl_simulators.twin.build`. seed None is the nominal plant; any number perturbs it.
    tick_s: no tick is longer, nor longer than any chamber and any device bears.
    Raises ValueError for a chamber kind or physics parameter that is not simulated, KeyError for a device.
    """

    def __init__(self, spec: Mapping[str, Any], seed: int | None, tick_s: int = 1) -> None:
        self.seed = seed
        self.tick = 0
        self.ambient_c = float(spec.get("ambient_c", 22.0)) + self.spread("ambient", -AMBIENT_K, AMBIENT_K)
        self.chambers: dict[str, Chamber] = {
            name: self._chamber(name, chamber) for name, chamber in spec.get("chambers", {}).items()
        }
        instruments = spec.get("instruments", {})
        bear_s = [chamber.longest_step_s for chamber in self.chambers.values()]
        bear_s += [device_entry(instrument["device"]).longest_tick_s for instrument in instruments.values()]
        self.tick_s = next((t for t in TICKS_S if t <= min([tick_s, *bear_s])), 1)
        self.next_s = float(self.tick_s)
        self.wiring: dict[str, tuple[str, Wired]] = {}
        self.controllers: dict[str, str] = {}
        self.sensors: dict[str, Sensor] = {}
        self.flows: dict[str, MassFlow] = {}
        self.syringes: dict[str, Syringe] = {}
        self.models: dict[str, str] = {}
        self.devices: dict[str, Device] = {}
        self.stations = {name: Station(chamber) for name, chamber in self.chambers.items()}
        self.sessions: dict[str, Session] = {}
        self.batches: dict[str, Batch] = {}
        self.charge(spec.get("batch", {}))
        for name, instrument in instruments.items():
            self._attach(name, instrument)
        self._unplugged: set[str] = set()
        self._afterwards: tuple[Callable[[float], None], ...] = ()
        self._device_ticks: tuple[Callable[[float], None], ...] = ()
        self._thermal: tuple[Tube | ConvectionOven | Hotplate | WeighingPan, ...] = ()
        self._cells: tuple[HalfCell, ...] = ()
        self._dozing_due_s = 0.0
        self._list_ticks()

    def now(self) -> float:
        """Plant time in seconds: that of the last whole tick."""
        return float(self.tick)

    def advance_to(self, now_s: float) -> None:
        """Live all ticks up to floor(now_s), every chamber; a time already lived does nothing."""
        self.rouse()
        self.live(now_s)

    def rouse(self) -> None:
        """Bring every chamber to the present, before somebody looks at it or lays hands on it."""
        for station in self.stations.values():
            if station.dozes_since is not None:
                self.wake(station)

    def wake(self, station: Station) -> None:
        """Have a chamber that dozed live what it missed."""
        since, until, dt = station.dozes_since, self.tick, float(self.tick_s)
        assert since is not None
        station.dozes_since, station.asked_s = None, float(until)
        self._list_ticks()
        if (alone_s := until - LAGS_S - since) > 0:
            self._step(station.chamber, float(alone_s))
            since += alone_s
        for tick in range(since + self.tick_s, until + 1, self.tick_s):
            self._step(station.chamber, dt)
            self.tick = tick
            for device in station.devices.values():
                device.tick(float(tick))

    def _step(self, chamber: Chamber, dt: float) -> None:
        if isinstance(chamber, HalfCell):
            chamber.step(dt)
        else:
            chamber.step(dt, self.ambient_c)

    def _let_doze(self) -> None:
        """Leave chambers alone that rest. Not while something is done each tick: that may be about any of them."""
        self._dozing_due_s = self.tick + DOZES_AFTER_S
        if self._afterwards or self._unplugged:
            return
        for station in self.stations.values():
            unasked = self.tick - station.asked_s >= DOZES_AFTER_S
            if station.dozes_since is None and unasked and station.resting:
                station.dozes_since = self.tick
        self._list_ticks()

    def live(self, now_s: float) -> None:
        """Live all ticks up to floor(now_s), every chamber that does not doze."""
        if self.tick >= self._dozing_due_s:
            self._let_doze()
        ambient, thermal, cells, ticks = self.ambient_c, self._thermal, self._cells, self._device_ticks
        dt = float(self.tick_s)
        for tick in range(self.tick + self.tick_s, int(now_s) + 1, self.tick_s):
            for chamber in thermal:
                chamber.step(dt, ambient)
            for cell in cells:
                cell.step(dt)
            if tick % BATCH_EVERY_S == 0:
                for batch in self.batches.values():
                    batch.step(BATCH_EVERY_S, self.temperature_c(batch))
            self.tick = tick
            now = float(tick)
            for live in ticks:
                live(now)
        self.next_s = self.tick + dt

    def charge(self, batch: Mapping[str, Any], run: str = "") -> None:
        """Begin the batch of a run, on the lab bench; see `Batch`. Without a run, of whoever has none of their own.

        Raises ValueError for what a batch does not have.
        """
        self.batches.pop(run, None)
        self.batches[run] = Batch(**_known("batch", batch, Batch))
        while len(self.batches) > BATCHES:
            del self.batches[next(iter(self.batches))]

    def batch_of(self, run: str) -> Batch:
        """What a run makes: its own batch, else the newest."""
        return self.batches.get(run) or self.batch

    @property
    def batch(self) -> Batch:
        """The newest."""
        return next(reversed(self.batches.values()))

    def temperature_c(self, batch: Batch) -> float:
        """Temperature of a batch where it is, degC."""
        place = self.chambers.get(batch.place or "")
        if isinstance(place, Tube):
            return place.furnace.sample_c
        return place.load_c if isinstance(place, ConvectionOven) else self.ambient_c

    def after_each_tick(self, do: Callable[[float], None]) -> None:
        """Have something done each tick, after every device has lived it."""
        self.rouse()
        self._afterwards = (*self._afterwards, do)
        self._list_ticks()

    def unplug(self, name: str) -> Callable[[], None]:
        """Take an instrument off the mains: it lives no tick and drives nothing until the returned function."""
        self.rouse()
        self._unplugged.add(name)
        self._list_ticks()
        self._rest(name)

        def plug_in() -> None:
            self._unplugged.discard(name)
            self._list_ticks()
            self.devices[name].power_cycle()

        return plug_in

    def _list_ticks(self) -> None:
        """What lives each tick."""
        awake = [s for s in self.stations.values() if s.dozes_since is None]
        chambers = [s.chamber for s in awake]
        self._thermal = tuple(c for c in chambers if not isinstance(c, HalfCell))
        self._cells = tuple(c for c in chambers if isinstance(c, HalfCell))
        living = {name for station in awake for name in station.devices} - self._unplugged
        ticks = (device.tick for name, device in self.devices.items() if name in living)
        self._device_ticks = (*ticks, *self._afterwards)

    def _rest(self, name: str) -> None:
        """What an instrument drives goes to where it goes without power."""
        place = self.wiring[name][0]
        chamber = self.chambers.get(place)
        if name in self.flows:
            self.flows[name].setpoint_sccm = 0.0
        elif isinstance(chamber, Tube) and self.controllers.get(place) == name:
            chamber.furnace.set_duty(0.0)
        elif (
            isinstance(chamber, Tube) and chamber.services is not None and self.wiring[name][1] == "services"
        ):
            chamber.services.coils.update(dict.fromkeys(chamber.services.coils, False))
        elif isinstance(chamber, ConvectionOven):
            chamber.duty = 0.0
        elif isinstance(chamber, Hotplate) and self.wiring[name][1] == "hotplate":
            chamber.heater_w = chamber.speed_setpoint_rpm = 0.0
        elif isinstance(chamber, HalfCell):
            chamber.open_circuit()

    def spread(self, what: str, low: float, high: float) -> float:
        """A fixed deviation of this plant in [low, high), by name; zero in the nominal plant."""
        return 0.0 if self.seed is None else uniform(self.seed, what, low, high)

    def _chamber(self, name: str, spec: Mapping[str, Any]) -> Chamber:
        """Build the model of a chamber from its part of the spec."""
        kind, physics = spec["kind"], dict(spec.get("physics") or {})
        start = {"ambient_c": self.ambient_c}
        where = f"chamber {name!r}"
        if kind == "tube":
            mine = {k: v for k, v in physics.items() if k in _names(TubeAtmosphere)}
            furnace = _known(
                where, {k: v for k, v in physics.items() if k not in mine}, TubeFurnace, TubeAtmosphere
            )
            heater = TubeFurnace(**{**furnace, **start})
            heater.full_power_w *= 1.0 + self.spread(f"{name} heater", *HEATER_POWER)
            return Tube(heater, TubeAtmosphere(**{"volume_cm3": spec.get("volume_cm3") or 2290.0, **mine}))
        if kind == "oven":
            oven = ConvectionOven(**{**_known(where, physics, ConvectionOven), **start})
            oven.full_power_w *= 1.0 + self.spread(f"{name} heater", *HEATER_POWER)
            return oven
        if kind == "vessel":
            return Hotplate(**{**_known(where, physics, Hotplate), **start})
        if kind == "cell":
            _known(where, physics, HalfCell)
            return HalfCell()
        if kind == "pan":
            return WeighingPan(**_known(where, physics, WeighingPan))
        raise ValueError(
            f"{where}: no model of a chamber of kind {kind!r}; there are tube, oven, vessel, cell, pan"
        )

    def _attach(self, name: str, spec: Mapping[str, Any]) -> None:
        """Wire an instrument to its chamber and put it on the plant's ticks."""
        attach = attach_function(spec["device"])
        wired_to = device_entry(spec["device"]).wired_to
        place = spec.get("chamber") or ""
        self.wiring[name] = place, wired_to
        self.models[name] = spec["device"]
        chamber = self.chambers.get(place)
        if wired_to not in PARTS.get(type(chamber), ()):
            raise ValueError(f"instrument {name!r}: {spec['device']} cannot be wired to chamber {place!r}")
        options = spec.get("options") or {}
        bindings = Bindings(self.now, self.ambient_c, float(self.tick_s))
        if isinstance(chamber, Tube):
            if wired_to == "furnace":
                self._wire_furnace(name, place, chamber.furnace, spec.get("provides"), bindings)
            elif wired_to == "flow":
                gain = self.spread(f"{name} flow", -FLOW_GAIN, FLOW_GAIN)
                flow = MassFlow(float(options.get("sim_full_scale_sccm", 1000.0)), gain)
                bindings.mass_flow = self.flows[name] = flow
                chamber.flows.append(flow)
            elif wired_to == "oxygen":
                atmosphere = chamber.atmosphere
                bindings.oxygen = self._sense(name, lambda: atmosphere.oxygen_ppm, noise=0.05, relative=0.003)
            elif wired_to == "services":
                around = {n: float(options[f"sim_{n}"]) for n in _names(Services) if f"sim_{n}" in options}
                chamber.services = Services(**{"volume_cm3": chamber.atmosphere.volume_cm3, **around})
                bindings.services = chamber.services
        elif isinstance(chamber, ConvectionOven):
            bindings.oven = oven = chamber
            bindings.oven_sensor = self._sense(name, lambda: oven.air_c, spread=RESISTANCE_SENSOR_K)
        elif isinstance(chamber, Hotplate) and wired_to == "syringe":
            delivered = 1.0 + self.spread(f"{name} syringe", -SYRINGE, SYRINGE)
            filled = float(options.get("syringe_ml", 50.0))
            self.syringes[name] = bindings.syringe = Syringe(chamber.pour, filled, delivered)
        elif isinstance(chamber, WeighingPan):
            pan = bindings.pan = chamber
            bindings.load_cell = self._sense(name, lambda: pan.shown_g, noise=LOAD_CELL_G)
        elif isinstance(chamber, Hotplate):
            bindings.hotplate = plate = chamber
            bindings.plate_sensor = self._sense(
                f"{name} plate", lambda: plate.plate_c, spread=RESISTANCE_SENSOR_K
            )
            bindings.liquid_sensor = self._sense(name, lambda: plate.liquid_c, spread=RESISTANCE_SENSOR_K)
        elif isinstance(chamber, HalfCell):
            bindings.cell = chamber
        self.devices[name], self.sessions[name] = attach(
            bindings, options, str(spec.get("serial_number", ""))
        )
        self.stations[place].devices[name] = self.devices[name]

    def _wire_furnace(
        self, name: str, place: str, furnace: TubeFurnace, provides: list[str] | None, bindings: Bindings
    ) -> None:
        """A thermocouple of its own for everyone; the heater for the tube's first controller alone."""
        bindings.thermocouple = self._sense(name, lambda: furnace.thermocouple_c, spread=THERMOCOUPLE_K)
        if place not in self.controllers and (provides is None or "tube_furnace" in provides):
            self.controllers[place] = name
            bindings.set_heater = furnace.set_duty

    def _sense(
        self,
        name: str,
        source: Callable[[], float],
        spread: float = 0.0,
        noise: float = 0.05,
        relative: float = 0.0,
    ) -> Sense:
        """A sensor of this plant by name, with a fixed offset within ±spread."""
        offset = self.spread(f"{name} offset", -spread, spread) if spread else 0.0
        sensor = Sensor(self, source, WhiteNoise(channel(self.seed or 0, name)), offset, noise, relative)
        self.sensors[name] = sensor
        return sensor.read


def _names(model: type) -> set[str]:
    """The parameters that a model is made with."""
    return {f.name for f in fields(model) if f.init}


def _known(where: str, given: Mapping[str, Any], *models: type) -> dict[str, float]:
    """The parameters as floats. Raises ValueError naming the nearest valid one for an unknown."""
    valid = set().union(*map(_names, models))
    for name in given:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, 1)
            hint = (
                f"; did you mean {near[0]!r}?"
                if near
                else f"; there are {', '.join(sorted(valid)) or 'none'}"
            )
            raise ValueError(f"{where}: no physics parameter {name!r}{hint}")
    return {name: float(value) for name, value in given.items()}
