"""A run on a bench that another process serves: pause, adjust, skip, goto, stop and rerun from a second process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labctl.runtime.folder import controller_of
from labctl.store.reader import Reader
from tests.cli.test_steering import eventually
from tests.commandline import Labctl

STEERED = """\
protocol: steered
title: Weigh, stir, dry and rest
parameters:
  first: {default: 30 min, min: 1 min, max: 3 h, provenance: assumed}
roles: {stirrer: hotplate_stirrer, oven: oven}
steps:
  - {id: weigh, manual: {do: Weigh the salt, enter: {salt: {unit: g, min: 0.1, max: 9}}}}
  - {id: mix, stir: {with: stirrer, speed: 300 rpm, for: "{first}"}}
  - {id: blend, stir: {with: stirrer, speed: 200 rpm, for: 30 min}}
  - {id: look, manual: {do: Look at it, confirm: [clear]}}
  - {id: warm, heat: {with: oven, to: 60 degC, ramp: 2 K/min, hold: 1 min, atmosphere: air, after: cool}}
  - {id: rest, wait: {for: 30 min}}
  - {id: rest-again, wait: {for: 30 min}}
"""


class Steered:
    """A bench in a folder, and what people say about it from elsewhere."""

    def __init__(self, folder: Path, labctl: Labctl) -> None:
        self.folder, self._labctl = folder, labctl

    def ask(self, *words: str) -> tuple[int, str, str]:
        return self._labctl(*words, "--bench", str(self.folder))

    def run(self) -> dict[str, Any]:
        """The newest run."""
        code, out, said = self.ask("status", "--json")
        assert code == 0, said
        runs: list[dict[str, Any]] = json.loads(out.splitlines()[-1])["runs"]
        return runs[-1] if runs else {"state": None, "steps": []}

    def does(self, state: str, *steps: str) -> bool:
        def is_so() -> bool:
            run = self.run()
            return run["state"] == state and [step["id"] for step in run["steps"]] == [*steps]

        return eventually(is_so, 40.0)


@contextmanager
def process(*words: str, leaves: signal.Signals = signal.SIGTERM) -> Iterator[subprocess.Popen[str]]:
    """labctl in a process of its own, told to leave in the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "labctl", *words]
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as started:
        try:
            yield started
        finally:
            started.send_signal(leaves)
            started.communicate(timeout=60)


@pytest.fixture
def bench(tmp_path: Path, labctl: Labctl) -> Iterator[Steered]:
    folder = tmp_path / "small"
    (tmp_path / "steered.yaml").write_text(STEERED)
    with process("sim", "up", "small", "--out", str(folder), "--speed", "20") as simulator:
        assert simulator.stdout is not None
        assert any(line.startswith("backdoor") for line in simulator.stdout)
        with process("serve", "--bench", str(folder)) as controller:
            assert eventually(lambda: bool((controller_of(folder) or {}).get("serving")))
            yield Steered(folder, labctl)
        assert controller.returncode == 0, "nothing is left to be made safe"


def test_a_run_on_a_served_bench_is_steered_from_elsewhere_and_begun_again(bench: Steered) -> None:
    place = ("--bench", str(bench.folder), "--yes", "--no-report")
    with process("run", str(bench.folder.parent / "steered.yaml"), *place) as terminal:
        assert bench.does("RUNNING", "mix"), bench.run()
        name = bench.run()["run_id"]
        assert bench.ask("goto", "rest", "--reason", "late", "--yes")[0] == 8, "mix is under way"
        assert bench.ask("pause")[0] == 0
        assert bench.does("PAUSED", "mix")
        code, out, said = bench.ask("adjust", "-p", "first=40 min", "--reason", "it is clear", "--yes")
        assert (code, out.splitlines()[-1]) == (0, f"{name}: accepted"), said
        code, out, said = bench.ask("skip", "blend", "--reason", "it is clear", "--yes")
        assert (code, out.splitlines()[-1]) == (0, f"{name}: accepted"), said
        code, out, said = bench.ask("goto", "rest", "--reason", "the oven is wanted", "--yes")
        assert (code, out.splitlines()[-1]) == (0, f"{name}: accepted"), said
        assert bench.ask("resume")[0] == 0
        assert bench.does("RUNNING", "rest")
        assert bench.ask("stop", "--reason", "enough")[0] == 0
        _, said = terminal.communicate(timeout=60)
        assert terminal.returncode == 4, said
    assert bench.ask("skip", "rest-again", "--reason", "late", "--yes")[2] == "labctl: no run is under way\n"
    assert bench.ask("rerun", name, "--from", "nowhere", "--yes")[0] == 2

    with process("rerun", name, "--from", "blend", *place) as terminal:
        assert bench.does("RUNNING", "blend"), bench.run()
        again = bench.run()["run_id"]
        assert bench.ask("stop", "--reason", "seen")[0] == 0
        out, said = terminal.communicate(timeout=60)
        assert terminal.returncode == 4, said
        assert f"with what {name} left out: blend, look, warm" in said

    with Reader.open(bench.folder / "labctl.db") as reader:
        revised = [e.data["reason"] for e in reader.events(name, kinds=("plan_revised",))]
        assert revised == ["it is clear", "it is clear", "the oven is wanted"]
        (created,) = reader.events(again, kinds=("run_created",))
        assert created.data["rerun_of"] == name
        assert 0.1 <= created.data["values"]["salt"] <= 9.0
        assert [run.end_state for run in reader.runs()] == ["STOPPED"] * 2
    assert bench.ask("audit", "verify")[0] == 0
