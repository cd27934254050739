"""`labctl plan`: what a run will take, from a run of the plan in the simulator of its bench."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict

from labctl.bench.discovery import drivers
from labctl.cli.findings import print_briefly
from labctl.cli.terminal import print_json, print_table
from labctl.cli.validate import checked, chosen_bench
from labctl.errors import ValidationError
from labctl.forecast import Forecast, forecast
from labctl.report import numbers

AT_ONCE_S = 60.0
"""A person who is wanted so soon after a step begins is wanted at its beginning."""


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
    print_briefly(findings)
    print(plan.title or plan.protocol)
    print(
        f"{numbers.duration(planned.duration_s)} on bench {bench.bench}, {planned.nitrogen_l:.0f} L of nitrogen, "
        f"{planned.energy_kwh:.1f} kWh"
    )
    print()
    print_table(("from", "to", "step", "kind", "setpoint", "hold", "a person"), _rows(planned))
    print()
    print(f"plan {plan.plan_hash}")
    return 0


def _rows(planned: Forecast) -> Iterator[tuple[str, ...]]:
    """One row a step, and one for every further moment of it that needs a person."""
    attention = list(planned.attention)
    for step in planned.steps:
        last = step is planned.steps[-1]
        # a moment at which one step ends and the next begins belongs to the one that begins
        wanted = [(at, what) for at, what in attention if at < step.end_s or at == step.start_s or last]
        attention = [moment for moment in attention if moment not in wanted]
        at_once = wanted and wanted[0][0] - step.start_s < AT_ONCE_S
        yield (
            f"{numbers.clock(step.start_s):>5}",
            f"{numbers.clock(step.end_s):>5}",
            step.id,
            step.kind,
            numbers.quantity(step.setpoint, "degC") if step.setpoint is not None else "",
            numbers.duration(step.hold_s) if step.hold_s else "",
            wanted.pop(0)[1] if at_once else "",
        )
        for at, what in wanted:
            yield f"{numbers.clock(at):>5}", "", "", "", "", "", what
