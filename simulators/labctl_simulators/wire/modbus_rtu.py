"""Modbus RTU as an instrument speaks it: own frames, own CRC, over any byte stream.

A device offers its registers as `Registers`; `RtuSession` does the rest, silences included. What no
instrument answers is not answered here: another unit, a bad CRC, a broadcast, half a frame. After bytes
that make no frame the session is deaf until the line was silent for `gap_s`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from labctl_simulators.devices.api import Replies

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MAX_REGISTERS = 125


class ModbusRefusal(Exception):
    """Raised by a register map: the instrument answers with this exception code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}")


class ModbusSilence(Exception):
    """Raised by a register map: the instrument is off, or too busy to answer."""


class Registers(Protocol):
    """A register map. Addresses as in the PDU; words are 0..65535 both ways.

    Any of these may raise `ModbusRefusal` or `ModbusSilence`.
    """

    def read(self, address: int, count: int) -> Sequence[int]:
        """`count` words from `address` (functions 3 and 4)."""

    def write_single(self, address: int, value: int) -> None:
        """Function 6."""

    def write_block(self, address: int, values: Sequence[int]) -> None:
        """Function 16."""


class Request(NamedTuple):
    """A request with a good CRC. `values` is empty for reads; `size` is registers, or the loopback's data."""

    unit: int
    function: int
    address: int
    size: int
    values: tuple[int, ...] = ()


class RtuSession:
    """One wire to one unit.

    Args:
        registers: the device's map.
        unit: the address it answers to, 1..254.
        functions: what it supports, of 3, 4, 6, 8 and 16.
        refuses_unknown: True answers exception 1 to other functions (Binder), False stays silent (Eurotherm).
        latency_s: from the last byte of a request to the first of the reply.
        gap_s: silence that ends a frame. The standard's 3.5 characters are 4 ms at 9600 baud; an operating
            system's serial line is not that punctual (assumed 50 ms).
    """

    def __init__(
        self,
        registers: Registers,
        unit: int,
        *,
        functions: frozenset[int] = frozenset({3, 4, 6, 8, 16}),
        refuses_unknown: bool = False,
        latency_s: float = 0.005,
        gap_s: float = 0.05,
    ) -> None:
        self.registers = registers
        self.unit = unit
        self.functions = functions
        self.refuses_unknown = refuses_unknown
        self.latency_s = latency_s
        self.gap_s = gap_s
        self._pending = b""
        self._deaf = False
        self._last_s = float("-inf")

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes in any split; the replies to the requests that they complete."""
        if now_s - self._last_s > self.gap_s:
            self._pending = b""
            self._deaf = False
        self._last_s = now_s
        if self._deaf:
            return []
        if self._pending:
            data = self._pending + data
        elif (request := whole(data)) is not None:  # nearly always
            reply = self._answer(request)
            return [(self.latency_s, reply)] if reply else []
        replies: Replies = []
        while data:
            size = frame_size(data)
            if len(data) < size:
                break
            request = parse(data[:size]) if size else None
            if request is None:
                self._deaf = True
                data = b""
                break
            data = data[size:]
            if reply := self._answer(request):
                replies.append((self.latency_s, reply))
        self._pending = data
        return replies

    def _answer(self, request: Request) -> bytes:
        unit, function, address, count, values = request
        if unit != self.unit:
            if unit == 0 and function in (6, 16) and function in self.functions:
                self._obey(request)
            return b""
        if function not in self.functions:
            return self._refusal(function, ILLEGAL_FUNCTION) if self.refuses_unknown else b""
        try:
            if function in (3, 4):
                if not 1 <= count <= MAX_REGISTERS:
                    raise ModbusRefusal(ILLEGAL_VALUE)
                return _words_reply(unit, function, tuple(self.registers.read(address, count)))
            if function == 6:
                self.registers.write_single(address, values[0])
                return with_crc(struct.pack(">BBHH", unit, 6, address, values[0]))
            if function == 16:
                self.registers.write_block(address, values)
                return with_crc(struct.pack(">BBHH", unit, 16, address, count))
            if address != 0:  # function 8 knows one sub-function: return what was sent
                raise ModbusRefusal(ILLEGAL_VALUE)
            return with_crc(struct.pack(">BBHH", unit, 8, 0, count))
        except ModbusRefusal as refusal:
            return self._refusal(function, refusal.code)
        except ModbusSilence:
            return b""

    def _obey(self, request: Request) -> None:
        try:
            if request.function == 6:
                self.registers.write_single(request.address, request.values[0])
            else:
                self.registers.write_block(request.address, request.values)
        except (ModbusRefusal, ModbusSilence):
            pass  # nobody answers a broadcast

    def _refusal(self, function: int, code: int) -> bytes:
        return with_crc(bytes((self.unit, function | 0x80, code)))


def frame_size(data: bytes) -> int:
    """How many bytes the request at the front of `data` needs at least; 0 when its function is unknown."""
    if len(data) < 2:
        return 2
    function = data[1]
    if 1 <= function <= 6 or function == 8:
        return 8
    if function in (15, 16):
        return 9 + data[6] if len(data) > 6 else 9
    return 4 if function == 7 else 0


@lru_cache(4096)
def whole(data: bytes) -> Request | None:
    """The request that `data` is, no byte more and no byte less; else None."""
    return parse(data) if len(data) >= 2 and len(data) == frame_size(data) else None


@lru_cache(4096)
def _words_reply(unit: int, function: int, words: tuple[int, ...]) -> bytes:
    count = len(words)
    body = struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)
    return body + crc16(body).to_bytes(2, "little")


@lru_cache(4096)
def parse(frame: bytes) -> Request | None:
    """A whole request frame, or None when its CRC is bad or its byte count does not fit."""
    if crc16(frame[:-2]) != frame[-2] | frame[-1] << 8:
        return None
    unit, function = frame[0], frame[1]
    if len(frame) == 4:
        return Request(unit, function, 0, 0)
    address, count = struct.unpack_from(">HH", frame, 2)
    if function in (5, 6):
        return Request(unit, function, address, 1, (count,))
    if function == 16:
        if frame[6] != 2 * count or count == 0:
            return None
        return Request(unit, function, address, count, struct.unpack_from(f">{count}H", frame, 7))
    return Request(unit, function, address, count)


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
        table.append(byte)
    return tuple(table)


_CRC = _table()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS; its low byte is sent first."""
    crc = 0xFFFF
    table = _CRC
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


@lru_cache(4096)
def with_crc(body: bytes) -> bytes:
    """A frame: its body and the CRC over it."""
    return body + crc16(body).to_bytes(2, "little")
