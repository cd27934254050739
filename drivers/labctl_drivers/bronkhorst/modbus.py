"""The same instrument as a Modbus RTU unit: one block at every reading, what seldom changes at every fifth.

Nothing in a Modbus RTU reply says which request it answers. After anything out of order the line is
*doubtful*: before the next request it asks for the capacity, whose reply has a length of its own. A serial
line keeps order, so once that is answered every older reply has passed by.
"""

from __future__ import annotations

from labctl.bench.api import Clock, CommunicationError
from labctl_drivers.bronkhorst.parameters import (
    ALARM,
    CAPACITY,
    FLUIDSET,
    FULL,
    MEASURE,
    Kind,
    Live,
    Parameter,
    Value,
    fraction,
)
from labctl_drivers.ports.modbus import ModbusRtu, decode_read, float32_of, read_request, registers_of

BLOCK = 5
"""From the measure on: measure, setpoint, slope, analog input, control mode."""

SELDOM = 5
"""Fluid set and alarms are asked for at every fifth reading."""

PATIENCE_S = 3.0
"""How long the capacity may be under way until it is asked for again (assumed, as for lines of ASCII)."""

LONGEST = 600


class ModbusMap:
    """A `Wire` on a Modbus unit, which must not repeat requests by itself (`retry=False`)."""

    def __init__(self, modbus: ModbusRtu, clock: Clock) -> None:
        self._modbus = modbus
        self._clock = clock
        self._reads = 0
        self._fluidset = self._alarm = 0
        self._doubtful = False
        self._fenced_s: float | None = None
        self._heard = b""
        self._fence = read_request(modbus.unit, CAPACITY.address, CAPACITY.registers)

    def live(self, capacity: float) -> Live:
        """One block; the capacity is not needed, the block tells fractions."""
        flow, setpoint, _, _, mode = self._words(MEASURE.address, BLOCK)
        if not self._reads:
            (self._fluidset,) = self._words(FLUIDSET.address, 1)
            (self._alarm,) = self._words(ALARM.address, 1)
        self._reads = (self._reads + 1) % SELDOM
        return Live(fraction(flow), setpoint / FULL, mode, self._fluidset, self._alarm)

    def read(self, parameter: Parameter) -> Value:
        words = self._words(parameter.address, parameter.registers)
        if parameter.kind is Kind.FLOAT:
            return float32_of(words, low_word_first=False)
        if parameter.kind is Kind.TEXT:
            text = b"".join(word.to_bytes(2, "big") for word in words)
            return text.partition(b"\0")[0].decode("ascii", "replace").strip()
        return words[0]

    def write(self, parameter: Parameter, value: float) -> None:
        words = registers_of(value, low_word_first=False) if parameter.kind is Kind.FLOAT else (int(value),)
        if self._doubtful:
            self._settle()
        try:
            self._modbus.write(parameter.address, words)
        except CommunicationError:
            self._doubtful = True
            raise

    def close(self) -> None:
        self._modbus.port.close()

    def _words(self, address: int, count: int) -> tuple[int, ...]:
        if self._doubtful:
            self._settle()
        try:
            return self._modbus.read_holding(address, count)
        except CommunicationError:
            self._doubtful = True
            self._reads = 0
            raise

    def _settle(self) -> None:
        """Wait for the capacity. Only one question for it is under way at a time."""
        port, unit, now = self._modbus.port, self._modbus.unit, self._clock.now()
        if self._fenced_s is None or now - self._fenced_s >= PATIENCE_S:
            port.reset_input()
            port.write(self._fence)
            self._fenced_s, self._heard = now, b""
        while not _holds(self._heard, unit):
            got = port.read_some()
            if not got or len(self._heard) > LONGEST:
                raise CommunicationError(f"unit {unit}: out of step, and no answer yet")
            self._heard += got
        self._fenced_s = None
        self._doubtful = False


def _holds(heard: bytes, unit: int) -> bool:
    """Whether the reply to the question for the capacity is in what was heard."""
    begin = bytes((unit, 3, 2 * CAPACITY.registers))
    at = heard.find(begin)
    while at >= 0:
        try:
            decode_read(heard[at : at + 5 + 2 * CAPACITY.registers], unit, CAPACITY.registers)
        except CommunicationError:
            at = heard.find(begin, at + 1)
        else:
            return True
    return False
