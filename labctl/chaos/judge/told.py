"""What the observer is told: samples of the truth, rows of journal and telemetry; and what it knows of the bench."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DEAF = frozenset({
    "drop", "refuse", "disconnect", "corrupt", "wrong_unit", "exception", "busy", "local_lock", "setpoints_ignored",
    "valve_hold", "power", "delay", "question_mark", "eeprom_worn", "swapped",
})  # fmt: skip
"""Faults under which an instrument may not hear, or not do, what it is asked."""
MUTE = frozenset({"drop", "refuse", "power"})
"""Faults under which nothing at all is heard of an instrument."""
GARBLED = frozenset({"duplicate", "truncate", "garbage", "echo", "coalesce", "stale", "babble"})
"""Faults under which what an instrument says may be of no use, though it hears."""
MATTER = frozenset({
    "supply_lost", "exhaust_blocked", "leak", "cracked_tube", "opened", "heater_failed", "wrong_gas",
})  # fmt: skip
"""Faults of matter: whatever they do, an instrument hears what it is asked and does it."""

HOT_C = 105.0
"""Above it the tube needs gas: T_gas_off of the safety contract, and what thermometers may be off by."""
LONGEST_S = 30.0
"""Between two readings that bear each other out: three of an oven's."""
ANY = "*"
"""Of `Observer.blind`: whatever the instrument shows."""

Acting = frozenset[tuple[str, str]]


class Sample(NamedTuple):
    """What is really the case in one second. Powers in W, temperatures in degC, flow in sccm, oxygen in ppm.

    contactor: the furnace may have power. acting: (role, kind) of the faults that act now.
    """

    t_s: float
    heater_w: float
    tube_c: float
    sample_c: float
    flow_sccm: float
    oxygen_ppm: float
    oven_w: float
    oven_c: float
    cell_v: float
    cell_a: float
    contactor: bool = True
    acting: Acting = frozenset()


class Said(NamedTuple):
    """One row of labctl's journal. stream: "bench", or the run that it is about."""

    t_s: float
    stream: str
    kind: str
    data: Mapping[str, Any]


class Seen(NamedTuple):
    """What labctl's telemetry holds of one signal: whose, which, its value, whether it is called good, when sampled."""

    role: str
    signal: str
    value: float | None
    good: bool
    t_s: float


class Violation(NamedTuple):
    """Something that must never happen did."""

    invariant: str
    t_s: float
    what: str


class Soak(NamedTuple):
    """A step that soaks: by which heater, within how many K of which temperatures."""

    role: str
    band_k: float
    targets_c: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What protocols and bench allow, as plain numbers.

    target_c, ramp_k_per_min: by role. soaks: (target, band in K, hold in s) of each inert soak; steps: every step
    that soaks, by its id. names: role of each instrument. chambers: name of the chamber by role.
    contactor, bypass: labctl can interrupt the furnace's power, and open a second way for its gas, by an I/O module.
    """

    names: Mapping[str, str]
    target_c: Mapping[str, float]
    ramp_k_per_min: Mapping[str, float]
    soaks: tuple[tuple[float, float, float], ...]
    protective_sccm: float
    volume_cm3: float
    chambers: Mapping[str, str] = field(default_factory=lambda: {"furnace": "tube", "oven": "drying-oven"})
    steps: Mapping[str, Soak] = field(default_factory=dict)
    contactor: bool = False
    bypass: bool = False

    @property
    def tube(self) -> str:
        """Name of the furnace's chamber."""
        return self.chambers["furnace"]
