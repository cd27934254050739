"""A Binder oven with the MB1 controller: Modbus RTU frames inside TCP, float32 with the low word first.

Registers, modes and exception codes as published clients use them (one cites Binder's technical
specification 7001-0242). Control loop after a reference oven: PI, proportional band 8 K, integral time
500 s. Assumed: what the sensor-break value is, what the limiter, alarm and text registers hold.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from labctl_simulators.devices.api import Bindings, Device, OvenModel, Sense, Session
from labctl_simulators.physics.oven import LOOP_BAND_K
from labctl_simulators.wire.modbus_rtu import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusRefusal, RtuSession

WRITE_DENIED = 5
"""Exception code of a register that is read-only (published client)."""

TEMPERATURE, ACTIVE_SETPOINT = 0x11A9, 0x1077
MANUAL_SETPOINT, BASIC_SETPOINT = 0x1581, 0x156F
MODE, OPERATION_LINES = 0x1A22, 0x158B
DOOR, LIMITER, ALARM, NOTE = 0x1007, 0x10BD, 0x123D, 0x123E
TEXT, TEXT_WORDS = 0x1228, 20

IDLE, AUTO, MANUAL, BASIC = 0x0000, 0x0400, 0x0800, 0x1000

INTEGRAL_S = 500.0
LOWEST_C, HIGHEST_C = 0.0, 300.0
"""Range of the setpoints (drying ovens with forced convection: 300 degC)."""
LIMITER_ABOVE_K = 20.0
"""The independent limiter trips that far above the range (assumed)."""
SENSOR_BREAK_C = 1500.0
"""What the temperature reads with an open sensor (assumed)."""

WELL_BELOW_K = 2.0
"""More than the noise of a sensor."""

LATENCY_S = 0.03
"""Observed replies come within 0.25 s; most sooner (assumed)."""
GAP_S = 0.1
"""The serial device server in front of the controller forwards what came within this time (assumed)."""


class BinderMb1:
    """The controller: mode, setpoints, a PI loop over the Pt100, a limiter that latches until reset."""

    def __init__(self, oven: OvenModel | None, sensor: Sense | None, serial_number: str) -> None:
        """At the panel: idle, setpoints 0."""
        self.oven = oven
        self.sensor = sensor
        self.serial_number = serial_number
        self.mode = IDLE
        self.manual_c = 0.0
        self.basic_c = 0.0
        self.lines = 0
        self.tripped = False
        self.duty = 0.0
        self._integral_k = 0.0
        self._last_s: float | None = None
        self._reads = self._register_map()

    @property
    def setpoint_c(self) -> float:
        """The setpoint that acts now, degC; the lowest in idle mode."""
        if self.mode == MANUAL:
            return self.manual_c
        return self.basic_c if self.mode == BASIC else LOWEST_C

    @property
    def fan(self) -> bool:
        """The fan runs in every mode but idle."""
        return self.mode != IDLE

    @property
    def resting(self) -> bool:
        """Its loop gives nothing, and will not however the sensor's noise falls."""
        wanted_c = self.setpoint_c + max(self._integral_k, 0.0)
        return self.duty == 0.0 and wanted_c < self._sensed_c() - WELL_BELOW_K

    def tick(self, now_s: float) -> None:
        """One pass of limiter and control loop."""
        dt = 1.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        sensed = self.sensor() if self.sensor else None
        if sensed is not None and sensed > HIGHEST_C + LIMITER_ABOVE_K:
            self.tripped = True
        if sensed is None or self.tripped or self.mode == IDLE:
            self.duty = self._integral_k = 0.0
        else:
            self.duty = self._control(self.setpoint_c - sensed, dt)
        if self.oven is not None:
            self.oven.duty = self.duty

    def power_cycle(self) -> None:
        """Mains off and on: mode and setpoint are kept (unverified), the loop begins anew."""
        self.duty = self._integral_k = 0.0
        self._last_s = None

    def reset_at_panel(self) -> None:
        """A person acknowledges the limiter; no register does."""
        self.tripped = False

    def read(self, address: int, count: int) -> Sequence[int]:
        whole = self._reads.get((address, count))
        if whole is not None:
            return whole()
        return [self._word(a) for a in range(address, address + count)]

    def write_single(self, address: int, value: int) -> None:
        if address == MODE:
            if value not in (IDLE, MANUAL, BASIC):
                raise ModbusRefusal(ILLEGAL_VALUE)
            self.mode = value
        elif address == OPERATION_LINES:
            self.lines = value
        elif address in (MANUAL_SETPOINT, MANUAL_SETPOINT + 1, BASIC_SETPOINT, BASIC_SETPOINT + 1):
            raise ModbusRefusal(ILLEGAL_VALUE)  # half a float
        else:
            self._word(address)
            raise ModbusRefusal(WRITE_DENIED)

    def write_block(self, address: int, values: Sequence[int]) -> None:
        if len(values) == 1:
            self.write_single(address, values[0])
        elif len(values) == 2 and address in (MANUAL_SETPOINT, BASIC_SETPOINT):
            value = float_of(values[0], values[1])
            if not LOWEST_C <= value <= HIGHEST_C:
                raise ModbusRefusal(ILLEGAL_VALUE)
            if address == MANUAL_SETPOINT:
                self.manual_c = value
            else:
                self.basic_c = value
        else:
            self._word(address)
            raise ModbusRefusal(WRITE_DENIED)

    def _control(self, error_k: float, dt: float) -> float:
        """PI on the error; the integral stands still while the output is at a stop."""
        output = (error_k + self._integral_k) / LOOP_BAND_K
        if 0.0 < output < 1.0 or (output <= 0.0) is (error_k > 0.0):
            self._integral_k += error_k * dt / INTEGRAL_S
            output = (error_k + self._integral_k) / LOOP_BAND_K
        return 0.0 if output < 0.0 else 1.0 if output > 1.0 else output

    def _register_map(self) -> dict[tuple[int, int], Callable[[], Sequence[int]]]:
        return {
            (TEMPERATURE, 2): lambda: words_of(self._sensed_c()),
            (ACTIVE_SETPOINT, 2): lambda: words_of(self.setpoint_c),
            (MANUAL_SETPOINT, 2): lambda: words_of(self.manual_c),
            (BASIC_SETPOINT, 2): lambda: words_of(self.basic_c),
            (MODE, 1): lambda: (self.mode,),
            (OPERATION_LINES, 1): lambda: (self.lines,),
            (DOOR, 1): lambda: (1 if self.oven is not None and self.oven.door_open else 0,),
            (LIMITER, 1): lambda: (int(self.tripped),),
            (ALARM, 1): lambda: (int(self.tripped or self._sensed_c() == SENSOR_BREAK_C),),
            (NOTE, 1): lambda: (0,),
            (TEXT, TEXT_WORDS): lambda: struct.unpack(f">{TEXT_WORDS}H", self._text().encode().ljust(40)),
        }

    def _word(self, address: int) -> int:
        """One word of whatever register it is in. Raises ModbusRefusal where there is none."""
        for (start, size), read in self._reads.items():
            if start <= address < start + size:
                return read()[address - start]
        raise ModbusRefusal(ILLEGAL_ADDRESS)

    def _sensed_c(self) -> float:
        sensed = self.sensor() if self.sensor else None
        return SENSOR_BREAK_C if sensed is None else sensed

    def _text(self) -> str:
        return "Safety controller" if self.tripped else ""


@lru_cache(4096)
def words_of(value: float) -> tuple[int, int]:
    """A float32 as (low word, high word)."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return low, high


def float_of(low: int, high: int) -> float:
    """The float32 of (low word, high word)."""
    value: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
    return value


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Device, Session]:
    """An MB1 on the oven of its chamber. Option `unit`: Modbus unit, 1 as shipped."""
    device = BinderMb1(bindings.oven, bindings.oven_sensor, serial_number)
    session = RtuSession(
        device,
        int(options.get("unit", 1)),
        functions=frozenset({3, 4, 6, 16}),
        refuses_unknown=True,
        latency_s=LATENCY_S,
        gap_s=GAP_S,
    )
    return device, session
