"""A simulated run at a pace that a person can follow, steered from other processes; and how Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.bench.loader import find_bench
from labctl.store.reader import Reader
from tests.commandline import Labctl

SPEED = "150"


class Paced:
    """A paced simulated run in a process of its own, and the folder that it named."""

    def __init__(self, place: Path, labctl: Labctl) -> None:
        self._labctl = labctl
        pipe = subprocess.PIPE
        words: tuple[str, ...] = (
            "run",
            "short-furnace",
            "--simulate",
            "--bench",
            str(place / "small"),
            "-p",
            "hold=30 min",
        )
        words += ("--speed", SPEED, "--json", "--no-report")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labctl", *words],
            cwd=place,
            env=environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        assert self.process.stderr is not None
        first = next(line for line in self.process.stderr if line.startswith("SIMULATED run"))
        self.folder = Path(first.strip().rpartition(", in ")[2])

    def ask(self, *words: str) -> tuple[int, str, str]:
        return self._labctl(*words, "--bench", str(self.folder))

    def status(self) -> dict[str, Any]:
        code, out, said = self.ask("status", "--json")
        assert code == 0, said
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def truth(self) -> dict[str, Any]:
        code, out, said = self.ask("sim", "truth", "--json")
        assert code == 0, said
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def reaches(self, state: str, within_s: float = 20.0) -> bool:
        return eventually(lambda: [r["state"] for r in self.status()["runs"]] == [state], within_s)

    def heats(self) -> bool:
        """Wait until the tube is so hot that its nitrogen may not be stopped for a long time."""
        if not eventually(lambda: (self.folder / "labctl.db").exists() and bool(self.status()["runs"])):
            return False
        return eventually(lambda: bool(self.truth()["furnace"]["tube_c"] > 150.0))


def eventually(true: Callable[[], bool], within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def paced(tmp_path: Path, labctl: Labctl) -> Iterator[Paced]:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "bench.yaml").write_text(find_bench("small").read_text())
    run = Paced(tmp_path, labctl)
    yield run
    run.process.kill()
    run.process.communicate()


def test_a_run_is_paused_held_and_stopped_for_good_from_elsewhere(paced: Paced) -> None:
    assert paced.heats()
    for refused in ("resume", "restart", "clear --reason x", "reset"):
        code, out, said = paced.ask(*refused.split())
        assert (code, out) == (8, "")
        assert "is RUNNING; allowed now: PAUSE, HOLD, STOP, ABORT" in said
    assert paced.ask("pause", "--reason", "a visitor")[:2] == (0, f"pause {paced.folder.name}: accepted\n")
    assert paced.reaches("PAUSED")
    assert paced.ask("resume")[0] == 0
    assert paced.reaches("RUNNING")
    assert paced.ask("hold")[0] == 0
    assert paced.reaches("HELD")
    assert paced.truth()["furnace"]["heater_w"] > 0.0, "held by a person at the setpoint"
    assert paced.ask("restart")[0] == 0
    assert paced.reaches("RUNNING")

    code, out, said = paced.ask("estop", "--by", "ada", "--reason", "smell of burning")
    truth = paced.truth()
    assert code == 0
    assert truth["furnace"]["heater_w"] == 0.0
    assert truth["gas"]["flow_sccm"] > 190.0
    assert "every heater of this bench reads off; gas stays on" in out
    assert paced.reaches("ABORTED")
    code, out, said = paced.ask("estop", "--by", "ben", "--reason", "smell of burning")
    assert code == 0
    assert f"process {paced.process.pid} carries out the safe states" in said, (
        "pressed again, nobody is killed"
    )
    assert "every heater of this bench reads off; gas stays on" in out
    shown = paced.status()
    assert shown["controller_pid"] == paced.process.pid
    assert shown["estop"]
    assert [(c["chamber"], c["gas"]) for c in shown["custody"]] == [("tube", True)]
    assert shown["runs"][0]["allowed_commands"] == ["CLEAR"]
    assert paced.ask("reset")[0] == 8
    assert paced.ask("clear", "--reason", "a dusty lamp", "--by", "ada")[0] == 0
    assert paced.ask("reset")[0] == 0

    out, said = paced.process.communicate(timeout=60)
    assert paced.process.returncode == 4, said
    result = json.loads(out.splitlines()[-1])
    assert result["state"] == "ABORTED"
    shown = paced.status()
    assert shown["custody"] == []
    assert shown["controller_pid"] is None
    assert not shown["estop"]
    code, _, said = paced.ask("pause")
    assert code == 7
    assert "this simulated bench has gone with its run" in said
    assert paced.ask("sim", "truth")[0] == 7
    with Reader.open(paced.folder / "labctl.db") as reader:
        asked = [e.data for e in reader.every_event() if e.kind == "request"]
    verbs = [(r["verb"], r["accepted"]) for r in asked if r["actor"] not in ("labctl", "simulated operator")]
    assert verbs == [
        ("resume", False), ("restart", False), ("clear", False), ("reset", False),
        ("pause", True), ("resume", True), ("hold", True), ("restart", True),
        ("reset", False), ("clear", True), ("reset", True),
    ]  # fmt: skip
    assert paced.ask("audit", "verify")[0] == 0


def test_ctrl_c_stops_a_simulated_run_safely_and_a_second_one_shortens_nothing(paced: Paced) -> None:
    assert paced.heats()
    paced.process.send_signal(signal.SIGINT)
    assert paced.reaches("STOPPED")
    paced.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert paced.process.poll() is None, "nobody leaves a chamber in custody alone"
    truth = paced.truth()
    assert truth["furnace"]["heater_w"] == 0.0
    assert truth["gas"]["flow_sccm"] > 190.0
    out, said = paced.process.communicate(timeout=60)
    assert paced.process.returncode == 4
    assert "Stopping already" in said
    assert "Traceback" not in said
    result = json.loads(out.splitlines()[-1])
    assert (result["state"], result["reason"]) == ("STOPPED", "interrupted at the terminal")
    assert paced.status()["custody"] == []


def test_an_aborted_run_waits_for_clear_and_reset_even_when_all_is_cold(paced: Paced) -> None:
    assert eventually(lambda: (paced.folder / "labctl.db").exists() and paced.reaches("RUNNING"))
    assert paced.ask("abort", "--reason", "a rehearsal")[0] == 0
    assert eventually(lambda: not paced.status()["custody"])
    time.sleep(0.5)
    shown = paced.status()
    assert shown["controller_pid"] == paced.process.pid
    assert shown["runs"][0]["allowed_commands"] == ["CLEAR"]
    assert paced.ask("clear", "--reason", "it was one")[0] == 0
    assert paced.ask("reset")[0] == 0
    _, said = paced.process.communicate(timeout=20)
    assert paced.process.returncode == 4
    assert f"`labctl clear --reason ... --bench {paced.folder}` is possible for 60 s" in said
    assert paced.ask("audit", "verify")[0] == 0


def test_ctrl_c_ends_the_wait_for_clear_and_reset(paced: Paced) -> None:
    assert eventually(lambda: (paced.folder / "labctl.db").exists() and paced.reaches("RUNNING"))
    assert paced.ask("abort")[0] == 0
    assert eventually(lambda: not paced.status()["custody"])
    time.sleep(0.5)
    assert paced.process.poll() is None
    paced.process.send_signal(signal.SIGINT)
    out, _ = paced.process.communicate(timeout=20)
    assert paced.process.returncode == 4
    assert json.loads(out.splitlines()[-1])["state"] == "ABORTED"
