"""The observer: sees plant truth, wire bytes and what labctl says of itself, and remembers just enough to judge.

It imports neither engine nor drivers; its numbers are its own, taken from the safety contract.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from labctl.chaos.judge.told import (
    ANY,
    DEAF,
    HOT_C,
    LONGEST_S,
    MATTER,
    MUTE,
    Acting,
    Bounds,
    Said,
    Sample,
    Seen,
    Violation,
)
from labctl.chaos.judge.wire import Asked

EachSecond = Mapping[str, Callable[["Observer", Sample], str | None]]
OnBytes = Mapping[str, Callable[["Observer", str, Asked, float], str | None]]
OnWord = Mapping[str, Callable[["Observer", Said], str | None]]
OnTelemetry = Mapping[str, Callable[["Observer", Seen], str | None]]
AtEnd = Mapping[str, Callable[["Observer"], str | None]]


class Invariants(NamedTuple):
    """By name; each returns what is wrong, or None."""

    each_second: EachSecond
    on_bytes: OnBytes
    on_word: OnWord
    on_telemetry: OnTelemetry
    at_end: AtEnd


@dataclass(slots=True)
class Observer:
    """Told everything in the order in which it happens, it remembers what invariants read, and asks them.

    By `requested`, `asked`, `said`, `read` and, at the end of each second, `lived`.
    now: the newest sample. flow_sccm: last asked for on the wire. heating: by role, the highest setpoint asked for on
    the wire since the heater was last asked to be off. unsure: roles that were last asked to heat while they may not
    have heard. off_s: by role, when it was last asked to be off. contactor_s, bypass_s: when the one was last asked to
    open, and the other.
    ours: chambers that labctl heats, or has not seen cold since.
    leases: by role, what the journal allows; lapsed: what it last allowed, until when. latched: guards that have
    tripped, by chamber. states: of runs. taken: by run, the chambers that it took. ended: end states.
    washed_cm3: true volume since the last interruption. soaked_s: seconds that the sample really spent at each soak of
    this run.
    counted_s: by (role, target, band), seconds for which telemetry shows it there since its step began.
    safe_s: when the hot tube was last begun to be made safe; opens_s: when a trip began that opens the contactor;
    ramp_from_c: how hot the tube was when its controlled ramp down began; coolest_c, cooler_s: where that is, and when
    it last got on;
    ended_s: when a run of the furnace ended; blocked_s: when the exhaust was last blocked.
    deaf_now, deaf_s: roles whose wire or self is disturbed, and when it last was; restarted_s: when it last had
    no power.
    blind: by (role, signal), since when nobody can know it. outcomes: by request, how many it has.
    waiting: what runs say they wait for. attended: there are people.
    """

    bounds: Bounds
    invariants: Invariants

    now: Sample | None = None
    flow_sccm: float = 0.0
    heating: dict[str, float] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    off_s: dict[str, float] = field(default_factory=dict)
    contactor_s: float = -math.inf
    bypass_s: float = -math.inf
    asked_flows: list[tuple[float, float]] = field(default_factory=list)
    ours: set[str] = field(default_factory=set)
    leases: dict[str, float] = field(default_factory=dict)
    lapsed: dict[str, tuple[float, float]] = field(default_factory=dict)
    latched: dict[str, set[str]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    taken: dict[str, set[str]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    washed_cm3: float = 0.0
    soaked_s: Counter[tuple[float, float]] = field(default_factory=Counter)
    counted_s: dict[tuple[str, float, float], float] = field(default_factory=dict)
    safe_s: float | None = None
    opens_s: float | None = None
    ramp_from_c: float | None = None
    coolest_c: float = math.inf
    cooler_s: float = -math.inf
    ended_s: float | None = None
    blocked_s: float = -math.inf
    deaf_now: frozenset[str] = frozenset()
    deaf_s: dict[str, float] = field(default_factory=dict)
    restarted_s: dict[str, float] = field(default_factory=dict)
    blind: dict[tuple[str, str], float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    spoken_s: float = 0.0
    waiting: dict[str, str] = field(default_factory=dict)
    attended: bool = True
    liveness_s: float | None = None
    checks: int = 0
    violations: list[Violation] = field(default_factory=list)
    _since: dict[str, float] = field(default_factory=dict)
    _read_s: dict[str, float] = field(default_factory=dict)
    _acting: Acting = frozenset()
    _dry_s: float = 0.0
    _broken: set[str] = field(default_factory=set)

    # -- what happens ------------------------------------------------------------------------------

    def requested(self, request: str, t_s: float) -> None:
        """Somebody put a request into the inbox."""
        self.requests.setdefault(request, t_s)

    def asked(self, instrument: str, requests: list[Asked], t_s: float) -> None:
        """Bytes went out that ask an instrument for this."""
        role = self.bounds.names[instrument]
        for request in requests:
            for name, judge in self.invariants.on_bytes.items():
                self._judge(name, judge(self, role, request, t_s), t_s)
            self._remember(role, request, t_s)

    def said(self, word: Said) -> None:
        """Labctl wrote a row into its journal."""
        for name, judge in self.invariants.on_word.items():
            self._judge(name, judge(self, word), word.t_s)
        self.spoken_s = word.t_s
        _FACTS.get(word.kind, _nothing)(self, word)

    def read(self, seen: Seen) -> None:
        """Telemetry has a new row; this is what it says of one signal. Only what is looked for need be told."""
        for name, judge in self.invariants.on_telemetry.items():
            self._judge(name, judge(self, seen), seen.t_s)
        if seen.signal != "temperature" or seen.value is None or not seen.good:
            return
        before = self._read_s.get(seen.role)
        self._read_s[seen.role] = seen.t_s
        if before is not None and seen.t_s - before <= LONGEST_S:
            for soak in self.counted_s:
                role, target, band_k = soak
                if role == seen.role and abs(seen.value - target) <= band_k:
                    self.counted_s[soak] += seen.t_s - before

    def lived(self, sample: Sample) -> None:
        """One second of the plant is over."""
        self.now = sample
        acting = sample.acting
        if acting or self._acting:
            self._disturbed(sample)
        if sample.flow_sccm < 0.5 * self.bounds.protective_sccm:
            self._dry_s += 1.0
        else:
            self._dry_s = 0.0
        if self._dry_s > 10.0 or sample.oxygen_ppm > 50_000.0:
            self.washed_cm3 = 0.0
        else:
            self.washed_cm3 += sample.flow_sccm / 60.0
        for target, band, _ in self.bounds.soaks:
            if -band <= sample.sample_c - target <= band:
                self.soaked_s[target, band] += 1
        if self.ramp_from_c is not None and sample.tube_c < self.coolest_c - 0.5:
            self.coolest_c, self.cooler_s = sample.tube_c, sample.t_s
        each = self.invariants.each_second
        self.checks += len(each)
        for name, judge in each.items():
            found = judge(self, sample)
            if found is not None:
                self._accuse(name, found, sample.t_s)

    def over(self) -> None:
        """Nothing happens any more."""
        for name, judge in self.invariants.at_end.items():
            self._judge(name, judge(self), self.now.t_s if self.now else 0.0)

    # -- what invariants ask -----------------------------------------------------------------------

    def lasting(self, key: str, condition: bool) -> float:
        """For how many seconds `condition` has held without a break."""
        if not condition:
            self._since.pop(key, None)
            return 0.0
        assert self.now is not None
        return self.now.t_s - self._since.setdefault(key, self.now.t_s)

    def is_lasting(self, key: str) -> bool:
        """Whether that held in the second before."""
        return key in self._since

    def deaf(self, role: str) -> bool:
        """Whether what is asked of an instrument may not reach it, or not be carried out."""
        return role in self.deaf_now

    def heard(self, role: str, since_s: float) -> bool:
        """Whether an instrument was undisturbed from shortly before that moment on."""
        return self.deaf_s.get(role, -math.inf) < since_s

    def acts(self, role: str, kind: str) -> bool:
        """Whether this fault acts now."""
        return (role, kind) in self._acting

    def accuse(self, name: str, what: str) -> None:
        """Something was wrong that the observer is told of."""
        self._judge(name, what, self.now.t_s if self.now else 0.0)

    def _judge(self, name: str, found: str | None, t_s: float) -> None:
        self.checks += 1
        if found is not None:
            self._accuse(name, found, t_s)

    def _accuse(self, name: str, found: str, t_s: float) -> None:
        if name not in self._broken:
            self._broken.add(name)
            self.violations.append(Violation(name, t_s, found))

    def _disturbed(self, sample: Sample) -> None:
        """Take in which faults act."""
        acting = sample.acting
        if acting is not self._acting and acting != self._acting:
            self._acting = acting
            self.deaf_now = frozenset(role for role, kind in acting if kind in DEAF)
            dark = {(role, ANY) for role, kind in acting if kind in MUTE}
            dark |= {(role, BROKEN[role, kind]) for role, kind in acting if (role, kind) in BROKEN}
            self.blind = {one: self.blind.get(one, sample.t_s) for one in dark}
        for role, kind in acting:
            if kind == "power":
                self.restarted_s[role] = sample.t_s
            if kind not in MATTER:
                self.deaf_s[role] = sample.t_s
            elif kind == "exhaust_blocked":
                self.blocked_s = sample.t_s

    def _remember(self, role: str, request: Asked, t_s: float) -> None:
        if request.what in ("contactor", "bypass"):
            if request.what == "contactor" and not request.value:
                self.contactor_s = t_s
            elif request.what == "bypass" and request.value:
                self.bypass_s = t_s
            return
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


BROKEN: Mapping[tuple[str, str], str] = {
    ("furnace", "sensor_open"): "temperature",
    ("oven", "sensor_open"): "temperature",
    ("analyser", "cell_failed"): "oxygen",
}
"""Faults by which a signal cannot be known: the instrument itself says so."""

OPENS_CONTACTOR = frozenset({"over_temperature", "stuck_heater", "limiter", "estop_contact"})
"""Trips after which the heater's own controller is not trusted (safety contract, sections 1 and 2)."""


