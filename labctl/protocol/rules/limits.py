"""The bench's limits always win."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.bench.schema import Bench
from labctl.protocol.plan import Plan, Stir
from labctl.protocol.rules.core import Hit, flows, ramps, rate, rule, steps, targets

ABOVE_ROOM_K = 5.0


@rule(
    "LIM-001",
    "error",
    "No target above what the instrument or its chamber may reach.",
    "bench file",
    waive="never",
)
def _temperature(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, heat, segment, path in targets(plan):
        limits = {
            heat.heater: bench.instruments[heat.heater].limits.max_temperature_c,
            f"chamber {heat.chamber}": bench.chambers[heat.chamber or ""].max_temperature_c,
        }
        for owner, limit in limits.items():
            if limit is not None and segment.target_c > limit:
                message = f"{segment.target_c:g} degC is above the {limit:g} degC limit of {owner}"
                yield Hit((*path, "to"), message, "the bench's limit always wins")


@rule("LIM-002", "error", "No ramp faster than the instrument's limit.", "bench file", waive="never")
def _ramp(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for heat, ramp, path in ramps(plan):
        limit = bench.instruments[heat.heater].limits.max_ramp_k_per_min
        if limit is not None and ramp > limit:
            message = f"{rate(ramp)} is above the {limit:g} K/min limit of {heat.heater}"
            yield Hit(path, message, "the bench's limit always wins")


@rule("LIM-003", "error", "No flow above the controller's limit.", "bench file", waive="never")
def _flow(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, _, controller, flow, path in flows(plan):
        limit = bench.instruments[controller].limits.max_flow_sccm
        if limit is not None and flow > limit:
            message = f"{flow:g} sccm is above the {limit:g} sccm limit of {controller}"
            yield Hit(path, message, "the bench's limit always wins")


@rule("LIM-004", "error", "No speed above the stirrer's limit.", "bench file", waive="never")
def _speed(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, stir in steps(plan, Stir):
        limit = bench.instruments[stir.stirrer].limits.max_speed_rpm
        if limit is not None and stir.speed_rpm > limit:
            message = f"{stir.speed_rpm:g} rpm is above the {limit:g} rpm limit of {stir.stirrer}"
            yield Hit(("steps", i, "stir", "speed"), message, "the bench's limit always wins")


@rule(
    "LIM-005",
    "error",
    "Nothing here cools: a heater holds a temperature only some degrees above the room.",
    "assumed (5 K, as for a cool-down)",
    waive="never",
)
def _above_the_room(plan: Plan, bench: Bench) -> Iterator[Hit]:
    least = bench.ambient_c + ABOVE_ROOM_K
    for _, heat, segment, path in targets(plan):
        if segment.target_c < least:
            message = (
                f"{heat.heater} cannot hold {segment.target_c:g} degC in a room of {bench.ambient_c:g} degC"
            )
            yield Hit((*path, "to"), message, f"at least {least:g} degC")


@rule(
    "LIM-006",
    "error",
    "No flow below what the controller can hold.",
    "bench file; makers give a turn-down of 1:50 to 1:200",
    waive="never",
)
def _held_flow(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for _, _, controller, flow, path in flows(plan):
        least = bench.instruments[controller].limits.min_flow_sccm
        if least is not None and flow < least:
            message = f"{flow:g} sccm is below the {least:g} sccm that {controller} can hold"
            yield Hit(path, message, f"at least {least:g} sccm")
