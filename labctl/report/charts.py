"""The charts of a report as plotly figures: what is drawn. How it looks is set in `charts.js`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from labctl.analysis.capacity import Floats
from labctl.analysis.model import Analysis, Series
from labctl.protocol.plan import Cool, Heat, Purge

ORDER = ("plan", "setpoint", "monitor", "oven", "furnace")
"""Looks of lines, the ones drawn last on top."""

SHORT_S = 3 * 3600.0
"""Anything shorter is told in minutes."""

Panels = dict[str, list[dict[str, Any]]]


def figures(a: Analysis) -> str:
    """Everything `charts.js` draws, as JSON that may stand inside a script element."""
    data = {"process": process(a), "cell": cell(a)}
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")


def process(a: Analysis) -> dict[str, Any]:
    """Traces by panel, spans of the steps, and marks of what was out of the ordinary."""
    per_s, unit = time_unit(a.watched_s)
    return {
        "panels": panels(a),
        "steps": [
            {
                "id": s.id,
                "from": _round(s.start_s / per_s),
                "to": _round((a.duration_s if s.end_s is None else s.end_s) / per_s),
            }
            for s in a.steps
            if s.start_s is not None
        ],
        "marks": [
            {"at": _round(r.at_s / per_s), "text": f"{r.kind}: {r.text}"}
            for r in a.remarks
            if r.kind != "alarm over"
        ],
        "oxygen_below_ppm": next((s.oxygen_below_ppm for s in a.plan.steps if isinstance(s, Purge)), None),
        "until": _round(a.watched_s / per_s),
        "unit": unit,
    }


def time_unit(whole_s: float) -> tuple[float, str]:
    """Seconds of the unit in which a stretch of time is shown, and its name."""
    return (60.0, "minutes") if whole_s < SHORT_S else (3600.0, "hours")


def panels(a: Analysis) -> Panels:
    """The lines of each panel, in the order in which they are drawn."""
    heats = [s for s in a.plan.steps if isinstance(s, Heat | Cool)]
    furnaces = {s.heater for s in heats if isinstance(s, Cool) or s.atmosphere == "inert"}
    heaters = {s.heater for s in heats}
    per_s, _ = time_unit(a.watched_s)
    found: Panels = {"temperature": [], "flow": [], "oxygen": []}
    for profile in a.profiles:
        line = {
            "name": f"{profile.instrument}, planned",
            "look": "plan",
            "x": [_round(t / per_s) for t in profile.t_s],
            "y": list(profile.value),
        }
        found["temperature"].append(line)
    for series in a.series:
        place = _place(series, furnaces, heaters)
        if place is not None and series.t_s.size:
            panel, look, words = place
            name = f"{series.instrument}{words}"
            found[panel].append({"name": name, "look": look, **_points(series.t_s / per_s, series.value)})
    for lines in found.values():
        lines.sort(key=lambda line: ORDER.index(line["look"]))
    return found


def _place(series: Series, furnaces: set[str], heaters: set[str]) -> tuple[str, str, str] | None:
    """Panel, look and words after the instrument's name of a signal; None: not drawn."""
    match series.unit, series.signal:
        case "degC", "temperature" if series.instrument in furnaces:
            return "temperature", "furnace", ""
        case "degC", "temperature":
            return "temperature", "oven" if series.instrument in heaters else "monitor", ""
        case "degC", "working_setpoint" if series.instrument in heaters:
            return "temperature", "setpoint", ", working setpoint"
        case "sccm", "flow":
            return "flow", "furnace", ""
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
            **_points(half.capacity_mah * per, half.voltage_v),
        }
        for half in reversed(a.halves)
    ]
    return {"traces": traces, "unit": "mAh g⁻¹" if a.active_mass_g else "mAh"}


def _round(time: float) -> float:
    return round(time, 4)


def _points(x: Floats, y: Floats) -> dict[str, list[float | None]]:
    return {
        "x": np.round(x, 4).tolist(),
        "y": [None if v != v else float(f"{v:.5g}") for v in y.tolist()],
    }
