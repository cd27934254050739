"""`labctl validate`: everything that is wrong with a protocol on a bench, where it stands, and what to do."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.cli.findings import count, print_findings
from labctl.cli.terminal import print_json, say
from labctl.cli.values import once
from labctl.errors import Finding, ValidationError
from labctl.protocol.plan import Plan
from labctl.protocol.validation import check
from labctl.runtime.backdoor import ascertained
from labctl.runtime.commissioned import barred_from

BUNDLED_BENCH = "standard"

NOT_DRIVEN_YET = "BIND-007"
"""Rule of the finding that a protocol asks for a kind of instrument that no driver offers: no mistake of its writer."""

NOT_COMMISSIONED = "SAFE-006"
"""Rule of the finding that nothing may be energised yet with an instrument of the bench."""


def main(arguments: Namespace) -> int:
    """Check, print the findings, and return 3 if any of them is an error."""
    try:
        bench = chosen_bench(arguments.bench)
        plan, findings = checked(arguments, bench)
    except ValidationError as error:  # of the bench file
        plan, findings = None, error.findings
    findings = [replace(f, severity="warning") if f.rule == NOT_DRIVEN_YET else f for f in findings]
    code = ValidationError.exit_code if any(f.severity == "error" for f in findings) else 0
    if arguments.json:
        print_json({"findings": [asdict(f) for f in findings], "plan_hash": plan.plan_hash if plan else None})
    elif plan is None:
        print_findings(findings)
        if not code:
            say(f"{arguments.protocol} is written as it should be; no bench can carry it out yet")
    else:
        if findings:
            print_findings(findings)
        say(f"{plan.protocol} is valid on bench {bench.bench}: {len(plan.steps)} steps, {count(findings)}")
    return code


def chosen_bench(folder: Path | None) -> Bench:
    """The bench of that folder, or the bundled one, and say so. Raises ValidationError or UsageError."""
    if folder is not None:
        return ascertained(load_bench(folder))
    say(f"bench: {BUNDLED_BENCH} (bundled, simulated); name yours with --bench DIR")
    return load_bench(BUNDLED_BENCH)


def checked(arguments: Namespace, bench: Bench) -> tuple[Plan | None, list[Finding]]:
    """The plan of `arguments.protocol` with `arguments.parameters` on a bench, and all findings."""
    place = None if Path(arguments.protocol).is_file() else arguments.bench
    plan, findings = check(arguments.protocol, once(arguments.parameters), bench, place)
    if plan is not None and arguments.bench is not None:
        barred = barred_from(plan, bench, drivers(), arguments.bench)
        findings += [Finding(NOT_COMMISSIONED, "warning", reason) for reason in barred]
    return plan, findings
