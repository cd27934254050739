"""Replies of Modbus RTU that come late, also by a whole poll: nothing in such a frame says what it answers."""

from __future__ import annotations

import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.bench.api import CommunicationError
from labctl_drivers.eurotherm.profiles import EURO_3216
from labctl_drivers.ports import ModbusRtu
from tests.drivers.ports.test_modbus import framed

TIMEOUT_S, POLL_S, QUICK_S = 0.3, 1.0, 0.01
LIVE, STATUS = (1, 5), (75, 1)


class Line:
    """A line whose registers all read the time of the request in tenths of a second, and whose replies take a while.

    Replies keep their order. `lost`: the next so many requests are not heard.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.delay_s = QUICK_S
        self.lost = 0
        self.sent: list[bytes] = []
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._arrived = b""

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        if self.lost:
            self.lost -= 1
            return
        unit, function, _, size = struct.unpack(">BBHH", data[:6])
        body = struct.pack(">BBB", unit, 3, 2 * size) + struct.pack(">H", round(self.now_s * 10)) * size
        reply = bytes.fromhex(framed((body if function == 3 else data[:6]).hex()))
        behind_s = self._under_way[-1][0] if self._under_way else 0.0
        self._under_way.append((max(behind_s, self.now_s + self.delay_s), reply))

    def read(self, size: int) -> bytes:
        deadline_s = self.now_s + TIMEOUT_S
        while len(self._taken_in()) < size and self.now_s < deadline_s:
            self.now_s = min([deadline_s, *(at for at, _ in list(self._under_way)[:1])])
        data, self._arrived = self._arrived[:size], self._arrived[size:]
        return data

    def read_some(self) -> bytes:
        return self.read(1) + self.read(len(self._arrived))

    def reset_input(self) -> None:
        self._taken_in()
        self._arrived = b""

    def close(self) -> None:
        pass

    def _taken_in(self) -> bytes:
        while self._under_way and self._under_way[0][0] <= self.now_s:
            self._arrived += self._under_way.popleft()[1]
        return self._arrived


def furnace(line: Line) -> ModbusRtu:
    return ModbusRtu(line, 1, write_fc=6, fences=EURO_3216.fences)


def poll(line: Line, modbus: ModbusRtu, number: int) -> bool:
    """Read as the driver does at its time; whether that gave numbers. They must be of this poll."""
    line.now_s = began_s = max(line.now_s, number * POLL_S)
    try:
        for address, count in (LIVE, STATUS):
            read = modbus.read_holding(address, count)
            assert all(round(began_s * 10) <= word <= round(line.now_s * 10) for word in read)
    except CommunicationError:
        return False
    return True


@given(st.floats(TIMEOUT_S, 2.6 * POLL_S))
def test_replies_that_are_all_late_are_never_numbers_and_a_quick_line_is_read_again(delay_s: float) -> None:
    line = Line()
    modbus = furnace(line)
    assert poll(line, modbus, 0)
    line.delay_s = delay_s
    for number in range(1, 20):
        poll(line, modbus, number)
    line.delay_s = QUICK_S
    assert [poll(line, modbus, number) for number in range(25, 28)][1:] == [True, True]


def test_a_reply_late_by_exactly_one_poll_is_not_the_answer_to_the_same_question() -> None:
    line = Line()
    modbus = furnace(line)
    assert poll(line, modbus, 0)
    line.delay_s = POLL_S + 0.05
    assert [poll(line, modbus, number) for number in range(1, 10)] == [False] * 9


@pytest.mark.parametrize("lost", [1, 2])
def test_after_a_lost_reply_one_other_question_is_answered_before_it_is_asked_again(lost: int) -> None:
    line = Line()
    modbus = furnace(line)
    line.lost = lost
    assert poll(line, modbus, 0) == (lost == 1)
    assert poll(line, modbus, 1)
    asked = [struct.unpack(">HH", request[2:6]) for request in line.sent]
    fences = list(EURO_3216.fences)
    assert asked == [LIVE, *fences[:lost], LIVE, STATUS] + ([LIVE, STATUS] if lost == 1 else [])


def test_a_line_in_step_is_asked_nothing_else() -> None:
    line = Line()
    modbus = furnace(line)
    assert all(poll(line, modbus, number) for number in range(5))
    assert len(line.sent) == 10


def test_a_write_waits_for_no_other_answer_and_its_own_says_nothing_of_the_line() -> None:
    line = Line()
    modbus = furnace(line)
    line.lost = 2
    assert not poll(line, modbus, 0)
    modbus.write(3, [0])
    modbus.read_holding(*STATUS)
    asked = [struct.unpack(">BHH", request[1:6]) for request in line.sent]
    assert asked == [(3, 1, 5), (3, 111, 2), (6, 3, 0), (3, 1, 3), (3, 75, 1)]


def test_a_line_of_single_words_has_only_silence_to_go_by() -> None:
    line = Line()
    modbus = ModbusRtu(line, 1, max_block=1, fences=EURO_3216.fences)
    line.lost = 1
    assert modbus.read_holding(*STATUS) == (round((line.now_s - QUICK_S) * 10),)
    assert len(line.sent) == 2
