"""The bench file as data: instruments, chambers, what guards them, and how they become safe."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from labctl.bench.site import ASSUMED_HOURS, Price, WorkingHours, read_prices


class Model(BaseModel):
    """A frozen model that refuses unknown keys and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _absent(value: object) -> bool:
    return value is None


def _none_set(of: object) -> bool:
    return not of


class Limits(Model):
    """What this instrument may be asked for; a protocol can never exceed it. None: the instrument's own limit.

    min_flow_sccm: the least flow that a controller holds, by its turn-down (often 1 % of its full scale).
    """

    max_temperature_c: float | None = None
    max_ramp_k_per_min: float | None = None
    max_flow_sccm: float | None = None
    max_speed_rpm: float | None = None
    min_flow_sccm: float | None = Field(default=None, gt=0.0, exclude_if=_absent)


class Instrument(Model):
    """One instrument: which driver, where, and what of it is trusted.

    address: serial:///dev/..., tcp://host:port, visa://RESOURCE or labsim://PLANT/INSTRUMENT.
    provides: capabilities it may play here; must be among its driver's. options: the driver's own (baud, unit, ...).
    every_s: how often it is read at most; the scan reads it when that long has passed.
    calibration_due: the last day on which its calibration holds, as in 2027-03-31; a run that would end later does not
    start.
    """

    driver: str
    address: str
    serial_number: str = ""
    calibration_due: str | None = Field(
        default=None, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", exclude_if=_absent
    )
    provides: tuple[str, ...]
    chamber: str | None = None
    default: bool = False
    every_s: float = 0.0
    limits: Limits = Limits()
    options: dict[str, Any] = Field(default_factory=dict)


class Guard(Model):
    """An interlock on a chamber: one of the engine's guards by name. `limits` may only tighten the table's numbers."""

    guard: str
    limits: dict[str, float] = Field(default_factory=dict)


ChamberKind = Literal["tube", "oven", "vessel", "cell", "pan"]


class Chamber(Model):
    """What is heated, washed, charged or weighed on.

    volume_cm3: gas volume (tube). material: of the tube. cooldown_s: measured time from the highest temperature to
    T_gas_off. heating_k_per_min: measured rise at full output, where it is slowest; heating_lag_s: time constant with
    which it sets in. safe_state: ordered items. physics: parameters of its twin, by the simulator's names.
    io: what protects it -> where that is read or switched, as "instrument.signal" of an I/O module; what is not named
    is absent. exhaust_l_per_min: what a dryer's exhaust draws, measured; None: only a person can say when it is clear.
    leak_sccm: air that the seals of a tube let in, measured by a leak check.
    shared: several runs may have their batches in this oven at once, at one setpoint.
    """

    kind: ChamberKind
    volume_cm3: float | None = None
    inner_diameter_mm: float | None = None
    material: str | None = None
    max_temperature_c: float | None = None
    flammable_rated: bool = False
    cooldown_s: float = 30000.0
    cooldown_from_c: float = 900.0
    heating_k_per_min: float | None = Field(default=None, gt=0.0)
    heating_lag_s: float = Field(default=0.0, ge=0.0)
    exhaust_l_per_min: float | None = Field(default=None, gt=0.0)
    leak_sccm: float | None = Field(default=None, ge=0.0, exclude_if=_absent)
    shared: bool = Field(default=False, exclude_if=_none_set)
    io: dict[str, str] = Field(default_factory=dict)
    safe_state: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    physics: dict[str, float] = Field(default_factory=dict)


class Supply(Model):
    """A gas supply: what it is and how much it held, in normal litres.

    full_bar: the pressure at which it holds so much. gauge: the signal of an I/O module that reads its pressure.
    reserve_bar: what is to be left in it when it is changed; a plan that takes more warns.
    """

    gas: str
    contents_l: float
    feeds: tuple[str, ...] = ()
    full_bar: float | None = Field(default=None, gt=0.0)
    gauge: str | None = None
    reserve_bar: float | None = Field(default=None, ge=0.0, exclude_if=_absent)


