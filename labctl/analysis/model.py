"""What analysis says of a run: frozen data, ready for a report, a table or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labctl.analysis.capacity import CycleSummary, Floats, HalfCycle
from labctl.protocol.plan import Plan

Outcome = Literal["pass", "deviations", "incomplete"]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison of what was planned with what happened.

    tolerance: how far `actual` may be from `planned`, in `unit`; None: told, not judged.
    provenance: where the planned number comes from ("paper", "derived", "assumed", "forecast", "protocol", "recipe").
    step: id of the step it belongs to, or None for the run as a whole.
    is_limit: `actual` may be anything up to `planned`.
    """

    quantity: str
    planned: float | None
    actual: float | None
    unit: str
    tolerance: float | None
    ok: bool
    provenance: str
    step: str | None = None
    is_limit: bool = False

    def as_json(self) -> dict[str, Any]:
        """The row with the keys that faces promise."""
        return {
            "quantity": f"{self.step}: {self.quantity}" if self.step else self.quantity,
            "step": self.step,
            "planned": self.planned,
            "actual": self.actual,
            "unit": self.unit,
            "tolerance": self.tolerance,
            "ok": self.ok,
            "provenance": self.provenance,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """All comparisons. outcome "pass": the run is complete and every judged row is within its tolerance."""

    outcome: Outcome
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """The verdict with the keys that faces promise."""
        return {"outcome": self.outcome, "rows": [row.as_json() for row in self.rows]}


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as planned and as it went, in seconds since the run started; None: not planned, not yet.

    left_out: why it was not begun, where what it asks for did not hold.
    """

    id: str
    kind: str
    title: str
    planned_start_s: float | None
    planned_end_s: float | None
    start_s: float | None
    end_s: float | None
    summary: dict[str, Any] = field(default_factory=dict)
    left_out: str | None = None

    @property
    def planned_s(self) -> float | None:
        """Planned duration in seconds."""
        if self.planned_start_s is None or self.planned_end_s is None:
            return None
        return self.planned_end_s - self.planned_start_s

    @property
    def actual_s(self) -> float | None:
        """Duration in seconds, once done."""
        return None if self.start_s is None or self.end_s is None else self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Remark:
    """Something out of the ordinary: an alarm, a trip, a change of state, a command that did not succeed."""

    at_s: float
    kind: str
    text: str

    @property
    def is_alarm(self) -> bool:
        """An alarm was raised, or a guard tripped."""
        return self.kind == "trip" or self.kind.startswith("alarm,")


@dataclass(frozen=True, slots=True)
class EnteredValue:
    """A value that a person, or the simulated operator, entered."""

    step: str
    name: str
    value: float
    unit: str
    by: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of a reagent in all: `wanted` and `taken` in `unit` (g or mL), and what is known of its bottles.

    lots: how much of each lot; "" where nobody told it.
    """

    step: str
    reagent: str
    lots: Mapping[str, float]
    purity_wt_pct: float | None
    wanted: float
    taken: float
    unit: str
    deviation_pct: float
    tolerance_pct: float
    verdict: str
    instrument: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Series:
    """One signal over the whole run, thinned out: seconds since the start, and values in `unit`.

    Of every stretch of time the least and the greatest good value are kept, so that no excursion is lost.
    NaN separates stretches without readings.
    """

    instrument: str
    signal: str
    unit: str
    t_s: Floats
    value: Floats


@dataclass(frozen=True, slots=True)
class Profile:
    """The temperature a heater was forecast to have: seconds since the start, and degC or None while unused."""

    instrument: str
    t_s: tuple[float, ...]
    value: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A run, read from the record alone. Times are seconds since the run started.

    watched_s: when its chambers were released from custody, which may be after the run's own end at `duration_s`.
    """

    run_id: str
    plan: Plan
    state: str
    reason: str | None
    simulated: bool
    seed: int | None
    started_utc: str
    duration_s: float
    watched_s: float
    planned_s: float | None
    steps: tuple[StepRecord, ...]
    verdict: Verdict
    results: dict[str, float]
    series: tuple[Series, ...]
    profiles: tuple[Profile, ...]
    halves: tuple[HalfCycle, ...]
    cycles: tuple[CycleSummary, ...]
    active_mass_g: float | None
    remarks: tuple[Remark, ...]
    entered: tuple[EnteredValue, ...]
    taken: tuple[Taken, ...]
    journal_head: str
    journal_rows: int
