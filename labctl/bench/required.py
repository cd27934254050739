"""The protections that a chamber must have: a bench file names them all, and none that lacks one is run.

What is required follows from what stands at a chamber: a tube without nitrogen needs no interlock on nitrogen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from labctl.bench.schema import Bench

HEATED = ("over_temperature", "stuck_heater", "sensor")

GUARDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "tube": {
        "tube_furnace": HEATED,
        "gas_flow": ("nitrogen_low", "nitrogen_lost"),
        "oxygen": ("oxygen_high",),
        "": ("silent",),
    },
    "oven": {"oven": HEATED, "solvent_dryer": HEATED, "": ("silent",)},
    "vessel": {"": ("silent",)},
    "cell": {"cycler": ("cell_limits",), "": ("silent",)},
    "pan": {"": ("silent",)},
}
"""By kind of chamber and capability of an instrument at it; "" for any instrument."""

ITEMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "tube": {"tube_furnace": ("heat_off",), "gas_flow": ("safe_flow",)},
    "oven": {"oven": ("heat_off",), "solvent_dryer": ("heat_off",)},
    "vessel": {"hotplate_stirrer": ("heat_off", "stir_slow"), "syringe_pump": ("dosing_off",)},
    "cell": {"cycler": ("open_circuit",)},
    "pan": {},
}
"""The same for the items of its safe state."""


class Missing(NamedTuple):
    """A protection that a chamber lacks. part: "guards" or "safe_state" of the bench file."""

    chamber: str
    part: str
    name: str


def missing(bench: Bench) -> Iterator[Missing]:
    """Everything that a bench lacks, chamber by chamber."""
    for name, chamber in bench.chambers.items():
        standing = {c for i in bench.instruments.values() if i.chamber == name for c in i.provides}
        if not standing:
            continue
        standing.add("")
        has = {"guards": {guard.guard for guard in chamber.guards}, "safe_state": set(chamber.safe_state)}
        for part, table in (("guards", GUARDS), ("safe_state", ITEMS)):
            wanted = dict.fromkeys(n for c, ns in table[chamber.kind].items() if c in standing for n in ns)
            yield from (
                Missing(name, part, protection) for protection in wanted if protection not in has[part]
            )
