"""What a guard is, and what becomes of what it sees.

A guard is data and one pure question: what is wrong with this chamber, by what it reads now? The frame counts how
long that lasts, and acts by the gravest stage that is due: alarm, hold or trip. By level: it asks every scan, before,
during and after runs, and goes on acting while the answer stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Literal, NamedTuple

from labctl.engine import procedure, safe, sharing
from labctl.engine.alarms import LATCHED
from labctl.engine.context import Rig, Watch
from labctl.engine.scan import Scan
from labctl.engine.state import ChamberState
from labctl.model.limits import LIMITS, limit


class Action(IntEnum):
    """What a guard does, in order of gravity."""

    ALARM = 1
    """Tells people."""
    HOLD = 2
    """Takes the run to HOLDING; unlatched. Heat stays on only where `how` says maintain and all is proven good."""
    TRIP = 3
    """Aborts, and makes the chamber safe; latched until a person clears and resets it."""


ALARM, HOLD, TRIP = Action
ON_BAD = {"trip": TRIP, "hold": HOLD, "alarm": ALARM}

Tightened = Mapping[str, float]


class Seen(NamedTuple):
    """What is wrong now, for the person at the furnace: what and where, the value and the limit that it broke.

    worst: the gravest action that this justifies; None for a reading that is not good: what the guard's `on_bad` says.
    how: a hold keeps the heat ("maintain"), ends it ("cool"), or is a controlled stop of the run ("stop").
    distrust: a sensor without a vote from now on. recheck: an instrument to audit again before anything heats.
    told_by: an alarm that says the same already, where it is shown.
    """

    message: str
    value: float | None = None
    bound: float = 0.0
    worst: Action | None = TRIP
    how: Literal["maintain", "cool", "stop"] = "cool"
    distrust: str | None = None
    recheck: str | None = None
    told_by: str | None = None


class Stage(NamedTuple):
    """An action, and the limit that says for how long (s or scans) what is seen must last before. None: at once."""

    action: Action
    lasting: str | None = None


class Guard(NamedTuple):
    """One interlock.

    sees: asked once a scan; None while nothing is wrong. stages: mildest first. on_bad: what it does about a reading
    that is not good. priority: of its alarm. hidden_by: guards whose alarm says the same and more; hides: the other
    way round (made by `GUARDS`). bypass: whether a supervisor may bypass it. always: asked while the chamber is not
    in use too. off_delay_s: for how long nothing must be wrong before the alarm returns (EEMUA 191 as recalled: 15 s
    for flow, pressure and links, 60 s for temperature); it never delays an action.
    """

    name: str
    sees: Callable[[Scan, Rig, ChamberState, Watch], Seen | None]
    stages: tuple[Stage, ...]
    on_bad: Literal["trip", "hold", "alarm"]
    priority: Literal["critical", "high", "medium", "low"] = "critical"
    hidden_by: tuple[str, ...] = ()
    bypass: bool = False
    always: bool = False
    off_delay_s: float = 15.0
    hides: tuple[str, ...] = ()


def judge(scan: Scan, rig: Rig, guard: Guard, watch: Watch, seen: Seen) -> None:
    """Something is wrong: raise the alarm and do what is due. That it was seen stays in the tally until it rests."""
    scan.tally[watch.alarm] = scan.now
    worst = ON_BAD[guard.on_bad] if seen.worst is None else seen.worst
    due = None
    for stage, timer in zip(guard.stages, watch.timers, strict=False):
        if stage.action > worst:
            scan.tally.pop(timer, None)
        elif _has_lasted(scan, stage, timer, watch):
            due = stage
    if due is None:
        return
    scan.tally.pop(f"{watch.alarm}/off_s", None)
    scan.alarm(
        watch.alarm,
        True,
        seen.message,
        run=scan.state.chambers[rig.name].run,
        priority=guard.priority,
        latching=due.action is TRIP,
        hidden=_is_told(scan, rig, guard, seen),
        hides=tuple(f"{rig.name}/{name}" for name in guard.hides),
    )
    if watch.alarm in scan.state.bypasses:
        return
    if due.action is HOLD:
        _hold(scan, rig, guard.name, seen)
    elif due.action is TRIP:
        _trip(scan, rig, guard.name, seen)


def rest(scan: Scan, rig: Rig, guard: Guard, watch: Watch) -> None:
    """Nothing is wrong any more: what lasted has ended, and after its off-delay the alarm returns."""
    tally = scan.tally
    for timer in watch.timers:
        tally.pop(timer, None)
    off = f"{watch.alarm}/off_s"
    if not _is_shown(scan, watch.alarm):
        del tally[watch.alarm]
        tally.pop(off, None)
    elif scan.lasting(off, True) >= guard.off_delay_s:
        del tally[off], tally[watch.alarm]
        scan.alarm(watch.alarm, False, "", run=scan.state.chambers[rig.name].run)


def _is_told(scan: Scan, rig: Rig, guard: Guard, seen: Seen) -> bool:
    """An alarm of the same cause is shown; one that has tripped says so until a person resets it."""
    others = [f"{rig.name}/{name}" for name in guard.hidden_by] + ([seen.told_by] if seen.told_by else [])
    return any(
        scan.state.alarms.get(name, {}).get("state") in LATCHED or _is_shown(scan, name) for name in others
    )


def _is_shown(scan: Scan, alarm: str) -> bool:
    return bool(scan.state.alarms.get(alarm, {}).get("active"))


def _has_lasted(scan: Scan, stage: Stage, timer: str, watch: Watch) -> bool:
    if stage.lasting is None:
        return True
    counts_scans = LIMITS[stage.lasting].unit == "scans"
    lasted = scan.add(timer, 1.0) if counts_scans else scan.lasting(timer, True)
    return lasted >= limit(stage.lasting, watch.tightened)


def _hold(scan: Scan, rig: Rig, guard: str, seen: Seen) -> None:
    chamber = scan.state.chambers[rig.name]
    trigger = "STOP" if seen.how == "stop" else "HOLD"
    runs = [run for run in sharing.users(scan, rig) if procedure.accepts(run, trigger)]
    if runs:
        _note(scan, rig, guard, "stop" if trigger == "STOP" else f"hold ({seen.how})", seen, latched=False)
        for run in runs:
            _command(scan, run.run_id, trigger, guard, seen)
    elif seen.how == "cool" and chamber.energised and not (chamber.safe or chamber.custody):
        _note(scan, rig, guard, "heater off", seen, latched=False)
        safe.start(scan, rig, seen.message, "hold", chamber.run)
    elif seen.how == "cool" and safe.is_ramping(chamber):
        _note(scan, rig, guard, "heater off", seen, latched=False)
        safe.end_ramp(scan, rig, chamber.run, seen.message)


def _trip(scan: Scan, rig: Rig, guard: str, seen: Seen) -> None:
    chamber = scan.state.chambers[rig.name]
    if guard in chamber.latched:
        return
    _note(scan, rig, guard, "abort", seen, latched=True)
    runs = [run for run in sharing.users(scan, rig) if procedure.accepts(run, "ABORT")]
    for run in runs:
        _command(scan, run.run_id, "ABORT", guard, seen)
    if not runs:
        safe.start(scan, rig, seen.message, "abort", chamber.run)


def _command(scan: Scan, run_id: str, trigger: str, guard: str, seen: Seen) -> None:
    hold = seen.how if trigger == "HOLD" else "maintain"
    procedure.command(scan, run_id, trigger, reason=seen.message, actor=f"guard {guard}", hold=hold)


def _note(scan: Scan, rig: Rig, guard: str, action: str, seen: Seen, *, latched: bool) -> None:
    chamber = scan.state.chambers[rig.name]
    data: dict[str, Any] = {
        "run": chamber.run or (chamber.custody or {}).get("run"),
        "guard": guard,
        "chamber": rig.name,
        "action": action,
        "message": seen.message,
        "value": seen.value,
        "limit": seen.bound,
        "latched": latched,
        "distrust": seen.distrust,
    } | ({"recheck": seen.recheck} if seen.recheck else {})
    scan.emit("tripped", data, chamber.run)
