"""One trial: a seed's plant, faults and people, the protocols of this package, and the observer's verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from labctl.chaos.judge.invariants import INVARIANTS
from labctl.chaos.judge.observer import Observer
from labctl.chaos.judge.told import Said, Sample, Seen, Violation
from labctl.chaos.judge.wire import Decoder
from labctl.chaos.people import People
from labctl.chaos.schedule import PERSON, between, schedule
from labctl.chaos.setting import Setting, plain
from labctl.engine.evolve import evolve, with_tally
from labctl.engine.state import BenchState, empty
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.model.readings import Quality
from labctl.runtime.clock import VirtualClock
from labctl.runtime.record import Channel, InMemory, Scanned
from labctl.store import NOT_READ
from labctl.store.chain import canonical_data, row_hash, sha256
from labctl.twin import Twin
from labctl_simulators.chambers import Tube
from labctl_simulators.faults import Fault
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.physics.oven import ConvectionOven

LIVENESS_S = 6 * 3600.0
"""What remains after the last fault: HELD for 2 h, a protocol of an hour, a cool-down, and as much again (assumed)."""

MORNING_S = 8100.0
"""And then somebody comes in any case: later than HELD ends by itself."""
SETTLED_S = 60.0
"""For so long after the last fault things go on in any case."""
CALM_S, CALM_SCAN_S = 15.0, 2.0
"""When no fault acts or is about to, and labctl had nothing to say for so long, it is scanned every other second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to. hits: by kind of fault; detections: by path; head: of the journal."""

    seed: int
    faults: tuple[dict[str, Any], ...]
    head: str
    virtual_s: float
    hits: Mapping[str, int]
    detections: Mapping[str, int]
    checks: int
    violations: tuple[Violation, ...]
    ends: tuple[str, ...]


class _Journal(InMemory):
    """Memory that tells the observer every row before a command goes out, and hashes as it goes.

    Of the telemetry it keeps nothing, and tells what soaks are credited by, and what nobody can know now.
    """

    def __init__(self, observer: Observer, clock: Callable[[], float]) -> None:
        super().__init__()
        self.observer = observer
        self.clock = clock
        self.head = sha256("chaos")
        self.seq = 0
        self.detections: Counter[str] = Counter()
        self.signals: tuple[tuple[int, str, str], ...] = ()
        self.thermometers: tuple[tuple[int, str, str], ...] = ()

    def layout(self, channels: Sequence[Channel]) -> None:
        """See Record."""
        super().layout(channels)
        names = self.observer.bounds.names
        self.signals = tuple((n, names[name], signal) for n, (name, signal, _) in enumerate(channels))
        heaters = {soak.role for soak in self.observer.bounds.steps.values()}
        self.thermometers = tuple(s for s in self.signals if s[1] in heaters and s[2] == "temperature")

    def ask(
        self, verb: str, args: dict[str, Any], *, actor: str, run: str | None, key: str, utc_ms: int
    ) -> None:
        """See Record."""
        self.observer.requested(key, self.clock())
        super().ask(verb, args, actor=actor, run=run, key=key, utc_ms=utc_ms)

    def keep(
        self, state: BenchState, scanned: Scanned | None, events: list[Event], settled: list[Any]
    ) -> None:
        """See Record."""
        if scanned is not None:
            self._tell_telemetry(scanned)
        for event in events:
            self.events.append(event)
            self.seq += 1
            utc_ms = round(event.t_s * 1000)
            self.head = row_hash(
                self.head, event.stream, self.seq, event.t_s, utc_ms, event.kind, canonical_data(event.data)
            )
            path = _detection(event)
            if path is not None:
                self.detections[path] += 1
            self.observer.said(Said(event.t_s, event.stream, event.kind, event.data))

    def _tell_telemetry(self, scanned: Scanned) -> None:
        now, values, qualities, ages = scanned
        for quality in _QUALITIES:
            if quality in qualities:
                self.detections[f"reading {Quality(quality).name.lower().replace('_', ' ')}"] += 1
        observer = self.observer
        for n, role, signal in self.signals if observer.blind else self.thermometers:
            if qualities[n] != NOT_READ:
                good = qualities[n] == Quality.GOOD
                observer.read(Seen(role, signal, values[n], good, now - ages[n] / 1000.0))


_QUALITIES = (Quality.NOT_READY, Quality.BAD, Quality.SILENT)


def _detection(event: Event) -> str | None:
    """By which path labctl noticed something, if this row says that it did."""
    data = event.data
    match event.kind:
        case "tripped":
            return f"guard {data['guard']}: {data['action']}"
        case "alarm" if data["active"]:
            return f"alarm {data['id'].rpartition('/')[2]}"
        case "result" if data["outcome"] != "ok":
            return f"command {data['outcome']}"
        case "result" if data["detail"].startswith("resolved"):
            return "command resolved by read-back"
        case "purge_voided":
            return "purge proof voided"
        case "request" if not data["accepted"]:
            return "request refused"
        case "state_changed" if data["trigger"] == "HOLD" and data["actor"] == "labctl":
            return "step cannot go on"
        case "state_changed" if data["trigger"] == "STOP" and data["actor"] == "labctl":
            return "held too long"
    return None


@dataclass(slots=True)
class _Eyes:
    """Reads the plant's truth once a second and hands it to the observer. stirred_s: when last a fault acted."""

    twin: Twin
    observer: Observer
    roles: Mapping[str, str]
    tube: Tube = field(init=False)
    oven: ConvectionOven = field(init=False)
    cell: HalfCell = field(init=False)
    acting: list[Fault] = field(default_factory=list)
    stirred_s: float = 0.0
    known: frozenset[tuple[str, str]] = frozenset()

    def __post_init__(self) -> None:
        chambers = self.twin.plant.chambers.values()
        self.tube = next(c for c in chambers if isinstance(c, Tube))
        self.oven = next(c for c in chambers if isinstance(c, ConvectionOven))
        self.cell = next(c for c in chambers if isinstance(c, HalfCell))
        self.twin.plant.after_each_tick(self.look)

    def look(self, now_s: float) -> None:
        furnace, tube, oven, cell = self.tube.furnace, self.tube, self.oven, self.cell
        # whichever of the two is asked first in a second
        acting = []
        for entry in self.twin.faults.entries:
            if entry.state == "acts" and now_s < entry.until_s:
                acting.append(entry.fault)
            elif entry.state == "waits" and entry.begins_s <= now_s + CALM_SCAN_S:
                self.stirred_s = now_s
        if acting:
            self.stirred_s = now_s
        if acting != self.acting:
            self.acting = acting
            self.known = frozenset((self.roles[fault.instrument], fault.kind) for fault in acting)
        services = tube.services
        self.observer.lived(
            Sample(
                now_s, furnace.heater_w, furnace.tube_c, furnace.sample_c, tube.flow_sccm,
                tube.atmosphere.oxygen_ppm, oven.heater_w, oven.air_c, cell.voltage_v, cell.current_a,
                services is None or services.coils["contactor"], self.known,
            )
        )  # fmt: skip

    def calm(self, now_s: float) -> bool:
        """Whether nothing has happened for a while, and nothing is about to."""
        return now_s - max(self.stirred_s, self.observer.spoken_s) > CALM_S


