"""The small bench in virtual time, in a world that never stands still: six drivers, and the truth of every tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from labctl.bench.api import GOOD, Driver, Reading
from labctl.bench.discovery import drivers
from labctl.runtime.assembly import connections
from labctl.twin import Mounted, build, spec, twin_bench
from labctl_simulators.physics.electrode import fired_at
from labctl_simulators.twin import Twin
from tests.drivers.bench import VirtualClock
from tests.engine.bench import bare

INSTRUMENTS = ("furnace", "oven", "nitrogen", "oxygen", "hotplate", "cycler")

NOISE_C = 0.3
"""Four deviations of 0.05 K and a display digit of 0.1 K."""
TOLERANCE: Mapping[str, Mapping[str, float]] = {
    "furnace": {
        "temperature": NOISE_C,
        "setpoint": 0.06,
        "working_setpoint": 0.06,
        "output": 0.06,
        "manual": 0.0,
    },
    "oven": {"temperature": NOISE_C, "setpoint": 1e-3, "working_setpoint": 1e-3},
    "nitrogen": {"flow": 0.06, "flow_setpoint": 0.06, "pressure": 1e-3, "gas_temperature": 0.01},
    "oxygen": {"oxygen": 1e-3},
    "hotplate": {"speed": 0.06, "speed_setpoint": 0.06, "temperature": NOISE_C, "setpoint": 0.06},
    "cycler": {"voltage": 1e-5, "current": 1e-8, "limited": 0.0, "output": 0.0},
}
"""How far a good reading may be from the truth: absolute, but for oxygen, whose four digits and noise are relative."""

MAY_BE_OLD_S = {"oxygen": 2}
"""The analyser's clock, by which late answers are known, shows whole seconds: 1.5 s cannot be told from none."""


