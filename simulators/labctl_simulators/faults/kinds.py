"""Every kind of fault by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from labctl_simulators.faults.around import AROUND
from labctl_simulators.faults.device import DEVICE
from labctl_simulators.faults.fault import Kind, Target, Undo, nothing
from labctl_simulators.faults.physics import PHYSICS
from labctl_simulators.faults.wire import WIRE


class Link(Protocol):
    """What carries an instrument's bytes: a TCP port, a pseudo terminal, a mount of this process."""

    def drop(self) -> None:
        """Cut whoever is connected; they may come back."""

    def refuse(self) -> None:
        """Cut whoever is connected, and let nobody in."""

    def accept(self) -> None:
        """Let callers in again."""


def _disconnect(target: Target) -> Undo:
    target.twin.links[target.name].drop()
    target.hit("cut")
    return nothing


def _refuse(target: Target) -> Undo:
    link: Link = target.twin.links[target.name]
    link.refuse()
    target.hit("cut; nobody is let in")
    return link.accept


HOST: Mapping[str, Kind] = {
    "disconnect": Kind("host", _disconnect, "the connection is cut, or the pseudo terminal closed, once"),
    "refuse": Kind("host", _refuse, "the connection is cut, and new ones are refused"),
}

KINDS: Mapping[str, Kind] = {**HOST, **WIRE, **DEVICE, **PHYSICS, **AROUND}
