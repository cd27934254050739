"""The controller's loop: image, decision, journal, commands; the one thread that decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from labctl.engine.context import Context
from labctl.engine.decide import Inputs, decide, instruments_in_use, period_s
from labctl.engine.state import BenchState, RunState
from labctl.model.commands import Request
from labctl.model.readings import GOOD, Image
from labctl.runtime.clock import BenchClock, VirtualClock, utc_now_ms, wall_s
from labctl.runtime.folder import ESTOP_SEEN
from labctl.runtime.instruments import POLL_S, Instruments, Sample
from labctl.runtime.record import Record, Scanned
from labctl.store import NOT_READ

TRIES = ("intent", "result", "alarm")
"""Events that only say that something was tried or told once more."""

Operator = Callable[[RunState], list[tuple[str, dict[str, object]]]]
"""Answers the prompts of a run on a simulated bench: (idempotency key, arguments of an "answer")."""


class _Places(NamedTuple):
    """Where the readings of a set of instruments go.

    keys: in the image. spread: a scan's values, and one more for what is not read, to all channels. good: the
    qualities of all channels when each of these readings is good.
    """

    keys: tuple[str, ...]
    spread: Callable[[Sequence[Any]], tuple[Any, ...]]
    good: bytes


class Controller:
    """One bench, one controller. `scan` once, or `run` until nothing is left to watch."""

    def __init__(
        self,
        context: Context,
        state: BenchState,
        instruments: Instruments,
        clock: BenchClock,
        record: Record,
        *,
        operator: Operator | None = None,
        estop: Path | None = None,
        on_estop: Callable[[], None] | None = None,
        on_request: Callable[[Request], Request] | None = None,
        recovered: bool = False,
    ) -> None:
        """Begin at `state`.

        estop: the file that, when it exists, stops everything; `on_estop` acknowledges it once acted on, and anew
        whenever that word is missing beside the file: whoever presses again takes it away first, and kills who does
        not give it.
        on_request: looks at a request before it is decided. recovered: `state` is what another controller left.
        """
        self.context = context
        self.state = state
        self.instruments = instruments
        self.clock = clock
        self.record = record
        self.image: Image = {}
        self.next_s = clock.now()
        self.scans = 0
        self._operator = operator
        self._estop = estop
        self._on_estop = on_estop
        self.on_request = on_request
        self._estopped = False
        self._recovered = recovered
        self.refusal: str | None = None
        self.changed_s = clock.now()
        self._pressed = False
        self._last_s: float | None = None
        self._polled_s = float("-inf")
        self._asked = True
        self._stops: list[tuple[str, str, str, str]] = []
        self._watched: tuple[object, object] | None = None
        self._names: tuple[str, ...] = ()
        self._period_s = 0.0
        self._lay_out()

    def _lay_out(self) -> None:
        """Fix the order of telemetry channels: every signal of every instrument."""
        channels: list[tuple[str, str, str]] = []
        self._positions: dict[str, range] = {}
        for name, connection in self.instruments.connections.items():
            signals = connection.driver.signals
            connection.keys = tuple(f"{name}.{s.name}" for s in signals)
            self._positions[name] = range(len(channels), len(channels) + len(signals))
            channels.extend((name, s.name, s.unit) for s in signals)
        self._no_ages = (0,) * len(channels)
        self._places: dict[tuple[str, ...], _Places] = {}
        self.record.layout(channels)

    # -- one scan --------------------------------------------------------------------------------

    def scan(self) -> None:
        """Read, decide, keep, command; then `next_s` says when the next one is due."""
        now = self.clock.now()
        self._watch()
        deadline = wall_s() + 0.8 * self._period_s / (self.clock.speed or 1.0)
        samples = self.instruments.read(self._names, now, deadline, self._is_pressed)
        scanned = self._take_in(samples, now) if samples else None
        requests: list[Request] = []
        if self._asked:
            requests = [self.learn(request) for request in self.record.requests(utc_now_ms())]
        self._asked = False
        dt = 0.0 if self._last_s is None else now - self._last_s
        results = self.instruments.results()
        inputs = Inputs(now, dt, self.image, results, requests, self._estopped, self._recovered)
        self._recovered = False
        decision = decide(self.context, self.state, inputs)
        self.state = decision.state
        self._last_s = now
        if decision.events and any(event.kind not in TRIES for event in decision.events):
            self.changed_s = now
        for _, outcome, accepted in decision.settled:
            if not accepted:
                self.refusal = outcome
        self.record.keep(decision.state, scanned, decision.events, decision.settled)
        if decision.commands:
            self.instruments.execute(decision.commands)
        if self._pressed and self._on_estop is not None:
            self._on_estop()
        self._pressed = False
        if self._operator is not None and decision.events:
            self._let_operator_answer(now)
        self._watch()
        self.scans += 1
        # counted from when the scan was due, not from when the machine woke up, or a second lasts longer than one
        due = self.next_s if 0.0 <= now - self.next_s < self._period_s else now
        self.next_s = max(due + self._period_s, self.instruments.end_s(now))

    def _take_in(self, samples: list[Sample], now: float) -> Scanned:
        """Bring the image up to date; the telemetry of this scan."""
        names, parts = zip(*samples, strict=True)
        keys, spread, good = self._places.get(names) or self._places_of(names)
        readings = tuple(chain.from_iterable(parts))
        self.image.update(zip(keys, readings, strict=True))
        values, _, qualities, sampled = zip(*readings, strict=True)
        ages = self._no_ages
        if min(sampled) < now:
            ages = spread((*(max(0, int((now - t_s) * 1000.0)) for t_s in sampled), 0))
        found = bytes(spread((*qualities, NOT_READ))) if any(qualities) else good
        return now, spread((*values, None)), found, ages

    def _places_of(self, names: tuple[str, ...]) -> _Places:
        """Work out once for each set of instruments where its readings go."""
        keys = [key for name in names for key in self.instruments.connections[name].keys]
        read = [position for name in names for position in self._positions[name]]
        # a channel that is not read takes what stands after the last reading
        source = dict(zip(read, range(len(read)), strict=True))
        order = [source.get(position, len(read)) for position in range(len(self._no_ages))]
        spread = itemgetter(*order) if len(order) > 1 else lambda values: (values[order[0]],)
        good = bytes(spread((*(GOOD for _ in read), NOT_READ)))
        self._places[names] = _Places(tuple(keys), spread, good)
        return self._places[names]

    def learn(self, request: Request) -> Request:
        """Look at a request before it is decided: the plan that it may bring is read there."""
        return request if self.on_request is None else self.on_request(request)

    def _watch(self) -> None:
        """What to read and how often; worked out anew only when runs or chambers changed."""
        watched = (self.state.runs, self.state.chambers)
        if self._watched is None or watched[0] is not self._watched[0] or watched[1] is not self._watched[1]:
            self._watched = watched
            self._names = instruments_in_use(self.context, self.state)
            self._period_s = period_s(self.context, self.state)

    def _let_operator_answer(self, now: float) -> None:
        assert self._operator is not None
        for run in self.state.runs.values():
            if run.prompts and run.state == "RUNNING":
                for key, args in self._operator(run):
                    utc = self.clock.utc_ms(now)
                    self.record.ask(
                        "answer", args, actor="simulated operator", run=run.run_id, key=key, utc_ms=utc
                    )
                    self._asked = True

    # -- the loop --------------------------------------------------------------------------------

    def run(self, until: Callable[[], bool]) -> None:
        """Scan until `until` says so; a request or the e-stop starts a scan at once."""
        while not until():
            self._wait()
            self.scan()
        self.record.finish(self.state)

    def busy(self) -> bool:
        """Whether a run is under way, or a chamber is not safe and cold yet: a controller does not leave then."""
        runs = any(r.end_state is None and r.started_s is not None for r in self.state.runs.values())
        return runs or any(c.safe or c.custody or c.energised for c in self.state.chambers.values())

    def hurry(self) -> None:
        """Look at the inbox in the next scan, however lately it was looked at by the wall's clock."""
        self._asked = True

    def stop_soon(self, run_id: str, *, actor: str, reason: str, key: str) -> None:
        """Have a run asked to stop at the next look at the inbox. Safe in a signal handler, whatever it interrupts."""
        self._stops.append((run_id, actor, reason, key))

    def poll(self) -> bool:
        """Look at the inbox and the e-stop if it is time to; whether either asks for a scan at once."""
        while self._stops:
            run_id, actor, reason, key = self._stops.pop(0)
            utc = self.clock.utc_ms(self.clock.now())
            self.record.ask("stop", {"reason": reason}, actor=actor, run=run_id, key=key, utc_ms=utc)
            self._asked = True
        if wall_s() - self._polled_s < POLL_S:
            return self._asked
        self._polled_s = wall_s()
        if self._estop is not None:
            before, self._estopped = self._estopped, self._estop.exists()
            acknowledged = before and not self._pressed and self._estop.with_name(ESTOP_SEEN).exists()
            self._pressed = self._estopped and not acknowledged
            if self._pressed:
                return True
        if self.record.asked():
            self._asked = True
        return self._asked

    def _is_pressed(self) -> bool:
        """Whether the e-stop waits to be acted on: it does not wait for an instrument that does not answer."""
        self.poll()
        return self._pressed

    def _wait(self) -> None:
        """Until the next scan is due, or somebody asks."""
        clock = self.clock
        if isinstance(clock, VirtualClock):
            if clock.speed is None:
                self.poll()
            else:
                while (rest := clock.wall_until(self.next_s)) > 0.0:
                    if self.poll():
                        clock.wait_until(clock.paced_now())
                        return
                    nap_s = min(rest, POLL_S)
                    clock.nap(nap_s)
                self.poll()
            clock.wait_until(self.next_s)
            return
        if clock.now() >= self.next_s:
            self.poll()  # where every scan takes longer than its period there is never time left to look
        while clock.now() < self.next_s and not self.poll():
            # however long looking took, the scan is due when it is due
            clock.wait_until(min(self.next_s, clock.now() + POLL_S))
