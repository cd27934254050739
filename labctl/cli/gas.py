"""`labctl gas swap`: another cylinder on the line, with what is on its label and its gauge."""

from __future__ import annotations

from argparse import Namespace

from labctl.cli.control import actor, submit


def swap(arguments: Namespace) -> int:
    """Tell the controller; what the old gas had proven is proven again before anything heats."""
    args = {
        "supply": arguments.supply,
        "lot": arguments.lot,
        "pressure_bar": arguments.pressure,
        "reason": arguments.reason,
    }
    print(f"gas swap {arguments.supply}: {submit(arguments.bench, 'gas_swap', None, args, actor(arguments))}")
    return 0