def _intent(o: Observer, word: Said) -> None:
    role, verb, args = o.bounds.names[word.data["instrument"]], word.data["verb"], word.data["args"]
    if role in o.leases and verb != "set_flow":
        o.lapsed[role] = (o.leases[role], word.t_s)
    match verb:
        case "heat":
            o.ours.add(word.data["chamber"])
            o.leases[role] = args["target_c"]
        case "source":
            o.leases[role] = args["voltage_v"]
        case "stir":
            o.leases[role] = args["speed_rpm"]
        case "set_output" if args["name"] == "contactor" and args["on"]:
            o.leases[role] = 1.0
        case "set_output" if args["name"] == "contactor":
            o.leases.pop(role, None)
        case "heat_off" | "open_circuit" | "stir_off" if role != "stirrer" or verb == "stir_off":
            o.leases.pop(role, None)


def _tripped(o: Observer, word: Said) -> None:
    chamber = word.data["chamber"]
    if word.data["latched"]:
        o.latched.setdefault(chamber, set()).add(word.data["guard"])
        if chamber == o.bounds.tube and word.data["guard"] in OPENS_CONTACTOR:
            o.opens_s = word.t_s


def _trips_reset(o: Observer, word: Said) -> None:
    o.latched.pop(word.data["chamber"], None)


