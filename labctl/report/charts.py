"""The charts of a report as plotly figures: what is drawn. How it looks is set in `charts.js`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from labctl.analysis.capacity import Floats
from labctl.analysis.model import Analysis, Series
from labctl.protocol.plan import Cool, Heat, Purge

PROCESS_VARIABLE, WORKING_SETPOINT = "temperature", "working_setpoint"


def figures(a: Analysis) -> str:
    """Everything `charts.js` draws, as JSON that may stand inside a script element."""
    data = {"process": process(a), "cell": cell(a)}
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")


def process(a: Analysis) -> dict[str, Any]:
    """Traces by panel, the spans of the steps, and the marks of what was out of the ordinary; time in hours."""
    heaters = list(dict.fromkeys(s.heater for s in a.plan.steps if isinstance(s, Heat | Cool)))
    hot = [
        n
        for n in heaters
        if any(isinstance(s, Heat) and s.heater == n and s.atmosphere == "inert" for s in a.plan.steps)
    ]
    panels: dict[str, list[dict[str, Any]]] = {"temperature": [], "flow": [], "oxygen": []}
    for profile in a.profiles:
        hours = [round(t / 3600, 4) for t in profile.t_s]
        panels["temperature"].append(
            {"name": f"{profile.instrument}, planned", "role": "plan", "x": hours, "y": list(profile.value)}
        )
    for series in a.series:
        role = _role(series, hot)
        if role:
            panel, look, words = role
            panels[panel].append(
                {"name": f"{series.instrument}{words}", "role": look, **_points(series.t_s, series.value)}
            )
    return {
        "panels": panels,
        "steps": [
            {"id": s.id, "from": round(s.start_s / 3600, 4), "to": round((s.end_s or a.duration_s) / 3600, 4)}
            for s in a.steps
            if s.start_s is not None
        ],
        "marks": [{"at": round(r.at_s / 3600, 4), "text": f"{r.kind}: {r.text}"} for r in a.remarks],
        "oxygen_below_ppm": next((s.oxygen_below_ppm for s in a.plan.steps if isinstance(s, Purge)), None),
        "hours": round(a.duration_s / 3600, 4),
    }


def _role(series: Series, hot: list[str]) -> tuple[str, str, str] | None:
    match series.unit, series.signal:
        case "degC", "temperature":
            return "temperature", "furnace" if series.instrument in hot else "oven", ""
        case "degC", "working_setpoint":
            return "temperature", "setpoint", ", working setpoint"
        case "sccm", "flow":
            return "flow", "furnace", ""
        case "sccm", "flow_setpoint":
            return "flow", "plan", ", setpoint"
        case "ppm", "oxygen":
            return "oxygen", "furnace", ""
        case _:
            return None


def cell(a: Analysis) -> dict[str, Any] | None:
    """The curve of each half-cycle, against mAh/g where the active mass is known, else against mAh."""
    if not a.halves:
        return None
    per = 1 / a.active_mass_g if a.active_mass_g else 1.0
    most = max(half.cycle for half in a.halves)
    traces = [
        {
            "name": f"cycle {half.cycle}, {half.direction}",
            "age": (half.cycle - 1) / max(most - 1, 1),
            "direction": half.direction,
            **_points(half.capacity_mah * per, half.voltage_v, digits=3),
        }
        for half in a.halves
    ]
    return {"traces": traces, "unit": "mAh g⁻¹" if a.active_mass_g else "mAh"}


def _points(x: Floats, y: Floats, digits: int = 4) -> dict[str, list[float | None]]:
    if digits == 4:
        x = x / 3600
    return {
        "x": np.round(x, digits).tolist(),
        "y": [None if v != v else float(f"{v:.5g}") for v in y.tolist()],
    }