class _Tap:
    """A session whose requests the observer hears, as they leave labctl and before any fault."""

    __slots__ = ("decode", "instrument", "observer", "session")

    def __init__(self, session: Any, instrument: str, decode: Decoder, observer: Observer) -> None:
        self.session = session
        self.instrument = instrument
        self.decode = decode
        self.observer = observer

    def feed(self, data: bytes, now_s: float) -> Any:
        """As a session."""
        asked = self.decode(data)
        if asked:
            self.observer.asked(self.instrument, asked, now_s)
        return self.session.feed(data, now_s)


def faults_of(setting: Setting, seed: int) -> list[dict[str, Any]]:
    """The schedule of a seed on this setting."""
    return schedule(seed, setting.kinds, setting.roles)


def trial(
    setting: Setting,
    seed: int,
    faults: Sequence[Mapping[str, Any]] | None = None,
    *,
    stop_at: str | None = None,
) -> Outcome:
    """Carry out one seed, with its own schedule or with `faults`; no further than a violation of `stop_at`."""
    scheduled = faults_of(setting, seed) if faults is None else [dict(f) for f in faults]
    observer = Observer(setting.bounds, INVARIANTS)
    clock = VirtualClock()
    journal = _Journal(observer, clock.now)

    from_the_start = [f for f in scheduled if _is_there_at_first(f)]
    matter = [f for f in scheduled if f["instrument"] != PERSON and f not in from_the_start]

    def prepare(twin: Twin) -> None:
        for name, decode in setting.decoders.items():
            twin.sessions[name] = _Tap(twin.sessions[name], name, decode, observer)
        twin.faults.schedule(plain(f) for f in from_the_start)

    with Rehearsal(
        setting.bench,
        setting.entries,
        setting.plans[0],
        seed=seed,
        record=journal,
        clock=clock,
        prepare=prepare,
        also=setting.plans[1:],
    ) as rehearsal:
        twin, controller = rehearsal.twin, rehearsal.controller
        names = {name: role for role, name in setting.roles.items()}
        storms = [float(f["at_s"]) for f in scheduled if f["instrument"] == PERSON]

        def begin(run: str | None) -> None:
            """Let the faults of this run wait for their stages."""
            with twin.lock:
                twin.faults.schedule(plain(f) for f in matter if f.get("run") == run)

        people = People(controller, journal, seed, setting.plans, storms, setting.last_run_s, begin)
        observer.attended = not people.absent
        begin(None)
        eyes = _Eyes(twin, observer, names)
        if rehearsal.problems:
            journal.detections["audit refused"] += 1
            _put_right(rehearsal)
        elif from_the_start:
            observer.accuse("identity", "instruments in each other's place passed their audit")
        safety_s = between(seed, "safety phase", *setting.safety_s)

        def over() -> bool:
            """Faults act until their time is over, or all work is done; then everything must come to rest."""
            now = controller.clock.now()
            if eyes.calm(now):
                controller.next_s = max(controller.next_s, now + CALM_SCAN_S)
            if any(violation.invariant == stop_at for violation in observer.violations):
                return True
            since = observer.liveness_s
            if since is not None:
                return now >= since + SETTLED_S and (
                    people.act(now, faults=False) or now > since + LIVENESS_S
                )
            if people.act(now, faults=True) or now >= safety_s:
                observer.liveness_s = now
                people.morning_s = now + MORNING_S
                with twin.lock:
                    twin.faults.clear()
            return False

        people.begin()
        controller.run(over)
        observer.over()
        folded = reduce(evolve, journal.events, empty(setting.bench.chambers))
        if with_tally(folded, controller.state.tally) != controller.state:
            observer.accuse("I8 fold", "the journal folded with the last tally is not the live state")
        hits: Counter[str] = Counter(people.hits)
        for entry in twin.faults.entries:
            if entry.hits:
                hits[_name_of(entry.fault.kind, entry.fault.instrument, scheduled, setting)] += 1
        return Outcome(
            seed,
            tuple(scheduled),
            journal.head,
            controller.clock.now(),
            hits,
            journal.detections,
            observer.checks,
            tuple(observer.violations),
            tuple(observer.ended.values()),
        )


def _is_there_at_first(fault: Mapping[str, Any]) -> bool:
    """Begins before labctl connects."""
    return not fault.get("at_s") and "when" not in fault and "run" not in fault and fault["kind"] == "swapped"


def _put_right(rehearsal: Rehearsal) -> None:
    """Somebody reads why the bench was refused, and puts the cables right; labctl connects again."""
    with rehearsal.twin.lock:
        rehearsal.twin.faults.clear(kind="swapped")
    rehearsal.controller.instruments.connect_all()


def _name_of(kind: str, instrument: str, scheduled: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    """What chaos calls a fault."""
    found = next(
        (f for f in scheduled if (f["kind"], f["instrument"]) == (kind, instrument) and "name" in f), None
    )
    return str(found["name"]) if found else kind