def _state_changed(o: Observer, word: Said) -> None:
    o.states[word.data["run"]] = word.data["to"]


def _chamber_taken(o: Observer, word: Said) -> None:
    if word.data["chamber"] == o.bounds.tube:
        o.soaked_s.clear()
    o.taken.setdefault(word.data["run"], set()).add(word.data["chamber"])


def _step_started(o: Observer, word: Said) -> None:
    o.waiting.pop(word.stream, None)
    soak = o.bounds.steps.get(word.data["id"])
    if soak is not None:
        for target in soak.targets_c:
            o.counted_s[soak.role, target, soak.band_k] = 0.0


def _chamber_cold(o: Observer, word: Said) -> None:
    o.ours.discard(word.data["chamber"])


def _run_ended(o: Observer, word: Said) -> None:
    o.ended[word.stream] = word.data["end_state"]
    if o.bounds.tube in o.taken.get(word.stream, ()):
        o.ended_s, o.ramp_from_c = word.t_s, None


def _safe_started(o: Observer, word: Said) -> None:
    if word.data["chamber"] != o.bounds.tube or o.now is None:
        return
    if "ramp_down" in word.data["items"]:
        o.ramp_from_c = o.coolest_c = o.now.tube_c
        return
    o.ramp_from_c = None
    if o.now.tube_c > HOT_C:
        o.safe_s = word.t_s


def _run_waits(o: Observer, word: Said) -> None:
    o.waiting[word.stream] = word.data["for"]


def _request(o: Observer, word: Said) -> None:
    o.outcomes[word.data["request"]] += 1


def _nothing(o: Observer, word: Said) -> None:
    pass


_FACTS: Mapping[str, Callable[[Observer, Said], None]] = {
    "intent": _intent,
    "tripped": _tripped,
    "trips_reset": _trips_reset,
    "state_changed": _state_changed,
    "chamber_taken": _chamber_taken,
    "chamber_cold": _chamber_cold,
    "custody_closed": _chamber_cold,
    "step_started": _step_started,
    "run_ended": _run_ended,
    "safe_started": _safe_started,
    "run_waits": _run_waits,
    "request": _request,
}
