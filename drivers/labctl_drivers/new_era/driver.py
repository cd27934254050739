"""New Era NE-1000 syringe pumps over RS-232 (19200 8N1), in safe mode unless told otherwise.

In safe mode every packet has a CRC, and a pump that nobody speaks to stops. Any reply acknowledges an alarm and says
nothing else, so the driver keeps what it was told until the next dispense. A dispense is a program of two phases: pump
a volume, stop; without the second, a pump goes on for ever. Replies do not say which question they answer; see
`labctl_drivers.lines` for what follows from that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import pi
from typing import Any

from labctl.bench.api import (
    GOOD,
    Audit,
    AuditItem,
    Clock,
    CommunicationError,
    Driver,
    DriverEntry,
    Line,
    NotDoneError,
    Port,
    Reading,
    RefusedError,
    Signal,
    Unverified,
)
from labctl_drivers.lines import AsciiLine
from labctl_drivers.new_era.frame import (
    ALARMS,
    ETX,
    RATES,
    VOLUMES,
    Reply,
    decode,
    is_packet,
    is_whole,
    number,
    packet,
    rate,
    volume,
)
from labctl_drivers.options import check_options

OPTIONS = {
    "address": "of the pump on its line, 0..99 (default 0)",
    "baudrate": "19200 from the factory (default)",
    "timeout_s": "longest wait for a reply in s (default 0.3)",
    "diameter_mm": "inner diameter of the syringe that is in it; the pump must be set to the same",
    "syringe_ml": "what that syringe holds; no dispense may be more (default 50)",
    "safe_s": "safe mode: the pump stops when nobody speaks to it so long, 1..255 s (default 30); 0: basic mode",
    "serial_number": "serial number the bench expects; this instrument cannot be asked for it",
    "sim_diameter_mm": "diameter that the simulated pump is set to (default: diameter_mm)",
    "sim_second_phase": "second step of the program that it comes with: STP (default) or RAT",
    "sim_alarm": "alarm that it comes with: R, S, T, E or O",
    "sim_version": "what it says of itself (default NE1000V3.93)",
}

SIGNALS = (
    Signal("pumping", "1", 0.0, 1.0, 1.0),
    Signal("dispensed", "mL", 0.0, 9999.0, 0.001),
    Signal("rate", "mL/min", 0.0, 9999.0, 0.001),
    Signal("volume", "mL", 0.0, 9999.0, 0.001),
    Signal("alarm", "1", 0.0, 5.0, 1.0),
)
"""alarm: 0 none, 1 power came back, 2 stalled, 3 nobody spoke to it in safe mode, 4 program, 5 phase; since the last
dispense was begun."""

FASTEST_CM_PER_MIN = 5.1005
SLOWEST_CM_PER_H = 0.004205
"""Of the plunger (data sheet of the NE-1000)."""
LEAST_ML = 0.001

_VERSION = re.compile(rb"NE\d{3,4}X?\d*V\d+\.\d+")
_ALARM = re.compile(rb"\d\dA\?([RSTEO])")
_MODEL = re.compile(r"NE(\d{3,4})X?\d*V(\d+\.\d+)")
_DISPENSED = re.compile(r"I(\d{0,4}\.?\d{0,3})W(\d{0,4}\.?\d{0,3})(ML|UL)")
_RATE = re.compile(r"(\d{0,4}\.?\d{0,3})(MM|UM|MH|UH)")
_VOLUME = re.compile(r"(\d{0,4}\.?\d{0,3})(ML|UL)")


class PumpLine(AsciiLine):
    """A line whose replies end as the pump's do. alarm: told instead of an answer to the fence, or ""."""

    def __init__(self, port: Port, clock: Clock, version: bytes) -> None:
        super().__init__(port, clock, bytes((ETX,)), (version, _VERSION))
        self.alarm = ""

    def is_whole(self, raw: bytes) -> bool:
        return is_whole(raw)

    def fence(self) -> None:
        try:
            super().fence()
        except CommunicationError:
            if (told := _ALARM.search(self.heard)) is None:
                raise
            self.alarm = told[1].decode()  # told instead of an answer, and acknowledged by that
            self.forget_fence()
            super().fence()


