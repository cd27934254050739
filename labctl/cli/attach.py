"""`labctl run --bench`: hand a plan to the bench's controller, which outlives this terminal, and watch."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from labctl.bench.discovery import drivers
from labctl.bench.schema import Bench
from labctl.cli.control import submit
from labctl.cli.ending import tell
from labctl.cli.serve import start_detached
from labctl.cli.standing import phase_of, standing
from labctl.cli.terminal import agreed, say
from labctl.errors import Finding, PermissiveError, UsageError
from labctl.forecast import Forecast, forecast
from labctl.model.events import clock
from labctl.protocol.plan import Plan, canonical
from labctl.report import numbers
from labctl.runtime.clock import nap, utc_now_ms, wall_s
from labctl.runtime.commissioned import barred_from
from labctl.runtime.folder import DATABASE, controller_of
from labctl.store.reader import Reader

LOOK_S = 0.5


def run_on_bench(
    bench: Bench,
    plan: Plan,
    protocol_text: str,
    unprotected: Sequence[Finding],
    arguments: Namespace,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Summary, confirmation, submission; then watch until the run ends or somebody detaches.

    unprotected: what the bench cannot protect from, as findings; heating then needs somebody who stays. about: what
    else the record says of the run.
    """
    folder: Path = arguments.bench
    if bench.in_process:
        raise UsageError(f"{folder}: every instrument is simulated; add --simulate")
    if unprotected and not arguments.attended:
        raise PermissiveError(
            "this bench may not heat unattended; say who stays beside it with --attended NAME:\n"
            + "\n".join(f"  {finding.message}" for finding in unprotected)
        )
    planned = forecast(bench, drivers(), plan)
    # which the controller would say too, but it is not started for it
    if barred := barred_from(plan, bench, drivers(), folder, planned.duration_s):
        raise PermissiveError("nothing may be energised on this bench yet:\n  " + "\n  ".join(barred))
    tell_plan(plan, planned, folder)
    if not arguments.yes and not agreed("Start?"):
        raise PermissiveError("nothing was started; answer y, or give --yes")
    start_detached(folder, arguments.capture)
    run_id = f"{plan.protocol}-{plan.plan_hash[:8]}-{utc_now_ms() // 1000}"
    said = {"attended_by": arguments.attended, **about}
    _submit(bench, folder, plan, protocol_text, planned, run_id, said)
    say(f"run {run_id} is under way; Ctrl-C only detaches")
    return _watch(folder, run_id, arguments)


def _submit(
    bench: Bench, folder: Path, plan: Plan, text: str, planned: Forecast, run_id: str, said: Mapping[str, Any]
) -> None:
    actor = getpass.getuser()
    about = {
        "title": plan.title,
        "protocol": plan.protocol,
        "simulated": plan.simulated,
        "seed": None,
        "bench_identity": plan.bench_identity,
        **said,
        **bench.of_rules(),
    }
    args: dict[str, Any] = {
        "run": run_id,
        "plan": plan.plan_hash,
        "about": about,
        "documents": {"plan": canonical(plan.model_dump(mode="json")), "protocol": text},
        "forecast": planned.to_json(),
    }
    submit(folder, "submit", None, args, actor)
    submit(folder, "start", run_id, {}, actor)


def tell_plan(plan: Plan, planned: Forecast, folder: Path) -> None:
    """What a run will be, for who is to agree to it."""
    setpoints = [s.setpoint for s in planned.steps if s.setpoint is not None]
    heat = f"up to {max(setpoints):.0f} degC" if setpoints else "without heat"
    say(plan.title or plan.protocol)
    say(f"on bench {folder}: {numbers.duration(planned.duration_s)}, {heat}")
    for at, what in planned.attention:
        say(f"  {clock(at)}  needs a person: {what}")


def _watch(folder: Path, run_id: str, arguments: Namespace) -> int:
    started = wall_s()
    told = ""
    try:
        with Reader.open(folder / DATABASE) as reader:
            while True:
                state = standing(reader)
                run = state.runs[run_id]
                asked = "; ".join(f"{p['id']}: {p['do']}" for p in run.prompts.values())
                text = f"{run.state}: {phase_of(run)}" + (f" - waits for a person: {asked}" if asked else "")
                if controller_of(folder) is None and run.end_state is None:
                    text += "; the controller is gone: `labctl serve` takes over and holds the run"
                if text != told:
                    say(text)
                    told = text
                if run.end_state is not None:
                    break
                nap(LOOK_S)
    except KeyboardInterrupt:
        say(f"\ndetached; the run goes on. Return: labctl status --bench {folder}")
        say(f"Stop it: labctl stop {run_id} --bench {folder}")
        return 0
    return tell(folder, run_id, arguments, wall_s() - started)
