"""Gas: purged before heat, enough of it while hot, and only gases that the rules know."""

from __future__ import annotations

import math
from collections.abc import Iterator

from labctl.bench.schema import Bench
from labctl.model.limits import limit, protective_flow
from labctl.protocol import estimates
from labctl.protocol.plan import Cool, Heat, Manual, Plan, Purge, Unload
from labctl.protocol.rules.core import Hit, Number, flows, having, number, rule, steps, top_c, tube_of
from labctl.protocol.source import Path

INERT_GASES = ("N2", "Ar", "He")
HOT_C, VERY_HOT_C = 200.0, 400.0
"""Above them oxygen eats carbon, and soon all of it (reference: 100 ppm and 20 ppm)."""
VERY_HOT_PPM = 20.0
"""Oxygen that 6 h above 400 degC bear: 100 ppm would bring 27 % of what oxidises all V(III) (derived)."""


@rule(
    "GAS-001", "error",
    "Above 200 degC in air carbon burns and V(III) oxidises; CO and styrene meet oxygen.",
    "paper (pyrolysis in N2); washout law, derived",
    number=Number(200.0, "degC", "lower"), waive="never",
)  # fmt: skip
def _purged(plan: Plan, bench: Bench) -> Iterator[Hit]:
    clean: set[str] = set()
    for i, step in enumerate(plan.steps):
        chamber = step.chamber or ""
        if isinstance(step, Purge):
            clean.add(chamber)
        elif isinstance(step, Unload) or (isinstance(step, Manual) and step.into):
            clean.discard(chamber)
        elif isinstance(step, Heat) and tube_of(bench, step):
            if step.atmosphere == "inert":
                yield from _inert(i, step, chamber in clean)
            elif top_c(step) > number(bench, "GAS-001") and not _carbon_free(plan):
                message = f"step {step.id!r} heats a tube to {top_c(step):g} degC in air"
                hint = "write `atmosphere: inert` and `under: {gas: ..., flow: ...}`"
                yield Hit(("steps", i, "heat", "atmosphere"), message, hint)


def _carbon_free(plan: Plan) -> bool:
    """True when what is in the batch is declared, and nothing of it burns."""
    return (
        plan.contents is not None
        and not having(plan, "organic", "polymer", "oxalate")
        and plan.charge.flammable_solvent_g <= 0
    )


def _inert(index: int, heat: Heat, clean: bool) -> Iterator[Hit]:
    path: Path = ("steps", index, "heat")
    if heat.under is None:
        message = f"step {heat.id!r} is inert and names no gas to flow meanwhile"
        yield Hit(path, message, "write `under: {gas: ..., flow: 200 sccm}`")
    if not clean:
        message = f"step {heat.id!r} is inert, and its tube was not purged since it was last open"
        yield Hit(path, message, "put a purge of the same tube before it")


