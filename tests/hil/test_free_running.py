"""Tier 2: free-running. Time runs by itself, at 20 times the real clock; a worker for each bus, no step in common."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from labctl import cli
from labctl.model.events import Event
from labctl.runtime.backdoor import Backdoor
from labctl.runtime.folder import DATABASE, controller_of
from labctl.store.reader import Reader
from tests.hil.bench import labctl, served

SPEED = int(os.environ.get("LABCTL_HIL_SPEED", "20"))
"""Silence trips after 5 s of the bench: a machine that is busy with other work needs a lower speed."""
RUNS = 3
LONGEST_S = 600.0
"""Real seconds that a run may take."""

EVERY_STAGE = Path(__file__).with_name("every-stage.yaml")
ABNORMAL = {"tripped", "trips_reset", "alarm", "alarm_cleared", "item_retry"}

TOUCH_OF_HEAT = """\
protocol: touch-of-heat
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - id: heat
    heat:
      {with: furnace, to: 170 degC, ramp: 20 K/min, hold: 3 min, band: 5 K, atmosphere: inert,
       under: {gas: nitrogen, flow: 200 sccm}}
  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, under: {gas: nitrogen, flow: 200 sccm}}}
  - {id: unload, unload: {from: furnace, into: nothing}}
"""


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Backdoor]:
    """The small bench in `tmp_path`/bench, its time running; whatever controls it at the end is told to leave."""
    with served("small", tmp_path / "bench", "--speed", str(SPEED)) as backdoor:
        yield backdoor
        controller = controller_of(tmp_path / "bench")
        if controller is not None:
            os.kill(controller["pid"], signal.SIGTERM)
            while controller_of(tmp_path / "bench") is not None:
                time.sleep(0.05)


class Lateness:
    """How late a thread with nothing to do was at worst, in s of the bench.

    Silence trips after 5 s, a quarter of a second here: a machine that stands still for longer has that in its record.
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        nap_s = 0.01
        before = time.monotonic()
        while not self._over.wait(nap_s):
            now = time.monotonic()
            self.worst_s = max(self.worst_s, (now - before - nap_s) * SPEED)
            before = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def ran(place: Path, protocol: Path) -> dict[str, Any]:
    with Lateness() as lateness:
        told, said = labctl(
            place, "run", str(protocol), "--bench", "bench", "--yes", "--attended", "nobody: simulated",
            within_s=LONGEST_S,
        )  # fmt: skip
    late = f"the machine was late by up to {lateness.worst_s:.1f} s of the bench"
    print(f"\ntier 2: {late}")
    assert told["state"] == "COMPLETE", (told["reason"], late, told["alarms"], said)
    return told


def events(place: Path, run_id: str) -> list[Event]:
    with Reader.open(place / "bench" / DATABASE) as reader:
        return list(reader.events(run_id))


def scans(place: Path) -> int:
    with Reader.open(place / "bench" / DATABASE) as reader:
        ((count,),) = reader.query("SELECT count(*) FROM telemetry_1")
        return int(count)


@pytest.mark.hil
def test_every_stage_runs_three_times_without_a_spurious_trip(tmp_path: Path, door: Backdoor) -> None:
    stages = re.findall(r"- \{id: ([\w-]+)", EVERY_STAGE.read_text())
    before = 0
    for number in range(1, RUNS + 1):
        told = ran(tmp_path, EVERY_STAGE)
        assert told["alarms"] == []
        assert told["verdict"]["outcome"] == "pass"
        found = events(tmp_path, told["run_id"])
        assert [event for event in found if event.kind in ABNORMAL] == []
        assert [event.data["id"] for event in found if event.kind == "step_done"] == stages
        weighed = next(e.data["values"] for e in found if e.kind == "answered" and e.data["prompt"] == "pour")
        assert weighed["wet_mass"] - weighed["tare"] < 1.0, "the batch is this protocol's"
        assert told["wall_s"] * SPEED == pytest.approx(told["virtual_s"], rel=0.05), "one clock"
        before, since = scans(tmp_path), before
        print(
            f"\ntier 2, run {number}: {told['virtual_s'] / 60:.0f} min of bench time in {told['wall_s']:.0f} s, "
            f"{before - since} scans"
        )


