"""A Neware channel with a half-cell on it: server, cycler, wire and driver in one place, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.bench.api import GOOD
from labctl_drivers.neware import SIGNALS, Neware
from labctl_simulators.devices.api import Bindings
from labctl_simulators.devices.neware import Bts8, attach
from labctl_simulators.devices.neware_channel import Channel
from labctl_simulators.physics.electrode import Electrode
from labctl_simulators.physics.halfcell import HalfCell
from tests.drivers.bench import VirtualClock, Wire, mounted

SCHEDULE: dict[str, Any] = {
    "blocks": [[5.0, 2]],
    "specific_current_ma_per_g": 117.0,
    "active_mass_mg": 1.7,
    "upper_v": 3.8,
    "lower_v": 2.3,
}
"""Two cycles at 5C, 44 minutes of the paper's cell."""


class Alive(VirtualClock):
    """Time that the plant lives along with, however it passes."""

    def __init__(self) -> None:
        super().__init__()
        self.world: Cycling | None = None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.world:
            self.world.catch_up()


@dataclass
class Cycling:
    clock: Alive
    cell: HalfCell
    server: Bts8
    channel: Channel
    wire: Wire
    driver: Neware
    lived_s: int = 0

    def value(self, name: str) -> float | None:
        reading = dict(zip([s.name for s in SIGNALS], self.driver.read(), strict=True))[name]
        assert reading.quality is GOOD, (name, reading)
        return reading.value

    def live(self, seconds: float) -> None:
        """Let bench time pass, and the plant with it."""
        self.clock.sleep(seconds)

    def catch_up(self) -> None:
        """Bring the plant to the present."""
        while self.lived_s + 1 <= self.clock.now():
            self.lived_s += 1
            self.cell.step(1.0)
            self.server.tick(float(self.lived_s))


@contextmanager
def cycling(share: Path, **options: Any) -> Iterator[Cycling]:
    """Channel 21-2-3 with the paper's cell."""
    clock, cell = Alive(), HalfCell()
    cell.assemble(Electrode(), active_mass_mg=1.7)
    options = {"device": 21, "subdevice": 2, "channel": 3, "share_dir": str(share), **options}
    server, session = attach(Bindings(now=clock.now, cell=cell), options, "")
    assert isinstance(server, Bts8)
    wire = Wire(session)
    with mounted("neware-test/cycler", wire, clock) as line:
        driver = Neware(line, options)
        driver.open()
        clock.world = Cycling(clock, cell, server, server.channels[2, 3], wire, driver)
        yield clock.world
        driver.close()
