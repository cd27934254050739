"""A Eurotherm 3216 temperature controller: registers, PID loop, remote setpoint with dead-man, sensor break.

Registers and status bits after the 3200 handbook (HA028651) and the series 2000 communications handbook
(HA026230). Taken from recall and unverified: the 5 s of the dead-man, the numbers of enumerations, that
register 2 shows the remote setpoint while it is selected, that the ramp starts at the process value when
the loop goes to automatic, the upscale value on sensor break, the type code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from labctl_simulators.devices.api import Bindings, Device, Session
from labctl_simulators.devices.loop import Loop
from labctl_simulators.devices.pid import Pid
from labctl_simulators.wire.modbus_rtu import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusRefusal,
    ModbusSilence,
    RtuSession,
)

(PV, TARGET, MANUAL_OUTPUT, OUTPUT, WORKING_SETPOINT) = range(1, 6)
RANGE_LOW, RANGE_HIGH, SELECT, TIMER, SP1, SP2, REMOTE_SETPOINT = 11, 12, 15, 23, 24, 25, 26
OUTPUT_HIGH, OUTPUT_LOW, SAFE_OUTPUT, RATE, STATUS, NOT_STATUS, INPUTS = 30, 31, 34, 35, 75, 76, 87
LIMIT_HIGH, LIMIT_LOW, MODE, BROKEN, MANUAL, ACKNOWLEDGE, REMOTE = 111, 112, 199, 258, 273, 274, 276
UNITS, DECIMALS, RAMP_UNITS, BREAK_TYPE = 516, 525, 531, 578

BIT_MANUAL, BIT_BREAK, BIT_OVER_RANGE, BIT_RAMPING, BIT_REMOTE_FAIL = (
    1 << 4,
    1 << 5,
    1 << 10,
    1 << 13,
    1 << 14,
)
BREAK_OFF, BREAK_ON, BREAK_LATCHING = 0, 1, 2
POWER_FAILED = 1 << 7
RAMP_SECONDS = {0: 60.0, 1: 3600.0, 2: 1.0}
LAST_ADDRESS = 0x3FFF
NV_ENDURANCE = 100_000
"""Writes that a non-volatile setpoint survives (handbook)."""


class Cell(NamedTuple):
    """A register: initial value (in display units if `scaled`), and how it may be written.

    access: "r" never, "rw" in RAM, "nv" in EEPROM, "config" only in configuration mode.
    """

    initial: float
    scaled: bool = False
    access: str = "r"


CELLS: Mapping[int, Cell] = {
    PV: Cell(0, True),
    TARGET: Cell(0, True, "nv"),
    MANUAL_OUTPUT: Cell(0, True, "rw"),
    OUTPUT: Cell(0, True),
    WORKING_SETPOINT: Cell(0, True),
    6: Cell(20, True, "nv"),
    8: Cell(600, False, "nv"),
    9: Cell(40, False, "nv"),
    RANGE_LOW: Cell(-200, True, "config"),
    RANGE_HIGH: Cell(1372, True, "config"),
    13: Cell(0, True, "nv"),
    14: Cell(0, True, "nv"),
    SELECT: Cell(0, False, "nv"),
    TIMER: Cell(0, False, "rw"),
    SP1: Cell(20, True, "nv"),
    SP2: Cell(20, True, "nv"),
    REMOTE_SETPOINT: Cell(0, True, "rw"),
    OUTPUT_HIGH: Cell(100, True, "nv"),
    OUTPUT_LOW: Cell(0, True, "nv"),
    SAFE_OUTPUT: Cell(0, True, "nv"),
    RATE: Cell(0, True, "nv"),
    STATUS: Cell(0),
    NOT_STATUS: Cell(0),
    INPUTS: Cell(0),
    107: Cell(0x0111),
    LIMIT_HIGH: Cell(1200, True, "nv"),
    LIMIT_LOW: Cell(0, True, "nv"),
    122: Cell(0x3216),
    131: Cell(1, False, "config"),
    MODE: Cell(0, False, "rw"),
    BROKEN: Cell(0),
    MANUAL: Cell(1, False, "rw"),
    ACKNOWLEDGE: Cell(0, False, "rw"),
    REMOTE: Cell(0, False, "rw"),
    UNITS: Cell(0, False, "config"),
    DECIMALS: Cell(1, False, "config"),
    RAMP_UNITS: Cell(0, False, "config"),
    BREAK_TYPE: Cell(BREAK_ON, False, "config"),
}
_ENUMS = {SELECT: 1, TIMER: 3, MANUAL: 1, ACKNOWLEDGE: 1, REMOTE: 1}
_SETPOINTS = frozenset({TARGET, SP1, SP2, REMOTE_SETPOINT})
_BREAK_TYPES = {"off": BREAK_OFF, "on": BREAK_ON, "latching": BREAK_LATCHING}


class Eurotherm3216:
    """The controller. `registers` are its words; the methods `power_off` and `power_on` are the mains.

    nv_writes: EEPROM writes by register; beyond `NV_ENDURANCE`, or when `worn`, they no longer take.
    calibration_lost: something wrote an impossible instrument mode. loop: what it does to the heater.
    """

    def __init__(
        self,
        bindings: Bindings,
        *,
        pid: Pid,
        break_type: int = BREAK_ON,
        deadman_s: float = 5.0,
        decimals: int = 1,
        limit_high_c: float = 1200.0,
    ) -> None:
        self.bindings = bindings
        self.loop = Loop(bindings, pid)
        self.deadman_s = deadman_s
        self.scale = float(10**decimals)
        self.registers = {
            address: round(cell.initial * self.scale) if cell.scaled else int(cell.initial)
            for address, cell in CELLS.items()
        }
        self.registers[BREAK_TYPE] = break_type
        self.registers[DECIMALS] = decimals
        self.registers[LIMIT_HIGH] = round(limit_high_c * self.scale)
        self.registers[RANGE_HIGH] = min(self.registers[RANGE_HIGH], 32767)
        self.nv_writes: Counter[int] = Counter()
        self.calibration_lost = False
        self.worn = False
        self.powered = True
        self._renewed_s = float("-inf")
        self._latched = False
        self._shown_s: float | None = None

    @property
    def output(self) -> float:
        """What the heater is given now, %."""
        return self.loop.output

    @property
    def resting(self) -> bool:
        """In manual, or off: its loop does nothing."""
        return bool(self.registers[MANUAL]) or not self.powered

    def tick(self, now_s: float) -> None:
        """One pass of the loop. In manual the output simply stays."""
        registers, loop, scale = self.registers, self.loop, self.scale
        if registers[MANUAL] or not self.powered:
            return
        measured = self._measure()
        loop.approach(self._target_c(now_s), registers[RATE] / scale / RAMP_SECONDS[registers[RAMP_UNITS]])
        if registers[MODE]:
            self._drive(0.0)
            return
        broken = registers[BREAK_TYPE] == BREAK_OFF
        on_break = registers[OUTPUT_HIGH if broken else SAFE_OUTPUT] / scale
        loop.control(measured, registers[OUTPUT_LOW] / scale, registers[OUTPUT_HIGH] / scale, on_break)
        self._shown_s = None

    def read(self, address: int, count: int) -> Sequence[int]:
        """Words; what is not configured reads 0 (the handbook: undefined, no error)."""
        self._answerable(address, count)
        now_s = self.bindings.now()
        if now_s != self._shown_s:
            self._show(now_s)
        words = self.registers.get
        if count == 1:
            return (words(address, 0) & 0xFFFF,)
        return [words(a, 0) & 0xFFFF for a in range(address, address + count)]

    def write_single(self, address: int, value: int) -> None:
        """Function 6: whatever is not writable is refused."""
        self._answerable(address, 1)
        if address not in CELLS:
            raise ModbusRefusal(ILLEGAL_VALUE)
        self._write(address, value)

    def write_block(self, address: int, values: Sequence[int]) -> None:
        """Function 16: what is not configured is dropped without a word, the first refusal ends the block."""
        self._answerable(address, len(values))
        for offset, value in enumerate(values):
            if address + offset in CELLS:
                self._write(address + offset, value)

    def power_off(self) -> None:
        """Mains off: no answers, no heat."""
        self._drive(0.0)
        self.powered = False

    def power_on(self) -> None:
        """Mains back: what is in EEPROM is kept, the remote setpoint is lost, the ramp starts where it is."""
        self.powered = True
        self.registers[REMOTE_SETPOINT] = 0
        self.registers[INPUTS] |= POWER_FAILED
        self._renewed_s = float("-inf")
        self._shown_s = None
        self._servo()
        if self.registers[MANUAL]:
            self._drive(self.registers[MANUAL_OUTPUT] / self.scale)

    def power_cycle(self) -> None:
        """Mains off and on."""
        self.power_off()
        self.power_on()

    def _answerable(self, address: int, count: int) -> None:
        if not self.powered:
            raise ModbusSilence
        if address + count - 1 > LAST_ADDRESS:
            raise ModbusRefusal(ILLEGAL_ADDRESS)

    def _write(self, address: int, word: int) -> None:
        registers = self.registers
        value = word - 65536 if word & 0x8000 else word
        access = CELLS[address].access
        if access == "r" or (access == "config" and registers[MODE] != 2):
            raise ModbusRefusal(ILLEGAL_VALUE)
        if value < 0 or value > _ENUMS.get(address, 32767):
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address in _SETPOINTS and not registers[LIMIT_LOW] <= value <= registers[LIMIT_HIGH]:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address == MANUAL_OUTPUT and not registers[MANUAL]:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address == TARGET:
            if registers[REMOTE]:
                raise ModbusRefusal(ILLEGAL_VALUE)
            address = SP2 if registers[SELECT] else SP1
        if access == "nv":
            self.nv_writes[address] += 1
            if self.worn or self.nv_writes[address] > NV_ENDURANCE:
                return
        before = registers[address]
        registers[address] = value
        self._shown_s = None
        self._act(address, before)

    def _act(self, address: int, before: int) -> None:
        """What a write sets off at once."""
        registers = self.registers
        if address == REMOTE_SETPOINT:
            self._renewed_s = self.bindings.now()
        elif address == MANUAL and before != registers[MANUAL]:
            if registers[MANUAL]:
                registers[MANUAL_OUTPUT] = round(self.loop.output * self.scale)
            else:
                self._servo()
        elif address == MANUAL_OUTPUT:
            low, high = registers[OUTPUT_LOW], registers[OUTPUT_HIGH]
            registers[address] = max(low, min(high, registers[address]))
            self._drive(registers[address] / self.scale)
        elif address == ACKNOWLEDGE:
            registers[ACKNOWLEDGE] = 0
            self._latched = False
        elif address == MODE and registers[MODE] > 2:
            self.calibration_lost = True

    def _servo(self) -> None:
        """Start the ramp at the process value, and the loop without a bump."""
        self.loop.servo(self._measure(), self._target_c(self.bindings.now()))

    def _measure(self) -> float | None:
        value = self.loop.sensed()
        if value is None:
            self._latched = self.registers[BREAK_TYPE] == BREAK_LATCHING
            return None
        return None if self._latched else value

    def _remote_failed(self, now_s: float) -> bool:
        return bool(self.registers[REMOTE]) and now_s - self._renewed_s > self.deadman_s

    def _target_c(self, now_s: float) -> float:
        registers = self.registers
        if registers[REMOTE] and now_s - self._renewed_s <= self.deadman_s:
            return registers[REMOTE_SETPOINT] / self.scale
        return registers[SP2 if registers[SELECT] else SP1] / self.scale

    def _drive(self, percent: float) -> None:
        self.loop.drive(percent)
        self._shown_s = None

    def _show(self, now_s: float) -> None:
        """Bring the live registers up to date."""
        registers, scale = self.registers, self.scale
        self._shown_s = now_s
        measured = self._measure()
        target = self._target_c(now_s)
        status = 0
        if measured is None:
            shown = registers[RANGE_HIGH]
            status |= BIT_BREAK | BIT_OVER_RANGE
        else:
            shown = round(measured * scale)
            span = registers[RANGE_HIGH] - registers[RANGE_LOW]
            if shown > registers[RANGE_HIGH] + span // 20:
                status |= BIT_OVER_RANGE
        if self.calibration_lost:
            shown = -shown
        if registers[MANUAL]:
            status |= BIT_MANUAL
            self.loop.working_c = target
        elif self.loop.working_c != target:
            status |= BIT_RAMPING
        if self._remote_failed(now_s):
            status |= BIT_REMOTE_FAIL
        output = round(self.loop.output * scale)
        registers[PV] = max(-32767, min(32767, shown))
        registers[TARGET] = round(target * scale)
        registers[OUTPUT] = output
        if not registers[MANUAL]:
            registers[MANUAL_OUTPUT] = output
        registers[WORKING_SETPOINT] = round(self.loop.working_c * scale)
        registers[STATUS] = status
        registers[NOT_STATUS] = ~status & 0xFFFF
        registers[BROKEN] = int(measured is None)


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Device, Session]:
    """A 3216 on its wire. The instrument does not tell its serial number.

    Options: profile ("3216" is simulated), unit (1). sim_pb_k (20), sim_ti_s (600), sim_td_s (40): PID.
    sim_sensor_break ("on"; "off", "latching"), sim_deadman_s (5), sim_decimals (1), sim_limit_high_c (1200).
    """
    del serial_number
    if (profile := str(options.get("profile", "3216"))) != "3216":
        raise ValueError(f"eurotherm profile {profile!r} is not simulated; 3216 is")
    device = Eurotherm3216(
        bindings,
        pid=Pid(
            band_k=float(options.get("sim_pb_k", 20.0)),
            integral_s=float(options.get("sim_ti_s", 600.0)),
            derivative_s=float(options.get("sim_td_s", 40.0)),
        ),
        break_type=_BREAK_TYPES[str(options.get("sim_sensor_break", "on"))],
        deadman_s=float(options.get("sim_deadman_s", 5.0)),
        decimals=int(options.get("sim_decimals", 1)),
        limit_high_c=float(options.get("sim_limit_high_c", 1200.0)),
    )
    return device, RtuSession(device, int(options.get("unit", 1)))
