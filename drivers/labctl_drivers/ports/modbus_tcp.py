"""Modbus TCP as a client: a transaction id of its own for every request, exact-length reads.

pymodbus builds and decodes the frames. The hot path is one cached request without its transaction id, two
reads and one cache of raw answers without theirs. An answer to an earlier request is passed over by its
transaction id. A frame carries no CRC: what TCP's checksum lets through in the data is not noticed here, so
whether a number is plausible is for the driver to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from labctl.bench.api import CommunicationError, Port
from labctl_drivers.ports.modbus import refusal, word_of

HEAD = 9
"""Length of the shortest answer, an exception: header of 7, function, code."""
LONGEST = 254
"""The standard's largest length field: unit and 253 bytes of PDU."""
PASSED_OVER = 16
"""Answers to earlier requests that are passed over before the one that is waited for counts as lost."""

COILS, DISCRETE, HOLDING, INPUT = 1, 2, 3, 4
"""Functions that read, by the table that they read from."""

_FRAMER = FramerSocket(DecodePDU(False))
_Answer = TypeVar("_Answer")


class ModbusTcp:
    """One Modbus unit behind a connection that it owns.

    Args:
        port: the connection; its time-out is how long an answer may take.
        unit: 0..255; 1 or 255 for most instruments with an address of their own.
        max_block: registers per read; longer reads are split.
        write_fc: 16 writes blocks, 6 writes register by register.
        retry: False never asks again.
    """

    def __init__(
        self, port: Port, unit: int = 1, *, max_block: int = 125, write_fc: int = 16, retry: bool = True
    ) -> None:
        if not 0 <= unit <= 255:
            raise ValueError(f"unit {unit} is not within 0..255")
        if not 1 <= max_block <= 125:
            raise ValueError(f"max_block {max_block} is not within 1..125")
        if write_fc not in (6, 16):
            raise ValueError(f"write_fc is 6 or 16, not {write_fc}")
        self.port = port
        self.unit = unit
        self.max_block = max_block
        self.write_fc = write_fc
        self.retry = retry
        self._transaction = 0
        self._answered = True
        self._in_step = True

    def read_holding(self, address: int, count: int = 1) -> tuple[int, ...]:
        """`count` registers from `address` (as in the PDU), each 0..65535.

        A lost or broken answer is asked for once more (see `retry`). Raises CommunicationError, or
        RefusedError with the meaning of the exception code.
        """
        return self._registers(HOLDING, address, count)

    def read_input(self, address: int, count: int = 1) -> tuple[int, ...]:
        """`count` input registers; else as `read_holding`."""
        return self._registers(INPUT, address, count)

    def read_bits(self, table: int, address: int, count: int = 1) -> tuple[bool, ...]:
        """`count` (at most 2000) of the coils or discrete inputs, as `table` says; else as `read_holding`."""
        return self._read(
            read_request(self.unit, table, address, count), table, 9 + (count + 7) // 8, _bits, count
        )

    def write(self, address: int, values: Sequence[int]) -> None:
        """Write registers from `address` (each -32768..65535) and check the acknowledgement.

        Never repeated: after CommunicationError the outcome is unknown. RefusedError: nothing was written
        by this request. An acknowledgement does not prove the value: read it back.
        """
        if self.write_fc == 6:
            for offset, value in enumerate(values):
                self._write(single_request(self.unit, address + offset, value), 6)
        else:
            self._write(block_request(self.unit, address, tuple(values)), 16)

    def write_coil(self, address: int, on: bool) -> None:
        """Write one coil; else as `write`."""
        self._write(coil_request(self.unit, address, on), 5)

    def _registers(self, table: int, address: int, count: int) -> tuple[int, ...]:
        if count > self.max_block:
            head = self._registers(table, address, self.max_block)
            return head + self._registers(table, address + self.max_block, count - self.max_block)
        request = read_request(self.unit, table, address, count)
        return self._read(request, table, 9 + 2 * count, _words, count)

    def _read(
        self, request: bytes, function: int, size: int, decode: Callable[[bytes, int], _Answer], count: int
    ) -> _Answer:
        again = self.retry and self._answered
        try:
            return decode(self._ask(request, function, size), count)
        except CommunicationError:
            if not again:
                raise
            return decode(self._ask(request, function, size), count)

    def _write(self, request: bytes, function: int) -> None:
        answer = self._ask(request, function, 12)
        # either acknowledgement repeats the request's unit, function, address, and value or count
        if answer[4:] != request[4:10]:
            raise CommunicationError(f"unit {self.unit}: acknowledged something else: {answer.hex(' ')}")

    def _ask(self, request: bytes, function: int, size: int) -> bytes:
        """Send a request and return its answer of `size` bytes, both without the transaction id."""
        port = self.port
        if not self._in_step:
            # what is left of a broken answer is no header; go on behind a silence of one time-out
            while port.read(256):
                pass
        port.reset_input()
        self._in_step = self._answered = False
        self._transaction = number = self._transaction % 65535 + 1
        mark = number.to_bytes(2, "big")
        port.write(mark + request)
        for _ in range(PASSED_OVER):
            head = port.read(HEAD)
            if not head:
                self._in_step = True  # a late answer will be known by its transaction id
                raise CommunicationError(f"unit {self.unit}: no answer")
            length = head[4] << 8 | head[5] if len(head) == HEAD else 0
            if not 3 <= length <= LONGEST or head[2:4] != b"\0\0":
                raise CommunicationError(f"unit {self.unit}: no Modbus TCP header: {head.hex(' ')}")
            answer = head[2:] + (port.read(length - 3) if length > 3 else b"")
            if len(answer) != length + 4:
                raise CommunicationError(f"unit {self.unit}: answer cut off: {answer.hex(' ')}")
            if head[:2] == mark:
                break
        else:
            raise CommunicationError(f"unit {self.unit}: answers to other requests only")
        if answer[4] != self.unit:
            raise CommunicationError(f"unit {self.unit}: unit {answer[4]} answered")
        if answer[5] != function or len(answer) != size - 2:
            raise self._refusal(answer, function)
        self._in_step = self._answered = True
        return answer

    def _refusal(self, answer: bytes, function: int) -> Exception:
        pdu = _decode(answer)
        if pdu is None or not pdu.isError() or pdu.function_code != function | 0x80:
            return CommunicationError(
                f"unit {self.unit}: no answer to function {function}: {answer.hex(' ')}"
            )
        self._in_step = self._answered = True
        return refusal(self.unit, pdu.exception_code)


