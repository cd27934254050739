"""The plan: a protocol with its parameters resolved and its roles bound to the instruments of one bench.

Pure data in canonical units (degC, K, K/min, s, sccm, ppm, rpm, V, A, C, mg, g), so that
`60 min` and `1 h` give the same plan and the same hash. Loading and binding live elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Atmosphere = Literal["air", "inert"]
After = Literal["continue", "hold", "cool", "off"]


class Frozen(BaseModel):
    """A frozen model that refuses unknown fields and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _nothing(value: object) -> bool:
    return value is None or value == () or value is False


def _nothing_said(value: object) -> bool:
    return value is None


class Gas(Frozen):
    """Gas that flows through a chamber while a step runs: which controller, and how much in sccm."""

    instrument: str
    flow_sccm: float


class Entry(Frozen):
    """A value a person (or the simulated operator) enters; outside its range it is refused.

    quantity: what it is, where its name also says of which sample.
    """

    name: str
    unit: str
    min: float | None = None
    max: float | None = None
    quantity: str | None = Field(default=None, exclude_if=_nothing_said)


class Requirement(Frozen):
    """A derived quantity that must hold after a manual step, e.g. solvent_loss at least 99 %."""

    quantity: str
    relation: Literal["at_least", "at_most"]
    value: float
    unit: str


class Checkpoint(Frozen):
    """Something for a person to do at a time into the hold. The clock continues."""

    at_s: float
    do: str


class Condition(Frozen):
    """A reading of an instrument, or a value that was entered, beside a limit in `unit`.

    for_s: how long without a break. hysteresis: by how much it must be back before it counts as over.
    on_bad: what a reading that cannot be used leads to: the run is held, or waits.
    """

    instrument: str | None = None
    signal: str | None = None
    entered: str | None = None
    relation: Literal["above", "below", "at_least", "at_most"]
    value: float
    unit: str
    for_s: float = 0.0
    hysteresis: float = 0.0
    on_bad: Literal["hold", "wait"] = "hold"


class When(Frozen):
    """What must hold for a step to begin: a value that was entered, and what deciding steps came to."""

    condition: Condition | None = None
    met: tuple[str, ...] = ()
    not_met: tuple[str, ...] = ()


class Step(Frozen):
    """What all steps have. `instruments`: those it reads or drives. `chamber`: the one it works in.

    when: all must hold for it to begin, else it is left out. needs: the steps that must be over before it; None: the
    one before. sample: for which one it is. What a step does not use is no part of the plan's text.
    """

    id: str
    title: str = ""
    instruments: tuple[str, ...] = ()
    chamber: str | None = None
    when: tuple[When, ...] = Field(default=(), exclude_if=_nothing)
    needs: tuple[str, ...] | None = Field(default=None, exclude_if=_nothing_said)
    sample: str | None = Field(default=None, exclude_if=_nothing)


class Stir(Step):
    """Stir at `speed_rpm` for `duration_s`; the drive stops at the end."""

    kind: Literal["stir"] = "stir"
    stirrer: str
    speed_rpm: float
    duration_s: float
    timeout_s: float


class Segment(Frozen):
    """One ramp and soak. `ramp_k_per_min` 0 is as fast as the instrument can."""

    target_c: float
    ramp_k_per_min: float
    hold_s: float


class Heat(Step):
    """Ramp by the instrument's own ramp, then soak: hold time counts only while the value is within `band_k`.

    timeout_s bounds the whole step; catch_up_s is how much longer than its hold a soak may take in all.
    """

    kind: Literal["heat"] = "heat"
    heater: str
    segments: tuple[Segment, ...]
    band_k: float
    atmosphere: Atmosphere
    under: Gas | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    after: After = "cool"
    min_rate_k_per_min: float = 0.0
    catch_up_s: float
    timeout_s: float
    resume: Literal["continue", "redo", "ask", "never"] = "ask"