class NewEra(Driver):
    """One pump."""

    signals = SIGNALS

    def __init__(self, line: Line, options: Mapping[str, Any]) -> None:
        """Check options; open nothing."""
        super().__init__(line, options)
        check_options("new-era", options, OPTIONS)
        self._address = _whole("address", options.get("address", 0), 99)
        self._safe_s = _whole("safe_s", options.get("safe_s", 30), 255)
        self._diameter_mm = float(options.get("diameter_mm", 0.0))
        self._syringe_ml = float(options.get("syringe_ml", 50.0))
        if not 0.1 <= self._diameter_mm <= 80.0:
            raise ValueError(
                "new-era: diameter_mm (0.1 to 80 mm) is needed; rates and volumes follow from it"
            )
        self._wire: PumpLine | None = None
        self._guarded = False
        self._alarm = ""

    def open(self) -> None:
        port = self.line.open_stream(
            baudrate=int(self.options.get("baudrate", 19200)),
            timeout_s=float(self.options.get("timeout_s", 0.3)),
        )
        self._guarded = False
        # in a packet, which a pump hears in whichever mode it was left
        self._wire = PumpLine(port, self.line.clock, packet(f"{self._address}VER".encode()))
        try:
            self._enter_mode()
        except CommunicationError:
            self._wire = None
            port.close()
            raise

    def audit(self) -> Audit:
        version = self._ask("VER").data
        found = _MODEL.fullmatch(version)
        diameter = self._ask("DIA").data
        wanted = str(self.options.get("serial_number", ""))
        return Audit(
            {"version": version},
            (
                AuditItem("model", found is not None, version, "NE-1000 or its kin"),
                AuditItem("serial number", True, "cannot be asked", wanted or "any"),
                AuditItem(
                    "diameter", self._is_set(diameter), f"{diameter} mm", f"{number(self._diameter_mm)} mm"
                ),
                AuditItem(
                    "safe mode", True, f"{self._safe_s} s" if self._safe_s else "off", "as the bench says"
                ),
            ),
        )

    def read(self) -> tuple[Reading, ...]:
        now = self.line.clock.now
        try:
            reply = self._ask("DIS")
            dispensed, asked_s = self._infused_ml(reply), now()
            pace, amount = self._rate(), self._volume()
        except CommunicationError:
            return self.silent()
        pumping = 1.0 if reply.state in "IW" else 0.0
        values = (pumping, dispensed, pace, amount, float(ALARMS.get(self._alarm, 0)))
        return tuple(Reading(v, s.unit, GOOD, asked_s) for v, s in zip(values, SIGNALS, strict=True))

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if verb == "dispense":
            return self._dispense(float(args["volume_ml"]), float(args["rate_ml_per_min"]))
        if verb == "pump_off":
            return self._stop()
        raise RefusedError(f"new-era: no verb {verb!r}; it has dispense and pump_off")

    def close(self) -> None:
        if self._wire is not None:
            self._wire.port.close()
            self._wire = None

    # -- pumping ---------------------------------------------------------------------------------

    def _dispense(self, volume_ml: float, rate_ml_per_min: float) -> dict[str, Any]:
        """Program a volume and then a stop, read each setting back, start. Raises RefusedError or NotDoneError."""
        if not LEAST_ML <= volume_ml <= self._syringe_ml:
            raise RefusedError(
                f"new-era: {volume_ml:g} mL is outside {LEAST_ML:g}..{self._syringe_ml:g} mL of the syringe"
            )
        area_cm2 = pi * (self._diameter_mm / 20.0) ** 2
        slowest, fastest = area_cm2 * SLOWEST_CM_PER_H / 60.0, area_cm2 * FASTEST_CM_PER_MIN
        if not max(slowest, 1e-6) <= rate_ml_per_min <= fastest:
            raise RefusedError(
                f"new-era: {rate_ml_per_min:g} mL/min is outside {slowest:.3g}..{fastest:.3g} mL/min of a "
                f"{self._diameter_mm:g} mm syringe"
            )
        (amount, unit), (pace, per) = volume(volume_ml), rate(rate_ml_per_min)
        if self._ask("").state != "S":
            raise NotDoneError("new-era: it is pumping or paused; stop it first")
        self._holds("DIA", number(self._diameter_mm), number(self._diameter_mm))
        for phase, function in (("2", "STP"), ("1", "RAT")):
            self._sets(f"PHN{phase}", "PHN", f"0{phase}")
            self._sets(f"FUN{function}", "FUN", function)
        self._sets("DIRINF", "DIR", "INF")
        self._tells(f"VOL{unit}")
        self._sets(f"VOL{amount}", "VOL", amount + unit)
        self._sets(f"RAT{pace}{per}", "RAT", pace + per)
        self._tells("CLDINF")
        if (left := self._infused_ml(self._ask("DIS"))) != 0.0:
            raise NotDoneError(f"new-era: its counter was cleared and reads {left:g} mL")
        self._alarm = ""
        if (state := self._tells("RUN").state) != "I":
            raise NotDoneError(f"new-era: started, and its state reads {state!r}")
        return {"volume_ml": _value(amount) * VOLUMES[unit], "rate_ml_per_min": _value(pace) * RATES[per]}

    def _stop(self) -> dict[str, Any]:
        """Stop, and forget the rest of the program. Raises NotDoneError when it goes on."""
        reply = self._ask("STP")
        for _ in range(2):
            if reply.state == "S":
                return {"dispensed_ml": self._infused_ml(self._ask("DIS"))}
            reply = self._ask("STP")
        if reply.state != "S":
            raise NotDoneError(f"new-era: told to stop, its state reads {reply.state!r}")
        return {"dispensed_ml": self._infused_ml(self._ask("DIS"))}

    def _sets(self, command: str, question: str, wanted: str) -> None:
        self._tells(command)
        self._holds(question, wanted, command)

    def _holds(self, question: str, wanted: str, command: str) -> None:
        """Raises NotDoneError when a setting does not read as wanted; numbers are compared as numbers."""
        shown = self._ask(question).data
        if _same(shown, wanted):
            return
        raise NotDoneError(f"new-era: {command} was asked for, {question} reads {shown!r}")

    def _tells(self, command: str) -> Reply:
        """Raises NotDoneError when the pump says that it did not."""
        reply = self._ask(command)
        if reply.data:
            raise NotDoneError(f"new-era: {command} was answered by {reply.data!r}")
        return reply

    def _is_set(self, shown: str) -> bool:
        return _same(shown, number(self._diameter_mm))

    # -- readings --------------------------------------------------------------------------------

    def _infused_ml(self, reply: Reply) -> float:
        found = self._matched(reply, _DISPENSED)
        return _value(found[1]) * VOLUMES[found[3]]

    def _rate(self) -> float:
        found = self._matched(self._ask("RAT"), _RATE)
        return _value(found[1]) * RATES[found[2]]

    def _volume(self) -> float:
        found = self._matched(self._ask("VOL"), _VOLUME)
        return _value(found[1]) * VOLUMES[found[2]]

    def _matched(self, reply: Reply, form: re.Pattern[str]) -> re.Match[str]:
        found = form.fullmatch(reply.data)
        if found is None or not any(c.isdigit() for c in found[1]):
            raise self._line().lost(f"new-era: not a reply to that: {reply.data[:40]!r}")
        return found

    # -- the wire --------------------------------------------------------------------------------

    def _ask(self, command: str) -> Reply:
        """One reply without an alarm; an alarm is kept and the question asked again. Raises CommunicationError."""
        wire = self._line()
        if self._safe_s and not self._guarded:
            self._enter_mode()
        for _ in range(2):
            raw = wire.ask(self._framed(command))
            if wire.alarm:  # an older one, met on the way back into step
                self._alarm, wire.alarm = wire.alarm, ""
            reply = decode(raw, self._address)
            if self._safe_s and not is_packet(raw):
                self._guarded = False  # it has forgotten its safe mode: its power was off
            if reply is None or not (self._guarded or reply.alarm or not self._safe_s):
                raise wire.lost(f"new-era: not a reply to {command!r}: {raw[:40]!r}")
            if not reply.alarm:
                return reply
            self._alarm = reply.alarm
            if self._safe_s and not self._guarded:
                self._enter_mode()
        raise wire.lost(f"new-era: alarm {self._alarm} instead of a reply to {command!r}")

    def _enter_mode(self) -> None:
        """Safe or basic mode, as the bench says; asked in a packet, which both modes hear."""
        wire = self._line()
        wire.fence()
        request = packet(f"{self._address}SAF{self._safe_s}".encode())
        for _ in range(2):
            raw = wire.ask(request)
            reply = decode(raw, self._address)
            if reply is None:
                break
            if reply.alarm:
                self._alarm = reply.alarm
            elif not reply.data and is_packet(raw) == bool(self._safe_s):
                self._guarded = True
                return
        raise wire.lost(f"new-era: not a reply to SAF{self._safe_s}: {raw[:40]!r}")

    def _framed(self, command: str) -> bytes:
        asked = f"{self._address}{command}".encode()
        return packet(asked) if self._safe_s else asked + b"\r"

    def _line(self) -> PumpLine:
        if self._wire is None:
            raise CommunicationError("new-era: not open")
        return self._wire


