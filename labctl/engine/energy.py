"""What a heater must have done to its chamber by now: what a thermometer says is held against it.

The model has two numbers that a bench measures: how fast full output heats (K/min, where it is slowest), and the time
constant of the cool-down. Either may be wrong by MISTRUST, so it says only by how much a temperature must have changed
at least. A steady hold lies within its doubt, and nothing is concluded from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from labctl.engine.context import Rig
from labctl.engine.scan import OBSERVED, Scan, named

MISTRUST = 2.0
"""Factor by which power and losses may each differ from what was measured (assumed: an aged element has 0.8 of its
power, one rate stands for a whole range, gas and load cool besides)."""


LOOP_K = 20.0
"""Further below its setpoint a loop gives all it has (assumed: more than twice the proportional band of an oven)."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Of a chamber's tally. at_s: last judged. share: of the output that has reached the chamber (0..1).

    change_k: by how much it must have changed in all. deficit_k: of the rise that must have been seen.
    """

    at_s: str
    share: str
    read_c: str
    working_c: str
    change_k: str
    deficit_k: str


keys = named(Keys, "energy")
"""Of a chamber."""


def watch_energy(scan: Scan, rig: Rig) -> None:
    """Carry the model on by one scan of a chamber that is heated; it begins anew after a gap."""
    tally, key = scan.tally, keys(rig.name)
    reading = scan.image.get(rig.keys.temperature)
    read_c = None if reading is None or reading[2] else reading[0]
    at_s = tally.get(key.at_s)
    dt_s = scan.dt_s
    if read_c is None or at_s is None or scan.now - at_s > dt_s + 1e-6 or dt_s > OBSERVED * rig.scan_s:
        _begin(scan, key, read_c)
        return
    tally[key.at_s] = scan.now
    if rig.heating_k_per_min is not None:
        _account(scan, rig, key, read_c, dt_s)
    elif rig.host_ramp:
        _follow(scan, rig, key, read_c)
    tally[key.read_c] = read_c


def _begin(scan: Scan, key: Keys, read_c: float | None) -> None:
    scan.forget(key.at_s.removesuffix("at_s"))
    if read_c is not None:
        scan.tally.update({key.at_s: scan.now, key.share: 0.0, key.read_c: read_c, key.change_k: 0.0})


def _account(scan: Scan, rig: Rig, key: Keys, read_c: float, dt_s: float) -> None:
    """Heat put in against heat lost, each in doubt."""
    tally = scan.tally
    output = scan.image.get(rig.keys.output)
    duty = 0.0 if output is None or output[2] or output[0] is None else output[0] / 100.0
    share = tally[key.share]
    share += (duty - share) * _reached(dt_s, rig.heating_lag_s)
    tally[key.share] = share
    assert rig.heating_k_per_min is not None
    full = rig.heating_k_per_min / 60.0
    lost = max(0.0, read_c - scan.context.ambient_c) / rig.cooling_tau_s
    least = full * min(duty, share) / MISTRUST - MISTRUST * lost
    if least > 0.0:
        tally[key.change_k] += least * dt_s
        deficit = tally.get(key.deficit_k, 0.0) + least * dt_s - (read_c - tally[key.read_c])
        tally[key.deficit_k] = max(0.0, deficit)
        return
    tally.pop(key.deficit_k, None)
    most = MISTRUST * full * max(duty, share) - lost / MISTRUST
    if most < 0.0:
        tally[key.change_k] += most * dt_s


@lru_cache(64)
def _reached(dt_s: float, lag_s: float) -> float:
    """How much of a change of output has reached the chamber after `dt_s`."""
    return 1.0 - math.exp(-dt_s / lag_s) if lag_s > 0.0 else 1.0


def _follow(scan: Scan, rig: Rig, key: Keys, read_c: float) -> None:
    """A heater that does not tell its output: below a setpoint that climbs it must follow, at half its pace or more.

    Well below one that stays, too: power enough to hold a setpoint heats from below at (lag / cooling time constant)
    at least (derived).
    """
    tally = scan.tally
    working_c = scan.good(rig, rig.heater, "working_setpoint")
    if working_c is None:
        return
    climbed = working_c - tally.get(key.working_c, working_c)
    tally[key.working_c] = working_c
    lag_k = working_c - read_c
    if climbed > 0.0 and lag_k > 0.0:
        tally[key.change_k] += climbed / MISTRUST
    elif lag_k > LOOP_K:
        tally[key.change_k] += scan.dt_s * lag_k / (MISTRUST * rig.cooling_tau_s)
