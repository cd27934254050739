"""What the trials of a campaign share: a bench, its drivers and plans, and what an observer must know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from labctl.bench.api import DriverEntry
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.schema import Bench, Chamber
from labctl.chaos.judge.told import Bounds, Soak
from labctl.chaos.judge.wire import DECODERS, Decoder
from labctl.chaos.schedule import KINDS, PERSON
from labctl.protocol.plan import Heat, Plan
from labctl.protocol.validation import load_plan
from labctl.twin import check_faults, spec
from labctl_simulators.faults import KINDS as SIMULATED

HERE = Path(__file__).parent
BENCH_FILE, PROTOCOL_FILES = HERE / "bench.yaml", (HERE / "firing.yaml", HERE / "tabletop.yaml")

SAFETY_S = (3600.0, 4800.0)
"""How long faults may begin and act, drawn by seed: the longer protocol takes 2,800 s without any."""
LAST_RUN_S = 3300.0
"""After it nobody begins another run."""
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
    """What all trials of a campaign share: a bench, its drivers, the plans. Made once in each process.

    plans: carried out side by side; the plant is charged for the first.
    safety_s: how long the safety phase takes, drawn in the range. last_run_s: after it no other run is begun.
    """

    bench: Bench
    entries: Mapping[str, DriverEntry]
    plans: tuple[Plan, ...]
    safety_s: tuple[float, float] = SAFETY_S
    last_run_s: float = LAST_RUN_S

    @classmethod
    def of(cls, bench: Path | None = None) -> Setting:
        """The setting of this package, or the protections of another bench on the matter of this package.

        A bench that lacks a required protection is taken here, and nowhere else: chaos shows what it was for.
        """
        entries = drivers()
        whole = loaded = load_bench(BENCH_FILE, entries)
        if bench is not None:
            loaded = with_matter_of(load_bench(bench, entries, unprotected=True), loaded)
            whole = with_guards_of(loaded, whole)
        # no rule lets anybody plan what a protection is missing for: the plan is that of the protected bench
        plans = (load_plan(file, {}, whole)[0] for file in PROTOCOL_FILES)
        return cls(loaded, entries, tuple(plans))

    def check(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Raises UsageError for the first fault that this setting cannot have."""
        matter = [plain(fault) for fault in faults if fault.get("instrument") != PERSON]
        check_faults(spec(self.bench, self.entries, self.plans[0]), matter)

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
        heats = [step for plan in self.plans for step in plan.steps if isinstance(step, Heat)]
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
            {role: self.bench.instruments[name].chamber or "" for name, role in names.items()},
            {
                step.id: Soak(names[step.heater], step.band_k, tuple(s.target_c for s in step.segments))
                for step in heats
            },
            "contactor" in tube.io,
            "bypass" in tube.io,
        )


def with_matter_of(bench: Bench, other: Bench) -> Bench:
    """A bench whose chambers have the masses, volumes and cool-down of another's of the same kind, to be as fast.

    Guards, limits of temperature, safe states and instruments stay its own; its furnace may ramp as fast as that
    of the other. What no trial uses, a balance or a pump, is left out.
    """
    by_kind = {chamber.kind: chamber for chamber in other.chambers.values()}
    chambers = {
        name: chamber.model_copy(update={field: getattr(by_kind[chamber.kind], field) for field in MATTER})
        for name, chamber in bench.chambers.items()
        if chamber.kind in by_kind
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
        if instrument.provides[0] in ROLES
    }
    return bench.model_copy(update={"chambers": chambers, "instruments": instruments})


def with_guards_of(bench: Bench, other: Bench) -> Bench:
    """A bench whose chambers have the guards and safe states of another's of the same kind too, to plan on."""
    by_kind = {chamber.kind: chamber for chamber in other.chambers.values()}
    chambers = {}
    for name, chamber in bench.chambers.items():
        like, named = by_kind[chamber.kind], {guard.guard for guard in chamber.guards}
        guards = (*chamber.guards, *(guard for guard in like.guards if guard.guard not in named))
        chambers[name] = chamber.model_copy(update={"guards": guards, "safe_state": like.safe_state})
    return bench.model_copy(update={"chambers": chambers})


def plain(fault: Mapping[str, Any]) -> dict[str, Any]:
    """The fault as a simulator takes it, without what only chaos has: its name here, and in which run it begins."""
    return {key: value for key, value in fault.items() if key not in ("name", "run")}
