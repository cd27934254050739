"""Interlocks: what watches every chamber, whatever its run does.

`GUARDS` is the whole of them. A bench file says which watch which chamber, and may tighten their limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from labctl.engine.context import Rig, Watch
from labctl.engine.guards import (
    cell,
    commanded,
    comms,
    firing,
    gas,
    plausible,
    pressure,
    reserve,
    room,
    thermal,
)
from labctl.engine.guards.frame import Guard, Seen, judge, rest
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.limits import GUARD_NAMES

_KNOWN = [
    guard
    for module in (thermal, plausible, gas, room, pressure, reserve, commanded, firing, comms, cell)
    for guard in module.GUARDS
]

GUARDS: Mapping[str, Guard] = {
    name: guard._replace(hides=tuple(other.name for other in _KNOWN if name in other.hidden_by))
    for name in GUARD_NAMES
    for guard in _KNOWN
    if guard.name == name
}
"""In the order in which they are asked: of two guards on one cause the graver comes first."""


class _Asked(NamedTuple):
    """A guard of a chamber, and what is needed of it every scan."""

    sees: Callable[[Scan, Rig, ChamberState, Watch], Seen | None]
    watch: Watch
    alarm: str
    guard: Guard


@lru_cache(256)
def _asked(rig: Rig, idle: bool) -> tuple[_Asked, ...]:
    """Every guard of a chamber; those alone that are always asked while it is idle."""
    known = ((GUARDS[one.guard], one) for one in rig.watches)
    return tuple(_Asked(g.sees, one, one.alarm, g) for g, one in known if g.always or not idle)


def watch(scan: Scan, rig: Rig, *, idle: bool = False) -> None:
    """Ask each of them once."""
    chamber, tally = scan.state.chambers[rig.name], scan.tally
    for sees, one, alarm, guard in _asked(rig, idle):
        seen = sees(scan, rig, chamber, one)
        if seen is not None:
            judge(scan, rig, guard, one, seen)
            chamber = scan.state.chambers[rig.name]
        elif alarm in tally:
            rest(scan, rig, guard, one)


__all__ = ["GUARDS", "Guard", "watch"]
