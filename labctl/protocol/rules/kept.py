"""Rules that the controller keeps while a run is under way: the bench must have the guard that keeps each."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.bench.schema import Bench, Chamber
from labctl.model.limits import limit
from labctl.protocol.plan import Cycle, Heat, Plan
from labctl.protocol.rules.core import Hit, guards_of, rule, steps, top_c, tube_of
from labctl.protocol.rules.furnace import TUBE_LIMIT_C
from labctl.protocol.source import Path

BIG_SUPPLY_L = 1000.0
"""A supply that can displace the air of a room; 10 m3 into 30 m3 leave 15 % of oxygen (derived)."""


def _hot_tubes(plan: Plan, bench: Bench) -> Iterator[tuple[str, Chamber, Heat, Path]]:
    """Every tube that the plan heats above T_inert, once: its name, itself, the step and its path."""
    seen: set[str] = set()
    for i, heat in steps(plan, Heat):
        tube, name = tube_of(bench, heat), heat.chamber or ""
        if tube is not None and name not in seen and top_c(heat) > limit("T_inert"):
            seen.add(name)
            yield name, tube, heat, ("steps", i, "heat", "with")


def _lacks(plan: Plan, bench: Bench, *guards: str) -> Iterator[Hit]:
    for name, tube, _, path in _hot_tubes(plan, bench):
        for guard in guards:
            if guard not in guards_of(tube):
                message = f"{name} has no guard {guard!r}"
                yield Hit(
                    path, message, f"add `{{guard: {guard}}}` to the guards of {name} in the bench file"
                )


@rule(
    "GAS-006", "error",
    "When nitrogen fails, oxygen passes 100 ppm in 0.9 min: heat goes off in seconds.",
    "back-diffusion, derived; kept by guards nitrogen_low and nitrogen_lost", waive="never",
)  # fmt: skip
def _flow_watched(plan: Plan, bench: Bench) -> Iterator[Hit]:
    inert = {s.chamber for s in plan.steps if isinstance(s, Heat) and s.atmosphere == "inert"}
    for hit in _lacks(plan, bench, "nitrogen_low", "nitrogen_lost"):
        if plan.steps[_index(hit)].chamber in inert:
            yield hit


def _index(hit: Hit) -> int:
    index = hit.path[1]
    assert isinstance(index, int)
    return index


@rule(
    "GAS-007", "error",
    "A work tube bears 0.2 bar; 0.1 bar is ample. Pressure that is read must act.",
    "Carbolite STF manual; kept by guard tube_pressure", waive="never",
)  # fmt: skip
def _pressure_acts(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for name, tube, _, path in _hot_tubes(plan, bench):
        if "tube_pressure" in tube.io and "tube_pressure" not in guards_of(tube):
            message = f"the pressure of {name} is wired, and no guard acts on it"
            yield Hit(path, message, f"add `{{guard: tube_pressure}}` to the guards of {name}")


@rule(
    "GAS-008", "warning",
    "A flow that is not what was asked for tells of a leak, a kink or an empty cylinder.",
    "assumed; kept by guard flow_deviation",
)  # fmt: skip
def _flow_followed(plan: Plan, bench: Bench) -> Iterator[Hit]:
    with_gas = {s.chamber for s in plan.steps if isinstance(s, Heat) and s.under is not None}
    for hit in _lacks(plan, bench, "flow_deviation"):
        if plan.steps[_index(hit)].chamber in with_gas:
            yield hit


@rule(
    "GAS-012", "warning",
    "Below 19.5 % of oxygen nobody may be in the room; a cylinder holds enough for that, a process flow does not.",
    "OSHA 1910.146; kept by guards room_oxygen and room_co",
)  # fmt: skip
def _room(plan: Plan, bench: Bench) -> Iterator[Hit]:
    big = any(supply.contents_l > BIG_SUPPLY_L for supply in bench.supplies.values())
    for name, tube, _, path in _hot_tubes(plan, bench):
        for signal in ("room_oxygen", "room_co"):
            if signal in tube.io and signal not in guards_of(tube):
                hint = f"add `{{guard: {signal}}}` to the guards of {name}"
                yield Hit(path, f"{signal} is wired for {name}, and no guard acts on it", hint)
        if big and "room_oxygen" not in tube.io:
            message = f"{bench.bench} has no room oxygen signal for {name}: carry a portable alarm"
            yield Hit(path, message, severity="info")


@rule(
    "FUR-010", "error",
    "With a broken thermocouple a furnace runs from 900 to 1200 degC in 8.4 min: over-temperature trips first.",
    "2 kW furnace model, derived; kept by guard over_temperature", waive="never",
)  # fmt: skip
def _over_temperature(plan: Plan, bench: Bench) -> Iterator[Hit]:
    yield from _lacks(plan, bench, "over_temperature")
    for name, tube, heat, path in _hot_tubes(plan, bench):
        bounds = (tube.max_temperature_c, bench.instruments[heat.heater].limits.max_temperature_c)
        known = [bound for bound in bounds if bound is not None]
        most = TUBE_LIMIT_C.get(tube.material or "")
        if not known:
            message = f"neither {name} nor {heat.heater} has a `max_temperature_c`"
            yield Hit(path, message, "write it in the bench file", "warning")
        elif most is not None and min(known) > most:
            message = f"{name} may reach {min(known):g} degC, and is of {tube.material}: {most:g} degC"
            yield Hit(path, message, "lower `max_temperature_c` in the bench file")


@rule(
    "FUR-011", "error",
    "A thermometer that is open, frozen, jumps or disagrees with another must not steer a furnace.",
    "assumed; kept by guards sensor, sensor_jump, frozen_sensor and thermometers_disagree", waive="never",
)  # fmt: skip
def _thermometers(plan: Plan, bench: Bench) -> Iterator[Hit]:
    yield from _lacks(plan, bench, "sensor")
    for hit in _lacks(plan, bench, "sensor_jump", "frozen_sensor"):
        yield Hit(hit.path, hit.message, hit.hint, "warning")
    for name, tube, _, path in _hot_tubes(plan, bench):
        seeing = {"thermometer", "tube_furnace"}
        instruments = [i for i in bench.instruments.values() if i.chamber == name and seeing & {*i.provides}]
        if len(instruments) > 1 and "thermometers_disagree" not in guards_of(tube):
            message = f"{name} has {len(instruments)} thermometers, and no guard 'thermometers_disagree'"
            yield Hit(path, message, f"add it to the guards of {name} in the bench file", "warning")


@rule(
    "FUR-015", "error",
    "A furnace that cannot be reached for 30 s may be heating: its lease or contactor turns it off.",
    "assumed; kept by guard silent", waive="never",
)  # fmt: skip
def _reached(plan: Plan, bench: Bench) -> Iterator[Hit]:
    yield from _lacks(plan, bench, "silent")


@rule(
    "CEL-004", "error",
    "A cell below 0 V, above 4.3 V or beyond its current is reversed or shorted: open circuit.",
    "assumed; kept by guard cell_limits", waive="never",
)  # fmt: skip
def _cell_watched(plan: Plan, bench: Bench) -> Iterator[Hit]:
    for i, cycle in steps(plan, Cycle):
        chamber = bench.chambers.get(cycle.chamber or "")
        if chamber is not None and "cell_limits" not in guards_of(chamber):
            hint = f"add `{{guard: cell_limits}}` to the guards of {cycle.chamber}"
            yield Hit(("steps", i, "cycle", "with"), f"{cycle.chamber} has no guard 'cell_limits'", hint)
            return
