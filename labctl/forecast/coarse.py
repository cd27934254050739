"""A forecast: the plan run once on the nominal plant, with scans far apart, and what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labctl.bench.api import DriverEntry
from labctl.bench.schema import Bench
from labctl.engine.machine import ENDED
from labctl.errors import LabctlError, PermissiveError, WaitTimeoutError
from labctl.forecast.margins import Margins, Watcher
from labctl.forecast.profile import Profiles, celsius_at, profile_of
from labctl.forecast.rehearsal import LEAST_STALL_S, Rehearsal
from labctl.protocol.plan import AnyStep, Plan
from labctl.runtime.record import InMemory

RUN = "forecast"

LOOK_EVERY_S = 600.0
"""So often, in bench time, it is asked whether the run goes on."""

LONGEST_GAP_S = 60.0
"""Gas is not counted across a longer time without a reading: the instruments were not in use."""


@dataclass(frozen=True, slots=True)
class StepForecast:
    """When a step begins and ends, in s from the start; its last setpoint in degC and hold in s, where it has them.

    end_c: where its heater is at the end of it, in degC. left_out: it was not begun, since what it waits for did not
    come to pass; it begins and ends where the one before it ended.
    """

    id: str
    kind: str
    start_s: float
    end_s: float
    setpoint: float | None
    hold_s: float | None
    end_c: float | None = None
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take. attention: moments that need a person.

    profile: (t_s, degC) by heater, as the nominal plant got there; degC is None where the heater is not in use.
    gas_l: litres by flow controller. margins: how near the plant came to what must not be.
    """

    duration_s: float
    steps: tuple[StepForecast, ...]
    nitrogen_l: float
    energy_kwh: float
    attention: tuple[tuple[float, str], ...]
    profile: Profiles
    gas_l: Mapping[str, float]
    margins: Margins

    def to_json(self) -> dict[str, Any]:
        """As the record of a run keeps it, to be held against what came about."""
        steps = [asdict(step) for step in self.steps if not step.left_out]
        for step in steps:
            del step["end_c"], step["left_out"]
        return {
            "duration_s": self.duration_s,
            "steps": steps,
            "nitrogen_l": self.nitrogen_l,
            "energy_kwh": self.energy_kwh,
            "attention": [{"at_s": at, "what": what} for at, what in self.attention],
            "profile": {name: [list(point) for point in points] for name, points in self.profile.items()},
        }


class ForecastError(LabctlError):
    """The plan does not come to its end on the nominal plant."""

    exit_code = 3


def forecast(bench: Bench, entries: Mapping[str, DriverEntry], plan: Plan) -> Forecast:
    """Run the plan once on the nominal plant with coarse scans and say what it took.

    Raises ForecastError when it does not complete there, or would wait for ever.
    """
    record = InMemory()
    named = bench.model_copy(update={"bench": f"{bench.bench}-forecast"})
    twin = named.model_copy(
        update={
            "instruments": {
                n: i.model_copy(update={"address": f"labsim://{named.bench}/{n}"})
                for n, i in bench.instruments.items()
            }
        }
    )
    with Rehearsal(twin, entries, plan, seed=None, record=record, coarse=True) as rehearsal:
        rehearsal.submit(RUN, {})
        controller = rehearsal.controller
        watcher = Watcher(rehearsal.twin, bench, plan)
        patience = _Patience(rehearsal, plan)

        def over() -> bool:
            watcher.look(controller.clock.now())
            run = controller.state.runs.get(RUN)
            if run is not None and (run.state in ENDED or run.state == "HELD"):
                return True
            patience.check()
            return False

        try:
            controller.run(over)
        except (WaitTimeoutError, PermissiveError) as error:
            raise ForecastError(f"the forecast does not end: {error}") from error
        run = controller.state.runs[RUN]
        if run.state != "COMPLETE":
            raise ForecastError(
                f"the forecast is {run.state} after {controller.clock.now() / 3600:.1f} h: {run.reason}"
            )
        profile = profile_of(record)
        return Forecast(
            duration_s=controller.clock.now(),
            steps=steps_of(plan, run.done, profile),
            nitrogen_l=litres_of(record),
            energy_kwh=watcher.kwh,
            attention=tuple(
                (event.t_s, event.data["do"]) for event in record.events if event.kind == "prompt"
            ),
            profile=profile,
            gas_l={name: litres_of(record, name) for name in _controllers(record)},
            margins=watcher.margins(),
        )


class _Patience:
    """Gives a run up that waits for ever: nothing changes for longer than any step may take, or it goes on and on."""

    def __init__(self, rehearsal: Rehearsal, plan: Plan) -> None:
        longest = [_longest_s(step) for step in plan.steps]
        self._rehearsal = rehearsal
        self._quiet_s = max(longest, default=0.0) + LEAST_STALL_S
        self._whole_s = sum(longest) + len(longest) * LEAST_STALL_S
        self._looked_s = 0.0

    def check(self) -> None:
        """Raises WaitTimeoutError or PermissiveError with the reason."""
        rehearsal = self._rehearsal
        now, changed_s = rehearsal.clock.now(), rehearsal.controller.changed_s
        if now - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now
        rehearsal.ended(RUN)
        run = rehearsal.controller.state.runs.get(RUN)
        active = ", ".join(f"{s.id} ({s.phase})" for s in run.active.values()) if run else ""
        where = f"it is in {active}" if active else "no step is active"
        if now - changed_s > self._quiet_s:
            raise WaitTimeoutError(f"nothing has changed for {(now - changed_s) / 3600:.0f} h; {where}")
        if now > self._whole_s:
            raise WaitTimeoutError(f"after {now / 3600:.0f} h, more than all its time-outs together, {where}")


def _longest_s(step: AnyStep) -> float:
    """The longest that a step may take: its time-out, or what it is to take where it has none."""
    return max(getattr(step, name, None) or 0.0 for name in ("timeout_s", "duration_s", "expected_s"))


def steps_of(plan: Plan, done: Mapping[str, Any], profile: Profiles) -> tuple[StepForecast, ...]:
    """When each step of a plan began and ended, by what its run has `done`."""
    steps: list[StepForecast] = []
    for step in plan.steps:
        before_s = steps[-1].end_s if steps else 0.0
        summary = done.get(step.id, {})
        segments = getattr(step, "segments", None)
        end_s = summary.get("ended_s", before_s)
        steps.append(
            StepForecast(
                step.id,
                step.kind,
                summary.get("started_s", before_s),
                end_s,
                segments[-1].target_c if segments else None,
                sum(s.hold_s for s in segments) if segments else None,
                celsius_at(profile.get(getattr(step, "heater", ""), ()), end_s),
                "started_s" not in summary,
            )
        )
    return tuple(steps)


def _controllers(record: InMemory) -> list[str]:
    return list(dict.fromkeys(i for i, signal, unit in record.channels if (signal, unit) == ("flow", "sccm")))


def litres_of(record: InMemory, controller: str | None = None) -> float:
    """Gas that has flowed, in normal litres, through one flow controller or through all."""
    return sum(_litres(record, controller))


def _litres(record: InMemory, controller: str | None) -> Iterator[float]:
    """Between one row and the next."""
    flows = [
        n
        for n, (instrument, signal, unit) in enumerate(record.channels)
        if (signal, unit) == ("flow", "sccm") and controller in (None, instrument)
    ]
    last = None
    for t_s, values in record.rows:
        if last is not None:
            yield sum(values[n] or 0.0 for n in flows) * min(t_s - last, LONGEST_GAP_S) / 60e3
        last = t_s
