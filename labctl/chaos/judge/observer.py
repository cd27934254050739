"""The observer: sees plant truth, wire bytes and what labctl says of itself, and remembers just enough to judge.

It imports neither engine nor drivers; its numbers are its own, taken from the safety contract.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from labctl.chaos.judge.wire import Asked

DEAF = (
    "drop", "refuse", "disconnect", "corrupt", "wrong_unit", "exception", "busy", "local_lock", "setpoints_ignored",
    "valve_hold", "power", "delay", "question_mark", "eeprom_worn", "swapped",
)  # fmt: skip
"""Faults under which an instrument may not hear, or not do, what it is asked."""


MATTER = ("supply_lost", "exhaust_blocked", "leak", "cracked_tube", "opened", "heater_failed", "wrong_gas")
"""Faults of matter: whatever they do, an instrument hears what it is asked and does it."""

HOT_C = 105.0
"""Above it the tube needs gas: T_gas_off of the safety contract, and what thermometers may be off by."""


class Sample(NamedTuple):
    """What is really the case in one second. Powers in W, temperatures in degC, flow in sccm, oxygen in ppm.

    acting: (role, kind) of the faults that act now.
    """

    t_s: float
    heater_w: float
    tube_c: float
    sample_c: float
    flow_sccm: float
    oxygen_ppm: float
    oven_w: float
    oven_c: float
    cell_v: float
    cell_a: float
    acting: frozenset[tuple[str, str]] = frozenset()


class Said(NamedTuple):
    """One row of labctl's journal. stream: "bench", or the run that it is about."""

    t_s: float
    stream: str
    kind: str
    data: Mapping[str, Any]


