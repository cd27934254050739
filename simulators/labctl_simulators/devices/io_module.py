"""A digital and analog I/O module with a Modbus TCP coupler (WAGO 750): process image and watchdog.

Watchdog registers after the maker's manual (0x1000 to 0x1008, identity from 0x2010); taken from recall and
unverified: that functions 1 and 2 read inputs at 0 and outputs at 0x200, that an expired watchdog refuses all
process data with exception 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labctl_simulators.devices.api import Bindings, Device, ServicesModel, Session
from labctl_simulators.wire.modbus_rtu import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusRefusal
from labctl_simulators.wire.modbus_tcp import ALL_FUNCTIONS, TcpSession

FAILURE = 4
"""Exception of process data while the watchdog has expired."""
PROCESS = 256
"""Size of each part of the process image, bits or words."""
OUTPUTS_AT = 0x200
TIME, MASK, TRIGGER, LEAST, STATE, RESTART, STOP = 0x1000, 0x1001, 0x1003, 0x1004, 0x1006, 0x1007, 0x1008
OFF, RUNNING, EXPIRED = 0, 1, 2
STOP_WORDS = (0xAA55, 0x55AA)
IDENTITY = {0x2010: 12, 0x2011: 750, 0x2012: 362}
"""Firmware, series, item number."""

WIRING: Mapping[str, Mapping[str, float]] = {
    "door": {"input": 0},
    "extraction": {"input": 1},
    "limiter": {"input": 2},
    "water": {"input": 3},
    "estop": {"input": 4},
    "room_oxygen": {"register": 0, "low": 0.0, "high": 25.0},
    "room_co": {"register": 1, "low": 0.0, "high": 300.0},
    "tube_pressure": {"register": 2, "low": 0.0, "high": 0.5},
    "cylinder_pressure": {"register": 3, "low": 0.0, "high": 250.0},
    "contactor": {"coil": 0},
    "bypass": {"coil": 1},
    "beacon": {"coil": 2},
}
"""What is wired where unless the bench says; ranges are those of the transmitters at 4 and 20 mA."""


class IoModule:
    """The module. `coils` is its output image; `outputs` names those that are wired.

    state: of the watchdog. deadman_s: it expires no sooner, for hosts that
    look seldom. A watchdog is fed by the functions that its mask names, and by every change of its trigger.
    """

    def __init__(
        self, bindings: Bindings, wiring: Mapping[str, Mapping[str, float]], deadman_s: float = 0.0
    ) -> None:
        if bindings.services is None:
            raise ValueError("an I/O module needs something to be wired to")
        self.bindings = bindings
        self.services: ServicesModel = bindings.services
        self.inputs = {int(w["input"]): name for name, w in wiring.items() if "input" in w}
        self.analogs = {
            int(w["register"]): (name, {**WIRING[name], **w}) for name, w in wiring.items() if "register" in w
        }
        self.outputs = {int(w["coil"]): name for name, w in wiring.items() if "coil" in w}
        self.coils: dict[int, bool] = {}
        self.words: dict[int, int] = {}
        self.state = OFF
        self._fed_s = 0.0
        self._deadman_s = deadman_s
        self.power_cycle()

    def power_cycle(self) -> None:
        """Come back without current on any output, the watchdog off, its settings kept."""
        self.words = {TIME: 100, MASK: 0} | self.words | {TRIGGER: 0, LEAST: 0xFFFF}
        self.state = OFF
        self._release()

    def tick(self, now_s: float) -> None:
        """One look of the watchdog."""
        if self.state == RUNNING and now_s - self._fed_s > max(self.words[TIME] / 10.0, self._deadman_s):
            self.state = EXPIRED
            self._release()

    def read(self, address: int, count: int) -> Sequence[int]:
        """Holding registers: the watchdog's and the identity; below 0x200 the analog inputs, as function 4."""
        self._feed(3)
        if address < PROCESS:
            return self._currents(address, count)
        known = self.words | IDENTITY | {STATE: self.state, RESTART: 1, STOP: 0}
        try:
            return [known[a] for a in range(address, address + count)]
        except KeyError:
            raise ModbusRefusal(ILLEGAL_ADDRESS) from None

    def write_single(self, address: int, value: int) -> None:
        self._feed(6)
        self._write(address, value)

    def write_block(self, address: int, values: Sequence[int]) -> None:
        self._feed(16)
        for offset, value in enumerate(values):
            self._write(address + offset, value)

    def read_coils(self, address: int, count: int) -> Sequence[bool]:
        self._feed(1)
        return self._bits(address, count)

    def read_discrete(self, address: int, count: int) -> Sequence[bool]:
        self._feed(2)
        return self._bits(address, count)

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        self._feed(5)
        self._process()
        first = address - OUTPUTS_AT if address >= OUTPUTS_AT else address
        if first + len(values) > PROCESS:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        for place, on in enumerate(values, first):
            self.coils[place] = on
            if place in self.outputs:
                self.services.energise(self.outputs[place], on)

    def _bits(self, address: int, count: int) -> list[bool]:
        self._process()
        first = address - OUTPUTS_AT if address >= OUTPUTS_AT else address
        if first + count > PROCESS:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        if address >= OUTPUTS_AT:
            return [self.coils.get(place, False) for place in range(first, first + count)]
        closed, inputs = self.services.closed, self.inputs
        return [place in inputs and closed(inputs[place]) for place in range(first, first + count)]

    def _currents(self, address: int, count: int) -> list[int]:
        self._process()
        return [self._current(place) for place in range(address, address + count)]

    def _current(self, place: int) -> int:
        """What the register of an input reads; a broken loop carries no current."""
        name, w = self.analogs.get(place, ("", {}))
        value = self.services.measured(name) if name else None
        if value is None:
            milliamperes = 0.0
        else:
            milliamperes = min(22.0, max(3.5, 4.0 + 16.0 * (value - w["low"]) / (w["high"] - w["low"])))
        at_4, at_20 = w.get("counts_4_ma", 4000), w.get("counts_20_ma", 20000)
        return round(at_4 + (at_20 - at_4) * (milliamperes - 4.0) / 16.0) & 0xFFFF

    def _process(self) -> None:
        if self.state == EXPIRED:
            raise ModbusRefusal(FAILURE)

    def _feed(self, function: int) -> None:
        if self.state == RUNNING and self.words[MASK] >> function - 1 & 1:
            self._fed_s = self.bindings.now()

    def _write(self, address: int, value: int) -> None:
        if address in (TIME, MASK):
            if self.state == RUNNING:
                raise ModbusRefusal(ILLEGAL_VALUE)
            self.words[address] = value
        elif address == TRIGGER:
            if value and value != self.words[TRIGGER] and self.words[TIME] and self.state != EXPIRED:
                self.state, self._fed_s = RUNNING, self.bindings.now()
            self.words[TRIGGER] = value
        elif address == RESTART and value == 1 and self.state == EXPIRED:
            self.state, self._fed_s = RUNNING, self.bindings.now()
        elif address == STOP and value in STOP_WORDS:
            self.state = OFF
        elif address not in (RESTART, STOP):
            raise ModbusRefusal(ILLEGAL_ADDRESS)

    def _release(self) -> None:
        """Take the current from every output."""
        self.coils.clear()
        for name in self.outputs.values():
            self.services.energise(name, False)


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Device, Session]:
    """A module wired to what is around its tube.

    Options: `channels`, as the bench has wired it; `sim_deadman_s`, see `IoModule`.
    """
    del serial_number
    device = IoModule(bindings, options.get("channels") or WIRING, float(options.get("sim_deadman_s", 0.0)))
    inputs = _Inputs(device)
    return device, TcpSession(
        device, None, bits=device, inputs=inputs, functions=ALL_FUNCTIONS, latency_s=0.003
    )


class _Inputs:
    """The input registers of a module, as function 4 reads them."""

    def __init__(self, device: IoModule) -> None:
        self.device = device

    def read(self, address: int, count: int) -> Sequence[int]:
        self.device._feed(4)
        if address + count > PROCESS:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        return self.device._currents(address, count)

    def write_single(self, address: int, value: int) -> None:
        raise ModbusRefusal(ILLEGAL_ADDRESS)

    def write_block(self, address: int, values: Sequence[int]) -> None:
        raise ModbusRefusal(ILLEGAL_ADDRESS)
