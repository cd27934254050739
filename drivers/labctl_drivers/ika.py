"""IKA hotplate stirrers (RCT digital, C-MAG, Plate) over NAMUR commands on RS232: 9600 7E1.

Writes are silent, so each is followed by reading the setpoint; what has no question at all (is the
heater on, does the motor turn) shows only by its effect, which the entry declares. The heater is
never started from here: the capability has no verb for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from labctl.bench.api import (
    BAD,
    GOOD,
    Audit,
    AuditItem,
    CommunicationError,
    Driver,
    DriverEntry,
    Effect,
    Line,
    NotDoneError,
    Quality,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.lines import AsciiLine
from labctl_drivers.options import check_options

OPTIONS = {
    "temperature_from": "plate (default) or probe: which sensor `temperature` reads",
    "watchdog_s": "arm the instrument's watchdog 1 when stirring starts: 20..1500 s without renewal turn "
    "heater and motor off; it cannot be disarmed but by the power switch (default 0: not armed)",
    "settle_s": "wait after a silent write in s (default 0.5; 1 s is used in practice)",
    "timeout_s": "longest wait for a reply in s (default 0.6)",
    "serial_number": "serial number the bench expects; this instrument cannot be asked for it",
    "max_speed_rpm": "highest speed that may be asked for",
    "max_temperature_c": "highest heater setpoint that may be found at connect",
    "sim_name": "name of the simulated instrument (default RCT digital)",
}

SIGNALS = (
    Signal("speed", "rpm", 0.0, 2500.0, 1.0),
    Signal("speed_setpoint", "rpm", 0.0, 2500.0, 1.0),
    Signal("temperature", "degC", -50.0, 450.0, 0.1),
    Signal("setpoint", "degC", -50.0, 450.0, 0.1),
)

HIGHEST_RPM = 1500.0
"""Of the RCT digital's `OUT_SP_4`; overhead stirrers differ."""

WATCHDOG_S = (20.0, 1500.0)

_END = b" \r\n"
_VALUE = re.compile(rb" *(-?\d{1,4}(?:\.\d{1,3})?)(?: +(\d{1,2}))? *\r *\n")
_NAME = re.compile(rb"(?:^|\n) *([A-Z][A-Z0-9a-z_.\- ]*[A-Za-z][A-Za-z0-9_.\- ]*?) *\r *\n")
_SENSORS = {"plate": 2, "probe": 1}


@lru_cache(4096)
def decode(raw: bytes, channel: int | None, low: float, high: float) -> tuple[float, Quality] | None:
    """The number in a reply `25.3 1 ` of that channel, or without one (None); None if it is none."""
    found = _VALUE.fullmatch(raw)
    if found is None or (None if found[2] is None else int(found[2])) != channel:
        return None
    value = float(found[1])
    return value, GOOD if low <= value <= high else BAD


