"""Furnaces: what tubes and heaters bear, what a batch needs, and when a tube may be opened."""

from __future__ import annotations

import math
from collections.abc import Iterator

from labctl.bench.schema import Bench, Chamber
from labctl.model.limits import limit
from labctl.protocol.plan import Cool, Heat, Manual, Plan, Unload
from labctl.protocol.rules.core import (
    Hit,
    Number,
    atoms_in,
    having,
    in_batch,
    number,
    ramps,
    rate,
    rule,
    said,
    targets,
    top_c,
    tube_of,
)

TUBE_LIMIT_C = {"quartz": 1100.0, "alumina": 1500.0}
"""Continuous use (vendors; quartz 1200 degC at most for a short time)."""
NARROW_MM = 30.0
"""Alumina tubes narrower than this are judged by FUR-002 alone: the vendors' figures are for wide ones (assumed)."""
PREHEATED_C, BURST_C = 200.0, 500.0
"""A soak above the one and up to the other lets polymer go before it would burst (assumed)."""
ALKALI = {"Li", "Na", "K", "Rb", "Cs"}


@rule(
    "FUR-001", "error",
    "A tube softens or devitrifies above its material's limit.",
    "vendors", waive="never",
)  # fmt: skip
def _tube_limit(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in targets(plan):
        tube = tube_of(bench, heat)
        most = TUBE_LIMIT_C.get(tube.material or "", math.inf) if tube else math.inf
        if tube and segment.target_c > most:
            message = f"{segment.target_c:g} degC is too hot for {tube.material}: {most:g} degC"
            yield Hit((*path, "to"), message)


@rule(
    "FUR-002", "error",
    "Faster than 400/ID K/min cracks a tube (ID in mm).",
    "Carbolite STF manual p. 7", number=Number(400.0, "K mm/min", "lower"), waive="errors",
)  # fmt: skip
def _tube_ramp(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for heat, ramp, path in ramps(plan):
        tube = tube_of(bench, heat)
        if tube is None or not tube.inner_diameter_mm:
            continue
        most = number(bench, "FUR-002")
        usual = most / tube.inner_diameter_mm
        if ramp > usual:
            severity = "error" if ramp > 1.5 * usual else "warning"
            message = f"{rate(ramp)} is faster than {most:g}/ID = {usual:.1f} K/min of this tube"
            yield Hit(path, message, f"at most {math.floor(usual * 10) / 10:g} K/min", severity)


@rule(
    "FUR-003", "error",
    "A wide alumina tube cracks by heat shock: 5 K/min at most, up and down (a maker advises 1 K/min).",
    "ProgramTherm (5 to 10 K/min), Deltech (1 K/min)",
    number=Number(5.0, "K/min", "lower"), waive="errors",
)  # fmt: skip
def _alumina_ramp(plan: Plan, bench: Bench) -> Iterator[Hit]:
    noted = False
    for heat, ramp, path in ramps(plan):
        tube = tube_of(bench, heat)
        if tube is None or tube.material != "alumina" or (tube.inner_diameter_mm or NARROW_MM) < NARROW_MM:
            continue
        most = number(bench, "FUR-003")
        if ramp > most:
            severity = "error" if ramp > 2 * most else "warning"
            message = f"{rate(ramp)} is fast for an alumina tube: {most:g} K/min"
            yield Hit(path, message, f"{most:g} K/min", severity)
        elif ramp > 1.0 and not noted:
            noted = True
            message = f"{ramp:g} K/min: one maker of alumina tubes advises 1 K/min"
            yield Hit(path, message, severity="info")


def _holds_alkali(plan: Plan) -> bool:
    product = atoms_in(plan.product.formula) if plan.product else {}
    return bool(having(plan, "alkali") or ALKALI & product.keys())


@rule(
    "FUR-004", "error",
    "Alkali makes quartz devitrify from 700 degC on: an alumina boat or liner keeps them apart.",
    "fgquartz; quartzglassmade", number=Number(700.0, "degC", "lower"), waive="errors",
)  # fmt: skip
def _alkali_on_quartz(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat, segment, path in targets(plan):
        tube = tube_of(bench, heat)
        hot = segment.target_c >= number(bench, "FUR-004")
        if (
            tube
            and tube.material == "quartz"
            and hot
            and _holds_alkali(plan)
            and not said(plan, "alumina", i)
        ):
            message = f"alkali at {segment.target_c:g} degC in quartz, and no step confirms an alumina boat"
            yield Hit((*path, "to"), message, "confirm it: `confirm: [boat is alumina]`")
            return


@rule(
    "FUR-005", "info",
    "Quartz that has been above 1000 degC, or met alkali, cracks as it is cooled below 275 degC again and again.",
    "fgquartz; quartzglassmade",
)  # fmt: skip
def _devitrified(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in targets(plan):
        tube = tube_of(bench, heat)
        worn = segment.target_c > 1000.0 or (_holds_alkali(plan) and segment.target_c >= 700.0)
        if tube and tube.material == "quartz" and worn:
            message = f"{segment.target_c:g} degC ages a quartz tube: look for white haze before the next run"
            yield Hit((*path, "to"), message)
            return


@rule(
    "FUR-006", "warning",
    "No furnace cools faster than it loses heat: a steeper ramp lags, 104 K behind at 300 degC for 5 K/min.",
    "Newton's law from the measured cool-down, derived",
)  # fmt: skip
def _lags(plan: Plan, bench: Bench) -> Iterator[Hit]:
    at: dict[str, float] = {}
    for _, heat, segment, path in targets(plan):
        tube = tube_of(bench, heat)
        was = at.get(heat.chamber or "", bench.ambient_c)
        at[heat.chamber or ""] = segment.target_c
        if tube is None or not bench.ambient_c < segment.target_c < was:
            continue
        natural = natural_k_per_min(tube, bench.ambient_c, segment.target_c)
        if segment.ramp_k_per_min > natural:
            message = (
                f"{segment.ramp_k_per_min:g} K/min down to {segment.target_c:g} degC; this tube cools at "
                f"{natural:.1f} K/min there"
            )
            yield Hit((*path, "ramp"), message, "`cool: {natural: true, ...}`, or a slower ramp")


def natural_k_per_min(tube: Chamber, ambient_c: float, celsius: float) -> float:
    """How fast a chamber cools by itself at a temperature, from its measured cool-down; without one, at any rate."""
    if tube.cooldown_s <= 0 or tube.cooldown_from_c <= 100.0 or ambient_c >= 100.0:
        return math.inf
    lag_s = tube.cooldown_s / math.log((tube.cooldown_from_c - ambient_c) / (100.0 - ambient_c))
    return (celsius - ambient_c) / lag_s * 60.0


@rule(
    "FUR-007", "warning",
    "A ramp beyond what the heater has power for is never followed, and the guards hold the run.",
    "the bench's measured rise at full output",
)  # fmt: skip
def _power(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in targets(plan):
        able = bench.chambers[heat.chamber or ""].heating_k_per_min
        if able is not None and segment.ramp_k_per_min > able:
            message = (
                f"{segment.ramp_k_per_min:g} K/min; {heat.chamber} rises by {able:g} K/min at full output"
            )
            yield Hit((*path, "ramp"), message, f"at most {able:g} K/min")


@rule(
    "FUR-008", "error",
    "A hot product oxidises at its surface, and burns the hand.",
    "paper (V4+); vendor", number=Number(60.0, "degC", "lower"), waive="never",
)  # fmt: skip
def _cooled(plan: Plan, bench: Bench) -> Iterator[Hit]:
    hot: dict[str, float] = {}
    for i, step in enumerate(plan.steps):
        chamber = step.chamber or ""
        if isinstance(step, Heat):
            hot[chamber] = top_c(step)
        elif isinstance(step, Cool):
            hot[chamber] = min(step.below_c, hot.get(chamber, step.below_c))
        elif isinstance(step, Unload) or (isinstance(step, Manual) and step.into and tube_of(bench, step)):
            most = min(limit("T_open"), number(bench, "FUR-008"))
            if hot.get(chamber, 0.0) > most:
                message = f"step {step.id!r} opens {chamber}, which was last brought to {hot[chamber]:g} degC"
                hint = f"put `cool: {{below: {most:g} degC}}` before it"
                yield Hit(("steps", i, step.kind), message, hint)


@rule(
    "FUR-009", "error",
    "Hot carbon meets air when nitrogen stops before the tube is cold.",
    "assumed", waive="never",
)  # fmt: skip
def _cooled_in_gas(plan: Plan, bench: Bench) -> Iterator[Hit]:
    inert: dict[str, bool] = {}
    for i, step in enumerate(plan.steps):
        if isinstance(step, Heat):
            inert[step.chamber or ""] = step.atmosphere == "inert"
        elif isinstance(step, Cool) and inert.get(step.chamber or "") and step.under is None:
            hint = "write `under: {gas: ..., flow: 200 sccm}`"
            yield Hit(("steps", i, "cool"), f"step {step.id!r} cools an inert tube without gas", hint)


@rule(
    "FUR-012", "warning",
    "Polymer that meets 500 degC at once bursts: the paper preheats at 350 degC for 5 h.",
    "paper", number=Number(5.0, "%", "lower"),
)  # fmt: skip
def _preheated(plan: Plan, bench: Bench) -> Iterator[Hit]:
    share = _polymer_percent(plan)
    if share <= number(bench, "FUR-012"):
        return
    soaked = False
    for _, heat, segment, path in targets(plan):
        if tube_of(bench, heat) is None:
            continue
        if segment.target_c > BURST_C and not soaked:
            message = f"{share:.0f} % of polymer goes to {segment.target_c:g} degC without a preheat"
            yield Hit((*path, "to"), message, "soak at 350 degC before, as in the paper")
            return
        soaked = soaked or (segment.target_c > PREHEATED_C and segment.hold_s > 0)


def _polymer_percent(plan: Plan) -> float:
    """Polymer in the solids, by weight of what is declared; all of it where a mass is not."""
    polymers = having(plan, "polymer")
    known = [s.mass_g for s in in_batch(plan)]
    if not polymers:
        return 0.0
    if any(mass is None for mass in known):
        return 100.0
    total = sum(mass for mass in known if mass is not None)
    return 100.0 * sum(s.mass_g or 0.0 for s in polymers) / total if total else 100.0


@rule(
    "FUR-014", "warning",
    "Polystyrene leaves between 283 and 398 degC: a preheat elsewhere leaves it in, or bursts it.",
    "Zeng 2007 (DTG of polystyrene)",
)  # fmt: skip
def _preheat_window(plan: Plan, bench: Bench) -> Iterator[Hit]:
    if not having(plan, "polymer"):
        return
    soaks = [(s, p) for _, heat, s, p in targets(plan) if tube_of(bench, heat) and s.hold_s > 0]
    if not any(s.target_c > BURST_C for s, _ in soaks):
        return
    before = [(s, p) for s, p in soaks if PREHEATED_C < s.target_c <= BURST_C]
    if before and not any(300.0 <= s.target_c <= 400.0 for s, _ in before):
        segment, path = before[0]
        yield Hit((*path, "to"), f"a preheat at {segment.target_c:g} degC", "350 degC, as in the paper")
