"""`labctl sim`: behind the scenes of a simulated bench. For tests and teaching; no verdict ever reads this."""

from __future__ import annotations

import json
import socket
from argparse import Namespace

from labctl.cli.terminal import print_json, print_table
from labctl.errors import ControllerError, UsageError
from labctl.runtime.folder import controller_of


def truth(arguments: Namespace) -> int:
    """Print what the simulated plant of a running bench really does."""
    controller = controller_of(arguments.bench)
    if controller is None:
        raise ControllerError(f"{arguments.bench}: nothing runs there now")
    port = controller.get("truth_port")
    if port is None:
        raise UsageError(f"{arguments.bench}: this bench is real, or its controller is still starting")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
            text = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError as error:
        raise ControllerError(f"{arguments.bench}: the simulated plant does not answer: {error}") from error
    data = json.loads(text)
    if arguments.json:
        print_json(data)
        return 0
    rows = []
    for part, values in data.items():
        items = values.items() if isinstance(values, dict) else [("", values)]
        rows += [(part, name, f"{v:.6g}" if isinstance(v, float) else str(v)) for name, v in items]
    print_table(("part", "quantity", "value"), rows)
    return 0
