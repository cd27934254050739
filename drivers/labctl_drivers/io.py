"""A digital and analog I/O module over Modbus TCP: what guards a furnace, and what may take its heat away.

Inputs are contacts that are closed while all is well: an open contact, and so a broken wire, is the unsafe
value 0. Analog inputs are 4..20 mA; a current outside 3.6..21 mA is a broken loop, not a number (NAMUR NE 43).
Registers as those of a WAGO 750 coupler: watchdog from 0x1000 and identity from 0x2010 after its manual,
coils read back from 0x200 on from recall. Other modules differ in the numbers, which are options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from labctl.bench.api import (
    BAD,
    GOOD,
    Audit,
    AuditItem,
    CommunicationError,
    Driver,
    DriverEntry,
    InstrumentError,
    Line,
    NotDoneError,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.options import check_options
from labctl_drivers.ports.modbus_tcp import COILS, DISCRETE, ModbusTcp

CONTACTS = (
    Signal("door", "1", 0.0, 1.0, 1.0),
    Signal("extraction", "1", 0.0, 1.0, 1.0),
    Signal("limiter", "1", 0.0, 1.0, 1.0),
    Signal("water", "1", 0.0, 1.0, 1.0),
    Signal("estop", "1", 0.0, 1.0, 1.0),
)
ANALOGS = (
    Signal("room_oxygen", "%", 0.0, 30.0, 0.1),
    Signal("room_co", "ppm", 0.0, 1000.0, 1.0),
    Signal("tube_pressure", "bar", -1.0, 10.0, 0.001),
    Signal("cylinder_pressure", "bar", 0.0, 400.0, 0.1),
)
OUTPUTS = (
    Signal("contactor", "1", 0.0, 1.0, 1.0),
    Signal("bypass", "1", 0.0, 1.0, 1.0),
    Signal("beacon", "1", 0.0, 1.0, 1.0),
)
WATCHDOG = Signal("watchdog", "1", 0.0, 2.0, 1.0)
SIGNALS: tuple[Signal, ...] = (*CONTACTS, *ANALOGS, *OUTPUTS, WATCHDOG)
"""Contacts: 1 is closed, all is well. Pressures are gauge. Outputs: 1 is on, whatever their coil is then. watchdog:
0 off, 1 running, 2 expired (every output is without current)."""

LOWEST_MA, HIGHEST_MA = 3.6, 21.0
"""Beyond, the loop is broken or shorted (NAMUR NE 43)."""

CHANNELS: Mapping[str, Mapping[str, float]] = {
    "door": {"input": 0},
    "extraction": {"input": 1},
    "limiter": {"input": 2},
    "water": {"input": 3},
    "estop": {"input": 4},
    "room_oxygen": {"register": 0, "low": 0.0, "high": 25.0},
    "room_co": {"register": 1, "low": 0.0, "high": 300.0},
    "tube_pressure": {"register": 2, "low": 0.0, "high": 0.5},
    "cylinder_pressure": {"register": 3, "low": 0.0, "high": 250.0},
    "contactor": {"coil": 0},
    "bypass": {"coil": 1, "on": 0},
    "beacon": {"coil": 2},
}
"""Of a bench that names none. low, high: values at 4 and 20 mA; counts_4_ma, counts_20_ma: what the register reads
there (4000 and 20000: microamperes). on: state of the coil in which the output is on; 0 for a valve that is open
without current, so that nitrogen flows when all power is gone."""
_KEYS = {
    "input": ("input",),
    "register": ("register", "low", "high", "counts_4_ma", "counts_20_ma"),
    "coil": ("coil", "on"),
}

WATCHDOG_AT = 0x1000
TIME, MASK, TRIGGER, STATE, STOP = 0, 1, 3, 6, 8
"""Offsets of the watchdog's registers: time in 0.1 s, functions that feed it, trigger, state, stop and clear."""
STOP_WORD, EVERY_FUNCTION = 0x55AA, 0xFFFF
OFF, RUNNING, EXPIRED = 0, 1, 2
IDENTITY = 0x2010

OPTIONS = {
    "unit": "Modbus unit, 0..255 (default 1)",
    "timeout_s": "how long an answer may take (default 0.5)",
    "channels": "signals that are wired, each with its input, register or coil; one not named is absent (default: all)",
    "readback": "where coils are read back, added to their number (default 512)",
    "watchdog_at": "first register of the watchdog (default 4096); 0: the module has none",
    "watchdog_s": "seconds without a request after which it takes all outputs away, 1..30 (default 10)",
    "sim_cylinder_l": "contents of the simulated cylinder, normal litres (default 10000)",
    "sim_cylinder_bar": "its pressure when full (default 200)",
    "sim_bypass_sccm": "flow through the restrictor of its bypass (default 200)",
    "sim_exhaust_bar_per_sccm": "resistance of its exhaust (default 2e-5)",
    "sim_limiter_c": "where its excess-temperature limiter trips (default 1150)",
}


class Analog(NamedTuple):
    """A 4..20 mA input: register, value at 4 mA and per mA, counts at 4 mA and per mA."""

    register: int
    low: float
    per_ma: float
    counts_4_ma: float
    counts_per_ma: float


