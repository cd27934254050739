"""What does not change while a bench runs: its chambers compiled for the scan, and the plans of its runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from labctl.bench.schema import Bench, Chamber
from labctl.model.limits import GUARD_NAMES, GUARDS_OF_INSTRUMENTS, limit, protective_flow
from labctl.protocol.plan import AnyStep, Plan
from labctl.protocol.spans import Span, spans

HEATING = ("tube_furnace", "oven", "solvent_dryer", "hotplate_stirrer")
PULSE = {
    "tube_furnace": "temperature",
    "oven": "temperature",
    "solvent_dryer": "temperature",
    "thermometer": "temperature",
    "hotplate_stirrer": "speed",
    "gas_flow": "flow",
    "oxygen": "oxygen",
    "cycler": "voltage",
    "io": "watchdog",
    "balance": "mass",
    "syringe_pump": "pumping",
}
SCAN_S = {"tube": 1.0, "oven": 10.0, "vessel": 5.0, "cell": 5.0, "pan": 1.0}
IO_SCAN_S = 4.0
"""A chamber with an I/O module is looked at so often at least: that feeds a watchdog of 10 s, its driver's default."""
_ALWAYS = frozenset({"room_oxygen", "room_co", "bypass"})
"""What is watched in an idle laboratory too: air that people breathe, and a valve that opens when nobody asks."""
COARSE_SCAN_S = {"tube": 60.0, "oven": 300.0, "vessel": 10.0, "cell": 3600.0, "pan": 5.0}
"""In a forecast, at the longest."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a driver declares about an instrument, as far as deciding needs it (see DriverEntry).

    digit_k: one display digit of its temperature.
    """

    host_ramp: bool = False
    lease_s: float | None = None
    digit_k: float = 0.1


class Source(NamedTuple):
    """A reading of an instrument, and how old it may be in s."""

    instrument: str
    key: str
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Watch:
    """A guard on a chamber; one that asks each instrument watches each apart.

    tightened: the bench's stricter limits. alarm: the id of its alarm. timers: in the tally, one for each stage.
    pulse: by which the instrument that it asks shows that it lives, if it asks one.
    """

    guard: str
    tightened: Mapping[str, float]
    alarm: str
    timers: tuple[str, str, str]
    pulse: Source | None = None


class Cylinder(NamedTuple):
    """A chamber's gas supply. litres_per_bar: None where the bench does not say at which pressure it is full.

    used_l: where the tally keeps how much was taken from it.
    """

    name: str
    used_l: str
    contents_l: float
    litres_per_bar: float | None


@dataclass(frozen=True, slots=True)
class Keys:
    """What the guards read each scan, as "instrument.signal"; of an instrument that is not there, nothing is found."""

    temperature: str
    setpoint: str
    working_setpoint: str
    output: str
    manual: str
    remote_fail: str
    flow: str
    flow_setpoint: str
    speed_setpoint: str


def _keys(heater: str | None, gas: str | None, stirrer: str | None) -> Keys:
    owners = {"flow": gas, "flow_setpoint": gas, "speed_setpoint": stirrer}
    return Keys(*(f"{owners.get(signal, heater)}.{signal}" for signal in Keys.__annotations__))


