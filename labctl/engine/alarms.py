"""Alarms after ISA-18.2: what people are told, and what they have said of it.

One table makes the alarms' life, its tests and its docs. An alarm only tells: guards act whatever state it is in, and a
condition is followed while its alarm is shelved, suppressed or out of service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.model.limits import limit

if TYPE_CHECKING:
    from labctl.engine.scan import Scan
    from labctl.engine.state import Data

NORMAL = "NORMAL"
STATES = (
    NORMAL, "UNACK", "ACKED", "RTN_UNACK", "LATCH_UNACK", "LATCH_ACKED",
    "SHELVED", "SUPPRESSED", "OUT_OF_SERVICE",
)  # fmt: skip
TRIGGERS = (
    "active", "clear", "ack", "reset", "realarm", "latch",
    "shelve", "unshelve", "suppress", "release", "remove", "return",
)  # fmt: skip
HIDDEN = frozenset({"SHELVED", "SUPPRESSED", "OUT_OF_SERVICE"})
"""Not shown; followed all the same."""
SOUNDS = frozenset({"UNACK", "LATCH_UNACK"})
"""Wants somebody's attention now."""

LATCHED = frozenset({"LATCH_UNACK", "LATCH_ACKED"})
"""Over, and waiting for a person's reset."""

_SHOWN = STATES[:6]
_AGAIN = "again"
"""Judged anew by the condition: UNACK while it is active, else NORMAL."""

TABLE: Mapping[str, Mapping[str, str]] = {
    "active": dict.fromkeys((NORMAL, "RTN_UNACK", "LATCH_UNACK", "LATCH_ACKED"), "UNACK"),
    "clear": {"UNACK": "RTN_UNACK", "ACKED": NORMAL},
    "ack": {"UNACK": "ACKED", "RTN_UNACK": NORMAL, "LATCH_UNACK": "LATCH_ACKED"},
    "reset": {"LATCH_ACKED": NORMAL},
    "realarm": {"ACKED": "UNACK", "UNACK": "UNACK"},
    "latch": {state: state for state in STATES},
    "shelve": dict.fromkeys(_SHOWN, "SHELVED"),
    "unshelve": {"SHELVED": _AGAIN},
    "suppress": dict.fromkeys(_SHOWN, "SUPPRESSED"),
    "release": {"SUPPRESSED": _AGAIN},
    "remove": dict.fromkeys(_SHOWN, "OUT_OF_SERVICE"),
    "return": {"OUT_OF_SERVICE": _AGAIN},
}
"""Trigger -> state -> next state; a latching alarm that clears goes to LATCH_UNACK or LATCH_ACKED instead."""

_LATCHED = {"UNACK": "LATCH_UNACK", "ACKED": "LATCH_ACKED"}


def next_state(state: str, trigger: str, *, active: bool = False, latching: bool = False) -> str | None:
    """Where an alarm goes, None where the table refuses. `active`: whether its condition holds."""
    if state in HIDDEN and trigger in ("active", "clear"):
        return state
    if trigger == "clear" and latching and state in _LATCHED:
        return _LATCHED[state]
    target = TABLE[trigger].get(state)
    if target is _AGAIN:
        return "UNACK" if active else NORMAL
    return target


def fresh(alarm: str) -> Data:
    """An alarm that is NORMAL; only others are kept in the state."""
    return {
        "id": alarm,
        "state": NORMAL,
        "active": False,
        "latching": False,
        "priority": "high",
        "message": "",
    }


def move(scan: Scan, alarm: str, trigger: str, *, run: str | None = None, **data: Any) -> bool:
    """Move an alarm by a trigger, in the journal too; False where the table refuses."""
    known = scan.state.alarms.get(alarm) or fresh(alarm)
    run = run or known.get("run")
    active = trigger == "active" or (known["active"] and trigger != "clear")
    target = next_state(known["state"], trigger, active=active, latching=known["latching"])
    if target is None:
        return False
    change = {"id": alarm, "trigger": trigger, "from": known["state"], "to": target, "active": active}
    texts = {"run": run} | {k: known[k] for k in ("priority", "message")}
    scan.emit("alarm", change | texts | data, run)
    return True


