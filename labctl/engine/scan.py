"""One scan: the image of the bench, the state as it stands, and what has been decided so far.

The workspace of one call of `decide`. `emit` evolves the state at once, so whatever is decided later in the same scan
already sees it; commands leave with an intent that says what they authorise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from labctl.engine import alarms
from labctl.engine.context import Context, Rig, Source
from labctl.engine.evolve import evolve
from labctl.engine.state import BenchState, RunState, StepState
from labctl.model.commands import Command
from labctl.model.events import BENCH_STREAM, Event
from labctl.model.readings import Image, good

ENERGISING = frozenset({"heat", "source", "stir", "renew"})
OBSERVED = 2.5
"""Scan periods that one reading may stand for: as the greatest age of a reading (assumed)."""


Names = TypeVar("Names")


def named(kind: Callable[..., Names], *within: str) -> Callable[[str], Names]:
    """Names in the tally, made once for each owner: "owner/field", or "owner/within/field", for `kind`'s fields."""

    @cache
    def names(owner: str) -> Names:
        return kind(*("/".join((owner, *within, field)) for field in kind.__annotations__))

    return names


class Scan:
    """See the module. `dt_s` is the time since the scan before, 0 for the first."""

    __slots__ = (
        "_temperatures",
        "commands",
        "context",
        "dt_s",
        "estopped",
        "events",
        "image",
        "now",
        "settled",
        "state",
        "tally",
    )

    def __init__(self, context: Context, state: BenchState, now: float, dt_s: float, image: Image) -> None:
        """Start from `state`; the tally is a copy that this scan may change."""
        self.context = context
        self.state = state
        self.now = now
        self.dt_s = dt_s
        self.image = image
        self.tally = dict(state.tally)
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.settled: list[tuple[str, str, bool]] = []
        self.estopped = False
        self._temperatures: dict[str, list[float]] = {}

    # -- reading ---------------------------------------------------------------------------------

    def good(self, rig: Rig, instrument: str | None, signal: str) -> float | None:
        """The value of a reading that may be used as a number, else None."""
        if instrument is None:
            return None
        reading = self.image.get(f"{instrument}.{signal}")
        if reading is None:
            return None
        # as `good`, without the call: it is asked for a dozen times a scan
        value, _, quality, t_s = reading
        return None if quality or self.now - t_s > rig.max_age_s[instrument] else value

    def value(self, source: Source | None) -> float | None:
        """As `good`, of what is asked for every scan."""
        return None if source is None else good(self.image.get(source.key), self.now, source.max_age_s)

    def told(self, rig: Rig, what: str) -> float | None:
        """What a chamber's I/O module tells of a protective signal, if that is wired and good, else None."""
        where = rig.io.get(what)
        return None if where is None else self.good(rig, *where)

    def temperatures(self, rig: Rig) -> list[float]:
        """All good temperatures of a chamber, in degC: one list for the whole scan, not to be changed."""
        known = self._temperatures.get(rig.name)
        if known is None:
            known = self._temperatures[rig.name] = []
            image, now, ages = self.image, self.now, rig.max_age_s
            for name, key in zip(rig.thermometers, rig.temperatures, strict=True):
                if key in image:
                    value, _, quality, t_s = image[key]
                    if not quality and now - t_s <= ages[name] and value is not None:
                        known.append(value)
        return known

    def lasting(self, key: str, condition: bool) -> float:
        """For how many seconds `condition` has held without a break; 0 when it does not hold."""
        tally = self.tally
        if not condition:
            if key in tally:
                del tally[key]
            return 0.0
        return self.now - tally.setdefault(key, self.now)

    def credit_s(self, rig: Rig) -> float:
        """How much of the time since the scan before was observed: a scan that came late proves no more."""
        return min(self.dt_s, OBSERVED * rig.scan_s)

    def add(self, key: str, amount: float) -> float:
        """Accumulate, and return the new total."""
        total = self.tally.get(key, 0.0) + amount
        self.tally[key] = total
        return total

    def forget(self, prefix: str) -> None:
        """Drop the accumulators of one owner."""
        for key in [k for k in self.tally if k.startswith(prefix)]:
            del self.tally[key]

    # -- deciding --------------------------------------------------------------------------------

    def emit(self, kind: str, data: dict[str, Any], run: str | None = None) -> None:
        """Something happened. It goes to the stream of its run while that has not ended, else to the bench's."""
        owner = self.state.runs.get(run) if run else None
        ended = owner is not None and owner.end_state is not None
        stream = run if run and not ended else BENCH_STREAM
        event = Event(stream, kind, data, self.now)
        self.events.append(event)
        self.state = evolve(self.state, event)

    def send(
        self,
        rig: Rig,
        instrument: str,
        verb: str,
        args: dict[str, Any] | None = None,
        *,
        run: str | None = None,
        step: str | None = None,
        until_s: float | None = None,
        why: str = "",
    ) -> str:
        """Command an instrument; the intent goes to the journal before the bytes go out."""
        command_id = f"c{self.state.commands + 1}"
        intent: dict[str, Any] = {
            "id": command_id,
            "instrument": instrument,
            "chamber": rig.name,
            "verb": verb,
            "args": args or {},
        }
        if until_s is not None:
            intent["until_s"] = until_s
        if verb == "heat" and rig.host_ramp:
            intent["from_c"] = self.good(rig, instrument, "temperature")
        if step is not None:
            intent["step"] = step
        if why:
            intent["why"] = why
        self.emit("intent", intent, run)
        self.commands.append(Command(command_id, instrument, verb, args or {}))
        return command_id

    def alarm(
        self,
        name: str,
        active: bool,
        message: str,
        *,
        run: str | None,
        priority: str = "high",
        latching: bool = False,
        hidden: bool = False,
        hides: tuple[str, ...] = (),
    ) -> None:
        """Say by level whether the condition of an alarm holds; see `alarms.show`."""
        if active or name in self.state.alarms:
            alarms.show(self, name, active, message, run, priority, latching, hidden, hides)

    # -- the run's own words ---------------------------------------------------------------------

    def phase(self, run: RunState, step: StepState, phase: str, **data: Any) -> None:
        """A step enters another phase of its behaviour."""
        detail: dict[str, Any] = {"id": step.id, "phase": phase}
        if data:
            detail["data"] = data
        self.emit("step_phase", detail, run.run_id)

    def finish(self, run: RunState, step: StepState, **summary: Any) -> None:
        """A step is done; `summary` is what the verdict will need of it."""
        started = {"started_s": step.started_s, "ended_s": self.now}
        self.emit("step_done", {"id": step.id, "summary": started | summary}, run.run_id)
        self.forget(f"{run.run_id}/{step.id}/")
