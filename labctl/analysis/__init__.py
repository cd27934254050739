"""What it means: a run judged from the record alone, never from the plant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from labctl.analysis.capacity import CycleSummary, HalfCycle, half_cycles, summarise
from labctl.analysis.model import Analysis, EnteredValue, Row, StepRecord, Verdict
from labctl.analysis.record import Record, entered_values, read_record, reagents_taken, remarks, step_records
from labctl.analysis.telemetry import charted, cycler_samples, gas_litres, profiles
from labctl.analysis.verdict import judge, result_key
from labctl.protocol.plan import ACTIVE_MASS, Cycle, Gas, Heat, LeakCheck, Purge
from labctl.store.reader import Reader

__all__ = ["Analysis", "Row", "Verdict", "analyse", "cell_tests", "result_key"]


def analyse(reader: Reader, run_id: str, *, charts: bool = True) -> Analysis:
    """Judge a run, ended or not. Without `charts` the series are left out, which saves most of the time.

    Raises:
        UsageError: there is no such run.
        StoreError: the record cannot be read.
    """
    record = read_record(reader, run_id)
    plan, run = record.plan, record.run
    steps = step_records(record)
    entered = entered_values(record)
    tests = list(_cycling(reader, record, steps, entered))
    last = tests[-1] if tests else Cycling("", [], [], _mass_g(entered, ACTIVE_MASS))
    results = _results(reader, record, steps, entered, tests)
    return Analysis(
        run_id=run_id,
        plan=plan,
        state=run.end_state or run.state,
        reason=run.reason,
        simulated=run.simulated or plan.simulated or reader.identity().simulated,
        seed=run.seed,
        started_utc=datetime.fromtimestamp(record.started_utc_ms / 1000, UTC).isoformat(),
        duration_s=record.end_s - record.start_s,
        watched_s=record.watched_s - record.start_s,
        planned_s=record.forecast.get("duration_s"),
        steps=steps,
        verdict=judge(reader, record, steps, results),
        results=results,
        series=charted(reader, record) if charts else (),
        profiles=profiles(record),
        halves=tuple(last.halves),
        cycles=tuple(last.cycles),
        active_mass_g=last.mass_g,
        remarks=remarks(record),
        entered=entered,
        taken=reagents_taken(record),
        journal_head=record.head,
        journal_rows=record.rows,
    )


def cell_tests(reader: Reader, run_id: str) -> list[tuple[str | None, list[CycleSummary]]]:
    """The cycles of each cycling step of a run, and for which of its samples. Raises as `analyse`."""
    record = read_record(reader, run_id)
    tests = _cycling(reader, record, step_records(record), entered_values(record))
    return [(record.plan.step(test.step).sample, test.cycles) for test in tests]


class Cycling(NamedTuple):
    """What one cycling step gave. mass_g: of the cell that it cycled, None when nobody entered it."""

    step: str
    halves: list[HalfCycle]
    cycles: list[CycleSummary]
    mass_g: float | None


def _cycling(
    reader: Reader, record: Record, steps: tuple[StepRecord, ...], entered: tuple[EnteredValue, ...]
) -> Iterator[Cycling]:
    """Every cycling step that was begun, in order."""
    for step, at in zip(record.plan.steps, steps, strict=True):
        if isinstance(step, Cycle) and at.start_s is not None:
            end_s = record.end_s if at.end_s is None else record.start_s + at.end_s
            samples = cycler_samples(reader, step, (record.start_s + at.start_s, end_s))
            halves = half_cycles(*samples, lower_v=step.lower_v, upper_v=step.upper_v)
            mass_g = _mass_g(entered, step.mass)
            yield Cycling(step.id, halves, summarise(halves, mass_g), mass_g)


def _mass_g(entered: tuple[EnteredValue, ...], name: str) -> float | None:
    return next((e.value / 1000 for e in reversed(entered) if e.name == name and e.unit == "mg"), None)


def _results(
    reader: Reader,
    record: Record,
    steps: tuple[StepRecord, ...],
    entered: tuple[EnteredValue, ...],
    tests: list[Cycling],
) -> dict[str, float]:
    """What came out, by quantity with its unit in the key. `duration_s` is that of the run.

    Where several steps cycled, those of each stand under `STEP/` too; without it, those of the last.
    """
    results = {result_key(e.name, e.unit): e.value for e in entered if e.name != "keep"}
    for at in steps:
        for name, value in at.summary.get("derived", {}).items():
            results[result_key(name, "%" if name == "solvent_loss" else "1")] = value
    purges = [
        at.actual_s
        for step, at in zip(record.plan.steps, steps, strict=True)
        if isinstance(step, Purge) and at.actual_s
    ]
    if purges:
        results["purge_s"] = sum(purges)
    litres = [gas_litres(reader, name, record.interval) for name in _gases(record)]
    if any(each is not None for each in litres):
        results["nitrogen_l"] = sum(each for each in litres if each is not None)
    for test in tests:
        found = _of_cycles(test.cycles)
        results |= found
        if len(tests) > 1:
            results |= {f"{test.step}/{key}": value for key, value in found.items()}
    results["duration_s"] = record.end_s - record.start_s
    return results


def _of_cycles(cycles: list[CycleSummary]) -> dict[str, float]:
    """Of the first cycle, and how much of its discharge capacity is left in the last one."""
    if not cycles:
        return {}
    first, last = cycles[0], cycles[-1]
    found = {
        "charge_capacity_mah_per_g": first.charge_mah_per_g,
        "discharge_capacity_mah_per_g": first.discharge_mah_per_g,
        "coulombic_efficiency": first.coulombic_efficiency,
    }
    if len(cycles) > 1 and first.discharge_mah and last.discharge_mah:
        found["capacity_retention_pct"] = 100.0 * last.discharge_mah / first.discharge_mah
    return {key: value for key, value in found.items() if value is not None}


def _gases(record: Record) -> list[str]:
    """The flow controllers that the plan uses, each once."""
    names = []
    for step in record.plan.steps:
        if isinstance(step, Purge | LeakCheck):
            names.append(step.gas)
        under = step.under if isinstance(step, Heat) else None
        if isinstance(under, Gas):
            names.append(under.instrument)
    return list(dict.fromkeys(names))
