"""An oven that several runs have their batches in at once, at one setpoint: who claims it, and who leads.

The leader's steps command the heater; the others' watch what it reads and count their own soak. What ends the heat for
one run's sake leaves it on for the others: the lead passes on. What makes the oven safe does so for all of them.
"""

from __future__ import annotations

from itertools import takewhile

from labctl.engine import safe
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import Data, RunState, soaked_s
from labctl.model.events import clock
from labctl.model.limits import limit
from labctl.protocol.plan import AnyStep, Heat
from labctl.protocol.spans import setpoints
from labctl.protocol.vapour import SAFE_FRACTION, closed_fraction, dilution_l_per_min

TOLD_S = 60.0
"""By how much the end of a claim must have moved to be told again (assumed)."""

SOLVENT_GONE_PCT = 99.0
"""Weighed loss of THF and ethanol above which an oven may go beyond 60 degC (safety contract 2)."""


# -- who is in it ----------------------------------------------------------------------------------


def users(scan: Scan, rig: Rig) -> list[RunState]:
    """The runs that a chamber works for, its leader last; of one that is not shared, that alone."""
    chamber = scan.state.chambers[rig.name]
    others = [scan.state.runs[name] for name in chamber.claims if name != chamber.run]
    return others + ([scan.state.runs[chamber.run]] if chamber.run else [])


def others(scan: Scan, rig: Rig, run_id: str) -> list[RunState]:
    """The runs besides this one that have claims on a chamber."""
    names = scan.state.chambers[rig.name].claims
    return [scan.state.runs[name] for name in names if name != run_id]


def may_hold_solvent(scan: Scan, run: RunState) -> bool:
    """A run began with flammable solvent, and has not weighed that it is gone."""
    if not scan.context.plans[run.plan_hash].charge.flammable_solvent_g:
        return False
    gone = (done.get("derived", {}).get("solvent_loss", 0.0) for done in run.done.values())
    return max(gone, default=0.0) < SOLVENT_GONE_PCT


def warning(scan: Scan, rig: Rig, run: RunState) -> str:
    """What a person who puts a batch into a chamber must know: that others are in it, and how warm it is."""
    chamber = scan.state.chambers[rig.name]
    inside = [f"{name} ({claim['contents']})" for name, claim in chamber.claims.items() if name != run.run_id]
    if inside:  # nobody else said that it was taken out
        gone = [b for b in chamber.contents if b not in chamber.claims and b in scan.state.runs]
        inside += [f"{batch}, which is {scan.state.runs[batch].state}" for batch in gone]
    inside += [f"{kept['by']} ({kept['contents']})" for kept in claims_of_people(scan, rig.name)]
    if not inside:
        return ""
    read_c = max(scan.temperatures(rig), default=None)
    warm = (
        " and it is not heated now" if chamber.lease is None else f", kept at {chamber.lease.target_c:g} degC"
    )
    told = "" if read_c is None or chamber.lease is None else f" and reads {read_c:.0f} degC"
    return f". Others are in {rig.name}{warm}{told}: {', '.join(inside)}. Open it briefly"


def claims_of_people(scan: Scan, name: str) -> list[Data]:
    """Reservations of a chamber at a setpoint that are not over."""
    kept = scan.state.reservations.values()
    return [
        one for one in kept if one["chamber"] == name and "setpoint_c" in one and scan.now < one["until_s"]
    ]


# -- who may come in -------------------------------------------------------------------------------


def setpoint_c(scan: Scan, run: RunState, name: str) -> float | None:
    """The one setpoint of all that a run has still to do in a chamber before it leaves; None: there is no one."""
    wanted = _setpoints(scan, run, name)
    return next(iter(wanted)) if wanted is not None and len(wanted) == 1 else None


def suits(scan: Scan, run: RunState, rig: Rig) -> bool:
    """Whether all that a run has still to do in a chamber leaves it at the setpoint that others want."""
    claims = scan.state.chambers[rig.name].claims.items()
    kept = {claim["setpoint_c"] for name, claim in claims if name != run.run_id} - {None}
    wanted = _setpoints(scan, run, rig.name)
    return not kept or (wanted is not None and wanted <= kept)


def _setpoints(scan: Scan, run: RunState, name: str) -> frozenset[float] | None:
    return setpoints(_left(scan, run, name), name)


def _left(scan: Scan, run: RunState, name: str) -> list[AnyStep]:
    """What is not over of the span in which a run works in a chamber now, or next."""
    for span in scan.context.spans[run.plan_hash]:
        left = [step for step in span.steps if step not in run.done]
        if name in span.chambers and left:
            steps = scan.context.steps[run.plan_hash]
            return [steps[step] for step in left if steps[step].chamber == name]
    return []