def show(
    scan: Scan,
    alarm: str,
    active: bool,
    message: str,
    run: str | None,
    priority: str,
    latching: bool,
    hidden: bool,
    hides: tuple[str, ...] = (),
) -> None:
    """Say by level whether a condition holds; the journal gets a row only when something changes.

    Only an alarm that is not NORMAL can end. latching: it stays until a person resets it. hidden: an alarm that is
    shown already says the same and more. hides: alarms of which this one says so: where
    they came first, its cause is theirs.
    """
    if not active:
        if scan.state.alarms[alarm]["active"]:
            move(scan, alarm, "clear", run=run)
    elif not scan.state.alarms.get(alarm, {}).get("active"):
        if hidden:
            move(scan, alarm, "suppress", run=run)
        first = _is_first(scan, alarm, hides)
        move(scan, alarm, "active", run=run, message=message, priority=priority, first_out=first)
    known = scan.state.alarms.get(alarm)
    if known is None:
        return
    if latching and not known["latching"]:
        move(scan, alarm, "latch", run=run, latching=True, message=message)
        if known["state"] == "ACKED":
            move(scan, alarm, "realarm")  # who acknowledged it knew of something milder
    if known["state"] == "SUPPRESSED" and not hidden:
        move(scan, alarm, "release", run=run)
    elif active and hidden and known["state"] in _SHOWN:
        move(scan, alarm, "suppress", run=run)


def _is_first(scan: Scan, alarm: str, hides: tuple[str, ...]) -> bool:
    """Whether nothing else is wrong with this chamber: what comes first is mostly the cause."""
    others = set(of_chamber(scan, alarm.partition("/")[0])).difference(hides)
    return not any(scan.state.alarms[name]["active"] for name in others)


def advance(scan: Scan) -> None:
    """What time does: shelving and bypasses expire, and what was acknowledged and lasts is told again."""
    for name, alarm in list(scan.state.alarms.items()):
        until_s = alarm.get("until_s")
        if alarm["state"] == "SHELVED" and until_s is not None and scan.now >= until_s:
            move(scan, name, "unshelve", by="labctl", reason="its time is over")
        elif alarm["state"] in ("ACKED", "UNACK") and scan.now - alarm["told_s"] >= limit("realarm_after"):
            move(scan, name, "realarm")
    for name, bypass in list(scan.state.bypasses.items()):
        run = scan.state.runs.get(bypass["run"] or "")
        if scan.now >= bypass["until_s"]:
            end_bypass(scan, name, "its time is over", "labctl")
        elif run is not None and run.end_state is not None:
            end_bypass(scan, name, "its run is over", "labctl")


def begin_bypass(scan: Scan, guard: str, chamber: str, until_s: float, by: str, reason: str) -> None:
    """From now on this guard only tells, and everybody is told that it does."""
    run = scan.state.chambers[chamber].run
    name = f"{chamber}/{guard}"
    data = {"id": name, "guard": guard, "chamber": chamber, "until_s": until_s, "by": by, "reason": reason}
    scan.emit("bypassed", data | {"run": run}, run)
    message = f"{chamber}: {guard} is bypassed by {by} ({reason}); it only tells"
    scan.alarm(f"{name}/bypassed", True, message, run=run)


def end_bypass(scan: Scan, name: str, cause: str, by: str) -> None:
    """The guard acts again."""
    bypass = scan.state.bypasses[name]
    scan.emit("bypass_ended", {"id": name, "cause": cause, "by": by}, bypass["run"])
    scan.alarm(f"{name}/bypassed", False, "", run=bypass["run"])


def of_chamber(scan: Scan, chamber: str) -> list[str]:
    """The alarms of a chamber that are not NORMAL."""
    return [name for name in scan.state.alarms if name.partition("/")[0] == chamber]


def acknowledge(scan: Scan, chamber: str, by: str) -> None:
    """A person has seen every alarm of a chamber."""
    for name in of_chamber(scan, chamber):
        move(scan, name, "ack", by=by)


def reset(scan: Scan, chamber: str, by: str) -> None:
    """A person has said what the cause was: what is latched and over may go."""
    for name in of_chamber(scan, chamber):
        if scan.state.alarms[name]["state"] == "LATCH_UNACK":
            move(scan, name, "ack", by=by)
        move(scan, name, "reset", by=by)
