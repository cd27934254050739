"""What differs between the models: addresses, bits, enumerations and sequences, as data.

Sources: 3200: handbook HA028651 issue 7 pp. 81-82 and issue 11 p. 41 (registers, status bits, sensor break),
series 2000 communications handbook HA026230 issue 3 (frames, exceptions, silent discards). EPC3016: the
register list of a published client (5663 rows, exported by the maker's tool); what its function blocks do
is recalled from the user guide HA032842 and unverified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

from labctl.bench.api import Unverified

FALLBACK_C = 20.0
"""SP1, which holds when the lease ends: no heat is demanded at any room temperature worth working in."""


class Item(NamedTuple):
    """A register that is made to read `value`.

    kind: "number" (a temperature, rate or output in its unit), "choice" (an enumeration or flag) or "time" (s).
    by: (address, value) of the choice that is written to get there, where the register is not written itself.
    """

    what: str
    address: int
    value: float
    kind: Literal["number", "choice", "time"] = "choice"
    by: tuple[int, int] | None = None


class Setting(NamedTuple):
    """A choice that the audit wants in one of the `wanted` states, by number; `otherwise` says what it means."""

    name: str
    address: int
    wanted: Mapping[int, str]
    otherwise: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Registers of one model, addresses as in the PDU.

    live: first of the block process value, target setpoint, manual output, working output, working setpoint.
    before_heat: set and read back before anything that energises: what holds when the host falls silent.
    rates: setpoint rate limits. energise: from fall-back to control. off: takes the heat away, in this order.
    in_use: reads so once the remote setpoint acts; None where the instrument does not tell.
    settings: what the audit wants. unverified: what of this nobody has confirmed on hardware.
    """

    title: str
    live: int = 1
    select: int = 15
    sp1: int = 24
    safe_output: int = 34
    limit_high: int = 111
    limit_low: int = 112
    manual: int = 273
    remote: int = 276
    remote_setpoint: int
    rates: tuple[int, ...]
    before_heat: tuple[Item, ...]
    energise: tuple[Item, ...]
    off: tuple[Item, ...]
    in_use: Item | None = None
    settings: tuple[Setting, ...]
    unverified: tuple[Unverified, ...]

    @property
    def working_output(self) -> int:
        """What the heater is given."""
        return self.live + 3

    @property
    def writable(self) -> frozenset[int]:
        """All that this driver ever writes. The instrument mode (199) can destroy calibration: never."""
        items = chain(self.before_heat, self.energise, self.off)
        return frozenset(
            (self.remote_setpoint, *self.rates, *(i.by[0] if i.by else i.address for i in items))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsProfile(Profile):
    """A model whose numbers are display digits in 16-bit registers. bit_*: masks in the status word."""

    status: int
    bit_manual: int
    bit_sensor_break: int
    bit_over_range: int
    bit_remote_fail: int
    version: int
    type_code: int
    decimals: int

    @property
    def fences(self) -> tuple[tuple[int, int], ...]:
        """Reads by which the driver finds the line in step again: no other reads two, three or four registers."""
        return (self.limit_high, 2), (self.live, 3), (self.live, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatProfile(Profile):
    """A model with an IEEE region: a parameter's float32 is at 0x8000 + 2 x its address.

    sensor_break: flag, followed by the status of the process value (0 good). setpoint_source: `forced_local` there
    says that the remote setpoint is selected but bad. in_manual: flag. company, type_code, serial: identity.
    remote_scale: high and low range, high and low scale of the remote setpoint. before_program: set and read back
    before a resident cool-down, which is to go on without the host and to end at SP1.
    """

    sensor_break: int
    setpoint_source: int
    forced_local: int
    in_manual: int
    company: int
    type_code: int
    serial: int
    remote_scale: int
    before_program: tuple[Item, ...]


_SP1 = Item("fall-back setpoint", 24, FALLBACK_C, "number")
_SELECT = Item("setpoint 1 selected", 15, 0)

EURO_3216 = CountsProfile(
    title="Eurotherm 3216, 3208 or 3204",
    status=75,
    bit_manual=1 << 4,
    bit_sensor_break=1 << 5,
    bit_over_range=1 << 10,
    bit_remote_fail=1 << 14,
    remote_setpoint=26,
    rates=(35,),
    version=107,
    type_code=122,
    decimals=525,
    before_heat=(_SELECT, _SP1),
    energise=(Item("remote setpoint selected", 276, 1), Item("automatic", 273, 0)),
    off=(
        Item("timer reset", 23, 0),
        Item("local setpoint selected", 276, 0),
        Item("manual", 273, 1),
        Item("manual output", 3, 0, "number"),
        Item("remote setpoint", 26, FALLBACK_C, "number"),
        _SP1,
    ),
    settings=(
        Setting("units", 516, {0: "degC"}),
        Setting("sensor break", 578, {1: "on", 2: "latching"}, "off: full power on an open thermocouple"),
        Setting("ramp units", 531, {0: "per minute"}),
    ),
    unverified=(
        Unverified(
            "remote setpoint falls back to SP1 about 5 s after its last write",
            shown_by=("setpoint", "remote_fail"),
        ),
        Unverified("register 2 shows the remote setpoint while it is selected", shown_by=("setpoint",)),
        Unverified("register 34 is the output on sensor break", shown_by=("output on sensor break",)),
        Unverified(
            "outputs and ramp rate have the display's decimal places", shown_by=("output", "decimal places")
        ),
        Unverified(
            "numbers of the enumerations 516 (0 = degC), 531 (0 = per minute) and 578 (0 = off)",
            shown_by=("units", "ramp units", "sensor break"),
        ),
        Unverified(
            "remote setpoint is lost at power-off, so that SP1 holds after power returns",
            shown_by=("setpoint", "setpoint after power return"),
        ),
        Unverified("the ramp starts at the process value when the loop goes to automatic", safety=False),
    ),
)

EPC_LEASE_S = 10
"""Time-out of the remote setpoint and of the network watchdog that `heat` sets (chosen: below the 15 s after
which a silent furnace is held)."""
EPC_COMMS = {"option": 1233, "fixed": 1169}
"""First watchdog register of the communications that the instrument is reached by."""


def epc3016(comms: str = "option") -> FloatProfile:
    """The EPC3016 on its option board's Ethernet, or on fixed communications. Raises KeyError for others."""
    watchdog = EPC_COMMS[comms]
    reset = Item("program reset", 23, 1, by=(10575, 1))
    local = Item("local setpoint selected", 276, 1)
    return FloatProfile(
        title="Eurotherm EPC3016",
        remote_setpoint=277,
        rates=(35, 1667),
        sensor_break=1931,
        setpoint_source=1623,
        forced_local=0,
        in_manual=1901,
        company=121,
        type_code=1027,
        serial=1026,
        remote_scale=2304,
        before_heat=(
            reset,
            _SELECT,
            _SP1,
            Item("time-out of the remote setpoint", 2308, EPC_LEASE_S),
            Item("watchdog time-out", watchdog, EPC_LEASE_S, "time"),
            Item("watchdog cleared by hand only", watchdog + 1, 0),
            Item("watchdog recovery", watchdog + 2, 0, "time"),
            Item("watchdog not tripped", watchdog + 3, 0),
            Item("rate limits enabled", 1668, 0),
        ),
        before_program=(
            reset,
            _SELECT,
            _SP1,
            Item("watchdog off", watchdog, 0, "time"),
            Item("watchdog not tripped", watchdog + 3, 0),
            local,
        ),
        energise=(Item("remote setpoint selected", 276, 0), Item("automatic", 273, 0)),
        off=(
            reset,
            local,
            Item("manual", 273, 1),
            Item("manual output", 3, 0, "number"),
            Item("remote setpoint", 277, FALLBACK_C, "number"),
            _SP1,
        ),
        in_use=Item("remote setpoint in use", 1623, 1),
        settings=(
            Setting("instrument mode", 199, {0: "operator"}),
            Setting("units", 516, {0: "degC"}),
            Setting("sensor break", 1930, {1: "low", 2: "high"}, "off: an open thermocouple goes unnoticed"),
            Setting("output on a bad process value", 553, {0: "fall-back value"}),
            Setting("ramp units", 531, {1: "per minute"}),
            Setting("remote setpoint enabled", 1666, {1: "yes"}),
            Setting("program after power return", 518, {1: "reset"}, "a program could go on heating"),
        ),
        unverified=(
            Unverified(
                "a remote setpoint (277) older than its time-out (2308, s) is bad, and the loop falls back to SP1",
                shown_by=("setpoint", "remote_fail"),
            ),
            Unverified(
                "what the watchdog flag (1172, 1236) does is wired in the instrument: prove it by pulling the cable",
                shown_by=("setpoint",),
            ),
            Unverified(
                "numbers of the enumerations 23, 276 (0 = remote), 516, 518, 531, 553, 1234, 1623 and 1930",
                shown_by=(
                    "units",
                    "sensor break",
                    "output on a bad process value",
                    "ramp units",
                    "program after power return",
                ),
            ),
            Unverified(
                "which communications block an Ethernet option board uses: 1233, or 1169 (option comms: fixed)"
            ),
            Unverified(
                "float32 and times (ms) at 0x8000 + 2 x address, as in older series; the serial number as one too",
                shown_by=("temperature",),
            ),
            Unverified("the ramp starts at the process value when the loop goes to automatic", safety=False),
        ),
    )


SERIES_3200: Mapping[str, Profile] = {"3216": EURO_3216}
EPC3000: Mapping[str, Profile] = {"EPC3016": epc3016()}
PROFILES: Mapping[str, Profile] = {**SERIES_3200, **EPC3000}
"""By the name that benches use in the option `profile`."""