def against(scan: Scan, run: RunState, rig: Rig) -> str | None:
    """Why a run cannot put its batch in beside that of the run which leads; None when it can."""
    chamber = scan.state.chambers[rig.name]
    leader = scan.state.runs[chamber.run or ""]
    claim, wanted = chamber.claims.get(leader.run_id), setpoint_c(scan, run, rig.name)
    busy = f"{rig.name} is busy with run {leader.run_id} ({leader.state})"
    if not rig.shared or wanted is None or claim is None or claim["setpoint_c"] is None:
        return busy
    if claim["setpoint_c"] != wanted:
        until = max(c["until_s"] for c in chamber.claims.values())
        kept = (
            f"{rig.name} is kept at {claim['setpoint_c']:g} degC by run {leader.run_id} until {clock(until)}"
        )
        return f"{kept}, and {wanted:g} degC is wanted"
    lease = chamber.lease
    if leader.state != "RUNNING" or lease is None or scan.now >= lease.until_s or lease.target_c != wanted:
        return f"{busy}; it can be shared while that heats it"
    if wanted >= limit("T_open") and any(c["setpoint_c"] is None for c in chamber.claims.values()):
        return f"{busy}; it is to cool down for what is in it"
    for older in takewhile(lambda one: one.run_id != run.run_id, scan.state.runs.values()):
        waits = older.state == "RUNNING" and rig.name in older.waits_for
        if waits and kept_otherwise(scan, older, rig.name) is None:
            return f"{busy}, and {older.run_id} waits for it"
    heats = [step for step in _left(scan, run, rig.name) if isinstance(step, Heat)]
    if any(segment.ramp_k_per_min for heat in heats for segment in heat.segments):
        return f"{busy}; it is hot already, and a ramp is wanted"
    return _vapours(scan, run, rig, wanted)


def _vapours(scan: Scan, run: RunState, rig: Rig, celsius: float) -> str | None:
    """Why the vapour of all batches together is too much, or their door must stay shut."""
    wet = [one for one in (*users(scan, rig), run) if may_hold_solvent(scan, one)]
    if wet and "door" in rig.io:
        return f"{rig.name} must stay shut: {wet[0].run_id} may hold solvent"
    if run not in wet or len(wet) == 1:
        return None
    charges = [scan.context.plans[one.plan_hash].charge for one in wet]
    if rig.exhaust_l_per_min is not None:
        needed = sum(dilution_l_per_min(charge, celsius) for charge in charges)
        if needed > rig.exhaust_l_per_min:
            draws = f"the exhaust of {rig.name} draws {rig.exhaust_l_per_min:g} L/min"
            return f"{draws}; the solvent of {len(wet)} batches wants {needed:.1f} L/min"
    elif (
        not rig.volume_cm3
        or sum(closed_fraction(charge, rig.volume_cm3, celsius) for charge in charges) > SAFE_FRACTION
    ):
        return f"the solvent of {len(wet)} batches is too much for {rig.name}: nobody measured its exhaust"
    return None


def kept_otherwise(scan: Scan, run: RunState, name: str) -> str | None:
    """Why a run cannot have a chamber that people keep at a setpoint; None where it wants that one, or nobody does."""
    for kept in claims_of_people(scan, name):
        if kept["setpoint_c"] != setpoint_c(scan, run, name):
            until = clock(kept["until_s"])
            return f"{name} is kept at {kept['setpoint_c']:g} degC by {kept['by']} until {until}: {kept['contents']}"
    return None


# -- claims ----------------------------------------------------------------------------------------


def claim(scan: Scan, run: RunState, rig: Rig) -> None:
    """Tell what a run wants of a shared chamber from now on, where all of it is at one setpoint."""
    wanted = setpoint_c(scan, run, rig.name) if rig.shared else None
    if wanted is not None:
        _tell(scan, run, rig, wanted)


def heat_is_over(scan: Scan, run: RunState, rig: Rig) -> None:
    """A run wants no heat there any more; its batch may still be in."""
    if run.run_id in scan.state.chambers[rig.name].claims:
        _tell(scan, run, rig, None)


def _tell(scan: Scan, run: RunState, rig: Rig, celsius: float | None) -> None:
    known = scan.state.chambers[rig.name].claims.get(run.run_id)
    until_s = scan.now + _soaks_left_s(scan, run, rig.name)
    if known and known["setpoint_c"] == celsius and abs(known["until_s"] - until_s) < TOLD_S:
        return
    data = {"chamber": rig.name, "run": run.run_id, "setpoint_c": celsius, "until_s": until_s}
    title = scan.context.plans[run.plan_hash].title
    scan.emit("chamber_claimed", data | {"contents": title}, run.run_id)


def _soaks_left_s(scan: Scan, run: RunState, name: str) -> float:
    left = 0.0
    for step in _left(scan, run, name):
        if isinstance(step, Heat):
            active = run.active.get(step.id)
            over = len(active.data.get("soaks", ())) if active else 0
            soaked = scan.tally.get(soaked_s(run, step.id, over), 0.0)
            left += max(0.0, sum(segment.hold_s for segment in step.segments[over:]) - soaked)
    return left