def _value(text: str) -> float:
    return float(text) if text.strip(".") else 0.0


def _same(shown: str, wanted: str) -> bool:
    """Alike, whatever zeros end a number."""

    def plain(text: str) -> tuple[float, str]:
        digits = text.rstrip("MLUH")
        return (_value(digits) if re.fullmatch(r"\d*\.?\d*", digits) else -1.0, text[len(digits) :])

    return shown == wanted or (shown[:1].isdigit() and plain(shown) == plain(wanted))


def _whole(name: str, value: object, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
        raise ValueError(f"new-era: {name} is 0..{highest}, not {value!r}")
    return value


ENTRY = DriverEntry(
    name="new-era",
    title="New Era NE-1000 syringe pump, RS232, safe or basic mode",
    capabilities=("syringe_pump",),
    factory=NewEra,
    signals=SIGNALS,
    device="new_era_ne1000",
    link="serial",
    on_comms_loss="stops after safe_s with alarm T; in basic mode it pumps on until its volume is dispensed",
    on_power_return="stopped, its counter at zero, in basic mode, with alarm R",
    options=OPTIONS,
    unverified=(
        Unverified(
            "everything: published clients that cite the maker's manual were read, no pump was connected",
            shown_by=("pumping", "dispensed", "alarm", "diameter"),
        ),
        Unverified("that a pump in basic mode hears packets, and answers `SAF0` in basic mode", safety=False),
        Unverified("that it stops in safe mode when nobody speaks to it", shown_by=("safe mode",)),
    ),
)
