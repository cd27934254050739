"""Who has which chamber: a span takes all of its own at once or waits with a reason, and gives back what it leaves.

A run that waits keeps nothing but what its batch is in, and asks people to take that out: so no two runs ever wait for
each other. A chamber that is still hot or under gas is made safe when its run leaves it, and free after custody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labctl.engine import procedure, safe, sharing
from labctl.engine.context import Rig
from labctl.engine.scan import Scan
from labctl.engine.state import RunState
from labctl.engine.steps.people import ask
from labctl.protocol.plan import AnyStep

PARKED = "take-out:"
"""Begins the prompt to take a batch out of a chamber."""


def enter(scan: Scan, run: RunState, due: Sequence[AnyStep]) -> list[AnyStep]:
    """Of the steps that are due, those that may begin: they have the chambers of their span, all of them.

    The others wait, and the run says for what.
    """
    held = {rig.name for rig in procedure.rigs_of(scan, run.run_id)}
    needed = {step.id: _chambers(scan, run, step) for step in due}
    _leave(scan, run, held - _under_way(scan, run).union(*needed.values()))
    ready: list[AnyStep] = []
    reasons: dict[str, str] = {}
    for step in due:
        lacking = sorted(needed[step.id] - held)
        against = {name: reason for name in lacking if (reason := obstacle(scan, run, name))}
        if against:
            reasons |= against
            continue
        for name in lacking:
            _take(scan, run, scan.context.rigs[name])
        held.update(lacking)
        ready.append(step)
    _wait(scan, run, reasons)
    return ready


def _chambers(scan: Scan, run: RunState, step: AnyStep) -> frozenset[str]:
    """Of the span that a step belongs to."""
    spans = scan.context.spans[run.plan_hash]
    return next((span.chambers for span in spans if step.id in span.steps), frozenset())


def _under_way(scan: Scan, run: RunState) -> frozenset[str]:
    """The chambers of spans that have begun and are not over."""
    begun = [
        span.chambers
        for span in scan.context.spans[run.plan_hash]
        if any(name in run.done or name in run.active for name in span.steps)
        and not all(name in run.done for name in span.steps)
    ]
    return frozenset().union(*begun)


def _take(scan: Scan, run: RunState, rig: Rig) -> None:
    if not _is_led(scan, rig.name):
        scan.emit("chamber_taken", {"chamber": rig.name, "run": run.run_id}, run.run_id)
    sharing.claim(scan, run, rig)
    if rig.kind == "vessel":  # the batch begins there: nobody carries it in
        scan.emit("contents_moved", {"chamber": rig.name, "contents": run.run_id}, run.run_id)


def _is_led(scan: Scan, name: str) -> bool:
    """By a run that has not ended."""
    owner = scan.state.runs.get(scan.state.chambers[name].run or "")
    return owner is not None and owner.end_state is None


def obstacle(scan: Scan, run: RunState, name: str) -> str | None:
    """Why a run cannot have a chamber now, alone or beside others; None when it can."""
    chamber = scan.state.chambers[name]
    if chamber.custody is not None:
        return f"{name} is in custody since {chamber.custody['cause']}"
    if chamber.safe is not None:
        return f"{name} is being made safe"
    if _is_led(scan, name) and (busy := sharing.against(scan, run, scan.context.rigs[name])):
        return busy
    if chamber.latched:
        return f"{name} has tripped ({', '.join(chamber.latched)}); clear and reset that run first"
    reserved = scan.state.reservations.get(name)
    if reserved is not None and scan.now < reserved["until_s"]:
        return f"{name} is reserved by {reserved['by']}: {reserved['reason']}"
    return sharing.kept_otherwise(scan, run, name)


def _wait(scan: Scan, run: RunState, reasons: Mapping[str, str]) -> None:
    reason = "; ".join(reasons.values()) or None
    if run.waits == reason:
        return
    scan.emit("run_waits", {"for": reason, "chambers": list(reasons)}, run.run_id)
    for prompt in [name for name in run.prompts if name.startswith(PARKED)] if reason is None else ():
        scan.emit("prompt_taken_back", {"prompt": prompt}, run.run_id)
        scan.tally.pop(f"{run.run_id}/{prompt}", None)


def _leave(scan: Scan, run: RunState, names: set[str]) -> None:
    """Give chambers back. One with the batch in it stays until that is carried on or, if the run waits, taken out."""
    for name in sorted(names):
        if run.run_id not in scan.state.chambers[name].contents:
            _give_back(scan, run, scan.context.rigs[name])
        elif run.waits is not None:
            _have_taken_out(scan, run, name)


def _give_back(scan: Scan, run: RunState, rig: Rig) -> None:
    chamber = scan.state.chambers[rig.name]
    if sharing.yield_heat(scan, run.run_id, rig):
        sharing.leave(scan, run.run_id, rig)
    elif chamber.energised or chamber.flow_sccm > 0.0:
        scan.emit("chamber_left", {"chamber": rig.name, "run": run.run_id}, run.run_id)
        safe.start(scan, rig, f"{run.run_id} has left it", "complete", None)
    else:
        scan.emit("chamber_released", {"chamber": rig.name}, run.run_id)


def _have_taken_out(scan: Scan, run: RunState, name: str) -> None:
    prompt, asked = f"{PARKED}{name}", f"{run.run_id}/{PARKED}{name}"
    if asked not in scan.tally:
        scan.tally[asked] = scan.now
        do = f"Take the batch out of {name} and keep it: what it goes into next is not free"
        do += sharing.warning(scan, scan.context.rigs[name], run)
        ask(scan, run, prompt, "manual", do)
    elif prompt not in scan.state.runs[run.run_id].prompts:
        del scan.tally[asked]
        scan.emit("contents_moved", {"chamber": name, "contents": None}, run.run_id)
        _give_back(scan, run, scan.context.rigs[name])
