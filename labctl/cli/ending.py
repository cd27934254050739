"""How a run ended: verdict, report and exit code, the same wherever it ran."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from labctl.analysis import analyse
from labctl.cli.memory import report_path
from labctl.cli.runs import alarms_of
from labctl.cli.terminal import print_json, say
from labctl.cli.verdict import print_verdict
from labctl.errors import LabctlError
from labctl.model.events import clock
from labctl.report import numbers, write_report
from labctl.runtime.folder import DATABASE
from labctl.store.reader import Reader

ENDED_BY_PERSON = 4
ENDED_BY_FAULT = 5


def tell(folder: Path, run_id: str, arguments: Namespace, wall_s: float, cpu_s: float | None = None) -> int:
    """Say how a run ended: verdict table or JSON, report, end state; return the exit code for it."""
    with Reader.open(folder / DATABASE) as reader:
        found = analyse(reader, run_id, charts=False)
        report, unwritten = _report(reader, folder, run_id) if arguments.report else (None, None)
        run = reader.run(run_id)
        ended = next(iter(reader.events(run_id, kinds=("run_ended",))), None)
    by_person = bool(ended and ended.data.get("by_person"))
    if arguments.json:
        print_json(
            {
                "run_id": run_id,
                "bench": str(folder),
                "state": found.state,
                "reason": found.reason,
                "virtual_s": found.duration_s,
                "wall_s": round(wall_s, 3),
                "cpu_s": None if cpu_s is None else round(cpu_s, 3),
                "journal_head": found.journal_head,
                "alarms": alarms_of(found),
                "verdict": found.verdict.as_json(),
                "results": found.results,
                "report": None if report is None else str(report),
            }
        )
    else:
        for remark in found.remarks:
            say(f"{clock(remark.at_s):>6}  {remark.kind}: {remark.text}")
        say(f"{numbers.duration(found.duration_s)} of bench time in {wall_s:.1f} s")
        print_verdict(found)
        print(f"journal head {found.journal_head}")
        why = f" ({found.reason})" if found.reason and found.state != "COMPLETE" else ""
        banner = "SIMULATED " if found.simulated else ""
        print(f"{banner}{run_id}: {found.state}{why}, {found.verdict.outcome}")
        if report is not None:
            print(report)
    if unwritten is not None:
        raise LabctlError(
            f"the run is on record, but its report is not written: {unwritten.strerror}"
        ) from unwritten
    if run.end_state == "COMPLETE":
        return 0
    return ENDED_BY_PERSON if by_person else ENDED_BY_FAULT


def _report(reader: Reader, folder: Path, run_id: str) -> tuple[Path | None, OSError | None]:
    """Write the report; or, since a full disk must not take the verdict along, what the disk said."""
    path = report_path(folder, run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(reader, run_id, path)
    except OSError as error:
        return None, error
    return path, None