@dataclass(frozen=True, slots=True, eq=False)
class Rig:
    """A chamber with its instruments by what they do. Names of readings are "instrument.signal".

    One is equal to itself alone, so that what is worked out of it can be kept by it.

    thermometers: all that measure this chamber, the heater's own first. watches: its guards, the graver first.
    cooling_tau_s: time constant of the expected cool-down, from the bench's measured cool-down time.
    heating_k_per_min, heating_lag_s: at full output, as the bench measured it; None: nobody has. digit_k: of each
    thermometer.
    io: protective signal or output -> (instrument, its signal); what is not there is absent. exhaust_s: how long a
    dryer's exhaust must be proven before it heats; None: a person says so. dries: solvent may be in it.
    shared: several runs may have their batches in it at one setpoint. exhaust_l_per_min: what draws their vapour off.
    """

    name: str
    kind: str
    scan_s: float
    instruments: tuple[str, ...]
    heater: str | None
    host_ramp: bool
    lease_s: float | None
    thermometers: tuple[str, ...]
    temperatures: tuple[str, ...]
    keys: Keys
    gas: str | None
    flow: Source | None
    analyser: str | None
    oxygen: Source | None
    cycler: str | None
    stirrer: str | None
    pump: str | None
    volume_cm3: float
    max_temperature_c: float | None
    cooldown_s: float
    cooling_tau_s: float
    heating_k_per_min: float | None
    heating_lag_s: float
    digit_k: Mapping[str, float]
    safe_state: tuple[str, ...]
    watches: tuple[Watch, ...]
    max_age_s: Mapping[str, float]
    protective_sccm: float
    io: Mapping[str, tuple[str, str]]
    exhaust_s: float | None
    dries: bool
    shared: bool
    exhaust_l_per_min: float | None
    supply: Cylinder | None

    @property
    def is_room(self) -> bool:
        """What its I/O module tells or holds matters though nothing is in use."""
        return not _ALWAYS.isdisjoint(self.io)


@dataclass(frozen=True, slots=True)
class Context:
    """Everything constant that `decide` needs.

    needs: of plans whose steps do not just follow one another, what each step waits for.
    barred: instruments with which nothing may be energised, and why (see `labctl.bench.commissioning`).
    spans: of each plan, in order. rooms: chambers around which something is watched while they are not in use.
    """

    rigs: Mapping[str, Rig]
    chamber_of: Mapping[str, str]
    ambient_c: float
    plans: Mapping[str, Plan]
    steps: Mapping[str, Mapping[str, AnyStep]]
    spans: Mapping[str, tuple[Span, ...]]
    needs: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    barred: Mapping[str, str] = field(default_factory=dict)
    rooms: tuple[Rig, ...] = ()


def compile_bench(
    bench: Bench, facts: Mapping[str, Facts], plans: Iterable[Plan] = (), *, coarse: bool = False
) -> Context:
    """The context of a bench. `facts` by instrument name; `coarse` scans slowly, for forecasts."""
    periods = COARSE_SCAN_S if coarse else SCAN_S
    often = math.inf if coarse else IO_SCAN_S

    def scan_s(chamber: Chamber) -> float:
        return min(periods[chamber.kind], often) if chamber.io else periods[chamber.kind]

    rigs = {name: _rig(name, c, bench, facts, scan_s(c)) for name, c in bench.chambers.items()}
    chamber_of = {name: i.chamber for name, i in bench.instruments.items() if i.chamber}
    rooms = tuple(rig for rig in rigs.values() if rig.is_room)
    context = Context(rigs, chamber_of, bench.ambient_c, {}, {}, {}, rooms=rooms)
    for plan in plans:
        context = with_plan(context, plan)
    return context


def with_plan(context: Context, plan: Plan) -> Context:
    """The context with one more plan."""
    key, needs = plan.plan_hash, plan.needs
    return replace(
        context,
        plans={**context.plans, key: plan},
        steps={**context.steps, key: {step.id: step for step in plan.steps}},
        spans={**context.spans, key: spans(plan.steps)},
        needs=context.needs if needs is None else {**context.needs, key: needs},
    )


