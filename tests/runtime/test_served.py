"""A whole bench over real wires, in a process of its own: what it claims, its time, its faults, a run on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from labctl.bench.api import GOOD, SILENT
from labctl.bench.discovery import drivers
from labctl.bench.loader import find_bench, load_bench
from labctl.errors import ControllerError, PermissiveError, UsageError
from labctl.runtime.assembly import connections
from labctl.runtime.backdoor import Backdoor, ascertained
from labctl.runtime.clock import RealClock
from labctl.runtime.folder import controller_of
from labctl.runtime.serve import open_store
from labctl.store.reader import Reader

PURGE = """\
protocol: touch-of-gas
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - {id: unload, unload: {from: furnace, into: nothing}}
"""


@contextmanager
def served(folder: Path, *words: str) -> Iterator[Backdoor]:
    command = [sys.executable, "-m", "labctl", "sim", "up", "small", "--out", str(folder), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.split())
            if lines[-1][0] == "backdoor":
                break
        assert len(lines) == 1 + len(load_bench("small").instruments)
        yield Backdoor(lines[-1][1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Backdoor]]:
    folder = tmp_path_factory.mktemp("served") / "small"
    with served(folder) as door:
        yield folder, door


def test_it_is_simulated_while_its_simulator_claims_each_address(
    bench: tuple[Path, Backdoor], tmp_path: Path
) -> None:
    folder, _ = bench
    found = ascertained(load_bench(folder))
    assert found.simulated
    assert not found.in_process
    assert found.identity == load_bench(folder).identity
    data = yaml.safe_load((folder / "bench.yaml").read_text())
    for instrument in data["instruments"].values():
        one_is_real = json.loads(json.dumps(data))
        name = next(n for n, i in data["instruments"].items() if i is instrument)
        one_is_real["instruments"][name]["address"] = instrument["address"].replace("0.0.1", "0.0.2") + "9"
        (tmp_path / "bench.yaml").write_text(yaml.safe_dump(one_is_real))
        assert not ascertained(load_bench(tmp_path)).simulated


def test_a_backdoor_that_is_silent_or_talks_nonsense_makes_nothing_simulated(
    bench: tuple[Path, Backdoor],
) -> None:
    found = load_bench(bench[0])
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]

        def talk() -> None:
            link, _ = nobody.accept()
            with link:
                link.sendall(b'{"ok": true, "result": {"mine": "all of them", "speed": 1}}\n')

        threading.Thread(target=talk, daemon=True).start()
        liar = found.model_copy(update={"backdoor": f"tcp://127.0.0.1:{port}"})
        assert not ascertained(liar).simulated
    assert not ascertained(liar).simulated, "and nobody at all"
    assert not ascertained(found.model_copy(update={"backdoor": None})).simulated


def test_what_was_recorded_as_real_never_goes_on_as_simulated(
    bench: tuple[Path, Backdoor], tmp_path: Path
) -> None:
    (tmp_path / "bench.yaml").write_text((bench[0] / "bench.yaml").read_text())
    found = load_bench(tmp_path)
    open_store(tmp_path, found).close()
    with pytest.raises(PermissiveError, match="record is of a real bench"):
        open_store(tmp_path, ascertained(found))


def test_its_time_pauses_steps_and_changes_speed(bench: tuple[Path, Backdoor]) -> None:
    _, door = bench
    before = door.ask("pause")["t"]
    assert door.ask("truth")["t"] == int(before)
    assert door.ask("step", seconds=100)["t"] == pytest.approx(before + 100)
    assert door.ask("truth")["t"] == int(before + 100)
    assert door.ask("advance_to", t_s=before + 200)["t"] == pytest.approx(before + 200)
    door.ask("speed", factor=50)
    door.ask("resume")
    time.sleep(0.2)
    assert door.ask("time")["t"] > before + 205
    door.ask("speed", factor=1)
    for wrong in (
        {"do": "speed", "factor": 0},
        {"do": "nothing"},
        {"do": "step", "seconds": -1},
        {"do": "step"},
    ):
        with pytest.raises(UsageError):
            door.ask(**wrong)
    with pytest.raises(UsageError, match="did you mean 'furnace'"):
        door.ask("fault", instrument="furnce", kind="drop")


def test_its_operator_makes_what_it_is_told_to(bench: tuple[Path, Backdoor]) -> None:
    _, door = bench
    door.ask("charge", batch={"product_mass_g": 0.5, "thf_g": 4.0})
    assert door.ask("truth")["batch"]["thf_g"] == 4.0
    with pytest.raises(UsageError, match="did you mean 'thf_g'"):
        door.ask("charge", batch={"thf": 4.0})
    door.ask("charge", batch={})
    assert door.ask("truth")["batch"]["thf_g"] == 8.89


@pytest.mark.parametrize("name", ["furnace", "oven", "oxygen", "cycler"])
@pytest.mark.parametrize("kind", ["disconnect", "refuse", "drop", "garbage"])
def test_a_line_that_fails_is_silent_and_comes_back(
    bench: tuple[Path, Backdoor], name: str, kind: str
) -> None:
    """On pseudo terminals, a TCP port, and a socket behind VISA."""
    folder, door = bench
    found = load_bench(folder)
    only = found.model_copy(update={"instruments": {name: found.instruments[name]}})
    clock = RealClock()
    driver = connections(only, drivers(), lambda bus: clock, admit=door.admit)[name].driver
    driver.open()
    assert driver.read()[0].quality is GOOD
    number = door.ask("fault", instrument=name, kind=kind)
    time.sleep(0.05)
    lost = driver.read()
    assert {r.quality for r in lost} == {SILENT} or kind == "disconnect"
    assert door.ask("faults")[number]["hits"] > 0
    door.ask("clear")
    end = time.monotonic() + 12.0
    while driver.read()[0].quality is not GOOD:
        assert time.monotonic() < end
        time.sleep(0.1)
    driver.close()


def test_an_address_that_nobody_claims_any_more_is_not_opened(tmp_path: Path) -> None:
    with served(tmp_path / "small") as door:
        found = ascertained(load_bench(tmp_path / "small"))
        clock = RealClock()
        made = connections(found, drivers(), lambda bus: clock, admit=door.admit)
        oven = made["oven"].driver
        oven.open()
        assert oven.read()[0].quality is GOOD
    with socket.create_server(
        ("127.0.0.1", int(found.instruments["oven"].address.rpartition(":")[2]))
    ) as stranger:
        stranger.settimeout(0.5)
        assert oven.read()[0].quality is SILENT
        assert oven.read()[0].quality is SILENT
        with pytest.raises(TimeoutError):
            stranger.accept()
    with pytest.raises(ControllerError):
        door.ask("truth")


def test_it_comes_back_at_the_same_ports_and_overwrites_no_other_bench(tmp_path: Path) -> None:
    with served(tmp_path / "small", "--tcp"):
        first = (tmp_path / "small" / "bench.yaml").read_text()
    with served(tmp_path / "small", "--tcp"):
        assert (tmp_path / "small" / "bench.yaml").read_text() == first
    real = tmp_path / "real"
    real.mkdir()
    (real / "bench.yaml").write_text(find_bench("small").read_text())
    again = subprocess.run(
        [sys.executable, "-m", "labctl", "sim", "up", "small", "--out", str(real)],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 2
    assert "--out DIR" in again.stderr


def test_a_run_on_it_is_marked_simulated_and_its_operator_answers(tmp_path: Path) -> None:
    (tmp_path / "gas.yaml").write_text(PURGE)
    with served(tmp_path / "small", "--speed", "50"):
        words = ["run", "gas.yaml", "--bench", "small", "--yes", "--json", "--no-report"]
        ran = subprocess.run(
            [sys.executable, "-m", "labctl", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr + (tmp_path / "small" / "controller.log").read_text()
        result = json.loads(ran.stdout.splitlines()[-1])
        assert result["state"] == "COMPLETE"
        assert result["virtual_s"] > 300.0
        assert result["wall_s"] < 60.0
        with Reader.open(tmp_path / "small" / "labctl.db") as reader:
            assert reader.identity().simulated
            assert reader.runs()[0].simulated
            answers = reader.query("SELECT actor FROM inbox WHERE verb = 'answer'")
            assert {actor for (actor,) in answers} == {"simulated operator"}
        controller = controller_of(tmp_path / "small")
        assert controller is not None
        os.kill(int(controller["pid"]), signal.SIGTERM)
        truth = Backdoor(load_bench(tmp_path / "small").backdoor or "").ask("truth")
        assert truth["gas"]["flow_sccm"] < 1.0
    with pytest.raises(PermissiveError, match="start its simulator again"):
        open_store(tmp_path / "small", ascertained(load_bench(tmp_path / "small")))
