"""One simulated instrument behind a real link, in a process of its own: `python -m tests.bench.serve oven`.

Prints its address and serves until its input ends. Replies leave at once, without the instrument's own delay.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

CHAMBERS: dict[str, dict[str, Any]] = {
    "oven": {"kind": "oven"},
    "furnace": {"kind": "tube", "volume_cm3": 2290.0},
    "hotplate": {"kind": "vessel"},
    "network-furnace": {"kind": "tube", "volume_cm3": 2290.0},
    "cycler": {"kind": "cell"},
}
DEVICES = {
    "oven": "binder_mb1",
    "furnace": "eurotherm_3216",
    "hotplate": "ika_hotplate",
    "network-furnace": "eurotherm_epc3016",
    "cycler": "keithley_2450",
}


@contextmanager
def serving(what: str) -> Iterator[str]:
    """The address of an instrument that another process serves while the block lasts."""
    command = [sys.executable, "-m", "tests.bench.serve", what]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"{' '.join(command)} did not start")
        yield address
        process.stdin.close()


def main(what: str) -> None:
    """Serve until the input ends."""
    from labctl_simulators.hosts.pty import PtyHost
    from labctl_simulators.hosts.tcp import TcpHost
    from labctl_simulators.twin import build

    instrument = {"device": DEVICES[what], "chamber": "place", "serial_number": "SIM"}
    twin = build({"chambers": {"place": CHAMBERS[what]}, "instruments": {what: instrument}}, None)
    began = time.monotonic()

    def now() -> float:
        return time.monotonic() - began

    kind = PtyHost if what == "furnace" else TcpHost
    with kind(twin.sessions[what], now, delays=False) as host:
        print(host.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