class Purge(Step):
    """Wash a chamber with gas until it is proven free of oxygen.

    Proven: oxygen below `oxygen_below_ppm` for `stable_s`, by good readings, and `volumes` tube volumes of
    measured flow since the last interruption. `analyser` None: by volume only.
    """

    kind: Literal["purge"] = "purge"
    gas: str
    analyser: str | None
    flow_sccm: float
    oxygen_below_ppm: float
    stable_s: float = 300.0
    volumes: float = 8.0
    volume_cm3: float
    expected_s: float
    timeout_s: float


class LeakCheck(Step):
    """Flow gas and judge by the oxygen that stays how much air leaks in.

    Tight: (oxygen - what the gas carries) x flow / 20.95 % is below `below_sccm`, by good readings, for `duration_s`.
    """

    kind: Literal["leak_check"] = "leak_check"
    gas: str
    analyser: str
    flow_sccm: float
    below_sccm: float
    duration_s: float
    expected_s: float
    timeout_s: float


class Cool(Step):
    """Heater off, gas on, wait until every thermometer of the chamber is below `below_c`."""

    kind: Literal["cool"] = "cool"
    heater: str
    below_c: float
    natural: bool = True
    under: Gas | None = None
    expected_s: float
    timeout_s: float


class Manual(Step):
    """A person does something, confirms a checklist, enters values. `into`: the chamber of the batch.

    attach: files that the answer brings. checked: a second person has looked. within_s: see `WrittenManual`.
    """

    kind: Literal["manual"] = "manual"
    do: str
    confirm: tuple[str, ...] = ()
    enter: tuple[Entry, ...] = ()
    require: tuple[Requirement, ...] = ()
    into: str | None = None
    attach: tuple[str, ...] = Field(default=(), exclude_if=_nothing)
    checked: bool = Field(default=False, exclude_if=_nothing)
    within_s: float | None = Field(default=None, exclude_if=_nothing)


class Measure(Step):
    """A characterisation whose values a person enters; they become results of the run.

    attach, within_s: as of a manual step.
    """

    kind: Literal["measure"] = "measure"
    what: str
    enter: tuple[Entry, ...]
    attach: tuple[str, ...] = Field(default=(), exclude_if=_nothing)
    within_s: float | None = Field(default=None, exclude_if=_nothing)


class Unload(Step):
    """Stop the gas when that is safe, open the chamber, take the product out as `into`."""

    kind: Literal["unload"] = "unload"
    gas: str | None
    into: str
    below_c: float


ACTIVE_MASS = "active_mass"
"""The entered value that a cell's current follows from."""


def _is_the_active_mass(name: object) -> bool:
    return name == ACTIVE_MASS


class Cycle(Step):
    """Galvanostatic cycles between two voltages; charge first.

    The current is `rate_c` x `specific_current_ma_per_g` x the mass entered as `mass` during the run.
    """

    kind: Literal["cycle"] = "cycle"
    cycler: str
    rate_c: float
    specific_current_ma_per_g: float
    upper_v: float
    lower_v: float
    cycles: int
    timeout_s: float
    mass: str = Field(default=ACTIVE_MASS, exclude_if=_is_the_active_mass)


class Portion(Frozen):
    """How much of a reagent a planned batch takes, in `unit`, and what is known of its bottle.

    follows: it is corrected to what was really taken before. precursor: it ends up in the product, so what was taken
    of it says how large the batch is. purity_wt_pct: of `formula` in what is in the bottle; None where that is not
    said. lot: the bottle's.
    """

    reagent: str
    formula: str = ""
    unit: Literal["g", "mL"]
    amount: float = Field(gt=0)
    tolerance_pct: float = Field(gt=0)
    follows: bool = False
    precursor: bool = False
    purity_wt_pct: float | None = None
    lot: str = ""


class Weigh(Step):
    """Tare a vessel, have a reagent put into it, read the balance at rest, and judge that against tolerance."""

    kind: Literal["weigh"] = "weigh"
    balance: str
    portion: Portion


class Dispense(Step):
    """Pump a volume of a liquid into the vessel at `rate_ml_per_min`.

    flammable: it waits until the plate under the vessel is cooler than limit flammable_plate.
    """

    kind: Literal["dispense"] = "dispense"
    pump: str
    portion: Portion
    rate_ml_per_min: float
    flammable: bool
    timeout_s: float


