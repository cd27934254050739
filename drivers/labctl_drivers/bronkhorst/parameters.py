"""The parameters that are used, as data: one table for ProPar and for Modbus, whose addresses follow from it.

Sources: manuals 9.17.027 (FLOW-BUS over RS232: processes, types, status), 9.17.035 p. 19 and 9.17.061 p. 25
(Modbus registers and lengths of texts), 9.17.158 (control modes); cross-read with the maker's own client.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple, Protocol

Value = int | float | str


class Kind(IntEnum):
    """Type of a parameter: bits 5 and 6 of its number on the ProPar wire."""

    BYTE = 0x00
    WORD = 0x20
    FLOAT = 0x40
    TEXT = 0x60


class Parameter(NamedTuple):
    """A parameter by its process and number. `size`: bytes of a text, which Modbus reads whole or not at all."""

    process: int
    number: int
    kind: Kind
    size: int = 0

    @property
    def address(self) -> int:
        """Where Modbus has it, as in the PDU: one register up to two bytes, eight numbers apart beyond."""
        if self.kind in (Kind.BYTE, Kind.WORD):
            return self.process << 5 | self.number
        return 0x8000 + (self.process << 8 | self.number << 3)

    @property
    def registers(self) -> int:
        """How many of them Modbus needs."""
        if self.kind is Kind.TEXT:
            return (self.size + 1) // 2
        return 2 if self.kind is Kind.FLOAT else 1


MEASURE, SETPOINT = Parameter(1, 0, Kind.WORD), Parameter(1, 1, Kind.WORD)
CONTROL_MODE, FLUIDSET, ALARM = (Parameter(1, n, Kind.BYTE) for n in (4, 16, 20))
CAPACITY = Parameter(1, 13, Kind.FLOAT)
FLUID, UNIT = Parameter(1, 17, Kind.TEXT, 10), Parameter(1, 31, Kind.TEXT, 7)
FMEASURE, FSETPOINT = Parameter(33, 0, Kind.FLOAT), Parameter(33, 3, Kind.FLOAT)
MODEL, SERIAL = Parameter(113, 2, Kind.TEXT, 14), Parameter(113, 3, Kind.TEXT, 16)
FIRMWARE = Parameter(113, 5, Kind.TEXT, 5)

FULL = 32000
"""Raw measure and setpoint at 100 % of the capacity; a measure goes on up to 41942 (131 %)."""
HIGHEST_RAW = 41942

BUS, RS232 = 0, 18
CONTROL_MODES = {
    BUS: "digital, safe state when communication is lost",
    1: "analog input",
    2: "slave",
    3: "valve closed",
    4: "idle",
    7: "setpoint 100 %",
    8: "valve fully open",
    9: "calibration",
    12: "setpoint 0 %",
    RS232: "digital, keeps flowing when communication is lost",
    20: "valve steering",
    22: "safe state",
}
FOLLOWS = frozenset({BUS, RS232})
"""Control modes in which the setpoint that is sent here acts; in others it is accepted and ignored."""

ALARMS = (
    "error",
    "warning",
    "minimum",
    "maximum",
    "batch",
    "power-up or response",
    "master-slave",
    "hardware",
)
UNTRUSTED = 1 << 0 | 1 << 7
"""Alarm bits that make the measured flow doubtful: error and hardware."""

_STANDARD_K = 298.15
"""labctl's sccm is at 25 degC and 1 atm; Bronkhorst's n is 0 degC, its s is 20 degC, both at 1013.25 mbar."""
_REFERENCE_K = {"n": 273.15, "s": 293.15}
_VOLUME_CM3 = {"ml": 1.0, "l": 1e3, "m3": 1e6}
_PER_MINUTE = {"s": 60.0, "min": 1.0, "h": 1 / 60}
_UNIT = re.compile(r"(ml|l|m3)(n|s)/(s|min|h)")


def sccm_of(unit: str) -> float | None:
    """One `unit` in sccm, such as "mln/min" (1.0915) or "ls/min" (1017); None for a unit that is no flow."""
    found = _UNIT.fullmatch(unit.strip())
    if found is None:
        return None
    volume, reference, time = found.groups()
    return _VOLUME_CM3[volume] * _PER_MINUTE[time] * _STANDARD_K / _REFERENCE_K[reference]


def fraction(raw: int) -> float:
    """A raw measure as a fraction of the capacity; what is above 41942 is a small negative flow."""
    return (raw if raw <= HIGHEST_RAW else raw - 65535) / FULL


class Live(NamedTuple):
    """What is asked for at every reading. flow, setpoint: fractions of the capacity. The others as sent."""

    flow: float
    setpoint: float
    mode: int
    fluidset: int
    alarm: int


class Wire(Protocol):
    """One instrument, whatever it speaks. Raises CommunicationError, or RefusedError with its reason."""

    def live(self, capacity: float) -> Live:
        """The hot read. `capacity` in the instrument's own unit."""

    def read(self, parameter: Parameter) -> Value:
        """One parameter; texts without their padding."""

    def write(self, parameter: Parameter, value: float) -> None:
        """Write and see it acknowledged. Never repeated; an acknowledgement does not prove the value."""

    def close(self) -> None:
        """Release the port; closing twice is fine."""
