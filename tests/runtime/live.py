"""The small bench in real time: its twin behind TCP ports and pseudo terminals, as real instruments would stand there.

Run as a program, it serves such a bench in a folder until its stdin closes: `python -m tests.runtime.live FOLDER`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from labctl.bench.commissioning import COMMISSIONED
from labctl.bench.discovery import drivers
from labctl.bench.loader import find_bench, load_bench
from labctl.runtime.commissioned import keep
from labctl.runtime.serve import open_store
from labctl.twin import build, spec
from labctl_simulators.devices.api import Replies, Session
from labctl_simulators.hosts.pty import PtyHost
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.twin import Twin

ON_A_TERMINAL = ("hotplate", "oxygen")
"""Served as pseudo terminals, the others over TCP."""


class Wire:
    """A session whose requests are counted, and which can be struck dumb."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.requests: list[bytes] = []
        self.dumb = False

    def feed(self, data: bytes, now_s: float) -> Replies:
        self.requests.append(data)
        return [] if self.dumb else self.session.feed(data, now_s)


class LiveBench:
    """A bench folder whose instruments answer in real time."""

    def __init__(self, folder: Path, twin: Twin, wires: dict[str, Wire], now: Callable[[], float]) -> None:
        self.folder = folder
        self.twin = twin
        self.wires = wires
        self.now = now

    def truth(self) -> dict[str, Any]:
        self.twin.advance_to(self.now())
        return self.twin.truth()

    @property
    def bytes_received(self) -> int:
        return sum(len(request) for wire in self.wires.values() for request in wire.requests)


def commission(folder: Path) -> None:
    """Record that a person stands for every instrument of the bench in `folder`, without asking one of them."""
    bench = load_bench(folder)
    with closing(open_store(folder, bench)) as store:
        for name, instrument in bench.instruments.items():
            items = [{"item": item.text} for item in drivers()[instrument.driver].unknowns]
            data = {
                "instrument": name,
                "driver": instrument.driver,
                "by": "ada",
                "items": items,
                "failed": [],
            }
            keep(store, COMMISSIONED, data | {"serial_number": instrument.serial_number})


@contextmanager
def live_bench(
    folder: Path,
    *,
    dumb: Sequence[str] = (),
    seed: int | None = None,
    commissioned: bool = True,
    shared: bool = False,
) -> Iterator[LiveBench]:
    """The small bench, written to `folder` with the addresses at which it now answers; shared: its oven is.

    Nothing claims it as simulated, so that to labctl it is real.
    """
    folder.mkdir(exist_ok=True)
    bench = load_bench("small")
    started = time.monotonic()

    def now() -> float:
        return time.monotonic() - started

    entries = drivers()
    twin = build(spec(bench, entries), seed)
    wires = {name: Wire(session) for name, session in twin.sessions.items()}
    written = yaml.safe_load(find_bench("small").read_text())
    with ExitStack() as hosts:
        for name, wire in wires.items():
            wire.dumb = name in dumb
            if name in ON_A_TERMINAL:
                address = hosts.enter_context(PtyHost(wire, now)).address
            else:
                host = hosts.enter_context(TcpHost(wire, now))
                visa = entries[bench.instruments[name].driver].link == "visa"
                address = f"visa://{host.resource}" if visa else host.address
            instrument = written["instruments"][name]
            instrument["address"] = address
            options = instrument.get("options", {})
            instrument["options"] = {k: v for k, v in options.items() if not k.startswith("sim_")}
        if shared:
            written["chambers"]["drying-oven"]["shared"] = True
        (folder / "bench.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
        if commissioned:
            commission(folder)
        yield LiveBench(folder, twin, wires, now)


if __name__ == "__main__":
    with live_bench(Path(sys.argv[1]), dumb=sys.argv[2:]) as bench:
        print(bench.folder, flush=True)
        sys.stdin.read()
