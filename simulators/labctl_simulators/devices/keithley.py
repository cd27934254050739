"""A Keithley 2450 SourceMeter as a battery cycler: SCPI, raw socket 5025.

Commands, status bits and replies after the 2450 reference manual (2450-901-01) and the battery
application of its quick-start guide: source voltage with a current limit, output-off state high
impedance, four-wire sense. With the output off the sense leads still show the cell; with two wires
nothing can be measured then (reference manual p. 2-83). Output-off state guard sources 0 A, which a
cell does not notice; normal and zero source 0 V, which drains it.

Not simulated, and answered as the undefined headers that they are here: sourcing current, sweeps and trigger
models, over-voltage protection, other buffer elements than those of the battery method, languages other than SCPI.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from labctl_simulators.devices.api import Bindings, CellModel, Device, Session
from labctl_simulators.wire.scpi import (
    DATA_TYPE,
    ILLEGAL_VALUE,
    OUT_OF_RANGE,
    Handler,
    ScpiError,
    ScpiSession,
    header_pattern,
)

LIMITED, FOUR_WIRE, OUTPUT_ON = 32, 64, 128
"""Bits of SOURSTAT (reference manual, buffer elements)."""

CURRENT_RANGES_A = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
VOLTAGE_RANGES_V = (0.02, 0.2, 2.0, 20.0, 200.0)
BUFFER_POINTS = 100_000
"""Default capacity of defbuffer1 (reference manual)."""

MEASURE_S = 0.05
"""A read-back and a measurement of one power-line cycle each, at 50 Hz, with overhead (assumed)."""
ANSWER_S = 0.004
"""Any other query over a raw socket (assumed)."""

QUEUE_LENGTH = 64


class Setting(NamedTuple):
    """A parameter of the instrument: its value after *RST, and how its text is read and shown."""

    name: str
    reset: Any
    read: Callable[[str], Any]
    show: Callable[[Any], str]


class Sample(NamedTuple):
    """One reading in a buffer. time_s is plant time; status are the SOURSTAT bits."""

    time_s: float
    source: float
    reading: float
    status: int


@dataclass(slots=True)
class Buffer:
    """A reading buffer that overwrites its oldest point. REL counts from its first one."""

    samples: deque[Sample]
    first_s: float | None = None


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ScpiError(*DATA_TYPE) from None
        if not low <= value <= high:
            raise ScpiError(*OUT_OF_RANGE)
        return value

    return read


def _range(ranges: Sequence[float]) -> Callable[[str], float]:
    """The smallest range that holds the value, five per cent over-range included."""
    number = _number(0.0, ranges[-1] * 1.05)

    def read(text: str) -> float:
        value = number(text)
        return next(r for r in ranges if value <= r * 1.05)

    return read


def _choice(*notations: str) -> Callable[[str], str]:
    patterns = [
        (header_pattern(n), "".join(c for c in n.partition("[")[0] if c.isupper())) for n in notations
    ]

    def read(text: str) -> str:
        word = text.strip("\"'").upper()
        for pattern, short in patterns:
            if pattern.fullmatch(word):
                return short
        raise ScpiError(*ILLEGAL_VALUE)

    return read


_SWITCH = {"1": True, "ON": True, "0": False, "OFF": False}


def _switch(text: str) -> bool:
    try:
        return _SWITCH[text.upper()]
    except KeyError:
        raise ScpiError(*ILLEGAL_VALUE) from None


def _show_number(value: float) -> str:
    return f"{value:.7G}"


def _show_switch(value: bool) -> str:
    return "1" if value else "0"


def _show_function(value: str) -> str:
    return f'"{value}:DC"'


SETTINGS: Mapping[str, Setting] = {
    ":SOURce[1]:FUNCtion[:MODE]": Setting("source", "VOLT", _choice("VOLTage", "CURRent"), str),
    ":SOURce[1]:VOLTage[:LEVel][:IMMediate][:AMPLitude]": Setting(
        "level_v", 0.0, _number(-210.0, 210.0), _show_number
    ),
    ":SOURce[1]:VOLTage:RANGe": Setting("range_v", 0.02, _range(VOLTAGE_RANGES_V), _show_number),
    ":SOURce[1]:VOLTage:RANGe:AUTO": Setting("source_autorange", True, _switch, _show_switch),
    ":SOURce[1]:VOLTage:ILIMit[:LEVel]": Setting("limit_a", 1.05e-4, _number(1e-9, 1.05), _show_number),
    ":SOURce[1]:VOLTage:READ:BACK": Setting("readback", True, _switch, _show_switch),
    ":SENSe[1]:FUNCtion[:ON]": Setting(
        "sense", "CURR", _choice("VOLTage[:DC]", "CURRent[:DC]"), _show_function
    ),
    ":SENSe[1]:CURRent[:DC]:RANGe[:UPPer]": Setting("range_a", 1e-4, _range(CURRENT_RANGES_A), _show_number),
    ":SENSe[1]:CURRent[:DC]:RANGe:AUTO": Setting("autorange", True, _switch, _show_switch),
    ":SENSe[1]:CURRent[:DC]:RSENse": Setting("four_wire", False, _switch, _show_switch),
    ":SENSe[1]:VOLTage[:DC]:RSENse": Setting("four_wire_volt", False, _switch, _show_switch),
    ":SENSe[1]:CURRent[:DC]:NPLCycles": Setting("nplc", 1.0, _number(0.01, 10.0), _show_number),
    # one measurement a :READ? is all that is simulated
    ":SENSe[1]:COUNt": Setting("count", 1.0, _number(1, 1), _show_number),
    ":OUTPut[1][:STATe]": Setting("output", False, _switch, _show_switch),
    ":OUTPut[1][:VOLTage]:SMODe": Setting(
        "off_mode", "NORM", _choice("NORMal", "HIMPedance", "ZERO", "GUARd"), str
    ),
    ":ROUTe:TERMinals": Setting("terminals", "FRON", _choice("FRONt", "REAR"), str),
}
"""Every parameter the battery method needs, by its header."""

_ELEMENTS = {
    "READ": "READ",
    "READING": "READ",
    "REL": "REL",
    "RELATIVE": "REL",
    "SOUR": "SOUR",
    "SOURCE": "SOUR",
    "SOURSTAT": "SOURSTAT",
    "SOURSTATUS": "SOURSTAT",
}
"""Buffer elements of the battery method, in their spellings."""
_WHOLE = ("SOUR", "READ", "REL", "SOURSTAT")


@dataclass(slots=True)
class Keithley2450:
    """The instrument: settings as data, an error queue, reading buffers, and a cell or open terminals.

    off_mode: output-off state recalled at power-up ("HIMP" where a lab saved one, "NORM" as shipped).
    """

    cell: CellModel | None
    serial_number: str = "04096331"
    firmware: str = "1.6.7c"
    off_mode: str = "HIMP"
    settings: dict[str, Any] = field(default_factory=dict)
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=QUEUE_LENGTH))
    buffers: dict[str, Buffer] = field(default_factory=dict)

    commands: Mapping[str, Handler] = field(init=False, default_factory=lambda: COMMANDS)

    def __post_init__(self) -> None:
        """Power up."""
        self.power_cycle()

    @property
    def resting(self) -> bool:
        """Nothing of its own moves."""
        return True

    def tick(self, now_s: float) -> None:
        """Nothing of its own moves between queries; the cell is the plant's."""

    def power_cycle(self) -> None:
        """Off and on: *RST, but for the output-off state that was saved."""
        self.errors.clear()
        self.reset()
        self.settings["off_mode"] = self.off_mode
        self._apply()

    def takes_s(self, handler: Handler) -> float:
        return MEASURE_S if handler is _read else ANSWER_S

    def error(self, number: int, text: str, now_s: float) -> None:
        stamp = datetime(1970, 1, 1) + timedelta(seconds=now_s)
        if len(self.errors) < QUEUE_LENGTH:
            self.errors.append(
                f'{number},"{text};1;{stamp:%Y/%m/%d %H:%M:%S}.{stamp.microsecond // 1000:03d}"'
            )
        else:
            self.errors[-1] = '-350,"Queue overflow;1;0"'

    def reset(self) -> None:
        """*RST: every setting to its default, output off, buffers empty."""
        self.settings.update((s.name, s.reset) for s in SETTINGS.values())
        self.buffers = {name: Buffer(deque(maxlen=BUFFER_POINTS)) for name in ("defbuffer1", "defbuffer2")}
        self._apply()

    def set(self, name: str, value: Any) -> None:
        """Change a setting; the terminals follow."""
        settings = self.settings
        if name in ("source", "terminals"):
            settings["output"] = False
        if name == "range_a":
            settings["autorange"] = False
        if name == "range_v":
            settings["source_autorange"] = False
        settings[name] = value
        if name in ("output", "level_v", "limit_a", "off_mode", "source", "terminals"):
            self._apply()

    def _apply(self) -> None:
        cell, settings = self.cell, self.settings
        if cell is None:
            return
        if settings["output"]:
            cell.source(settings["level_v"], settings["limit_a"])
        elif settings["off_mode"] in ("HIMP", "GUAR"):
            cell.open_circuit()
        else:
            cell.source(0.0, 0.1 * settings["range_a"])

    def measure(self, now_s: float) -> Sample:
        """The terminals now, by the present settings."""
        settings, cell = self.settings, self.cell
        on, four_wire = settings["output"], settings["four_wire"]
        status = (OUTPUT_ON if on else 0) | (FOUR_WIRE if four_wire else 0)
        if cell is None:
            volts, amps = (settings["level_v"] if on else 0.0), 0.0
        elif on:
            volts, amps = cell.voltage_v, cell.current_a
            if cell.limited:
                status |= LIMITED
        else:
            volts, amps = (cell.voltage_v if four_wire else 0.0), 0.0
        source = volts if settings["readback"] else settings["level_v"]
        return Sample(now_s, source, amps if settings["sense"] == "CURR" else volts, status)

    def buffer(self, name: str) -> Buffer:
        """The buffer of that quoted name. Raises ScpiError when there is none."""
        try:
            return self.buffers[name.strip("\"'")]
        except KeyError:
            raise ScpiError(*ILLEGAL_VALUE) from None


