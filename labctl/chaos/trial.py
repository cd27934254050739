"""One trial: a seed's plant, faults and people, the protocol of this package, and the observer's verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from labctl.bench.api import DriverEntry
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench, Chamber
from labctl.chaos.judge.invariants import AT_END, EACH_SECOND, ON_BYTES, ON_WORD
from labctl.chaos.judge.observer import Bounds, Observer, Said, Sample, Violation
from labctl.chaos.judge.wire import DECODERS, Decoder
from labctl.chaos.people import People
from labctl.chaos.schedule import KINDS, between, schedule
from labctl.engine.state import BenchState
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.model.readings import Quality
from labctl.protocol.plan import Heat, Plan
from labctl.protocol.validation import load_plan
from labctl.runtime.record import InMemory, Scanned
from labctl.store.chain import canonical_data, row_hash, sha256
from labctl.twin import Twin, check_faults, spec
from labctl_simulators.faults import KINDS as SIMULATED
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.physics.oven import ConvectionOven
from labctl_simulators.plant import Tube

HERE = Path(__file__).parent
BENCH_FILE, PROTOCOL_FILE = HERE / "bench.yaml", HERE / "protocol.yaml"

SAFETY_S = (4800.0, 6600.0)
"""How long faults may begin and act, drawn by seed: the protocol takes 5,000 s without any."""
LAST_RUN_S = 4500.0
"""After it nobody begins another run."""
LIVENESS_S = 6 * 3600.0
"""What remains after the last fault: HELD for 2 h, a protocol of an hour, a cool-down, and as much again (assumed)."""

PERSON = "person"
"""The role, and in a schedule the instrument, of who presses the buttons."""

ROLES = {
    "tube_furnace": "furnace",
    "thermometer": "monitor",
    "gas_flow": "gas",
    "oxygen": "analyser",
    "oven": "oven",
    "hotplate_stirrer": "stirrer",
    "cycler": "cycler",
    "io": "io",
}
"""What chaos calls an instrument, by its first capability."""


MATTER = tuple(
    field
    for field in Chamber.model_fields
    if field.startswith(("volume", "inner_diameter", "cooldown", "heating", "physics", "exhaust"))
)
"""What of a chamber describes matter, and not protection."""


@dataclass(frozen=True)
class Setting:
    """What all trials of a campaign share: a bench, its drivers, the plan. Made once in each process.

    safety_s: how long the safety phase takes, drawn in the range. last_run_s: after it no other run is begun.
    """

    bench: Bench
    entries: Mapping[str, DriverEntry]
    plan: Plan
    safety_s: tuple[float, float] = SAFETY_S
    last_run_s: float = LAST_RUN_S

    @classmethod
    def of(cls, bench: Path | None = None) -> Setting:
        """The setting of this package, or the protections of another bench on the matter of this package.

        A bench that lacks a required protection is taken here, and nowhere else: chaos shows what it was for.
        """
        entries = drivers()
        loaded = load_bench(BENCH_FILE, entries)
        if bench is not None:
            loaded = with_matter_of(load_bench(bench, entries, unprotected=True), loaded)
        return cls(loaded, entries, load_plan(PROTOCOL_FILE, {}, loaded)[0])

    def check(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Raises UsageError for the first fault that this setting cannot have."""
        matter = [plain(fault) for fault in faults if fault.get("instrument") != PERSON]
        check_faults(spec(self.bench, self.entries, self.plan), matter)

    def guards(self, known: Sequence[str]) -> tuple[str, ...]:
        """The guards that watch a chamber of this bench, in the order of `known`."""
        used = {guard.guard for chamber in self.bench.chambers.values() for guard in chamber.guards}
        return tuple(name for name in known if name in used)

    @cached_property
    def roles(self) -> dict[str, str]:
        """Instrument by role, and the person."""
        named = {ROLES[i.provides[0]]: name for name, i in self.bench.instruments.items()}
        return named | {PERSON: PERSON}

    @cached_property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """The kinds of faults that this bench can have, with the roles that can have them."""
        device = {
            role: self.entries[self.bench.instruments[name].driver].device
            for role, name in self.roles.items()
            if role != PERSON
        }

        def able(role: str, fault: str) -> bool:
            if role == PERSON:
                return True
            devices = SIMULATED[fault].devices
            return role in device and (devices is None or device[role] in devices)

        possible = {n: tuple(r for r in k.roles if able(r, k.fault)) for n, k in KINDS.items()}
        return {name: roles for name, roles in possible.items() if roles}

    @cached_property
    def decoders(self) -> dict[str, Decoder]:
        """By instrument, for those whose bytes the observer understands."""
        return {n: DECODERS[i.driver] for n, i in self.bench.instruments.items() if i.driver in DECODERS}

    @cached_property
    def bounds(self) -> Bounds:
        """What protocol and bench allow, as the observer's plain numbers."""
        names = {name: role for role, name in self.roles.items() if role != PERSON}
        heats = [step for step in self.plan.steps if isinstance(step, Heat)]
        targets: dict[str, float] = {}
        for step in heats:
            role = names[step.heater]
            targets[role] = max([targets.get(role, 0.0), *(s.target_c for s in step.segments)])
        ramps = {role: self.bench.instruments[name].limits.max_ramp_k_per_min for name, role in names.items()}
        tube = self.bench.chambers[self.bench.instruments[self.roles["furnace"]].chamber or ""]
        volume = tube.volume_cm3 or 0.0
        return Bounds(
            names,
            targets,
            {role: ramp for role, ramp in ramps.items() if ramp is not None},
            tuple(
                (s.target_c, step.band_k + 10.0, s.hold_s)
                for step in heats
                if step.atmosphere == "inert"
                for s in step.segments
            ),
            max(100.0, 0.05 * volume),
            volume,
            self.bench.instruments[self.roles["furnace"]].chamber or "",
            "contactor" in tube.io,
        )


