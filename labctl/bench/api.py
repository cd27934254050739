"""The only module a driver imports: contracts, ports, clocks, and the declaration of a driver.

A driver is a blocking object with one owner thread. It never keeps time by itself, never opens
anything on import, and reads back everything it writes. Its port decides the world: a serial line,
a TCP stream, a VISA resource or an in-process simulator carry the same bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from labctl.errors import CommunicationError, InstrumentError, NotDoneError, RefusedError
from labctl.model.readings import BAD, GOOD, NOT_READY, SILENT, Quality, Reading, Signal

__all__ = [
    "BAD",
    "CAPABILITIES",
    "DRIVER_API",
    "GOOD",
    "NOT_READY",
    "SILENT",
    "Audit",
    "AuditItem",
    "Capability",
    "Clock",
    "CommunicationError",
    "Driver",
    "DriverEntry",
    "Effect",
    "InstrumentError",
    "Line",
    "NotDoneError",
    "Port",
    "Quality",
    "Reading",
    "RefusedError",
    "Signal",
    "Unverified",
]

DRIVER_API = 1
"""Version of this contract. A driver that declares another is refused by name."""


class Clock(Protocol):
    """The bench clock as a driver sees it: monotonic seconds, and waiting on them."""

    def now(self) -> float:
        """Seconds of the bench clock."""

    def sleep(self, seconds: float) -> None:
        """Wait; in virtual time this only moves the bus's own time on."""


class Port(Protocol):
    """A byte stream to one line. Reads end early only by time-out."""

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises CommunicationError when the line is gone."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only when `timeout_s` passed. Raises CommunicationError when the line is gone."""

    def read_some(self) -> bytes:
        """What has arrived, at least one byte unless `timeout_s` passed (then empty)."""

    def reset_input(self) -> None:
        """Throw away what has arrived so far: a late reply to an earlier request is no reply."""

    def close(self) -> None:
        """Release the line. Closing twice is fine."""


class Line(Protocol):
    """What a driver is given to open its port with: address, settings and clock, chosen by the bench."""

    @property
    def address(self) -> str:
        """Where the instrument is, e.g. `serial:///dev/ttyUSB0`."""

    @property
    def clock(self) -> Clock:
        """The clock that readings are stamped and waits are made with."""

    def open_stream(
        self,
        *,
        baudrate: int = 9600,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: int = 1,
        timeout_s: float = 0.3,
    ) -> Port:
        """A byte stream over pyserial: `serial://`, `tcp://` and `labsim://` addresses."""

    def open_visa(self, *, termination: str = "\n", timeout_s: float = 2.0) -> Any:
        """A pyvisa message-based resource: `visa://` and `labsim://` addresses."""