class RuleSetting(Model):
    """What a bench says of a rule: a stricter `limit` in the rule's unit, or `waive`: the reason, and `by` whom."""

    limit: float | None = None
    waive: str | None = Field(default=None, min_length=1)
    by: str | None = Field(default=None, min_length=1)


class Bench(Model):
    """A whole bench. Instruments and chambers are named by the keys.

    rules: those that this site tightens or waives, by their names.
    working_hours: when somebody is there, as in `Mon-Thu 08:00-18:00, Fri 08:00-14:00`; see `hours`.
    prices: of electricity and of gases, as in `{electricity: 0.30 EUR/kWh, nitrogen: 12 EUR/m3}`; see `priced`.
    backdoor: of the simulator that serves all its instruments over real links, on this machine; see `simulated`.
    """

    bench: str
    title: str = ""
    instruments: dict[str, Instrument]
    chambers: dict[str, Chamber]
    supplies: dict[str, Supply] = Field(default_factory=dict)
    rules: dict[str, RuleSetting] = Field(default_factory=dict, exclude_if=_none_set)
    ambient_c: float = Field(default=22.0, ge=-50.0, le=60.0)
    working_hours: str | None = Field(default=None, exclude_if=_absent)
    prices: dict[str, str] = Field(default_factory=dict, exclude_if=_none_set)
    backdoor: str | None = Field(default=None, pattern=r"^tcp://127\.0\.0\.1:[0-9]{1,5}$")

    _claimed_at: float | None = PrivateAttr(default=None)

    @field_validator("working_hours")
    @classmethod
    def _are_hours(cls, text: str | None) -> str | None:
        if text is not None:
            WorkingHours.parse(text)
        return text

    @field_validator("prices")
    @classmethod
    def _are_prices(cls, written: dict[str, str]) -> dict[str, str]:
        read_prices(written)
        return written

    @property
    def hours(self) -> WorkingHours:
        """When somebody is there: as written, or as assumed where the file does not say."""
        return WorkingHours.parse(self.working_hours or ASSUMED_HOURS)

    @property
    def priced(self) -> dict[str, Price]:
        """What a kWh (`electricity`) and a normal litre of a gas (`N2`) cost, where the file says so."""
        return read_prices(self.prices)

    @property
    def in_process(self) -> bool:
        """True when every address is `labsim://`."""
        return all(i.address.startswith("labsim://") for i in self.instruments.values())

    @property
    def simulated(self) -> bool:
        """True when every address is `labsim://`, or a simulator has claimed each of them; nothing else counts."""
        return self.in_process or self._claimed_at is not None

    @property
    def speed(self) -> float:
        """Bench seconds a real second: 1, but on a bench whose simulator runs faster or slower."""
        return self._claimed_at or 1.0

    def claimed(self, speed: float | None) -> Bench:
        """The same bench after a simulator, asked at its backdoor, has claimed each address; None: after none has."""
        bench = self.model_copy()
        bench._claimed_at = speed
        return bench

    def of_rules(self) -> dict[str, Any]:
        """What is journaled of `rules` when a run is created: `{"rules": {...}}`, or nothing where none is set."""
        told = {name: setting.model_dump(exclude_none=True) for name, setting in self.rules.items()}
        return {"rules": told} if told else {}

    @property
    def identity(self) -> str:
        """SHA-256 over what can change the outcome: not addresses, contents of cylinders, titles, prices, hours."""
        data = self.model_dump(
            mode="json", exclude={"title", "supplies", "backdoor", "prices", "working_hours"}
        )
        for instrument in data["instruments"].values():
            del instrument["address"]
            instrument.pop("calibration_due", None)
        for chamber in data["chambers"].values():
            optional = ("io", "exhaust_l_per_min", "heating_k_per_min", "heating_lag_s")
            for absent in [key for key in optional if not chamber[key]]:
                del chamber[absent]  # as before there were such
        data["supplies"] = {name: supply.gas for name, supply in self.supplies.items()}
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
