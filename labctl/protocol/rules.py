"""What must not be planned: one small function for each rule, over a plan and its bench.

Sources: property tables and the literature (with their tags), vendors of instruments and tubes, and the
safety contract. `RULES` is what `labctl rules` shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from labctl.bench.schema import Bench, Chamber
from labctl.errors import Finding
from labctl.protocol import estimates
from labctl.protocol.plan import Cool, Cycle, Heat, Manual, Plan, Purge, Segment, Step, Stir, Unload
from labctl.protocol.source import Document, Path

T_INERT_C = 150.0
T_OPEN_C = 60.0
PROTECTIVE_FLOW_FLOOR_SCCM = 100.0
PROTECTIVE_FLOW_PER_MIN = 0.05
"""T_inert, T_open and protective_flow of the safety contract; a test holds them to the engine's table."""
T_CARBON_C = 200.0
"""Above it carbon and V(III) are taken to oxidise in air (domain table, GAS-001)."""
TUBE_LIMIT_C = {"quartz": 1100.0, "alumina": 1500.0}
"""Continuous use (vendors; quartz 1200 degC at most for a short time)."""
INERT_GASES = ("N2", "Ar", "He")
PROTECTIONS = {
    "extraction": "off-gas with CO and styrene would go into the room unnoticed",
    "tube pressure": "a blocked exhaust would not be seen before the tube gives way",
    "limiter contact": "a tripped excess-temperature limiter would not be reported",
    "door": "a tube opened hot would not be noticed",
}
"""Protective signals that come from an I/O module, and what is lost without each."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule found something. `severity` where it is not the rule's own."""

    path: Path
    message: str
    hint: str | None = None
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, how serious it is at most, why it is there, and where it comes from."""

    id: str
    severity: str
    rationale: str
    source: str
    find: Callable[[Plan, Bench], Iterator[Hit]]


RULES: list[Rule] = []


def judge(plan: Plan, bench: Bench, document: Document) -> list[Finding]:
    """What every rule finds in the plan, at its place in the document."""
    return [
        document.finding(rule.id, hit.path, hit.message, hit.hint, hit.severity or rule.severity)
        for rule in RULES
        for hit in rule.find(plan, bench)
    ]


_Find = Callable[[Plan, Bench], Iterator[Hit]]


def _rule(id: str, severity: str, rationale: str, source: str) -> Callable[[_Find], _Find]:
    def add(find: _Find) -> _Find:
        RULES.append(Rule(id, severity, rationale, source, find))
        return find

    return add


_S = TypeVar("_S", bound=Step)


def _steps(plan: Plan, kind: type[_S]) -> Iterator[tuple[int, _S]]:
    yield from ((i, s) for i, s in enumerate(plan.steps) if isinstance(s, kind))


def _targets(plan: Plan) -> Iterator[tuple[int, Heat, Segment, Path]]:
    """Every ramp and soak, and where it was written."""
    for i, heat in _steps(plan, Heat):
        for j, segment in enumerate(heat.segments):
            single: Path = ("steps", i, "heat")
            yield i, heat, segment, single if len(heat.segments) == 1 else (*single, "segments", j)


def _tube(bench: Bench, step: Step) -> Chamber | None:
    """The chamber of a step if it is a tube."""
    chamber = bench.chambers.get(step.chamber or "")
    return chamber if chamber is not None and chamber.kind == "tube" else None


def _flows(plan: Plan) -> Iterator[tuple[int, Step, str, float, Path]]:
    """Every flow that is asked for: step, controller, sccm, place."""
    for i, step in enumerate(plan.steps):
        if isinstance(step, Purge):
            yield i, step, step.gas, step.flow_sccm, ("steps", i, "purge", "flow")
        elif isinstance(step, Heat | Cool) and step.under:
            yield (
                i,
                step,
                step.under.instrument,
                step.under.flow_sccm,
                ("steps", i, step.kind, "under", "flow"),
            )


# -- the bench's limits always win


@_rule("LIM-001", "error", "No target above what the instrument or its chamber may reach.", "bench file")
def _temperature(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in _targets(plan):
        limits = {
            heat.heater: bench.instruments[heat.heater].limits.max_temperature_c,
            f"chamber {heat.chamber}": bench.chambers[heat.chamber or ""].max_temperature_c,
        }
        for owner, limit in limits.items():
            if limit is not None and segment.target_c > limit:
                message = f"{segment.target_c:g} degC is above the {limit:g} degC limit of {owner}"
                yield Hit((*path, "to"), message, "the bench's limit always wins")


@_rule("LIM-002", "error", "No ramp faster than the instrument's limit.", "bench file")
def _ramp(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in _targets(plan):
        limit = bench.instruments[heat.heater].limits.max_ramp_k_per_min
        if limit is not None and segment.ramp_k_per_min > limit:
            message = f"{segment.ramp_k_per_min:g} K/min is above the {limit:g} K/min limit of {heat.heater}"
            yield Hit((*path, "ramp"), message, "the bench's limit always wins")


@_rule("LIM-003", "error", "No flow above the controller's limit.", "bench file")
def _flow(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, _, controller, flow, path in _flows(plan):
        limit = bench.instruments[controller].limits.max_flow_sccm
        if limit is not None and flow > limit:
            message = f"{flow:g} sccm is above the {limit:g} sccm limit of {controller}"
            yield Hit(path, message, "the bench's limit always wins")


@_rule("LIM-004", "error", "No speed above the stirrer's limit.", "bench file")
def _speed(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, stir in _steps(plan, Stir):
        limit = bench.instruments[stir.stirrer].limits.max_speed_rpm
        if limit is not None and stir.speed_rpm > limit:
            message = f"{stir.speed_rpm:g} rpm is above the {limit:g} rpm limit of {stir.stirrer}"
            yield Hit(("steps", i, "stir", "speed"), message, "the bench's limit always wins")


# -- gas


@_rule(
    "GAS-001", "error",
    "Above 200 degC in air carbon burns and V(III) oxidises; CO and styrene meet oxygen.",
    "paper (pyrolysis in N2); washout law, derived",
)  # fmt: skip
def _purged(plan: Plan, bench: Bench) -> Iterator[Hit]:
    clean: set[str] = set()
    for i, step in enumerate(plan.steps):
        chamber = step.chamber or ""
        if isinstance(step, Purge):
            clean.add(chamber)
        elif isinstance(step, Unload) or (isinstance(step, Manual) and step.into):
            clean.discard(chamber)
        elif isinstance(step, Heat) and _tube(bench, step):
            yield from _inert(i, step, chamber in clean)


def _inert(index: int, heat: Heat, clean: bool) -> Iterator[Hit]:
    path: Path = ("steps", index, "heat")
    top = max(s.target_c for s in heat.segments)
    if heat.atmosphere == "air":
        if top > T_CARBON_C:
            message = f"step {heat.id!r} heats a tube to {top:g} degC in air"
            yield Hit(
                (*path, "atmosphere"), message, "write `atmosphere: inert` and `under: {gas: ..., flow: ...}`"
            )
        return
    if heat.under is None:
        message = f"step {heat.id!r} is inert and names no gas to flow meanwhile"
        yield Hit(path, message, "write `under: {gas: ..., flow: 200 sccm}`")
    if not clean:
        message = f"step {heat.id!r} is inert, and its tube was not purged since it was last open"
        yield Hit(path, message, "put a purge of the same tube before it")


@_rule(
    "GAS-002", "error",
    "From air, 100 ppm takes 7.65 volumes of a stirred tube; without an analyser volumes are the only proof.",
    "washout law, derived",
)  # fmt: skip
def _washed(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, purge in _steps(plan, Purge):
        needed = math.log(estimates.AIR_OXYGEN_PPM / purge.oxygen_below_ppm)
        if purge.volumes < needed:
            message = f"{purge.volumes:g} tube volumes cannot reach {purge.oxygen_below_ppm:g} ppm"
            yield Hit(("steps", i, "purge", "volumes"), message, f"at least {needed:.2f}")
        if purge.analyser is None:
            message = f"no oxygen analyser in chamber {purge.chamber}: this purge is proven by volume only"
            yield Hit(("steps", i, "purge", "until_oxygen_below"), message, severity="warning")


@_rule(
    "GAS-003", "warning",
    "Below 50 sccm, or 0.02 tube volumes a minute, air diffuses back and off-gas stays over 50 min.",
    "derived",
)  # fmt: skip
def _slow_gas(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, step, _, flow, path in _flows(plan):
        tube = _tube(bench, step)
        least = max(50.0, 0.02 * (tube.volume_cm3 or 0.0)) if tube else 0.0
        if isinstance(step, Heat) and flow < least:
            message = f"{flow:g} sccm while heating is below {least:g} sccm"
            yield Hit(path, message, "200 sccm is usual for a 54 mm tube")


@_rule("GAS-004", "warning", "Cold gas strains a hot alumina tube and loads the heater.", "vendors' notes")
def _fast_gas(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, step, _, flow, path in _flows(plan):
        hot = isinstance(step, Heat) and max(s.target_c for s in step.segments) > 350
        if hot and flow > 500 and _tube(bench, step):
            yield Hit(path, f"{flow:g} sccm above 350 degC", "at most 500 sccm")


@_rule("GAS-009", "error", "The gas must last through the night: 1.25 times what the plan uses.", "derived")
def _contents(plan: Plan, bench: Bench) -> Iterator[Hit]:
    used: dict[str, tuple[float, Path]] = {}
    start: dict[str, float] = {}
    at = {i: (controller, flow, path) for i, _, controller, flow, path in _flows(plan)}
    for i, step in enumerate(plan.steps):
        chamber = step.chamber or ""
        seconds = estimates.duration_s(step, start.get(chamber, bench.ambient_c), bench)
        if isinstance(step, Heat):
            start[chamber] = step.segments[-1].target_c
        if i in at:
            controller, flow, path = at[i]
            litres, first = used.get(controller, (0.0, path))
            used[controller] = (litres + flow * seconds / 60_000.0, first)
    for controller, (litres, path) in used.items():
        supplies = {n: s for n, s in bench.supplies.items() if controller in s.feeds}
        if not supplies:
            yield Hit(
                path, f"no supply of the bench feeds {controller}: contents unknown", severity="warning"
            )
        contents = sum(s.contents_l for s in supplies.values())
        if supplies and contents < 1.25 * litres:
            names = ", ".join(supplies)
            message = f"{names} holds {contents:g} L; the plan uses {litres:.0f} L and wants 1.25 times that"
            yield Hit(path, message, "connect a fuller cylinder and correct `contents_l` in the bench file")


@_rule(
    "SAFE-001", "error",
    "Above T_inert the controller trips below protective_flow: max(100 sccm, 0.05 tube volumes a minute).",
    "safety contract",
)  # fmt: skip
def _protective(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, step, _, flow, path in _flows(plan):
        tube = _tube(bench, step)
        if tube is None or not isinstance(step, Heat | Cool):
            continue
        least = max(PROTECTIVE_FLOW_FLOOR_SCCM, PROTECTIVE_FLOW_PER_MIN * (tube.volume_cm3 or 0.0))
        hot = isinstance(step, Cool) or max(s.target_c for s in step.segments) > T_INERT_C
        if hot and flow < least:
            yield Hit(path, f"{flow:g} sccm is below protective_flow, {least:g} sccm: it would trip at once")


@_rule("SAFE-007", "error", "Flammable, toxic and oxidising gases have no rules here yet.", "safety contract")
def _gas_kind(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, _, controller, _, path in _flows(plan):
        for name, supply in bench.supplies.items():
            if controller in supply.feeds and supply.gas not in INERT_GASES:
                yield Hit(path, f"{name} is {supply.gas}", f"inert gases: {', '.join(INERT_GASES)}")


# -- furnace


@_rule("FUR-001", "error", "A tube softens or devitrifies above its material's limit.", "vendors")
def _tube_limit(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in _targets(plan):
        tube = _tube(bench, heat)
        limit = TUBE_LIMIT_C.get(tube.material or "", math.inf) if tube else math.inf
        if tube and segment.target_c > limit:
            yield Hit(
                (*path, "to"), f"{segment.target_c:g} degC is too hot for {tube.material}: {limit:g} degC"
            )


@_rule("FUR-002", "error", "Faster than 400/ID K/min cracks a tube (ID in mm).", "Carbolite STF manual p. 7")
def _tube_ramp(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in _targets(plan):
        tube = _tube(bench, heat)
        if tube is None or not tube.inner_diameter_mm:
            continue
        usual = 400.0 / tube.inner_diameter_mm
        if segment.ramp_k_per_min > usual:
            severity = "error" if segment.ramp_k_per_min > 1.5 * usual else "warning"
            message = (
                f"{segment.ramp_k_per_min:g} K/min is faster than 400/ID = {usual:.1f} K/min of this tube"
            )
            yield Hit((*path, "ramp"), message, severity=severity)


@_rule(
    "FUR-008", "error", "A hot product oxidises at its surface, and burns the hand.", "paper (V4+); vendor"
)
def _cooled(plan: Plan, bench: Bench) -> Iterator[Hit]:
    hot: dict[str, float] = {}
    for i, step in enumerate(plan.steps):
        chamber = step.chamber or ""
        if isinstance(step, Heat):
            hot[chamber] = max(s.target_c for s in step.segments)
        elif isinstance(step, Cool):
            hot[chamber] = min(step.below_c, hot.get(chamber, step.below_c))
        elif isinstance(step, Unload) and hot.get(chamber, 0.0) > T_OPEN_C:
            message = f"step {step.id!r} opens {chamber}, which was last brought to {hot[chamber]:g} degC"
            yield Hit(("steps", i, "unload"), message, f"put `cool: {{below: {T_OPEN_C:g} degC}}` before it")


@_rule("FUR-009", "error", "Hot carbon meets air when nitrogen stops before the tube is cold.", "assumed")
def _cooled_in_gas(plan: Plan, bench: Bench) -> Iterator[Hit]:
    inert: dict[str, bool] = {}
    for i, step in enumerate(plan.steps):
        if isinstance(step, Heat):
            inert[step.chamber or ""] = step.atmosphere == "inert"
        elif isinstance(step, Cool) and inert.get(step.chamber or "") and step.under is None:
            hint = "write `under: {gas: ..., flow: 200 sccm}`"
            yield Hit(("steps", i, "cool"), f"step {step.id!r} cools an inert tube without gas", hint)


# -- solvents, cells, protections


@_rule(
    "SOL-001",
    "error",
    "Vapour of THF (flash point -14 degC) in a closed hot oven explodes.",
    "NAP 4911; DCHAS",
)
def _rated(plan: Plan, bench: Bench) -> Iterator[Hit]:
    first = next(_steps(plan, Heat), None)
    if plan.charge.flammable_solvent_g > 0 and first is not None:
        i, heat = first
        chamber = bench.chambers[heat.chamber or ""]
        if not chamber.flammable_rated:
            message = (
                f"{plan.charge.flammable_solvent_g:.1f} g of solvent in {heat.chamber}, not rated for it"
            )
            yield Hit(
                ("steps", i, "heat", "with"), message, "use a dryer whose chamber is `flammable_rated: true`"
            )


@_rule(
    "CEL-001",
    "error",
    "Beyond the window electrolyte oxidises, or the 1.6 V plateau begins.",
    "paper (2.3-3.8 V)",
)
def _window(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in _steps(plan, Cycle):
        path: Path = ("steps", i, "cycle", "window")
        if cycle.upper_v > 3.8:
            severity = "error" if cycle.upper_v > 4.1 else "warning"
            yield Hit((*path, 1), f"{cycle.upper_v:g} V is above the published 3.8 V", severity=severity)
        if cycle.lower_v < 2.3:
            severity = "error" if cycle.lower_v < 1.8 else "warning"
            yield Hit((*path, 0), f"{cycle.lower_v:g} V is below the published 2.3 V", severity=severity)


@_rule(
    "SAFE-005", "warning", "A signal that a bench lacks protects nobody.", "safety contract, absent signals"
)
def _absent(plan: Plan, bench: Bench) -> Iterator[Hit]:
    told: set[str] = set()
    for _, heat, segment, path in _targets(plan):
        chamber = heat.chamber or ""
        if _tube(bench, heat) is None or segment.target_c <= T_INERT_C or chamber in told:
            continue
        told.add(chamber)
        for signal, lost in PROTECTIONS.items():
            yield Hit((*path, "to"), f"{bench.bench} has no {signal} signal for {chamber}: {lost}",
                      "heat above T_inert only while somebody stays")  # fmt: skip
