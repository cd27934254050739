from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_simulators.wire.modbus_rtu import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusRefusal, ModbusSilence
from labctl_simulators.wire.modbus_tcp import ALL_FUNCTIONS, TcpSession


class Memory:
    """Registers and bits; values above 1000 are refused."""

    def __init__(self, first: int = 0) -> None:
        self.words = [first + n for n in range(200)]
        self.bits = [n % 3 == 0 for n in range(64)]
        self.off = False

    def read(self, address: int, count: int) -> Sequence[int]:
        if self.off:
            raise ModbusSilence
        if address + count > len(self.words):
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        return self.words[address : address + count]

    def write_single(self, address: int, value: int) -> None:
        if value > 1000:
            raise ModbusRefusal(ILLEGAL_VALUE)
        self.words[address] = value

    def write_block(self, address: int, values: Sequence[int]) -> None:
        self.words[address : address + len(values)] = values

    def read_coils(self, address: int, count: int) -> Sequence[bool]:
        return self.bits[address : address + count]

    def read_discrete(self, address: int, count: int) -> Sequence[bool]:
        return [not bit for bit in self.bits[address : address + count]]

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        self.bits[address : address + len(values)] = values


def session(unit: int | None = 1) -> TcpSession:
    memory = Memory()
    return TcpSession(memory, unit, bits=memory, inputs=Memory(500), functions=ALL_FUNCTIONS)


def answer(wire: TcpSession, request: str, now_s: float = 0.0) -> str:
    return b"".join(reply for _, reply in wire.feed(bytes.fromhex(request), now_s)).hex(" ").upper()


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("00 01 00 00 00 06 01 03 00 6B 00 03", "00 01 00 00 00 09 01 03 06 00 6B 00 6C 00 6D"),
        ("AB CD 00 00 00 06 01 04 00 01 00 01", "AB CD 00 00 00 05 01 04 02 01 F5"),
        ("00 02 00 00 00 06 01 01 00 00 00 0A", "00 02 00 00 00 05 01 01 02 49 02"),
        ("00 02 00 00 00 06 01 02 00 00 00 03", "00 02 00 00 00 04 01 02 01 06"),
        ("00 03 00 00 00 06 01 05 00 01 FF 00", "00 03 00 00 00 06 01 05 00 01 FF 00"),
        ("00 04 00 00 00 06 01 06 00 02 00 FA", "00 04 00 00 00 06 01 06 00 02 00 FA"),
        ("00 05 00 00 00 08 01 0F 00 00 00 03 01 05", "00 05 00 00 00 06 01 0F 00 00 00 03"),
        ("00 06 00 00 00 0B 01 10 00 06 00 02 04 00 07 00 08", "00 06 00 00 00 06 01 10 00 06 00 02"),
        ("00 07 00 00 00 06 01 06 00 02 FF FF", "00 07 00 00 00 03 01 86 03"),
        ("00 08 00 00 00 06 01 03 00 C7 00 02", "00 08 00 00 00 03 01 83 02"),
        ("00 09 00 00 00 02 01 11", "00 09 00 00 00 03 01 91 01"),
        ("00 0A 00 00 00 06 01 03 00 00 00 7E", "00 0A 00 00 00 03 01 83 03"),
        ("00 0B 00 00 00 06 01 05 00 01 12 34", "00 0B 00 00 00 03 01 85 03"),
        ("00 0C 00 00 00 09 01 10 00 06 00 02 04 00 07", "00 0C 00 00 00 03 01 90 03"),
        ("00 0D 00 00 00 06 02 03 00 00 00 01", ""),
    ],
)
def test_the_answer_is_the_standards_to_the_byte(request_: str, reply: str) -> None:
    assert answer(session(), request_) == reply


def test_a_coupler_answers_to_any_unit_and_bits_are_what_was_written() -> None:
    wire = session(None)
    answer(wire, "00 05 00 00 00 08 FF 0F 00 00 00 03 01 05")
    assert answer(wire, "00 02 00 00 00 06 09 01 00 00 00 03") == "00 02 00 00 00 04 09 01 01 05"


def test_a_device_without_bits_refuses_them_and_one_without_power_is_silent() -> None:
    memory = Memory()
    wire = TcpSession(memory)
    assert answer(wire, "00 02 00 00 00 06 01 01 00 00 00 03") == "00 02 00 00 00 03 01 81 01"
    memory.off = True
    assert answer(wire, "00 02 00 00 00 06 01 03 00 00 00 03") == ""


def test_what_is_no_header_deafens_until_the_line_was_silent() -> None:
    wire, good = session(), "00 01 00 00 00 06 01 03 00 01 00 01"
    assert answer(wire, "00 01 00 07 00 06 01 03 00 01 00 01" + good, 0.0) == ""
    assert answer(wire, good, 0.5) == ""
    assert answer(wire, good, 1.6) != ""
    answer(wire, good[:11], 2.0)
    assert answer(wire, good, 9.0) != ""


REQUESTS = [
    bytes.fromhex("00 01 00 00 00 06 01 03 00 6B 00 03"),
    bytes.fromhex("00 02 00 00 00 06 02 03 00 00 00 01"),
    bytes.fromhex("00 06 00 00 00 0B 01 10 00 06 00 02 04 00 07 00 08"),
    bytes.fromhex("00 05 00 00 00 08 01 0F 00 00 00 03 01 05"),
    bytes.fromhex("00 09 00 00 00 02 01 11"),
]
streams = st.lists(st.sampled_from(REQUESTS) | st.binary(max_size=20), max_size=6).map(b"".join)


@given(streams, st.lists(st.integers(0, 120), max_size=8))
def test_the_answer_does_not_depend_on_how_bytes_arrive(stream: bytes, cuts: list[int]) -> None:
    whole = [reply for _, reply in session().feed(stream, 0.0)]
    wire = session()
    edges = [0, *sorted(cuts), len(stream)]
    assert [r for a, b in pairwise(edges) for _, r in wire.feed(stream[a:b], 0.0)] == whole
    wire = session()
    assert [reply for byte in stream for _, reply in wire.feed(bytes((byte,)), 0.0)] == whole