class Ika(Driver):
    """One hotplate stirrer."""

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Check options; open nothing."""
        super().__init__(line, options)
        check_options("ika", options, OPTIONS)
        sensor = str(options.get("temperature_from", "plate"))
        if sensor not in _SENSORS:
            raise ValueError(f"ika: temperature_from is plate or probe, not {sensor!r}")
        self._watchdog_s = float(options.get("watchdog_s", 0.0))
        if self._watchdog_s and not WATCHDOG_S[0] <= self._watchdog_s <= WATCHDOG_S[1]:
            raise ValueError(f"ika: watchdog_s is 0 or {WATCHDOG_S[0]:g}..{WATCHDOG_S[1]:g} s")
        self._highest_rpm = min(HIGHEST_RPM, float(options.get("max_speed_rpm", HIGHEST_RPM)))
        self._settle_s = float(options.get("settle_s", 0.5))
        self._now: Callable[[], float] = line.clock.now
        questions = (
            ("IN_PV_4", 4),
            ("IN_SP_4", 4),
            (f"IN_PV_{_SENSORS[sensor]}", _SENSORS[sensor]),
            ("IN_SP_1", 1),
        )
        self._questions = tuple(
            (text.encode() + _END, channel, signal.low or 0.0, signal.high or 0.0, signal.unit)
            for (text, channel), signal in zip(questions, SIGNALS, strict=True)
        )
        self._wire: AsciiLine | None = None
        self._named = True
        self._renewed_s: float | None = None

    def open(self) -> None:
        port = self.line.open_stream(
            baudrate=9600,
            bytesize=7,
            parity="E",
            stopbits=1,
            timeout_s=float(self.options.get("timeout_s", 0.6)),
        )
        wire = AsciiLine(port, self.line.clock, b"\n", (b"IN_NAME" + _END, _NAME))
        try:
            wire.fence()
            self._learn_form(wire)
        except CommunicationError:
            port.close()
            raise
        self._wire = wire

    def _learn_form(self, wire: AsciiLine) -> None:
        """Whether replies name their channel (the manuals do not say); from now on all must look like it."""
        raw = wire.ask(self._questions[1][0])
        found = _VALUE.fullmatch(raw)
        if found is None:
            raise wire.lost(f"ika: not a reply to IN_SP_4: {raw[:40]!r}")
        self._named = found[2] is not None

    def audit(self) -> Audit:
        wire = self._line()
        name = wire.ask(b"IN_NAME" + _END)
        found = _NAME.fullmatch(name)
        setpoint = self._ask(*self._questions[3][:4])[0]
        highest = self.options.get("max_temperature_c")
        wanted = str(self.options.get("serial_number", ""))
        return Audit(
            {"name": name.decode("ascii", "replace").strip()},
            (
                AuditItem("name", found is not None, name.decode("ascii", "replace").strip(), "a name"),
                AuditItem("serial number", True, "cannot be asked", wanted or "any"),
                AuditItem(
                    "heater setpoint",
                    highest is None or setpoint <= float(highest),
                    f"{setpoint:g} degC",
                    "any" if highest is None else f"at most {float(highest):g} degC",
                ),
            ),
        )

    def read(self) -> tuple[Reading, ...]:
        now = self._now
        readings = []
        try:
            if self._renewed_s is not None and now() - self._renewed_s > self._watchdog_s / 3:
                self._renew()
            for request, channel, low, high, unit in self._questions:
                value, quality = self._ask(request, channel, low, high)
                readings.append(Reading(value, unit, quality, now()))
        except CommunicationError:
            return self.silent()
        return tuple(readings)

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if verb == "stir":
            return self._stir(float(args["speed_rpm"]))
        if verb == "stir_off":
            return {"speed_setpoint_rpm": self._write("STOP_4", 4, 0.0)}
        if verb == "heat_off":
            return {"setpoint_c": self._write("STOP_1", 1, 0.0)}
        raise RefusedError(f"ika: no verb {verb!r}; it has stir, stir_off and heat_off")

    def _stir(self, speed_rpm: float) -> dict[str, Any]:
        if not 0.0 < speed_rpm <= self._highest_rpm:
            raise RefusedError(f"ika: speed {speed_rpm:g} rpm is outside 0..{self._highest_rpm:g} rpm")
        if self._watchdog_s:
            self._renew()
        shown = self._set(4, float(round(speed_rpm)))
        self._line().tell(b"START_4" + _END)
        return {"speed_setpoint_rpm": shown}

    def _write(self, stop: str, channel: int, value: float) -> float:
        """Stop first, then set `value`, so that a later start by hand starts from there."""
        self._line().tell(stop.encode() + _END)
        return self._set(channel, value)

    def _set(self, channel: int, value: float) -> float:
        """Write a setpoint and read it back, twice if need be. Raises NotDoneError when it is not there."""
        wire = self._line()
        index = 1 if channel == 4 else 3
        request, expected, low, high, unit = self._questions[index]
        wire.tell(f"OUT_SP_{channel} {value:g}".encode() + _END)
        shown = None
        for wait_s in (self._settle_s, 2 * self._settle_s):
            self.line.clock.sleep(wait_s)
            shown = self._ask(request, expected, low, high)[0]
            if abs(shown - value) < 0.5:
                return shown
        raise NotDoneError(f"ika: asked for {value:g} {unit}, the setpoint reads {shown:g} {unit}")

    def _renew(self) -> None:
        """Arm or renew watchdog 1, which echoes its seconds. Raises NotDoneError when it does not."""
        wire = self._line()
        raw = wire.ask(b"OUT_WD1@%d" % round(self._watchdog_s) + _END)
        found = _VALUE.fullmatch(raw)
        if found is None:
            raise wire.lost(f"ika: no echo of the watchdog: {raw[:40]!r}")
        if float(found[1]) != round(self._watchdog_s):
            raise NotDoneError(f"ika: watchdog of {self._watchdog_s:g} s asked for, it echoes {found[1]!r}")
        self._renewed_s = self._now()

    def close(self) -> None:
        if self._wire is not None:
            self._wire.port.close()
            self._wire = None

    def _ask(self, request: bytes, channel: int, low: float, high: float) -> tuple[float, Quality]:
        """One number. Raises CommunicationError for anything else, and leaves the line out of step."""
        wire = self._line()
        raw = wire.ask(request)
        decoded = decode(raw, channel if self._named else None, low, high)
        if decoded is None:
            raise wire.lost(f"ika: not a reply to {request!r}: {raw[:40]!r}")
        return decoded

    def _line(self) -> AsciiLine:
        if self._wire is None:
            raise CommunicationError("ika: not open")
        return self._wire


ENTRY = DriverEntry(
    name="ika",
    title="IKA hotplate stirrer, NAMUR commands over RS232",
    capabilities=("hotplate_stirrer",),
    factory=Ika,
    signals=SIGNALS,
    device="ika_hotplate",
    link="serial",
    on_comms_loss="stirs and heats on; with the option watchdog_s it turns both off after that time",
    on_power_return="heater and motor stay off until started (by model and settings; unverified)",
    options=OPTIONS,
    unverified=(
        Unverified(
            "everything: manuals and other drivers were read, no instrument was connected",
            shown_by=("speed", "temperature", "setpoint"),
        ),
        Unverified(
            "that a setpoint of 0 holds the heater off where the silent STOP_1 was lost",
            shown_by=("setpoint",),
        ),
        Unverified("IN_PV_1 without a probe", safety=False),
    ),
    # Starting and stopping the motor are silent and have no question; 10 % of 500 rpm, and ten time constants
    # of a drive, are assumed.
    effects={
        "stir": Effect("speed", "speed_rpm", 50.0, 20.0),
        "stir_off": Effect("speed", "", 50.0, 20.0),
    },
)