class Wait(Step):
    """Do nothing for `duration_s`, or until something holds; the run is held when it does not within `timeout_s`."""

    kind: Literal["wait"] = "wait"
    duration_s: float
    until: Condition | None = Field(default=None, exclude_if=_nothing_said)
    timeout_s: float | None = Field(default=None, exclude_if=_nothing_said)


class Decide(Step):
    """Ask once whether something holds, for steps that begin only `when` it does, or does not.

    otherwise: when it does not, the run goes on, or is held for a person.
    """

    kind: Literal["decide"] = "decide"
    condition: Condition
    otherwise: Literal["hold", "go on"] = "go on"


AnyStep = Annotated[
    Stir
    | Heat
    | Purge
    | LeakCheck
    | Cool
    | Manual
    | Measure
    | Unload
    | Cycle
    | Wait
    | Decide
    | Weigh
    | Dispense,
    Field(discriminator="kind"),
]


class Parameter(Frozen):
    """A resolved parameter: value in canonical unit, as it was written, and where it comes from.

    given: by the person who runs it. confirm: the source is silent about it, so a person must stand for it.
    """

    name: str
    value: float | str | bool
    unit: str
    text: str
    provenance: str
    given: bool = False
    confirm: bool = False


class Charge(Frozen):
    """What goes into the pot, in grams: the solvents that drying is judged by."""

    thf_g: float = 0.0
    ethanol_g: float = 0.0
    water_g: float = 0.0

    @property
    def flammable_solvent_g(self) -> float:
        """THF and ethanol."""
        return self.thf_g + self.ethanol_g


class Substance(Frozen):
    """What is in the batch besides its solvents. mass_g: None when not declared. kinds: see `contents.KINDS`."""

    name: str
    mass_g: float | None
    purity: float
    kinds: tuple[str, ...]


class Product(Frozen):
    """What is made, and how much of it in grams. made_at_c: it is there already, fired at so many degC."""

    formula: str
    mass_g: float
    made_at_c: float | None = Field(default=None, exclude_if=_nothing_said)


class Expected(Frozen):
    """A published or derived value that a result is judged against; `step`: that of one step."""

    quantity: str
    value: float
    unit: str
    tolerance: float
    provenance: str
    step: str | None = Field(default=None, exclude_if=_nothing_said)


class Plan(Frozen):
    """Everything a run needs to know, resolved. `plan_hash` identifies it.

    contents: what is in the batch, for the rules that ask; None when the protocol does not say.
    """

    protocol: str
    title: str
    source: dict[str, str] = {}
    parameters: tuple[Parameter, ...] = ()
    roles: dict[str, str] = {}
    product: Product | None = None
    charge: Charge = Charge()
    contents: tuple[Substance, ...] | None = Field(default=None, exclude_if=_nothing_said)
    expected: tuple[Expected, ...] = ()
    steps: tuple[AnyStep, ...]
    bench_identity: str
    simulated: bool

    @property
    def plan_hash(self) -> str:
        """SHA-256 over the canonical JSON of all that can change the outcome (no texts of parameters)."""
        return hashlib.sha256(canonical(self.outcome()).encode()).hexdigest()

    def outcome(self) -> dict[str, Any]:
        """The plan as JSON values, without what cannot change the outcome."""
        data = self.model_dump(mode="json")
        for parameter in data["parameters"]:
            del parameter["text"], parameter["given"], parameter["confirm"]
        return data

    @property
    def needs(self) -> dict[str, tuple[str, ...]] | None:
        """For each step the ones that must be over before it; None where each just follows the one before."""
        if all(step.needs is None for step in self.steps):
            return None
        before = [(), *((step.id,) for step in self.steps)]
        return {s.id: before[i] if s.needs is None else s.needs for i, s in enumerate(self.steps)}

    def step(self, step_id: str) -> AnyStep:
        """The step of that id. Raises KeyError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
