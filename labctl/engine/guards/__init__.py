"""Interlocks: what watches every chamber, whatever its run does.

`GUARDS` is the whole of them. A bench file says which watch which chamber, and may tighten their limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

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
from labctl.engine.guards.frame import Guard, judge, rest
from labctl.engine.scan import Scan
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


@lru_cache(256)
def _asked(rig: Rig, idle: bool) -> tuple[tuple[Guard, Watch], ...]:
    """Every guard of a chamber; those alone that are always asked while it is idle."""
    known = ((GUARDS[one.guard], one) for one in rig.watches)
    return tuple((guard, one) for guard, one in known if guard.always or not idle)


def watch(scan: Scan, rig: Rig, *, idle: bool = False) -> None:
    """Ask each of them once."""
    chamber, tally = scan.state.chambers[rig.name], scan.tally
    for guard, one in _asked(rig, idle):
        seen = guard.sees(scan, rig, chamber, one)
        if seen is not None:
            judge(scan, rig, guard, one, seen)
            chamber = scan.state.chambers[rig.name]
        elif one.alarm in tally:
            rest(scan, rig, guard, one)


__all__ = ["GUARDS", "Guard", "watch"]
