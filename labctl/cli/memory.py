"""The bench folder as a reading verb finds it: its database, the run that is meant, and where reports go."""

from __future__ import annotations

from pathlib import Path

from labctl.errors import UsageError
from labctl.store.reader import Reader

DATABASE = "labctl.db"
SIMULATED_RUNS = "labctl-runs"


def open_memory(folder: Path) -> Reader:
    """The memory of the bench in `folder`, to read. Raises UsageError saying where there is one."""
    path = folder / DATABASE
    if not path.exists():
        near = sorted(folder.glob(f"{SIMULATED_RUNS}/*/{DATABASE}"), key=lambda p: p.stat().st_mtime)
        hint = f"; try --bench {near[-1].parent}" if near else ""
        raise UsageError(f"{folder}: nothing has run on a bench here{hint}")
    return Reader.open(path)


def run_of(reader: Reader, name: str | None) -> str:
    """The run of that name, or the newest. Raises UsageError when there is none."""
    if name is not None:
        return reader.run(name).run_id
    runs = reader.runs()
    if not runs:
        raise UsageError("nothing has run on this bench yet")
    return runs[-1].run_id


def report_path(folder: Path, run_id: str) -> Path:
    """Where the report of a run is written unless somebody says otherwise."""
    return folder / "reports" / f"{run_id}.html"
