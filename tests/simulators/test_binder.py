from __future__ import annotations

from itertools import pairwise
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus import FramerType
from pymodbus.client import ModbusTcpClient

from labctl_simulators.devices.api import Bindings, Session
from labctl_simulators.devices.binder import BASIC, IDLE, MANUAL, BinderMb1, attach
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.physics.oven import ConvectionOven
from labctl_simulators.wire.modbus_rtu import with_crc


def powered_up(oven: ConvectionOven | None = None) -> tuple[BinderMb1, Session]:
    sensor = (lambda: oven.air_c) if oven else None
    device, session = attach(Bindings(now=lambda: 0.0, oven=oven, oven_sensor=sensor), {}, "1")
    assert isinstance(device, BinderMb1)
    return device, session


def ask(session: Session, body: str, now_s: float = 0.0) -> str:
    """The reply to a request, both in hexadecimal and without their CRC."""
    replies = session.feed(with_crc(bytes.fromhex(body)), now_s)
    return b"".join(reply[:-2] for _, reply in replies).hex(" ")


def test_the_temperature_comes_low_word_first_to_the_published_request() -> None:
    oven = ConvectionOven()
    oven.air_c = 100.0
    _, session = powered_up(oven)
    ((delay, reply),) = session.feed(bytes.fromhex("01 03 11 A9 00 02 11 17"), 0.0)
    assert reply[:-2] == bytes.fromhex("01 03 04 00 00 42 C8")
    assert delay <= 0.25


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("01 01 11 A9 00 02", "81 01"),
        ("01 03 20 00 00 01", "83 02"),
        ("01 03 11 CD 00 02", "83 02"),
        ("01 03 11 A9 00 03", "83 02"),
        ("01 10 15 81 00 02 04 00 00 44 7A", "90 03"),
        ("01 06 1A 22 00 01", "86 03"),
        ("01 06 1A 22 04 00", "86 03"),
        ("01 06 15 81 42 C8", "86 03"),
        ("01 06 10 07 00 01", "86 05"),
        ("01 10 11 A9 00 02 04 00 00 42 C8", "90 05"),
        ("01 10 20 00 00 02 04 00 00 42 C8", "90 02"),
    ],
)
def test_what_it_refuses_has_the_codes_of_the_real_one(request_: str, reply: str) -> None:
    device, session = powered_up()
    assert ask(session, request_) == f"01 {reply}"
    assert (device.mode, device.manual_c) == (IDLE, 0.0)


def test_single_words_of_a_float_can_be_read() -> None:
    device, session = powered_up()
    device.manual_c = 100.0
    assert ask(session, "01 03 15 82 00 01") == "01 03 02 42 c8"


def test_the_setpoint_of_the_mode_acts() -> None:
    device, session = powered_up()
    ask(session, "01 10 15 81 00 02 04 00 00 42 C8")
    ask(session, "01 10 15 6F 00 02 04 00 00 42 20")
    acts = {}
    for mode in (IDLE, MANUAL, BASIC):
        ask(session, f"01 06 1A 22 {mode:04X}")
        acts[mode] = device.setpoint_c
    assert acts == {IDLE: 0.0, MANUAL: 100.0, BASIC: 40.0}


def test_its_own_loop_reaches_100_degrees_with_little_overshoot() -> None:
    oven = ConvectionOven()
    device, session = powered_up(oven)
    ask(session, "01 10 15 81 00 02 04 00 00 42 C8")
    ask(session, "01 06 1A 22 08 00")
    highest, reached = 0.0, None
    for second in range(7200):
        oven.step(1.0, 22.0)
        device.tick(float(second))
        highest = max(highest, oven.air_c)
        if reached is None and oven.air_c > 99.0:
            reached = second
    assert reached is not None
    assert reached / 60.0 == pytest.approx(14.7, abs=2.0)
    assert 100.0 < highest < 100.5
    assert oven.air_c == pytest.approx(100.0, abs=0.05)


REQUESTS = bytes.fromhex("01 03 11 A9 00 02 11 17") + with_crc(
    bytes.fromhex("01 10 15 81 00 02 04 00 00 42 C8")
)


@given(cuts=st.lists(st.integers(0, len(REQUESTS)), max_size=8).map(sorted))
def test_replies_do_not_depend_on_how_the_bytes_are_split(cuts: list[int]) -> None:
    device, session = powered_up()
    _, whole = powered_up()
    pieces = [REQUESTS[a:b] for a, b in pairwise([0, *cuts, len(REQUESTS)])]
    split = [reply for piece in pieces for _, reply in session.feed(piece, 0.0)]
    assert split == [reply for _, reply in whole.feed(REQUESTS, 0.0)]
    assert device.manual_c == 100.0


@given(garbage=st.binary(max_size=80))
def test_after_garbage_and_a_pause_it_answers_again(garbage: bytes) -> None:
    _, session = powered_up()
    session.feed(garbage, 0.0)
    assert ask(session, "01 03 10 07 00 01", 1.0) == "01 03 02 00 00"


@pytest.mark.evidence("binder", "client", "pymodbus reads, writes and is refused, RTU frames over TCP")
def test_a_foreign_client_reads_and_writes_it() -> None:
    device, session = powered_up(ConvectionOven())
    host = TcpHost(session, monotonic)
    with host, ModbusTcpClient("127.0.0.1", port=host.port, framer=FramerType.RTU) as client:
        read = client.read_holding_registers(0x11A9, count=2, device_id=1)
        assert client.convert_from_registers(read.registers, client.DATATYPE.FLOAT32, "little") == 22.0
        client.write_registers(
            0x1581, client.convert_to_registers(100.0, client.DATATYPE.FLOAT32, "little"), device_id=1
        )
        assert client.read_holding_registers(0x2000, count=1, device_id=1).exception_code == 2
    assert device.manual_c == 100.0