def with_matter_of(bench: Bench, other: Bench) -> Bench:
    """A bench whose chambers have the masses, volumes and cool-down of another's of the same kind, to be as fast.

    Guards, limits of temperature, safe states and instruments stay its own; its furnace may ramp as fast as that
    of the other.
    """
    by_kind = {chamber.kind: chamber for chamber in other.chambers.values()}
    chambers = {
        name: chamber.model_copy(update={field: getattr(by_kind[chamber.kind], field) for field in MATTER})
        for name, chamber in bench.chambers.items()
    }
    furnace = next(i for i in other.instruments.values() if "tube_furnace" in i.provides)
    loop = {name: value for name, value in furnace.options.items() if name.startswith("sim_")}
    instruments = {
        name: instrument.model_copy(
            update={
                "options": {**instrument.options, **loop},
                "limits": instrument.limits.model_copy(
                    update={"max_ramp_k_per_min": furnace.limits.max_ramp_k_per_min}
                ),
            }
        )
        if "tube_furnace" in instrument.provides
        else instrument
        for name, instrument in bench.instruments.items()
    }
    return bench.model_copy(update={"chambers": chambers, "instruments": instruments})


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
    """Memory that tells the observer every row before a command goes out, and hashes as it goes."""

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self.observer = observer
        self.head = sha256("chaos")
        self.seq = 0
        self.detections: Counter[str] = Counter()

    def keep(
        self, state: BenchState, scanned: Scanned | None, events: list[Event], settled: list[Any]
    ) -> None:
        """See Record."""
        if scanned is not None:
            for quality in _QUALITIES:
                if quality in scanned[2]:
                    self.detections[f"reading {Quality(quality).name.lower().replace('_', ' ')}"] += 1
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
    """Reads the plant's truth once a second and hands it to the observer."""

    twin: Twin
    observer: Observer
    roles: Mapping[str, str]
    tube: Tube = field(init=False)
    oven: ConvectionOven = field(init=False)
    cell: HalfCell = field(init=False)

    def __post_init__(self) -> None:
        chambers = self.twin.plant.chambers.values()
        self.tube = next(c for c in chambers if isinstance(c, Tube))
        self.oven = next(c for c in chambers if isinstance(c, ConvectionOven))
        self.cell = next(c for c in chambers if isinstance(c, HalfCell))
        self.twin.plant.after_each_tick(self.look)

    def look(self, now_s: float) -> None:
        furnace, tube, oven, cell = self.tube.furnace, self.tube, self.oven, self.cell
        acting = frozenset(
            (self.roles[e.fault.instrument], e.fault.kind)
            for e in self.twin.faults.entries
            if e.state == "acts"
        )
        self.observer.lived(
            Sample(
                now_s, furnace.heater_w, furnace.tube_c, furnace.sample_c, tube.flow_sccm,
                tube.atmosphere.oxygen_ppm, oven.heater_w, oven.air_c, cell.voltage_v, cell.current_a, acting,
            )
        )  # fmt: skip


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


