from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_simulators.devices.api import Bindings, Session
from labctl_simulators.devices.bronkhorst import ElFlow, attach
from labctl_simulators.physics.massflow import MassFlow
from labctl_simulators.wire.propar import GAP_S


def powered_up() -> tuple[ElFlow, Session]:
    flow = MassFlow(1000.0)
    device, session = attach(Bindings(now=lambda: 0.0, mass_flow=flow), {}, "M21201234A")
    flow.indicated_sccm = 500.0
    return device, session


def ask(session: Session, data: bytes, now_s: float = 0.0) -> bytes:
    return b"".join(reply for _, reply in session.feed(data, now_s))


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b":06030101213E80\r\n", b":0403000005\r\n"),
        (b":06030401210120\r\n", b":06030201213E80\r\n"),  # both of the manual
        (b":06030401040104\r\n", b":050302010400\r\n"),
        (b":06800401040104\r\n", b":058002010400\r\n"),
        (b":060304aa040104\r\n", b":0403000205\r\n"),  # promises another process, and ends
        (b":0703047163716300\r\n", b":100302716300" + b"M21201234A".hex().upper().encode() + b"00\r\n"),
        (b":0703040171017105\r\n", b":0A0302017105" + b"N2   ".hex().upper().encode() + b"\r\n"),
        (b":06030201213E80\r\n", b""),  # a write that wants no acknowledgement
        (b":06030101217D01\r\n", b":0403000605\r\n"),  # 32001
        (b":06030101200001\r\n", b":0403000D05\r\n"),  # the measure
        (b":050301010413\r\n", b":0403000604\r\n"),  # control mode 19
        (b":0603040121012F\r\n", b":0403000400\r\n"),
        (b":06030421212140\r\n", b":0403000505\r\n"),  # one type for the reply, another for the parameter
        (b":06030402210221\r\n", b":0403000300\r\n"),
        (b":06030401410141\r\n", b":0403000500\r\n"),
        (b":06040401210120\r\n", b":0105\r\n"),
        (b":0203FF\r\n", b":0403000201\r\n"),
        (b":07030401210120\r\n", b":0103\r\n"),
        (b":0603040121012G\r\n", b":0103\r\n"),
        (b"06030401210120\r\n", b""),
        (
            bytes.fromhex("10 02 01 03 05 01 01 21 3E 80 10 03"),
            bytes.fromhex("10 02 01 03 03 00 00 05 10 03"),
        ),
        (
            bytes.fromhex("10 02 10 10 03 05 01 01 21 10 10 10 10 10 03"),
            bytes.fromhex("10 02 10 10 03 03 00 00 05 10 03"),
        ),
        (bytes.fromhex("10 02 07 09 05 04 01 21 01 20 10 03"), bytes.fromhex("10 02 07 09 01 05 10 03")),
        (bytes.fromhex("10 02 07 03 06 04 01 21 01 20 10 03"), b""),
    ],
)
def test_it_answers_as_the_manual_says(request_: bytes, reply: bytes) -> None:
    _, session = powered_up()
    assert ask(session, request_) == reply


def test_a_chained_request_is_answered_under_the_indices_that_it_chose() -> None:
    device, session = powered_up()
    device.alarm = 2
    reply = ask(session, b":0D0304A1C0214043214301140114\r\n")
    assert reply == b":100302A1C043E509934300000000011402\r\n"  # half of 916.15, setpoint 0, alarm 2
    assert ask(session, b":0D0304D5C0214043214301140114\r\n") == reply.replace(b"02A1", b"02D5")


def test_what_it_does_is_what_was_written() -> None:
    device, session = powered_up()
    ask(session, b":06030101213E80\r\n")
    ask(session, b":050301010412\r\n")
    assert (device.setpoint, device.mode) == (0.5, 18)
    ask(session, b":06030201211F40\r\n")
    assert device.setpoint == 0.25


TALK = (
    b"\x00:0603:06030101213E80\r\n:06030401210120\r\n"
    + bytes.fromhex("10 02 10 10 03 05 01 01 21 10 10 10 10 10 03")
    + bytes.fromhex("41 10 10 02 05 03 05 04 01 21 01 21 10 03")
    + b":06030401210121\r\n"
)


@given(cuts=st.lists(st.integers(0, len(TALK)), max_size=12).map(sorted))
def test_replies_do_not_depend_on_how_the_bytes_are_split(cuts: list[int]) -> None:
    device, session = powered_up()
    pieces = [TALK[a:b] for a, b in pairwise([0, *cuts, len(TALK)])]
    assert b"".join(ask(session, piece) for piece in pieces) == ask(powered_up()[1], TALK)
    assert device.setpoint == 0x1010 / 32000


def test_every_telegram_of_a_stream_is_answered_in_kind() -> None:
    assert ask(powered_up()[1], TALK) == (
        b":0403000005\r\n:06030201213E80\r\n"
        + bytes.fromhex("10 02 10 10 03 03 00 00 05 10 03")
        + bytes.fromhex("10 02 05 03 05 02 01 21 10 10 10 10 10 03")
        + b":06030201211010\r\n"
    )


@given(garbage=st.binary(max_size=300))
def test_after_garbage_and_a_pause_it_answers_again(garbage: bytes) -> None:
    _, session = powered_up()
    session.feed(garbage, 0.0)
    session.feed(b":050301010400\r\n", GAP_S + 1.0)
    assert ask(session, b":06030401040104\r\n", 2 * GAP_S + 2.0) == b":050302010400\r\n"


@given(place=st.integers(0, 15), byte=st.integers(0, 255))
def test_a_damaged_request_crashes_nothing(place: int, byte: int) -> None:
    request = bytearray(b":06030101213E80\r\n")
    request[place] = byte
    device, session = powered_up()
    ask(session, bytes(request))
    assert 0.0 <= device.setpoint <= 1.0