class Running:
    """A run on the bench that is under way in another thread, and what its plant really does."""

    def __init__(self, place: Path, door: Backdoor) -> None:
        self.told: dict[str, Any] = {}
        self._place = place
        self._door = door
        (place / "touch-of-heat.yaml").write_text(TOUCH_OF_HEAT)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        words = ("run", "touch-of-heat.yaml", "--bench", "bench", "--yes", "--attended", "nobody: simulated")
        self.told, _ = labctl(self._place, *words, within_s=LONGEST_S)

    def until(self, there: Callable[[dict[str, Any]], bool], within_s: float) -> float:
        """Plant time at which `there` first holds of the truth; it must within so many seconds of it."""
        truth = self._door.ask("truth")
        end_s = truth["t"] + within_s
        while not there(truth):
            assert truth["t"] < end_s, f"not so within {within_s:g} s of bench time: {truth}"
            time.sleep(0.01)
            truth = self._door.ask("truth")
        return float(truth["t"])

    def happened(self, kind: str, **data: Any) -> Event | None:
        """The event of that kind with these data, if there is one by now."""
        if not (self._place / "bench" / DATABASE).exists():
            return None
        with Reader.open(self._place / "bench" / DATABASE) as reader:
            found = [e for run in reader.runs() for e in reader.events(run.run_id, kinds=(kind,))]
        return next((event for event in found if data.items() <= event.data.items()), None)

    def stop(self) -> None:
        """Ask for it as a person does, and see the run end."""
        assert cli.main(["stop", "--bench", str(self._place / "bench"), "--reason", "end of the test"]) == 0
        self._thread.join()
        assert self.told["state"] == "STOPPED"


@pytest.mark.hil
def test_in_a_short_run_heat_goes_off_in_time_when_nitrogen_fails(tmp_path: Path, door: Backdoor) -> None:
    running = Running(tmp_path, door)
    running.until(lambda truth: truth["furnace"]["tube_c"] > 160.0, within_s=4000.0)
    door.ask("fault", instrument="nitrogen", kind="supply_lost", in_s=0.0, for_s=40.0)
    lost_s = running.until(lambda truth: truth["gas"]["flow_sccm"] < 160.0, within_s=5.0)
    off_s = running.until(lambda truth: truth["furnace"]["heater_w"] == 0.0, within_s=15.0)
    # "N2 lost" for 5 s, two scans and a tick of the plant of 1 s each; two scans that this machine was too busy for
    assert 5.0 <= off_s - lost_s <= 10.0
    running.until(lambda truth: truth["gas"]["flow_sccm"] > 190.0, within_s=60.0)
    tripped = running.happened("tripped")
    assert tripped is not None
    assert tripped.data["guard"] == "nitrogen_lost"
    running.until(lambda truth: running.happened("state_changed", to="HELD") is not None, 120.0)
    running.stop()
    cold_s = running.until(lambda truth: truth["furnace"]["tube_c"] < 100.0, within_s=1000.0)
    shut_s = running.until(lambda truth: truth["gas"]["flow_sccm"] < 1.0, within_s=1000.0)
    assert shut_s - cold_s >= 590.0, "gas flows for ten minutes more"
    print(f"\ntier 2, trip: heater off {off_s - lost_s:.0f} s of bench time after N2 fell below 80 %")


@pytest.mark.hil
def test_a_purge_that_is_never_proven_times_out_by_the_clock_of_the_bench(
    tmp_path: Path, door: Backdoor
) -> None:
    door.ask("fault", instrument="oxygen", kind="leak", in_s=0.0, parameters={"air_sccm": 5.0})
    running = Running(tmp_path, door)
    began_s = running.until(lambda truth: truth["gas"]["flow_sccm"] > 400.0, within_s=1000.0)
    held_s = running.until(lambda truth: running.happened("state_changed", to="HOLDING") is not None, 2000.0)
    running.stop()
    held = running.happened("state_changed", to="HOLDING")
    started = running.happened("step_started", id="purge")
    assert held is not None
    assert started is not None
    told = re.search(r"ppm oxygen after (\d+) min", held.data["reason"])
    assert told is not None, held.data["reason"]
    timeout_s = int(told[1]) * 60.0
    assert held.t_s - started.t_s == pytest.approx(timeout_s, abs=30.0 + 3.0), "told in whole minutes"
    assert held_s - began_s == pytest.approx(held.t_s - started.t_s, abs=10.0), "the plant's clock agrees"
    print(f"\ntier 2, time-out: held after {held.t_s - started.t_s:.0f} s of bench time")
