"""The 108 cells of the run machine, written out by hand."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labctl.engine.machine import COMMANDS, DONE, ENDED, STATES, allowed_commands, next_state

CELLS = """
            START    PAUSE    RESUME   HOLD     RESTART     STOP      ABORT     CLEAR    RESET
IDLE        RUNNING  -        -        -        -           -         -         -        -
RUNNING     -        PAUSING  -        HOLDING  -           STOPPING  ABORTING  -        -
PAUSING     -        -        -        HOLDING  -           STOPPING  ABORTING  -        -
PAUSED      -        -        RUNNING  HOLDING  -           STOPPING  ABORTING  -        -
HOLDING     -        -        -        -        -           STOPPING  ABORTING  -        -
HELD        -        -        -        -        RESTARTING  STOPPING  ABORTING  -        -
RESTARTING  -        -        -        HOLDING  -           STOPPING  ABORTING  -        -
STOPPING    -        -        -        -        -           -         ABORTING  -        -
STOPPED     -        -        -        -        -           -         ABORTING  -        IDLE
ABORTING    -        -        -        -        -           -         -         -        -
ABORTED     -        -        -        -        -           -         -         ABORTED  IDLE
COMPLETE    -        -        -        -        -           -         -         -        IDLE
"""
HEADER, *ROWS = (line.split() for line in CELLS.strip().splitlines())
TABLE = {(row[0], command): cell for row in ROWS for command, cell in zip(HEADER, row[1:], strict=True)}
ENDS = {
    "RUNNING": "COMPLETE", "PAUSING": "PAUSED", "HOLDING": "HELD",
    "RESTARTING": "RUNNING", "STOPPING": "STOPPED", "ABORTING": "ABORTED",
}  # fmt: skip


def test_there_are_108_cells_and_26_of_them_are_legal() -> None:
    assert (len(STATES), len(COMMANDS), len(TABLE)) == (12, 9, 108)
    assert tuple(HEADER) == COMMANDS
    assert {row[0] for row in ROWS} == set(STATES)
    assert sum(cell != "-" for cell in TABLE.values()) == 26


@pytest.mark.parametrize(("state", "command"), TABLE)
def test_a_command_leads_where_the_table_says(state: str, command: str) -> None:
    wanted = TABLE[state, command]
    assert next_state(state, command, cleared=True) == (None if wanted == "-" else wanted)


@pytest.mark.parametrize("state", STATES)
def test_an_acting_state_ends_where_the_table_says(state: str) -> None:
    assert next_state(state, "DONE") == ENDS.get(state)
    assert DONE.get(state) == ENDS.get(state)


def test_an_aborted_run_is_reset_only_once_its_cause_was_cleared() -> None:
    assert next_state("ABORTED", "RESET") is None
    assert next_state("ABORTED", "RESET", cleared=True) == "IDLE"
    assert next_state("STOPPED", "RESET") == next_state("COMPLETE", "RESET") == "IDLE"


@pytest.mark.parametrize("state", STATES)
def test_allowed_commands_are_the_row_of_the_table(state: str) -> None:
    row = tuple(c for c in COMMANDS if TABLE[state, c] != "-")
    assert allowed_commands(state, cleared=True) == row
    assert allowed_commands(state) == (("CLEAR",) if state == "ABORTED" else row)


@pytest.mark.parametrize(("state", "command"), [("LOST", "STOP"), ("IDLE", "EXPLODE")])
def test_an_unknown_name_is_an_error_and_no_refusal(state: str, command: str) -> None:
    with pytest.raises(ValueError, match="unknown state or command"):
        next_state(state, command)


class Walk(RuleBasedStateMachine):
    """Any sequence of commands keeps to the table, and energy is never back without a person's command."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.cleared = "IDLE", False

    @rule(command=st.sampled_from(COMMANDS))
    def command(self, command: str) -> None:
        reached = next_state(self.state, command, cleared=self.cleared)
        wanted = TABLE[self.state, command]
        if (self.state, command) == ("ABORTED", "RESET") and not self.cleared:
            wanted = "-"
        assert reached == (None if wanted == "-" else wanted)
        if reached == "RUNNING":
            assert command in ("START", "RESUME")
        self.cleared = (self.cleared or command == "CLEAR") and reached != "IDLE"
        self.state = reached or self.state

    @precondition(lambda self: self.state in ENDS)
    @rule()
    def done(self) -> None:
        self.state = next_state(self.state, "DONE") or ""

    @invariant()
    def a_live_run_can_always_be_aborted(self) -> None:
        if self.state not in ENDED | {"IDLE", "ABORTING"}:
            assert "ABORT" in allowed_commands(self.state)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
