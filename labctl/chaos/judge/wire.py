"""What bytes on a wire ask of an instrument: the observer's own decoders, of the few requests that matter to safety.

They share no code with drivers and simulators. A request that is none of these asks for nothing that heats or feeds.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

OFF_C = 20.0
"""A setpoint up to here heats nothing (safety contract, section 2: a heater that is off has 20 degC)."""


class Asked(NamedTuple):
    """What one request asks for.

    what: "setpoint" (degC), "output" (%), "automatic", "manual", "rate" (K/min), "flow" (sccm), "source" (V),
    "stir" (rpm), "off", "contactor" and "bypass" (of the I/O module: 1 closes the one, opens the other), "beacon".
    value: the number, 0 where there is none.
    """

    what: str
    value: float = 0.0

    @property
    def energises(self) -> bool:
        """Whether carrying it out could put energy into a chamber."""
        if self.what == "setpoint":
            return self.value > OFF_C
        return self.what in ("output", "source", "contactor") and self.value > 0.0


Decoder = Callable[[bytes], list[Asked]]

_EUROTHERM = {24: "setpoint", 25: "setpoint", 26: "setpoint", 2: "setpoint", 3: "output", 35: "rate"}
"""Registers in display digits of 0.1 (3200 handbook, pp. 81-82)."""
_MANUAL = 273


def eurotherm(request: bytes) -> list[Asked]:
    """Writes of a 3216: Modbus RTU, functions 6 and 16, one decimal place."""
    asked = []
    for register, word in _written(request):
        if register in _EUROTHERM:
            value = word - 65536 if word & 0x8000 else word
            asked.append(Asked(_EUROTHERM[register], value / 10.0))
        elif register == _MANUAL:
            asked.append(Asked("manual" if word else "automatic"))
    return asked


_BINDER_SETPOINT = 0x1581


def binder(request: bytes) -> list[Asked]:
    """The manual setpoint of an MB1 controller: float32, low word first."""
    words = dict(_written(request))
    if _BINDER_SETPOINT not in words or _BINDER_SETPOINT + 1 not in words:
        return []
    low, high = words[_BINDER_SETPOINT], words[_BINDER_SETPOINT + 1]
    (value,) = struct.unpack(">f", struct.pack(">HH", high, low))
    return [Asked("setpoint", value)]


_ALICAT = re.compile(rb"[A-Z]S([+-]?\d+(?:\.\d+)?)\r")


def alicat(request: bytes) -> list[Asked]:
    """`AS200.0`: the setpoint of a controller whose display is in sccm."""
    found = _ALICAT.fullmatch(request)
    return [Asked("flow", float(found[1]))] if found else []


_LEVEL = re.compile(rb":SOUR:VOLT ([-+.\dE]+)\n")


def keithley(request: bytes) -> list[Asked]:
    """The output of a 2450, and the voltage that it is to hold."""
    level = _LEVEL.fullmatch(request)
    if level:
        return [Asked("level", float(level[1]))]
    if request == b":OUTP ON\n":
        return [Asked("source", 1.0)]
    return [Asked("off")] if request == b":OUTP OFF\n" else []


_SPEED = re.compile(rb"OUT_SP_4 (\d+) \r\n")
_PLATE = re.compile(rb"OUT_SP_1 (\d+) \r\n")


def ika(request: bytes) -> list[Asked]:
    """Speed and plate temperature of a NAMUR hotplate; starting the heater."""
    speed, plate = _SPEED.fullmatch(request), _PLATE.fullmatch(request)
    if speed:
        return [Asked("stir", float(speed[1]))]
    if plate:
        return [Asked("setpoint", float(plate[1]))]
    return [Asked("output", 100.0)] if request == b"START_1 \r\n" else []


_COILS = {0: "contactor", 1: "bypass", 2: "beacon"}
_OFF, _ON = b"\x00\x00", b"\xff\x00"
_BYPASS = 1


def io(request: bytes) -> list[Asked]:
    """Outputs of an I/O module: Modbus TCP, function 5. The bypass is open without current."""
    if len(request) != 12 or request[7] != 5 or request[10:] not in (_OFF, _ON):
        return []
    (coil,) = struct.unpack_from(">H", request, 8)
    on = request[10:] == _ON
    return [Asked(_COILS[coil], float(on is not (coil == _BYPASS)))] if coil in _COILS else []


DECODERS: Mapping[str, Decoder] = {
    "eurotherm": eurotherm,
    "binder": binder,
    "alicat": alicat,
    "keithley": keithley,
    "ika": ika,
    "io": io,
}
"""By driver. The bytes of an instrument without one are not judged; what it does shows in the plant's truth."""


def _written(request: bytes) -> list[tuple[int, int]]:
    """(register, word) of a Modbus RTU write, without its CRC checked: the device judges that."""
    if len(request) == 8 and request[1] == 6:
        register, word = struct.unpack_from(">HH", request, 2)
        return [(register, word)]
    if len(request) > 9 and request[1] == 16:
        first, count = struct.unpack_from(">HH", request, 2)
        if len(request) == 9 + 2 * count:
            return list(enumerate(struct.unpack_from(f">{count}H", request, 7), first))
    return []
