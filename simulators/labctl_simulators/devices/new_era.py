"""A simulated New Era NE-1000 syringe pump: phases, rate, volume, alarms, basic and safe mode.

As the maker's manual has it (second-hand, from published clients): any reply acknowledges an alarm, and the request
that met it is not carried out. Not simulated, and answered by `?`: triggers, sounds and functions besides RAT and STP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import pi
from typing import Any

from labctl_simulators.devices.api import Bindings, Replies, SyringeModel
from labctl_simulators.wire.new_era import NewEraSession, packet

THINKING_S = 0.01
"""From the request to the first byte (assumed)."""
FASTEST_CM_PER_MIN = 5.1005
SLOWEST_CM_PER_H = 0.004205
"""Of the plunger (data sheet)."""
SMALL_MM = 14.0
"""Up to this diameter volumes are in µL unless told otherwise (recalled by published clients)."""
RATES = {"MM": 1.0, "UM": 1e-3, "MH": 1.0 / 60.0, "UH": 1e-3 / 60.0}
"""mL/min in each unit of rates."""

_FLOAT = r"(\d{1,4}|\d{0,4}\.\d{1,3})"
_REQUEST = re.compile(rb"(\d{0,2})([A-Z]{0,3})(.*)", re.DOTALL)
_RATE = re.compile(_FLOAT + r"(UM|MM|UH|MH)?")
_VOLUME = re.compile(_FLOAT)


def shown(value: float) -> str:
    """As its display has it: at most four digits, at most three of them decimals."""
    for decimals in (3, 2, 1):
        text = f"{value:.{decimals}f}"
        if len(text) <= 5:
            return text
    return f"{value:.0f}."


class Refused(Exception):
    """What it says instead of doing something: "", NA, OOR, COM."""


class Phase:
    """One step of its program: pump (`RAT`) or stop (`STP`). volume 0: for ever. Units as they were set."""

    def __init__(self, function: str) -> None:
        self.function = function
        self.rate, self.unit = 1.0, "MM"
        self.volume_ml = 0.0
        self.infuses = True


class NewEra:
    """The pump. Its faults are attributes.

    silent: answers nothing and hears nothing. garbage: bytes sent before each reply. late_s: extra delay.
    ignores_settings: rates and volumes have no effect (its keypad is in use). alarm: waits to be told, "" or one of
    R (power), S (stall), T (safe mode), E (program), O (phase).
    """

    def __init__(self, syringe: SyringeModel, bindings: Bindings, options: Mapping[str, Any]) -> None:
        self.syringe = syringe
        self._now = bindings.now
        self.address = int(options.get("address", 0))
        self.version = str(options.get("sim_version", "NE1000V3.93"))
        self.diameter_mm = float(options.get("sim_diameter_mm", options.get("diameter_mm", 26.59)))
        self.silent = self.ignores_settings = False
        self.garbage = b""
        self.late_s = 0.0
        self.alarm = str(options.get("sim_alarm", ""))
        self.safe_s = 0
        self._heard_s = self._now()
        self._lived_s = self._now()
        self.phases = {1: Phase("RAT"), 2: Phase(str(options.get("sim_second_phase", "STP")))}
        self.chosen = 1
        self.millilitres = self.diameter_mm > SMALL_MM
        self.state = "S"
        self.running = 1
        self.phase_ml = 0.0
        self.infused_ml = self.withdrawn_ml = 0.0

    @property
    def resting(self) -> bool:
        """Stopped, and not in safe mode, unless that has told already that nobody speaks to it."""
        return self.state not in "IW" and (not self.safe_s or self.alarm == "T")

    def tick(self, now_s: float) -> None:
        """Pump a tick's worth; look at how long nobody has spoken to it in safe mode."""
        if self.safe_s and now_s - self._heard_s > self.safe_s and self.alarm != "T":
            if self.state in "IW":
                self.state = "S"
            self.alarm = "T"
        if self.state in "IW":
            self._pump(now_s - self._lived_s)
        self._lived_s = now_s

    def power_cycle(self) -> None:
        """Stopped, in basic mode, with its settings, its counters at zero, and an alarm that says so."""
        self.state, self.running, self.phase_ml = "S", 1, 0.0
        self.infused_ml = self.withdrawn_ml = 0.0
        self.safe_s = 0
        self.alarm = "R"
        self._lived_s = self._now()

    # -- pumping ---------------------------------------------------------------------------------

    def _pump(self, seconds: float) -> None:
        phase = self.phases[self.running]
        wanted = phase.rate * RATES[phase.unit] * seconds / 60.0
        left = phase.volume_ml - self.phase_ml if phase.volume_ml else wanted
        asked = min(wanted, left)
        if phase.infuses:
            moved = self.syringe.infuse(asked)
            self.infused_ml += moved
        else:
            moved = self.syringe.withdraw(asked)
            self.withdrawn_ml += moved
        self.phase_ml += moved
        if moved < asked - 1e-9:
            self.state, self.alarm = "S", "S"
        elif phase.volume_ml and self.phase_ml >= phase.volume_ml - 1e-9:
            self._next_phase()

    def _next_phase(self) -> None:
        self.running, self.phase_ml = self.running + 1, 0.0
        following = self.phases.get(self.running)
        if following is None or following.function == "STP":
            self.state, self.running = "S", 1
        else:
            self.state = "I" if following.infuses else "W"

    # -- answering -------------------------------------------------------------------------------

    def answer(self, request: bytes, safe: bool) -> Replies:
        """What one request makes it say; nothing to what is meant for another pump of the line."""
        found = _REQUEST.fullmatch(request.replace(b" ", b"").upper())
        if self.silent or found is None or int(found[1] or 0) != self.address:
            return []
        self._heard_s = self._now()
        if self.alarm:
            alarm, self.alarm = self.alarm, ""
            return self._say(f"A?{alarm}")
        try:
            said = self._do(found[2].decode(), found[3].decode("ascii", "replace"))
        except Refused as refused:
            said = f"?{refused}"
        return self._say(self.state + said)

    def broken(self) -> Replies:
        """A packet came whose CRC is wrong."""
        return [] if self.silent else self._say(self.state + "?COM")

    def _say(self, text: str) -> Replies:
        data = f"{self.address:02d}{text}".encode()
        framed = packet(data) if self.safe_s else b"\x02" + data + b"\x03"
        return [(THINKING_S + self.late_s, self.garbage + framed)]

    def _do(self, command: str, argument: str) -> str:
        phase = self.phases[self.chosen]
        working = self.state in "IW"
        if working and argument and command not in ("RAT", "SAF"):
            raise Refused("NA")
        match command, argument:
            case "", "":
                return ""
            case "VER", "":
                return self.version
            case "RUN", "":
                return self._run()
            case "STP", "":
                return self._stop()
            case "DIS", "":
                unit = "ML" if self.millilitres else "UL"
                scale = 1.0 if self.millilitres else 1e3
                return f"I{shown(self.infused_ml * scale)}W{shown(self.withdrawn_ml * scale)}{unit}"
            case "CLD", "INF":
                self.infused_ml = 0.0
            case "CLD", "WDR":
                self.withdrawn_ml = 0.0
            case "DIA", _:
                return self._diameter(argument)
            case "PHN", "":
                return f"{self.chosen:02d}"
            case "PHN", _:
                self._choose(argument)
            case "FUN", "":
                return phase.function
            case "FUN", ("RAT" | "STP") as function:
                phase.function = function
            case "DIR", "":
                return "INF" if phase.infuses else "WDR"
            case "DIR", ("INF" | "WDR" | "REV"):
                phase.infuses = not phase.infuses if argument == "REV" else argument == "INF"
            case "RAT", _:
                return self._rate(phase, argument)
            case "VOL", _:
                return self._volume(phase, argument)
            case "SAF", _:
                return self._safe(argument)
            case _:
                raise Refused
        return ""

    def _run(self) -> str:
        if self.state in "IW":
            raise Refused("NA")
        if self.state == "S":
            self.running, self.phase_ml = 1, 0.0
        phase = self.phases[self.running]
        if phase.function == "STP":
            self.state = "S"
        else:
            self.state = "I" if phase.infuses else "W"
            self._lived_s = self._now()
        return ""

    def _stop(self) -> str:
        """Once is a pause; twice forgets where it was."""
        if self.state in "IW":
            self.state = "P"
        elif self.state == "P":
            self.state, self.running, self.phase_ml = "S", 1, 0.0
        else:
            raise Refused("NA")
        return ""

    def _diameter(self, argument: str) -> str:
        if not argument:
            return shown(self.diameter_mm)
        if not _VOLUME.fullmatch(argument) or not 0.1 <= float(argument) <= 80.0:
            raise Refused("OOR")
        self.diameter_mm = float(argument)
        self.millilitres = self.diameter_mm > SMALL_MM
        self.infused_ml = self.withdrawn_ml = 0.0
        return ""

    def _choose(self, argument: str) -> None:
        if not argument.isdigit() or not 1 <= int(argument) <= 41:
            raise Refused("OOR")
        self.chosen = int(argument)
        self.phases.setdefault(self.chosen, Phase("STP"))

    def _rate(self, phase: Phase, argument: str) -> str:
        if not argument:
            return shown(phase.rate) + phase.unit
        found = _RATE.fullmatch(argument)
        if found is None:
            raise Refused("OOR")
        unit = found[2] or phase.unit
        if self.state in "IW" and unit != phase.unit:
            raise Refused("NA")
        area_cm2 = pi * (self.diameter_mm / 20.0) ** 2
        wanted = float(found[1]) * RATES[unit]
        if not area_cm2 * SLOWEST_CM_PER_H / 60.0 <= wanted <= area_cm2 * FASTEST_CM_PER_MIN:
            raise Refused("OOR")
        if not self.ignores_settings:
            phase.rate, phase.unit = float(found[1]), unit
        return ""

    def _volume(self, phase: Phase, argument: str) -> str:
        scale = 1.0 if self.millilitres else 1e3
        if not argument:
            return shown(phase.volume_ml * scale) + ("ML" if self.millilitres else "UL")
        if argument in ("ML", "UL"):
            self.millilitres = argument == "ML"
        elif not _VOLUME.fullmatch(argument):
            raise Refused("OOR")
        elif not self.ignores_settings:
            phase.volume_ml = float(argument) / scale
        return ""

    def _safe(self, argument: str) -> str:
        if not argument:
            return str(self.safe_s)
        if not argument.isdigit() or int(argument) > 255:
            raise Refused("OOR")
        self.safe_s = int(argument)
        return ""


def attach(
    bindings: Bindings, options: Mapping[str, Any], serial_number: str
) -> tuple[NewEra, NewEraSession]:
    """A pump on the bindings' syringe. Raises ValueError when there is none."""
    if bindings.syringe is None:
        raise ValueError("a simulated NE-1000 needs a syringe")
    device = NewEra(bindings.syringe, bindings, options)
    return device, NewEraSession(device.answer, device.broken, lambda: device.safe_s > 0)
