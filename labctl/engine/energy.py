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
    """Of a chamber's tally. at_s: last heated. share: of the output that has reached the chamber (0..1).

    read_c: as last read, at read_s. change_k: by how much it must have changed in all. deficit_k: of the rise that must
    have been seen.
    """

    at_s: str
    share: str
    read_c: str
    read_s: str
    working_c: str
    change_k: str
    deficit_k: str


keys = named(Keys, "energy")
"""Of a chamber."""


def watch_energy(scan: Scan, rig: Rig) -> None:
    """Carry the model on by one scan of a chamber that is heated; it begins anew when the heat was off.

    What was found before a gap (a scan that came late, a reading that is not good) stands, and a gap adds nothing.
    """
    tally, key = scan.tally, keys(rig.name)
    at_s, dt_s = tally.get(key.at_s), scan.dt_s
    if at_s is None or scan.now - at_s > dt_s + 1e-6:
        scan.forget(key.at_s.removesuffix("at_s"))
        tally[key.share] = tally[key.change_k] = 0.0
    tally[key.at_s] = scan.now
    read_c = _read(scan, rig.keys.temperature)
    duty = 0.0 if rig.heating_k_per_min is None else _read(scan, rig.keys.output)
    if read_c is None or duty is None:
        return
    read_s = tally.get(key.read_s)
    if read_s is not None:
        if scan.now - read_s > dt_s + 1e-6 or dt_s > OBSERVED * rig.scan_s:
            _pass_over(scan, rig, key, read_c, scan.now - read_s)
        elif rig.heating_k_per_min is not None:
            _account(scan, rig, key, read_c, duty / 100.0)
        elif rig.host_ramp:
            _follow(scan, rig, key, read_c)
    tally[key.read_s], tally[key.read_c] = scan.now, read_c


def _read(scan: Scan, key: str) -> float | None:
    reading = scan.image.get(key)
    return None if reading is None or reading[2] else reading[0]


def _pass_over(scan: Scan, rig: Rig, key: Keys, read_c: float, gap_s: float) -> None:
    """Nobody saw the heater in a gap: it may have been off. A rise across it was seen; a fall is no heat missing."""
    tally = scan.tally
    tally.pop(key.working_c, None)
    tally[key.share] *= 1.0 - _reached(gap_s, rig.heating_lag_s)
    if key.deficit_k in tally:
        risen = max(0.0, read_c - tally[key.read_c])
        tally[key.deficit_k] = max(0.0, tally[key.deficit_k] - risen)


def _account(scan: Scan, rig: Rig, key: Keys, read_c: float, duty: float) -> None:
    """Heat put in against heat lost, each in doubt."""
    tally, dt_s = scan.tally, scan.dt_s
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
