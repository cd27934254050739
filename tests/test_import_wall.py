"""The gates of this house can fail: a small tree that obeys them passes, each way to break one is caught."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
ROOMS = [
    "labctl.analysis",
    "labctl.bench.api",
    "labctl.bench.schema",
    "labctl.chaos.judge.observer",
    "labctl.chaos.trial",
    "labctl.cli.main",
    "labctl.cli.run",
    "labctl.engine.machine",
    "labctl.errors",
    "labctl.forecast",
    "labctl.model.readings",
    "labctl.protocol.plan",
    "labctl.report",
    "labctl.runtime.clock",
    "labctl.store.journal",
    "labctl.twin",
    "labctl_drivers.eurotherm",
    "labctl_simulators.plant",
]
ALLOWED = {
    "labctl.chaos.judge.observer": "import struct",
    "labctl.chaos.trial": "import labctl.chaos.judge.observer, labctl.forecast, labctl_simulators.plant",
    "labctl.cli.main": "import labctl.forecast, labctl.report",
    "labctl.cli.run": "import labctl_simulators.plant",
    "labctl.engine.machine": "import transitions, labctl.protocol.plan, labctl.bench.schema",
    "labctl.forecast": "import labctl.twin",
    "labctl.report": "import labctl.analysis",
    "labctl.runtime.clock": "import time, random, labctl.engine.machine, labctl.store.journal",
    "labctl.twin": "import labctl_simulators.plant, labctl.runtime.clock",
    "labctl_drivers.eurotherm": "from labctl.bench import api\nimport labctl.model.readings, labctl.errors",
    "labctl_simulators.plant": "import math",
}
SOURCE_FOLDERS = {"labctl_drivers": "drivers", "labctl_simulators": "simulators"}


def build(root: Path, extra: dict[str, str]) -> Path:
    """A copy of the house in miniature under the real configuration, with `extra` lines in some modules."""
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for module in ROOMS:
        parts = module.split(".")
        folder = root / SOURCE_FOLDERS.get(parts[0], ".")
        for package in parts[:-1]:
            folder /= package
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "__init__.py").touch()
        lines = [ALLOWED.get(module, ""), extra.get(module, "")]
        (folder / f"{parts[-1]}.py").write_text("\n".join(lines) + "\n")
    return root


def run(root: Path, tool: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a tool of this environment, run on the tree in `root`."""
    path = os.pathsep.join(str(root / folder) for folder in (".", "drivers", "simulators"))
    done = subprocess.run(
        [TOOLS / tool, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def lint_imports(root: Path) -> tuple[int, str]:
    return run(root, "lint-imports", "--no-logo", "--no-cache")


def test_a_tree_that_obeys_every_contract_passes(tmp_path: Path) -> None:
    code, output = lint_imports(build(tmp_path, {}))
    assert code == 0, output
    assert "0 broken" in output


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        (
            "labctl.engine.machine",
            "import labctl.runtime.clock",
            "labctl.engine is not allowed to import labctl.runtime",
        ),
        (
            "labctl.engine.machine",
            "import labctl.store.journal",
            "labctl.engine is not allowed to import labctl.store",
        ),
        ("labctl.protocol.plan", "import time", "labctl.protocol.plan -> time"),
        ("labctl.model.readings", "import labctl.bench.api", "labctl.model.readings -> labctl.bench.api"),
        ("labctl.analysis", "import labctl.report", "labctl.analysis is not allowed to import labctl.report"),
        ("labctl.report", "import labctl_drivers.eurotherm", "labctl.report -> labctl_drivers.eurotherm"),
        (
            "labctl.store.journal",
            "import labctl.runtime.clock",
            "labctl.store.journal -> labctl.runtime.clock",
        ),
        ("labctl.runtime.clock", "import labctl.twin", "labctl.runtime.clock -> labctl.twin"),
        (
            "labctl.runtime.clock",
            "import labctl_simulators.plant",
            "labctl.runtime.clock -> labctl_simulators.plant",
        ),
        ("labctl.cli.main", "import labctl_simulators", "labctl.cli.main -> labctl_simulators"),
        (
            "labctl_drivers.eurotherm",
            "import labctl_simulators.plant",
            "labctl_drivers is not allowed to import labctl_sim",
        ),
        (
            "labctl_drivers.eurotherm",
            "import labctl.bench.schema",
            "labctl_drivers.eurotherm -> labctl.bench.schema",
        ),
        ("labctl_drivers.eurotherm", "import labctl", "labctl_drivers.eurotherm -> labctl"),
        (
            "labctl.chaos.judge.observer",
            "import labctl.model.readings",
            "labctl.chaos.judge is not allowed to import labctl.model",
        ),
        ("labctl.forecast", "import labctl.chaos.trial", "labctl.forecast -> labctl.chaos.trial"),
        ("labctl_simulators.plant", "import labctl.errors", "labctl_simulators.plant -> labctl.errors"),
        ("labctl_simulators.plant", "import labctl_drivers", "labctl_simulators.plant -> labctl_drivers"),
    ],
)
def test_an_import_through_a_wall_is_caught(tmp_path: Path, module: str, line: str, broken: str) -> None:
    code, output = lint_imports(build(tmp_path, {module: line}))
    assert code == 1, output
    assert broken in output


