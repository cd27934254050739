from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_simulators.wire.modbus_rtu import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusRefusal,
    ModbusSilence,
    RtuSession,
    with_crc,
)


class Memory:
    """A thousand registers."""

    def __init__(self) -> None:
        self.words = [0] * 1000
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


def session(unit: int = 2, *, refuses_unknown: bool = False) -> RtuSession:
    memory = Memory()
    memory.words[1:3] = 0x00B2, 0x00D8
    return RtuSession(memory, unit, refuses_unknown=refuses_unknown)


def answer(wire: RtuSession, request: str, now_s: float = 0.0) -> str:
    return b"".join(reply for _, reply in wire.feed(bytes.fromhex(request), now_s)).hex(" ").upper()


# The series 2000 handbook (HA026230 issue 3) prints these.
@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("02 03 00 01 00 02 95 F8", "02 03 04 00 B2 00 D8 69 4E"),
        ("02 06 00 02 00 FA A8 7A", "02 06 00 02 00 FA A8 7A"),
        ("02 08 00 00 12 34 ED 4F", "02 08 00 00 12 34 ED 4F"),
    ],
)
def test_the_handbooks_examples_are_answered_to_the_byte(request_: str, reply: str) -> None:
    assert answer(session(), request_) == reply


def test_a_refusal_is_the_handbooks_to_the_byte() -> None:
    request = with_crc(bytes.fromhex("02 06 00 02 FF FF"))
    assert session().feed(request, 0.0)[0][1] == bytes.fromhex("02 86 03 F2 61")


@pytest.mark.parametrize(
    "frame",
    [
        "02 03 04 00 B2 00 D8 69 4E",
        "02 07 41 12",
        "02 07 30 D2 24",
        "02 05 00 02 01 00 6D A9",
        "13 01 00 02 00 0E 1F 7C",
        "01 03 80 02 00 0A 4D CD",
    ],
)
def test_the_handbooks_frames_have_this_crc(frame: str) -> None:
    raw = bytes.fromhex(frame)
    assert with_crc(raw[:-2]) == raw


@pytest.mark.parametrize(
    ("why", "request_"),
    [
        ("another unit", with_crc(bytes.fromhex("03 03 00 01 00 02"))),
        ("a broken CRC", bytes.fromhex("02 03 00 01 00 02 95 F9")),
        ("a broadcast", with_crc(bytes.fromhex("00 06 00 02 00 FA"))),
        ("an unsupported function", with_crc(bytes.fromhex("02 01 00 02 00 0E"))),
        ("an unheard-of function", with_crc(bytes.fromhex("02 63 00 02 00 0E"))),
        ("half a frame", bytes.fromhex("02 03 00 01")),
    ],
)
def test_what_no_instrument_answers_is_met_with_silence(why: str, request_: bytes) -> None:
    assert session().feed(request_, 0.0) == [], why


def test_a_broadcast_is_obeyed() -> None:
    wire = session()
    wire.feed(with_crc(bytes.fromhex("00 06 00 05 00 FA")), 0.0)
    wire.feed(with_crc(bytes.fromhex("00 10 00 06 00 01 02 00 07")), 1.0)
    assert list(wire.registers.read(5, 2)) == [0xFA, 7]


def test_an_instrument_that_refuses_unknown_functions_says_so() -> None:
    request = with_crc(bytes.fromhex("02 01 00 02 00 0E"))
    assert session(refuses_unknown=True).feed(request, 0.0)[0][1] == with_crc(b"\x02\x81\x01")


def test_an_address_beyond_the_map_and_a_count_beyond_the_standard_are_refused() -> None:
    wire = session()
    assert wire.feed(with_crc(bytes.fromhex("02 03 03 E7 00 02")), 0.0)[0][1][1:3] == b"\x83\x02"
    assert wire.feed(with_crc(bytes.fromhex("02 03 00 00 00 7E")), 1.0)[0][1][1:3] == b"\x83\x03"


def test_an_instrument_without_power_is_silent() -> None:
    wire = session()
    assert isinstance(wire.registers, Memory)
    wire.registers.off = True
    assert wire.feed(bytes.fromhex("02 03 00 01 00 02 95 F8"), 0.0) == []


def test_garbage_deafens_until_the_line_was_silent() -> None:
    wire = session()
    good = "02 03 00 01 00 02 95 F8"
    assert answer(wire, "FF " + good, 0.0) == ""
    assert answer(wire, good, 0.01) == ""
    assert answer(wire, good, 0.2) != ""


def test_half_a_frame_is_forgotten_after_a_silence() -> None:
    wire = session()
    answer(wire, "02 03 00", 0.0)
    assert answer(wire, "02 03 00 01 00 02 95 F8", 1.0) != ""


REQUESTS = [
    bytes.fromhex("02 03 00 01 00 02 95 F8"),
    bytes.fromhex("02 06 00 02 00 FA A8 7A"),
    bytes.fromhex("02 08 00 00 12 34 ED 4F"),
    with_crc(bytes.fromhex("02 10 00 06 00 02 04 00 07 00 08")),
    with_crc(bytes.fromhex("03 03 00 01 00 02")),
    with_crc(bytes.fromhex("02 01 00 02 00 0E")),
    b"\xff\x63garbage",
]
streams = st.lists(st.sampled_from(REQUESTS) | st.binary(max_size=20), max_size=6).map(b"".join)


@given(streams, st.lists(st.integers(0, 120), max_size=8))
def test_the_answer_does_not_depend_on_how_bytes_arrive(stream: bytes, cuts: list[int]) -> None:
    whole = [reply for _, reply in session().feed(stream, 0.0)]
    wire = session()
    edges = [0, *sorted(cuts), len(stream)]
    parts = [stream[a:b] for a, b in pairwise(edges)]
    assert [reply for part in parts for _, reply in wire.feed(part, 0.0)] == whole
    wire = session()
    assert [reply for byte in stream for _, reply in wire.feed(bytes((byte,)), 0.0)] == whole