@lru_cache(maxsize=64)
def _elements(words: tuple[str, ...]) -> tuple[str, ...]:
    """Canonical buffer elements; the reading alone when none are named."""
    try:
        return tuple(_ELEMENTS[word.upper()] for word in words) or ("READ",)
    except KeyError:
        raise ScpiError(*ILLEGAL_VALUE) from None


def _show(sample: Sample, first_s: float, elements: tuple[str, ...]) -> str:
    if elements == _WHOLE:  # what every reading asks for
        source, reading, status = sample.source, sample.reading, sample.status
        return f"{source:.6E},{reading:.6E},{sample.time_s - first_s:.6f},{status}"
    shown = []
    for element in elements:
        if element == "SOUR":
            shown.append(f"{sample.source:.6E}")
        elif element == "READ":
            shown.append(f"{sample.reading:.6E}")
        elif element == "REL":
            shown.append(f"{sample.time_s - first_s:.6f}")
        else:
            shown.append(str(sample.status))
    return ",".join(shown)


def _read(device: Keithley2450, now_s: float, name: str = "defbuffer1", *words: str) -> str:
    """:READ? measures, stores in the buffer, and shows the new sample."""
    buffer, elements = device.buffer(name), _elements(words)
    sample = device.measure(now_s)
    if buffer.first_s is None:
        buffer.first_s = now_s
    buffer.samples.append(sample)
    return _show(sample, buffer.first_s, elements)


