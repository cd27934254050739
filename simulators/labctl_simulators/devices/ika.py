"""A simulated IKA hotplate stirrer (RCT digital): NAMUR commands, silent writes, watchdogs.

It answers the undocumented `STATUS_1` and `STATUS_4` as an existing driver's parser expects them. Not simulated, and
met with the silence that unknown commands are met with: the surface's own setpoint (channel 2), operating modes,
scale and pH, a name of one's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from labctl_simulators.devices.api import Bindings, HotplateModel, Replies
from labctl_simulators.physics.hotplate import LOOP_BAND_K
from labctl_simulators.wire.lines import LineSession

THINKING_S = 0.01
"""From the request to the first byte (assumed)."""

HIGHEST_C = 310.0
HIGHEST_RPM = 1500.0
"""Ranges of `OUT_SP_1` and `OUT_SP_4` (manual of the RCT digital)."""

WATCHDOG_S = (20.0, 1500.0)

SAFETY_C = 360.0
"""Setting of the safety circuit's dial (`IN_SP_3`): a plate above it cuts the heater (assumed)."""

_INTEGRAL_S = 180.0
_SETPOINT = re.compile(rb"OUT_SP_(\d{1,2})[ @]+(\d{1,4}(?:\.\d{1,2})?)")
_WATCHDOG = re.compile(rb"OUT_WD([12])@ *(\d{1,4})")
_END = b" \r\n"


