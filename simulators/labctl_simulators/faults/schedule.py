"""The faults of one twin: what is scheduled, what acts now, and what each has done so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from labctl_simulators.faults.fault import Fault, Kind, Overlays, Target, Undo, nearest
from labctl_simulators.faults.kinds import KINDS
from labctl_simulators.physics.noise import channel, splitmix64

if TYPE_CHECKING:
    from labctl_simulators.twin import Twin

LOG_LENGTH = 10_000
"""Applications that are kept; all are counted."""


class Application(NamedTuple):
    """One thing that a fault did: when in plant time, which fault, and what."""

    t_s: float
    number: int
    what: str


@dataclass(slots=True)
class Entry:
    """A scheduled fault. state: "waits", "acts" or "over"."""

    number: int
    fault: Fault
    state: str = "waits"
    since_s: float | None = None
    hits: int = 0
    undo: Undo | None = None
    draws: int = 0

    @property
    def begins_s(self) -> float:
        """When one that waits will act, as far as is known: not while what it waits for has not happened."""
        if self.fault.when is None:
            return self.fault.at_s
        return inf if self.since_s is None else self.since_s + self.fault.at_s

    @property
    def until_s(self) -> float:
        """When one that acts is over."""
        return inf if self.fault.for_s is None or self.since_s is None else self.since_s + self.fault.for_s


@dataclass(slots=True)
class Faults:
    """Carries a schedule out on a twin. Hold the twin's lock while threads run.

    seed: of what is drawn (which byte, which request). The plant is asked each tick from the first fault on.
    """

    twin: Twin
    seed: int = 0
    entries: list[Entry] = field(default_factory=list)
    log: deque[Application] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))
    _overlays: Overlays = field(default_factory=Overlays)
    _each_tick: list[Callable[[float], None]] = field(default_factory=list)

    def schedule(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Add many. Raises ValueError for the first that cannot be, after adding none."""
        for fault in [self.check(data) for data in faults]:
            self._enter(fault)

    def add(self, data: Mapping[str, Any]) -> int:
        """Add one; it begins at once when its time has passed. Returns its number. Raises ValueError."""
        return self._enter(self.check(data))

    def check(self, data: Mapping[str, Any]) -> Fault:
        """The fault that `data` says. Raises ValueError when there is none such, or not here."""
        fault = Fault.of(data, KINDS)
        plant = self.twin.plant
        if fault.instrument not in plant.models:
            raise ValueError(
                f"there is no instrument {fault.instrument!r}{nearest(fault.instrument, plant.models)}"
            )
        model, kind = plant.models[fault.instrument], KINDS[fault.kind]
        if kind.devices is not None and model not in kind.devices:
            raise ValueError(
                f"{fault.instrument} ({model}) cannot have {fault.kind}: {', '.join(kind.devices)} can"
            )
        if fault.when is not None:
            try:
                fault.when.holds(self.twin.known())
            except (KeyError, TypeError):
                raise ValueError(f"the plant's truth has no number {fault.when.of!r}") from None
        return fault

    def clear(self, instrument: str | None = None, kind: str | None = None) -> int:
        """End faults, those that still wait too: all, or of an instrument, or of a kind. How many.

        Raises ValueError for an instrument or a kind that there is not.
        """
        models = self.twin.plant.models
        if instrument is not None and instrument not in models:
            raise ValueError(f"there is no instrument {instrument!r}{nearest(instrument, models)}")
        if kind is not None and kind not in KINDS:
            raise ValueError(f"there is no fault {kind!r}{nearest(kind, KINDS)}")
        ended = 0
        for entry in self.entries:
            wanted = instrument in (None, entry.fault.instrument) and kind in (None, entry.fault.kind)
            if wanted and entry.state != "over":
                self._end(entry)
                ended += 1
        return ended

    def tick(self, now_s: float) -> None:
        """Begin and end what is due. The plant's truth is gathered once, and only when a condition asks for it."""
        truth: dict[str, Any] = {}
        for entry in self.entries:
            if entry.state == "waits":
                if entry.fault.when is not None and entry.since_s is None and not truth:
                    truth = self.twin.known()
                if self._due(entry, now_s, truth):
                    self._begin(entry, now_s)
            elif entry.state == "acts" and now_s >= entry.until_s:
                self._end(entry)
        for do in tuple(self._each_tick):
            do(now_s)

    def report(self) -> list[dict[str, Any]]:
        """Every fault with its state and how often it did something."""
        return [
            {
                "number": entry.number,
                "instrument": entry.fault.instrument,
                "layer": KINDS[entry.fault.kind].layer,
                "kind": entry.fault.kind,
                "at_s": entry.fault.at_s,
                "for_s": entry.fault.for_s,
                "state": entry.state,
                "since_s": entry.since_s,
                "hits": entry.hits,
            }
            for entry in self.entries
        ]

    def applications(self) -> list[dict[str, Any]]:
        """What faults did, oldest first: `t` in s of plant time, the fault's number, and what in a few words."""
        return [{"t": t_s, "fault": number, "what": what} for t_s, number, what in self.log]

    def _enter(self, fault: Fault) -> int:
        if KINDS[fault.kind].layer == "host" and fault.instrument not in self.twin.links:
            raise ValueError(f"{fault.instrument} is on no host: {fault.kind} has nothing to cut")
        if not self.entries:
            self.twin.plant.after_each_tick(self.tick)
        entry = Entry(len(self.entries), fault)
        self.entries.append(entry)
        now_s = self.twin.plant.now()
        if fault.when is None and now_s >= fault.at_s:
            self._begin(entry, now_s)
        return entry.number

    def _due(self, entry: Entry, now_s: float, truth: Mapping[str, Any]) -> bool:
        when = entry.fault.when
        if when is not None and entry.since_s is None and when.holds(truth):
            entry.since_s = now_s
        return now_s >= entry.begins_s

    def _begin(self, entry: Entry, now_s: float) -> None:
        kind: Kind = KINDS[entry.fault.kind]
        entry.state, entry.since_s = "acts", now_s
        name = entry.fault.instrument
        source = channel(self.seed, f"fault {entry.number} {name} {entry.fault.kind}")

        def hit(what: str) -> None:
            entry.hits += 1
            self.log.append(Application(self.twin.plant.now(), entry.number, what))

        def draw(below: int) -> int:
            entry.draws += 1
            return splitmix64(source + entry.draws) % below

        device = self.twin.plant.devices[name]
        target = Target(
            self.twin, name, device, entry.fault, hit, draw, self._overlays.change, self._have_done
        )
        entry.undo = kind.begin(target)

    def _end(self, entry: Entry) -> None:
        undo, entry.undo = entry.undo, None
        entry.state = "over"
        if undo is not None:
            undo()

    def _have_done(self, do: Callable[[float], None]) -> Undo:
        self._each_tick.append(do)
        return lambda: self._each_tick.remove(do)