class Io(Driver):
    """One module. Polling feeds its watchdog, which takes every output's current away when the host is gone."""

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Options: see `OPTIONS`. Raises ValueError for unknown names and impossible channels."""
        check_options("io", options, OPTIONS)
        super().__init__(line, options)
        channels: Mapping[str, Mapping[str, float]] = options.get("channels") or CHANNELS
        check_options("io channels", channels, CHANNELS)
        for name, channel in channels.items():
            key = next(k for k in _KEYS if k in CHANNELS[name])
            check_options(f"io channel {name}", channel, _KEYS[key])
            if key not in channel:
                raise ValueError(f"io channel {name}: no {key}")
        self._contacts = {s.name: int(channels[s.name]["input"]) for s in CONTACTS if s.name in channels}
        self._analogs = {s.name: _analog(s.name, channels[s.name]) for s in ANALOGS if s.name in channels}
        self._coils = {s.name: int(channels[s.name]["coil"]) for s in OUTPUTS if s.name in channels}
        self._on = {name: bool(channels[name].get("on", 1)) for name in self._coils}
        self.signals = tuple(s for s in SIGNALS if s.name in channels or s is WATCHDOG)
        self._readback = int(options.get("readback", 512))
        self._watchdog = int(options.get("watchdog_at", WATCHDOG_AT))
        self._watchdog_s = float(options.get("watchdog_s", 10.0))
        if not 1.0 <= self._watchdog_s <= 30.0:
            raise ValueError(f"io: watchdog_s {self._watchdog_s:g} is not within 1..30 s")
        self._modbus: ModbusTcp | None = None

    def open(self) -> None:
        port = self.line.open_stream(timeout_s=float(self.options.get("timeout_s", 0.5)))
        self._modbus = ModbusTcp(port, int(self.options.get("unit", 1)))

    def close(self) -> None:
        if self._modbus is not None:
            self._modbus.port.close()
            self._modbus = None

    def audit(self) -> Audit:
        """Identity, watchdog, and that nothing is switched on without it. Reads only."""
        modbus = self._connected()
        identity = {"maker": "unknown"}
        try:
            firmware, series, number = modbus.read_holding(IDENTITY, 3)
            identity = {
                "maker": "WAGO",
                "series": str(series),
                "item": str(number),
                "firmware": str(firmware),
            }
        except RefusedError:
            pass  # another maker's module
        state, time_s = self._state(), self._time_s()
        identity["watchdog"] = f"{_STATES.get(state, str(state))}, {time_s:g} s"
        energised = [] if state == EXPIRED else [name for name, coil in self._energised().items() if coil]
        return Audit(
            identity,
            (
                AuditItem(
                    "watchdog", self._watchdog != 0, "there" if self._watchdog else "none", "a watchdog"
                ),
                AuditItem(
                    "outputs without a watchdog",
                    state == RUNNING or not energised,
                    ", ".join(energised) or "none",
                    "none",
                ),
            ),
        )

    def read(self) -> tuple[Reading, ...]:
        try:
            state = self._state()
            if state == EXPIRED:
                return self._expired()
            found = (
                self._bits(DISCRETE, self._contacts, 0)
                | self._currents()
                | {name: coil is self._on[name] for name, coil in self._energised().items()}
            )
        except InstrumentError:
            return self.silent()
        now = self.line.clock.now()
        readings = []
        for signal in self.signals:
            value = found.get(signal.name)
            if isinstance(value, Reading):
                readings.append(value._replace(t_s=now))
            else:
                readings.append(Reading(float(state if value is None else value), signal.unit, GOOD, now))
        return tuple(readings)

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """`set_output(name, on)`, or `arm()`: start the watchdog, or start it again once it has expired."""
        if verb == "set_output":
            return self._set_output(str(args["name"]), bool(args["on"]))
        if verb == "arm":
            self._arm()
            return {"watchdog_s": self._watchdog_s}
        raise RefusedError(f"io: no verb {verb!r}; it has set_output and arm")

    def _set_output(self, name: str, on: bool) -> dict[str, Any]:
        """Switch an output and read it back. What gives current is sent once, and never without the watchdog."""
        if name not in self._coils:
            raise RefusedError(f"io: no output {name!r}; this module has {', '.join(self._coils) or 'none'}")
        coil = on is self._on[name]
        if coil or self._state() == EXPIRED:
            self._arm()
        if self._energised()[name] is not coil:
            try:
                self._connected().write_coil(self._coils[name], coil)
            except CommunicationError:
                if coil:
                    raise
                self._connected().write_coil(self._coils[name], coil)
        if self._energised()[name] is not coil:
            raise NotDoneError(f"io: {name} reads back {'off' if on else 'on'}")
        return {name: 1.0 if on else 0.0}

    def _arm(self) -> None:
        """See the watchdog run with its time. One that has expired has taken every output's current away."""
        if not self._watchdog:
            raise RefusedError("io: this module has no watchdog; nothing is switched on with it")
        if self._state() == RUNNING and self._time_s() == self._watchdog_s:
            return
        modbus, at = self._connected(), self._watchdog
        modbus.write(at + STOP, (STOP_WORD,))
        modbus.write(at + TIME, (round(self._watchdog_s * 10),))
        modbus.write(at + MASK, (EVERY_FUNCTION,))
        (trigger,) = modbus.read_holding(at + TRIGGER)
        modbus.write(at + TRIGGER, (trigger % 0xFFFF + 1,))  # every change triggers it, zero does not
        time_s, state = self._time_s(), self._state()
        (mask,) = modbus.read_holding(at + MASK)
        if (time_s, mask, state) != (self._watchdog_s, EVERY_FUNCTION, RUNNING):
            raise NotDoneError(
                f"io: the watchdog reads {time_s:g} s, mask 0x{mask:04X}, {_STATES.get(state, str(state))}"
            )

    def _state(self) -> int:
        if not self._watchdog:
            self._connected()
            return OFF
        (state,) = self._connected().read_holding(self._watchdog + STATE)
        if state > EXPIRED:
            raise CommunicationError(f"io: a watchdog state of {state} is none")
        return state

    def _time_s(self) -> float:
        if not self._watchdog:
            return 0.0
        return self._connected().read_holding(self._watchdog + TIME)[0] / 10.0

    def _energised(self) -> dict[str, bool]:
        return self._bits(COILS, self._coils, self._readback)

    def _bits(self, table: int, places: Mapping[str, int], offset: int) -> dict[str, bool]:
        """The named bits of a table, in one transaction."""
        if not places:
            return {}
        first = min(places.values())
        bits = self._connected().read_bits(table, first + offset, max(places.values()) - first + 1)
        return {name: bits[place - first] for name, place in places.items()}

    def _currents(self) -> dict[str, Reading]:
        """The analog inputs, in one transaction."""
        if not self._analogs:
            return {}
        places = [a.register for a in self._analogs.values()]
        first = min(places)
        words = self._connected().read_input(first, max(places) - first + 1)
        return {name: _reading(name, a, words[a.register - first]) for name, a in self._analogs.items()}

    def _expired(self) -> tuple[Reading, ...]:
        """What is known once the watchdog has expired: that no output has current. The module tells nothing else."""
        now = self.line.clock.now()
        known = {name: 0.0 if on else 1.0 for name, on in self._on.items()} | {WATCHDOG.name: float(EXPIRED)}
        return tuple(
            Reading(known.get(s.name), s.unit, GOOD if s.name in known else BAD, now) for s in self.signals
        )

    def _connected(self) -> ModbusTcp:
        if self._modbus is None:
            raise CommunicationError(f"{self.line.address} is not open")
        return self._modbus


