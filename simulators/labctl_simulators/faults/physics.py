"""Faults of matter: sensors, heaters, gas, tube, cell. Numbers are assumed, and parameters."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from labctl_simulators.chambers import Tube
from labctl_simulators.faults.fault import Kind, Target, Undo, nothing
from labctl_simulators.physics.furnace import TubeFurnace
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.massflow import MassFlow
from labctl_simulators.physics.oven import ConvectionOven
from labctl_simulators.plant import Sensor

HEATERS = ("eurotherm_3216", "binder_mb1", "ika_hotplate")
CYCLERS = ("keithley_2450", "neware_bts8")
SENSORS = (*HEATERS, "rapidox_1100", "mettler_mt_sics")
GAS = ("eurotherm_3216", "alicat_mc", "rapidox_1100")
"""What stands at a tube: a fault of the tube may be named by any of them."""


class Severed:
    """A model whose actuator no longer follows: writes of that name are lost, everything else goes through."""

    def __init__(self, model: Any, name: str) -> None:
        object.__setattr__(self, "_model", model)
        object.__setattr__(self, "_severed", name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != self._severed:
            setattr(self._model, name, value)


def _sensor(target: Target) -> Sensor:
    sensors = target.twin.plant.sensors
    return sensors.get(f"{target.name} plate") or sensors[target.name]


def _chamber(target: Target) -> Any:
    plant = target.twin.plant
    return plant.chambers[plant.wiring[target.name][0]]


def _sensor_open(target: Target) -> Undo:
    target.hit("open")
    return target.change(_sensor(target), broken=True)


def _sensor_detached(target: Target) -> Undo:
    plant = target.twin.plant
    target.hit(f"reads the room, {plant.ambient_c:.1f} degC")
    return target.change(_sensor(target), source=lambda: plant.ambient_c)


def _sensor_reversed(target: Target) -> Undo:
    plant, true = target.twin.plant, _sensor(target).source
    target.hit("reads the wrong way")
    return target.change(_sensor(target), source=lambda: 2.0 * plant.ambient_c - true())


def _sensor_drift(target: Target) -> Undo:
    plant, true, began = target.twin.plant, _sensor(target).source, target.twin.plant.tick
    per_s = float(target["per_hour"]) / 3600.0
    target.hit(f"drifts by {target['per_hour']:g} an hour")
    return target.change(_sensor(target), source=lambda: true() + per_s * (plant.tick - began))


def _sensor_frozen(target: Target) -> Undo:
    sensor = _sensor(target)
    value = sensor.read() or 0.0
    target.hit(f"stays at {value:.3f}")
    return target.change(sensor, source=lambda: value, offset=0.0, noise=0.0, relative=0.0)


def _heater_failed(target: Target) -> Undo:
    chamber = _chamber(target)
    target.hit("no power")
    if isinstance(chamber, Tube):
        return target.change(chamber.furnace, full_power_w=0.0)
    return target.change(
        chamber, **{"max_heater_w" if isinstance(chamber, Hotplate) else "full_power_w": 0.0}
    )


def _heater_stuck(target: Target) -> Undo:
    """The relay conducts whatever the controller says."""
    chamber, device = _chamber(target), target.device
    target.hit("full power")
    if isinstance(chamber, Tube):
        furnace: TubeFurnace = chamber.furnace
        asked = deque((furnace.duty,), 1)
        release = target.change(device.bindings, set_heater=asked.append)
        furnace.set_duty(1.0)

        def undo() -> None:
            release()
            furnace.set_duty(asked[-1])

        return undo
    if isinstance(chamber, ConvectionOven):
        release = target.change(device, oven=Severed(chamber, "duty"))
        chamber.duty = 1.0
        return release
    release = target.change(device, model=Severed(chamber, "heater_w"))
    chamber.heater_w = chamber.max_heater_w

    def off() -> None:
        release()
        chamber.heater_w = 0.0  # the device switches it on again at its next tick, if it heats

    return off


def _flow(target: Target) -> MassFlow:
    return target.twin.plant.flows[target.name]


def _supply_lost(target: Target) -> Undo:
    target.hit("cylinder empty or shut")
    return target.change(_flow(target), supply_ok=False)


def _valve_stuck(target: Target) -> Undo:
    flow = _flow(target)
    at = flow.indicated_sccm if target["flow_sccm"] is None else float(target["flow_sccm"])
    release = target.change(target.device, model=Severed(flow, "setpoint_sccm"))
    flow.setpoint_sccm = at
    target.hit(f"stuck at {at:g} sccm")

    def undo() -> None:
        release()
        flow.setpoint_sccm = target.device.setpoint_sccm

    return undo


def _leak(target: Target) -> Undo:
    air = _chamber(target).atmosphere
    close = target.change(air, leak_sccm=air.leak_sccm + float(target["air_sccm"]))
    air.admit(air.leak_sccm)
    target.hit(f"{target['air_sccm']:g} sccm of air")

    def undo() -> None:
        close()
        air.admit(air.leak_sccm)

    return undo


def _cracked(target: Target) -> Undo:
    seal, services = _leak(target), _chamber(target).services
    if services is None:
        return seal
    close = target.change(services, vented=True)

    def undo() -> None:
        close()
        seal()

    return undo


def _opened(target: Target) -> Undo:
    """A tube is full of air at once; its door contact and its pressure tell while it is open."""
    chamber = _chamber(target)
    if isinstance(chamber, Tube):
        chamber.atmosphere.open_to_air()
        target.hit("tube opened to air")
        services = chamber.services
        if services is None:
            return nothing
        close, shut = target.change(services, vented=True), target.change(services.contacts, door=False)

        def undo() -> None:
            close()
            shut()

        return undo
    target.hit("door opened")
    return target.change(chamber, door_open=True)


def _exhaust_blocked(target: Target) -> Undo:
    """The outlet's back-pressure grows to `back_pressure_bar` at full scale over `over_s`."""
    flows, wanted, over_s = (
        _chamber(target).flows,
        float(target["back_pressure_bar"]),
        float(target["over_s"]),
    )
    services = _chamber(target).services
    resistance = 0.0 if services is None else services.exhaust_bar_per_sccm
    began, before = target.twin.plant.tick, [flow.back_pressure_bar for flow in flows]
    opens: list[Undo] = []

    def open_again() -> None:
        while opens:
            opens.pop()()

    def grow(now_s: float) -> None:
        open_again()
        share = 1.0 if over_s <= 0.0 else min(1.0, (now_s - began) / over_s)
        for flow, at_first in zip(flows, before, strict=True):
            opens.append(target.change(flow, back_pressure_bar=at_first + share * (wanted - at_first)))
        if services is not None:
            blocked = wanted / max(flow.full_scale_sccm for flow in flows)
            opens.append(
                target.change(services, exhaust_bar_per_sccm=resistance + share * (blocked - resistance))
            )

    target.hit(f"blocks over {over_s:g} s")
    stop = target.each_tick(grow)

    def undo() -> None:
        stop()
        open_again()

    return undo


