r"""ProPar as an instrument speaks it on RS232: ASCII and binary on the same line, each answered in kind.

ASCII is `:` length node data CR LF in hex; binary is DLE STX sequence node length data DLE ETX with every
DLE in between doubled. Data begin with a command; a request says under which index each parameter shall
come back (manual 9.17.027). Assumed: the position in a status for telegrams that are not understood.
"""

from __future__ import annotations

import struct
from binascii import Error, unhexlify
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

from labctl_simulators.devices.api import Replies

BYTE, WORD, LONG, TEXT = 0x00, 0x20, 0x40, 0x60
MORE = 0x80
STATUS, WRITE_ACK, WRITE, BROADCAST, REQUEST = range(5)

OK, BAD_COMMAND, BAD_PROCESS, BAD_PARAMETER, BAD_TYPE, BAD_VALUE, READ_ONLY = 0, 2, 3, 4, 5, 6, 13
PROTOCOL_ERROR, NODE_REJECTED = 3, 5
"""Errors of the link, not of the instrument: a frame that is none, a node that is not there."""

LOCAL_NODE = 0x80
LONGEST = 520
GAP_S = 0.5
"""Silence after which half a frame is forgotten (assumed)."""

DLE, STX, ETX, COLON, CR, LF = 0x10, 0x02, 0x03, 0x3A, 0x0D, 0x0A
_SIZES = {BYTE: 1, WORD: 2, LONG: 4}


class ProparRefusal(Exception):
    """Raised by a device: it answers with this status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"status {status}")


class Parameters(Protocol):
    """A device's parameters, in the bytes they travel in: big-endian numbers, texts without terminator."""

    def get(self, process: int, number: int, kind: int) -> bytes:
        """Raises ProparRefusal."""

    def put(self, process: int, number: int, kind: int, data: bytes) -> None:
        """Raises ProparRefusal."""

    def heard(self) -> bool:
        """Somebody spoke to it; False: it does not answer."""


class Telegram(NamedTuple):
    """A frame that was understood. sequence is None in ASCII."""

    sequence: int | None
    node: int
    data: bytes


class Asked(NamedTuple):
    """One parameter of a request: `labels` are the index bytes that go before it in the reply."""

    labels: bytes
    process: int
    number: int
    kind: int
    size: int


class Told(NamedTuple):
    """One parameter of a write, and where in the telegram it ends."""

    process: int
    number: int
    kind: int
    data: bytes
    end: int


