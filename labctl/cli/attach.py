"""`labctl run --bench`: hand a plan to the bench's controller, which outlives this terminal, and watch."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from labctl.bench.discovery import drivers
from labctl.bench.schema import Bench
from labctl.cli.control import submit
from labctl.cli.serve import start_detached
from labctl.cli.standing import phase_of, standing
from labctl.cli.terminal import say
from labctl.errors import PermissiveError, UsageError
from labctl.forecast import Forecast, forecast
from labctl.protocol.plan import Plan, canonical
from labctl.report import numbers
from labctl.runtime.clock import nap, utc_now_ms, wall_s
from labctl.runtime.folder import DATABASE, controller_of
from labctl.runtime.serve import open_store
from labctl.store.reader import Reader

LOOK_S = 0.5


def run_on_bench(bench: Bench, plan: Plan, protocol_text: str, arguments: Namespace) -> int:
    """Summary, confirmation, submission; then watch until the run ends or somebody detaches."""
    folder: Path = arguments.bench
    if bench.simulated:
        raise UsageError(f"{folder}: every instrument is simulated; add --simulate")
    planned = forecast(bench, drivers(), plan)
    _summary(plan, planned, folder)
    if not arguments.yes and not _agreed():
        raise PermissiveError("nothing was started; answer y, or give --yes")
    start_detached(folder)
    run_id = f"{plan.protocol}-{plan.plan_hash[:8]}-{utc_now_ms() // 1000}"
    _submit(folder, bench, plan, protocol_text, planned, run_id)
    say(f"run {run_id} is under way; Ctrl-C only detaches")
    return _watch(folder, run_id, arguments)


def _submit(folder: Path, bench: Bench, plan: Plan, text: str, planned: Forecast, run_id: str) -> None:
    actor = getpass.getuser()
    with open_store(folder, bench) as store:
        about = {
            "title": plan.title,
            "simulated": False,
            "seed": None,
            "plan_document": store.put_document("plan", canonical(plan.model_dump(mode="json"))),
            "protocol": store.put_document("protocol", text),
            "bench_identity": plan.bench_identity,
        }
    args: dict[str, Any] = {
        "run": run_id,
        "plan": plan.plan_hash,
        "about": about,
        "forecast": planned.to_json(),
    }
    submit(folder, "submit", None, args, actor)
    submit(folder, "start", run_id, {}, actor)


def _summary(plan: Plan, planned: Forecast, folder: Path) -> None:
    hottest = max((s.setpoint for s in planned.steps if s.setpoint is not None), default=0.0)
    say(f"{plan.title}\non bench {folder}: {numbers.duration(planned.duration_s)}, up to {hottest:.0f} degC")
    for at, what in planned.attention:
        say(f"  {numbers.clock(at)}  needs a person: {what}")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Start? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _watch(folder: Path, run_id: str, arguments: Namespace) -> int:
    from labctl.cli.run import tell

    started = wall_s()
    told = ""
    try:
        with Reader.open(folder / DATABASE) as reader:
            while True:
                state = standing(reader)
                run = state.runs[run_id]
                asked = "; ".join(f"{p['id']}: {p['do']}" for p in run.prompts.values())
                text = f"{run.state}: {phase_of(run)}" + (f" - waits for a person: {asked}" if asked else "")
                if text != told:
                    say(text)
                    told = text
                if run.end_state is not None:
                    break
                if controller_of(folder) is None:
                    say("the controller is gone; `labctl serve` takes over and holds the run")
                nap(LOOK_S)
    except KeyboardInterrupt:
        say(f"\ndetached; the run goes on. Return: labctl status --bench {folder}")
        say(f"Stop it: labctl stop {run_id} --bench {folder}")
        return 0
    return tell(folder, run_id, arguments, wall_s() - started)
