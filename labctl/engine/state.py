"""The state of a whole bench: frozen, JSON-serialisable data, and nothing else.

What happened lies in the discrete part, which only `evolve` changes, by journaled events. What accumulates every scan
(soak seconds, washed volume, debounce times) lies in the `tally`, a flat map from "owner/what" to a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepState:
    """An active step: which phase of its behaviour, since when, and the phase's own data.

    entered_s: when it last began from "enter"; since then no time was held or paused.
    """

    id: str
    phase: str
    started_s: float
    phase_s: float
    data: Data = field(default_factory=dict)
    awaits: tuple[str, ...] = ()
    failed: str | None = None
    entered_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RunState:
    """One run. `active` holds its set of active steps, `done` the finished ones with when and how.

    waits: why its next step cannot begin, while it cannot; waits_for: the chambers that it lacks.
    taken: by step, what was taken of a reagent in all.
    """

    run_id: str
    plan_hash: str
    state: str = "IDLE"
    state_s: float = 0.0
    started_s: float | None = None
    active: dict[str, StepState] = field(default_factory=dict)
    done: dict[str, Data] = field(default_factory=dict)
    prompts: dict[str, Data] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    taken: dict[str, Data] = field(default_factory=dict)
    hold: str = "maintain"
    reason: str | None = None
    actor: str | None = None
    by_person: bool = False
    cleared: bool = False
    end_state: str | None = None
    waits: str | None = None
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """What an intent authorised a heater to do: a target, a ramp, until when. Renewed while all is well."""

    instrument: str
    target_c: float
    ramp_k_per_min: float
    since_s: float
    until_s: float
    from_c: float | None = None


@dataclass(frozen=True, slots=True)
class ChamberState:
    """A chamber as labctl answers for it.

    run: whose steps use it, or None. claims: of a shared chamber, what each run with a batch in wants of it: its one
    setpoint_c (None once its heat is over), until when, contents; `run` is the one of them that commands the heater.
    contents: the batches in it, by their runs. atmosphere: of the present stage. energised: labctl has heated or driven
    it and nobody has proven it cold since. purged: oxygen is proven washed out. flow_sccm, speed_rpm: last commanded.
    dosing: a pump was told to dispense into it, and not stopped since.
    latched: guards that tripped and wait for CLEAR; tripped_run: whose RESET lets them go. distrusted: sensors
    without a vote until commissioned anew. unaudited: instruments that came back from a reset and were not audited
    since. safe: the safe state in progress, item by item. custody: what remains to be watched after it.
    """

    run: str | None = None
    claims: dict[str, Data] = field(default_factory=dict)
    contents: tuple[str, ...] = ()
    atmosphere: str = "air"
    energised: bool = False
    purged: bool = False
    flow_sccm: float = 0.0
    speed_rpm: float = 0.0
    dosing: bool = False
    programmed_a: float = 0.0
    lease: Lease | None = None
    latched: tuple[str, ...] = ()
    tripped_run: str | None = None
    distrusted: tuple[str, ...] = ()
    unaudited: tuple[str, ...] = ()
    safe: Data | None = None
    custody: Data | None = None


@dataclass(frozen=True, slots=True)
class BenchState:
    """Everything labctl knows about a bench.

    alarms: those that are not NORMAL, by "chamber/what". bypasses: guards that only tell for now, by "chamber/guard".
    reservations: chambers that people keep for themselves, until when and why.
    """

    runs: dict[str, RunState] = field(default_factory=dict)
    chambers: dict[str, ChamberState] = field(default_factory=dict)
    pending: dict[str, Data] = field(default_factory=dict)
    alarms: dict[str, Data] = field(default_factory=dict)
    bypasses: dict[str, Data] = field(default_factory=dict)
    reservations: dict[str, Data] = field(default_factory=dict)
    commands: int = 0
    tally: dict[str, float] = field(default_factory=dict)


def soaked_s(run: RunState, step_id: str, segment: int) -> str:
    """Where the tally keeps for how long a segment of a heating step has soaked."""
    return f"{run.run_id}/{step_id}/soak{segment}_s"


def empty(chambers: Mapping[str, object]) -> BenchState:
    """A bench on which nothing has happened yet."""
    return BenchState(chambers={name: ChamberState() for name in chambers})


def to_json(state: BenchState) -> Data:
    """The state as JSON values; `from_json` gives an equal one back."""
    return asdict(state)


def from_json(data: Data) -> BenchState:
    """The state that `to_json` wrote. Raises KeyError or TypeError on anything else."""
    return BenchState(
        runs={name: _run(run) for name, run in data["runs"].items()},
        chambers={name: _chamber(chamber) for name, chamber in data["chambers"].items()},
        **{f.name: data[f.name] for f in fields(BenchState) if f.name not in ("runs", "chambers")},
    )


def _run(data: Data) -> RunState:
    steps = {k: StepState(**{**v, "awaits": tuple(v["awaits"])}) for k, v in data["active"].items()}
    return RunState(**{**data, "active": steps, "waits_for": tuple(data["waits_for"])})


def _chamber(data: Data) -> ChamberState:
    lease = Lease(**data["lease"]) if data["lease"] else None
    lists = {name: tuple(data[name]) for name in ("contents", "latched", "distrusted", "unaudited")}
    return ChamberState(**{**data, "lease": lease, **lists})
