"""Pytests of their own, as a lab would start them: with the plugin named, and nothing else loaded by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSE = [str(ROOT), str(ROOT / "drivers"), str(ROOT / "simulators")]


def child(arguments: Sequence[str], folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` says in that folder, with `path` and this checkout on its path."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, path), *HOUSE]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def pytest_on(folder: Path, *arguments: str, path: Sequence[Path] = ()) -> subprocess.CompletedProcess[str]:
    """A run of pytest there, with the plugin."""
    options = ["-m", "pytest", "-q", "-p", "labctl.testing.plugin", "-p", "no:cacheprovider", *arguments]
    return child(options, folder, *path)
