"""The parameters of an EPC3016 by their Modbus address: what they start with, and how they may be written.

Addresses after the maker's register list as a published client carries it; numbers of enumerations from
recall of the user guide (HA032842), unverified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

PV, TARGET, MANUAL_OUTPUT, OUTPUT, WORKING = range(1, 6)
SELECT, PROGRAM, MODE, SP1, SP2 = 15, 22, 23, 24, 25
OUTPUT_HIGH, OUTPUT_LOW, FALLBACK, RATE_UP, RATE_DOWN, RATE_OFF = 30, 31, 34, 35, 1667, 1668
SEGMENT, SEGMENT_LEFT, LIMIT_HIGH, LIMIT_LOW, PSP = 56, 63, 111, 112, 163
SECURITY, MANUAL, ACKNOWLEDGE, REMOTE, REMOTE_INPUT = 199, 273, 274, 276, 277
UNITS, RECOVERY, RATE_UNITS, PV_BAD, SERIAL, KIND = 516, 518, 531, 553, 1026, 1027
SOURCE, RSP_ENABLED, IN_MANUAL, BREAK_TYPE, BROKEN, PV_STATUS = 1623, 1666, 1901, 1930, 1931, 1932
REMOTE_TIMEOUT, REMOTE_STATUS, RUN, HOLD, RESET = 2308, 2312, 10573, 10574, 10575
WATCHDOGS = {"fixed": 1169, "option": 1233}
"""First of time-out, action, recovery and flag, by the communications they watch."""

STOPPED, RUNNING, HELD, COMPLETE = 1, 2, 4, 16
FORCED_LOCAL, FROM_REMOTE, FROM_LOCAL, FROM_PROGRAM = 0, 1, 2, 3
END, RAMP_RATE, DWELL, STEP = 0, 1, 3, 4
SEGMENTS = 25
RATE_SECONDS = (1.0, 60.0, 3600.0)


class Parameter(NamedTuple):
    """How a parameter starts and what it takes. kind: "time" is in s, on the wire in ms.

    access: "r" never, "rw" in RAM, "nv" kept without power, "config" at the panel only.
    """

    initial: float
    kind: Literal["number", "choice", "time"] = "choice"
    access: Literal["r", "rw", "nv", "config"] = "r"
    highest: float = 65535.0


def _number(initial: float, access: Literal["r", "rw", "nv"] = "nv") -> Parameter:
    return Parameter(initial, "number", access, 1e6)


def segment_address(number: int) -> int:
    """Where a segment of program 1 begins, 1..25: those from 17 on are elsewhere."""
    return 8336 + 8 * (number - 1) if number <= 16 else 9768 + 8 * (number - 17)


def _parameters() -> Iterator[tuple[int, Parameter]]:
    for address in (PV, OUTPUT, WORKING, PSP):
        yield address, _number(0.0, "r")
    yield from {
        TARGET: _number(20.0),
        MANUAL_OUTPUT: _number(0.0, "rw"),
        6: _number(20.0),
        8: _number(600.0),
        9: _number(40.0),
        SELECT: Parameter(0, access="nv", highest=1),
        PROGRAM: Parameter(1, access="nv", highest=10),
        MODE: Parameter(STOPPED, access="rw", highest=16),
        SP1: _number(20.0),
        SP2: _number(20.0),
        OUTPUT_HIGH: _number(100.0),
        OUTPUT_LOW: _number(0.0),
        FALLBACK: _number(0.0),
        RATE_UP: _number(0.0),
        SEGMENT: Parameter(0),
        SEGMENT_LEFT: Parameter(0, "time"),
        LIMIT_HIGH: _number(1200.0),
        LIMIT_LOW: _number(0.0),
        121: Parameter(1280),
        SECURITY: Parameter(0, access="rw", highest=2),
        MANUAL: Parameter(1, access="nv", highest=1),
        ACKNOWLEDGE: Parameter(0, access="rw", highest=1),
        REMOTE: Parameter(1, access="nv", highest=1),
        REMOTE_INPUT: _number(0.0, "rw"),
        UNITS: Parameter(0, access="config"),
        RECOVERY: Parameter(1, access="nv", highest=2),
        RATE_UNITS: Parameter(1, access="nv", highest=2),
        PV_BAD: Parameter(0, access="config"),
        KIND: Parameter(0),
        SOURCE: Parameter(FROM_LOCAL),
        RSP_ENABLED: Parameter(1, access="config"),
        RATE_DOWN: _number(0.0),
        RATE_OFF: Parameter(0, access="nv", highest=1),
        1900: Parameter(0),
        IN_MANUAL: Parameter(1),
        BREAK_TYPE: Parameter(1, access="config"),
        BROKEN: Parameter(0),
        PV_STATUS: Parameter(0),
        2304: _number(1200.0),
        2305: _number(0.0),
        2306: _number(1200.0),
        2307: _number(0.0),
        REMOTE_TIMEOUT: Parameter(1, access="nv", highest=255),
        2311: _number(0.0, "r"),
        REMOTE_STATUS: Parameter(1),
        **{address: Parameter(0, access="rw", highest=1) for address in (RUN, HOLD, RESET)},
    }.items()
    for first in WATCHDOGS.values():
        yield first, Parameter(0, "time", "nv", 4e6)
        yield first + 1, Parameter(1, access="nv", highest=1)
        yield first + 2, Parameter(0, "time", "nv", 4e6)
        yield first + 3, Parameter(0, access="rw", highest=1)
    yield from zip(
        range(8328, 8336), (Parameter(v, access="nv") for v in (0, 0, 0, 0, 1, 0, 0, 0)), strict=True
    )
    for number in range(1, SEGMENTS + 1):
        at = segment_address(number)
        yield at, Parameter(END, access="nv", highest=5)
        yield at + 1, _number(0.0)
        yield at + 2, _number(0.0)  # a rate, or the milliseconds of a duration
        for offset in range(3, 7):
            yield at + offset, Parameter(0, access="nv")


PARAMETERS: Mapping[int, Parameter] = dict(_parameters())
DURATIONS = frozenset(segment_address(n) + 2 for n in range(1, SEGMENTS + 1))
