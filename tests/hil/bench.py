"""A bench that `labctl sim up` serves in a process of its own, and the command line that runs on it."""

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

from labctl.runtime.backdoor import Backdoor


def environment() -> dict[str, str]:
    """That a process of the labctl under test gets, wherever it is started."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@contextmanager
def served(bench: str | Path, folder: Path, *words: str) -> Iterator[Backdoor]:
    """Serve a bench into `folder` until the end of the block."""
    command = [sys.executable, "-m", "labctl", "sim", "up", str(bench), "--out", str(folder), *words]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout is not None
        door = next((line.split()[1] for line in process.stdout if line.startswith("backdoor ")), None)
        assert door is not None, process.stderr and process.stderr.read()
        yield Backdoor(door)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0


def labctl(place: Path, *words: str, within_s: float) -> tuple[dict[str, Any], str]:
    """A run from the command line, in `place`: what its last line says, and what it told meanwhile."""
    command = [sys.executable, "-m", "labctl", *words, "--json", "--no-report"]
    ran = subprocess.run(
        command, cwd=place, env=environment(), capture_output=True, text=True, timeout=within_s, check=False
    )
    assert ran.stdout, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told, ran.stderr
