"""Every error that labctl raises on purpose: what, where, and what to do, for the person at the furnace."""

from __future__ import annotations

from dataclasses import dataclass


class LabctlError(Exception):
    """Root of all of them. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(LabctlError):
    """The call itself is wrong: unknown name, option or combination."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that validation found.

    severity: "error" refuses, "warning" must be acknowledged, "info" is a note.
    file, line, column: where in the source (1-based), or None when it has no place there.
    hint: the nearest valid spelling, or what to do.
    """

    rule: str
    severity: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        """`file:line:column: severity RULE: message (hint)`, without the parts that are unknown."""
        place = ":".join(str(p) for p in (self.file, self.line, self.column) if p is not None)
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place + ': ' if place else ''}{self.severity} {self.rule}: {self.message}{hint}"


class ValidationError(LabctlError):
    """A protocol, bench or parameter is wrong; `findings` say where."""

    exit_code = 3

    def __init__(self, findings: list[Finding]) -> None:
        """Keep the findings; the text is one per line."""
        self.findings = findings
        super().__init__("\n".join(str(f) for f in findings))


class InstrumentError(LabctlError):
    """An instrument could not be reached or did not do as asked."""

    exit_code = 6


class CommunicationError(InstrumentError):
    """No valid reply: silence, a broken frame, or a reply to something else."""


class NotDoneError(InstrumentError):
    """The instrument answered, and read-back shows that the command did not take effect."""


class RefusedError(InstrumentError):
    """The instrument, or its driver's own limits, refused the command; nothing was energised."""


class ControllerError(LabctlError):
    """No controller answers for this bench."""

    exit_code = 7


class PermissiveError(LabctlError):
    """A condition that must hold before starting does not."""

    exit_code = 8


class WaitTimeoutError(LabctlError):
    """What was waited for did not come in time."""

    exit_code = 9


class BenchLockedError(LabctlError):
    """Another controller owns this bench."""

    exit_code = 10


class StoreError(LabctlError):
    """The bench's memory is damaged, of a newer schema, or refused a write."""


class StoreBusyError(StoreError):
    """Another process kept the bench's memory locked for too long; nothing was written, try again."""
