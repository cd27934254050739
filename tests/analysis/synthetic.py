"""A made-up run in a real store: every kind of step, smooth curves, and nothing of any plant."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from labctl.model.events import BENCH_STREAM, Event
from labctl.protocol.plan import (
    Cool,
    Cycle,
    Entry,
    Expected,
    Gas,
    Heat,
    Manual,
    Measure,
    Parameter,
    Plan,
    Product,
    Purge,
    Segment,
    Stir,
    Unload,
)
from labctl.store import NOT_READ, Row, Store

RUN = "3dp-nvp-c-1"
BENCH_YAML = "bench: synthetic\n"
UTC_MS = 1_767_571_200_000

CHANNELS = [
    ("oven", "temperature", "degC"),
    ("oven", "setpoint", "degC"),
    ("oven", "working_setpoint", "degC"),
    ("furnace", "temperature", "degC"),
    ("furnace", "working_setpoint", "degC"),
    ("furnace-monitor", "temperature", "degC"),
    ("nitrogen", "flow", "sccm"),
    ("nitrogen", "flow_setpoint", "sccm"),
    ("oxygen", "oxygen", "ppm"),
    ("cycler", "voltage", "V"),
    ("cycler", "current", "A"),
    ("cycler", "elapsed", "s"),
]

UNDER = Gas(instrument="nitrogen", flow_sccm=200.0)
TUBE: dict[str, Any] = {
    "instruments": ("furnace", "furnace-monitor", "nitrogen", "oxygen"),
    "chamber": "tube",
}
OVEN: dict[str, Any] = {"instruments": ("oven",), "chamber": "drying-oven"}
HOT: dict[str, Any] = TUBE | {"heater": "furnace", "atmosphere": "inert", "under": UNDER, "band_k": 5.0}
LIMITS: dict[str, Any] = {"catch_up_s": 7200.0, "timeout_s": 200_000.0}

PLAN = Plan(
    protocol="3dp-nvp-c",
    title="Hierarchically porous Na3V2(PO4)3@C by polymer-assisted spinodal decomposition",
    source={"doi": "10.1002/advs.202004943"},
    parameters=(
        Parameter(
            name="pyrolysis_temperature", value=800.0, unit="degC", text="800 degC", provenance="paper"
        ),
        Parameter(
            name="pyrolysis_hold", value=21600.0, unit="s", text="6 h", provenance="assumed", given=True
        ),
    ),
    roles={"dryer": "oven", "oven": "oven", "furnace": "furnace", "nitrogen": "nitrogen", "cycler": "cycler"},
    product=Product(formula="Na3V2(PO4)3", mass_g=1.0),
    expected=(
        Expected(quantity="carbon", value=2.7, unit="wt%", tolerance=0.3, provenance="paper"),
        Expected(quantity="discharge_capacity", value=110.1, unit="mAh/g", tolerance=3.0, provenance="paper"),
    ),
    steps=(
        Stir(id="mix", stirrer="hotplate", speed_rpm=500, duration_s=1800, timeout_s=2400),
        Manual(id="pour", do="Pour", enter=(Entry(name="wet_mass", unit="g"),)),
        Heat(
            id="evaporate",
            **OVEN,
            **LIMITS,
            heater="oven",
            atmosphere="air",
            band_k=2.0,
            after="hold",
            segments=(Segment(target_c=40.0, ramp_k_per_min=0.0, hold_s=86400.0),),
        ),
        Heat(
            id="age",
            **OVEN,
            **LIMITS,
            heater="oven",
            atmosphere="air",
            band_k=3.0,
            after="cool",
            segments=(Segment(target_c=100.0, ramp_k_per_min=1.0, hold_s=86400.0),),
        ),
        Manual(id="load-tube", do="Load", confirm=("boat is alumina",), into="tube"),
        Purge(
            id="purge",
            **TUBE,
            gas="nitrogen",
            analyser="oxygen",
            flow_sccm=500.0,
            oxygen_below_ppm=100.0,
            volume_cm3=2290.0,
            expected_s=2100.0,
            timeout_s=8000.0,
        ),
        Heat(
            id="preheat",
            **HOT,
            **LIMITS,
            after="continue",
            segments=(Segment(target_c=350.0, ramp_k_per_min=2.0, hold_s=18000.0),),
        ),
        Heat(
            id="pyrolyse",
            **HOT,
            **LIMITS,
            after="continue",
            segments=(Segment(target_c=800.0, ramp_k_per_min=5.0, hold_s=21600.0),),
        ),
        Cool(
            id="cool",
            **TUBE,
            heater="furnace",
            below_c=60.0,
            under=UNDER,
            expected_s=29000.0,
            timeout_s=90_000.0,
        ),
        Unload(id="unload", **TUBE, gas="nitrogen", into="powder", below_c=60.0),
        Measure(id="carbon", what="carbon content", enter=(Entry(name="carbon", unit="wt%"),)),
        Manual(id="assemble-cell", do="Assemble", enter=(Entry(name="active_mass", unit="mg"),)),
        Cycle(
            id="test",
            instruments=("cycler",),
            chamber="cell",
            cycler="cycler",
            rate_c=1.0,
            specific_current_ma_per_g=117.6,
            upper_v=3.8,
            lower_v=2.3,
            cycles=3,
            timeout_s=50_000.0,
        ),
    ),
    bench_identity="b" * 64,
    simulated=True,
)

PLANNED_S = {
    "mix": 1800, "pour": 600, "evaporate": 86700, "age": 98000, "load-tube": 900, "purge": 2100,
    "preheat": 27900, "pyrolyse": 27000, "cool": 29000, "unload": 600, "carbon": 300,
    "assemble-cell": 900, "test": 20300,
}  # fmt: skip
STRETCH = {"purge": 1.08, "preheat": 1.01, "pyrolyse": 1.015, "cool": 1.09}
MASS_MG, HALF_S = 1.7, 3370.0
VALUES: dict[str, dict[str, float]] = {
    "pour": {"wet_mass": 12.4},
    "load-tube": {},
    "unload": {},
    "carbon": {"carbon": 2.71},
    "assemble-cell": {"active_mass": MASS_MG},
}


def relax(start: float, end: float, share: float) -> float:
    return end + (start - end) * math.exp(-share)


def image(step: str, t: float, length: float) -> dict[tuple[str, str], float]:
    """What the instruments show `t` seconds into a step of this length."""
    wiggle = math.sin(t / 37.0) * math.sin(t / 11.3)
    match step:
        case "evaporate" | "age":
            target, at, rate = (40.0, 22.0, 4.0) if step == "evaporate" else (100.0, 40.0, 1.0)
            working = min(target, at + rate * t / 60)
            heated = working - 0.6 * math.exp(-max(0.0, t - 3600 * (target - at) / rate / 60) / 1200)
            if step == "age" and t > length - 8000:
                heated, working = relax(100.0, 22.0, (t - length + 8000) / 3000), 20.0
            return {
                ("oven", "temperature"): heated + 0.15 * wiggle,
                ("oven", "working_setpoint"): working,
            }
        case "purge":
            return tube(22.0, 22.0, 500.0, max(6.0, 209500 * math.exp(-t / 165)), wiggle)
        case "preheat" | "pyrolyse":
            low, high, rate = (22.0, 350.0, 2.0) if step == "preheat" else (350.0, 800.0, 5.0)
            working = min(high, low + rate * t / 60)
            lag = 2.5 * math.exp(-max(0.0, t - (high - low) / rate * 60) / 500)
            burp = 30.0 * math.exp(-(((t - 9000) / 900) ** 2)) if step == "preheat" else 0.0
            flow = 200.0 if not (step == "pyrolyse" and 15000 < t < 15006) else 118.0
            return tube(working - lag, working, flow, 8.0 + burp, wiggle)
        case "cool":
            return tube(relax(800.0, 22.0, 3.02 * t / length), 20.0, 200.0, 7.0, wiggle)
        case _:
            return {}


def tube(
    heated: float, working: float, flow: float, oxygen: float, wiggle: float
) -> dict[tuple[str, str], float]:
    return {
        ("furnace", "temperature"): heated + 0.3 * wiggle,
        ("furnace", "working_setpoint"): working,
        ("furnace-monitor", "temperature"): heated * 0.99 + 1.0 + 0.2 * wiggle,
        ("nitrogen", "flow"): flow + 0.6 * wiggle,
        ("nitrogen", "flow_setpoint"): 500.0 if flow > 300 else 200.0,
        ("oxygen", "oxygen"): oxygen * (1 + 0.02 * wiggle),
    }


def cell(t: float) -> dict[tuple[str, str], float]:
    half, within = divmod(t, HALF_S)
    charging = half % 2 == 0
    share = within / HALF_S * (1.003 if charging else 1.012 + 0.004 * half)
    knee, settling = math.exp(min(share - 1, 0.1) / 0.02), math.exp(-share / 0.01)
    voltage = (
        min(3.37 + 0.05 * share - 0.6 * settling + 0.39 * knee, 3.8)
        if charging
        else max(3.33 - 0.05 * share + 0.4 * settling - 1.05 * knee, 2.3)
    )
    return {
        ("cycler", "voltage"): voltage,
        ("cycler", "current"): (1 if charging else -1) * 117.6 * MASS_MG * 1e-6,
        ("cycler", "elapsed"): within,
    }


def make(
    path: Path,
    *,
    scan_s: float = 60.0,
    abort_at: str | None = None,
    shared_at: str | None = None,
    seed: int | None = 7,
) -> Path:
    """Write the run to a new database; `abort_at` names a step in whose middle it trips and aborts.

    shared_at: a step that another run's heat serves, until that leaves it the lead.
    """
    with Store.create(path, bench="synthetic", bench_yaml=BENCH_YAML, simulated=True) as store:
        document = store.put_document("plan", PLAN.model_dump_json())
        layout = store.layout(CHANNELS)
        about = {"title": PLAN.title, "protocol": PLAN.protocol, "simulated": True, "seed": seed}
        origin = 100.0
        store.commit(
            [
                Event(
                    RUN,
                    "run_created",
                    {"run": RUN, "plan": PLAN.plan_hash, "plan_document": document, **about},
                    90.0,
                ),
                Event(RUN, "run_forecast", forecast(), 90.0),
                Event(
                    RUN,
                    "state_changed",
                    {"run": RUN, "from": "IDLE", "to": "RUNNING", "trigger": "START"},
                    origin,
                ),
            ],
            utc,
        )
        now = origin
        for step in PLAN.steps:
            length = PLANNED_S[step.id] * STRETCH.get(step.id, 1.0)
            aborted = step.id == abort_at
            events = list(during(step.id, now, length, aborted=aborted, shared=step.id == shared_at))
            until = now + (length / 2 if aborted else length)
            rows = [row(layout, step.id, now, t, length) for t in spread(until - now, scan_s, step.id)]
            if aborted:
                events += aborting(until)
            digest_t = max(until, *(e.t_s for e in events if e.stream == RUN))
            store.commit([], utc, rows)
            digest = store.digest()
            extra = [Event(RUN, "telemetry_digest", digest, digest_t)] if digest else []
            last = [e for e in events if e.kind == "run_ended"]
            store.commit([e for e in events if e.kind != "run_ended"] + extra + last, utc)
            now = until
            if aborted:
                return path
        end = {"end_state": "COMPLETE", "reason": None}
        change = {"run": RUN, "from": "RUNNING", "to": "COMPLETE", "trigger": "DONE"}
        store.commit([Event(RUN, "state_changed", change, now), Event(RUN, "run_ended", end, now)], utc)
    return path


def utc(t_s: float) -> int:
    return UTC_MS + round(t_s * 1000)


def forecast() -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    at = 0.0
    for step in PLAN.steps:
        steps.append({"id": step.id, "start_s": at, "end_s": at + PLANNED_S[step.id]})
        at += PLANNED_S[step.id]
    starts = {step["id"]: step["start_s"] for step in steps}
    tube = [[starts["preheat"], 22.0], [starts["preheat"] + 9840.0, 350.0], [starts["pyrolyse"], 350.0]]
    tube += [[starts["pyrolyse"] + 5400.0, 800.0], [starts["cool"], 800.0], [starts["unload"], 60.0]]
    oven = [[starts["evaporate"], 40.0], [starts["age"], 40.0], [starts["age"], None], [starts["age"], 100.0]]
    profile = {"oven": oven, "furnace": tube, "hotplate": [[0.0, 22.0]]}
    return {"steps": steps, "duration_s": at, "nitrogen_l": 297.0, "energy_kwh": 21.0, "profile": profile}


def spread(length: float, scan_s: float, step: str) -> list[float]:
    scan_s = min(scan_s, 5.0) if step == "test" else scan_s
    return [i * scan_s for i in range(int(length / scan_s))]


def row(layout: int, step: str, origin: float, t: float, length: float) -> Row:
    shown = cell(t) if step == "test" and t < 6 * HALF_S else image(step, t, length)
    values = tuple(shown.get((name, signal)) for name, signal, _ in CHANNELS)
    qualities = bytes(NOT_READ if v is None else 0 for v in values)
    return Row(layout, origin + t, values, qualities, [0] * len(values))


def during(step: str, start: float, length: float, *, aborted: bool, shared: bool) -> list[Event]:
    """The journal of one step."""

    def event(kind: str, t: float, **data: Any) -> Event:
        return Event(RUN, kind, data, start + t)

    events = [event("step_started", 0, id=step, chamber=None, atmosphere=None)]
    if step in VALUES:
        asked = next(s for s in PLAN.steps if s.id == step)
        enter = [{"name": e.name, "unit": e.unit} for e in getattr(asked, "enter", ())]
        events.append(event("prompt", 1, id=step, enter=enter, confirm=[]))
        if not aborted:
            values = VALUES[step]
            events.append(
                event("answered", length - 1, prompt=step, values=values, actor="simulated operator")
            )
    planned = next(s for s in PLAN.steps if s.id == step)
    summary: dict[str, Any] = {}
    if isinstance(planned, Heat):
        segment = planned.segments[0]
        ramp = length - segment.hold_s - (8000 if planned.after == "cool" else 0)
        events.append(event("step_phase", 1, id=step, phase="ramp", data={"segment": 0}))
        if not aborted:
            events.append(event("step_phase", ramp, id=step, phase="soak"))
            events.append(event("step_phase", ramp + segment.hold_s, id=step, phase="leave"))
        summary = {"soaks_s": [segment.hold_s + 1.0]}
        if shared:
            summary["shared"] = True
            lead = {"chamber": "drying-oven", "run": RUN, "was": "run-0", "until_s": start + length}
            events.append(event("lead_passed", ramp, **lead))
    elif isinstance(planned, Cool):
        summary = {"end_c": 59.8}
    elif isinstance(planned, Purge):
        summary = {"oxygen_ppm": 6.1, "volumes": 8.2, "litres": 18.9}
    elif isinstance(planned, Cycle):
        summary = {"cycles": planned.cycles}
    if step == "pyrolyse" and not aborted:
        low = {"id": "tube/flow", "priority": "high", "message": "tube: nitrogen 118 sccm, below 160 sccm"}
        events.append(event("alarm", 15001, active=True, trigger="active", to="UNACK", **low))
        events.append(event("alarm", 15007, active=False, trigger="clear", to="RTN_UNACK", **low))
    if not aborted:
        events.append(event("step_done", length, id=step, summary=summary))
    return sorted(events, key=lambda e: e.t_s)


def aborting(t: float) -> list[Event]:
    trip = {
        "guard": "over_temperature",
        "chamber": "tube",
        "action": "abort",
        "message": "furnace 842.0 degC, limit 830.0 degC",
    }
    change = {"run": RUN, "reason": trip["message"], "actor": "labctl", "by_person": False}
    return [
        Event(RUN, "tripped", trip, t),
        Event(RUN, "state_changed", {**change, "from": "RUNNING", "to": "ABORTING", "trigger": "ABORT"}, t),
        Event(
            RUN,
            "state_changed",
            {**change, "from": "ABORTING", "to": "ABORTED", "trigger": "DONE"},
            t + 60,
        ),
        Event(RUN, "safe_started", {"chamber": "tube", "then": "abort", "items": ["heat_off"]}, t),
        Event(RUN, "safe_item", {"chamber": "tube", "item": "heat_off", "confirmed": True}, t + 1),
        Event(RUN, "custody_opened", {"chamber": "tube", "gas": True, "run": RUN}, t + 60),
        Event(RUN, "run_ended", {"end_state": "ABORTED", "reason": trip["message"]}, t + 60),
        Event(BENCH_STREAM, "custody_gas_stopped", {"chamber": "tube"}, t + 28_000),
        Event(BENCH_STREAM, "custody_closed", {"chamber": "tube"}, t + 30_000),
    ]