def _cell(target: Target) -> HalfCell:
    cell: HalfCell = _chamber(target)
    return cell


def _cell_short(target: Target) -> Undo:
    ohm = float(target["ohm"])
    target.hit(f"short of {ohm:g} ohm")
    return _electrode_gone(target, ohm)


def _cell_open(target: Target) -> Undo:
    target.hit("a lead has come off")
    return _electrode_gone(target, None)


def _electrode_gone(target: Target, short_ohm: float | None) -> Undo:
    cell = _cell(target)
    release = target.change(cell, electrode=None, short_ohm=short_ohm)
    cell.touch()

    def undo() -> None:
        release()
        cell.touch()

    return undo


def _bar_lost(target: Target) -> Undo:
    target.hit("the bar lost its grip")
    return target.change(_chamber(target), decoupled=True)


def _draught(target: Target) -> Undo:
    target.hit("shakes the pan")
    return target.change(_chamber(target), draught_g=float(target["grams"]))


def _loaded(target: Target) -> Undo:
    """Something lies on the pan, or the pan itself was lifted off."""
    pan, grams = _chamber(target), float(target["grams"])
    pan.put(grams)
    target.hit(f"{grams:g} g more on the pan")
    return lambda: pan.put(-grams)


def _hand_slips(target: Target) -> Undo:
    target.hit(f"{target['percent']:g} % too much")
    return target.change(_chamber(target), slip_pct=float(target["percent"]))


def _line_blocked(target: Target) -> Undo:
    target.hit("nothing leaves the syringe")
    return target.change(target.twin.plant.syringes[target.name], blocked=True)


def _kind(begin: Callable[[Target], Undo], text: str, devices: tuple[str, ...], **parameters: Any) -> Kind:
    return Kind("physics", begin, text, parameters, devices)


PHYSICS: Mapping[str, Kind] = {
    "sensor_open": _kind(_sensor_open, "thermocouple, Pt100 or oxygen cell open", SENSORS),
    "sensor_detached": _kind(_sensor_detached, "the sensor lies in the room", HEATERS),
    "sensor_reversed": _kind(_sensor_reversed, "thermocouple with its wires swapped", ("eurotherm_3216",)),
    "sensor_drift": _kind(_sensor_drift, "drifts: degC, ppm or g an hour", SENSORS, per_hour=20.0),
    "sensor_frozen": _kind(_sensor_frozen, "shows the same value for ever", SENSORS),
    "heater_failed": _kind(_heater_failed, "the element gives no heat", HEATERS),
    "heater_stuck": _kind(_heater_stuck, "the relay is stuck on", HEATERS),
    "supply_lost": _kind(_supply_lost, "nitrogen is gone", ("alicat_mc",)),
    "valve_stuck": _kind(_valve_stuck, "the valve stays where it is", ("alicat_mc",), flow_sccm=None),
    "leak": _kind(_leak, "air leaks into the tube", GAS, air_sccm=5.0),
    "cracked_tube": _kind(_cracked, "the tube cracks", GAS, air_sccm=150.0),
    "opened": _kind(_opened, "tube or oven door opened", (*GAS, "binder_mb1")),
    "exhaust_blocked": _kind(_exhaust_blocked, "the exhaust blocks", GAS, back_pressure_bar=2.0, over_s=0.0),
    "cell_short": _kind(_cell_short, "the cell is shorted", CYCLERS, ohm=0.05),
    "cell_open": _kind(_cell_open, "a lead of the cell has come off", CYCLERS),
    "draught": _kind(_draught, "moving air shakes the pan", ("mettler_mt_sics",), grams=0.005),
    "pan_loaded": _kind(_loaded, "something more lies on the pan", ("mettler_mt_sics",), grams=500.0),
    "hand_slips": _kind(_hand_slips, "a hand puts too much on the pan", ("mettler_mt_sics",), percent=5.0),
    "line_blocked": _kind(_line_blocked, "the syringe's line is blocked", ("new_era_ne1000",)),
    "bar_lost": _kind(_bar_lost, "the stirring bar lost its grip", ("ika_hotplate",)),
}
