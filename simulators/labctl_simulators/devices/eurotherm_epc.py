"""A Eurotherm EPC3016: parameters as numbers, remote setpoint with time-out, network watchdog, programmer.

Taken from recall of the user guide (HA032842) and unverified: that a remote setpoint that timed out forces
the local one, that a parameter which there is not is refused, that setpoints beyond their limits are refused.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labctl_simulators.devices.api import Bindings, Device, Session
from labctl_simulators.devices.epc_parameters import (
    BROKEN,
    DURATIONS,
    DWELL,
    END,
    FALLBACK,
    FORCED_LOCAL,
    FROM_LOCAL,
    FROM_PROGRAM,
    FROM_REMOTE,
    HELD,
    HOLD,
    IN_MANUAL,
    LIMIT_HIGH,
    LIMIT_LOW,
    MANUAL,
    MANUAL_OUTPUT,
    MODE,
    OUTPUT,
    OUTPUT_HIGH,
    OUTPUT_LOW,
    PARAMETERS,
    PSP,
    PV,
    PV_STATUS,
    RAMP_RATE,
    RATE_DOWN,
    RATE_OFF,
    RATE_SECONDS,
    RATE_UNITS,
    RATE_UP,
    RECOVERY,
    REMOTE,
    REMOTE_INPUT,
    REMOTE_STATUS,
    REMOTE_TIMEOUT,
    RESET,
    RSP_ENABLED,
    RUN,
    RUNNING,
    SEGMENT,
    SEGMENTS,
    SELECT,
    SERIAL,
    SOURCE,
    SP1,
    SP2,
    STEP,
    STOPPED,
    TARGET,
    WATCHDOGS,
    WORKING,
    segment_address,
)
from labctl_simulators.devices.loop import Loop
from labctl_simulators.devices.pid import Pid
from labctl_simulators.wire.modbus_rtu import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusRefusal, ModbusSilence
from labctl_simulators.wire.modbus_tcp import TcpSession

UPSCALE_C = 1372.0
"""What an open thermocouple reads: the top of type K."""
IEEE = 0x8000
_PV_BAD_STATUS = 1
_SETPOINTS = frozenset((TARGET, SP1, SP2, REMOTE_INPUT))


class Epc3016:
    """The controller. `values` by address, in degC, %, s and enumerations; `loop` drives the heater.

    watchdog: which of `WATCHDOGS` sees the network. wired: its flag forces the loop to its fall-back output.
    nv_writes: writes to what is kept without power.
    """

    def __init__(
        self,
        bindings: Bindings,
        pid: Pid,
        *,
        limit_high_c: float = 1200.0,
        serial: int = 0,
        watchdog: str = "option",
        wired: bool = True,
    ) -> None:
        self.bindings = bindings
        self.loop = Loop(bindings, pid)
        self.values: dict[int, float] = {a: p.initial for a, p in PARAMETERS.items()}
        self.values[LIMIT_HIGH] = self.values[2304] = self.values[2306] = limit_high_c
        self.serial = serial
        self.watchdog = WATCHDOGS[watchdog]
        self.wired = wired
        self.powered = True
        self.nv_writes: Counter[int] = Counter()
        self._renewed_s = float("-inf")
        self._addressed_s = float("-inf")
        self._segment_s = 0.0
        self._was_forced = False
        self._shown_s: float | None = None

    @property
    def output(self) -> float:
        """What the heater is given now, %."""
        return self.loop.output

    def tick(self, now_s: float) -> None:
        """One pass of watchdog, programmer and loop."""
        if not self.powered:
            return
        values, loop = self.values, self.loop
        timeout_s = values[self.watchdog]
        if timeout_s and now_s - self._addressed_s > timeout_s:
            values[self.watchdog + 3] = 1
        self._shown_s = None
        if values[MODE] == RUNNING:
            self._run(now_s)
        if self._forced:
            loop.drive(values[FALLBACK])
            self._was_forced = True
            return
        if values[MANUAL]:
            return
        if self._was_forced:
            self._servo()
            self._was_forced = False
        target, source = self._target(now_s)
        rate = 0.0
        if source != FROM_PROGRAM and not values[RATE_OFF]:
            rate = values[RATE_UP if target > loop.working_c else RATE_DOWN]
        loop.approach(target, rate / RATE_SECONDS[int(values[RATE_UNITS])])
        loop.control(loop.sensed(), values[OUTPUT_LOW], values[OUTPUT_HIGH], values[FALLBACK])

    def read(self, address: int, count: int) -> Sequence[int]:
        """Words of the 16-bit area or of the IEEE region; what there is not is refused."""
        self._answerable()
        if self._shown_s != self.bindings.now():
            self._show(self.bindings.now())
        if address < IEEE:
            return [self._word(a) for a in range(address, address + count)]
        if address % 2 or count % 2:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        first = (address - IEEE) // 2
        return [word for a in range(first, first + count // 2) for word in self._pair(a)]

    def write_single(self, address: int, value: int) -> None:
        """Function 6: half of a 32-bit value is refused."""
        self.write_block(address, (value,))

    def write_block(self, address: int, values: Sequence[int]) -> None:
        self._answerable()
        if address < IEEE:
            for offset, word in enumerate(values):
                self._write(address + offset, self._from_word(address + offset, word))
            return
        if address % 2 or len(values) % 2:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        for n in range(0, len(values), 2):
            place = (address - IEEE + n) // 2
            self._write(place, self._from_pair(place, values[n], values[n + 1]))

    def power_off(self) -> None:
        """Mains off: no answers, no heat."""
        self.loop.drive(0.0)
        self.powered = False

    def power_on(self) -> None:
        """Mains back: what is kept is kept, the remote setpoint is bad, a program is reset if told to be."""
        self.powered = True
        values = self.values
        values.update({a: p.initial for a, p in PARAMETERS.items() if p.access == "rw" and a != MODE})
        if values[RECOVERY] == 1:
            values[MODE] = STOPPED
        self._renewed_s = self._addressed_s = float("-inf")
        self._shown_s = None
        self._servo()

    def power_cycle(self) -> None:
        """Mains off and on."""
        self.power_off()
        self.power_on()

    @property
    def _forced(self) -> bool:
        return self.wired and bool(self.values[self.watchdog + 3])

    def _answerable(self) -> None:
        if not self.powered:
            raise ModbusSilence
        self._addressed_s = self.bindings.now()

    def _kind(self, address: int) -> str:
        if address == SERIAL:
            return "serial"
        if address not in PARAMETERS:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        if address in DURATIONS and self.values[address - 2] == DWELL:
            return "time"
        return PARAMETERS[address].kind

    def _word(self, address: int) -> int:
        """In 16 bits: one decimal place for numbers, seconds for times (the time format is a setting)."""
        kind = self._kind(address)
        if kind == "serial":
            return self.serial & 0xFFFF
        value = self.values[address]
        return max(-32768, min(65535, round(value * 10 if kind == "number" else value))) & 0xFFFF

    def _pair(self, address: int) -> tuple[int, int]:
        kind = self._kind(address)
        if kind == "serial":
            return self.serial >> 16, self.serial & 0xFFFF
        value = self.values[address]
        if kind == "number":
            high, low = struct.unpack(">HH", struct.pack(">f", value))
            return high, low
        return divmod(round(value * 1000), 65536) if kind == "time" else (int(value), 0x8000)

    def _from_word(self, address: int, word: int) -> float:
        signed = word - 65536 if word & 0x8000 else word
        return signed / 10 if self._kind(address) == "number" else float(word)

    def _from_pair(self, address: int, high: int, low: int) -> float:
        kind = self._kind(address)
        if kind == "number":
            value: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
            return value
        return (high << 16 | low) / 1000 if kind == "time" else float(high)

    def _write(self, address: int, value: float) -> None:
        parameter, values = PARAMETERS.get(address), self.values
        if parameter is None:
            raise ModbusRefusal(ILLEGAL_ADDRESS)
        if parameter.access in ("r", "config") or not 0 <= value <= parameter.highest:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address in _SETPOINTS and not values[LIMIT_LOW] <= value <= values[LIMIT_HIGH]:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address == MANUAL_OUTPUT and not values[MANUAL]:
            raise ModbusRefusal(ILLEGAL_VALUE)
        if address == TARGET:
            address = SP2 if values[SELECT] else SP1
        if parameter.access == "nv":
            self.nv_writes[address] += 1
        before, values[address] = values[address], value
        self._shown_s = None
        self._act(address, before)

    def _act(self, address: int, before: float) -> None:
        """What a write sets off at once."""
        values = self.values
        if address == REMOTE_INPUT:
            self._renewed_s = self.bindings.now()
        elif address == MANUAL and before != values[MANUAL]:
            if values[MANUAL]:
                values[MANUAL_OUTPUT] = self.loop.output
            else:
                self._servo()
        elif address == MANUAL_OUTPUT:
            values[address] = max(values[OUTPUT_LOW], min(values[OUTPUT_HIGH], values[address]))
            self.loop.drive(values[address])
        elif address in (RUN, HOLD, RESET) and values[address]:
            values[address] = 0
            values[MODE] = {RUN: RUNNING, HOLD: HELD, RESET: STOPPED}[address]
            if address != HOLD:
                values[SEGMENT] = 1 if address == RUN else 0
                self._segment_s = self.bindings.now()
                measured = self.loop.sensed()
                values[PSP] = values[SP1] if measured is None else measured

    def _servo(self) -> None:
        self.loop.servo(self.loop.sensed(), self._target(self.bindings.now())[0])

    def _target(self, now_s: float) -> tuple[float, int]:
        """The setpoint that is asked for, and its source."""
        values = self.values
        if values[MODE] in (RUNNING, HELD):
            return values[PSP], FROM_PROGRAM
        local = values[SP2 if values[SELECT] else SP1]
        if values[REMOTE]:
            return local, FROM_LOCAL
        if not values[RSP_ENABLED] or self._remote_bad(now_s):
            return local, FORCED_LOCAL
        return values[REMOTE_INPUT], FROM_REMOTE

    def _remote_bad(self, now_s: float) -> bool:
        timeout_s = self.values[REMOTE_TIMEOUT]
        return bool(timeout_s) and now_s - self._renewed_s > timeout_s

    def _run(self, now_s: float) -> None:
        """One tick of the running program."""
        values = self.values
        number = int(values[SEGMENT])
        if number > SEGMENTS or values[segment_address(number)] == END:
            values[MODE], values[SEGMENT] = STOPPED, 0
            return
        at = segment_address(number)
        kind, target, rate = values[at], values[at + 1], values[at + 2]
        if kind == RAMP_RATE:
            step = rate / RATE_SECONDS[int(values[8328 + 2])] * self.bindings.tick_s
            values[PSP] += max(-step, min(step, target - values[PSP]))
            done = values[PSP] == target
        elif kind == STEP:
            values[PSP], done = target, True
        else:
            done = now_s - self._segment_s >= rate
        if done:
            values[SEGMENT], self._segment_s = number + 1, now_s

    def _show(self, now_s: float) -> None:
        """Bring what is read only up to date."""
        values, loop = self.values, self.loop
        self._shown_s = now_s
        measured = loop.sensed()
        target, source = self._target(now_s)
        manual = bool(values[MANUAL]) or self._forced
        if manual:
            loop.working_c = target
        values[PV] = UPSCALE_C if measured is None else measured
        values[TARGET], values[SOURCE] = target, source
        values[OUTPUT], values[WORKING] = loop.output, loop.working_c
        if not values[MANUAL]:
            values[MANUAL_OUTPUT] = loop.output
        values[1900], values[IN_MANUAL] = int(not manual), int(manual)
        values[BROKEN] = int(measured is None)
        values[PV_STATUS] = _PV_BAD_STATUS if measured is None else 0
        values[REMOTE_STATUS] = int(self._remote_bad(now_s))
        values[2311] = values[REMOTE_INPUT]


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Device, Session]:
    """An EPC3016 on its network. It tells its serial number where that is a number.

    Options: unit (1), comms (option). sim_pb_k (20), sim_ti_s (600), sim_td_s (40): PID. sim_limit_high_c
    (1200), sim_watchdog_wired (true).
    """
    device = Epc3016(
        bindings,
        Pid(
            band_k=float(options.get("sim_pb_k", 20.0)),
            integral_s=float(options.get("sim_ti_s", 600.0)),
            derivative_s=float(options.get("sim_td_s", 40.0)),
        ),
        limit_high_c=float(options.get("sim_limit_high_c", 1200.0)),
        serial=int(serial_number) if serial_number.isdigit() else 0,
        watchdog=str(options.get("comms", "option")),
        wired=bool(options.get("sim_watchdog_wired", True)),
    )
    return device, TcpSession(device, int(options.get("unit", 1)))
