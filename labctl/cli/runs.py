"""`labctl runs`: what has run on a bench."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from labctl.analysis import Analysis, analyse
from labctl.cli.memory import open_memory, run_of
from labctl.cli.terminal import naming, print_json, print_table, say
from labctl.cli.verdict import print_verdict
from labctl.report.numbers import duration
from labctl.store.export import export_journal


def list_all(arguments: Namespace) -> int:
    """List the runs of a bench, oldest first."""
    with open_memory(arguments.bench) as reader:
        runs = reader.runs()
    if arguments.json:
        print_json({"runs": [run._asdict() for run in runs]})
        return 0
    rows = [
        (
            run.run_id,
            run.protocol or "",
            run.end_state or run.state,
            datetime.fromtimestamp(run.created_utc_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
            duration(run.ended_s - run.created_s) if run.ended_s is not None else "",
            "SIMULATED" if run.simulated else "",
            run.reason or "",
        )
        for run in runs
    ]
    print_table(("run", "protocol", "state", "created (UTC)", "took", "", "reason"), rows)
    return 0


def show(arguments: Namespace) -> int:
    """Show one run: how it ended, what came out, and planned against actual."""
    with open_memory(arguments.bench) as reader:
        analysis = analyse(reader, run_of(reader, arguments.run), charts=False)
    if arguments.json:
        print_json(as_json(analysis))
        return 0
    mark = "SIMULATED  " if analysis.simulated else ""
    say(f"{mark}{analysis.run_id}  {analysis.plan.title}")
    print(f"{analysis.state}{': ' + analysis.reason if analysis.reason else ''}")
    print(f"verdict: {analysis.verdict.outcome}")
    print_verdict(analysis)
    print(f"journal head {analysis.journal_head}")
    return 0


def export(arguments: Namespace) -> int:
    """Write the journal's canonical rows, one a line."""
    with open_memory(arguments.bench) as reader:
        lines = export_journal(reader, run_of(reader, arguments.run))
        if arguments.output is None:
            for line in lines:
                print(line)
            return 0
        with naming(arguments.output), arguments.output.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    print(arguments.output)
    return 0


def as_json(analysis: Analysis) -> dict[str, Any]:
    """A run as JSON values, with the keys that `labctl run --json` has too."""
    return {
        "run_id": analysis.run_id,
        "protocol": analysis.plan.protocol,
        "plan_hash": analysis.plan.plan_hash,
        "simulated": analysis.simulated,
        "seed": analysis.seed,
        "state": analysis.state,
        "reason": analysis.reason,
        "started_utc": analysis.started_utc,
        "virtual_s": analysis.duration_s,
        "steps": [
            {
                "id": step.id,
                "kind": step.kind,
                "planned_start_s": step.planned_start_s,
                "planned_end_s": step.planned_end_s,
                "start_s": step.start_s,
                "end_s": step.end_s,
            }
            for step in analysis.steps
        ],
        "verdict": analysis.verdict.as_json(),
        "results": analysis.results,
        "alarms": alarms_of(analysis),
        "journal_head": analysis.journal_head,
    }


def alarms_of(analysis: Analysis) -> list[dict[str, Any]]:
    """Every alarm that was raised and every guard that tripped."""
    return [{"at_s": r.at_s, "kind": r.kind, "text": r.text} for r in analysis.remarks if r.is_alarm]
