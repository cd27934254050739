"""The paper's synthesis, run as a user runs it: each run once for all tests, and only when one asks for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SHORTER = {"evaporation_hold": "12 h", "ageing_hold": "12 h", "preheat_hold": "1 h", "cycles": "1"}
"""What costs bench time and changes neither carbon (the polymer is gone after an hour at 350 degC) nor first cycle."""


class Done(NamedTuple):
    """A run that is over: its folder, the JSON object it printed, the lines before it, and what it said."""

    folder: Path
    result: dict[str, Any]
    lines: list[str]
    said: str


Runner = Callable[..., Done]


@pytest.fixture(scope="session")
def carried_out(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """`carried_out(seed=7, pyrolysis_temperature="800 degC")`: the run, in a process of its own."""

    @cache
    def run(seed: int | None = None, place: str = "here", hash_seed: str = "0", **parameters: str) -> Done:
        words = [f"--seed={seed}"] if seed is not None else []
        for name, value in parameters.items():
            words += ["-p", f"{name}={value}"]
        folder = tmp_path_factory.mktemp(place)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        environment |= {"PYTHONHASHSEED": hash_seed, "TZ": "Asia/Shanghai" if hash_seed == "0" else "UTC"}
        done = subprocess.run(
            [sys.executable, "-m", "labctl", "run", "3dp-nvp-c", "--simulate", "--json", "--no-report", *words],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        *lines, last = done.stdout.splitlines()
        result = json.loads(last)
        return Done(Path(result["bench"]), result, lines, done.stderr)

    return run
