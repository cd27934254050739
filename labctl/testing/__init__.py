"""What a lab tests with: a pytest plugin for its bench, a conformance suite for its drivers, and captured transcripts.

`labctl.testing.plugin` is loaded by pytest itself and imports nothing until one of its fixtures is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.bench.api import DriverEntry
    from labctl.testing.transcripts import Replay


def replay(path: str | Path, instrument: str | None = None, *, entry: DriverEntry | None = None) -> Replay:
    """An instrument of a transcript that `labctl capture` wrote, in the place of the instrument.

    Usage:
        with replay("furnace.transcript") as furnace:
            furnace.check()

    Args:
        path: the transcript.
        instrument: its name there; may be left out where there is only one.
        entry: of the driver to test; default: the installed one that was captured.

    Raises:
        UsageError: the file is no transcript, or damaged or cut off, or has no such instrument.
    """
    from labctl.testing.transcripts import Replay

    return Replay(path, instrument, entry=entry)


__all__ = ["replay"]
