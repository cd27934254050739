"""What goes wrong on a simulated bench, and how the driver of a Neware channel shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from labctl.bench.api import GOOD, SILENT
from labctl_drivers.neware import SIGNALS, Neware
from labctl_drivers.ports import open_line
from labctl_simulators.hosts.inprocess import mount, unmount
from labctl_simulators.physics.electrode import Electrode
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.twin import Twin, build
from tests.drivers.bench import VirtualClock
from tests.drivers.cycling import SCHEDULE

STATE = [s.name for s in SIGNALS].index("state")


class Rig(NamedTuple):
    clock: VirtualClock
    twin: Twin
    cell: HalfCell
    driver: Neware

    def spoil(self, kind: str, for_s: float | None = None) -> None:
        """A fault of the instrument `cycler`, from now on."""
        self.twin.advance_to(self.clock.now())
        self.twin.faults.add({"instrument": "cycler", "kind": kind, "for_s": for_s})

    def image(self, seconds: float = 0.0) -> set[object]:
        self.clock.sleep(seconds)
        self.twin.advance_to(self.clock.now())
        return {r.quality for r in self.driver.read()}

    @property
    def state(self) -> float | None:
        return self.driver.read()[STATE].value


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    options = {"device": 21, "channel": 1, "share_dir": str(tmp_path)}
    cycler = {"device": "neware_bts8", "chamber": "cell", "options": options}
    twin = build({"chambers": {"cell": {"kind": "cell"}}, "instruments": {"cycler": cycler}}, None)
    cell = cast(HalfCell, twin.plant.chambers["cell"])
    cell.assemble(Electrode(), active_mass_mg=1.7)
    clock = VirtualClock()
    twin.links["cycler"] = mount("neware-faults/cycler", twin.sessions["cycler"], clock)
    driver = Neware(open_line("labsim://neware-faults/cycler", clock), options)
    driver.open()
    driver.execute("start_schedule", SCHEDULE)
    rig = Rig(clock, twin, cell, driver)
    assert rig.image(60.0) == {GOOD}
    yield rig
    driver.close()
    unmount("neware-faults/cycler")


@pytest.mark.parametrize(
    "kind", ["drop", "truncate", "garbage", "refuse", "other_channel", "api_disabled", "power"]
)
def test_a_link_that_fails_is_silence_and_reads_again_when_it_is_whole(rig: Rig, kind: str) -> None:
    rig.spoil(kind, for_s=30.0)
    assert rig.image(1.0) == {SILENT}
    assert rig.image(40.0) == {GOOD}


def test_a_connection_that_is_cut_is_made_again(rig: Rig) -> None:
    rig.spoil("disconnect")
    rig.image(1.0)
    assert rig.image(1.0) == {GOOD}
    assert rig.state == 1.0


@pytest.mark.parametrize("kind", ["split", "duplicate", "stale", "delay", "coalesce", "echo", "corrupt"])
def test_no_trouble_of_the_wire_ends_the_schedule_or_reads_as_another_cell(rig: Rig, kind: str) -> None:
    rig.spoil(kind, for_s=30.0)
    for _ in range(20):
        for reading, signal in zip(rig.driver.read(), SIGNALS, strict=True):
            if reading.quality is GOOD and signal.name == "current":
                assert reading.value == pytest.approx(9.945e-4)
        rig.clock.sleep(1.0)
    assert rig.image(40.0) == {GOOD}
    assert rig.state == 1.0


def test_mains_that_return_leave_the_channel_stopped_where_it_was(rig: Rig) -> None:
    rig.spoil("power", for_s=30.0)
    assert rig.image(60.0) == {GOOD}
    assert rig.state == 0.0
    assert rig.cell.current_a == 0.0


def test_a_shorted_cell_is_tripped_by_the_cyclers_own_limits_while_nobody_looks(rig: Rig) -> None:
    rig.driver.close()
    rig.spoil("cell_short")
    rig.clock.sleep(30.0)
    rig.twin.advance_to(rig.clock.now())
    assert rig.cell.current_a == 0.0
    rig.driver.open()
    assert rig.state == 4.0
    assert [item.name for item in rig.driver.audit().items if not item.ok] == ["protection"]
