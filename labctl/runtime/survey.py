"""A look at every instrument of a bench: by asking them, or, while a controller owns them, by reading its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from labctl.bench.api import DriverEntry, Quality
from labctl.bench.schema import Bench
from labctl.model.events import BENCH_STREAM
from labctl.model.readings import SILENT
from labctl.runtime.assembly import bus_of, connections
from labctl.runtime.backdoor import Backdoor
from labctl.runtime.clock import BenchClock, RealClock, utc_now_ms, wall_s
from labctl.runtime.folder import DATABASE
from labctl.runtime.instruments import Instruments, Threaded
from labctl.store import Reader

READ_WITHIN_S = 15.0
"""One reading of every instrument takes less, time-outs of a slow line included (assumed)."""


class Seen(NamedTuple):
    """A reading: value in `unit`, None where there is none; how old it is in s, None when nobody can tell."""

    signal: str
    value: float | None
    unit: str
    quality: Quality
    age_s: float | None


@dataclass(slots=True)
class Look:
    """What is known of an instrument. audit: as `Audit.to_json`. problem: why it cannot be reached, or could not be.

    reachable: None when nobody has tried.
    """

    audit: dict[str, Any] | None = None
    problem: str | None = None
    readings: tuple[Seen, ...] = ()

    @property
    def reachable(self) -> bool | None:
        """The newest readings tell; without any, the audit."""
        if self.readings:
            return any(seen.quality is not SILENT for seen in self.readings)
        if self.problem is not None:
            return False
        return None if self.audit is None else True

    def failures(self) -> list[str]:
        """The items of the audit that are not as wanted, in words."""
        items = self.audit["items"] if self.audit else ()
        return [f"{i['item']} is {i['found']}, wanted {i['wanted']}" for i in items if not i["ok"]]


@dataclass(frozen=True, slots=True)
class Survey:
    """Every instrument of a bench by name. controller: pid of the controller whose record was read instead, or None.

    audited_utc_ms: when those audits were made, Unix ms.
    """

    looks: Mapping[str, Look]
    controller: int | None = None
    audited_utc_ms: Mapping[str, int] = field(default_factory=dict)


def asked(bench: Bench, entries: Mapping[str, DriverEntry]) -> Survey:
    """Open, audit and read each instrument once, each bus at its own pace, and close them: nothing is ever written.

    For whoever holds the lock of the bench.
    """
    clock = RealClock(speed=bench.speed)
    door = Backdoor(bench.backdoor) if bench.simulated and bench.backdoor else None
    made = connections(bench, entries, lambda bus: clock, admit=door.admit if door else None)
    instruments = Threaded(made, {bus_of(bench, name): clock for name in made}, wait=False)
    try:
        return Survey(looked_at(instruments, clock))
    finally:
        instruments.close()


def looked_at(instruments: Instruments, clock: BenchClock) -> dict[str, Look]:
    """Open, audit and read instruments once."""
    instruments.connect_all()
    looks = {
        name: Look(c.audit.to_json() if c.audit else None, c.problem)
        for name, c in instruments.connections.items()
    }
    answering = [name for name, look in looks.items() if look.problem is None]
    for name, readings in instruments.read(answering, clock.now(), wall_s() + READ_WITHIN_S):
        signals = instruments.connections[name].driver.signals
        looks[name].readings = tuple(
            Seen(signal.name, r.value, r.unit, r.quality, max(0.0, clock.now() - r.t_s))
            for signal, r in zip(signals, readings, strict=True)
        )
    return looks


def remembered(folder: Path, bench: Bench, controller: int) -> Survey:
    """The newest readings and audits in the record of a bench whose controller has this pid.

    Raises StoreError.
    """
    looks = {name: Look() for name in bench.instruments}
    when: dict[str, int] = {}
    if not (folder / DATABASE).exists():  # it has only just begun
        return Survey(looks, controller)
    with Reader.open(folder / DATABASE) as reader:
        for fact in reader.facts(BENCH_STREAM, kinds=("audit",)):
            data = fact.event.data
            if data["instrument"] in looks:
                look = looks[data["instrument"]]
                look.problem = data["problem"]
                if "items" in data:
                    look.audit = {"identity": data["identity"], "items": data["items"]}
                    when[data["instrument"]] = fact.utc_ms
        latest = reader.latest()
        # a controller in virtual time is as old as its own newest scan
        now_ms = max((r.utc_ms for r in latest), default=0) if bench.in_process else utc_now_ms()
        for r in latest:
            if r.instrument in looks:
                age_s = max(0.0, (now_ms - r.utc_ms + r.age_ms) / 1000.0)
                looks[r.instrument].readings += (Seen(r.signal, r.value, r.unit, Quality(r.quality), age_s),)
    return Survey(looks, controller, when)