class ProparSession:
    """One RS232 line to one instrument."""

    def __init__(self, device: Parameters, node: int, *, latency_s: Callable[[], float]) -> None:
        """`latency_s`: asked at every reply, from the request's last byte on."""
        self._device = device
        self._node = node
        self._latency_s = latency_s
        self._frame = bytearray()
        self._state: _State = _idle
        self._last_s = float("-inf")

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes in any split; the replies to the telegrams that they complete."""
        if now_s - self._last_s > GAP_S:
            self._state = _idle
        self._last_s = now_s
        if self._state is _idle and (telegram := whole(data)) is not None:  # nearly always
            reply = self._answer(telegram)
            return [(self._latency_s(), reply)] if reply else []
        replies: Replies = []
        for byte in data:
            self._state, done = self._state(self._frame, byte)
            if len(self._frame) > LONGEST:
                self._state = _idle
            if done is not None and (reply := self._answer(done)):
                replies.append((self._latency_s(), reply))
        return replies

    def _answer(self, telegram: Telegram) -> bytes:
        if not self._device.heard():
            return b""
        sequence, node, data = telegram
        if not data:
            return wrap(sequence, node, bytes((PROTOCOL_ERROR,)))
        if node not in (self._node, LOCAL_NODE):
            return wrap(sequence, node, bytes((NODE_REJECTED,)))
        command = data[0]
        if command == REQUEST:
            return wrap(sequence, node, self._tell(data))
        if command in (WRITE_ACK, WRITE, BROADCAST):
            status = self._obey(data)
            return wrap(sequence, node, status) if command == WRITE_ACK else b""
        return wrap(sequence, node, bytes((STATUS, BAD_COMMAND, 1)))

    def _tell(self, data: bytes) -> bytes:
        asked = parse_request(data)
        if isinstance(asked, int):
            return bytes((STATUS, asked, len(data) & 0xFF))
        reply = bytearray((WRITE,))
        for n, (labels, process, number, kind, size) in enumerate(asked):
            try:
                value = self._device.get(process, number, kind)
            except ProparRefusal as refusal:
                return bytes((STATUS, refusal.status, n))
            reply += labels
            if kind == TEXT:
                reply += bytes((size,)) + (value.ljust(size)[:size] if size else value + b"\0")
            else:
                reply += value
        return bytes(reply)

    def _obey(self, data: bytes) -> bytes:
        told = parse_write(data)
        if told is None:
            return bytes((STATUS, BAD_COMMAND, len(data) & 0xFF))
        for process, number, kind, value, end in told:
            try:
                self._device.put(process, number, kind, value)
            except ProparRefusal as refusal:
                return bytes((STATUS, refusal.status, end & 0xFF))
        return bytes((STATUS, OK, told[-1].end & 0xFF))


_Step = tuple["_State", Telegram | None]
_State = Callable[[bytearray, int], _Step]


def _idle(frame: bytearray, byte: int) -> _Step:
    frame.clear()
    if byte == COLON:
        return _in_ascii, None
    return (_started, None) if byte == DLE else (_idle, None)


def _in_ascii(frame: bytearray, byte: int) -> _Step:
    if byte == COLON:
        return _idle(frame, byte)
    if byte == LF and frame.endswith(b"\r"):
        return _idle, _ascii(bytes(frame[:-1]))
    frame.append(byte)
    return _in_ascii, None


def _started(frame: bytearray, byte: int) -> _Step:
    if byte == STX:
        return _in_binary, None
    return (_started, None) if byte == DLE else _idle(frame, byte)


def _in_binary(frame: bytearray, byte: int) -> _Step:
    if byte == DLE:
        return _after_dle, None
    frame.append(byte)
    return _in_binary, None


def _after_dle(frame: bytearray, byte: int) -> _Step:
    if byte == DLE:
        frame.append(byte)
        return _in_binary, None
    if byte == ETX:
        return _idle, _binary(bytes(frame))
    frame.clear()
    return (_in_binary, None) if byte == STX else _idle(frame, byte)


def _ascii(text: bytes) -> Telegram:
    """The telegram between `:` and CR; without data when it makes no sense."""
    try:
        body = unhexlify(text)
    except Error:
        return Telegram(None, 0, b"")
    if len(body) < 3 or body[0] != len(body) - 1:
        return Telegram(None, 0, b"")
    return Telegram(None, body[1], body[2:])


def _binary(body: bytes) -> Telegram | None:
    if len(body) < 4 or body[2] != len(body) - 3:
        return None
    return Telegram(body[0], body[1], body[3:])


@lru_cache(4096)
def whole(data: bytes) -> Telegram | None:
    """The telegram that `data` is, no byte more and no byte less; else None."""
    frame, telegram = bytearray(), None
    state: _State = _idle
    for n, byte in enumerate(data, 1):
        state, telegram = state(frame, byte)
        if telegram is not None:
            return telegram if n == len(data) else None
    return None


@lru_cache(4096)
def wrap(sequence: int | None, node: int, data: bytes) -> bytes:
    """A frame, dressed as its request was. In ASCII a link error names no node."""
    if sequence is None:
        body = data if len(data) == 1 else bytes((node,)) + data
        return b":%02X%s\r\n" % (len(body), body.hex().upper().encode())
    body = bytes((sequence, node, len(data))) + data
    return b"\x10\x02" + body.replace(b"\x10", b"\x10\x10") + b"\x10\x03"


@lru_cache(4096)
def parse_request(data: bytes) -> tuple[Asked, ...] | int:
    """The parameters that a request asks for, or the status of one that makes no sense."""
    asked, at, more, chained = [], 1, True, False
    try:
        while more or chained:
            labels = b""
            if not chained:
                labels, more, at = data[at : at + 1], bool(data[at] & MORE), at + 1
            label, process, real = data[at], data[at + 1], data[at + 2]
            chained, kind, at = bool(label & MORE), real & 0x60, at + 3
            size = 0
            if kind == TEXT:
                size, at = data[at], at + 1
            asked.append(Asked(labels + bytes((label,)), process & 0x7F, real & 0x1F, kind, size))
            if label & 0x60 != kind:
                return BAD_TYPE
    except IndexError:
        return BAD_COMMAND
    return tuple(asked) if at == len(data) else BAD_COMMAND


@lru_cache(1024)
def parse_write(data: bytes) -> tuple[Told, ...] | None:
    """The parameters that a write carries, or None when it ends too soon or too late."""
    told, at, more, chained, process = [], 1, True, False, 0
    try:
        while more or chained:
            if not chained:
                process, more, at = data[at] & 0x7F, bool(data[at] & MORE), at + 1
            label, at = data[at], at + 1
            chained, kind = bool(label & MORE), label & 0x60
            if kind == TEXT:
                size, at = data[at], at + 1
                size = size or data.index(b"\0", at) - at + 1
            else:
                size = _SIZES[kind]
            value, at = data[at : at + size], at + size
            told.append(Told(process, label & 0x1F, kind, value, at))
    except (IndexError, ValueError):
        return None
    return tuple(told) if at == len(data) else None


def number(value: float, kind: int) -> bytes:
    """A number as it travels. `LONG` is a float here; the type byte does not tell it from an integer."""
    if kind == LONG:
        return struct.pack(">f", value)
    return int(value).to_bytes(_SIZES[kind], "big")
