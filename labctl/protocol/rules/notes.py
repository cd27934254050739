"""Notes: what the paper leaves open or says in two ways, where a protocol touches it; and how long a plan takes."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.bench.schema import Bench
from labctl.protocol import estimates
from labctl.protocol.plan import Cycle, Heat, Manual, Plan, Unload
from labctl.protocol.rules.core import Hit, atoms_in, rule, steps, top_c, tube_of

DOI = "10.1002/advs.202004943"
SOURCE = f"paper ({DOI})"
LONG_H = 24.0
"""A plan that takes longer sees a night (PLAN-001)."""


def _from_paper(plan: Plan) -> bool:
    return plan.source.get("doi", "").removeprefix("https://doi.org/") == DOI


@rule(
    "PAPER-001", "info",
    "The text cites Fig. 4d for the product of 100 degC and 24 h, its caption calls it that of 40 degC and 24 h.",
    SOURCE,
)  # fmt: skip
def _figure(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat in steps(plan, Heat):
        if _from_paper(plan) and top_c(heat) == 100.0 and tube_of(bench, heat) is None:
            yield Hit(("steps", i, "heat"), "text and caption of Fig. 4d differ about which step it shows")
            return


@rule(
    "PAPER-002", "info",
    "The 1 C capacity at 900 degC is 116.4 mAh/g in Fig. 5c and 113.4 mAh/g in the rate test.",
    f"{SOURCE}; 16 cycles of its own fade explain all but 1 %, derived",
)  # fmt: skip
def _two_capacities(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in steps(plan, Cycle):
        if _from_paper(plan) and cycle.rate_c == 1.0:
            message = "the paper has two 1 C capacities at 900 degC: 116.4 mAh/g, and 113.4 after a rate test"
            yield Hit(("steps", i, "cycle", "rate"), message)
            return


@rule(
    "PAPER-003", "info",
    "1 C is 117 mA/g, the theoretical capacity 117.6 mAh/g: half a percent apart.",
    SOURCE,
)  # fmt: skip
def _two_rates(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, _ in steps(plan, Cycle):
        if _from_paper(plan):
            message = "1 C is taken as 117 mA/g, as in the paper, not as the theoretical 117.6"
            yield Hit(("steps", i, "cycle", "specific_current"), message)
            return


@rule(
    "PAPER-004", "info",
    "Capacity is per gram of what? 117.6 mAh/g with 1.9 % of carbon would be 119.9 per gram without: above theory.",
    f"{SOURCE}; derived",
)  # fmt: skip
def _mass_basis(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, step in steps(plan, Manual):
        if _from_paper(plan) and any(e.name == "active_mass" for e in step.enter):
            message = (
                "the paper does not say whether active mass includes the carbon; write down what you weigh"
            )
            yield Hit(("steps", i, "manual", "enter", "active_mass"), message)
            return


@rule(
    "PAPER-005", "info",
    "D(Na+) is that of the electrode: grains of 100 nm would lose 0.05 % at 10 C, and 17.7 % is measured.",
    f"{SOURCE}; derived",
)  # fmt: skip
def _apparent_diffusion(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, expected in enumerate(plan.expected):
        if _from_paper(plan) and expected.quantity.startswith("diffusion"):
            yield Hit(
                ("expected", i), "diffusion coefficients of the paper are apparent, of the whole electrode"
            )
            return


@rule(
    "PAPER-006", "info",
    "Pyrolysed \"over 700 degC in inert atmosphere\": no hold, no ramp, no flow; nitrogen for some samples only.",
    SOURCE,
)  # fmt: skip
def _silent_about_pyrolysis(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, heat in steps(plan, Heat):
        if _from_paper(plan) and tube_of(bench, heat) and top_c(heat) >= 700.0:
            message = (
                "the paper gives no hold, ramp or flow for pyrolysis, and names nitrogen for some samples"
            )
            yield Hit(("steps", i, "heat"), message)
            return


@rule(
    "PAPER-007", "info",
    "V(IV) at the surface is laid to air: how hot and how long after unloading matters.",
    SOURCE,
)  # fmt: skip
def _air_after_unloading(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, _ in steps(plan, Unload):
        if _from_paper(plan):
            message = (
                "the paper finds V(IV), and lays it to air: keep what is unloaded from air, or note how long"
            )
            yield Hit(("steps", i, "unload"), message)
            return


@rule(
    "PAPER-008", "info",
    "VOC2O4 is V(IV), the product V(III): oxalate gives the electron, so CO evolves without any polymer too.",
    "stoichiometry, derived",
)  # fmt: skip
def _carbon_monoxide(plan: Plan, bench: Bench) -> Iterator[Hit]:
    vanadium = plan.product is not None and "V" in atoms_in(plan.product.formula)
    for i, heat in steps(plan, Heat):
        if vanadium and _from_paper(plan) and tube_of(bench, heat) and top_c(heat) > 200.0:
            yield Hit(("steps", i, "heat"), "oxalate gives off CO here, with or without polymer")
            return


@rule(
    "PLAN-001", "info",
    "The paper's sequence takes three days: somebody is wanted in between, and the nights are not watched.",
    "laws of expected times, derived",
)  # fmt: skip
def _long(plan: Plan, bench: Bench) -> Iterator[Hit]:
    at: dict[str, float] = {}
    total, people = 0.0, 0
    for step in plan.steps:
        total += estimates.duration_s(step, at.get(step.chamber or "", bench.ambient_c), bench)
        people += step.kind in ("manual", "measure", "unload")
        if isinstance(step, Heat):
            at[step.chamber or ""] = step.segments[-1].target_c
    if total > LONG_H * 3600:
        message = (
            f"takes about {total / 3600:.0f} h, and a person at {people} moments; `labctl plan` says when"
        )
        yield Hit(("steps",), message)
