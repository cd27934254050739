"""A bench of probes: instruments that only hold their bindings, so a plant is tested without any protocol."""

from collections.abc import Mapping
from typing import Any

import pytest

from labctl_simulators.devices import DEVICES, Entry, Wired
from labctl_simulators.devices.api import Bindings, Replies

WIRED: tuple[Wired, ...] = ("furnace", "oven", "hotplate", "flow", "oxygen", "cell")


class Probe:
    """Device and session in one: counts its ticks, and holds a temperature by proportional control."""

    def __init__(self, bindings: Bindings) -> None:
        self.bindings = bindings
        self.ticks = 0
        self.target_c: float | None = None

    def tick(self, now_s: float) -> None:
        self.ticks += 1
        if self.target_c is not None and self.bindings.set_heater and self.bindings.thermocouple:
            measured = self.bindings.thermocouple()
            self.bindings.set_heater(0.0 if measured is None else (self.target_c - measured) / 5.0)

    def feed(self, data: bytes, now_s: float) -> Replies:
        return [(0.0, b"%d" % self.bindings.now())]


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Probe, Probe]:
    probe = Probe(bindings)
    return probe, probe


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers devices named `probe_<part>`."""
    for wired in WIRED:
        monkeypatch.setitem(DEVICES, f"probe_{wired}", Entry("tests.simulators.probes:attach", wired))


def spec(**changes: Any) -> dict[str, Any]:
    """A bench with a chamber of each kind, a probe on each of its parts, and a furnace of little mass."""
    tube = {
        "kind": "tube",
        "volume_cm3": 100,
        "physics": {"element_j_per_k": 60, "insulation_j_per_k": 60, "tube_j_per_k": 30, "sample_j_per_k": 3},
    }
    wiring = {
        "furnace": "tube",
        "monitor": "tube",
        "nitrogen": "tube",
        "oxygen": "tube",
        "oven": "dryer",
        "plate": "vessel",
        "cycler": "cell",
    }
    parts = {"monitor": "furnace", "nitrogen": "flow", "plate": "hotplate", "cycler": "cell"}
    return {
        "name": "probed",
        "ambient_c": 22.0,
        "chambers": {
            "tube": tube,
            "dryer": {"kind": "oven"},
            "vessel": {"kind": "vessel"},
            "cell": {"kind": "cell"},
        },
        "instruments": {
            name: {"device": f"probe_{parts.get(name, name)}", "chamber": place}
            for name, place in wiring.items()
        },
        "batch": {"product_mass_g": 1.0, "thf_g": 8.89, "ethanol_g": 3.945, "water_g": 9.0},
    } | changes