@rule(
    "GAS-002", "error",
    "From air, 100 ppm takes 7.65 volumes of a stirred tube; without an analyser volumes are the only proof.",
    "washout law, derived",
    waive="never",
)  # fmt: skip
def _washed(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, purge in steps(plan, Purge):
        needed = math.log(estimates.AIR_OXYGEN_PPM / purge.oxygen_below_ppm)
        if purge.volumes < needed:
            message = f"{purge.volumes:g} tube volumes cannot reach {purge.oxygen_below_ppm:g} ppm"
            yield Hit(("steps", i, "purge", "volumes"), message, f"at least {needed:.2f}")
        if purge.analyser is None:
            message = f"no oxygen analyser in chamber {purge.chamber}: this purge is proven by volume only"
            yield Hit(("steps", i, "purge", "until_oxygen_below"), message, severity="warning")


@rule(
    "GAS-003", "warning",
    "Below 50 sccm, or 0.02 tube volumes a minute, air diffuses back and off-gas stays over 50 min.",
    "derived", number=Number(50.0, "sccm", "higher"),
)  # fmt: skip
def _slow_gas(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, step, _, flow, path in flows(plan):
        tube = tube_of(bench, step)
        least = max(number(bench, "GAS-003"), 0.02 * (tube.volume_cm3 or 0.0)) if tube else 0.0
        if isinstance(step, Heat) and flow < least:
            message = f"{flow:g} sccm while heating is below {least:g} sccm"
            yield Hit(path, message, "200 sccm is usual for a 54 mm tube")


@rule(
    "GAS-004", "warning",
    "Cold gas strains a hot alumina tube and loads the heater.",
    "vendors' notes", number=Number(500.0, "sccm", "lower"),
)  # fmt: skip
def _fast_gas(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, step, _, flow, path in flows(plan):
        most = number(bench, "GAS-004")
        if isinstance(step, Heat) and top_c(step) > 350 and flow > most and tube_of(bench, step):
            yield Hit(path, f"{flow:g} sccm above 350 degC", f"at most {most:g} sccm")


@rule(
    "GAS-009", "error",
    "The gas must last through the night: 1.25 times what the plan uses.",
    "derived", number=Number(1.25, "1", "higher"), waive="never",
)  # fmt: skip
def _contents(plan: Plan, bench: Bench) -> Iterator[Hit]:
    used: dict[str, tuple[float, Path]] = {}
    start: dict[str, float] = {}
    at = {i: (controller, flow, path) for i, _, controller, flow, path in flows(plan)}
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
        factor = number(bench, "GAS-009")
        if supplies and contents < factor * litres:
            names = ", ".join(supplies)
            message = (
                f"{names} holds {contents:g} L; the plan uses {litres:.0f} L and wants {factor:g} times that"
            )
            yield Hit(path, message, "connect a fuller cylinder and correct `contents_l` in the bench file")


@rule(
    "GAS-014", "error",
    "Air past the seals stays in the gas, the more the less flows: 0.094 sccm at 200 sccm are 100 ppm.",
    "the bench's measured leak; washout law, derived", waive="never",
)  # fmt: skip
def _tight(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, step, _, flow, path in flows(plan):
        tube = tube_of(bench, step)
        if tube is None or tube.leak_sccm is None:
            continue
        ppm = estimates.leak_ppm(tube.leak_sccm, flow)
        told = f"{step.chamber} leaks {tube.leak_sccm:g} sccm: {ppm:.0f} ppm stay at {flow:g} sccm"
        hint = "mend its seals, or more flow; then measure its leak again"
        if isinstance(step, Purge) and ppm >= step.oxygen_below_ppm:
            where: Path = ("steps", i, "purge", "until_oxygen_below")
            yield Hit(where, f"{told}, and {step.oxygen_below_ppm:g} ppm are wanted", hint)
        elif isinstance(step, Heat) and top_c(step) > HOT_C:
            allowed = limit("purge_oxygen") if top_c(step) <= VERY_HOT_C else VERY_HOT_PPM
            if ppm > allowed:
                severity = "error" if ppm > limit("purge_oxygen") else "warning"
                yield Hit(path, f"{told}, and {top_c(step):g} degC bear {allowed:g} ppm", hint, severity)


@rule(
    "SAFE-001", "error",
    "Above T_inert the controller trips below protective_flow: max(100 sccm, 0.05 tube volumes a minute).",
    "safety contract", waive="never",
)  # fmt: skip
def _protective(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, step, _, flow, path in flows(plan):
        tube = tube_of(bench, step)
        if tube is None or not isinstance(step, Heat | Cool):
            continue
        least = protective_flow(tube.volume_cm3 or 0.0)
        hot = isinstance(step, Cool) or top_c(step) > limit("T_inert")
        if hot and flow < least:
            yield Hit(path, f"{flow:g} sccm is below protective_flow, {least:g} sccm: it would trip at once")


@rule(
    "SAFE-007", "error",
    "Flammable, toxic and oxidising gases have no rules here yet.",
    "safety contract", waive="never",
)  # fmt: skip
def _gas_kind(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, _, controller, _, path in flows(plan):
        for name, supply in bench.supplies.items():
            if controller in supply.feeds and supply.gas not in INERT_GASES:
                yield Hit(path, f"{name} is {supply.gas}", f"inert gases: {', '.join(INERT_GASES)}")
