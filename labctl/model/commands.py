"""What labctl asks of an instrument, and what came of it; what a person asks of labctl."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Outcome = Literal["ok", "refused", "failed", "unknown"]
"""ok: read back as asked. refused: the instrument or driver said no. failed: nothing took effect.
unknown: a reply was lost after the request went out; to be resolved by read-back."""


class Command(NamedTuple):
    """One verb for one instrument.

    id: unique within the bench and reproducible, e.g. "run-1:17".
    instrument, verb, args: as declared by the instrument's capability; numbers carry their unit in the key.
    renewal: True for a lease renewal inside a journaled intent; it gets no journal row of its own.
    """

    id: str
    instrument: str
    verb: str
    args: dict[str, Any]
    renewal: bool = False


class Result(NamedTuple):
    """What became of a command.

    readback: what the driver read back, by name with units in the key.
    detail: for people.
    """

    command_id: str
    outcome: Outcome
    detail: str
    readback: dict[str, Any]


class Request(NamedTuple):
    """An inbox row as the engine sees it: what a person (or the simulated operator) asks.

    id: inbox row id. verb: e.g. "stop". run: run id or None for the bench. args: JSON values.
    actor: who. expected_state: compare-and-set on the run's state, or None. expired: True past expires_at.
    """

    id: str
    verb: str
    run: str | None
    args: dict[str, Any]
    actor: str
    expected_state: str | None = None
    expired: bool = False
