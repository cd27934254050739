from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from labctl.bench.api import CommunicationError, RefusedError
from labctl_drivers.ports import ModbusTcp, open_line
from labctl_drivers.ports.modbus_tcp import COILS, DISCRETE, block_request, coil_request, read_request
from tests.drivers.contract import RealClock


class Script:
    """A port that answers the n-th request with the n-th of some replies; "TT TT" is its transaction id."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.sent: list[bytes] = []
        self.buffer = b""

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        reply = self.replies.pop(0) if self.replies else ""
        self.buffer += bytes.fromhex(reply.replace("TT TT", data[:2].hex()))

    def read(self, size: int) -> bytes:
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_some(self) -> bytes:
        return self.read(4096)

    def reset_input(self) -> None:
        self.buffer = b""

    def close(self) -> None:
        pass


GOOD = "TT TT 00 00 00 07 01 03 04 00 B2 00 D8"


def test_requests_are_the_standards_to_the_byte() -> None:
    # the series 2000 handbook's requests (HA026230) in the standard's header
    assert read_request(1, 3, 0x8002, 10) == bytes.fromhex("00 00 00 06 01 03 80 02 00 0A")
    assert read_request(1, 4, 1, 2) == bytes.fromhex("00 00 00 06 01 04 00 01 00 02")
    assert read_request(1, COILS, 0, 3) == bytes.fromhex("00 00 00 06 01 01 00 00 00 03")
    assert coil_request(1, 0xAC, True) == bytes.fromhex("00 00 00 06 01 05 00 AC FF 00")
    assert block_request(2, 0x7B, (0x7B, 0x96)) == bytes.fromhex("0000 000B 02 10 007B 0002 04 007B 0096")


def test_every_request_has_a_transaction_id_of_its_own() -> None:
    port = Script(GOOD, GOOD)
    modbus = ModbusTcp(port, 1)
    assert modbus.read_holding(1, 2) == (178, 216) == modbus.read_holding(1, 2)
    assert [frame[:2].hex() for frame in port.sent] == ["0001", "0002"]
    modbus._transaction = 0xFFFF
    with pytest.raises(CommunicationError):
        modbus.read_holding(1, 2)
    assert port.sent[2][:2].hex() == "0001"  # 0 means no transaction to some


def test_an_answer_to_an_earlier_request_is_passed_over() -> None:
    late = "00 63 00 00 00 07 01 03 04 03 E7 03 E7"
    port = Script(late + late + GOOD)
    assert ModbusTcp(port, 1).read_holding(1, 2) == (178, 216)
    assert len(port.sent) == 1


def test_bits_coils_and_input_registers() -> None:
    port = Script(
        "TT TT 00 00 00 05 01 02 02 05 01",
        "TT TT 00 00 00 05 01 04 02 FF FF",
        "TT TT 0000 0006 01 05 0003 FF00",
    )
    modbus = ModbusTcp(port, 1)
    assert modbus.read_bits(DISCRETE, 0, 9) == (True, False, True, False, False, False, False, False, True)
    assert modbus.read_input(7) == (65535,)
    modbus.write_coil(3, True)


def test_a_refusal_says_what_the_instrument_means_and_is_not_repeated() -> None:
    port = Script("TT TT 00 00 00 03 01 83 02", "TT TT 00 00 00 03 01 90 03")
    modbus = ModbusTcp(port, 1)
    with pytest.raises(RefusedError, match=r"no such register \(code 2\)"):
        modbus.read_holding(1, 2)
    with pytest.raises(RefusedError, match="value not allowed"):
        modbus.write(2, [-1])
    assert len(port.sent) == 2


@pytest.mark.parametrize(
    ("why", "reply"),
    [
        ("nothing", ""),
        ("cut off", GOOD[:-3]),
        ("half a header", GOOD[:14]),
        ("another unit", GOOD.replace("01 03", "02 03")),
        ("another function", GOOD.replace("01 03", "01 04")),
        ("an exception of another function", "TT TT 00 00 00 03 01 84 02"),
        ("another length", "TT TT 00 00 00 05 01 03 02 00 B2"),
        ("another protocol", GOOD.replace("TT TT 00 00", "TT TT 00 01")),
        ("another transaction", GOOD.replace("TT TT", "0F FF")),
        ("a byte count that does not fit", GOOD.replace("03 04", "03 05")),
        ("noise before", "FF" + GOOD),
    ],
)
def test_a_wrong_reply_is_asked_for_once_more_then_an_error(why: str, reply: str) -> None:
    assert ModbusTcp(Script(reply, GOOD), 1).read_holding(1, 2) == (178, 216), why
    port = Script(reply, reply, GOOD)
    modbus = ModbusTcp(port, 1)
    with pytest.raises(CommunicationError):
        modbus.read_holding(1, 2)
    assert len(port.sent) == 2
    assert modbus.read_holding(1, 2) == (178, 216)


@pytest.mark.parametrize("reply", ["", "TT TT 0000 0006 01 05 0003 0000", "TT TT 0000 0006 01 05 0004 FF00"])
def test_a_write_must_be_acknowledged_with_its_own_value_and_is_never_repeated(reply: str) -> None:
    port = Script(reply)
    with pytest.raises(CommunicationError):
        ModbusTcp(port, 1).write_coil(3, True)
    assert len(port.sent) == 1


def test_long_reads_are_split() -> None:
    port = Script("TT TT 0000 0005 01 03 02 00 B2", "TT TT 0000 0005 01 03 02 00 D8")
    assert ModbusTcp(port, 1, max_block=1).read_holding(1, 2) == (178, 216)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_garbage_is_never_a_number(first: bytes, second: bytes) -> None:
    with pytest.raises((CommunicationError, RefusedError)):
        ModbusTcp(Script(first.hex(), second.hex()), 1).read_holding(1, 2)


@given(st.integers(0, 12), st.integers(1, 255))
def test_a_changed_byte_is_noticed_anywhere_but_in_the_data(place: int, change: int) -> None:
    reply = bytearray.fromhex(GOOD.replace("TT TT", "00 01"))
    reply[place] ^= change
    modbus = ModbusTcp(Script(reply.hex()), 1, retry=False)
    if place < 9:
        with pytest.raises((CommunicationError, RefusedError)):
            modbus.read_holding(1, 2)
    else:  # there is no CRC: judging numbers is up to the driver
        assert modbus.read_holding(1, 2) != (178, 216)


@given(st.lists(st.integers(1, 12), max_size=4))
def test_it_does_not_matter_how_the_answer_arrives(cuts: list[int]) -> None:
    class Pieces(Script):
        def read(self, size: int) -> bytes:
            got = b""
            for cut in (*cuts, size):  # a blocking read gathers what it was asked for
                got += super().read(min(cut, size - len(got)))
            return got

    assert ModbusTcp(Pieces(GOOD), 1).read_holding(1, 2) == (178, 216)


def test_impossible_settings_and_values_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="unit"):
        ModbusTcp(Script(), 256)
    with pytest.raises(ValueError, match="max_block"):
        ModbusTcp(Script(), max_block=126)
    with pytest.raises(ValueError, match="write_fc"):
        ModbusTcp(Script(), write_fc=5)
    port = Script()
    with pytest.raises(ValueError, match="does not fit"):
        ModbusTcp(port, 1).write(2, [70000])
    assert port.sent == []


@contextmanager
def foreign_server() -> Iterator[str]:
    """pymodbus' own server: (coils, discrete inputs, holding registers, input registers)."""
    blocks = (
        [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
        [SimData(0, values=[True, False] * 8, datatype=DataType.BITS)],
        [SimData(0, values=list(range(100, 110)), datatype=DataType.REGISTERS)],
        [SimData(0, values=list(range(200, 210)), datatype=DataType.REGISTERS)],
    )
    loop, ready, place = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        server = ModbusTcpServer(
            SimDevice(1, simdata=blocks, use_bit_addressing=True), address=("127.0.0.1", 0)
        )
        await server.serve_forever(background=True)
        assert server.transport is not None
        place.append(server.transport.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.01)
        await server.shutdown()  # type: ignore[no-untyped-call]

    stop = threading.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(5.0)
        yield f"tcp://127.0.0.1:{place[0]}"
    finally:
        stop.set()
        thread.join(5.0)
        loop.close()


def test_it_speaks_with_a_foreign_server() -> None:
    with foreign_server() as address:
        port = open_line(address, RealClock()).open_stream(timeout_s=2.0)
        modbus = ModbusTcp(port, 1)
        assert modbus.read_holding(2, 3) == (102, 103, 104)
        assert modbus.read_input(0, 2) == (200, 201)
        modbus.write(4, [7, -1])
        modbus.write_fc = 6
        modbus.write(6, [9])
        assert modbus.read_holding(4, 3) == (7, 65535, 9)
        assert modbus.read_bits(DISCRETE, 0, 3) == (True, False, True)
        modbus.write_coil(1, True)
        assert modbus.read_bits(COILS, 0, 3) == (False, True, False)
        with pytest.raises(RefusedError, match="no such register"):
            modbus.read_holding(900, 1)
        port.close()
