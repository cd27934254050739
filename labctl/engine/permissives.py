"""What must be so before a chamber may be heated, each with its name, and why a step waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from labctl.engine import procedure, reserve, services
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState, StepState
from labctl.engine.steps.gas import flow_proven, is_washed_again, note_proof, why_not_proven
from labctl.model.limits import limit
from labctl.protocol.plan import Heat


class Missing(NamedTuple):
    """A permissive that is not there: its name, and what is the matter."""

    name: str
    why: str


CONTACTS: Mapping[str, str] = {
    "extraction": "the extraction is off",
    "limiter": "the excess-temperature limiter has tripped; reset it at its panel",
    "estop": "the e-stop is pressed",
    "water": "cooling water does not flow",
    "door": "it is open",
}


def missing(scan: Scan, run: RunState, step: Heat, rig: Rig) -> list[Missing]:
    """Every permissive that is missing now; of what a bench lacks none is asked."""
    return [one for look in _PERMISSIVES for one in look(scan, run, step, rig)]


def lacks_proof(scan: Scan, step: Heat, rig: Rig) -> bool:
    """The step heats above T_inert in an inert tube whose oxygen is not proven washed out."""
    needs = step.atmosphere == "inert" and max(s.target_c for s in step.segments) > limit("T_inert")
    return needs and not scan.state.chambers[rig.name].purged


def washing_s(step: Heat, rig: Rig) -> float:
    """How long the purge may take to be proven anew under the gas of a step: twice its forecast."""
    flow_sccm = step.under.flow_sccm if step.under else rig.protective_sccm
    washed_s = limit("purge_volumes") * rig.volume_cm3 / flow_sccm * 60.0
    return 2.0 * washed_s + limit("purge_oxygen_for")


def wait(scan: Scan, run: RunState, state: StepState, step: Heat, rig: Rig, lacking: list[Missing]) -> None:
    """Say after a while what a step waits for, alarm when it takes long, and hold in the end."""
    waited = scan.now - state.phase_s
    reasons = [f"{one.name}: {one.why}" for one in lacking]
    names = [one.name for one in lacking]
    if waited >= limit("permissive_told") and names != state.data.get("waits_for"):
        scan.emit("step_waits", {"id": step.id, "waits_for": names, "why": "; ".join(reasons)}, run.run_id)
    # a purge proof may take hours by its nature; it is bounded by twice its forecast
    others = [reason for reason, one in zip(reasons, lacking, strict=True) if one.name != "purge_proof"]
    if others and waited >= limit("permissive_alarm"):
        message = f"{step.id} waits to heat {rig.name} for {waited / 60.0:.0f} min: {'; '.join(others)}"
        scan.alarm(_alarm(step, rig), True, message, run=run.run_id)
    if others and waited >= limit("permissive_held"):
        procedure.fault(scan, run.run_id, f"{step.id} may not heat: {'; '.join(others)}", hold="maintain")
    elif not others and waited >= washing_s(step, rig):
        flow_sccm = scan.state.chambers[rig.name].flow_sccm
        why = why_not_proven(scan, rig, step.id, flow_sccm, limit("purge_oxygen"), waited)
        procedure.fault(scan, run.run_id, why, hold="maintain")


def granted(scan: Scan, run: RunState, step: Heat, rig: Rig) -> None:
    """All are there."""
    scan.alarm(_alarm(step, rig), False, "", run=run.run_id)


def _alarm(step: Heat, rig: Rig) -> str:
    return f"{rig.name}/{step.id}/may not heat"


def _sensor(scan: Scan, run: RunState, step: Heat, rig: Rig) -> Iterator[Missing]:
    if scan.good(rig, step.heater, "temperature") is None:
        yield Missing("temperature", f"no good reading from {step.heater}")


def _contacts(scan: Scan, run: RunState, step: Heat, rig: Rig) -> Iterator[Missing]:
    for what, why in CONTACTS.items():
        if what not in rig.io or (what == "door" and rig.kind != "tube"):
            continue
        closed = scan.told(rig, what)
        if closed != 1.0:
            yield Missing(what, why if closed is not None else f"no good reading from {rig.io[what][0]}")
    rest_s = services.exhaust_missing_s(scan, rig)
    if rest_s:
        until = f"for {rest_s:.0f} s more" if rest_s < 1e9 else "until a person restarts with a --reason"
        yield Missing("exhaust", f"it was lost; it must draw {until}")


def _room(scan: Scan, run: RunState, step: Heat, rig: Rig) -> Iterator[Missing]:
    oxygen, co = scan.told(rig, "room_oxygen"), scan.told(rig, "room_co")
    if oxygen is not None and oxygen < limit("room_oxygen_alarm"):
        yield Missing("room_oxygen", f"{oxygen:.1f} % is below {limit('room_oxygen_alarm'):g} %")
    if co is not None and co > limit("room_co_alarm"):
        yield Missing("room_co", f"{co:.0f} ppm is above {limit('room_co_alarm'):g} ppm")


def _audit(scan: Scan, run: RunState, step: Heat, rig: Rig) -> Iterator[Missing]:
    for name in rig.instruments:
        if name in scan.context.barred:
            yield Missing("audit", scan.context.barred[name])


def _atmosphere(scan: Scan, run: RunState, step: Heat, rig: Rig) -> Iterator[Missing]:
    """Nitrogen flows and is proven, the tube is closed and free, and its oxygen is proven washed out."""
    if step.atmosphere != "inert":
        return
    flow = scan.value(rig.flow)
    if flow is None or flow < rig.protective_sccm:
        shown = "not measured" if flow is None else f"{flow:.0f} sccm"
        yield Missing("run_flow", f"{shown}, protective flow is {rig.protective_sccm:.0f} sccm")
        return
    if lacks_proof(scan, step, rig):
        if not is_washed_again(scan, rig):
            yield Missing("purge_proof", "oxygen is not proven washed out")
            return
        note_proof(scan, rig, run.run_id)
    if not flow_proven(scan, rig):
        yield Missing("run_flow", f"not yet steady for {limit('run_flow_proven'):.0f} s")
    elif "tube_pressure" in rig.io:
        yield from _pressure(scan, rig)


def _reserve(scan: Scan, run: RunState, step: Heat, rig: Rig) -> Iterator[Missing]:
    contents = reserve.contents_l(scan, rig)
    if contents is None or rig.supply is None or step.atmosphere != "inert":
        return
    hottest = max(segment.target_c for segment in step.segments)
    needed = reserve.needed_l(scan, rig.supply.name, rig, hottest)
    if contents < needed:
        yield Missing(
            "gas_reserve", f"{rig.supply.name} holds {contents:.0f} L; a cool-down needs {needed:.0f} L"
        )


def _pressure(scan: Scan, rig: Rig) -> Iterator[Missing]:
    pressure = scan.told(rig, "tube_pressure")
    if pressure is None:
        yield Missing("tube_pressure", f"no good reading from {rig.io['tube_pressure'][0]}")
    elif pressure >= limit("tube_pressure_high"):
        yield Missing("tube_pressure", f"{pressure * 1e3:.0f} mbar; the exhaust is blocked")
    elif pressure < limit("tube_tight"):
        yield Missing("tube_pressure", f"only {pressure * 1e3:.1f} mbar at proven flow; a flange is open")


_PERMISSIVES: tuple[Callable[[Scan, RunState, Heat, Rig], Iterator[Missing]], ...] = (
    _sensor,
    _contacts,
    _room,
    _audit,
    _atmosphere,
    _reserve,
)
