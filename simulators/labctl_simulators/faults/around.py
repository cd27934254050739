"""Faults of what is around a tube: contacts, room air, cylinder, transmitters; and two cables in each other's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl_simulators.faults.fault import Kind, Target, Undo
from labctl_simulators.faults.wire import swap
from labctl_simulators.physics.services import CONTACTS, Services

MODULE = ("io_module",)


def _services(target: Target) -> Services:
    plant = target.twin.plant
    tube: Any = plant.chambers[plant.wiring[target.name][0]]
    services: Services = tube.services
    return services


def _contact_open(target: Target) -> Undo:
    contacts, name = _services(target).contacts, str(target["contact"])
    if name not in CONTACTS:
        raise ValueError(f"there is no contact {name!r}; there are {', '.join(CONTACTS)}")
    target.hit(f"{name} opens")
    return target.change(contacts, **{name: False})


def _room_air(target: Target) -> Undo:
    oxygen, co = float(target["oxygen_pct"]), float(target["co_ppm"])
    target.hit(f"{oxygen:g} % oxygen, {co:g} ppm CO in the room")
    return target.change(_services(target), room_oxygen_pct=oxygen, room_co_ppm=co)


def _cylinder_empty(target: Target) -> Undo:
    """The cylinder runs out; then somebody puts a full one on the line."""
    plant, services = target.twin.plant, _services(target)
    tube: Any = plant.chambers[plant.wiring[target.name][0]]
    services.used_l = services.cylinder_l
    target.hit("no gas left")

    def undo() -> None:
        tube.swap_cylinder()

    return undo


def _transmitter_broken(target: Target) -> Undo:
    broken, name = _services(target).broken, str(target["transmitter"])
    broken.add(name)
    target.hit(f"the loop of {name} is open")
    return lambda: broken.discard(name)


def _swapped(target: Target) -> Undo:
    """Each of the two answers in the other's place: two adapters that came back under each other's name."""
    seats, here, there = target.twin.seats, target.name, str(target["with"])
    if there not in seats:
        raise ValueError(f"there is no instrument {there!r} to swap with")

    def change_places() -> None:
        swap(seats[here], seats[there])
        for name in (here, there):
            if name in target.twin.links:
                target.twin.links[name].drop()

    change_places()
    target.hit(f"in the place of {there}")
    return change_places


AROUND: Mapping[str, Kind] = {
    "contact_open": Kind(
        "physics",
        _contact_open,
        f"a contact of the I/O module opens: {', '.join(CONTACTS)}",
        {"contact": "extraction"},
        MODULE,
    ),
    "room_air": Kind(
        "physics", _room_air, "the air of the room is bad", {"oxygen_pct": 17.5, "co_ppm": 0.0}, MODULE
    ),
    "cylinder_empty": Kind("physics", _cylinder_empty, "the gas cylinder runs out", {}, MODULE),
    "transmitter_broken": Kind(
        "physics",
        _transmitter_broken,
        "the current loop of a transmitter is open",
        {"transmitter": "tube_pressure"},
        MODULE,
    ),
    "swapped": Kind("wire", _swapped, "two cables are in each other's place", {"with": ""}),
}
