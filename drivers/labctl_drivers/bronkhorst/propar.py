r"""ProPar, the maker's own protocol, ASCII (`:06030401210120\r\n`) or binary (DLE STX .. DLE ETX).

Telegrams carry no checksum, and ASCII ones no number. Two things stand in for both:

- A request may choose the index under which each parameter comes back. The index of the first process
  counts up, so that a late reply is recognised as late.
- Flow and setpoint are asked for twice in one telegram, as a float and as a number of 0..32000. What is
  damaged on the way no longer agrees, and is no reading.
"""

from __future__ import annotations

import re
import struct
from binascii import Error, unhexlify
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from labctl.bench.api import CommunicationError, Port, RefusedError
from labctl_drivers.bronkhorst.parameters import (
    ALARM,
    CONTROL_MODE,
    FLUIDSET,
    FMEASURE,
    FSETPOINT,
    FULL,
    MEASURE,
    SETPOINT,
    Kind,
    Live,
    Parameter,
    Value,
    fraction,
)

STATUS, WRITE, DATA, REQUEST = 0x00, 0x01, 0x02, 0x04
MORE = 0x80
"""Bit of an index after which the same telegram goes on."""

TAGS = tuple(range(0x20, 0x60))
"""Indices that count requests; none of them is a DLE. A reply can be 63 requests late and still be known as late."""

LOCAL_NODE = 0x80
"""Address that means: whoever is at the other end of this RS232 line."""

AGREEMENT = 0.005
"""How far float and number may differ, as a fraction of capacity: what the instrument itself may err (assumed)."""

LONGEST = 600

STATUSES = {
    1: "process claimed",
    2: "command unknown",
    3: "no such process",
    4: "no such parameter",
    5: "wrong type",
    6: "value not allowed",
    7: "network not active",
    8: "time-out at the start character",
    9: "time-out on the line",
    10: "memory failure",
    11: "no such node",
    12: "communication failure",
    13: "read only",
    17: "write only",
    25: "no answer in time",
}
"""Meaning of the status in a reply (manual 9.17.027)."""

LINK_ERRORS = {3: "protocol error", 4: "protocol error", 5: "no such node", 9: "no answer in time"}

_FORMATS = {Kind.BYTE: "B", Kind.WORD: "H", Kind.FLOAT: "f"}


class Frame(NamedTuple):
    """What a frame carries. number: None in ASCII. node: None in a link error of ASCII, which names none."""

    number: int | None
    node: int | None
    data: bytes


class Framing(NamedTuple):
    """One of the two dresses of a telegram. `frames` gives None for bytes that are not whole frames only."""

    wrap: Callable[[int, int, bytes], bytes]
    end: bytes
    frames: Callable[[bytes], Sequence[Frame] | None]


def ascii_frame(number: int, node: int, data: bytes) -> bytes:
    """`:` length node data, all in hex."""
    del number
    return b":%02X%02X%s\r\n" % (len(data) + 1, node, data.hex().upper().encode())


def ascii_frames(raw: bytes) -> Sequence[Frame] | None:
    """Every line a frame, or None."""
    frames = []
    for line in raw.removesuffix(b"\r\n").split(b"\r\n"):
        try:
            body = unhexlify(line[1:]) if line[:1] == b":" else b""
        except Error:
            return None
        if len(body) < 2 or body[0] != len(body) - 1:
            return None
        frames.append(Frame(None, None, body[1:]) if len(body) == 2 else Frame(None, body[1], body[2:]))
    return frames


def binary_frame(number: int, node: int, data: bytes) -> bytes:
    """DLE STX number node length data DLE ETX, every DLE in between doubled."""
    body = bytes((number, node, len(data))) + data
    return b"\x10\x02" + body.replace(b"\x10", b"\x10\x10") + b"\x10\x03"


_BINARY = re.compile(rb"\x10\x02((?:[^\x10]|\x10\x10)*)\x10\x03", re.DOTALL)


def binary_frames(raw: bytes) -> Sequence[Frame] | None:
    """Nothing but whole frames, or None."""
    frames, at = [], 0
    while at < len(raw):
        found = _BINARY.match(raw, at)
        body = found[1].replace(b"\x10\x10", b"\x10") if found else b""
        if found is None or len(body) < 4 or body[2] != len(body) - 3:
            return None
        frames.append(Frame(body[0], body[1], body[3:]))
        at = found.end()
    return frames