def _fetch(device: Keithley2450, now_s: float, name: str = "defbuffer1", *words: str) -> str:
    """:FETCh? shows the newest sample of the buffer again."""
    buffer, elements = device.buffer(name), _elements(words)
    if not buffer.samples or buffer.first_s is None:
        raise ScpiError(-230, "Data corrupt or stale")
    return _show(buffer.samples[-1], buffer.first_s, elements)


def _data(device: Keithley2450, now_s: float, start: str, end: str, name: str, *words: str) -> str:
    """:TRACe:DATA? shows samples start..end, counted from 1."""
    buffer, elements = device.buffer(name), _elements(words)
    count = _number(1, max(1, len(buffer.samples)))
    first, last = int(count(start)), int(count(end))
    if buffer.first_s is None or last < first:
        raise ScpiError(*OUT_OF_RANGE)
    origin = buffer.first_s
    return ",".join(_show(buffer.samples[i], origin, elements) for i in range(first - 1, last))


def _make(device: Keithley2450, now_s: float, name: str, size: str) -> None:
    """:TRACe:MAKE adds a buffer of that many points."""
    points = int(_number(10, 6_875_000)(size))
    device.buffers[name.strip("\"'")] = Buffer(deque(maxlen=points))


def _clear(device: Keithley2450, now_s: float, name: str = "defbuffer1") -> None:
    """:TRACe:CLEar empties a buffer; REL starts again with its next sample."""
    buffer = device.buffer(name)
    buffer.samples.clear()
    buffer.first_s = None


