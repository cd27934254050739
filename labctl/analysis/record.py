"""What the journal says of a run: its plan, its forecast, its steps, and everything out of the ordinary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic import ValidationError as SchemaError

from labctl.analysis.model import EnteredValue, Remark, StepRecord, Taken
from labctl.errors import StoreError
from labctl.model.events import BENCH_STREAM, Event
from labctl.protocol.plan import Plan
from labctl.store.reader import Fact, Reader, Run

QUIET_TRIGGERS = frozenset({"START", "DONE"})
"""Changes of state that every run goes through."""


@dataclass(frozen=True, slots=True)
class Record:
    """A run's journal, read once, with what the bench did meanwhile and until its chambers were cold.

    start_s: bench clock at START; end_s: at the run's last fact; watched_s: at the end of custody.
    """

    run: Run
    plan: Plan
    forecast: dict[str, Any]
    events: tuple[Event, ...]
    start_s: float
    end_s: float
    watched_s: float
    started_utc_ms: int
    head: str
    rows: int

    @property
    def interval(self) -> tuple[float, float]:
        """Bench time of the first and the last moment of the run, in seconds."""
        return self.start_s, self.end_s

    def of(self, *kinds: str) -> Iterable[Event]:
        """The events of these kinds, in order."""
        return (event for event in self.events if event.kind in kinds)


def read_record(reader: Reader, run_id: str) -> Record:
    """Read a run's journal.

    Raises:
        UsageError: there is no such run.
        StoreError: its plan is missing or cannot be read.
    """
    run = reader.run(run_id)
    facts = reader.facts(run_id)
    first, end_s = reader.interval(run_id)
    started = next((f for f in facts if f.event.data.get("trigger") == "START"), facts[0])
    events = [f.event for f in facts]
    watched, watched_s = _custody(reader, events, end_s)
    meanwhile = reader.events(BENCH_STREAM, kinds=("tripped", "alarm", "bypassed", "bypass_ended"))
    events += [e for e in meanwhile if first <= e.t_s <= end_s] + watched
    rows, head = reader.streams()[run_id]
    return Record(
        run=run,
        plan=_plan(reader, _newest_plan(facts)),
        forecast=next((f.event.data for f in reversed(facts) if f.event.kind == "run_forecast"), {}),
        events=tuple(sorted(events, key=lambda event: event.t_s)),
        start_s=started.event.t_s,
        end_s=end_s,
        watched_s=watched_s,
        started_utc_ms=started.utc_ms,
        head=head,
        rows=rows,
    )


def _custody(reader: Reader, events: list[Event], end_s: float) -> tuple[list[Event], float]:
    """What happened after the run to the chambers that it left hot or under gas, and until when: release, or now."""
    left = {e.data["chamber"] for e in events if e.kind == "custody_opened"}
    found = []
    for event in reader.events(BENCH_STREAM, kinds=("custody_gas_stopped", "custody_closed")):
        if event.data["chamber"] in left and event.t_s >= end_s:
            found.append(event)
            if event.kind == "custody_closed":
                left.discard(event.data["chamber"])
    if left:
        return found, max(end_s, reader.newest_mono_ms() / 1000)
    return found, max([end_s, *(event.t_s for event in found)])


def _newest_plan(facts: Sequence[Fact]) -> dict[str, Any]:
    """What names the plan that the run followed last."""
    revised = [f.event.data for f in facts if f.event.kind == "plan_revised"]
    return facts[0].event.data | ({"plan_document": revised[-1]["plan_document"]} if revised else {})


def _plan(reader: Reader, created: dict[str, Any]) -> Plan:
    """The plan of a run. `plan_document` names its text; else the plan's hash does."""
    data = json.loads(reader.document(created.get("plan_document") or created["plan"]))
    for parameter in data.get("parameters", ()):
        parameter.setdefault("text", f"{parameter['value']} {parameter['unit']}".strip())
    try:
        return Plan.model_validate(data)
    except SchemaError as error:
        raise StoreError(f"the plan of {created.get('run')} cannot be read: {error}") from error


def step_records(record: Record) -> tuple[StepRecord, ...]:
    """Every step of the plan, as forecast and as it went."""
    planned = {step["id"]: step for step in record.forecast.get("steps", ())}
    origin = min((step["start_s"] for step in planned.values()), default=0.0)
    started = {e.data["id"]: e.t_s - record.start_s for e in reversed(list(record.of("step_started")))}
    done = {e.data["id"]: e for e in record.of("step_done")}
    skipped = {e.data["id"]: e.data["because"] for e in record.of("step_skipped")}
    records = []
    for step in record.plan.steps:
        forecast, ended = planned.get(step.id), done.get(step.id)
        records.append(
            StepRecord(
                id=step.id,
                kind=step.kind,
                title=step.title,
                planned_start_s=forecast["start_s"] - origin if forecast else None,
                planned_end_s=forecast["end_s"] - origin if forecast else None,
                start_s=started.get(step.id),
                end_s=ended.t_s - record.start_s if ended else None,
                summary=ended.data.get("summary", {}) if ended else {},
                left_out=skipped.get(step.id),
            )
        )
    return tuple(records)


def phases(record: Record, step_id: str) -> list[tuple[str, float, float, dict[str, Any]]]:
    """The phases of a step as (phase, from, to, data), bench clock in seconds."""
    found: list[tuple[str, float, float, dict[str, Any]]] = []
    entered = [e for e in record.of("step_phase", "step_done") if e.data["id"] == step_id]
    for event, following in pairwise(entered):
        if event.kind == "step_phase":
            found.append((event.data["phase"], event.t_s, following.t_s, event.data.get("data", {})))
    return found