class Violation(NamedTuple):
    """Something that must never happen did."""

    invariant: str
    t_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What protocol and bench allow, as plain numbers.

    target_c, ramp_k_per_min: by role. soaks: (target, band in K, hold in s) of each inert soak. names: role of each
    instrument. tube: name of the chamber. contactor: labctl can interrupt the furnace's power by an I/O module.
    """

    names: Mapping[str, str]
    target_c: Mapping[str, float]
    ramp_k_per_min: Mapping[str, float]
    soaks: tuple[tuple[float, float, float], ...]
    protective_sccm: float
    volume_cm3: float
    tube: str = "tube"
    contactor: bool = False


@dataclass(slots=True)
class Observer:
    """Told everything in the order in which it happens: `asked`, `said` and, at the end of each second, `lived`.

    each_second, on_bytes, on_word, at_end: the invariants, by name; each returns what is wrong, or None. They read:

    now: the newest sample. flow_sccm: last asked for on the wire. heating: by role, the highest setpoint asked for on
    the wire since the heater was last asked to be off. off_s: by role, when that was last asked.
    leases: by role, what the journal allows; lapsed: what it last allowed, until when. latched: guards that have
    tripped, by chamber. states: of runs. washed_cm3: true volume since the last interruption.
    soaked_s: seconds that the sample really spent at each soak, by (target, band). safe_s: when the hot tube was last
    begun to be made safe; ended_s: when a run ended; blocked_s: when
    the exhaust was last blocked. deaf_s: by role, when its wire or itself was last
    disturbed. past: faults so far.
    unsure: roles that were last asked to heat while they may not have heard.
    """

    bounds: Bounds
    each_second: Mapping[str, Callable[[Observer], str | None]]
    on_bytes: Mapping[str, Callable[[Observer, str, Asked, float], str | None]]
    on_word: Mapping[str, Callable[[Observer, Said], str | None]]
    at_end: Mapping[str, Callable[[Observer], str | None]]

    now: Sample | None = None
    flow_sccm: float = 0.0
    heating: dict[str, float] = field(default_factory=dict)
    off_s: dict[str, float] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)
    lapsed: dict[str, tuple[float, float]] = field(default_factory=dict)
    latched: dict[str, set[str]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    washed_cm3: float = 0.0
    soaked_s: Counter[tuple[float, float]] = field(default_factory=Counter)
    unsure: set[str] = field(default_factory=set)
    past: set[tuple[str, str]] = field(default_factory=set)
    spoken_s: float = 0.0
    liveness_s: float | None = None
    checks: int = 0
    violations: list[Violation] = field(default_factory=list)
    asked_flows: list[tuple[float, float]] = field(default_factory=list)
    safe_s: float | None = None
    ended_s: float | None = None
    blocked_s: float = -math.inf
    deaf_s: dict[str, float] = field(default_factory=dict)
    words: list[Said] = field(default_factory=list)
    _since: dict[str, float] = field(default_factory=dict)
    _dry_s: float = 0.0
    _broken: set[str] = field(default_factory=set)

    # -- what happens ------------------------------------------------------------------------------

    def asked(self, instrument: str, requests: list[Asked], t_s: float) -> None:
        """Bytes went out that ask an instrument for this."""
        role = self.bounds.names[instrument]
        for request in requests:
            for name, judge in self.on_bytes.items():
                self._judge(name, judge(self, role, request, t_s), t_s)
            self._remember(role, request, t_s)

    def said(self, word: Said) -> None:
        """Labctl wrote a row into its journal."""
        for name, judge in self.on_word.items():
            self._judge(name, judge(self, word), word.t_s)
        self.spoken_s = word.t_s
        self.words.append(word)
        _FACTS.get(word.kind, _nothing)(self, word)

    def lived(self, sample: Sample) -> None:
        """One second of the plant is over."""
        self.now = sample
        self.past |= sample.acting
        if sample.acting:
            if ("gas", "exhaust_blocked") in sample.acting:
                self.blocked_s = sample.t_s
            self.deaf_s.update({role: sample.t_s for role, kind in sample.acting if kind not in MATTER})
        if sample.flow_sccm < 0.5 * self.bounds.protective_sccm:
            self._dry_s += 1.0
        else:
            self._dry_s = 0.0
        if self._dry_s > 10.0 or sample.oxygen_ppm > 50_000.0:
            self.washed_cm3 = 0.0
        else:
            self.washed_cm3 += sample.flow_sccm / 60.0
        for target, band, _ in self.bounds.soaks:
            if abs(sample.sample_c - target) <= band:
                self.soaked_s[target, band] += 1
        for name, judge in self.each_second.items():
            self._judge(name, judge(self), sample.t_s)

    def over(self) -> None:
        """Nothing happens any more."""
        for name, judge in self.at_end.items():
            self._judge(name, judge(self), self.now.t_s if self.now else 0.0)

    # -- what invariants ask -----------------------------------------------------------------------

    def lasting(self, key: str, condition: bool) -> float:
        """For how many seconds `condition` has held without a break."""
        assert self.now is not None
        if not condition:
            self._since.pop(key, None)
            return 0.0
        return self.now.t_s - self._since.setdefault(key, self.now.t_s)

    def is_lasting(self, key: str) -> bool:
        """Whether that held in the second before."""
        return key in self._since

    def deaf(self, role: str) -> bool:
        """Whether what is asked of an instrument may not reach it, or not be carried out."""
        return self.acts(role, *DEAF)

    def acts(self, role: str, *kinds: str) -> bool:
        """Whether one of these faults acts now."""
        return self.now is not None and any((role, kind) in self.now.acting for kind in kinds)

    def accuse(self, name: str, what: str) -> None:
        """Something was wrong that the observer is told of."""
        self._judge(name, what, self.now.t_s if self.now else 0.0)

    def _judge(self, name: str, found: str | None, t_s: float) -> None:
        self.checks += 1
        if found is not None and name not in self._broken:
            self._broken.add(name)
            self.violations.append(Violation(name, t_s, found))

    def _remember(self, role: str, request: Asked, t_s: float) -> None:
        if request.energises and self.deaf(role):
            self.unsure.add(role)
        elif request.energises:
            self.unsure.discard(role)
        match request.what:
            case "flow":
                self.flow_sccm = request.value
                self.asked_flows.append((t_s, request.value))
            case "setpoint" | "output" if request.energises:
                level = request.value if request.what == "setpoint" else self.heating.get(role, 0.0)
                self.heating[role] = max(level, self.heating.get(role, 0.0))
            case "setpoint" | "output" | "manual" | "off":
                self.heating.pop(role, None)
                self.off_s[role] = t_s


def _intent(o: Observer, word: Said) -> None:
    role = o.bounds.names[word.data["instrument"]]
    if role in o.leases and word.data["verb"] != "set_flow":
        o.lapsed[role] = (o.leases[role], word.t_s)
    match word.data["verb"]:
        case "heat":
            o.leases[role] = word.data["args"]["target_c"]
        case "source":
            o.leases[role] = word.data["args"]["voltage_v"]
        case "stir":
            o.leases[role] = word.data["args"]["speed_rpm"]
        case "heat_off" | "open_circuit" | "stir_off" if role != "stirrer" or word.data["verb"] == "stir_off":
            o.leases.pop(role, None)


def _tripped(o: Observer, word: Said) -> None:
    if word.data["latched"]:
        o.latched.setdefault(word.data["chamber"], set()).add(word.data["guard"])


def _trips_reset(o: Observer, word: Said) -> None:
    o.latched.pop(word.data["chamber"], None)


def _state_changed(o: Observer, word: Said) -> None:
    o.states[word.data["run"]] = word.data["to"]


def _run_ended(o: Observer, word: Said) -> None:
    o.ended[word.stream] = word.data["end_state"]
    o.ended_s = word.t_s


def _safe_started(o: Observer, word: Said) -> None:
    hot = o.now is not None and o.now.tube_c > HOT_C
    if word.data["chamber"] == o.bounds.tube and hot and "ramp_down" not in word.data["items"]:
        o.safe_s = word.t_s


def _nothing(o: Observer, word: Said) -> None:
    pass


_FACTS: Mapping[str, Callable[[Observer, Said], None]] = {
    "intent": _intent,
    "tripped": _tripped,
    "trips_reset": _trips_reset,
    "state_changed": _state_changed,
    "run_ended": _run_ended,
    "safe_started": _safe_started,
}
