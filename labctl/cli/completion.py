"""`labctl completion`: a static script, so that no Python runs at a press of TAB."""

from __future__ import annotations

from argparse import Namespace

import shtab

from labctl.cli.parser import build

COMPLETED = {"DIR": shtab.DIRECTORY, "FILE": shtab.FILE, "PROTOCOL": shtab.FILE}
"""How a shell completes an argument, by its metavar."""


def main(arguments: Namespace) -> int:
    """Print the completion script of `arguments.shell`."""
    root = build()
    for parser in root.walk():
        for action in parser._actions:
            if action.metavar in COMPLETED:
                vars(action)["complete"] = COMPLETED[action.metavar]
    print(shtab.complete(root, arguments.shell))
    return 0
