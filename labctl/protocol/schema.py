"""The protocol language as it is written: one model for each block, quantities read into canonical units.

References (`"{name}"`) are replaced before a document comes here. Editors get JSON schemas of these models (`editor`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from labctl.bench.api import CAPABILITIES
from labctl.protocol.conditions import WrittenDecide, WrittenWait, WrittenWhen
from labctl.protocol.contents import KINDS as KINDS_OF_CONTENT
from labctl.protocol.plan import After, Atmosphere
from labctl.protocol.roles import AWAITED as AWAITED_CAPABILITIES
from labctl.protocol.words import (
    MOST_NAMED,
    NAME,
    Concentration,
    Count,
    Difference,
    Flow,
    Frequency,
    Mass,
    Percent,
    Provenance,
    Pumping,
    Ramp,
    Rate,
    Relation,
    Role,
    Scalar,
    ScanRate,
    SpecificCurrent,
    Speed,
    Temperature,
    Time,
    Unit,
    Voltage,
    Volume,
    Written,
    problem,
)

AWAITED = ("voltammetry", "impedance")
"""Step kinds that are read and checked, for instruments that no bench has yet."""
KINDS = (
    "stir",
    "heat",
    "purge",
    "leak_check",
    "cool",
    "manual",
    "measure",
    "unload",
    "cycle",
    "wait",
    "decide",
    "weigh",
    "dispense",
)
"""Step kinds that it can."""


REAGENT = r"[A-Za-z][A-Za-z0-9_.()·-]*"
"""How a recipe may name a reagent."""


def _requirement(value: object) -> tuple[Relation, str]:
    match = re.fullmatch(r"at (least|most)\s+(.+)", value.strip()) if isinstance(value, str) else None
    if match is None:
        raise problem("SCH-003", f"{value!r} is not a requirement", "write `at least 99 %` or `at most 5 %`")
    return cast(Relation, f"at_{match[1]}"), match[2]


def _kind(value: str) -> str:
    if value not in KINDS_OF_CONTENT:
        raise problem(
            "SCH-003", f"{value!r} is not a kind of substance", f"kinds: {', '.join(KINDS_OF_CONTENT)}"
        )
    return value


Kind = Annotated[
    str, AfterValidator(_kind), WithJsonSchema({"type": "string", "enum": list(KINDS_OF_CONTENT)})
]


class WrittenParameter(Written):
    """A named value of the protocol. `confirm`: a real bench wants it given. Out of bounds it is refused."""

    default: Scalar | None = None
    min: Scalar | None = None
    max: Scalar | None = None
    provenance: Provenance = "assumed"
    confirm: bool = False
    note: str = ""


class WrittenProduct(Written):
    """What is made, and how much of it: after the `recipe` of that name, or of that formula; `none`: after none.

    `made_at`: the powder is there already, and was fired at that temperature.
    """

    formula: str
    mass: Mass
    recipe: str | None = None
    made_at: Temperature | None = None


class WrittenCharge(Written):
    """Volumes of what goes into the pot."""

    thf: Volume = 0.0
    ethanol: Volume = 0.0
    water: Volume = 0.0


class WrittenContent(Written):
    """A substance of the batch: how much, how pure, and what it `is` where its name does not tell."""

    mass: Mass | None = Field(default=None, gt=0)
    purity: Percent = Field(default=100.0, gt=0, le=100)
    is_: list[Kind] = Field(default_factory=list, alias="is")

    @model_validator(mode="before")
    @classmethod
    def _mass_alone(cls, data: object) -> object:
        if not isinstance(data, dict):
            return {} if data is None else {"mass": data}
        kinds = data.get("is")
        return {**data, "is": [kinds]} if isinstance(kinds, str) else data


class WrittenExpected(Written):
    """A published value that the run's result is judged against, `when` the parameters are as said.

    `step`: the cycling step that it is a result of, where there are several.
    """

    quantity: str
    value: float
    unit: Unit
    tolerance: float = Field(ge=0)
    provenance: Provenance
    when: dict[str, Scalar] = Field(default_factory=dict)
    step: str | None = None


class Under(Written):
    """Gas that flows meanwhile: the role of its controller, and how much."""

    gas: Role
    flow: Flow


class WrittenStir(Written):
    """Stir for a time."""

    with_: Role = Field(alias="with")
    speed: Speed
    for_: Time = Field(alias="for")
    timeout: Time | None = None


class WrittenCheckpoint(Written):
    """Something for a person to do, at a time into the hold."""

    at: Time
    do: str
    clock: Literal["continues"] = "continues"


class WrittenSegment(Written):
    """One ramp and soak; without `ramp`, as fast as the instrument can."""

    to: Temperature
    ramp: Ramp | None = None
    hold: Time = 0.0


class WrittenHeat(Written):
    """Ramp and soak, once (`to`) or several times (`segments`). Hold time counts only within `band`."""

    with_: Role = Field(alias="with")
    to: Temperature | None = None
    ramp: Ramp | None = None
    hold: Time | None = None
    segments: list[WrittenSegment] = Field(default_factory=list, max_length=MOST_NAMED)
    band: Difference = 5.0
    atmosphere: Atmosphere = "air"
    under: Under | None = None
    checkpoint: WrittenCheckpoint | None = None
    after: After | None = None
    min_rate: Ramp = 0.0
    catch_up: Time | None = None
    timeout: Time | None = None
    resume: Literal["continue", "redo", "ask", "never"] = "ask"

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> WrittenHeat:
        if self.to is None and not self.segments:
            raise problem("SCH-002", "heat needs a target", "write `to: 100 degC` or `segments: [...]`")
        if self.segments and (self.to is not None or self.ramp is not None or self.hold is not None):
            raise problem(
                "SCH-003", "heat has `segments` and also `to`, `ramp` or `hold`", "keep one of the two"
            )
        return self


class WrittenPurge(Written):
    """Wash a chamber until it is proven free of oxygen."""

    with_: Role = Field(alias="with")
    into: Role
    until_oxygen_below: Concentration
    flow: Flow
    stable: Time = 300.0
    volumes: float = Field(default=8.0, gt=0)
    timeout: Time | None = None


class WrittenLeakCheck(Written):
    """Flow gas, and judge by the oxygen that stays how much air leaks in: less than `below`, `for` so long."""

    with_: Role = Field(alias="with")
    into: Role
    flow: Flow
    below: Flow = Field(gt=0)
    for_: Time = Field(default=600.0, alias="for")
    timeout: Time | None = None


class WrittenCool(Written):
    """Heater off; wait until the chamber is below a temperature."""

    with_: Role = Field(alias="with")
    below: Temperature
    natural: bool = True
    under: Under | None = None
    timeout: Time | None = None


class WrittenEntry(Written):
    """A number that a person enters, in `unit`."""

    unit: Unit
    min: float | None = None
    max: float | None = None


class WrittenManual(Written):
    """A person does something. `into`: the role whose chamber the batch goes into.

    attach: what files the answer must bring. checked: a second person must have looked. within: after so long an alarm
    calls for somebody, after twice that a graver one, and after three times the run is held.
    """

    do: str
    attach: list[str] = Field(default_factory=list)
    checked: bool = False
    within: Time | None = None
    confirm: list[str] = Field(default_factory=list)
    enter: dict[str, WrittenEntry] = Field(default_factory=dict)
    require: dict[
        str,
        Annotated[
            tuple[Relation, str],
            BeforeValidator(_requirement),
            WithJsonSchema({"type": "string", "pattern": "^at (least|most) .+$"}),
        ],
    ] = Field(default_factory=dict)
    into: Role | None = None


class WrittenMeasure(Written):
    """A characterisation whose values a person enters. attach, within: as of a manual step."""

    what: str
    enter: dict[str, WrittenEntry]
    attach: list[str] = Field(default_factory=list)
    within: Time | None = None


class WrittenUnload(Written):
    """Take the product out of a chamber, as `into`."""

    from_: Role = Field(alias="from")
    into: str


class WrittenCycle(Written):
    """Galvanostatic cycles; `specific_current` is what 1C means."""

    with_: Role = Field(alias="with")
    rate: Rate = Field(gt=0)
    window: list[Voltage] = Field(min_length=2, max_length=2)
    cycles: Count
    specific_current: SpecificCurrent | None = Field(default=None, gt=0)
    timeout: Time | None = None


class WrittenVoltammetry(Written):
    """Cyclic voltammetry: between two voltages and back, at a scan rate."""

    with_: Role = Field(alias="with")
    window: list[Voltage] = Field(min_length=2, max_length=2)
    rate: ScanRate = Field(gt=0)
    cycles: Count


class WrittenImpedance(Written):
    """Impedance at open circuit from the first frequency to the last."""

    with_: Role = Field(alias="with")
    frequencies: list[Frequency] = Field(min_length=2, max_length=2)
    amplitude: Voltage = Field(gt=0)
    points_per_decade: Count


class WrittenWeigh(Written):
    """Weigh a reagent: as much as the recipe says, corrected to what was weighed before, or as `mass` says.

    `tolerance`: of it, instead of the recipe's. `lot`: the bottle's, instead of the recipe's.
    """

    with_: Role = Field(alias="with")
    reagent: str = Field(pattern=f"^{REAGENT}$", max_length=64)
    mass: Mass | None = Field(default=None, gt=0)
    tolerance: Percent | None = Field(default=None, gt=0, lt=100)
    lot: str = Field(default="", max_length=64)


class WrittenDispense(Written):
    """Pump a reagent into the vessel: as much as the recipe says, or `volume` of it, at `rate`.

    `flammable`: whether the plate must be cool; without it, by the reagent. Others as for `weigh`.
    """

    with_: Role = Field(alias="with")
    reagent: str = Field(pattern=f"^{REAGENT}$", max_length=64)
    rate: Pumping = Field(gt=0)
    volume: Volume | None = Field(default=None, gt=0)
    tolerance: Percent | None = Field(default=None, gt=0, lt=100)
    lot: str = Field(default="", max_length=64)
    flammable: bool | None = None
    timeout: Time | None = None


class WrittenStep(Written):
    """One step: an id and exactly one kind.

    `when`: what must hold for it to begin. `needs`: the steps that must be over before it, instead of the one before.
    `sample`: for which of the protocol's samples it is.
    """

    id: str = Field(pattern=f"^{NAME}$", max_length=64)
    title: str = ""
    when: list[WrittenWhen] = Field(default_factory=list)
    needs: list[str] | None = None
    sample: str | None = None
    stir: WrittenStir | None = None
    heat: WrittenHeat | None = None
    purge: WrittenPurge | None = None
    leak_check: WrittenLeakCheck | None = None
    cool: WrittenCool | None = None
    manual: WrittenManual | None = None
    measure: WrittenMeasure | None = None
    unload: WrittenUnload | None = None
    cycle: WrittenCycle | None = None
    wait: WrittenWait | None = None
    decide: WrittenDecide | None = None
    voltammetry: WrittenVoltammetry | None = None
    impedance: WrittenImpedance | None = None
    weigh: WrittenWeigh | None = None
    dispense: WrittenDispense | None = None

    @property
    def kind(self) -> str:
        """The one kind that is set."""
        return next(k for k in (*KINDS, *AWAITED) if getattr(self, k) is not None)

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, data: object) -> object:
        if isinstance(data, dict):
            kinds = [k for k in data if k in (*KINDS, *AWAITED)]
            if len(kinds) > 1:
                reason = f"a step has one kind; this one has {' and '.join(kinds)}"
                raise problem("STEP-002", reason, key=kinds[1])
            if kinds and data[kinds[0]] is None:
                raise problem("SCH-003", f"{kinds[0]} is empty", key=kinds[0])
            if not kinds and not set(data) - {"id", "title", "when", "needs", "sample"}:
                raise problem("STEP-002", "a step needs a kind", f"kinds: {', '.join(KINDS)}")
            if isinstance(data.get("when"), dict):
                return {**data, "when": [data["when"]]}
        return data


class WrittenProtocol(Written):
    """A whole protocol file."""

    protocol: str = Field(pattern="^[a-z0-9][a-z0-9_-]*$", max_length=64)
    title: str = ""
    source: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, WrittenParameter] = Field(default_factory=dict, max_length=MOST_NAMED)
    roles: dict[
        str,
        Annotated[
            str, WithJsonSchema({"type": "string", "enum": sorted({*CAPABILITIES, *AWAITED_CAPABILITIES})})
        ],
    ] = Field(default_factory=dict, max_length=MOST_NAMED)
    product: WrittenProduct | None = None
    charge: WrittenCharge = WrittenCharge()
    contents: dict[str, WrittenContent] | None = Field(default=None, max_length=MOST_NAMED)
    expected: list[WrittenExpected] = Field(default_factory=list, max_length=MOST_NAMED)
    samples: list[str] = Field(default_factory=list, max_length=MOST_NAMED)
    steps: list[WrittenStep] = Field(min_length=1, max_length=1000)
