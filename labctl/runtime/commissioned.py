"""Commissions where they are kept: in the stream of the bench, in the journal of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labctl.bench.api import DriverEntry
from labctl.bench.commissioning import KINDS, Commission, barred, commissions
from labctl.bench.schema import Bench
from labctl.engine.context import compile_bench
from labctl.engine.requests import barred as barred_by
from labctl.model.events import BENCH_STREAM, Event
from labctl.protocol.plan import Plan
from labctl.runtime.assembly import facts
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


def barred_from(
    plan: Plan, bench: Bench, entries: Mapping[str, DriverEntry], folder: Path, lasts_s: float = 0.0
) -> list[str]:
    """Why a plan may not energise anything on a bench now, as its controller will say it. `lasts_s`: as forecast."""
    if bench.simulated:
        return []
    bars = barred(bench, entries, recorded_in(folder), folder, utc_now_ms(), lasts_s)
    context = compile_bench(bench, facts(bench, entries), [plan])
    return barred_by(replace(context, barred=bars), plan.plan_hash)


def keep(store: Store, kind: str, data: dict[str, Any]) -> None:
    """Write one word on an instrument, for whoever holds the lock of the bench."""
    clock = RealClock(store.mono_s + 1.0)
    store.commit([Event(BENCH_STREAM, kind, data, clock.now())], clock.utc_ms)
