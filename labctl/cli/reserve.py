"""`labctl reserve`: keep a chamber for somebody, or a shared one at a setpoint; runs that need it otherwise wait."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from labctl.cli.control import actor, submit


def main(arguments: Namespace) -> int:
    """Tell the controller."""
    args: dict[str, Any] = {"chamber": arguments.chamber}
    verb = "unreserve"
    if not arguments.end:
        verb = "reserve"
        args |= {"for_s": arguments.duration, "reason": arguments.reason}
        if arguments.setpoint is not None:
            args |= {"setpoint_c": arguments.setpoint, "contents": arguments.contents}
    print(f"{verb} {arguments.chamber}: {submit(arguments.bench, verb, None, args, actor(arguments))}")
    return 0