class Ika:
    """The hotplate stirrer. Its faults are attributes.

    silent: answers nothing and hears nothing. garbage: bytes sent before each reply. late_s: extra delay.
    ignores_setpoints: writes have no effect (front panel in use). probe_in: an external probe is plugged in.
    `error` is the number on its display: 0, or 2 after watchdog 1, 25 after the safety circuit (numbers
    differ between manuals).
    """

    def __init__(self, model: HotplateModel, bindings: Bindings, options: Mapping[str, Any]) -> None:
        self.model = model
        self.name = str(options.get("sim_name", "RCT digital"))
        self._plate = bindings.plate_sensor or (lambda: model.plate_c)
        self._probe = bindings.liquid_sensor or (lambda: model.liquid_c)
        self._now = bindings.now
        self._tick_s = bindings.tick_s
        self.setpoint_c = 0.0
        self.speed_setpoint_rpm = 0.0
        self.fallback_c = self.fallback_rpm = 0.0
        self.heating = self.stirring = self.warning = False
        self.error = 0
        self.silent = self.ignores_setpoints = False
        self.probe_in = True
        self.garbage = b""
        self.late_s = 0.0
        self._watchdogs: dict[int, tuple[float, float]] = {}
        self._integral = 0.0
        self._answers: dict[bytes, Callable[[], bytes]] = {
            b"IN_NAME": lambda: self.name.encode(),
            b"IN_SW_VERSION": lambda: b"1.2.001",
            b"IN_TYPE": lambda: b"RCT",
            b"IN_PV_1": lambda: b"%.1f 1" % self._probe_c(),
            b"IN_PV_2": lambda: b"%.1f 2" % self._plate_c(),
            b"IN_PV_3": lambda: b"%.1f 3" % self._plate_c(),
            b"IN_PV_4": lambda: b"%.1f 4" % self.model.speed_rpm,
            b"IN_PV_5": lambda: b"%.1f 5" % self.model.torque_ncm,
            b"IN_PV_7": lambda: b"%.1f 7" % self._plate_c(),
            b"IN_SP_1": lambda: b"%.1f 1" % self.setpoint_c,
            b"IN_SP_3": lambda: b"%.1f 3" % SAFETY_C,
            b"IN_SP_4": lambda: b"%.1f 4" % self.speed_setpoint_rpm,
            b"STATUS_1": lambda: b"11 1" if self.heating else b"12 1",
            b"STATUS_4": lambda: b"1 4" if self.stirring else b"0 4",
        }

    @property
    def resting(self) -> bool:
        """Off, with no watchdog that runs."""
        return not (self.heating or self.stirring or self._watchdogs or self.model.heater_w)

    def tick(self, now_s: float) -> None:
        """Control the plate, turn the motor, look after the watchdogs."""
        if self._watchdogs:
            self._watch(now_s)
        model = self.model
        model.speed_setpoint_rpm = self.speed_setpoint_rpm if self.stirring else 0.0
        if not self.heating:
            if model.heater_w:
                model.heater_w = self._integral = 0.0
            return
        plate = self._plate_c()
        if plate > SAFETY_C:
            self.heating, self.error = False, 25
            model.heater_w = 0.0
            return
        gap = self.setpoint_c - plate
        if abs(gap) < LOOP_BAND_K:
            self._integral = min(max(self._integral + gap * self._tick_s / _INTEGRAL_S, 0.0), LOOP_BAND_K)
        model.heater_w = model.max_heater_w * min(max((gap + self._integral) / LOOP_BAND_K, 0.0), 1.0)

    def power_cycle(self) -> None:
        """Off and on: heater, motor and watchdogs are off, the error is gone."""
        self.heating = self.stirring = self.warning = False
        self.error = 0
        self._watchdogs.clear()

    def answer(self, line: bytes) -> Replies:
        """What one request makes it say: writes and unknown commands nothing at all."""
        if self.silent:
            return []
        plain = self._answers.get(line)
        reply = plain() if plain is not None else self._do(line)
        return [(THINKING_S + self.late_s, self.garbage + reply + _END)] if reply else []

    def _do(self, line: bytes) -> bytes:
        setpoint = _SETPOINT.fullmatch(line)
        if setpoint is not None:
            return self._set(int(setpoint[1]), float(setpoint[2]))
        watchdog = _WATCHDOG.fullmatch(line)
        if watchdog is not None:
            return self._arm(int(watchdog[1]), float(watchdog[2]))
        if line in (b"START_1", b"STOP_1", b"START_4", b"STOP_4"):
            self._switch(line)
        elif line == b"RESET":
            self.heating = self.stirring = False
            self._watchdogs.clear()
        return b""

    def _switch(self, line: bytes) -> None:
        on = line.startswith(b"START")
        if on and self.error:
            return
        if line.endswith(b"1"):
            self.heating = on
        else:
            self.stirring = on

    def _set(self, channel: int, value: float) -> bytes:
        if self.ignores_setpoints:
            return b""
        if channel == 1 and value <= HIGHEST_C:
            self.setpoint_c = value
        elif channel == 4 and value <= HIGHEST_RPM:
            self.speed_setpoint_rpm = value
        elif channel == 12:
            self.fallback_c = value
            return b"%g" % value
        elif channel == 42:
            self.fallback_rpm = value
            return b"%g" % value
        return b""

    def _arm(self, number: int, seconds: float) -> bytes:
        if number == 2 and seconds == 0:
            self._watchdogs.pop(2, None)
        elif WATCHDOG_S[0] <= seconds <= WATCHDOG_S[1]:
            self._watchdogs[number] = (self._now() + seconds, seconds)
        else:
            return b""
        return b"%d" % seconds

    def _watch(self, now_s: float) -> None:
        for number, (deadline, _) in sorted(self._watchdogs.items()):
            if now_s <= deadline:
                continue
            del self._watchdogs[number]
            if number == 1:
                self.heating = self.stirring = False
                self.error = 2
            else:
                self.setpoint_c, self.speed_setpoint_rpm = self.fallback_c, self.fallback_rpm
                self.warning = True

    def _plate_c(self) -> float:
        shown = self._plate()
        return 999.9 if shown is None else shown

    def _probe_c(self) -> float:
        shown = self._probe() if self.probe_in else None
        return 999.9 if shown is None else shown


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Ika, LineSession]:
    """A hotplate stirrer on the bindings' model, on a 7E1 line. Raises ValueError when there is none."""
    if bindings.hotplate is None:
        raise ValueError("a simulated IKA needs a hotplate model")
    device = Ika(bindings.hotplate, bindings, options)
    return device, LineSession(device.answer, seven_bits=True)