def _points(device: Keithley2450, now_s: float, name: str = "defbuffer1") -> str:
    return str(device.buffer(name).samples.maxlen)


def _actual(device: Keithley2450, now_s: float, name: str = "defbuffer1") -> str:
    return str(len(device.buffer(name).samples))


def _identify(device: Keithley2450, now_s: float) -> str:
    return f"KEITHLEY INSTRUMENTS,MODEL 2450,{device.serial_number},{device.firmware}"


def _next_error(device: Keithley2450, now_s: float) -> str:
    return device.errors.popleft() if device.errors else '0,"No error;0;0 0"'


def _error_count(device: Keithley2450, now_s: float) -> str:
    return str(len(device.errors))


def _forget_errors(device: Keithley2450, now_s: float) -> None:
    device.errors.clear()


def _reset(device: Keithley2450, now_s: float) -> None:
    device.reset()


def _tripped(device: Keithley2450, now_s: float) -> str:
    """:ILIMit:TRIPped? is 1 while the current limit acts."""
    return "1" if device.measure(now_s).status & LIMITED else "0"


def _constant(answer: str | None) -> Handler:
    def handler(device: Keithley2450, now_s: float) -> str | None:
        return answer

    return handler


def _setter(setting: Setting) -> Handler:
    def handler(device: Keithley2450, now_s: float, text: str) -> None:
        device.set(setting.name, setting.read(text))

    return handler


def _getter(setting: Setting) -> Handler:
    def handler(device: Keithley2450, now_s: float) -> str:
        shown: str = setting.show(device.settings[setting.name])
        return shown

    return handler


COMMANDS: Mapping[str, Handler] = {
    ":READ?": _read,
    ":FETCh?": _fetch,
    ":TRACe:DATA?": _data,
    ":TRACe:MAKE": _make,
    ":TRACe:CLEar": _clear,
    ":TRACe:POINts?": _points,
    ":TRACe:ACTual?": _actual,
    ":SOURce[1]:VOLTage:ILIMit[:LEVel]:TRIPped?": _tripped,
    ":SYSTem:ERRor[:NEXT]?": _next_error,
    ":SYSTem:ERRor:COUNt?": _error_count,
    ":SYSTem:CLEar": _forget_errors,
    "*IDN?": _identify,
    "*LANG?": _constant("SCPI"),
    "*RST": _reset,
    "*CLS": _forget_errors,
    "*WAI": _constant(None),
    "*OPC?": _constant("1"),
    **{header: _setter(setting) for header, setting in SETTINGS.items()},
    **{header + "?": _getter(setting) for header, setting in SETTINGS.items()},
}


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Device, Session]:
    """A 2450 at the cell's terminals. Option `sim_off_mode`: the output-off state recalled at power-up."""
    device = Keithley2450(
        bindings.cell, serial_number or "04096331", off_mode=options.get("sim_off_mode", "HIMP")
    )
    return device, ScpiSession(device)
