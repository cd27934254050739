"""A simulated Alicat MC mass-flow controller: serial ASCII of firmware 10v20, 6v21 or 5v12.

Replies and tables follow published captures of an MC-500SCCM-D (10v20.0-R24) and a 5v12 controller. Both dialects
are spoken: commands in letters, and registers (`$$W46=8`, `R122`) as an older published client writes them; `$$` before
a command changes nothing. Not simulated: mixes, ramps, PID registers, totalizer batches, other baud rates and letters.
Faults are attributes: switch them on, and the instrument behaves as a real one does in that trouble.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from labctl_simulators.devices.api import Bindings, MassFlowModel, Replies
from labctl_simulators.wire.lines import LineSession

THINKING_S = 0.0005
"""From the request to the first byte: a poll measured 27 ms at 19200, of which bytes take 26.5 (derived)."""

STREAM_S = 0.05
"""Interval of pushed frames (captured default of NCS)."""

GASES = {
    0: ("Air", "Air"),
    1: ("Ar", "Argon"),
    2: ("CH4", "Methane"),
    3: ("CO", "Carbon Monoxide"),
    4: ("CO2", "Carbon Dioxide"),
    5: ("C2H6", "Ethane"),
    6: ("H2", "Hydrogen"),
    7: ("He", "Helium"),
    8: ("N2", "Nitrogen"),
    9: ("N2O", "Nitrous Oxide"),
    10: ("Ne", "Neon"),
    11: ("O2", "Oxygen"),
    12: ("C3H8", "Propane"),
}

_PSI_PER_BAR = 14.503773773
_STANDARD_K = 298.15
_STANDARD_BAR = 1.01325
_MASS_FLOW_LOOP = 37
_MODERN_STATUS = ["OPL", "EXH", "HLD", "LCK", "MOV", "VOV", "POV", "TOV", "OVR", "TMF", "P2O", "COM", "GTA"]
_LEGACY_STATUS = ["LCK", "OVR", "POV", "TOV", "VOV", "MOV", "HLD", "EXH", "OPL", "TMF"]
_GAS_REGISTER, _LOOP_REGISTER = 46, 122
_LOOP_VARIABLES = frozenset({34, 36, 37, 38, 39})
"""Absolute pressure, volume flow, mass flow, gauge and differential pressure; only mass flow is simulated."""
_UNITS = {2: b"10 PSIA", 3: b"2 `C", 4: b"12 CCM", 5: b"12 SCCM", 37: b"12 SCCM"}
"""Unit of each statistic, as `DCU` tells it."""
_NUMBER = re.compile(rb" *\d{1,6}(?:\.\d{0,4})?")
_REGISTER = re.compile(rb"(?:[Rr](\d{1,3})|[Ww](\d{1,3})=(\d{1,5}))")
_TARE_AND_OTHERS = frozenset({b"V", b"P", b"PC", b"T", b"TP", b"T 1"})
"""Tares, and `T 1`, which sets the totalizer to zero: this controller reads true, and totals nothing."""


class Alicat:
    """The controller. Its faults are attributes.

    silent: answers nothing. rejects: `?` to everything. garbage: bytes sent before each reply.
    late_s: extra delay. streaming: pushes frames unasked, until `@@ A`. analog_source: setpoints of the
    wire are ignored. gas: number in `GASES`. held: valve hold (HLD). locked: display lock (LCK).
    tokens: further status tokens. dashed: numbers read as dashes.
    """

    def __init__(
        self, model: MassFlowModel, bindings: Bindings, options: Mapping[str, Any], serial: str
    ) -> None:
        self.model = model
        self.serial_number = serial or "521641"
        self.firmware = str(options.get("sim_firmware", "10v20.0-R24"))
        major, minor = re.match(r"(\d+)v(\d+)", self.firmware).groups()  # type: ignore[union-attr]
        self._version = int(major), int(minor)
        self._legacy_table = self._version < (6, 0)
        self.unit = str(options.get("unit", "A")).encode()
        self.gas = next((n for n, (short, _) in GASES.items() if short == options.get("gas", "N2")), 8)
        self.power_up_sccm = float(options.get("sim_power_up_sccm", 0.0))
        self.setpoint_sccm = self.power_up_sccm
        self.loop_variable = _MASS_FLOW_LOOP
        self.silent = self.rejects = self.streaming = self.analog_source = False
        self.held = self.locked = self.dashed = False
        self.garbage = b""
        self.late_s = 0.0
        self.tokens: list[str] = []
        self._ambient_c = bindings.ambient_c
        self._now = bindings.now
        self._streamed_s = 0.0
        whole = len(str(int(model.full_scale_sccm)))
        self._decimals = 5 - whole if self._version >= (6, 0) else max(0, 4 - whole)
        self._answers: dict[bytes, Callable[[], bytes]] = {
            b"VE": self._identify,
            b"??M*": self._maker,
            b"??D*": self._table,
            b"??G*": self._gases,
            b"H": self._hold,
            b"HP": self._hold,
            b"HC": self._hold_closed,
            b"C": self._cancel,
        }

    @property
    def resting(self) -> bool:
        """The valve knows its setpoint."""
        return self.held or self.model.setpoint_sccm == self.setpoint_sccm

    def tick(self, now_s: float) -> None:
        """Show its setpoint to the valve, unless the valve is held."""
        if not self.held:
            self.model.setpoint_sccm = self.setpoint_sccm

    def power_cycle(self) -> None:
        """Off and on: the setpoint falls back to the one stored for power-up."""
        self.setpoint_sccm = self.power_up_sccm
        self.held = self.streaming = False
        self.tick(self._now())

    def answer(self, line: bytes) -> Replies:
        """What one request makes it say."""
        if self.silent:
            return []
        if self.streaming:
            return self._stream(line)
        if not line.startswith(self.unit):
            return []
        body = line[1:].removeprefix(b"$$")
        reply = self.frame() if not body else b"?\r" if self.rejects else self._command(body)
        delay = THINKING_S + self.late_s
        if reply.count(b"\r") == 1:
            return [(delay, self.garbage + reply)]
        return [(delay, self.garbage + row + b"\r") for row in reply.split(b"\r")[:-1]]

    def _stream(self, line: bytes) -> Replies:
        now = self._now()
        pushed = min(5, 1 + int((now - self._streamed_s) / STREAM_S))
        self._streamed_s = now
        # The unit letter gives way to a blank while streaming (10v20).
        replies = [(n * STREAM_S, b" " + self.frame()[1:]) for n in range(pushed)]
        if line == b"@@ " + self.unit:
            self.streaming = False
        return replies

    def _command(self, body: bytes) -> bytes:
        plain = self._answers.get(body)
        if plain is not None:
            return plain()
        if body[:1] == b"L" and self._version < (8, 0):
            self.locked = True
            return self.frame()
        if body[:1] == b"S" and _NUMBER.fullmatch(body[1:]):
            self._ask_for(float(body[1:]))
            return self.frame()
        if body == b"@ @":
            self.streaming, self._streamed_s = True, self._now()
            return b""
        if body[:1] == b"L" and body != b"L":
            return self._loop(body)
        if body == b"L" or body == b"U":
            self.locked = body == b"L"
            return self.frame()
        if body in _TARE_AND_OTHERS:
            return self.frame()
        if body[:1] == b"G":
            return self._select_gas(body)
        if register := _REGISTER.fullmatch(body):
            return self._register(*register.groups())
        if self._version < (8, 0):
            return b"?\r"
        if body.startswith(b"FPF "):
            return self._full_scale(body[4:].strip())
        if body.startswith(b"DV "):
            return self._statistics(body[3:].split())
        if body.startswith(b"DCU ") and self._version >= (10, 5):
            unit = _UNITS.get(int(body[4:]) if body[4:].isdigit() else 0)
            return b"%s %s\r" % (self.unit, unit) if unit else b"?\r"
        if body == b"VD" and self._version >= (8, 18):
            return b"%s %06.2f 000.00 000.00 000.00\r" % (self.unit, self._drive_percent())
        return b"?\r"

    def _register(self, read: bytes | None, write: bytes | None, value: bytes | None) -> bytes:
        """Registers 46 (gas, its lower nine bits) and 122 (what the loop controls), read or written."""
        number = int(read or write or 0)
        if number not in (_GAS_REGISTER, _LOOP_REGISTER):
            return b"?\r"
        if value is not None:
            wanted = int(value)
            if number == _GAS_REGISTER and wanted in GASES:
                self.gas = wanted
            elif number == _LOOP_REGISTER and wanted in _LOOP_VARIABLES:
                self.loop_variable = wanted
        shown = self.gas if number == _GAS_REGISTER else self.loop_variable
        return b"%s   %03d = %d\r" % (self.unit, number, shown)

    def _statistics(self, words: list[bytes]) -> bytes:
        """`DV ms statistic...`: values without the unit letter, dashes for those that are none."""
        if len(words) < 2 or not words[0].isdigit() or int(words[0]) == 0:
            return b"?\r"
        fields = dict(zip((b"2", b"3", b"4", b"5", b"37"), self.frame().split()[1:6], strict=True))
        return b" ".join(fields.get(word, b"--") for word in words[1:]) + b"\r"

    def _drive_percent(self) -> float:
        """Of the valve: fully open where the supply gives less than is asked for."""
        model = self.model
        if model.setpoint_sccm <= 0.0:
            return 0.0
        starved = model.indicated_sccm < 0.9 * model.setpoint_sccm
        return 100.0 if starved else 20.0 + 60.0 * model.setpoint_sccm / model.full_scale_sccm

    def _ask_for(self, value: float) -> None:
        loop_is_flow = self.loop_variable == _MASS_FLOW_LOOP
        if self.analog_source or not loop_is_flow or value > self.model.full_scale_sccm:
            return
        self.setpoint_sccm = round(value, self._decimals)
        self.tick(self._now())

    def _loop(self, body: bytes) -> bytes:
        """The L commands of firmware 9 and later: setpoint, its source, and what the loop controls."""
        if body == b"LV":
            return b"%s %d\r" % (self.unit, self.loop_variable)
        if body == b"LSS" and self._version >= (10, 5):
            return b"%s %s\r" % (self.unit, b"A" if self.analog_source else b"S")
        if body[:2] == b"LS" and self._version >= (9, 0) and not body.startswith(b"LSS"):
            if body != b"LS":
                if not _NUMBER.fullmatch(body[2:]):
                    return b"?\r"
                self._ask_for(float(body[2:]))
            now, asked = self._digits(self.model.setpoint_sccm), self._digits(self.setpoint_sccm)
            return b"%s %s %s 12 SCCM\r" % (self.unit, now, asked)
        return b"?\r"

    def _select_gas(self, body: bytes) -> bytes:
        modern = body[:2] == b"GS"
        number, _, kept = body[2 if modern else 1 :].strip().partition(b" ")
        if kept not in ((b"", b"0", b"1") if modern else (b"",)):  # whether to keep it beyond a power-off
            return b"?\r"
        if number:
            if not number.isdigit() or int(number) not in GASES:
                return b"?\r"
            self.gas = int(number)
        if not modern:
            return self.frame() if number else b"?\r"
        if self._version < (10, 5):
            return b"?\r"
        short, name = GASES[self.gas]
        return b"%s %d %s %s\r" % (self.unit, self.gas, short.encode(), name.encode())

    def _full_scale(self, statistic: bytes) -> bytes:
        if statistic in (b"5", b"37"):
            return b"%s %s 12 SCCM\r" % (self.unit, self._digits(self.model.full_scale_sccm))
        return b"%s 0 0 ---\r" % self.unit

    def _hold(self) -> bytes:
        self.held = True
        return self.frame()

    def _hold_closed(self) -> bytes:
        self.held = True
        self.model.setpoint_sccm = 0.0
        return self.frame()

    def _cancel(self) -> bytes:
        self.held = False
        self.tick(self._now())
        return self.frame()

    def frame(self) -> bytes:
        """One data frame, as `A +014.62 +021.89 +000.00 +000.00 +078.95     N2`."""
        tail = self._tail() if self.held or self.locked or self.tokens else b""
        if self.dashed:
            return b"%s%s %6s%s\r" % (self.unit, 5 * b" -------", GASES[self.gas][0].encode(), tail)
        model = self.model
        return _frame(
            self.unit,
            model.pressure_bar,
            self._ambient_c,
            model.indicated_sccm,
            self.setpoint_sccm,
            self._decimals,
            self._version >= (8, 0),
            self.gas,
            tail,
        )

    def _tail(self) -> bytes:
        tokens = [*self.tokens, *(["HLD"] if self.held else []), *(["LCK"] if self.locked else [])]
        return "".join(f" {token}" for token in tokens).encode()

    def _digits(self, value: float) -> bytes:
        return b"%+0*.*f" % (7, self._decimals, value)

    def _identify(self) -> bytes:
        return b"%s   %s Jan  9 2025,15:04:07\r" % (self.unit, self.firmware.encode())

    def _maker(self) -> bytes:
        rows = (
            "Alicat Scientific",
            "www.example.com",
            "Ph   555-000-0000",
            "info@example.com",
            f"Model Number MC-{self.model.full_scale_sccm:.0f}SCCM-D",
            f"Serial Number {self.serial_number}",
            "Date Manufactured 03/02/2025",
            "Date Calibrated   03/02/2025",
            "Calibrated By     BL",
            f"Software Revision {self.firmware}",
        )
        return b"".join(b"%s  M%02d %s\r" % (self.unit, n, row.encode()) for n, row in enumerate(rows))

    def _gases(self) -> bytes:
        return b"".join(b"%s G%02d %7s\r" % (self.unit, n, short.encode()) for n, (short, _) in GASES.items())

    def _table(self) -> bytes:
        rows = (
            _legacy_table(self.model.full_scale_sccm) if self._legacy_table else _modern_table(self._decimals)
        )
        gap = b"  " if self._legacy_table else b" "
        return b"".join(b"%s%sD%02d %s\r" % (self.unit, gap, n, row.encode()) for n, row in enumerate(rows))


@lru_cache(256)
def _frame(
    unit: bytes,
    bar: float,
    celsius: float,
    mass_sccm: float,
    setpoint_sccm: float,
    decimals: int,
    signed_setpoint: bool,
    gas: int,
    tail: bytes,
) -> bytes:
    """The text of a frame; firmware below 8 prints the setpoint without a sign."""
    volume = mass_sccm * (celsius + 273.15) / _STANDARD_K * _STANDARD_BAR / bar
    flow = b"%%+07.%df" % decimals
    setpoint = flow if signed_setpoint else b"%%06.%df" % decimals
    form = b"%s %+07.2f %+07.2f " + flow + b" " + flow + b" " + setpoint + b" %6s%s\r"
    short = GASES[gas][0].encode()
    return form % (unit, bar * _PSI_PER_BAR, celsius, volume, mass_sccm, setpoint_sccm, short, tail)


def _modern_table(decimals: int) -> list[str]:
    flow = f"7/{decimals} 012 02"
    return [
        "ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________",
        "700 Unit ID                    string          1",
        "002 Abs Press                  s decimal     7/2 010 02 PSIA",
        "003 Flow Temp                  s decimal     7/2 002 02 `C",
        f"004 Volu Flow                  s decimal     {flow} CCM",
        f"005 Mass Flow                  s decimal     {flow} SCCM",
        f"037 Mass Flow Setpt            s decimal     {flow} SCCM",
        "703 Gas                        string          6",
        "701 *Error                     string          3 ADC",
        *(f"702 *Status                    string          3 {token}" for token in _MODERN_STATUS),
    ]


def _legacy_table(full_scale_sccm: float) -> list[str]:
    whole = len(str(int(full_scale_sccm)))
    top = f"{full_scale_sccm:+07.{max(0, 4 - whole)}f}"
    low = f"{0.0:+07.{max(0, 4 - whole)}f}"
    return [
        "NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__",
        "Unit ID     char         A         Z         na",
        "Pressure    signed    +000.00  +160.00     PSIA",
        "Temperature signed    -010.00  +050.00        C",
        f"Volumetric  signed    {low}  {top}      CCM",
        f"Mass        signed    {low}  {top}     SCCM",
        f"SetPoint    signed    {low}  {top}     SCCM",
        "Gas         string        Air       D2       na",
        "Error       string         na      ADC       na",
        *(f"Status      string         na      {token}       na" for token in _LEGACY_STATUS),
    ]


def attach(bindings: Bindings, options: Mapping[str, Any], serial_number: str) -> tuple[Alicat, LineSession]:
    """A controller on the bindings' mass-flow model. Raises ValueError when it is wired to none."""
    if bindings.mass_flow is None:
        raise ValueError("a simulated Alicat needs a mass-flow model")
    device = Alicat(bindings.mass_flow, bindings, options, serial_number)
    return device, LineSession(device.answer)