@dataclass(frozen=True, slots=True)
class AuditItem:
    """One thing checked at connect. `ok=False` refuses to heat with this instrument."""

    name: str
    ok: bool
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What the instrument said of itself at connect. Nothing is written to it for this."""

    identity: dict[str, str]
    items: tuple[AuditItem, ...] = ()

    @property
    def ok(self) -> bool:
        """All items passed."""
        return all(item.ok for item in self.items)

    def to_json(self) -> dict[str, Any]:
        """Identity and every item, as JSON values for the journal and for faces."""
        items = [{"item": i.name, "found": i.found, "wanted": i.wanted, "ok": i.ok} for i in self.items]
        return {"identity": dict(self.identity), "items": items}


@dataclass(frozen=True, slots=True)
class Capability:
    """What an instrument must offer to play a role: signal names with units, and verbs with argument names."""

    signals: Mapping[str, str]
    verbs: Mapping[str, tuple[str, ...]]


_HEATER = {"temperature": "degC", "setpoint": "degC", "working_setpoint": "degC"}
_HEAT = {"heat": ("target_c", "ramp_k_per_min"), "heat_off": ()}

CAPABILITIES: Mapping[str, Capability] = {
    # heat: go to target_c at ramp_k_per_min (0: as fast as it can), by the instrument's own ramp. `setpoint` reads the
    # target (20 or less when off), `working_setpoint` the moving one. heat_off: demand 0, proven by read-back.
    # An instrument without a ramp of its own declares `host_ramp`: heat with a ramp starts it at the present
    # temperature, and renew moves its setpoint along. Ovens have no register for their heater's output.
    "tube_furnace": Capability(_HEATER | {"output": "%"}, _HEAT | {"renew": ("target_c",)}),
    "oven": Capability(_HEATER, _HEAT),
    "solvent_dryer": Capability(_HEATER, _HEAT),
    # an independent thermocouple, never written to
    "thermometer": Capability({"temperature": "degC"}, {}),
    "hotplate_stirrer": Capability(
        {"speed": "rpm", "speed_setpoint": "rpm", "temperature": "degC", "setpoint": "degC"},
        {"stir": ("speed_rpm",), "stir_off": (), "heat_off": ()},
    ),
    # a controller that measures pressure too declares `pressure` (bar, absolute) besides
    "gas_flow": Capability({"flow": "sccm", "flow_setpoint": "sccm"}, {"set_flow": ("flow_sccm",)}),
    "oxygen": Capability({"oxygen": "ppm"}, {}),
    # source: hold voltage_v with the current limited to limit_a (constant current until the voltage is reached).
    # `elapsed` is the instrument's own time of the sample; `limited` is 1 while the limit acts; `output` 1 is on.
    "cycler": Capability(
        {"voltage": "V", "current": "A", "elapsed": "s", "limited": "1", "output": "1"},
        {"source": ("voltage_v", "limit_a"), "open_circuit": ()},
    ),
    # Contacts (door to estop) are 1 while closed: all is well; 0, an open contact or a broken wire, is unsafe.
    # Pressures are gauge. Outputs read 1 while on: contactor lets the heater have power, bypass lets N2 flow past the
    # mass-flow controller. watchdog: 0 off, 1 running, 2 expired (no output has current). A bench may wire fewer: a
    # signal without a channel is absent, never assumed; the watchdog is always told. arm: (re)start the watchdog.
    "io": Capability(
        dict.fromkeys(("door", "extraction", "limiter", "water", "estop"), "1")
        | {"room_oxygen": "%", "room_co": "ppm", "tube_pressure": "bar", "cylinder_pressure": "bar"}
        | dict.fromkeys(("contactor", "bypass", "beacon", "watchdog"), "1"),
        {"set_output": ("name", "on"), "arm": ()},
    ),
    # `mass` is net. `stable` is 1 while it rests. tare: makes the net of what rests there 0. A balance that tells its
    # tare declares `tare` (g) besides, so that a hand at its panel is noticed.
    "balance": Capability({"mass": "g", "stable": "1"}, {"tare": (), "zero": ()}),
    # dispense: infuse a volume and stop; `dispensed` counts from then on. pump_off: stop, and forget the rest. `alarm`
    # is 0, or says why it stopped by itself since then: 1 power came back, 2 stalled, others as its driver says.
    "syringe_pump": Capability(
        {"pumping": "1", "dispensed": "mL", "rate": "mL/min", "alarm": "1"},
        {"dispense": ("volume_ml", "rate_ml_per_min"), "pump_off": ()},
    ),
    # start_schedule: galvanostatic cycling that the instrument carries out by itself, under limits of its own;
    # `blocks` are [rate_c, cycles] pairs, charge first. stop: open circuit. `capacity` is of the half cycle, `elapsed`
    # the test's own time, `test` its number (a new one with each start). `state`: 0 finished or never started, 1 works,
    # 2 paused, 3 was stopped, 4 tripped by its own limits.
    "scheduled_cycler": Capability(
        {"voltage": "V", "current": "A", "elapsed": "s", "capacity": "mAh", "cycle": "1", "step": "1"}
        | {"state": "1", "test": "1"},
        {
            "start_schedule": (
                "blocks",
                "specific_current_ma_per_g",
                "active_mass_mg",
                "upper_v",
                "lower_v",
            ),
            "stop": (),
        },
    ),
}


class Driver(ABC):
    """One instrument. Blocking calls, one owner thread, no state that the instrument does not confirm.

    Construct with a line and the bench file's options; nothing is opened before `open`.
    """

    signals: tuple[Signal, ...]
    """What `read` returns, in this order; fewer than the entry declares where fewer are wired."""

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Keep both; open nothing. Unknown options raise ValueError naming the nearest valid one."""
        self.line = line
        self.options = options

    @abstractmethod
    def open(self) -> None:
        """Open the port. Raises CommunicationError."""

    @abstractmethod
    def audit(self) -> Audit:
        """Ask for identity and for every setting that safety rests on. Reads only."""

    @abstractmethod
    def read(self) -> tuple[Reading, ...]:
        """One reading for each of `signals`. Never raises for a silent instrument: it returns SILENT readings."""

    @abstractmethod
    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a verb and return what was read back, numbers with units in the key.

        Raises RefusedError (limits; nothing was sent), NotDoneError (read-back differs) or
        CommunicationError (a reply was lost: the outcome is unknown).
        """

    @abstractmethod
    def close(self) -> None:
        """Release the port; closing twice is fine. Never changes what the instrument does."""

    def silent(self) -> tuple[Reading, ...]:
        """The image of an instrument that did not answer."""
        now = self.line.clock.now()
        return tuple(Reading(None, s.unit, SILENT, now) for s in self.signals)


@dataclass(frozen=True, slots=True)
class Effect:
    """How a verb shows itself where the instrument has no question for it: unverified until this is seen.

    signal: the reading that tells, good and within `tolerance` (its unit) of the target in `within_s` s.
    argument: name of the verb's argument that is the target; "" for a target of 0.
    """

    signal: str
    argument: str
    tolerance: float
    within_s: float


@dataclass(frozen=True, slots=True)
class Unverified:
    """A register, an enumeration or a behaviour that nobody has confirmed on a real instrument yet.

    safety: were it otherwise, heat, gas or a cell would be handled wrongly; a real instrument then neither heats nor
    charges before `labctl commission` has recorded it. shown_by: signals and audit items that show what it is now.
    """

    text: str
    safety: bool = True
    shown_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """The declaration of a driver, found by its entry point in the group `labctl.drivers`.

    name: as benches name it. capabilities: names in `CAPABILITIES` (an option of the bench file may withhold one).
    factory: builds the driver. device: the simulator's device of the same instrument, or None: "not simulated".
    link: "serial", "tcp" or "visa": what the real instrument has. options: valid option names with what they mean.
    on_comms_loss, on_power_return: what the instrument itself does, in words.
    unverified: what nobody has confirmed on real hardware yet; a plain text counts as relevant for safety.
    host_ramp: the instrument has no ramp of its own; labctl moves its setpoint with the verb `renew`.
    lease_s: its dead-man; a `heat` lapses when `renew` stays away that long. None: it has none.
    effects: by verb, how what cannot be read back is seen.
    """

    name: str
    title: str
    capabilities: tuple[str, ...]
    factory: Callable[[Line, Mapping[str, Any]], Driver]
    signals: tuple[Signal, ...]
    device: str | None
    link: str
    on_comms_loss: str
    on_power_return: str
    options: Mapping[str, str] = field(default_factory=dict)
    unverified: tuple[Unverified | str, ...] = ()
    host_ramp: bool = False
    lease_s: float | None = None
    effects: Mapping[str, Effect] = field(default_factory=dict)
    api: int = DRIVER_API

    @property
    def unknowns(self) -> tuple[Unverified, ...]:
        """`unverified`, each of them as `Unverified`."""
        return tuple(Unverified(item) if isinstance(item, str) else item for item in self.unverified)