ASCII = Framing(ascii_frame, b"\r\n", ascii_frames)
BINARY = Framing(binary_frame, b"\x10\x03", binary_frames)


def reading(parameters: Sequence[Parameter], tag: int | None = None) -> bytes:
    """The telegram that asks for some parameters, those of one process side by side.

    tag: index under which the first process comes back; None: its own number.
    """
    telegram = bytearray((REQUEST,))
    for index, chain, more in _processes(parameters, tag):
        telegram.append(index | (MORE if more else 0))
        for n, p in enumerate(chain, 1):
            number = p.kind | p.number
            telegram += bytes((number | (MORE if n < len(chain) else 0), p.process, number))
            if p.kind is Kind.TEXT:
                telegram.append(0)  # up to its terminator, however long
    return bytes(telegram)


def values_of(
    data: bytes, parameters: Sequence[Parameter], tag: int | None = None
) -> tuple[Value, ...] | None:
    """The values in a reply to `reading` of the same, or None for anything else."""
    found: list[Value] = []
    labels, rest = [DATA], data[1:]
    if data[:1] != bytes(labels):
        return None
    for index, chain, more in _processes(parameters, tag):
        if rest[:1] != bytes((index | (MORE if more else 0),)):
            return None
        rest = rest[1:]
        for n, p in enumerate(chain, 1):
            label = p.kind | p.number | (MORE if n < len(chain) else 0)
            if rest[:1] != bytes((label,)):
                return None
            taken = _text(rest[1:]) if p.kind is Kind.TEXT else _number(rest[1:], p.kind)
            if taken is None:
                return None
            value, rest = taken
            found.append(value)
    return None if rest else tuple(found)


def _processes(parameters: Sequence[Parameter], tag: int | None) -> list[tuple[int, list[Parameter], bool]]:
    """(index, parameters, whether another follows) of each process."""
    groups = [(process, list(chain)) for process, chain in groupby(parameters, lambda p: p.process)]
    return [
        (tag if tag is not None and not n else process, chain, n < len(groups) - 1)
        for n, (process, chain) in enumerate(groups)
    ]


def _number(rest: bytes, kind: Kind) -> tuple[Value, bytes] | None:
    form = ">" + _FORMATS[kind]
    size = struct.calcsize(form)
    if len(rest) < size:
        return None
    (value,) = struct.unpack_from(form, rest)
    return value, rest[size:]


def _text(rest: bytes) -> tuple[Value, bytes] | None:
    """A text with its length before it, or, where that is 0, its terminator after it."""
    if not rest:
        return None
    size = rest[0] or rest.find(b"\0", 1) - 1
    if size < 0 or len(rest) < 1 + size:
        return None
    end = 1 + size + (0 if rest[0] else 1)
    return rest[1 : 1 + size].decode("ascii", "replace").strip("\0 "), rest[end:]


def writing(parameter: Parameter, value: float) -> bytes:
    """The telegram that writes a number and wants it acknowledged."""
    number = value if parameter.kind is Kind.FLOAT else int(value)
    packed = struct.pack(">" + _FORMATS[parameter.kind], number)
    return bytes((WRITE, parameter.process, parameter.kind | parameter.number)) + packed


HOT = (FMEASURE, FSETPOINT, MEASURE, SETPOINT, CONTROL_MODE, FLUIDSET, ALARM)