_STATES = {OFF: "off", RUNNING: "running", EXPIRED: "expired"}
_UNITS = {s.name: s.unit for s in SIGNALS}


def _analog(name: str, channel: Mapping[str, float]) -> Analog:
    low, high = (
        float(channel.get("low", CHANNELS[name]["low"])),
        float(channel.get("high", CHANNELS[name]["high"])),
    )
    at_4, at_20 = float(channel.get("counts_4_ma", 4000)), float(channel.get("counts_20_ma", 20000))
    if low == high or at_4 == at_20:
        raise ValueError(f"io channel {name}: 4 and 20 mA mean the same")
    return Analog(int(channel["register"]), low, (high - low) / 16.0, at_4, (at_20 - at_4) / 16.0)


def _reading(name: str, analog: Analog, word: int) -> Reading:
    """The value of a current; a current that no transmitter sends is BAD."""
    counts = word - 65536 if word & 0x8000 else word
    above_4_ma = (counts - analog.counts_4_ma) / analog.counts_per_ma
    good = LOWEST_MA <= above_4_ma + 4.0 <= HIGHEST_MA
    return Reading(analog.low + analog.per_ma * above_4_ma, _UNITS[name], GOOD if good else BAD, 0.0)


ENTRY = DriverEntry(
    name="io",
    title="Digital and analog I/O module (Modbus TCP, WAGO 750 coupler)",
    capabilities=("io",),
    factory=Io,
    signals=SIGNALS,
    device="io_module",
    link="tcp",
    on_comms_loss=(
        "its watchdog takes the current from every output 10 s after the last request: the contactor opens"
        " (heat off), the bypass opens (nitrogen flows), the beacon goes dark"
    ),
    on_power_return="every output is without current until it is switched, and the watchdog is off",
    options=OPTIONS,
    unverified=(
        Unverified("coils are read back from 0x200 on", shown_by=("contactor", "bypass", "beacon")),
        Unverified(
            "an expired watchdog refuses process data, and reading coils of a running one feeds it",
            shown_by=("watchdog",),
        ),
        Unverified(
            "which contact, transmitter and coil is which: channels, ranges and the bypass valve's resting position",
            shown_by=(
                "door",
                "extraction",
                "limiter",
                "water",
                "estop",
                "tube_pressure",
                "cylinder_pressure",
            ),
        ),
    ),
)
