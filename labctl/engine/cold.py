"""Whether a chamber is hot: since when it is not, and what proves it.

Gas stops only when two independent good thermometers agree and stay below T_gas_off; where two cannot be had, when the
time since the last trusted hot reading is long enough, or a person entered a temperature that they measured. While any
good reading is above T_gas_off, neither time nor person stops gas.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from labctl.engine.context import Rig
from labctl.engine.scan import Scan, named
from labctl.model.limits import limit


class _Names(NamedTuple):
    """In the tally, made once."""

    hot_s: str
    warm_s: str
    person_c: str
    vote_s: str


_names = named(_Names)


def watch_heat(scan: Scan, rig: Rig) -> None:
    """Remember when a chamber was last seen hot, and for how long two thermometers have agreed that it is cold.

    While it is heated it counts as hot and they have no vote: what they read says little about where it will be.
    """
    tally, now = scan.tally, scan.now
    hot_s, warm_s, person_c, vote_s = _names(rig.name)
    if scan.state.chambers[rig.name].lease is not None:
        tally[hot_s] = tally[warm_s] = now
        tally.pop(person_c, None)
        tally.pop(vote_s, None)
        return
    hottest = max(scan.temperatures(rig), default=-math.inf)
    if hottest > limit("T_gas_off") or hot_s not in tally:
        tally[hot_s] = now
        tally.pop(person_c, None)
    if hottest > limit("T_open") or warm_s not in tally:
        tally[warm_s] = now
    values = _trusted(scan, rig)
    agree = len(values) >= 2 and _agree(values) and max(values) < limit("T_gas_off")
    scan.lasting(vote_s, agree)


def _trusted(scan: Scan, rig: Rig) -> list[float]:
    """Good temperatures of the sensors that have a vote."""
    distrusted = scan.state.chambers[rig.name].distrusted
    if not distrusted:
        return scan.temperatures(rig)
    values = (scan.good(rig, t, "temperature") for t in rig.thermometers if t not in distrusted)
    return [v for v in values if v is not None]


def _agree(values: list[float]) -> bool:
    return max(values) - min(values) <= limit("vote_agreement")


def is_hot(scan: Scan, rig: Rig) -> bool:
    """Whether any good thermometer reads T_gas_off or more."""
    return max(scan.temperatures(rig), default=-math.inf) >= limit("T_gas_off")


def gas_may_stop(scan: Scan, rig: Rig) -> bool:
    """Whether gas to this chamber may be stopped now."""
    if is_hot(scan, rig):
        return False
    since = scan.tally.get(_names(rig.name).vote_s)
    if since is not None and scan.now - since >= limit("vote_for"):
        return True
    return _person_says_below(scan, rig, limit("T_gas_off")) or _long_since(scan, rig, _names(rig.name).hot_s)


def is_open_cold(scan: Scan, rig: Rig) -> bool:
    """Whether a chamber may be opened: no good thermometer at T_open or above, and proof that it is so.

    The proof: two trusted thermometers agree (or the only one there is), or a person measured, or it is long enough
    since it was warm.
    """
    temperatures = scan.temperatures(rig)
    if temperatures and max(temperatures) >= limit("T_open"):
        return False
    values = _trusted(scan, rig)
    if values and len(values) >= min(2, len(rig.thermometers)) and _agree(values):
        return True
    return _person_says_below(scan, rig, limit("T_open")) or _long_since(scan, rig, _names(rig.name).warm_s)


def _person_says_below(scan: Scan, rig: Rig, bound: float) -> bool:
    measured = scan.tally.get(_names(rig.name).person_c)
    return measured is not None and measured < bound


def _long_since(scan: Scan, rig: Rig, key: str) -> bool:
    since = scan.tally.get(key, scan.now)
    return scan.now - since >= limit("cooldown_factor") * rig.cooldown_s
