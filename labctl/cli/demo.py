"""`labctl demo`: the paper's synthesis on the bundled simulated bench, from stirring to a tested cell."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from labctl.cli.run import main as run
from labctl.cli.terminal import say

PROTOCOL = "3dp-nvp-c"


def main(arguments: Namespace) -> int:
    """Run it, and say what was shown."""
    wanted: dict[str, Any] = {
        "protocol": PROTOCOL,
        "parameters": [],
        "bench": None,
        "simulate": True,
        "lockstep": False,
        "speed": None,
        "faults": None,
        "yes": True,
    }
    say(f"labctl run {PROTOCOL} --simulate --yes")
    return run(Namespace(**{**vars(arguments), **wanted}))