# -- who leads -------------------------------------------------------------------------------------


def commands(scan: Scan, run: RunState, rig: Rig) -> bool:
    """Whether a run commands the heater: it leads, or does from now on since nobody else wants heat."""
    chamber = scan.state.chambers[rig.name]
    if not chamber.claims or chamber.run == run.run_id:
        return True
    leader = scan.state.runs[chamber.run or ""]
    if leader.state in ("RUNNING", "RESTARTING") and chamber.claims[leader.run_id]["setpoint_c"] is not None:
        return False
    _lead(scan, run, rig)
    return True


def keep_warm(scan: Scan, run_id: str, rig: Rig, *, running: bool = False) -> bool:
    """Whether others want the heat that a run needs no longer: then it stays on, and one of them leads.

    running: only runs that go on now.
    """
    chamber = scan.state.chambers[rig.name]
    if chamber.safe is not None:
        return False
    heirs = [one for one in others(scan, rig, run_id) if _wants_heat(one, chamber.claims[one.run_id])]
    if running:
        heirs = [one for one in heirs if one.state == "RUNNING"]
    if heirs and chamber.run == run_id:
        _lead(scan, _latest(heirs, chamber.claims), rig)
    return bool(heirs) or (not running and bool(_people_in(scan, rig)))


def yield_heat(scan: Scan, run_id: str, rig: Rig) -> bool:
    """Leave the heat to others, or take it off where none of them wants it; False: there are none."""
    if keep_warm(scan, run_id, rig):
        return True
    chamber = scan.state.chambers[rig.name]
    if others(scan, rig, run_id) and chamber.lease is not None and rig.heater is not None:
        scan.send(rig, rig.heater, "heat_off", run=run_id, why="nobody wants it warm any more")
    return bool(others(scan, rig, run_id))


def leave(scan: Scan, run_id: str, rig: Rig) -> bool:
    """Give back the claim of a run where others have theirs; False: it was alone, and the chamber is to be given."""
    remain, chamber = others(scan, rig, run_id), scan.state.chambers[rig.name]
    people = [] if chamber.safe is not None else _people_in(scan, rig)
    if not remain and not people:
        return False
    scan.emit("claim_released", {"chamber": rig.name, "run": run_id}, run_id)
    if chamber.run == run_id and remain:
        heirs = [one for one in remain if _wants_heat(one, chamber.claims[one.run_id])]
        _lead(scan, _latest(heirs or remain, chamber.claims), rig)
    elif chamber.run == run_id:
        until_s = max(kept["until_s"] for kept in people)
        scan.emit(
            "lead_passed", {"chamber": rig.name, "run": None, "was": run_id, "until_s": until_s}, run_id
        )
    return True


def watch_heat(scan: Scan, rig: Rig) -> None:
    """Take the heat off once nobody who has a claim wants it any more."""
    chamber = scan.state.chambers[rig.name]
    if chamber.lease is None or chamber.safe is not None or rig.heater is None:
        return
    alone = chamber.run is not None and not chamber.claims
    wanted = any(_wants_heat(scan.state.runs[name], claim) for name, claim in chamber.claims.items())
    if alone or wanted or _people_in(scan, rig):
        return
    why = "nobody wants it warm any more"
    if chamber.run is None:
        safe.start(scan, rig, why, "complete", None)
    else:
        scan.send(rig, rig.heater, "heat_off", run=chamber.run, why=why)


def _people_in(scan: Scan, rig: Rig) -> list[Data]:
    """Claims of people at the setpoint that the heater has: it stays on for them until they end."""
    lease = scan.state.chambers[rig.name].lease
    kept = claims_of_people(scan, rig.name) if lease is not None else []
    return [one for one in kept if lease is not None and one["setpoint_c"] == lease.target_c]


def _wants_heat(run: RunState, claim: Data) -> bool:
    """Its heat is not over, and it is neither about to end nor held cold."""
    cold = run.state in ("HOLDING", "HELD") and run.hold == "cool"
    return claim["setpoint_c"] is not None and not cold and run.state not in ("STOPPING", "ABORTING")


def _latest(runs: list[RunState], claims: dict[str, Data]) -> RunState:
    """One that goes on now before one that is held; of these, whose claim ends last."""
    return max(runs, key=lambda run: (run.state == "RUNNING", claims[run.run_id]["until_s"]))


def _lead(scan: Scan, run: RunState, rig: Rig) -> None:
    """From now on this run's steps command the heater."""
    chamber = scan.state.chambers[rig.name]
    heats = [step for step in _left(scan, run, rig.name) if isinstance(step, Heat)]
    until_s = scan.now + sum(heat.timeout_s for heat in heats) + limit("held_max")
    data = {"chamber": rig.name, "run": run.run_id, "was": chamber.run, "until_s": until_s}
    scan.emit("lead_passed", data, run.run_id)