class ProPar:
    """A `Wire` on a port that it owns, ASCII or binary."""

    def __init__(self, port: Port, node: int, framing: Framing) -> None:
        """`node`: 1..127, or 128 for whoever answers. Raises ValueError for others."""
        if not 1 <= node <= LOCAL_NODE:
            raise ValueError(f"node {node} is not within 1..{LOCAL_NODE}")
        self.port = port
        self.node = node
        self._framing = framing
        self._turn = 0
        self._hot = [(tag, framing.wrap(tag, node, reading(HOT, tag))) for tag in TAGS]
        self._decoded = lru_cache(4096)(self._decode)

    def live(self, capacity: float) -> Live:
        self._turn = (self._turn + 1) % len(TAGS)
        tag, request = self._hot[self._turn]
        port = self.port
        port.reset_input()
        port.write(request)
        raw = port.read_some()
        live = self._decoded(raw, tag, capacity)
        if live is not None:  # nearly always
            return live
        if not raw:
            raise CommunicationError(f"node {self.node}: no reply")
        frame = self._reply(tag, raw, lambda data: data[:2] == bytes((DATA, tag | MORE)))
        live = self._live(frame.data, tag, capacity)
        if live is None:
            raise CommunicationError(
                f"node {self.node}: a reply that contradicts itself: {frame.data.hex(' ')}"
            )
        return live

    def read(self, parameter: Parameter) -> Value:
        self._turn = (self._turn + 1) % len(TAGS)
        tag = TAGS[self._turn]
        data = reading((parameter,), tag)
        self._send(tag, data)
        frame = self._reply(tag, b"", lambda data: data[:2] == bytes((DATA, tag)))
        values = values_of(frame.data, (parameter,), tag)
        if values is None:
            raise CommunicationError(f"node {self.node}: broken reply {frame.data.hex(' ')}")
        return values[0]

    def write(self, parameter: Parameter, value: float) -> None:
        self._turn = (self._turn + 1) % len(TAGS)
        tag = TAGS[self._turn]
        self._send(tag, writing(parameter, value))
        self._reply(tag, b"", lambda data: data[:2] == bytes((STATUS, 0)))

    def close(self) -> None:
        self.port.close()

    def _send(self, tag: int, data: bytes) -> None:
        self.port.reset_input()
        self.port.write(self._framing.wrap(tag, self.node, data))

    def _reply(self, tag: int, raw: bytes, ours: Callable[[bytes], bool]) -> Frame:
        """Listen until the reply is whole. Raises RefusedError for a status that says why not."""
        framing = self._framing
        while True:
            if raw.endswith(framing.end) and (frames := framing.frames(raw)) is not None:
                for frame in frames:
                    if self._meant(frame, tag) and self._judged(frame, ours):
                        return frame
            got = self.port.read_some()
            if not got or len(raw) > LONGEST:
                raise CommunicationError(
                    f"node {self.node}: broken reply {raw[:40]!r}" if raw else f"node {self.node}: no reply"
                )
            raw += got

    def _meant(self, frame: Frame, tag: int) -> bool:
        """Whether it is from this node, and not known to be late."""
        return frame.number in (None, tag) and (frame.node in (None, self.node) or self.node == LOCAL_NODE)

    def _judged(self, frame: Frame, ours: Callable[[bytes], bool]) -> bool:
        data = frame.data
        if ours(data):
            return True
        if len(data) == 1:
            raise CommunicationError(f"node {self.node}: {LINK_ERRORS.get(data[0], f'link error {data[0]}')}")
        if data[0] == STATUS and len(data) == 3 and data[1]:
            meaning = STATUSES.get(data[1], "refused")
            raise RefusedError(f"node {self.node}: {meaning} (status {data[1]}, at byte {data[2]})")
        return False

    def _decode(self, raw: bytes, tag: int, capacity: float) -> Live | None:
        """The live image in `raw` if it is the one frame that is waited for, and nothing else."""
        if not raw.endswith(self._framing.end):
            return None
        frames = self._framing.frames(raw)
        if frames is None or len(frames) != 1 or not self._meant(frames[0], tag):
            return None
        return self._live(frames[0].data, tag, capacity)

    @staticmethod
    def _live(data: bytes, tag: int, capacity: float) -> Live | None:
        """None also when float and number tell different stories."""
        values = values_of(data, HOT, tag)
        if values is None:
            return None
        flow, setpoint, raw_flow, raw_setpoint, mode, fluidset, alarm = values
        flow, setpoint = float(flow) / capacity, float(setpoint) / capacity
        if not (
            abs(flow - fraction(int(raw_flow))) <= AGREEMENT
            and abs(setpoint - int(raw_setpoint) / FULL) <= AGREEMENT
        ):
            return None
        return Live(flow, setpoint, int(mode), int(fluidset), int(alarm))
