"""Planned against actual: every step's time, heat and gas, and every result that something is known about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labctl.analysis.model import Row, StepRecord, Verdict
from labctl.analysis.record import Record, phases
from labctl.analysis.telemetry import gas_litres, over
from labctl.protocol.plan import Cool, Cycle, Heat, Purge, Stir, Wait
from labctl.store.reader import Reader

DURATION_TOLERANCE = {"heat": 0.10, "cool": 0.30, "purge": 0.35, "cycle": 0.10, "stir": 0.01, "wait": 0.01}
"""How far a step's duration may be from its forecast, as a part of it (assumed: what a furnace of -20..+10 %
power, a room of +-5 K and a flow of +-0.3 % change). Steps that wait for a person are told, not judged."""

LEAST_TOLERANCE_S = 120.0
"""No duration is judged more sharply than this (assumed: a few scans and a confirmation)."""

MEAN_TOLERANCE_K = 3.0
"""How far the mean of a hold may be from its target at most, if its band is wider (assumed: a type K class 1
thermocouple at 750 degC)."""

GAS_TOLERANCE = 0.15
"""How far the nitrogen of a run may be from its forecast, as a part of it (assumed: it follows cooling)."""

SOAK_TOLERANCE_S = 30.0
"""A soak may end this much after its hold: the engine counts whole scans of at most 10 s (derived)."""

UNIT_KEYS = {"wt%": "wt_pct", "mAh/g": "mah_per_g", "%": "pct", "degC": "c", "L": "l", "1": ""}
"""How a unit is spelt in the key of a result; others in lower case with `/` as `_per_`."""


def result_key(quantity: str, unit: str) -> str:
    """The key of a result: `carbon` in `wt%` is `carbon_wt_pct`."""
    suffix = UNIT_KEYS.get(unit, unit.lower().replace("/", "_per_").replace(" ", "_"))
    return quantity if not suffix or quantity.endswith(f"_{suffix}") else f"{quantity}_{suffix}"


def judge(
    reader: Reader, record: Record, steps: tuple[StepRecord, ...], results: Mapping[str, float]
) -> Verdict:
    """All comparisons, those of the whole run first."""
    rows = (*_whole(record, steps, results), *_each_step(reader, record, steps))
    state = record.run.end_state or record.run.state
    if state != "COMPLETE":
        return Verdict("incomplete", rows)
    return Verdict("pass" if all(row.ok for row in rows) else "deviations", rows)


def compare(
    quantity: str,
    planned: float | None,
    actual: float | None,
    unit: str,
    tolerance: float | None,
    provenance: str,
    step: str | None = None,
) -> Row:
    """One row; what was planned and never happened is not as planned."""
    ok = planned is None or actual is not None
    if tolerance is not None and planned is not None and actual is not None:
        # A hair of slack, since both went through decimal text.
        ok = abs(actual - planned) <= tolerance * (1 + 1e-9) + 1e-9
    return Row(quantity, planned, actual, unit, tolerance, ok, provenance, step)


def _whole(record: Record, steps: tuple[StepRecord, ...], results: Mapping[str, float]) -> Iterator[Row]:
    for expected in record.plan.expected:
        key = result_key(expected.quantity, expected.unit)
        yield compare(
            key, expected.value, results.get(key), expected.unit, expected.tolerance, expected.provenance
        )
    forecast_l = record.forecast.get("nitrogen_l")
    if forecast_l is not None:
        actual_l = results.get("nitrogen_l")
        yield compare(
            "nitrogen_l", forecast_l, actual_l, "L", max(GAS_TOLERANCE * forecast_l, 1.0), "forecast"
        )
    planned_s = record.forecast.get("duration_s")
    judged = [s for s in steps if s.kind in DURATION_TOLERANCE]
    if planned_s is not None and all(s.actual_s is not None for s in judged):
        tolerance = sum(_duration_tolerance(s) for s in judged if s.planned_s is not None)
        yield compare("duration_s", planned_s, results.get("duration_s"), "s", tolerance, "forecast")


def _each_step(reader: Reader, record: Record, steps: tuple[StepRecord, ...]) -> Iterator[Row]:
    for step, at in zip(record.plan.steps, steps, strict=True):
        if at.start_s is None or at.end_s is None:
            if at.planned_s is not None:
                tolerance = _duration_tolerance(at) if at.kind in DURATION_TOLERANCE else None
                yield compare("duration", at.planned_s, None, "s", tolerance, "forecast", step.id)
            continue
        judged = at.kind in DURATION_TOLERANCE and at.planned_s is not None
        provenance = "protocol" if isinstance(step, Stir | Wait) else "forecast"
        yield compare(
            "duration",
            at.planned_s,
            at.actual_s,
            "s",
            _duration_tolerance(at) if judged else None,
            provenance,
            step.id,
        )
        during = (record.start_s + at.start_s, record.start_s + at.end_s)
        match step:
            case Heat():
                yield from _heat(reader, record, step, at)
            case Cool():
                yield _limit("temperature at the end", step.below_c, at.summary.get("end_c"), "degC", step.id)
            case Purge():
                oxygen = at.summary.get("oxygen_ppm")
                yield _limit("oxygen at the end", step.oxygen_below_ppm, oxygen, "ppm", step.id)
                litres = gas_litres(reader, step.gas, during)
                planned_l = step.flow_sccm * (at.planned_s or step.expected_s) / 60e3
                tolerance = max(DURATION_TOLERANCE["purge"] * planned_l, 1.0)
                yield compare("nitrogen", planned_l, litres, "L", tolerance, "forecast", step.id)
            case Cycle():
                cycles = at.summary.get("cycles")
                yield compare("cycles", float(step.cycles), cycles, "1", 0.0, "protocol", step.id)


def _heat(reader: Reader, record: Record, step: Heat, at: StepRecord) -> Iterator[Row]:
    holds: dict[int, list[tuple[float, float]]] = {}
    segment = 0
    for phase, start_s, end_s, data in phases(record, step.id):
        segment = data.get("segment", segment)
        if phase == "soak" and end_s > start_s:
            holds.setdefault(segment, []).append((start_s, end_s))
    soaks = at.summary.get("soaks_s", ())
    several = len(step.segments) > 1
    for number, planned in enumerate(step.segments):
        name = f" {number + 1}" if several else ""
        parts = [over(reader, step.heater, "temperature", part) for part in holds.get(number, ())]
        known = [part for part in parts if part is not None]
        readings = sum(part.readings for part in known)
        mean = sum(part.mean * part.readings for part in known) / readings if readings else None
        tolerance = min(step.band_k, MEAN_TOLERANCE_K)
        yield compare(
            f"mean temperature of hold{name}", planned.target_c, mean, "degC", tolerance, "protocol", step.id
        )
        soaked = soaks[number] if number < len(soaks) else None
        yield compare(
            f"time in band of hold{name}", planned.hold_s, soaked, "s", SOAK_TOLERANCE_S, "protocol", step.id
        )
    if step.under is not None and at.start_s is not None and at.end_s is not None:
        during = (record.start_s + at.start_s, record.start_s + at.end_s)
        flow = over(reader, step.under.instrument, "flow", during)
        tolerance = 0.05 * step.under.flow_sccm
        mean = flow.mean if flow else None
        yield compare("mean flow", step.under.flow_sccm, mean, "sccm", tolerance, "protocol", step.id)


def _limit(quantity: str, limit: float, actual: float | None, unit: str, step: str) -> Row:
    """A row for a value that must be below a limit."""
    ok = actual is not None and actual <= limit
    return Row(quantity, limit, actual, unit, 0.0, ok, "protocol", step, is_limit=True)


def _duration_tolerance(step: StepRecord) -> float:
    return max(DURATION_TOLERANCE.get(step.kind, 0.0) * (step.planned_s or 0.0), LEAST_TOLERANCE_S)
