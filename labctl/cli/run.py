"""`labctl run`: carry out a protocol, on a bench or on its simulated twin."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from labctl.analysis import analyse
from labctl.bench.schema import Bench
from labctl.cli.findings import print_briefly
from labctl.cli.memory import report_path
from labctl.cli.runs import alarms_of
from labctl.cli.terminal import print_json, say
from labctl.cli.validate import checked, chosen_bench
from labctl.cli.verdict import print_verdict
from labctl.errors import Finding, UsageError, ValidationError
from labctl.protocol.library import find_protocol
from labctl.protocol.plan import Plan
from labctl.report import numbers, write_report
from labctl.runtime.folder import DATABASE
from labctl.store.reader import Reader

ENDED_BY_PERSON = 4
ENDED_BY_FAULT = 5
ABSENT_PROTECTION = "SAFE-005"


def main(arguments: Namespace) -> int:
    """Check the plan, then run it here in virtual time, or have the bench's controller run it."""
    if not arguments.simulate:
        if arguments.bench is None:
            raise UsageError("say on which bench: --bench DIR, or --simulate for the bundled simulated one")
        if arguments.seed is not None or arguments.speed is not None or arguments.faults is not None:
            raise UsageError("--seed, --speed and --faults belong to --simulate")
    bench = chosen_bench(arguments.bench)
    if arguments.simulate:
        from labctl.twin import twin_bench

        bench = twin_bench(bench)
    plan, findings = valid_plan(arguments, bench)
    place = None if Path(arguments.protocol).is_file() else arguments.bench
    text = find_protocol(arguments.protocol, place).read_text(encoding="utf-8")
    if not arguments.simulate:
        from labctl.cli.attach import run_on_bench

        unprotected = [f for f in findings if f.rule == ABSENT_PROTECTION]
        return run_on_bench(bench, plan, text, unprotected, arguments)
    from labctl.cli.simulate import simulate

    done = simulate(bench, plan, text, arguments)
    return tell(done.folder, done.run_id, arguments, done.wall_s, done.cpu_s)


def valid_plan(arguments: Namespace, bench: Bench) -> tuple[Plan, list[Finding]]:
    """The plan and its findings; warnings are printed. Raises ValidationError with everything that is wrong."""
    plan, findings = checked(arguments, bench)
    if plan is None:
        raise ValidationError(findings)
    if not arguments.json:
        print_briefly([finding for finding in findings if finding.severity != "info"])
    return plan, findings


def tell(folder: Path, run_id: str, arguments: Namespace, wall_s: float, cpu_s: float | None = None) -> int:
    """Say how a run ended: verdict table or JSON, report, end state; return the exit code for it."""
    with Reader.open(folder / DATABASE) as reader:
        found = analyse(reader, run_id, charts=False)
        report = None
        if arguments.report:
            report = report_path(folder, run_id)
            report.parent.mkdir(parents=True, exist_ok=True)
            write_report(reader, run_id, report)
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
            say(f"{numbers.clock(remark.at_s):>6}  {remark.kind}: {remark.text}")
        say(f"{numbers.duration(found.duration_s)} of bench time in {wall_s:.1f} s")
        print_verdict(found)
        print(f"journal head {found.journal_head}")
        why = f" ({found.reason})" if found.reason and found.state != "COMPLETE" else ""
        banner = "SIMULATED " if found.simulated else ""
        print(f"{banner}{run_id}: {found.state}{why}, {found.verdict.outcome}")
        if report is not None:
            print(report)
    if run.end_state == "COMPLETE":
        return 0
    return ENDED_BY_PERSON if by_person else ENDED_BY_FAULT
