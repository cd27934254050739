"""`labctl run`: carry out a protocol, on a bench or on its simulated twin."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from labctl.bench.schema import Bench
from labctl.cli.ending import tell
from labctl.cli.findings import print_briefly
from labctl.cli.validate import checked, chosen_bench
from labctl.errors import Finding, UsageError, ValidationError
from labctl.protocol.compose import whole_text
from labctl.protocol.library import find_protocol
from labctl.protocol.plan import Plan
from labctl.protocol.source import read

ABSENT_PROTECTION = "SAFE-005"


def main(arguments: Namespace) -> int:
    """Check the plan, then run it here in virtual time, or have the bench's controller run it."""
    if not arguments.simulate:
        if arguments.bench is None:
            raise UsageError("say on which bench: --bench DIR, or --simulate for the bundled simulated one")
        if arguments.seed is not None or arguments.speed is not None or arguments.faults is not None:
            raise UsageError("--seed, --speed and --faults belong to --simulate")
    elif getattr(arguments, "capture", None) is not None:
        raise UsageError("--capture is for a bench with wires; a simulated run can be repeated byte by byte")
    if arguments.lockstep:
        if not arguments.simulate or arguments.bench is None:
            raise UsageError(
                "--lockstep belongs to --simulate --bench DIR, of a bench that `labctl sim up` serves"
            )
        if arguments.seed is not None or arguments.speed is not None or arguments.faults is not None:
            raise UsageError(
                "in lock-step there is no --speed; --seed and --faults belong to `labctl sim up`"
            )
    served = bench = chosen_bench(arguments.bench)
    if arguments.simulate:
        from labctl.twin import twin_bench

        bench = twin_bench(bench)
    plan, findings = valid_plan(arguments, bench)
    place = None if Path(arguments.protocol).is_file() else arguments.bench
    file = find_protocol(arguments.protocol, place)
    text = whole_text(read(file.read_bytes(), str(file)), place)
    if not arguments.simulate:
        from labctl.cli.attach import run_on_bench

        return run_on_bench(bench, plan, text, unprotected(findings), arguments)
    from labctl.cli.simulate import simulate

    done = simulate(bench, plan, text, arguments, served if arguments.lockstep else None)
    return tell(done.folder, done.run_id, arguments, done.wall_s, done.cpu_s)


def unprotected(findings: list[Finding]) -> list[Finding]:
    """What the bench cannot protect from."""
    return [finding for finding in findings if finding.rule == ABSENT_PROTECTION]


def valid_plan(arguments: Namespace, bench: Bench) -> tuple[Plan, list[Finding]]:
    """The plan and its findings; warnings are printed. Raises ValidationError with everything that is wrong."""
    plan, findings = checked(arguments, bench)
    if plan is None:
        raise ValidationError(findings)
    if not arguments.json:
        print_briefly([finding for finding in findings if finding.severity != "info"])
    return plan, findings
