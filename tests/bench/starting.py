"""How long `labctl --help` takes against Python doing nothing, in CPU time of the child processes."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

LABCTL = Path(sys.executable).with_name("labctl")


def rounds() -> Generator[tuple[float, float], None, None]:
    """Starts per CPU second of `labctl --help`, and of bare Python: one of each in turn."""
    while True:
        yield _starts_per_cpu_s([str(LABCTL), "--help"]), _starts_per_cpu_s([sys.executable, "-c", ""])


def _starts_per_cpu_s(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1.0 / (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
