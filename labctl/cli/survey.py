"""Looking at a bench from the command line: whoever has its lock asks, everybody else reads its controller's record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from labctl.bench.api import DriverEntry
from labctl.bench.schema import Bench
from labctl.errors import BenchLockedError
from labctl.runtime.assembly import bus_of, connections
from labctl.runtime.clock import BusClock, VirtualClock
from labctl.runtime.folder import Lock, controller_of, locked
from labctl.runtime.instruments import Inline
from labctl.runtime.survey import Survey, asked, looked_at, remembered


def survey(folder: Path, bench: Bench, entries: Mapping[str, DriverEntry], doing: str) -> Survey:
    """What is known of every instrument of a bench now.

    doing: the verb that looks, for others who find the bench taken. Raises BenchLockedError when somebody has it who is
    no controller.
    """
    try:
        with Lock(folder, doing):
            return _in_process(bench, entries) if bench.in_process else asked(bench, entries)
    except BenchLockedError:
        owner = controller_of(folder)
        if owner is None or "doing" in owner:
            raise locked(folder, owner or {}) from None
        return remembered(folder, bench, owner["pid"])


def _in_process(bench: Bench, entries: Mapping[str, DriverEntry]) -> Survey:
    """A simulated bench that nobody runs has instruments for as long as somebody looks at them."""
    from labctl.twin import Mounted, build, spec

    clocks = {bus_of(bench, name): BusClock() for name in bench.instruments}
    links = {name: entries[i.driver].link for name, i in bench.instruments.items()}
    twin = build(spec(bench, entries), None)
    with Mounted(twin, bench, lambda name: clocks[bus_of(bench, name)], links):
        instruments = Inline(connections(bench, entries, clocks.__getitem__), clocks)
        try:
            return Survey(looked_at(instruments, VirtualClock()))
        finally:
            instruments.close()
