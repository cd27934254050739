"""Binder ovens with the MB1 controller: Modbus RTU frames, CRC and all, inside TCP port 10001.

Registers as published clients use them (one cites Binder's technical specification 7001-0242). Heat
demand is taken away by the setpoint alone, in manual mode with the fan running: idle mode stops the
fan, and an oven that dries solvent must never lose it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from labctl.bench.api import (
    BAD,
    GOOD,
    SILENT,
    Audit,
    AuditItem,
    CommunicationError,
    Driver,
    DriverEntry,
    Line,
    NotDoneError,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.options import check_options
from labctl_drivers.ports.modbus import ModbusRtu, float32_of, registers_of

TEMPERATURE, ACTIVE_SETPOINT, MANUAL_SETPOINT = 0x11A9, 0x1077, 0x1581
MODE = 0x1A22
DOOR, LIMITER, ALARM, NOTE, TEXT = 0x1007, 0x10BD, 0x123D, 0x123E, 0x1228
TEXT_WORDS = 20

IDLE, MANUAL = 0x0000, 0x0800
MODES = {IDLE: "idle", MANUAL: "manual", 0x0400: "auto", 0x1000: "basic"}

HIGHEST_C = 300.0
"""Upper end of drying ovens with forced convection (data sheets); a bench may allow less."""
OFF_C = 0.0
"""Setpoint without heat demand: below any room."""
OFF_AT_MOST_C = 20.0
"""A setpoint above this could heat."""
AGREEMENT_K = 0.05
"""Difference within which a setpoint read back is the one asked for: half a display digit (derived)."""

TIMEOUT_S = 0.5
"""Twice the 0.25 s within which replies come (published client)."""

OPTIONS = {
    "unit": "Modbus unit, 1..247 (default 1)",
    "max_temperature_c": "highest setpoint the driver sends, degC (default 300)",
    "off_setpoint_c": "setpoint without heat demand, degC, at most 20 (default 0)",
}

SIGNALS = (
    Signal("temperature", "degC", -50.0, 350.0, 0.1),
    Signal("setpoint", "degC", -100.0, 350.0, 0.1),
    Signal("working_setpoint", "degC", -100.0, 350.0, 0.1),
    Signal("door", "1", 0.0, 1.0, 1.0),
)


class Binder(Driver):
    """An oven. `setpoint` is the manual one, `working_setpoint` the one that acts, `door` 1 when open.

    It has no ramp of its own in manual mode: `heat` with a ramp starts it at the present temperature
    and the host moves the setpoint with `renew`. Nothing here ever commands idle mode.
    """

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Options: see `OPTIONS`. Raises ValueError for an unknown one or a value out of range."""
        check_options("binder", options, OPTIONS)
        super().__init__(line, options)
        self._unit = int(options.get("unit", 1))
        self._max_c = float(options.get("max_temperature_c", HIGHEST_C))
        self._off_c = float(options.get("off_setpoint_c", OFF_C))
        if not OFF_AT_MOST_C < self._max_c <= HIGHEST_C:
            raise ValueError(f"binder: max_temperature_c {self._max_c:g} is outside 20..{HIGHEST_C:g} degC")
        if not self._off_c <= OFF_AT_MOST_C:
            raise ValueError(f"binder: off_setpoint_c {self._off_c:g} degC is above 20 degC: it could heat")
        self._bus: ModbusRtu | None = None
        self._closed = True
        self._in_step = True

    def open(self) -> None:
        self._closed = False
        self._connected()

    def audit(self) -> Audit:
        """Mode, safety controller, alarm and door. The controller tells neither model nor serial number."""
        self._present_c()
        mode = self._mode()
        items = [
            AuditItem("mode", mode in (IDLE, MANUAL), _mode_name(mode), "idle or manual"),
            self._zero("over-temperature limiter", LIMITER),
            self._zero("alarm", ALARM),
        ]
        identity = {"maker": "BINDER", "controller": "MB1", "mode": _mode_name(mode)}
        for name, address, count in (("note", NOTE, 1), ("text", TEXT, TEXT_WORDS)):
            try:
                words = self._words(address, count)
            except RefusedError:
                continue
            text = b"".join(w.to_bytes(2, "big") for w in words).strip(b" \0").decode("latin-1")
            identity[name] = text if count > 1 else str(words[0])
        return Audit(identity, tuple(items))

    def read(self) -> tuple[Reading, ...]:
        clock = self.line.clock
        readings: list[Reading] = []
        try:
            for signal, address in _FLOATS:
                value = self._present_c() if address == TEMPERATURE else self._float(address)
                readings.append(_judged(signal, value, clock.now()))
            readings.append(Reading(float(self._words(DOOR)[0] & 1), "1", GOOD, clock.now()))
        except (CommunicationError, RefusedError):
            now = clock.now()
            readings += [Reading(None, s.unit, SILENT, now) for s in SIGNALS[len(readings) :]]
        return tuple(readings)

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """`heat` (target_c, ramp_k_per_min), `renew` (target_c) or `heat_off`."""
        if verb == "heat":
            return self._heat(float(args["target_c"]), float(args["ramp_k_per_min"]))
        if verb == "renew":
            return self._renew(float(args["target_c"]))
        if verb == "heat_off":
            return self._heat_off()
        raise RefusedError(f"binder: no verb {verb!r}; it has heat, renew and heat_off")

    def close(self) -> None:
        self._closed = True
        self._disconnect()

    def _heat(self, target_c: float, ramp_k_per_min: float) -> dict[str, Any]:
        self._check(target_c)
        if not (isfinite(ramp_k_per_min) and ramp_k_per_min >= 0.0):
            raise RefusedError(f"binder: a ramp of {ramp_k_per_min:g} K/min is none; nothing was sent")
        start_c = target_c
        if ramp_k_per_min > 0.0:
            present = _judged(SIGNALS[0], self._present_c(), 0.0)
            if present.quality is not GOOD or present.value is None:
                raise RefusedError(
                    f"binder: no start for a ramp: it reads {present.value} degC; nothing was sent"
                )
            start_c = min(present.value, self._max_c)
        # the setpoint before the mode: else the oven would run towards whatever was set before
        setpoint_c = self._set(start_c)
        if self._mode() != MANUAL:
            self._set_manual()
        return {"host_ramp": 1.0 if ramp_k_per_min > 0.0 else 0.0, "setpoint_c": setpoint_c, "mode": "manual"}

    def _renew(self, target_c: float) -> dict[str, Any]:
        self._check(target_c)
        mode = self._mode()
        if mode != MANUAL:
            raise NotDoneError(f"binder: mode is {_mode_name(mode)}, not manual: changed at the panel?")
        return {"setpoint_c": self._set(target_c)}

    def _heat_off(self) -> dict[str, Any]:
        setpoint_c = self._set(self._off_c)
        mode = self._mode()
        if mode not in (MANUAL, IDLE):
            # another mode's setpoint would go on heating
            self._set_manual()
            mode = MANUAL
        # An oven found idle stays so: starting its fan is not ours to decide after a loss of exhaust.
        if mode == IDLE:
            self._present_c()  # idle and 0 degC is what an instrument that knows none of this says, too
        if mode == MANUAL:
            working_c = self._float(ACTIVE_SETPOINT)
            if not working_c <= OFF_AT_MOST_C:
                raise NotDoneError(f"binder: the setpoint that acts reads back {working_c:g} degC")
        return {"setpoint_c": setpoint_c, "mode": _mode_name(mode)}

    def _check(self, target_c: float) -> None:
        if not OFF_C <= target_c <= self._max_c:
            raise RefusedError(
                f"binder: {target_c:g} degC is outside {OFF_C:g}..{self._max_c:g} degC; nothing was sent"
            )

    def _set(self, target_c: float) -> float:
        self._write(MANUAL_SETPOINT, registers_of(target_c, low_word_first=True))
        found = self._float(MANUAL_SETPOINT)
        if not abs(found - target_c) <= AGREEMENT_K:
            raise NotDoneError(f"binder: the setpoint reads back {found:g} degC, asked for {target_c:g} degC")
        return found

    def _set_manual(self) -> None:
        self._write(MODE, (MANUAL,))
        mode = self._mode()
        if mode != MANUAL:
            raise NotDoneError(f"binder: mode reads back {_mode_name(mode)}, asked for manual")

    def _mode(self) -> int:
        return self._words(MODE)[0]

    def _present_c(self) -> float:
        """The temperature in the oven, degC. Raises CommunicationError where no oven answers.

        Other Modbus instruments answer 0 for a register that they do not have; no Pt100 reads 0 to the last bit.
        """
        words = self._words(TEMPERATURE, 2)
        if words == (0, 0):
            raise CommunicationError(
                f"{self.line.address}: what answers is no Binder oven: its temperature reads 0 to the last bit"
            )
        return float32_of(words, low_word_first=True)

    def _float(self, address: int) -> float:
        return float32_of(self._words(address, 2), low_word_first=True)

    def _zero(self, name: str, address: int) -> AuditItem:
        """Passed by 0, and by an oven that has no such register: these are not in every firmware."""
        try:
            found = self._words(address)[0]
        except RefusedError as error:
            return AuditItem(name, True, f"not offered ({error})", "0")
        return AuditItem(name, found == 0, str(found), "0")

    def _words(self, address: int, count: int = 1) -> tuple[int, ...]:
        try:
            bus = self._bus or self._connected()
            if not self._in_step:
                bus.read_holding(MODE)
                self._in_step = True
            return bus.read_holding(address, count)
        except CommunicationError:
            self._disconnect()
            raise

    def _write(self, address: int, words: tuple[int, ...]) -> None:
        try:
            self._connected().write(address, words)
        except CommunicationError:
            self._disconnect()
            raise

    def _connected(self) -> ModbusRtu:
        if self._closed:
            raise CommunicationError(f"{self.line.address} is not open")
        if self._bus is None:
            self._bus = ModbusRtu(self.line.open_stream(timeout_s=TIMEOUT_S), self._unit, retry=False)
        return self._bus

    def _disconnect(self) -> None:
        """Leave a connection on which a reply may still come: nothing tells it from the next one's.

        A serial gateway passes it on even so, to the next connection: nothing is read there before a word was, which
        no temperature is as short as. Writes do not wait for that.
        """
        bus, self._bus, self._in_step = self._bus, None, False
        if bus is not None:
            bus.port.close()