def test_the_engine_may_import_nothing_of_the_world(tmp_path: Path) -> None:
    world = ["time", "random", "datetime", "os", "threading", "socket", "sqlite3", "uuid"]
    world += ["serial", "pymodbus", "pyvisa"]
    lines = "\n".join(f"import {name}" for name in world)
    code, output = lint_imports(build(tmp_path, {"labctl.engine.machine": lines}))
    assert code == 1, output
    missed = [name for name in world if f"labctl.engine is not allowed to import {name}:" not in output]
    assert missed == []


def test_an_untyped_function_is_caught(tmp_path: Path) -> None:
    build(tmp_path, {"labctl.errors": "def explain(what):\n    return what"})
    code, output = run(tmp_path, "mypy", "--cache-dir", os.devnull, "labctl/errors.py")
    assert code == 1, output
    assert "Function is missing a type annotation" in output


READS_THE_CLOCK = "import time\n\nNOW = time.monotonic()\n"


@pytest.mark.parametrize(
    "line",
    [
        "import time\n\ntime.time()",
        "from time import sleep\n\nsleep(1)",
        "import time as t\n\nt.perf_counter()",
        "from datetime import UTC, datetime\n\ndatetime.now(UTC)",
        "import datetime\n\ndatetime.datetime.utcnow()",
        "import uuid\n\nuuid.uuid4()",
        "import random\n\nrandom.seed(1)",
        "from random import Random\n\nRandom(1)",
    ],
)
@pytest.mark.parametrize("folder", ["labctl/bench", "labctl/runtime", "simulators/labctl_simulators"])
def test_reading_time_or_chance_is_caught(tmp_path: Path, folder: str, line: str) -> None:
    code, output = ruff_banned(tmp_path, f"{folder}/any.py", line)
    assert code == 1, output
    assert "TID251" in output


@pytest.mark.parametrize("file", ["labctl/runtime/clock.py", "tests/test_any.py"])
def test_the_clock_and_the_tests_may_read_the_time(tmp_path: Path, file: str) -> None:
    code, output = ruff_banned(tmp_path, file, READS_THE_CLOCK)
    assert code == 0, output


def ruff_banned(root: Path, file: str, source: str) -> tuple[int, str]:
    """What ruff says about banned calls in `file` of a tree under the real configuration."""
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    target = root / file
    target.parent.mkdir(parents=True)
    target.write_text(source + "\n")
    return run(root, "ruff", "check", "--no-cache", "--select", "TID251", file)
