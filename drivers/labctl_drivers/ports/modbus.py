"""Modbus RTU as a client, over any byte stream (RTU frames inside TCP too).

pymodbus builds the frames and checks them.
The hot path is one cached request frame, one exact-length read and one cache of raw reply bytes.
A reply that is late, broken, of another unit, function, length or address is never returned as a number.
"""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Protocol

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from labctl.bench.api import CommunicationError, Port, RefusedError

# pymodbus prints what it skips on stderr unless somebody listens; errors raised here already say it.
logging.getLogger("pymodbus").addHandler(logging.NullHandler())
logging.getLogger("pymodbus").propagate = False

EXCEPTIONS = {
    1: "function not supported",
    2: "no such register",
    3: "value not allowed",
    4: "the instrument failed",
    5: "write denied",
    6: "the instrument is busy",
    8: "write denied",
}
"""Modbus exception codes; 5 and 8 as Binder ovens use them."""

REFUSAL, OVERHEAD, ACKNOWLEDGEMENT = 5, 5, 8
"""Bytes of a refusal, of an answer around its registers, and of an acknowledged write."""

_FRAMER = FramerRTU(DecodePDU(False))


class Modbus(Protocol):
    """One Modbus unit, over RTU frames (`ModbusRtu`) or TCP's (`ModbusTcp`): what both can do."""

    port: Port

    def read_holding(self, address: int, count: int = 1) -> tuple[int, ...]:
        """Registers from `address`, each 0..65535. Raises CommunicationError or RefusedError."""

    def write(self, address: int, values: Sequence[int]) -> None:
        """Write registers, never repeated. Raises CommunicationError (outcome unknown) or RefusedError."""


class ModbusRtu:
    """One Modbus unit on a port that it owns.

    Args:
        port: the line; its time-out is how long an answer may take.
        unit: 1..247 (254 for some makers); never 0, which is a broadcast without answer.
        max_block: registers per read; longer reads are split.
        write_fc: 16 writes blocks, 6 writes register by register.
        retry: False never asks again; for a caller that opens its link anew after a loss instead.
        fences: (address, count) of reads that do no harm, each of a length that no other read has; those longer
            than `max_block` are left out. See below.

    A frame carries nothing that tells an answer from the one before. After a loss nothing is asked before the line was
    silent for one time-out, and with `fences` no read is believed before the next of them was answered: an answer that
    is late by a whole poll, or always, has another length and is never a number. What may pass are answers that are
    all late by as many attempts as there are fences. Writes go out without a fence: taking heat away waits for nothing.

    A line that echoes requests (two-wire RS-485) is recognised at the first read.
    """

    def __init__(
        self,
        port: Port,
        unit: int,
        *,
        max_block: int = 125,
        write_fc: int = 16,
        retry: bool = True,
        fences: Iterable[tuple[int, int]] = (),
    ) -> None:
        if not 1 <= unit <= 254:
            raise ValueError(f"unit {unit} is not within 1..254")
        if not 1 <= max_block <= 125:
            raise ValueError(f"max_block {max_block} is not within 1..125")
        if write_fc not in (6, 16):
            raise ValueError(f"write_fc is 6 or 16, not {write_fc}")
        self.port = port
        self.unit = unit
        self.max_block = max_block
        self.write_fc = write_fc
        self.retry = retry
        self._echoes = False
        self._quiet = True
        self._fences = deque(fence for fence in fences if fence[1] <= max_block)

    def read_holding(self, address: int, count: int = 1) -> tuple[int, ...]:
        """`count` registers from `address` (as in the PDU, no 40001 offset), each 0..65535.

        A lost or broken reply is asked for once more (see `retry`). Raises CommunicationError, or
        RefusedError with the meaning of the exception code.
        """
        if count > self.max_block:
            head = self.read_holding(address, self.max_block)
            return head + self.read_holding(address + self.max_block, count - self.max_block)
        request = read_request(self.unit, address, count)
        # a line that is still unsettled from the last request gets one attempt only
        in_step = self._quiet
        try:
            if not in_step:
                self._settle()
            return self._read_once(request, count)
        except CommunicationError:
            if not (in_step and self.retry):
                raise
            self._settle()
            return self._read_once(request, count)

    def write(self, address: int, values: Sequence[int]) -> None:
        """Write registers from `address` (each -32768..65535) and check the acknowledgement.

        Never repeated: after CommunicationError the outcome is unknown. RefusedError: nothing was written
        by this request. An acknowledgement does not prove the value: read it back.
        """
        if self.write_fc == 6:
            for offset, value in enumerate(values):
                self._write_once(single_request(self.unit, address + offset, value), 6)
        else:
            self._write_once(block_request(self.unit, address, tuple(values)), 16)

    def _read_once(self, request: bytes, count: int) -> tuple[int, ...]:
        size = OVERHEAD + 2 * count
        raw = self._ask(request, size)
        try:
            registers = decode_read(raw, self.unit, count)
        except CommunicationError:
            if not self._echoes and request[2] != 2 * count and raw.startswith(request[:size]):
                # no answer to this request can begin like it: the line echoes
                self._echoes = True
                raw = (raw + self.port.read(len(request)))[len(request) :]
            self._check(raw, 3, size)
            if raw[2] != 2 * count:
                message = f"unit {self.unit}: {raw[2]} bytes came, {2 * count} were asked for"
                raise CommunicationError(message) from None
            registers = decode_read(raw, self.unit, count)
        self._quiet = True
        return registers

    def _write_once(self, request: bytes, function: int) -> None:
        # the acknowledgement of the same write before says as much of the write, but nothing of the line
        in_step = self._quiet or not self._fences
        if not self._quiet:
            self._drain()
        try:
            raw = self._ask(request, ACKNOWLEDGEMENT)
            self._check(raw, function, ACKNOWLEDGEMENT)
            check_write(raw, request, self.unit)
            self._quiet = in_step
        except RefusedError:
            self._quiet = in_step
            raise

    def _settle(self) -> None:
        """Be in step again, or raise CommunicationError: what comes next on this line answers what is asked next."""
        self._drain()
        if self._fences:
            address, count = self._fences[0]
            self._fences.rotate(-1)
            try:
                self._read_once(read_request(self.unit, address, count), count)
            except RefusedError as error:
                self._quiet = False
                raise CommunicationError(f"unit {self.unit}: not in step: {error}") from error

    def _drain(self) -> None:
        """Wait until the line was silent for one time-out. One that was lost holds nothing; a write opens it anew."""
        with suppress(CommunicationError):
            while self.port.read(256):
                pass

    def _ask(self, request: bytes, size: int) -> bytes:
        """Send a request on a quiet line and return what came of the answer of `size` bytes."""
        port = self.port
        port.reset_input()
        self._quiet = False
        port.write(request)
        if self._echoes and port.read(len(request)) != request:
            self._echoes = False
            raise CommunicationError(f"unit {self.unit}: the line no longer echoes requests")
        return port.read(size)

    def _check(self, raw: bytes, function: int, size: int) -> None:
        """Raise what a reply says that is not `size` bytes of this function from this unit.

        A refusal is shorter than any answer: it is read when the line has been silent for one time-out.
        """
        if len(raw) == size and raw[0] == self.unit and raw[1] == function:
            return
        if len(raw) < REFUSAL:
            raise CommunicationError(f"unit {self.unit}: no answer ({len(raw)} bytes)")
        if raw[0] != self.unit:
            raise CommunicationError(f"unit {self.unit}: unit {raw[0]} answered")
        if raw[1] == function:
            raise CommunicationError(f"unit {self.unit}: answer cut off: {raw.hex(' ')}")
        pdu = _decode(raw, self.unit)
        if pdu is None or not pdu.isError() or pdu.function_code != function | 0x80:
            raise CommunicationError(f"unit {self.unit}: no answer to function {function}: {raw.hex(' ')}")
        self._quiet = True
        raise refusal(self.unit, pdu.exception_code)


