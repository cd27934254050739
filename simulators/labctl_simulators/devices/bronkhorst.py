"""A Bronkhorst EL-FLOW mass-flow controller: its parameters, over ProPar or as a Modbus unit.

Parameters after manuals 9.17.027, 9.17.035 and 9.17.061, control modes after 9.17.158. Assumed: how long
mode 0 waits until it takes silence for a loss, that it follows its setpoint again when somebody speaks,
that power-up turns mode 18 into 0 on this series too, latencies.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from labctl_simulators.devices.api import Bindings, MassFlowModel, Session
from labctl_simulators.wire.modbus_rtu import ILLEGAL_ADDRESS, ModbusRefusal, ModbusSilence, RtuSession
from labctl_simulators.wire.propar import (
    BAD_PARAMETER,
    BAD_PROCESS,
    BAD_TYPE,
    BAD_VALUE,
    BYTE,
    LONG,
    READ_ONLY,
    TEXT,
    WORD,
    ProparRefusal,
    ProparSession,
    number,
)

BUS, ANALOG, SLAVE, CLOSED, IDLE, FULL, OPEN, ZERO, RS232, SAFE = 0, 1, 2, 3, 4, 7, 8, 12, 18, 22
FOLLOWS = (BUS, RS232)
FIXED = {CLOSED: 0.0, FULL: 1.0, OPEN: 1.0, ZERO: 0.0, SAFE: 0.0}
"""Modes that command a flow of their own, as a fraction of the capacity."""
MODES = frozenset({*FOLLOWS, *FIXED, ANALOG, SLAVE, IDLE})

FULL_RAW, HIGHEST_RAW = 32000, 41942
LATENCY_S = 0.003
"""From the end of a request to the reply (assumed; replies come within 100 ms)."""

VALUE_REFUSED = 4
"""Modbus exception for a value or an access that is not allowed (manual 9.17.035)."""

_CM3 = {"ml": 1.0, "l": 1e3, "m3": 1e6}
_KELVIN = {"n": 273.15, "s": 293.15}
_MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0}


class Cell(NamedTuple):
    """A parameter: its type, how it is read and written (None: read only), and the bytes of a text."""

    kind: int
    get: Callable[[], float | str]
    put: Callable[[float], None] | None = None
    size: int = 0


class ElFlow:
    """The controller. Its faults are attributes.

    silent: answers nothing. late_s: extra delay. keeps_mode: acknowledges another control mode and stays in
    its own. alarm: alarm bits (0 error .. 7 hardware). analog: what the analog input asks for, a fraction.
    fluid, fluidset: what its calibration is for.
    """

    def __init__(
        self, model: MassFlowModel, bindings: Bindings, options: Mapping[str, Any], serial: str
    ) -> None:
        self.model = model
        self.serial_number = serial or "M21201234A"
        self.unit = str(options.get("sim_capacity_unit", "mln/min"))
        self.capacity = model.full_scale_sccm / sccm_per(self.unit)
        self.mode = int(options.get("sim_control_mode", BUS))
        self.power_up = float(options.get("sim_power_up_sccm", 0.0)) / model.full_scale_sccm
        self.comms_loss_s = float(options.get("sim_comms_loss_s", 15.0))
        self.fluid, self.fluidset = str(options.get("gas", "N2")), 0
        self.setpoint = self.power_up
        self.slope_s = 0.0
        self.analog = 0.0
        self.alarm = 0
        self.silent = self.keeps_mode = False
        self.late_s = 0.0
        self._now = bindings.now
        self._heard_s = bindings.now()
        self._ticked_s = bindings.now()
        self._working = self.setpoint
        self.cells = self._table()
        self._addresses = {modbus_address(*key, cell.kind): (key, cell) for key, cell in self.cells.items()}

    @property
    def flow(self) -> float:
        """Measured flow as a fraction of the capacity."""
        return self.model.indicated_sccm / self.model.full_scale_sccm

    @property
    def communication_lost(self) -> bool:
        """Nobody has spoken for so long that mode 0 goes to the safe state."""
        return self._now() - self._heard_s > self.comms_loss_s

    def tick(self, now_s: float) -> None:
        """Drive the valve as the control mode says."""
        dt, self._ticked_s = now_s - self._ticked_s, now_s
        if self.mode == IDLE:
            return
        if self.mode in FOLLOWS:
            target = 0.0 if self.mode == BUS and self.communication_lost else self.setpoint
        else:
            target = FIXED.get(self.mode, self.analog)
        step = dt / self.slope_s if self.slope_s else 1.0
        self._working += max(-step, min(step, target - self._working))
        self.model.setpoint_sccm = self._working * self.model.full_scale_sccm

    def power_cycle(self) -> None:
        """Off and on: mode 18 becomes 0, the setpoint what it is at power-up."""
        if self.mode == RS232:
            self.mode = BUS
        self.setpoint = self._working = self.power_up
        self._heard_s = self._now()
        self.tick(self._now())

    def latency_s(self) -> float:
        """From the end of a request to the reply."""
        return LATENCY_S + self.late_s

    def heard(self) -> bool:
        """Somebody spoke; False when it does not answer."""
        self._heard_s = self._now()
        return not self.silent

    def get(self, process: int, number_: int, kind: int) -> bytes:
        """A parameter as ProPar carries it."""
        cell = self._cell(process, number_, kind)
        value = cell.get()
        return value.encode() if isinstance(value, str) else number(value, kind)

    def put(self, process: int, number_: int, kind: int, data: bytes) -> None:
        """Write a parameter as ProPar carries it."""
        cell = self._cell(process, number_, kind)
        if cell.put is None:
            raise ProparRefusal(READ_ONLY)
        cell.put(struct.unpack(">f", data)[0] if kind == LONG else int.from_bytes(data, "big"))

    def _cell(self, process: int, number_: int, kind: int) -> Cell:
        cell = self.cells.get((process, number_))
        if cell is None:
            known = any(p == process for p, _ in self.cells)
            raise ProparRefusal(BAD_PARAMETER if known else BAD_PROCESS)
        if cell.kind != kind:
            raise ProparRefusal(BAD_TYPE)
        return cell

    def read(self, address: int, count: int) -> Sequence[int]:
        """Modbus: whole parameters only, side by side."""
        if not self.heard():
            raise ModbusSilence
        words: list[int] = []
        while len(words) < count:
            (process, number_), cell = self._at(address + len(words))
            value = self.get(process, number_, cell.kind)
            if cell.kind == TEXT:
                value = value.ljust(cell.size + cell.size % 2, b"\0")
            value = value.rjust(2, b"\0")
            words += struct.unpack(f">{len(value) // 2}H", value)
        if len(words) > count:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        return words

    def write_single(self, address: int, value: int) -> None:
        """Modbus function 6."""
        self.write_block(address, (value,))

    def write_block(self, address: int, values: Sequence[int]) -> None:
        """Modbus function 16."""
        if not self.heard():
            raise ModbusSilence
        (process, number_), cell = self._at(address)
        data = struct.pack(f">{len(values)}H", *values)
        if len(values) != (2 if cell.kind == LONG else 1):
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        if cell.kind == BYTE:
            if values[0] > 0xFF:
                raise ModbusRefusal(VALUE_REFUSED)
            data = data[1:]
        try:
            self.put(process, number_, cell.kind, data)
        except ProparRefusal:
            raise ModbusRefusal(VALUE_REFUSED) from None

    def _at(self, address: int) -> tuple[tuple[int, int], Cell]:
        found = self._addresses.get(address)
        if found is None:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        return found

    def _set_raw(self, raw: float) -> None:
        if not 0 <= raw <= FULL_RAW:
            raise ProparRefusal(BAD_VALUE)
        self.setpoint = raw / FULL_RAW

    def _set_float(self, flow: float) -> None:
        # a float32 of the capacity itself may lie a little above it
        if not 0.0 <= flow <= self.capacity * (1.0 + 1e-6):
            raise ProparRefusal(BAD_VALUE)
        self.setpoint = flow / self.capacity

    def _set_mode(self, mode: float) -> None:
        if mode not in MODES:
            raise ProparRefusal(BAD_VALUE)
        if not self.keeps_mode:
            self.mode = int(mode)

    def _set_slope(self, tenths: float) -> None:
        if not 0 <= tenths <= 30000:
            raise ProparRefusal(BAD_VALUE)
        self.slope_s = tenths / 10.0

    def _raw_flow(self) -> int:
        raw = min(HIGHEST_RAW, round(self.flow * FULL_RAW))
        return raw if raw >= 0 else raw + 65535

    def _table(self) -> dict[tuple[int, int], Cell]:
        return {
            (1, 0): Cell(WORD, self._raw_flow),
            (1, 1): Cell(WORD, lambda: round(self.setpoint * FULL_RAW), self._set_raw),
            (1, 2): Cell(WORD, lambda: round(self.slope_s * 10.0), self._set_slope),
            (1, 3): Cell(WORD, lambda: round(self.analog * FULL_RAW)),
            (1, 4): Cell(BYTE, lambda: self.mode, self._set_mode),
            (1, 13): Cell(LONG, lambda: self.capacity),
            (1, 16): Cell(BYTE, lambda: self.fluidset),
            (1, 17): Cell(TEXT, lambda: self.fluid.ljust(10), size=10),
            (1, 20): Cell(BYTE, lambda: self.alarm),
            (1, 31): Cell(TEXT, lambda: self.unit.ljust(7), size=7),
            (33, 0): Cell(LONG, lambda: self.flow * self.capacity),
            (33, 3): Cell(LONG, lambda: self.setpoint * self.capacity, self._set_float),
            (33, 22): Cell(LONG, lambda: 0.0),
            (113, 1): Cell(TEXT, lambda: "DMFC", size=6),
            (113, 2): Cell(TEXT, lambda: "F-201CV-1K0", size=14),
            (113, 3): Cell(TEXT, lambda: self.serial_number, size=16),
            (113, 5): Cell(TEXT, lambda: "V8.27", size=5),
            (113, 6): Cell(TEXT, lambda: "USERTAG", size=13),
        }


def modbus_address(process: int, number_: int, kind: int) -> int:
    """Where Modbus has a parameter, as in the PDU."""
    if kind in (BYTE, WORD):
        return process * 32 + number_
    return 0x8000 + process * 256 + number_ * 8


def sccm_per(unit: str) -> float:
    """One `unit` ("mln/min") in sccm at 25 degC. Raises ValueError for another spelling."""
    volume, _, time = unit.partition("/")
    if volume[:-1] not in _CM3 or volume[-1:] not in _KELVIN or time not in _MINUTES:
        raise ValueError(f"{unit!r} is no capacity unit; mln/min or ls/h are")
    return _CM3[volume[:-1]] / _MINUTES[time] * 298.15 / _KELVIN[volume[-1]]


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[ElFlow, Session]:
    """A controller on the bindings' mass-flow model. Raises ValueError when it is wired to none.

    Options: protocol (ascii, binary: one line takes both; modbus), node (3), unit (1), gas (N2),
    sim_capacity_unit, sim_control_mode, sim_power_up_sccm, sim_comms_loss_s.
    """
    if bindings.mass_flow is None:
        raise ValueError("a simulated Bronkhorst needs a mass-flow model")
    device = ElFlow(bindings.mass_flow, bindings, options, serial_number)
    if options.get("protocol") == "modbus":
        functions = frozenset({3, 6, 16})
        return device, RtuSession(
            device, int(options.get("unit", 1)), functions=functions, refuses_unknown=True
        )
    return device, ProparSession(device, int(options.get("node", 3)), latency_s=device.latency_s)
