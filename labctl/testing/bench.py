"""A simulated bench in a test: run a protocol on it in virtual time, look at its plant, and let things go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labctl.bench.discovery import drivers
from labctl.bench.loader import find_bench, load_bench
from labctl.bench.schema import Bench
from labctl.engine.state import RunState
from labctl.errors import UsageError, ValidationError, WaitTimeoutError
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.model.readings import GOOD
from labctl.protocol.diagnosis import nearest
from labctl.protocol.plan import Plan
from labctl.protocol.validation import check, check_text
from labctl.runtime.clock import VirtualClock
from labctl.runtime.record import InMemory
from labctl.twin import Twin, twin_bench
from labctl_simulators.faults import Faults

RUN = "test"
"""Id of the run in its journal."""

LONGEST_H = 24.0 * 30
"""Bench time after which `until` gives up, h (assumed: no synthesis takes a month)."""


class BenchInTest:
    """The twin of a bench with labctl's controller on it.

    description: the bench file, every instrument simulated. Nothing is built before `start`, and time moves only
    in `advance`, `until` and `finish`.
    """

    def __init__(self, bench: str | Path, *, seed: int | None = None, speed: float | None = None) -> None:
        """`bench`: folder, file or bundled name. `seed`: of the plant, None for the nominal one.

        `speed`: bench seconds a real second, None for as fast as it goes. Raises UsageError or ValidationError.
        """
        file = find_bench(bench)
        self.description: Bench = twin_bench(load_bench(file))
        self._folder = file.parent
        self.plan: Plan | None = None
        self._seed = seed
        self._speed = speed
        self._record = InMemory()
        self._rehearsal: Rehearsal | None = None

    def start(self, protocol: str | Path, **parameters: str) -> None:
        """Begin a run of a protocol; parameters as text with units.

        `protocol`: the name of one beside the bench or bundled, a file, or a protocol's text of several lines. Only
        one run a test. Raises UsageError for a second, ValidationError for a plan that is not valid.
        """
        if self._rehearsal is not None:
            raise UsageError("this bench runs a protocol already; a test starts one")
        self.plan = self._planned(protocol, parameters)
        self._rehearsal = Rehearsal(
            self.description,
            drivers(),
            self.plan,
            seed=self._seed,
            record=self._record,
            clock=VirtualClock(self._speed),
        )
        if self._rehearsal.problems:
            raise UsageError("; ".join(self._rehearsal.problems))
        self._rehearsal.submit(RUN, {"simulated": True, "seed": self._seed})

    def advance(self, seconds: float) -> None:
        """Let so many seconds of bench time pass."""
        end_s = self.now() + seconds
        self._scan(lambda: self.now() >= end_s)

    def until(self, condition: Callable[[], bool], *, within_h: float = LONGEST_H) -> None:
        """Let time pass until `condition` holds after a scan.

        Raises WaitTimeoutError when the run is over or `within_h` hours have passed before that.
        """
        end_s = self.now() + within_h * 3600.0
        self._scan(lambda: condition() or self.now() >= end_s or self._started().ended(RUN))
        if not condition():
            state = self.run.state if self.run else "not begun"
            raise WaitTimeoutError(f"not so until {self.now():g} s; the run is {state}")

    def finish(self, *, within_h: float = LONGEST_H) -> str:
        """Let time pass until the run is over and everything is cold; how it ended, e.g. "COMPLETE"."""
        self.until(lambda: self._started().ended(RUN), within_h=within_h)
        assert self.run is not None
        return str(self.run.end_state)

    def ask(self, verb: str, **args: Any) -> None:
        """Ask for something as a person would: "stop", "pause", "resume", "abort"; acted on in the next scan."""
        now = self.now()
        utc_ms = self._started().clock.utc_ms(now)
        key = f"{RUN}/{verb}/{now:g}"
        self._record.ask(verb, args, actor="test", run=RUN, key=key, utc_ms=utc_ms)
        self._started().controller.hurry()

    def now(self) -> float:
        """Seconds of bench time since the start."""
        return self._started().clock.now()

    @property
    def run(self) -> RunState | None:
        """The run as the controller sees it: `state`, `reason`, `end_state`; None before the first scan."""
        return self._started().controller.state.runs.get(RUN)

    @property
    def events(self) -> list[Event]:
        """The journal so far."""
        return self._record.events

    def value(self, signal: str) -> float | None:
        """The newest value of "instrument.signal" in its unit, None when it is not good or not read yet.

        Raises UsageError naming the nearest signal for one that the bench does not have.
        """
        signals = [f"{instrument}.{name}" for instrument, name, _ in self._record.channels]
        reading = self._started().controller.image.get(signal)
        if signal not in signals:
            raise UsageError(f"this bench has no signal {signal!r} ({nearest(signal, signals)})")
        return reading.value if reading is not None and reading.quality is GOOD else None

    @property
    def twin(self) -> Twin:
        """The plant that the instruments are wired to. Raises UsageError before `start`."""
        return self._started().twin

    def close(self) -> None:
        """Take the instruments away; closing twice is fine."""
        if self._rehearsal is not None:
            self._rehearsal.__exit__(None, None, None)

    def _planned(self, protocol: str | Path, parameters: Mapping[str, str]) -> Plan:
        if "\n" in str(protocol):
            plan, findings = check_text(str(protocol), "protocol", parameters, self.description)
        else:
            here = Path(protocol)
            wanted = here.absolute() if here.is_file() else protocol
            plan, findings = check(wanted, parameters, self.description, self._folder)
        if plan is None:
            raise ValidationError(findings)
        return plan

    def _scan(self, over: Callable[[], bool]) -> None:
        self._started().controller.run(over)

    def _started(self) -> Rehearsal:
        if self._rehearsal is None:
            raise UsageError("nothing runs on this bench yet; begin with bench.start(PROTOCOL)")
        return self._rehearsal


class PlantInTest:
    """What only a simulated bench can tell, and what only there may go wrong. Usable once a protocol was started."""

    def __init__(self, bench: BenchInTest) -> None:
        self._bench = bench

    def truth(self) -> dict[str, Any]:
        """What is really the case, whatever the instruments show; see `labctl_simulators.twin.Twin.truth`."""
        truth: dict[str, Any] = self._bench.twin.truth()
        return truth

    @property
    def faults(self) -> Faults:
        """The faults of the plant: `add`, `clear`, `report`."""
        return self._bench.twin.faults