def _rig(name: str, chamber: Chamber, bench: Bench, facts: Mapping[str, Facts], scan_s: float) -> Rig:
    members = {n: i for n, i in bench.instruments.items() if i.chamber == name}

    def first(*capabilities: str) -> str | None:
        return next((n for c in capabilities for n, i in members.items() if c in i.provides), None)

    heater = first(*HEATING)
    others = tuple(n for n, i in members.items() if "thermometer" in i.provides)
    thermometers = ((heater,) if heater else ()) + others
    declared = {g.guard: dict(g.limits) for g in chamber.guards}
    volume = chamber.volume_cm3 or 0.0
    fact = facts.get(heater, Facts()) if heater else Facts()
    hot, cold = chamber.cooldown_from_c - bench.ambient_c, limit("T_gas_off") - bench.ambient_c
    tightened = {k: v for g in declared.values() for k, v in g.items()}
    wash_l = limit("exhaust_volumes", tightened) * volume / 1000.0
    exhaust_s = 60.0 * wash_l / chamber.exhaust_l_per_min if chamber.exhaust_l_per_min else None
    maxima = [chamber.max_temperature_c, members[heater].limits.max_temperature_c if heater else None]
    io = {what: _io_signal(key) for what, key in chamber.io.items()}
    supply = None
    for cylinder, fed in bench.supplies.items():
        if any(instrument in members for instrument in fed.feeds):
            supply = Cylinder(
                cylinder,
                f"supply/{cylinder}/used_l",
                fed.contents_l,
                fed.contents_l / fed.full_bar if fed.full_bar else None,
            )
            if fed.gauge:
                io["cylinder_pressure"] = _io_signal(fed.gauge)
    modules = {n: bench.instruments[n] for n, _ in io.values() if n not in members}
    max_age_s = {n: 2.5 * max(scan_s, i.every_s) for n, i in (members | modules).items()}

    def source(instrument: str, signal: str) -> Source:
        return Source(instrument, f"{instrument}.{signal}", max_age_s[instrument])

    pulses = [source(n, PULSE[i.provides[0]]) for n, i in members.items()]
    gas, analyser = first("gas_flow"), first("oxygen")
    return Rig(
        name=name,
        kind=chamber.kind,
        scan_s=scan_s,
        instruments=(*members, *modules),
        heater=heater,
        host_ramp=fact.host_ramp,
        lease_s=fact.lease_s,
        thermometers=thermometers,
        temperatures=tuple(f"{t}.temperature" for t in thermometers),
        keys=_keys(heater, gas, first("hotplate_stirrer")),
        gas=gas,
        flow=source(gas, "flow") if gas else None,
        analyser=analyser,
        oxygen=source(analyser, "oxygen") if analyser else None,
        cycler=first("cycler"),
        stirrer=first("hotplate_stirrer"),
        pump=first("syringe_pump"),
        volume_cm3=volume,
        max_temperature_c=min((m for m in maxima if m is not None), default=None),
        cooldown_s=chamber.cooldown_s,
        cooling_tau_s=chamber.cooldown_s / math.log(max(hot / cold, math.e)),
        heating_k_per_min=chamber.heating_k_per_min,
        heating_lag_s=chamber.heating_lag_s,
        digit_k={name: facts.get(name, Facts()).digit_k for name in thermometers},
        safe_state=chamber.safe_state,
        watches=tuple(_watches(name, declared, pulses)),
        max_age_s=max_age_s,
        protective_sccm=protective_flow(volume, tightened),
        io=io,
        exhaust_s=exhaust_s,
        dries=first("solvent_dryer") is not None,
        shared=chamber.shared,
        exhaust_l_per_min=chamber.exhaust_l_per_min,
        supply=supply,
    )


def _io_signal(key: str) -> tuple[str, str]:
    instrument, _, signal = key.partition(".")
    return instrument, signal


def _watches(
    chamber: str, declared: Mapping[str, Mapping[str, float]], pulses: Iterable[Source]
) -> Iterator[Watch]:
    for guard in GUARD_NAMES:
        if guard not in declared:
            continue
        for pulse in pulses if guard in GUARDS_OF_INSTRUMENTS else (None,):
            what = guard if pulse is None else f"{pulse.instrument}/{guard}"
            timers = (f"{chamber}/{what}/0", f"{chamber}/{what}/1", f"{chamber}/{what}/2")
            yield Watch(guard, declared[guard], f"{chamber}/{what}", timers, pulse)
