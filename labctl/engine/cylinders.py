"""Another cylinder on the line: what people ask, and what it takes back."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.engine.scan import Scan
from labctl.engine.silencing import Verb
from labctl.engine.steps.people import is_number
from labctl.model.commands import Request

HIGHEST_BAR = 400.0
"""No cylinder is filled beyond (assumed: 300 bar cylinders, warm)."""


def _cannot_swap(scan: Scan, request: Request) -> str | None:
    supplies = {rig.supply.name: rig.supply for rig in scan.context.rigs.values() if rig.supply is not None}
    name, pressure = str(request.args.get("supply")), request.args.get("pressure_bar")
    if name not in supplies:
        return f"no supply {name} feeds a chamber here; there are {', '.join(supplies) or 'none'}"
    if supplies[name].litres_per_bar is None:
        return f"{name} has no `full_bar` in the bench file: its pressure says nothing of its contents"
    if not is_number(pressure) or not 0.0 < float(pressure) <= HIGHEST_BAR:
        return f"its pressure must be a number of bar, up to {HIGHEST_BAR:g}"
    for rig in scan.context.rigs.values():
        run = scan.state.runs.get(scan.state.chambers[rig.name].run or "")
        heats = run is not None and run.state == "RUNNING" and scan.state.chambers[rig.name].lease is not None
        if heats and rig.supply is not None and rig.supply.name == name and run is not None:
            return f"{rig.name} heats on it; hold {run.run_id} first"
    missing = [word for word in ("lot", "reason") if not request.args.get(word)]
    return f"say its {' and '.join(missing)} (--{' --'.join(missing)})" if missing else None


def _swap(scan: Scan, request: Request) -> None:
    """Another cylinder: counted anew, and what the old gas had proven is proven again before anything heats."""
    name, bar = str(request.args["supply"]), float(request.args["pressure_bar"])
    fed = [rig for rig in scan.context.rigs.values() if rig.supply is not None and rig.supply.name == name]
    per_bar = next(rig.supply.litres_per_bar for rig in fed if rig.supply is not None)
    assert per_bar is not None
    scan.tally[f"supply/{name}/held_l"] = bar * per_bar
    scan.tally[f"supply/{name}/used_l"] = 0.0
    data = {"supply": name, "pressure_bar": bar, "contents_l": bar * per_bar, "by": request.actor}
    scan.emit("gas_swapped", data | {word: str(request.args[word]) for word in ("lot", "reason")})
    for rig in fed:
        chamber = scan.state.chambers[rig.name]
        for proof in ("flow_ok_s", "clean_s", "washed_cm3"):
            scan.tally.pop(f"{rig.name}/{proof}", None)
        if chamber.purged:
            scan.emit("purge_voided", {"chamber": rig.name, "cause": f"{name} was swapped"}, chamber.run)


VERBS: Mapping[str, Verb] = {"gas_swap": Verb(_cannot_swap, _swap)}
"""Requests of the bench, not of a run."""
