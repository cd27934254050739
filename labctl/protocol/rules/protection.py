"""What a bench does not have, and so cannot protect from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labctl.bench.schema import Bench
from labctl.model.limits import limit
from labctl.protocol.plan import Plan
from labctl.protocol.rules.core import Hit, rule, targets, tube_of

PROTECTIONS = {
    "extraction": "off-gas with CO and styrene would go into the room unnoticed",
    "tube pressure": "a blocked exhaust would not be seen before the tube gives way",
    "limiter contact": "a tripped excess-temperature limiter would not be reported",
    "door": "a tube opened hot would not be noticed",
}
"""Protective signals that come from an I/O module, and what is lost without each."""

SIGNAL_OF = {
    "extraction": "extraction",
    "tube pressure": "tube_pressure",
    "limiter contact": "limiter",
    "door": "door",
}
"""What a chamber's `io` and its guards call them."""

NEEDS_A_PERSON = ("extraction", "tube pressure", "limiter contact")
"""Without one of these a tube is heated above T_inert only while a named person stays (safety contract 5)."""


def lost(bench: Bench, chamber: str) -> Mapping[str, str]:
    """The protective signals that a heated tube of a bench lacks, and what is lost without each.

    A signal that is wired and has no guard protects nobody either.
    """
    of = bench.chambers[chamber]
    if of.kind != "tube":
        return {}
    guarded = {guard.guard for guard in of.guards} & of.io.keys()
    return {name: what for name, what in PROTECTIONS.items() if SIGNAL_OF[name] not in guarded}


@rule(
    "SAFE-005", "warning",
    "A signal that a bench lacks protects nobody.",
    "safety contract, absent signals", waive="never",
)  # fmt: skip
def _absent(plan: Plan, bench: Bench) -> Iterator[Hit]:
    return _lacking(plan, bench, needs_a_person=True)


@rule("SAFE-008", "warning", "A signal that a bench lacks tells nobody.", "safety contract, absent signals")
def _not_told(plan: Plan, bench: Bench) -> Iterator[Hit]:
    return _lacking(plan, bench, needs_a_person=False)


def _lacking(plan: Plan, bench: Bench, *, needs_a_person: bool) -> Iterator[Hit]:
    told: set[str] = set()
    for _, heat, segment, path in targets(plan):
        chamber = heat.chamber or ""
        if tube_of(bench, heat) is None or segment.target_c <= limit("T_inert") or chamber in told:
            continue
        told.add(chamber)
        for signal, what in lost(bench, chamber).items():
            if (signal in NEEDS_A_PERSON) is needs_a_person:
                hint = "heat above T_inert only while somebody stays" if needs_a_person else None
                message = f"{bench.bench} has no {signal} signal for {chamber}: {what}"
                yield Hit((*path, "to"), message, hint)