@lru_cache(4096)
def read_request(unit: int, address: int, count: int) -> bytes:
    """The frame that asks for `count` holding registers (function 3)."""
    return _FRAMER.buildFrame(ReadHoldingRegistersRequest(address=address, count=count, dev_id=unit))


@lru_cache(4096)
def block_request(unit: int, address: int, values: tuple[int, ...]) -> bytes:
    """The frame that writes registers (function 16), each -32768..65535. Raises ValueError beyond."""
    words = [word_of(value) for value in values]
    return _FRAMER.buildFrame(WriteMultipleRegistersRequest(address=address, registers=words, dev_id=unit))


@lru_cache(4096)
def single_request(unit: int, address: int, value: int) -> bytes:
    """The frame that writes one register (function 6), -32768..65535. Raises ValueError beyond."""
    return _FRAMER.buildFrame(
        WriteSingleRegisterRequest(address=address, registers=[word_of(value)], dev_id=unit)
    )


@lru_cache(4096)
def decode_read(raw: bytes, unit: int, count: int) -> tuple[int, ...]:
    """The registers of a whole reply frame to function 3. Raises CommunicationError.

    Every new number comes through here: pymodbus checks the frame, its search for frames and answers is left out.
    """
    words, check = raw[3:-2], int.from_bytes(raw[-2:], "big")
    expected = raw[:3] == bytes((unit, 3, 2 * count)) and len(words) == 2 * count
    if not (expected and FramerRTU.check_CRC(raw[:-2], check)):
        raise CommunicationError(f"unit {unit}: broken answer: {raw.hex(' ')}")
    return struct.unpack(f">{count}H", words)


@lru_cache(4096)
def check_write(raw: bytes, request: bytes, unit: int) -> None:
    """Check a whole reply frame to function 6 or 16 against its request. Raises CommunicationError."""
    pdu = _decode(raw, unit)
    # either reply repeats the request's first six bytes: unit, function, address, and value or count
    if (
        type(pdu) not in (WriteSingleRegisterResponse, WriteMultipleRegistersResponse)
        or raw[:6] != request[:6]
    ):
        raise CommunicationError(f"unit {unit}: acknowledged something else: {raw.hex(' ')}")


def _decode(raw: bytes, unit: int) -> ModbusPDU | None:
    try:
        used, pdu = _FRAMER.handleFrame(raw, unit, 0)
    except ModbusException:
        return None
    return pdu if used == len(raw) else None


def refusal(unit: int, code: int) -> RefusedError:
    """What an exception code means, as an error."""
    return RefusedError(f"unit {unit}: {EXCEPTIONS.get(code, 'exception')} (code {code})")


def word_of(value: int) -> int:
    """A number -32768..65535 as a register. Raises ValueError beyond."""
    if not -32768 <= value <= 65535:
        raise ValueError(f"{value} does not fit a register")
    return value & 0xFFFF


def signed(word: int) -> int:
    """A register as a signed number, -32768..32767."""
    return word - 65536 if word & 0x8000 else word


def float32_of(registers: Sequence[int], *, low_word_first: bool) -> float:
    """Two registers as a float32. Eurotherm sends the high word first, Binder the low word."""
    first, second = registers
    low, high = (first, second) if low_word_first else (second, first)
    return float(struct.unpack(">f", struct.pack(">HH", high, low))[0])


def registers_of(value: float, *, low_word_first: bool) -> tuple[int, int]:
    """A float as the two registers of a float32. Raises OverflowError beyond its range."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return (low, high) if low_word_first else (high, low)
