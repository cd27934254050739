"""`labctl serve`: own the instruments of a bench. Started by hand, by a service, or by `labctl run`."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from labctl.cli.terminal import say
from labctl.errors import ControllerError, UsageError
from labctl.runtime.clock import nap, wall_s
from labctl.runtime.folder import controller_of, locked
from labctl.runtime.serve import Server

STARTS_WITHIN_S = 30.0
"""A controller that does not serve by then did not come up (assumed: imports, a slow disk, silent instruments)."""
LOG = "controller.log"
_STARTED: list[subprocess.Popen[bytes]] = []
"""Controllers that this process started, and does not wait for: they are meant to outlive it."""


def main(arguments: Namespace) -> int:
    """Serve until told to leave (SIGTERM, Ctrl-C), which first stops runs and waits until everything is cold."""
    server = Server(
        arguments.bench, until_idle=getattr(arguments, "until_idle", False), capture=arguments.capture
    )
    say(f"{arguments.bench}: controller started; Ctrl-C leaves once everything is safe and cold")
    server.run()
    return 0


def start_detached(folder: Path, capture: Path | None = None) -> None:
    """Start a controller in a session of its own, if none runs, and wait until it serves.

    It outlives this terminal. `capture`: where it keeps transcripts. Raises ControllerError, and UsageError when one
    runs already that captures nothing, or elsewhere.
    """
    child = None
    command = [sys.executable, "-m", "labctl", "serve", "--bench", str(folder), "--until-idle"]
    if capture is not None:
        command += ["--capture", str(capture.resolve())]
        if (controller := controller_of(folder)) is not None:
            raise UsageError(
                f"process {controller['pid']} controls {folder} already, and where it captures was said when it began;"
                " run without --capture, or wait until it has left"
            )
    deadline = wall_s() + STARTS_WITHIN_S
    while not ((controller := controller_of(folder)) or {}).get("serving"):
        if controller is not None and "doing" in controller:
            raise locked(folder, controller)
        if child is None and controller is None:
            with (folder / LOG).open("ab") as log:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            _STARTED.append(child)
        if (child is not None and child.poll() is not None) or wall_s() > deadline:
            said = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise ControllerError(f"the controller did not start: {' '.join(said) or 'no word from it'}")
        nap(0.05)
