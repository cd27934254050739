"""`labctl plan`: what a run will take, by a run of the plan in the simulator of its bench, on the clock of the wall."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from labctl.bench.discovery import drivers
from labctl.bench.schema import Bench
from labctl.cli.findings import print_briefly
from labctl.cli.stock import stock_of
from labctl.cli.terminal import naming, print_json, print_table, say
from labctl.cli.validate import checked, chosen_bench
from labctl.errors import Finding, ValidationError
from labctl.forecast import Forecast, ForecastError, StepForecast, forecast
from labctl.forecast.margins import Oxygen, Vapour
from labctl.forecast.outlook import GasLeft, Moment, Outlook, Start, later, outlook
from labctl.model.limits import limit
from labctl.protocol.plan import Cool, Heat, Plan
from labctl.protocol.spans import setpoints, spans
from labctl.report import numbers
from labctl.report.gantt import Bar, Call, Schedule, render
from labctl.runtime.clock import utc_now_ms

AT_ONCE_S = 60.0
"""A person who is wanted so soon after a step begins is wanted at its beginning."""

WEEK = timedelta(days=7)
"""Within it a day of the week is enough to name a day."""

UNSTAFFED = "outside working hours"


def main(arguments: Namespace) -> int:
    """Forecast, and print the timeline. Returns 3 when the gas does not last."""
    bench = chosen_bench(arguments.bench)
    plan, findings = checked(arguments, bench)
    if plan is None:
        raise ValidationError(findings)
    try:
        planned = forecast(bench, drivers(), plan)
    except ForecastError:
        print_briefly(findings)  # a warning of them may say why
        raise
    now = datetime.fromtimestamp(utc_now_ms() / 1000.0).replace(second=0, microsecond=0)
    stock = stock_of(bench, arguments.bench)
    view = outlook(bench, plan, planned, stock, start=arguments.start, finish=arguments.finish, now=now)
    short = list(_short_of_gas(view))
    findings = [*short, *findings]
    if arguments.html is not None:
        _write_page(arguments.html, bench, plan, planned, view)
    if arguments.json:
        print_json({"plan_hash": plan.plan_hash, **_as_json(bench, planned, view),
                    "findings": [asdict(f) for f in findings]})  # fmt: skip
    else:
        print_briefly(findings)
        _print(bench, plan, planned, view)
        if arguments.html is not None:
            print(arguments.html)
    return ValidationError.exit_code if any(f.severity == "error" for f in short) else 0


def facts(bench: Bench, plan: Plan, planned: Forecast, view: Outlook) -> Iterator[tuple[str, str]]:
    """All that the outlook says besides the timeline, as (what, in words)."""
    hours = f"{bench.hours.text}{'' if bench.working_hours else ', assumed'}"
    wanted = f"{len(view.moments)} moments" if len(view.moments) != 1 else "1 moment"
    yield "people", f"{wanted}, {view.outside or 'none'} {UNSTAFFED} ({hours})"
    yield "best start", _best(view.best, len(view.moments))
    if view.latest is not None and view.finish is not None:
        late = "; THIS START IS TOO LATE" if view.late else ""
        yield (
            "latest start",
            f"{day_and_time(view.latest)}, to end by {day_and_time(view.finish)}{_staffed(view)}{late}",
        )
    for gas in view.gas:
        yield gas.supply, _gas(gas)
    yield "energy", f"{planned.energy_kwh:.1f} kWh"
    if view.cost is not None:
        yield "cost", _cost(view)
    for oxygen in planned.margins.oxygen:
        yield "oxygen", _oxygen(oxygen)
    for vapour in planned.margins.vapour:
        yield "vapour", _vapour(vapour)
    for told in _shared(bench, plan):
        yield "shared", told
    for chamber, signals in view.lost.items():
        yield "not protected", f"{chamber} has no {', '.join(signals)}"
    for stay in view.stays:
        when = f"{day_and_time(stay.begin)} to {day_and_time(stay.end)}"
        yield "somebody stays", f"{when}, while {stay.chamber} is above {limit('T_inert'):g} degC"


def _shared(bench: Bench, plan: Plan) -> Iterator[str]:
    """In which chambers other runs may be meanwhile."""
    for span in spans(plan.steps):
        for chamber in sorted(span.chambers):
            if not bench.chambers[chamber].shared:
                continue
            wanted = setpoints([plan.step(name) for name in span.steps], chamber)
            if wanted and len(wanted) == 1:
                yield f"{chamber} at {max(wanted):g} degC, with other runs that want it so"
            else:
                yield f"{chamber}, but not with this: it is heated to several temperatures, or cooled, there"


def day_and_time(when: datetime) -> str:
    """As in `Mon 5 Jan 09:00`."""
    return f"{when:%a} {when.day} {when:%b %H:%M}"


def _best(best: Start, moments: int) -> str:
    when = day_and_time(best.when)
    if not best.outside:
        return f"{when}: everybody is wanted within working hours"
    most = f"this one has {moments - best.outside} of {moments}"
    return f"{when}: no start within a week has everybody within working hours, {most}"


def _staffed(view: Outlook) -> str:
    if view.latest_staffed is None:
        return "; none in the week before has everybody within working hours"
    if view.latest_staffed == view.latest:
        return ""
    return f"; {day_and_time(view.latest_staffed)} with everybody within working hours"


def _gas(gas: GasLeft) -> str:
    others = "".join(f", {run} still {litres:.0f} L" for run, litres in gas.others_l.items())
    bar = f" = {gas.left_bar:.0f} bar" if gas.left_bar is not None else ""
    takes = f"this takes {gas.plan_l:.0f} L of {gas.gas}{others}"
    return f"{takes}; of {gas.held_l:.0f} L now {gas.left_l:.0f} L{bar} are left"


def _cost(view: Outlook) -> str:
    assert view.cost is not None
    cost, parts = view.cost, []
    if cost.electricity is not None:
        parts.append(f"electricity {cost.electricity:.2f}")
    if cost.gas is not None:
        parts.append(f"gas {cost.gas:.2f}")
    return f"{cost.total:.2f} {cost.currency} ({', '.join(parts)})"


def _oxygen(oxygen: Oxygen) -> str:
    beyond = "" if oxygen.ok else ": TOO MUCH"
    return (
        f"at most {oxygen.ppm:.3g} ppm in {oxygen.chamber} above {oxygen.above_c:g} degC, "
        f"of {oxygen.allowed_ppm:g} ppm{beyond}"
    )


def _vapour(vapour: Vapour) -> str:
    air = f"{vapour.chamber} wants {vapour.needed_l_per_min:.1f} L/min of air for 25 % of the LEL"
    if vapour.of_limit is None:
        return f"{air}; what its exhaust draws is not in the bench file"
    beyond = "" if vapour.ok else ": TOO MUCH"
    return f"{air}; at {vapour.exhaust_l_per_min:g} L/min it comes to {100 * vapour.of_limit:.0f} %{beyond}"


def _short_of_gas(view: Outlook) -> Iterator[Finding]:
    for gas in view.gas:
        others = sum(gas.others_l.values())
        if not gas.enough:
            message = (
                f"{gas.supply} holds {gas.held_l:.0f} L, runs under way still take {others:.0f} L, and this plan "
                f"takes {gas.plan_l:.0f} L and wants {gas.wanted_l:.0f} L"
            )
            hint = f"connect a full cylinder first: `labctl gas swap {gas.supply}`"
            yield Finding("GAS-009", "error", message, hint=hint)
        elif gas.low:
            message = f"{gas.supply} ends at {gas.left_bar:.0f} bar, below the {gas.reserve_bar:g} bar to be left in it"
            yield Finding("GAS-009", "warning", message, hint="have a full cylinder ready")


def _as_json(bench: Bench, planned: Forecast, view: Outlook) -> dict[str, Any]:
    data = planned.to_json()
    del data["profile"]
    for step, known in zip(data["steps"], planned.steps, strict=True):
        step |= {"end_c": known.end_c, "left_out": known.left_out}
    return data | {
        "start": view.start.isoformat(),
        "end": view.end.isoformat(),
        "working_hours": {"hours": bench.hours.text, "assumed": bench.working_hours is None},
        "moments": [asdict(moment) | {"when": moment.when.isoformat()} for moment in view.moments],
        "best_start": {"when": view.best.when.isoformat(), "outside": view.best.outside},
        "latest_start": view.latest and view.latest.isoformat(),
        "latest_staffed_start": view.latest_staffed and view.latest_staffed.isoformat(),
        "gas": [asdict(gas) | {"enough": gas.enough} for gas in view.gas],
        "cost": view.cost and asdict(view.cost) | {"total": view.cost.total},
        "margins": planned.margins.to_json(),
        "lost_protections": view.lost,
        "attended": [
            {"chamber": s.chamber, "from": s.begin.isoformat(), "to": s.end.isoformat()} for s in view.stays
        ],
    }  # fmt: skip


def _print(bench: Bench, plan: Plan, planned: Forecast, view: Outlook) -> None:
    print(plan.title or plan.protocol)
    print(
        f"{numbers.duration(planned.duration_s)} on bench {bench.bench}, "
        f"{day_and_time(view.start)} to {day_and_time(view.end)}"
    )
    print()
    print_table(("from", "to", "step", "kind", "setpoint", "hold", "a person"), _rows(planned, view))
    print_table(("", ""), facts(bench, plan, planned, view))
    print()
    print(f"plan {plan.plan_hash}")
    if view.outside:
        say("Everybody is taken to come at once; a run waits for who does not, hot or cold as it is then.")


def _rows(planned: Forecast, view: Outlook) -> Iterator[tuple[str, ...]]:
    """One row a step, and one for every further moment of it that needs a person."""
    attention = list(view.moments)
    clock = _clock(view)
    for step in planned.steps:
        if step.left_out:
            yield "", "", step.id, step.kind, "", "", "left out"
            continue
        last = step is planned.steps[-1]
        # a moment at which one step ends and the next begins belongs to the one that begins
        wanted = [m for m in attention if m.at_s < step.end_s or m.at_s == step.start_s or last]
        attention = [moment for moment in attention if moment not in wanted]
        at_once = wanted and wanted[0].at_s - step.start_s < AT_ONCE_S
        yield (
            clock(step.start_s),
            clock(step.end_s),
            step.id,
            step.kind,
            numbers.quantity(step.setpoint, "degC") if step.setpoint is not None else "",
            numbers.duration(step.hold_s) if step.hold_s else "",
            _wanted(wanted.pop(0)) if at_once else "",
        )
        for moment in wanted:
            yield clock(moment.at_s), "", "", "", "", "", _wanted(moment)


def _wanted(moment: Moment) -> str:
    return moment.what if moment.staffed else f"{moment.what} ({UNSTAFFED})"


def _clock(view: Outlook) -> Callable[[float], str]:
    """Seconds since the start as day and time: `Mon 09:00`, with the date where a week is not enough."""
    short = view.end - view.start < WEEK

    def clock(seconds: float) -> str:
        when = later(view.start, seconds)
        return f"{when:%a %H:%M}" if short else day_and_time(when)

    return clock


def _write_page(path: Path, bench: Bench, plan: Plan, planned: Forecast, view: Outlook) -> None:
    heaters = {step.heater for step in plan.steps if isinstance(step, Heat | Cool)}
    schedule = Schedule(
        title=plan.title or plan.protocol,
        protocol=plan.protocol,
        formula=plan.product.formula if plan.product else None,
        bench=bench.bench,
        plan_hash=plan.plan_hash,
        start=view.start,
        end=view.end,
        hours=bench.hours,
        bars=tuple(
            Bar(s.id, s.kind, later(view.start, s.start_s), later(view.start, s.end_s), _detail(s))
            for s in planned.steps
            if not s.left_out
        ),
        calls=tuple(Call(m.when, m.what, m.staffed) for m in view.moments),
        curves={
            name: tuple((later(view.start, t_s), celsius) for t_s, celsius in points)
            for name, points in planned.profile.items()
            if name in heaters
        },
        facts=tuple(facts(bench, plan, planned, view)),
    )
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(schedule), encoding="utf-8")


def _detail(step: StepForecast) -> str:
    parts = [numbers.quantity(step.setpoint, "degC")] if step.setpoint is not None else []
    return ", ".join([*parts, *([f"hold {numbers.duration(step.hold_s)}"] if step.hold_s else [])])