@lru_cache(4096)
def read_request(unit: int, table: int, address: int, count: int) -> bytes:
    """The frame that reads from a table (`COILS`, `DISCRETE`, `HOLDING`, `INPUT`), without its transaction id."""
    kind = {
        COILS: ReadCoilsRequest,
        DISCRETE: ReadDiscreteInputsRequest,
        HOLDING: ReadHoldingRegistersRequest,
        INPUT: ReadInputRegistersRequest,
    }[table]
    return _FRAMER.buildFrame(kind(address=address, count=count, dev_id=unit))[2:]


@lru_cache(4096)
def block_request(unit: int, address: int, values: tuple[int, ...]) -> bytes:
    """The frame that writes registers (function 16), each -32768..65535. Raises ValueError beyond."""
    words = [word_of(value) for value in values]
    frame = WriteMultipleRegistersRequest(address=address, registers=words, dev_id=unit)
    return _FRAMER.buildFrame(frame)[2:]


@lru_cache(4096)
def single_request(unit: int, address: int, value: int) -> bytes:
    """The frame that writes one register (function 6), -32768..65535. Raises ValueError beyond."""
    frame = WriteSingleRegisterRequest(address=address, registers=[word_of(value)], dev_id=unit)
    return _FRAMER.buildFrame(frame)[2:]


@lru_cache(4096)
def coil_request(unit: int, address: int, on: bool) -> bytes:
    """The frame that writes one coil (function 5)."""
    return _FRAMER.buildFrame(WriteSingleCoilRequest(address=address, bits=[on], dev_id=unit))[2:]


@lru_cache(4096)
def _words(answer: bytes, count: int) -> tuple[int, ...]:
    pdu = _decode(answer)
    if pdu is None or answer[6] != 2 * count or len(pdu.registers) != count:
        raise CommunicationError(f"broken answer: {answer.hex(' ')}")
    return tuple(pdu.registers)


@lru_cache(4096)
def _bits(answer: bytes, count: int) -> tuple[bool, ...]:
    pdu = _decode(answer)
    if pdu is None or answer[6] != (count + 7) // 8 or len(pdu.bits) < count:
        raise CommunicationError(f"broken answer: {answer.hex(' ')}")
    return tuple(pdu.bits[:count])


def _decode(answer: bytes) -> ModbusPDU | None:
    try:
        used, pdu = _FRAMER.handleFrame(b"\0\0" + answer, 0, 0)
    except ModbusException:
        return None
    return pdu if used == len(answer) + 2 else None
