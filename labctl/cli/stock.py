"""What the cylinders of a bench hold now, and what the runs under way will still take, by the bench's memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.analysis.record import read_record
from labctl.bench.schema import Bench, Supply
from labctl.cli.memory import DATABASE
from labctl.cli.standing import standing
from labctl.engine.state import BenchState, RunState
from labctl.forecast.outlook import Stock, Take
from labctl.model.readings import Quality
from labctl.protocol.plan import Plan
from labctl.protocol.rules.core import flows
from labctl.store.reader import Latest, Reader


def stock_of(bench: Bench, folder: Path | None) -> Stock:
    """By the memory in the folder; by the bench file alone where nothing has run in it. Raises StoreError."""
    if folder is None or not (folder / DATABASE).exists():
        return Stock.of_file(bench)
    with Reader.open(folder / DATABASE) as reader:
        state, latest, now_s = standing(reader), reader.latest(), reader.newest_mono_ms() / 1000.0
        held = {name: _held_l(name, supply, state, latest) for name, supply in bench.supplies.items()}
        under_way = [r for r in state.runs.values() if r.started_s is not None and r.end_state is None]
        takes = [Take(run.run_id, _still_takes(reader, run, now_s)) for run in under_way]
    return Stock(held, tuple(takes))


def _held_l(name: str, supply: Supply, state: BenchState, latest: list[Latest]) -> float:
    """By its gauge if that was read well, else what it held less all that flowed since."""
    gauge = next((r for r in latest if f"{r.instrument}.{r.signal}" == supply.gauge), None)
    if gauge and supply.full_bar and gauge.value is not None and gauge.quality == Quality.GOOD:
        return gauge.value * supply.contents_l / supply.full_bar
    held = state.tally.get(f"supply/{name}/held_l", supply.contents_l)
    return max(0.0, held - state.tally.get(f"supply/{name}/used_l", 0.0))


def _still_takes(reader: Reader, run: RunState, now_s: float) -> Mapping[str, float]:
    """Litres by controller of the steps that are not over, as long as they were forecast to take."""
    record = read_record(reader, run.run_id)
    return remaining_l(record.plan, record.forecast, run, now_s)


def remaining_l(plan: Plan, forecast: Mapping[str, Any], run: RunState, now_s: float) -> Mapping[str, float]:
    """What the steps of a run that are not over will still take, normal litres by flow controller."""
    planned_s = {step["id"]: step["end_s"] - step["start_s"] for step in forecast.get("steps", ())}
    litres: dict[str, float] = {}
    for flow in flows(plan):
        if flow.step.id in run.done:
            continue
        active = run.active.get(flow.step.id)
        passed_s = now_s - active.started_s if active else 0.0
        seconds = max(0.0, planned_s.get(flow.step.id, 0.0) - passed_s)
        litres[flow.controller] = litres.get(flow.controller, 0.0) + flow.sccm * seconds / 60_000.0
    return litres