class World:
    """`live` lets seconds pass and reads one instrument each second, holding every good number against the truth."""

    def __init__(self, twin: Twin, made: Mapping[str, Driver], clock: VirtualClock) -> None:
        self.twin = twin
        self.drivers = made
        self.clock = clock
        self.swings = True
        self.truths: dict[int, dict[str, dict[str, float]]] = {}
        twin.plant.after_each_tick(self._live)

    def _live(self, now_s: float) -> None:
        devices, plant, tick = self.twin.plant.devices, self.twin.plant, int(now_s)
        hands: Any = devices
        if self.swings:
            hands["nitrogen"].setpoint_sccm = 200.0 + 3.0 * (tick % 30)
            hands["hotplate"].speed_setpoint_rpm = 300.0 + 7.0 * (tick % 40)
        furnace, oven, cell = hands["furnace"], hands["oven"], plant.chambers["cell"]
        tube: Any = plant.chambers["tube"]
        plate: Any = plant.chambers["vessel"]
        drying: Any = plant.chambers["drying-oven"]
        flow = plant.flows["nitrogen"]
        known: Any = cell
        self.truths[tick] = {
            "furnace": {
                "temperature": tube.furnace.thermocouple_c,
                "setpoint": furnace._target_c(now_s),
                "working_setpoint": furnace.loop.working_c,
                "output": furnace.loop.output,
                "manual": 0.0,
            },
            "oven": {
                "temperature": drying.air_c,
                "setpoint": oven.manual_c,
                "working_setpoint": oven.setpoint_c,
            },
            "nitrogen": {
                "flow": flow.indicated_sccm,
                "flow_setpoint": hands["nitrogen"].setpoint_sccm,
                "pressure": flow.pressure_bar,
                "gas_temperature": plant.ambient_c,
            },
            "oxygen": {"oxygen": hands["oxygen"].shown_ppm},
            "hotplate": {
                "speed": plate.speed_rpm,
                "speed_setpoint": hands["hotplate"].speed_setpoint_rpm,
                "temperature": plate.plate_c,
                "setpoint": hands["hotplate"].setpoint_c,
            },
            "cycler": {
                "voltage": known.voltage_v,
                "current": known.current_a,
                "limited": float(known.limited),
                "output": 1.0,
            },
        }

    def read(self, name: str) -> dict[str, Reading]:
        """The instrument's readings by signal, a second or more after the last; the furnace is kept alive."""
        self.clock.t_s = float(int(self.clock.t_s) + 1)
        if name != "furnace":
            self.keep_warm()
        driver = self.drivers[name]
        return dict(zip((s.name for s in driver.signals), driver.read(), strict=True))

    def keep_warm(self) -> None:
        """What a renewal does, past the wire: the dead-man is another test's business."""
        furnace: Any = self.twin.plant.devices["furnace"]
        furnace._renewed_s = self.clock.now()

    def live(self, name: str, seconds: int) -> list[dict[str, Reading]]:
        """Readings of some seconds, each good one true."""
        seen = []
        for _ in range(seconds):
            asked = int(self.clock.t_s) + 1
            furnace: Any = self.twin.plant.devices["furnace"]
            furnace._renewed_s = float(asked)
            readings = self.read(name)
            self.check(name, readings, asked)
            seen.append(readings)
        return seen

    def check(self, name: str, readings: Mapping[str, Reading], asked: int) -> None:
        """No number of good quality that the plant did not show between question and answer."""
        for signal, tolerance in TOLERANCE[name].items():
            reading = readings[signal]
            if reading.quality is not GOOD:
                continue
            assert reading.value is not None
            shown = range(asked - MAY_BE_OLD_S.get(name, 0), int(self.clock.now()) + 1)
            truths = [self.truths[t][name][signal] for t in shown if t in self.truths]
            nearest = min(truths, key=lambda true: abs(true - (reading.value or 0.0)))
            allowed = tolerance * nearest if name == "oxygen" else tolerance
            assert abs(reading.value - nearest) <= allowed, (
                f"{name}.{signal} reads {reading.value}, is {truths}"
            )

    def wrong(self, name: str, readings: Mapping[str, Reading], asked: int) -> bool:
        """Whether `check` would object."""
        try:
            self.check(name, readings, asked)
        except AssertionError:
            return True
        return False

    def hits(self) -> int:
        """How often faults have acted."""
        return sum(entry["hits"] for entry in self.twin.faults.report())


@contextmanager
def world() -> Iterator[World]:
    """Furnace ramping, oven heating, gas and stirrer swinging, oxygen falling, a cell charging."""
    entries = drivers()
    bench = bare("small")  # its contactor and bypass are its own module's business
    bench = twin_bench(bench.model_copy(update={"bench": "faulty"}))
    bench = bench.model_copy(
        update={
            "instruments": {
                name: i.model_copy(update={"address": f"labsim://faulty/{name}"})
                for name, i in bench.instruments.items()
            }
        }
    )
    clock = VirtualClock()
    twin = build(spec(bench, entries), None)
    links = {name: entries[i.driver].link for name, i in bench.instruments.items()}
    with Mounted(twin, bench, lambda name: clock, links):
        made = {
            name: connection.driver
            for name, connection in connections(bench, entries, lambda bus: clock).items()
            if name in INSTRUMENTS
        }
        for driver in made.values():
            driver.open()
            assert driver.audit().ok
        cell: Any = twin.plant.chambers["cell"]
        cell.assemble(fired_at(800.0), 1.7)
        made["furnace"].execute("heat", {"target_c": 500.0, "ramp_k_per_min": 60.0})
        made["oven"].execute("heat", {"target_c": 80.0, "ramp_k_per_min": 0.0})
        made["nitrogen"].execute("set_flow", {"flow_sccm": 200.0})
        made["hotplate"].execute("stir", {"speed_rpm": 300.0})
        made["cycler"].execute("source", {"voltage_v": 3.8, "limit_a": 2e-4})
        there = World(twin, made, clock)
        yield there
        for driver in made.values():
            driver.close()
