"""Commissions where they are kept: in the stream of the bench, in the journal of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.bench.api import DriverEntry
from labctl.bench.commissioning import KINDS, Commission, barred, commissions
from labctl.bench.schema import Bench
from labctl.model.events import BENCH_STREAM, Event
from labctl.protocol.plan import Plan
from labctl.runtime.clock import RealClock, utc_now_ms
from labctl.runtime.folder import DATABASE
from labctl.store import Reader, Store


def recorded(reader: Reader) -> dict[str, Commission]:
    """The newest commission of each instrument."""
    facts = reader.facts(BENCH_STREAM, kinds=KINDS)
    return commissions((fact.event.kind, fact.event.data, fact.utc_ms) for fact in facts)


def recorded_in(folder: Path) -> dict[str, Commission]:
    """As `recorded`, of a bench folder that may have no memory yet."""
    if not (folder / DATABASE).exists():
        return {}
    with Reader.open(folder / DATABASE) as reader:
        return recorded(reader)


def barred_from(plan: Plan, bench: Bench, entries: Mapping[str, DriverEntry], folder: Path) -> list[str]:
    """Why a plan may not energise anything on a bench now, as the controller will say it."""
    known = {} if bench.simulated else recorded_in(folder)
    bars = barred(bench, entries, known, utc_now_ms(), folder)
    chamber_of = {name: i.chamber for name, i in bench.instruments.items() if i.chamber}
    return [bars[name] for name in sorted(plan.energised(chamber_of) & bars.keys())]


def keep(store: Store, kind: str, data: dict[str, Any]) -> None:
    """Write one word on an instrument, for whoever holds the lock of the bench."""
    clock = RealClock(store.mono_s + 1.0)
    store.commit([Event(BENCH_STREAM, kind, data, clock.now())], clock.utc_ms)