def entered_values(record: Record) -> tuple[EnteredValue, ...]:
    """Every value that answered a prompt, with the unit that was asked for."""
    units = {
        (prompt.data["id"], entry["name"]): entry["unit"]
        for prompt in record.of("prompt")
        for entry in prompt.data.get("enter", ())
    }
    return tuple(
        EnteredValue(
            step=answer.data["prompt"],
            name=name,
            value=value,
            unit=units.get((answer.data["prompt"], name), ""),
            by=answer.data.get("actor", ""),
            at_s=answer.t_s - record.start_s,
        )
        for answer in record.of("answered")
        for name, value in answer.data.get("values", {}).items()
    )


def reagents_taken(record: Record) -> tuple[Taken, ...]:
    """What was weighed and dispensed, each portion with what was topped up later, in the order of the first."""
    portions: dict[str, list[Event]] = {}
    for event in record.of("taken"):
        portions.setdefault(event.data["of"], []).append(event)
    facts = ("reagent", "purity_wt_pct", "wanted", "taken", "unit", "deviation_pct", "tolerance_pct")
    return tuple(
        Taken(
            step=step,
            lots=_lots(weighings),
            **{name: weighings[-1].data[name] for name in (*facts, "verdict", "instrument")},
            at_s=weighings[-1].t_s - record.start_s,
        )
        for step, weighings in portions.items()
    )


def _lots(weighings: Iterable[Event]) -> dict[str, float]:
    """How much of each lot a portion has, with what topped it up."""
    lots: dict[str, float] = {}
    for data in (event.data for event in weighings):
        if data["read"] == data["taken"]:
            lots = {}  # nothing was there before
        for lot, amount in data.get("lots", {data.get("lot", ""): data["read"]}).items():
            lots[lot] = round(lots.get(lot, 0.0) + amount, 6)
    return lots


def remarks(record: Record) -> tuple[Remark, ...]:
    """Alarms, trips, changes of state that not every run has, safe states, and commands that did not succeed."""
    found = []
    made_safe: set[str] = set()
    for event in record.events:
        at_s, data = event.t_s - record.start_s, event.data
        if event.kind == "safe_started" and data["then"] != "complete":
            made_safe.add(data["chamber"])
        elif event.kind == "safe_item" and data.get("confirmed") and data["chamber"] in made_safe:
            text = f"{data['chamber']}: {data['item'].replace('_', ' ')} confirmed"
            found.append(Remark(at_s, "safe state", text))
            continue
        described = _remark(event)
        if described is not None:
            found.append(Remark(at_s, *described))
    return tuple(found)


def _of_alarm(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """What became of an alarm, where it is of interest afterwards; one that was not shown is none."""
    text = str(data["message"] or data["id"])
    match data["trigger"]:
        case "active" | "realarm" | "unshelve" | "release" | "return" if data["to"] == "UNACK":
            again = "" if data["trigger"] == "active" else " (again)"
            return f"alarm, {data['priority']}", f"{text}{again}"
        case "clear" if data["to"] not in HIDDEN:
            return "alarm over", text
        case "ack":
            return "acknowledged", f"{data['id']} by {data['by']}"
        case "shelve" | "remove":
            word = "shelved" if data["trigger"] == "shelve" else "out of service"
            return word, f"{data['id']} by {data['by']}: {data['reason']}"
        case _:
            return None


HIDDEN = ("SHELVED", "SUPPRESSED", "OUT_OF_SERVICE")
"""States of an alarm in which nobody is told of it."""


def _remark(event: Event) -> tuple[str, str] | None:
    data = event.data
    match event.kind:
        case "tripped":
            return "trip", f"{data.get('message', data.get('guard'))}: {data.get('action', '')}".removesuffix(
                ": "
            )
        case "alarm":
            return _of_alarm(data)
        case "bypassed":
            return "bypass", f"{data['id']} only tells, by {data['by']}: {data['reason']}"
        case "bypass_ended":
            return "bypass over", f"{data['id']}: {data['cause']}"
        case "state_changed" if data.get("trigger") not in QUIET_TRIGGERS:
            by = f", by {data['actor']}" if data.get("actor") else ""
            return str(data["trigger"]).lower(), f"{data.get('reason') or data['to']}{by}"
        case "result" if data["outcome"] != "ok":
            return f"command {data['outcome']}", str(data.get("detail", data["id"]))
        case "safe_started" if data["then"] != "complete":
            items = ", then ".join(item.replace("_", " ") for item in data["items"])
            return "safe state", f"{data['chamber']}: {items}"
        case "plan_revised":
            left_out = f"; left out: {', '.join(data['dropped'])}" if data["dropped"] else ""
            return "plan revised", f"{data['reason']}, by {data['by']}{left_out}"
        case "step_skipped":
            return "left out", f"{data['id']}: {data['because']}"
        case "lead_passed":
            heir = f"{data['run']} leads" if data["run"] else "it stays warm for people"
            return "shared", f"{data['chamber']}: {heir} after {data['was']}"
        case "custody_opened":
            gas = " and under gas" if data["gas"] else ""
            return "custody", f"{data['chamber']}: hot{gas}; watched until it is cold"
        case "custody_gas_stopped":
            return "custody", f"{data['chamber']}: gas stopped"
        case "custody_closed":
            return "custody", f"{data['chamber']}: cold, released"
        case "purge_voided" if data.get("cause") != "opened":
            return "purge lost", f"{data['chamber']}: {data.get('cause', '')}"
        case "request" if not data.get("accepted", True):
            return "refused", f"{data.get('verb')} by {data.get('actor')}: {data.get('outcome')}"
        case _:
            return None
