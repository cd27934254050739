"""Planned against actual: every step's time, heat and gas, and every result that something is known about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labctl.analysis.model import Row, StepRecord, Verdict
from labctl.analysis.record import Record, phases, reagents_taken
from labctl.analysis.telemetry import gas_litres, over
from labctl.protocol.plan import AnyStep, Cool, Cycle, Dispense, Heat, Purge, Stir, Wait, Weigh
from labctl.store.reader import Reader

DURATION_TOLERANCE = {"heat": 0.10, "cool": 0.12, "purge": 0.10, "cycle": 0.05, "stir": 0.01, "wait": 0.01}
"""How far a step's duration may be from its forecast, as a part of it; of heating, as a part of what is not hold.

Assumed, with room above what simulated furnaces of -20..+10 % power in rooms of +-5 K showed: 3 % of heating, 6 % of
cooling (its end hangs on the room), 1 % of the rest. Steps that wait for a person are told, not judged.
"""

LEAST_TOLERANCE_S = {"heat": 300.0}
LEAST_TOLERANCE_OTHERWISE_S = 120.0
"""No duration is judged more sharply (assumed: forecasts look at an oven every 60 s, at a tube every 20 s)."""

MEAN_TOLERANCE_K = 1.5
"""How far the mean of a hold may be from its target at most, if its band is wider (assumed: the controller's own
thermocouple, with the overshoot of a short hold; what the thermocouple is off by does not show here)."""

FLOW_TOLERANCE = 0.02
"""How far the mean flow of a stage may be from its setpoint, as a part of it (assumed: above a controller's 1 %)."""

GAS_TOLERANCE = 0.05
LEAST_TOLERANCE_L = 0.5
"""How far nitrogen may be from its forecast, as a part of it, and at least (assumed: it follows cooling)."""

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
    complete = (record.run.end_state or record.run.state) == "COMPLETE"
    rows = (*_whole(record, steps, results, complete), *_each_step(reader, record, steps))
    if not complete:
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


def _whole(
    record: Record, steps: tuple[StepRecord, ...], results: Mapping[str, float], complete: bool
) -> Iterator[Row]:
    """Rows of the run as a whole. What a run used before it ended early is told, not judged."""
    for expected in record.plan.expected:
        key = result_key(expected.quantity, expected.unit)
        key = f"{expected.step}/{key}" if expected.step else key
        yield compare(
            key, expected.value, results.get(key), expected.unit, expected.tolerance, expected.provenance
        )
    forecast_l = record.forecast.get("nitrogen_l")
    actual_l = results.get("nitrogen_l")
    if forecast_l is not None and (forecast_l or actual_l is not None):
        # of a run without gas there is nothing to say
        tolerance = max(GAS_TOLERANCE * forecast_l, LEAST_TOLERANCE_L) if complete else None
        yield compare("nitrogen_l", forecast_l, actual_l, "L", tolerance, "forecast")
    planned_s = record.forecast.get("duration_s")
    tolerances = [_duration_tolerance(*each) for each in zip(record.plan.steps, steps, strict=True)]
    if planned_s is not None and complete:
        shared = any(at.summary.get("shared") for at in steps)
        tolerance = None if shared else sum(t for t in tolerances if t is not None)
        yield compare("duration_s", planned_s, results.get("duration_s"), "s", tolerance, "forecast")


def _each_step(reader: Reader, record: Record, steps: tuple[StepRecord, ...]) -> Iterator[Row]:
    taken = {each.step: each for each in reagents_taken(record)}
    for step, at in zip(record.plan.steps, steps, strict=True):
        if at.left_out is not None:
            continue
        tolerance = _duration_tolerance(step, at)
        provenance = "protocol" if isinstance(step, Stir | Wait) else "forecast"
        if at.planned_s is not None or at.actual_s is not None:
            yield compare("duration", at.planned_s, at.actual_s, "s", tolerance, provenance, step.id)
        if at.start_s is None or at.end_s is None:
            continue
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
                tolerance = max(DURATION_TOLERANCE["purge"] * planned_l, LEAST_TOLERANCE_L)
                yield compare("nitrogen", planned_l, litres, "L", tolerance, "forecast", step.id)
            case Weigh() | Dispense() if step.id in taken:
                what, portion = taken[step.id], step.portion
                tolerance = portion.tolerance_pct / 100.0 * what.wanted
                source = "recipe" if portion.follows else "protocol"
                name = f"{portion.reagent} taken"
                yield compare(name, what.wanted, what.taken, portion.unit, tolerance, source, step.id)
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
        tolerance = FLOW_TOLERANCE * step.under.flow_sccm
        mean = flow.mean if flow else None
        yield compare("mean flow", step.under.flow_sccm, mean, "sccm", tolerance, "protocol", step.id)


def _limit(quantity: str, limit: float, actual: float | None, unit: str, step: str) -> Row:
    """A row for a value that must be below a limit."""
    ok = actual is not None and actual <= limit
    return Row(quantity, limit, actual, unit, 0.0, ok, "protocol", step, is_limit=True)


def _duration_tolerance(step: AnyStep, at: StepRecord) -> float | None:
    """In s; None for a step whose duration is not judged: others who shared its oven heated it, or kept it hot."""
    if step.kind not in DURATION_TOLERANCE or at.planned_s is None or at.summary.get("shared"):
        return None
    held_s = sum(segment.hold_s for segment in step.segments) if isinstance(step, Heat) else 0.0
    least_s = LEAST_TOLERANCE_S.get(step.kind, LEAST_TOLERANCE_OTHERWISE_S)
    return max(DURATION_TOLERANCE[step.kind] * (at.planned_s - held_s), least_s)
