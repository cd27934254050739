"""Modbus TCP as an instrument speaks it: own header, no CRC, over any byte stream.

A device offers its registers, and bits where it has some; `TcpSession` does the rest. Another unit is met
with silence. Bytes that make no header leave no way to find the next one, so the session is deaf from
then on until the line was silent for `gap_s`: a real instrument hangs up.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from labctl_simulators.devices.api import Replies
from labctl_simulators.wire.modbus_rtu import (
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MAX_REGISTERS,
    ModbusRefusal,
    ModbusSilence,
    Registers,
)

MAX_BITS = 2000
LONGEST = 254
"""Largest length field: unit and 253 bytes of PDU."""
REGISTER_FUNCTIONS = frozenset({3, 4, 6, 16})
ALL_FUNCTIONS = frozenset({1, 2, 3, 4, 5, 6, 15, 16})


class Bits(Protocol):
    """Coils and discrete inputs. Addresses as in the PDU. May raise `ModbusRefusal` or `ModbusSilence`."""

    def read_coils(self, address: int, count: int) -> Sequence[bool]:
        """Function 1."""

    def read_discrete(self, address: int, count: int) -> Sequence[bool]:
        """Function 2."""

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """Functions 5 and 15."""


class Request(NamedTuple):
    """A request's unit and PDU. `values` is empty for reads; `size` counts registers or bits."""

    unit: int
    function: int
    address: int
    size: int
    values: tuple[int, ...] = ()


class TcpSession:
    """One connection to one unit.

    Args:
        registers: the device's map.
        unit: the address it answers to; None: it answers to any, as couplers without a serial side do.
        bits: its coils and discrete inputs, if it has any.
        inputs: its input registers (function 4), where they are not the holding registers.
        functions: what it supports; others are answered with exception 1.
        latency_s: from the last byte of a request to the first of the reply.
        gap_s: silence after which half a request is forgotten and deafness ends (assumed).
    """

    def __init__(
        self,
        registers: Registers,
        unit: int | None = 1,
        *,
        bits: Bits | None = None,
        inputs: Registers | None = None,
        functions: frozenset[int] = REGISTER_FUNCTIONS,
        latency_s: float = 0.005,
        gap_s: float = 1.0,
    ) -> None:
        self.registers = registers
        self.unit = unit
        self.bits = bits
        self.inputs = inputs or registers
        self.functions = functions
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
        data = self._pending + data
        replies: Replies = []
        while len(data) >= 6:
            length = data[4] << 8 | data[5]
            if data[2] or data[3] or not 2 <= length <= LONGEST:
                self._deaf = True
                data = b""
                break
            size = 6 + length
            if len(data) < size:
                break
            if reply := self._answer(parse(data[6:size])):
                header = data[:4] + len(reply).to_bytes(2, "big")
                replies.append((self.latency_s, header + reply))
            data = data[size:]
        self._pending = data
        return replies

    def _answer(self, request: Request) -> bytes:
        """Unit and PDU of the reply, b"" for silence."""
        unit, function, address, count, values = request
        if self.unit is not None and unit != self.unit:
            return b""
        try:
            if function not in self.functions or (self.bits is None and function in (1, 2, 5, 15)):
                raise ModbusRefusal(ILLEGAL_FUNCTION)
            if count == 0:
                raise ModbusRefusal(ILLEGAL_VALUE)
            if function in (3, 4):
                if count > MAX_REGISTERS:
                    raise ModbusRefusal(ILLEGAL_VALUE)
                words = (self.registers if function == 3 else self.inputs).read(address, count)
                return _words_reply(count).pack(unit, function, 2 * count, *words)
            if function == 6:
                self.registers.write_single(address, values[0])
                return struct.pack(">BBHH", unit, 6, address, values[0])
            if function == 16:
                self.registers.write_block(address, values)
                return struct.pack(">BBHH", unit, 16, address, count)
            return self._answer_bits(unit, function, address, count, values)
        except ModbusRefusal as refusal:
            return bytes((unit, function | 0x80, refusal.code))
        except ModbusSilence:
            return b""

    def _answer_bits(
        self, unit: int, function: int, address: int, count: int, values: tuple[int, ...]
    ) -> bytes:
        bits = self.bits
        assert bits is not None
        if count > MAX_BITS:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if function in (1, 2):
            read = bits.read_coils if function == 1 else bits.read_discrete
            packed = packed_bits(tuple(read(address, count)))
            return bytes((unit, function, len(packed))) + packed
        bits.write_coils(address, [bool(value) for value in values])
        shown = (0xFF00 if values[0] else 0) if function == 5 else count
        return struct.pack(">BBHH", unit, function, address, shown)


@lru_cache(4096)
def parse(body: bytes) -> Request:
    """Unit and PDU of a request; `size` 0 when its parts do not fit each other."""
    unit, function = body[0], body[1]
    if len(body) < 6:
        return Request(unit, function, 0, 0)
    address, count = struct.unpack_from(">HH", body, 2)
    if function == 6 and len(body) == 6:
        return Request(unit, function, address, 1, (count,))
    if function == 5 and len(body) == 6:
        return Request(unit, function, address, int(count in (0, 0xFF00)), (count >> 15,))
    if function == 16 and len(body) > 6 and len(body) == 7 + body[6] == 7 + 2 * count:
        return Request(unit, function, address, count, struct.unpack_from(f">{count}H", body, 7))
    if function == 15 and len(body) > 6 and len(body) == 7 + body[6] == 7 + (count + 7) // 8:
        values = tuple(body[7 + n // 8] >> n % 8 & 1 for n in range(count))
        return Request(unit, function, address, count, values)
    return Request(unit, function, address, count if function < 5 and len(body) == 6 else 0)


@lru_cache(4096)
def packed_bits(bits: tuple[bool, ...]) -> bytes:
    """Bits as Modbus packs them: the first in the lowest bit of the first byte."""
    number = sum(1 << place for place, bit in enumerate(bits) if bit)
    return number.to_bytes((len(bits) + 7) // 8, "little")


@lru_cache
def _words_reply(count: int) -> struct.Struct:
    return struct.Struct(f">BBB{count}H")
