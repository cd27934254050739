"""`labctl plan`: what a run will take, from a run of the plan in the simulator of its bench."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from labctl.bench.discovery import drivers
from labctl.cli.findings import print_findings
from labctl.cli.terminal import print_json, print_table, say
from labctl.cli.validate import checked, chosen_bench
from labctl.errors import ValidationError
from labctl.forecast import forecast
from labctl.report import numbers


def main(arguments: Namespace) -> int:
    """Forecast, and print the timeline."""
    bench = chosen_bench(arguments.bench)
    plan, findings = checked(arguments, bench)
    if plan is None:
        raise ValidationError(findings)
    planned = forecast(bench, drivers(), plan)
    if arguments.json:
        data = planned.to_json()
        data.pop("profile")
        print_json({"plan_hash": plan.plan_hash, **data, "findings": [asdict(f) for f in findings]})
        return 0
    print_findings(findings, most=0)
    for finding in findings:
        say(str(finding))
    rows = [
        (
            step.id,
            step.kind,
            numbers.clock(step.start_s),
            numbers.clock(step.end_s),
            numbers.quantity(step.setpoint, "degC") if step.setpoint is not None else "",
            numbers.duration(step.hold_s) if step.hold_s else "",
        )
        for step in planned.steps
    ]
    print_table(("step", "kind", "from", "to", "setpoint", "hold"), rows)
    print(
        f"{numbers.duration(planned.duration_s)}, {planned.nitrogen_l:.0f} L N2, {planned.energy_kwh:.1f} kWh"
    )
    for at, what in planned.attention:
        print(f"{numbers.clock(at)}  needs a person: {what}")
    say(f"plan {plan.plan_hash}")
    return 0
