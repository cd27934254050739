"""A balance on which things are put, and a pump that pumps: both drivers in virtual time, and every tick's truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from labctl.bench.api import GOOD, Driver, Reading
from labctl_drivers import mettler, new_era
from labctl_drivers.ports import open_line
from labctl_simulators.hosts.inprocess import mount, unmount
from labctl_simulators.physics.pan import WeighingPan
from labctl_simulators.twin import Twin, build
from tests.drivers.bench import VirtualClock

ENTRIES = {"balance": mettler.ENTRY, "pump": new_era.ENTRY}
PUMP: Mapping[str, Any] = {"diameter_mm": 26.59, "syringe_ml": 50.0}
TOLERANCE: Mapping[str, Mapping[str, float]] = {
    "balance": {"mass": 3e-4, "tare": 1e-4},
    "pump": {"pumping": 0.0, "dispensed": 6e-3, "rate": 1e-9, "volume": 1e-9},
}
"""How far a good number may be from the truth: noise and a display digit; four digits of a volume."""


class World:
    """`live` lets seconds pass and reads one instrument each second, holding every good number against the truth."""

    def __init__(self, twin: Twin, made: Mapping[str, Driver], clock: VirtualClock) -> None:
        self.twin = twin
        self.drivers = made
        self.clock = clock
        self.truths: dict[int, dict[str, dict[str, float]]] = {}
        self.adds_g = 0.0
        twin.plant.after_each_tick(self._live)

    @property
    def pan(self) -> WeighingPan:
        pan = self.twin.plant.chambers["pan"]
        assert isinstance(pan, WeighingPan)
        return pan

    def device(self, name: str) -> Any:
        return self.twin.plant.devices[name]

    def _live(self, now_s: float) -> None:
        tick, balance, pump = int(now_s), self.device("balance"), self.device("pump")
        if self.adds_g and tick % 6 == 0:
            self.pan.put(self.adds_g)
        phase = pump.phases[1]
        self.truths[tick] = {
            "balance": {
                "mass": self.pan.shown_g - balance.zero_g - balance.tare_g,
                "tare": balance.tare_g,
            },
            "pump": {
                "pumping": float(pump.state in "IW"),
                "dispensed": pump.infused_ml,
                "rate": phase.rate * {"MM": 1.0, "UM": 1e-3}[phase.unit],
                "volume": phase.volume_ml,
            },
        }

    def read(self, name: str) -> dict[str, Reading]:
        """The instrument's readings by signal, a second or more after the last."""
        self.clock.t_s = float(int(self.clock.t_s) + 1)
        driver = self.drivers[name]
        return dict(zip((s.name for s in driver.signals), driver.read(), strict=True))

    def live(self, name: str, seconds: int) -> list[dict[str, Reading]]:
        """Readings of some seconds, each good one true."""
        seen = []
        for _ in range(seconds):
            asked = int(self.clock.t_s) + 1
            readings = self.read(name)
            for signal, tolerance in TOLERANCE[name].items():
                reading = readings[signal]
                if reading.quality is not GOOD:
                    continue
                assert reading.value is not None
                shown = range(asked, int(self.clock.now()) + 1)
                truths = [self.truths[t][name][signal] for t in shown if t in self.truths]
                nearest = min(truths, key=lambda true: abs(true - (reading.value or 0.0)))
                assert abs(reading.value - nearest) <= tolerance, (
                    f"{signal} reads {reading.value}, is {truths}"
                )
            seen.append(readings)
        return seen

    def live_unchecked(self, name: str, seconds: int) -> list[dict[str, Reading]]:
        """The same for what no driver can know to be false."""
        return [self.read(name) for _ in range(seconds)]

    def hits(self) -> int:
        """How often faults have acted."""
        return sum(entry["hits"] for entry in self.twin.faults.report())

    def fault(self, name: str, kind: str, **parameters: Any) -> None:
        self.twin.faults.add({"instrument": name, "kind": kind, "parameters": parameters})


@contextmanager
def dosing(options: Mapping[str, Any] = PUMP, seed: int | None = None) -> Iterator[World]:
    """The two instruments at rest: 20 g on the pan, nothing pumped yet."""
    given = {"balance": {}, "pump": dict(options)}
    places = {"balance": "pan", "pump": "vessel"}
    instruments = {
        name: {
            "device": ENTRIES[name].device,
            "chamber": place,
            "serial_number": "B1",
            "options": given[name],
        }
        for name, place in places.items()
    }
    chambers = {"pan": {"kind": "pan"}, "vessel": {"kind": "vessel"}}
    twin, clock = build({"chambers": chambers, "instruments": instruments}, seed), VirtualClock()
    with ExitStack() as stack:
        made = {}
        for name in places:
            path = f"dosing/{name}"
            twin.links[name] = mount(path, twin.sessions[name], clock, paced=True)
            stack.callback(unmount, path)
            made[name] = ENTRIES[name].factory(open_line(f"labsim://{path}", clock), given[name])
        there = World(twin, made, clock)
        there.pan.put(20.0)
        clock.t_s = 30.0
        for driver in made.values():
            driver.open()
            stack.callback(driver.close)
            assert driver.audit().ok
        yield there
