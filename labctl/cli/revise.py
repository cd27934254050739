"""Changing a run: `adjust`, `skip` and `goto` give it another plan, `rerun` begins a new one where an old one got to.

Each is checked, forecast and shown as a difference before anybody is asked whether it is to be.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench
from labctl.cli.control import actor, submit
from labctl.cli.diff import print_changes
from labctl.cli.findings import print_briefly
from labctl.cli.memory import open_memory
from labctl.cli.standing import standing
from labctl.cli.terminal import agreed, say
from labctl.cli.values import once
from labctl.engine.state import RunState
from labctl.errors import Finding, PermissiveError, UsageError, ValidationError
from labctl.forecast import forecast
from labctl.protocol.diagnosis import nearest
from labctl.protocol.difference import differences
from labctl.protocol.plan import Plan, canonical
from labctl.protocol.revision import obstacle
from labctl.protocol.validation import check_text
from labctl.report import numbers
from labctl.runtime.backdoor import ascertained
from labctl.store.reader import Reader


@dataclass(frozen=True, slots=True)
class Followed:
    """A run, the plan that it follows, and the protocol that this was made from."""

    run: RunState
    plan: Plan
    protocol: str
    bench: Bench

    @property
    def left_out(self) -> list[str]:
        """Steps of the protocol that the plan has no more."""
        kept = {step.id for step in self.plan.steps}
        return [step.id for step in self.whole.steps if step.id not in kept]

    @property
    def whole(self) -> Plan:
        """The plan with every step of the protocol; the plan as it is where that would be refused."""
        return self.made(self.given, ())[0] or self.plan

    @property
    def given(self) -> dict[str, str]:
        """The parameters that somebody set."""
        return {p.name: p.text for p in self.plan.parameters if p.given}

    def made(self, given: Mapping[str, str], left_out: Collection[str]) -> tuple[Plan | None, list[Finding]]:
        """The plan with other parameters, or without some steps."""
        return check_text(self.protocol, f"{self.plan.protocol}.yaml", given, self.bench, None, left_out)


def adjust(arguments: Namespace) -> int:
    """Other values of parameters."""
    followed = _followed(arguments)
    return _revise(followed, followed.given | once(arguments.parameters), followed.left_out, arguments)


def skip(arguments: Namespace) -> int:
    """Leave a step out."""
    followed = _followed(arguments)
    _check_step(followed, arguments.step, [step.id for step in followed.plan.steps])
    _check_ahead(followed, arguments.step)
    return _revise(followed, followed.given, [*followed.left_out, arguments.step], arguments)


def goto(arguments: Namespace) -> int:
    """Leave out everything before a step that is still to come."""
    followed = _followed(arguments)
    _check_step(followed, arguments.step, [step.id for step in followed.plan.steps])
    _check_ahead(followed, arguments.step)
    ahead = []
    for step in followed.plan.steps:
        if step.id == arguments.step:
            break
        if step.id not in followed.run.done:
            ahead.append(step.id)
    if not ahead:
        raise UsageError(f"{arguments.step} is next already")
    return _revise(followed, followed.given, [*followed.left_out, *ahead], arguments)


def rerun(arguments: Namespace) -> int:
    """A new run of the steps from one on, with what people entered before it.

    What the old one left out stays so, unless it is where the new one begins: then all that follows is done.
    """
    from labctl.cli.attach import run_on_bench
    from labctl.cli.run import unprotected

    followed = _followed(arguments, ended=True)
    whole = [step.id for step in followed.whole.steps]
    _check_step(followed, arguments.step, whole)
    before, left_out = whole[: whole.index(arguments.step)], followed.left_out
    passed = [] if arguments.step in left_out else left_out
    plan, findings = followed.made(followed.given, [*passed, *before])
    plan = _valid(plan, findings)
    if taken_up := [name for name in left_out if name not in (*passed, *before)]:
        say(f"with what {followed.run.run_id} left out: {', '.join(taken_up)}")
    about = {"rerun_of": followed.run.run_id, "values": dict(followed.run.values)}
    return run_on_bench(followed.bench, plan, followed.protocol, unprotected(findings), arguments, about)


def _followed(arguments: Namespace, *, ended: bool = False) -> Followed:
    """The run that is meant: the only one under way, or the one named."""
    folder: Path = arguments.bench
    with open_memory(folder) as reader:
        runs = standing(reader).runs
        live = [name for name, run in runs.items() if ended or run.end_state is None]
        name = arguments.run or (live[-1] if ended or len(live) == 1 else None)
        if name is None:
            raise UsageError(f"say which run: {', '.join(live)}" if live else "no run is under way")
        if name not in runs:
            raise UsageError(f"no run {name!r} on this bench; {nearest(name, runs)}")
        run = runs[name]
        if not ended and run.end_state is not None:
            raise UsageError(
                f"{name} has ended {run.end_state}; `labctl rerun {name} --from STEP` begins another"
            )
        plan, protocol = _documents(reader, name)
    return Followed(run, plan, protocol, ascertained(load_bench(folder)))


def _documents(reader: Reader, run: str) -> tuple[Plan, str]:
    facts = [fact.event.data for fact in reader.facts(run, kinds=("run_created", "plan_revised"))]
    newest = {key: value for data in facts for key, value in data.items() if key.endswith("_document")}
    plan = Plan.model_validate(json.loads(reader.document(newest["plan_document"])))
    return plan, reader.document(newest["protocol_document"])


def _check_step(followed: Followed, step: str, ids: Sequence[str]) -> None:
    if step not in ids:
        raise UsageError(f"{followed.run.run_id} has no step {step!r}; {nearest(step, ids)}")


def _check_ahead(followed: Followed, step: str) -> None:
    if step in followed.run.done:
        raise UsageError(f"{step} is over; `labctl rerun` repeats what is over, as a run of its own")


def _revise(
    followed: Followed, given: Mapping[str, str], left_out: Sequence[str], arguments: Namespace
) -> int:
    """Check, forecast, show, ask, and hand it to the controller with the plan that it is meant to replace."""
    plan, findings = followed.made(given, left_out)
    new = _valid(plan, findings)
    if new.plan_hash == followed.plan.plan_hash:
        raise UsageError("that changes nothing")
    if refused := obstacle(followed.plan, new, followed.run.done):
        raise PermissiveError(f"{followed.run.run_id} cannot follow it: {refused}")
    print_changes(differences(followed.plan, new))
    entries = drivers()
    was, will = forecast(followed.bench, entries, followed.plan), forecast(followed.bench, entries, new)
    say(
        f"the whole run: {numbers.duration(will.duration_s)} instead of {numbers.duration(was.duration_s)}, "
        f"{will.nitrogen_l:.0f} L of nitrogen instead of {was.nitrogen_l:.0f} L"
    )
    if not arguments.yes and not agreed(f"Change {followed.run.run_id}?"):
        raise PermissiveError("nothing was changed; answer y, or give --yes")
    args = {
        "plan": new.plan_hash,
        "expected": followed.plan.plan_hash,
        "reason": arguments.reason,
        "documents": {"plan": canonical(new.model_dump(mode="json")), "protocol": followed.protocol},
    }
    outcome = submit(arguments.bench, "revise", followed.run.run_id, args, actor(arguments))
    print(f"{followed.run.run_id}: {outcome}")
    return 0


def _valid(plan: Plan | None, findings: list[Finding]) -> Plan:
    if plan is None:
        raise ValidationError(findings)
    print_briefly([f for f in findings if f.severity != "info"])
    return plan
