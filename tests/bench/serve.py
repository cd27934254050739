"""Simulated instruments behind real links, in a process of their own: `python -m tests.bench.serve oven`.

Prints their addresses and serves until its input ends. Replies leave at once, without the instrument's own delay.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
TUBES = 4
A_TUBE_HAS = {"furnace": "eurotherm_epc3016", "nitrogen": "alicat_mc", "oxygen": "rapidox_1100"}
"""What "dozen" serves: four tubes with three instruments each, named furnace-1 and so on, all over TCP."""


@contextmanager
def serving(what: str) -> Iterator[str]:
    """The address of what another process serves while the block lasts; several with blanks between."""
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
    from labctl_simulators.devices.api import Session
    from labctl_simulators.hosts.pty import PtyHost
    from labctl_simulators.hosts.tcp import TcpHost
    from labctl_simulators.twin import build

    twin = build(_dozen() if what == "dozen" else _alone(what), None)
    began = time.monotonic()

    def now() -> float:
        return time.monotonic() - began

    def host(session: Session) -> PtyHost | TcpHost:
        if what == "furnace":
            return PtyHost(session, now, delays=False)
        return TcpHost(session, now, delays=False)

    with ExitStack() as opened:
        hosts = [host(session) for session in twin.sessions.values()]
        for each in hosts:
            opened.enter_context(each)
        print(*(host.address for host in hosts), flush=True)
        sys.stdin.read()


def _alone(what: str) -> dict[str, Any]:
    instrument = {"device": DEVICES[what], "chamber": "place", "serial_number": "SIM"}
    return {"chambers": {"place": CHAMBERS[what]}, "instruments": {what: instrument}}


def _dozen() -> dict[str, Any]:
    chambers = {f"tube-{n}": CHAMBERS["furnace"] for n in range(1, TUBES + 1)}
    instruments = {
        f"{name}-{n}": {"device": device, "chamber": f"tube-{n}", "serial_number": "SIM"}
        for n in range(1, TUBES + 1)
        for name, device in A_TUBE_HAS.items()
    }
    return {"chambers": chambers, "instruments": instruments}


if __name__ == "__main__":
    main(sys.argv[1])
