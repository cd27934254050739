from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.bench.api import CommunicationError, RefusedError
from labctl_drivers.ports import ModbusRtu, float32_of, registers_of, signed
from labctl_drivers.ports.modbus import block_request, read_request, single_request


def framed(body: str) -> str:
    """A frame in hex, with the CRC worked out bit by bit as the standard writes it."""
    crc = 0xFFFF
    for byte in bytes.fromhex(body):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return body + crc.to_bytes(2, "little").hex()


class Script:
    """A port that answers the n-th request with the n-th of some replies."""

    def __init__(self, *replies: str) -> None:
        self.replies = [bytes.fromhex(reply) for reply in replies]
        self.sent: list[bytes] = []
        self.buffer = b""

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        self.buffer += self.replies.pop(0) if self.replies else b""

    def read(self, size: int) -> bytes:
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_some(self) -> bytes:
        return self.read(4096)

    def reset_input(self) -> None:
        self.buffer = b""

    def close(self) -> None:
        pass


def test_requests_are_the_handbooks_to_the_byte() -> None:
    assert read_request(2, 1, 2) == bytes.fromhex("02 03 00 01 00 02 95 F8")
    assert read_request(1, 0x8002, 10) == bytes.fromhex("01 03 80 02 00 0A 4D CD")
    assert read_request(1, 0x11A9, 2) == bytes.fromhex("01 03 11 A9 00 02 11 17")
    assert single_request(2, 2, 250) == bytes.fromhex("02 06 00 02 00 FA A8 7A")
    assert block_request(2, 0x7B, (0x7B, 0x96, 0xFA))[:7] == bytes.fromhex("02 10 00 7B 00 03 06")


def test_a_read_returns_the_registers() -> None:
    port = Script("02 03 04 00 B2 00 D8 69 4E")
    assert ModbusRtu(port, 2).read_holding(1, 2) == (178, 216)


def test_a_refusal_says_what_the_instrument_means_and_is_not_repeated() -> None:
    port = Script("02 86 03 F2 61", framed("02 83 02"))
    modbus = ModbusRtu(port, 2, write_fc=6)
    with pytest.raises(RefusedError, match=r"value not allowed \(code 3\)"):
        modbus.write(2, [-1])
    with pytest.raises(RefusedError, match="no such register"):
        modbus.read_holding(1, 2)
    assert len(port.sent) == 2


@pytest.mark.parametrize(
    ("why", "reply"),
    [
        ("nothing", ""),
        ("a flipped bit", "02 03 04 00 B3 00 D8 69 4E"),
        ("cut off", "02 03 04 00 B2 00 D8"),
        ("another unit", framed("03 03 04 00 B2 00 D8")),
        ("another function", "02 06 00 02 00 FA A8 7A"),
        ("another length", framed("02 03 02 00 B2")),
        ("no bytes", framed("02 03 00")),
        ("noise before", "FF 02 03 04 00 B2 00 D8 69 4E"),
    ],
)
def test_a_wrong_reply_is_asked_for_once_more_then_an_error(why: str, reply: str) -> None:
    good = "02 03 04 00 B2 00 D8 69 4E"
    assert ModbusRtu(Script(reply, good), 2).read_holding(1, 2) == (178, 216), why
    port = Script(reply, reply, good)
    modbus = ModbusRtu(port, 2)
    with pytest.raises(CommunicationError):
        modbus.read_holding(1, 2)
    assert len(port.sent) == 2
    assert modbus.read_holding(1, 2) == (178, 216)


def test_a_line_that_is_still_unsettled_gets_one_attempt_only() -> None:
    port = Script()
    modbus = ModbusRtu(port, 2)
    for sent in (2, 3, 4):
        with pytest.raises(CommunicationError):
            modbus.read_holding(1, 2)
        assert len(port.sent) == sent


@pytest.mark.parametrize(
    "reply", ["", framed("02 06 00 02 00 FB"), framed("02 06 00 03 00 FA"), "02 06 00 02 00 FA A8 7B"]
)
def test_a_write_must_be_acknowledged_with_its_own_value_and_is_never_repeated(reply: str) -> None:
    port = Script(reply)
    with pytest.raises(CommunicationError):
        ModbusRtu(port, 2, write_fc=6).write(2, [250])
    assert len(port.sent) == 1


def test_a_block_is_written_in_one_request() -> None:
    port = Script(framed("02 10 00 7B 00 02"))
    ModbusRtu(port, 2).write(0x7B, [1, 2])
    assert port.sent == [block_request(2, 0x7B, (1, 2))]


def test_long_reads_are_split() -> None:
    port = Script(framed("02 03 02 00 B2"), framed("02 03 02 00 D8"))
    assert ModbusRtu(port, 2, max_block=1).read_holding(1, 2) == (178, 216)
    assert port.sent == [read_request(2, 1, 1), read_request(2, 2, 1)]


def test_a_line_that_echoes_is_recognised_and_writes_still_need_their_answer() -> None:
    request, write = read_request(2, 1, 2).hex(), single_request(2, 2, 250).hex()
    port = Script(request + "02 03 04 00 B2 00 D8 69 4E", write + write, write)
    modbus = ModbusRtu(port, 2, write_fc=6)
    assert modbus.read_holding(1, 2) == (178, 216)
    modbus.write(2, [250])
    with pytest.raises(CommunicationError):
        modbus.write(2, [250])  # the echo alone is no acknowledgement


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_garbage_is_never_a_number(first: bytes, second: bytes) -> None:
    port = Script(first.hex(), second.hex())
    with pytest.raises((CommunicationError, RefusedError)):
        ModbusRtu(port, 2).read_holding(1, 2)


@given(st.integers(0, 8), st.integers(1, 255))
def test_any_changed_byte_is_noticed(place: int, change: int) -> None:
    reply = bytearray.fromhex("02 03 04 00 B2 00 D8 69 4E")
    reply[place] ^= change
    port = Script(reply.hex())
    with pytest.raises(CommunicationError):
        ModbusRtu(port, 2).read_holding(1, 2)


@given(st.floats(width=32, allow_nan=False), st.booleans())
def test_floats_survive_both_word_orders(value: float, low_first: bool) -> None:
    assert float32_of(registers_of(value, low_word_first=low_first), low_word_first=low_first) == value


def test_word_orders_are_the_makers() -> None:
    assert registers_of(1.001, low_word_first=False) == (0x3F80, 0x20C5)
    assert registers_of(350.0, low_word_first=False) == (0x43AF, 0x0000)
    assert registers_of(75.0, low_word_first=True) == (0x0000, 0x4296)
    assert signed(0xFFFB) == -5


def test_impossible_settings_and_values_are_refused_before_anything_is_sent() -> None:
    for unit in (0, 255):
        with pytest.raises(ValueError, match="unit"):
            ModbusRtu(Script(), unit)
    with pytest.raises(ValueError, match="max_block"):
        ModbusRtu(Script(), 1, max_block=126)
    with pytest.raises(ValueError, match="write_fc"):
        ModbusRtu(Script(), 1, write_fc=5)
    port = Script()
    with pytest.raises(ValueError, match="does not fit"):
        ModbusRtu(port, 1).write(2, [70000])
    assert port.sent == []
