"""The run machine of ISA-88: one table of states and commands that makes the machine, its tests and its docs.

RUNNING is the recipe; the -ING states act until they are done; the others wait. HOLD is for faults and people,
PAUSE for people only. STOP cools down in an orderly way, ABORT takes the energy away at once. An aborted run leaves
ABORTED only after a person said what the cause was (CLEAR), and only then by RESET.
"""

from __future__ import annotations

from collections.abc import Mapping

from transitions import Machine

STATES = (
    "IDLE", "RUNNING", "PAUSING", "PAUSED", "HOLDING", "HELD", "RESTARTING",
    "STOPPING", "STOPPED", "ABORTING", "ABORTED", "COMPLETE",
)  # fmt: skip
COMMANDS = ("START", "PAUSE", "RESUME", "HOLD", "RESTART", "STOP", "ABORT", "CLEAR", "RESET")
ENDED = frozenset({"STOPPED", "ABORTED", "COMPLETE"})
ACTING = frozenset({"PAUSING", "HOLDING", "RESTARTING", "STOPPING", "ABORTING"})

_LIVE = ("RUNNING", "PAUSING", "PAUSED", "HOLDING", "HELD", "RESTARTING")

TABLE: Mapping[str, Mapping[str, str]] = {
    "START": {"IDLE": "RUNNING"},
    "PAUSE": {"RUNNING": "PAUSING"},
    "RESUME": {"PAUSED": "RUNNING"},
    "HOLD": dict.fromkeys(("RUNNING", "PAUSING", "PAUSED", "RESTARTING"), "HOLDING"),
    "RESTART": {"HELD": "RESTARTING"},
    "STOP": dict.fromkeys(_LIVE, "STOPPING"),
    "ABORT": dict.fromkeys((*_LIVE, "STOPPING", "STOPPED"), "ABORTING"),
    "CLEAR": {"ABORTED": "ABORTED"},
    "RESET": dict.fromkeys(("COMPLETE", "STOPPED", "ABORTED"), "IDLE"),
}
"""Command -> state -> next state. What is not here is refused. RESET from ABORTED needs a CLEAR before."""

DONE: Mapping[str, str] = {
    "RUNNING": "COMPLETE",
    "PAUSING": "PAUSED",
    "HOLDING": "HELD",
    "RESTARTING": "RUNNING",
    "STOPPING": "STOPPED",
    "ABORTING": "ABORTED",
}
"""Acting state -> where it ends when what it does is confirmed."""


class _Procedure:
    """The model that the machine moves: one state, and whether an abort was cleared."""

    state: str
    cleared: bool

    def is_cleared(self) -> bool:
        """RESET from ABORTED is legal only then."""
        return self.cleared


def _machine(model: _Procedure) -> Machine:
    machine = Machine(model, states=list(STATES), initial="IDLE", auto_transitions=False)
    for command, cells in TABLE.items():
        for source, target in cells.items():
            if (command, source) == ("RESET", "ABORTED"):
                machine.add_transition(command, source, target, conditions="is_cleared")
            else:
                machine.add_transition(command, source, target)
    for source, target in DONE.items():
        machine.add_transition("DONE", source, target)
    return machine


_MODEL = _Procedure()
_MACHINE = _machine(_MODEL)


def next_state(state: str, trigger: str, *, cleared: bool = False) -> str | None:
    """Where a command (or DONE) leads from `state`; None when it is refused. Raises ValueError for unknown names."""
    if state not in STATES or trigger not in (*COMMANDS, "DONE"):
        raise ValueError(f"unknown state or command: {state} {trigger}")
    if state not in (DONE if trigger == "DONE" else TABLE[trigger]):
        return None
    _MODEL.cleared = cleared
    _MACHINE.set_state(state)
    return str(_MODEL.state) if _MODEL.trigger(trigger) else None  # type: ignore[attr-defined]  # added by transitions


def allowed_commands(state: str, *, cleared: bool = False) -> tuple[str, ...]:
    """The commands that `state` accepts, in the order of `COMMANDS`."""
    return tuple(c for c in COMMANDS if next_state(state, c, cleared=cleared) is not None)