_FLOATS = tuple(zip(SIGNALS, (TEMPERATURE, MANUAL_SETPOINT, ACTIVE_SETPOINT), strict=False))


def _judged(signal: Signal, value: float, now_s: float) -> Reading:
    if not isfinite(value):
        return Reading(None, signal.unit, BAD, now_s)
    low, high = signal.low, signal.high
    good = (low is None or low <= value) and (high is None or value <= high)
    return Reading(value, signal.unit, GOOD if good else BAD, now_s)


def _mode_name(mode: int) -> str:
    return MODES.get(mode, f"0x{mode:04X}")


ENTRY = DriverEntry(
    name="binder",
    title="Binder oven with MB1 controller (Modbus RTU in TCP)",
    capabilities=("oven", "solvent_dryer"),
    factory=Binder,
    signals=SIGNALS,
    device="binder_mb1",
    link="tcp",
    on_comms_loss="goes on holding the last setpoint",
    on_power_return="comes back in the mode and at the setpoint it had (unverified)",
    options=OPTIONS,
    unverified=(
        Unverified(
            "over-temperature limiter, alarm, note and text registers (found by experiment, not published)",
            shown_by=("over-temperature limiter", "alarm"),
        ),
        Unverified("exception code of a refused write: 5 or 8", safety=False),
        Unverified("mode and setpoint after a return of power", shown_by=("mode", "setpoint")),
    ),
    host_ramp=True,
)