def trial(setting: Setting, seed: int, faults: Sequence[Mapping[str, Any]] | None = None) -> Outcome:
    """Carry out one seed, with its own schedule or with `faults`."""
    scheduled = faults_of(setting, seed) if faults is None else [dict(f) for f in faults]
    observer = Observer(setting.bounds, EACH_SECOND, ON_BYTES, ON_WORD, AT_END)
    journal = _Journal(observer)

    matter = [plain(f) for f in scheduled if f["instrument"] != PERSON]
    from_the_start = [f for f in matter if _is_there_at_first(f)]

    def prepare(twin: Twin) -> None:
        for name, decode in setting.decoders.items():
            twin.sessions[name] = _Tap(twin.sessions[name], name, decode, observer)
        twin.faults.schedule(from_the_start)

    with Rehearsal(
        setting.bench, setting.entries, setting.plan, seed=seed, record=journal, prepare=prepare
    ) as rehearsal:
        twin, controller = rehearsal.twin, rehearsal.controller
        names = {name: role for role, name in setting.roles.items()}
        _Eyes(twin, observer, names)
        storms = [f for f in scheduled if f["instrument"] == PERSON]
        people = People(rehearsal, journal, seed, storms, setting.last_run_s)
        with twin.lock:
            twin.faults.schedule(f for f in matter if f not in from_the_start)
        if rehearsal.problems:
            journal.detections["audit refused"] += 1
            _put_right(rehearsal)
        elif from_the_start:
            observer.accuse("identity", "instruments in each other's place passed their audit")
        safety_s = between(seed, "safety phase", *setting.safety_s)

        def over() -> bool:
            now = controller.clock.now()
            if now < safety_s:
                return people.act(now, faults=True)
            if observer.liveness_s is None:
                observer.liveness_s = now
                with twin.lock:
                    twin.faults.clear()
            return people.act(now, faults=False) or now > safety_s + LIVENESS_S

        people.submit()
        controller.run(over)
        observer.over()
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
    return not fault.get("at_s") and "when" not in fault and fault["kind"] == "swapped"


def _put_right(rehearsal: Rehearsal) -> None:
    """Somebody reads why the bench was refused, and puts the cables right; labctl connects again."""
    with rehearsal.twin.lock:
        rehearsal.twin.faults.clear(kind="swapped")
    rehearsal.controller.instruments.connect_all()


def plain(fault: Mapping[str, Any]) -> dict[str, Any]:
    """The fault as a file has it, without the name that chaos has for it."""
    return {key: value for key, value in fault.items() if key != "name"}


def _name_of(kind: str, instrument: str, scheduled: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    """What chaos calls a fault."""
    found = next(
        (f for f in scheduled if (f["kind"], f["instrument"]) == (kind, instrument) and "name" in f), None
    )
    return str(found["name"]) if found else kind
