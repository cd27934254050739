"""What goes over the wire to a New Era pump and back: requests, replies, numbers.

Basic mode: `0RAT` and CR; the reply stands between STX and ETX. Safe mode: STX, length, data, CRC-16/XMODEM (high byte
first), ETX, both ways; the length counts itself and all that follows. The length is below 0x30 and an address begins
with a digit, so the second byte tells one from the other.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from typing import NamedTuple

STX, ETX = 0x02, 0x03
STATES = "IWSPTUX"
"""Infusing, withdrawing, stopped, paused, timed pause, waiting for a trigger, purging."""
ALARMS = {"R": 1, "S": 2, "T": 3, "E": 4, "O": 5}
"""Power came back, stalled, nobody spoke in safe mode, program error, phase out of range."""
RATES = {"MM": 1.0, "UM": 1e-3, "MH": 1.0 / 60.0, "UH": 1e-3 / 60.0}
"""mL/min in each unit of rates."""
VOLUMES = {"ML": 1.0, "UL": 1e-3}

_REPLY = re.compile(rb"(\d\d)(?:([IWSPTUX])([ -~]*)|A\?([RSTEO]))")


class Reply(NamedTuple):
    """What the pump says. alarm: its letter, then nothing else counts; state: one of `STATES`."""

    state: str
    data: str
    alarm: str


def packet(data: bytes) -> bytes:
    """The packet of safe mode around some data."""
    return bytes((STX, len(data) + 4)) + data + crc_hqx(data, 0).to_bytes(2, "big") + bytes((ETX,))


def is_packet(raw: bytes) -> bool:
    """Whether it begins as a packet does, and not as a basic reply."""
    return len(raw) > 1 and raw[0] == STX and raw[1] < 0x30


def is_whole(raw: bytes) -> bool:
    """Whether a reply has come to its end; the CRC may hold a byte that looks like one."""
    if is_packet(raw):
        return len(raw) > raw[1]
    return len(raw) > 1 and raw[-1] == ETX


def decode(raw: bytes, address: int) -> Reply | None:
    """A reply of that pump in either form; None when it is none, or its CRC is wrong."""
    if is_packet(raw):
        data = raw[2:-3]
        if raw != packet(data):
            return None
    elif raw[:1] == bytes((STX,)) and raw[-1:] == bytes((ETX,)):
        data = raw[1:-1]
    else:
        return None
    found = _REPLY.fullmatch(data)
    if found is None or int(found[1]) != address:
        return None
    state, said, alarm = (part.decode("ascii") if part else "" for part in found.group(2, 3, 4))
    return Reply(state, said, alarm)


def number(value: float) -> str:
    """As a pump takes it: at most four digits, at most three of them decimals. Raises ValueError beyond."""
    if not 0.0 <= value < 9999.5:
        raise ValueError(f"{value:g} has more than four digits")
    for decimals in (3, 2, 1):
        text = f"{value:.{decimals}f}"
        if len(text) <= 5:
            return text
    return f"{value:.0f}"


def volume(volume_ml: float) -> tuple[str, str]:
    """A volume as it is set, in the unit that keeps most digits: number, and ML or UL."""
    return (number(volume_ml), "ML") if volume_ml >= 1.0 else (number(volume_ml * 1e3), "UL")


def rate(rate_ml_per_min: float) -> tuple[str, str]:
    """A rate as it is set, in the unit that keeps most digits: number, and MM or UM."""
    small = rate_ml_per_min < 1.0
    return (number(rate_ml_per_min * 1e3), "UM") if small else (number(rate_ml_per_min), "MM")
