"""The data frame of an Alicat: its layout is asked for (`??D*`), never assumed; old controllers show it in a frame.

Two dialects of the layout table exist (6v21 already speaks the modern one, so the header tells, not the
firmware). Frames are fixed width and carry neither units nor a checksum: width and decimals of every
column are held against the layout, so that a dropped or doubled character cannot become a number.
Captures: published transcripts of ten devices (MC-500SCCM-D 10v20, a 5v12 controller and others).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from labctl.bench.api import BAD, GOOD, Quality, Signal

SIGNALS = (
    Signal("flow", "sccm", -100.0, 100_000.0, 0.01),
    Signal("flow_setpoint", "sccm", 0.0, 100_000.0, 0.01),
    Signal("pressure", "bar", 0.0, 11.1, 0.001),
    Signal("gas_temperature", "degC", -10.0, 60.0, 0.01),
)
"""In the order of a `Frame`; pressure up to the 160 psia of the captured layouts."""

_RANGES = {s.name: (s.low or 0.0, s.high or 0.0) for s in SIGNALS}

FLOW_SCCM = {"SCCM": 1.0, "SML/M": 1.0, "SLPM": 1000.0, "SL/M": 1000.0}
"""Mass-flow units, upper case, in sccm. Alicat's standard is 25 degC and 14.696 psia unless set otherwise."""

PRESSURE_BAR = {
    "PSIA": 0.0689475729,
    "BARA": 1.0,
    "MBARA": 1e-3,
    "HPAA": 1e-3,
    "KPAA": 1e-2,
    "TORRA": 0.00133322368,
    "ATM": 1.01325,
}
"""Absolute-pressure units, upper case, in bar."""

TEMPERATURE_C = {"C": (1.0, 0.0), "K": (1.0, -273.15), "F": (5 / 9, -160 / 9)}
"""Temperature units as (factor, offset) to degC; the modern table prints the degree sign as a backtick."""

UNTRUSTED_FLOW = frozenset({b"ADC", b"POV", b"OPL", b"HLD", b"EXH"})
"""ADC error, pressure over range, over-pressure limit, valve hold, exhaust: flow is not what it seems."""

HARMLESS = frozenset({b"LCK", b"MOV", b"VOV", b"TOV", b"OVR", b"TMF", b"P2O", b"COM", b"GTA"})
"""Other documented tokens. Any token in neither set makes the flow untrusted too."""

_MODERN = re.compile(
    r"\S\s+D\d+\s+(?P<id>\d{3})\s+(?P<name>\*?\S.*?)\s+(?P<type>(?:\w )?decimal|string)\s+"
    r"(?P<width>\d+)(?:/(?P<decimals>\d+))?(?:\s+\d{3}\s+\d+\s+`?(?P<unit>\S+))?"
)
_LEGACY = re.compile(
    r"\S\s+D\d+\s+(?P<name>\S.*?)\s+(?P<type>signed|unsigned|char|string)\s+(?P<low>\S+)\s+(?P<high>\S+)\s+"
    r"(?P<unit>\S+)"
)
_SHOWN = re.compile(rb"[A-Z]((?: +[+-]?\d+(?:\.\d+)?){5,6}) +[A-Za-z]\S*(?: +[A-Z][A-Z0-9]{2})* *\r")
_MODERN_IDS = {
    "700": "unit",
    "002": "pressure",
    "003": "gas_temperature",
    "005": "flow",
    "037": "flow_setpoint",
    "703": "gas",
}
_LEGACY_NAMES = {
    "Unit ID": "unit",
    "Pressure": "pressure",
    "Temperature": "gas_temperature",
    "Mass": "flow",
    "SetPoint": "flow_setpoint",
    "Gas": "gas",
}


class Column(NamedTuple):
    """One column: its meaning ("" when labctl does not use it), unit label, width and decimals if numeric."""

    meaning: str
    unit: str = ""
    width: int = 0
    decimals: int = 0
    maximum: float | None = None


class Frame(NamedTuple):
    """One data frame in labctl's units: (value, quality) for each number, gas and status tokens as sent."""

    flow: tuple[float | None, Quality]
    flow_setpoint: tuple[float | None, Quality]
    pressure: tuple[float | None, Quality]
    gas_temperature: tuple[float | None, Quality]
    gas: str
    status: frozenset[bytes]


class Layout(NamedTuple):
    """The columns of a frame, in order, without the unit letter and the conditional tail."""

    dialect: str
    columns: tuple[Column, ...]

    def column(self, meaning: str) -> Column | None:
        """The column of that meaning, or None."""
        return next((c for c in self.columns if c.meaning == meaning), None)


def parse_layout(lines: Iterable[bytes]) -> Layout | None:
    """The layout in a reply to `??D*`, in either dialect; None when it is no layout."""
    texts = [line.decode("ascii", "replace").strip() for line in lines]
    legacy = any("MinVal_" in text for text in texts)
    columns = []
    for text in texts:
        row = (_LEGACY if legacy else _MODERN).fullmatch(text)
        if row is not None and (column := (_legacy if legacy else _modern)(row)) is not None:
            columns.append(column)
    if not any(c.meaning == "flow" for c in columns):
        return None
    return Layout("legacy" if legacy else "modern", tuple(columns))


def shown_layout(frame: bytes, flow_unit: str) -> Layout | None:
    """The layout that one frame shows, of a controller that tells none: its columns are those of the captured ones.

    A frame carries no units, so that of its flows has to be known; pressure is in PSIA and temperature in degC, as
    shipped. None when it is no frame of a controller.
    """
    found = _SHOWN.fullmatch(frame)
    if found is None:
        return None
    labels = [("pressure", "PSIA"), ("gas_temperature", "C"), ("", ""), ("flow", flow_unit)]
    labels += [
        ("flow_setpoint", flow_unit),
        ("", ""),
    ]  # a totalizer, where there is one, stands before the gas
    columns = []
    for (meaning, unit), number in zip(labels, found[1].decode().split(), strict=False):
        whole, _, fraction = number.lstrip("+-").partition(".")
        width = 1 + len(whole) + (1 + len(fraction) if fraction else 0)
        columns.append(Column(meaning, unit, width, len(fraction)))
    return Layout("shown", (*columns, Column("gas")))


def _modern(row: re.Match[str]) -> Column | None:
    meaning = _MODERN_IDS.get(row["id"], "")
    if meaning == "unit" or row["name"].startswith("*"):
        return None
    if row["type"] == "string":
        return Column(meaning)
    return Column(meaning, row["unit"] or "", int(row["width"]), int(row["decimals"] or 0))


def _legacy(row: re.Match[str]) -> Column | None:
    meaning = _LEGACY_NAMES.get(row["name"], "")
    if meaning == "unit" or row["name"] in ("Error", "Status"):
        return None
    high = row["high"]
    if row["type"] not in ("signed", "unsigned"):
        return Column(meaning)
    decimals = len(high.partition(".")[2])
    return Column(meaning, row["unit"], len(high), decimals, float(high))


class FrameReader:
    """Reads frames of one layout, from one unit letter, for one gas.

    Decoding is cached on the raw bytes: a steady flow repeats its frames, a damaged frame is another key.
    """

    def __init__(self, layout: Layout, unit: str, gas: str) -> None:
        self.layout = layout
        self._gas = gas
        self._frame = re.compile(_pattern(layout, unit))
        self._scales = {
            "flow": (FLOW_SCCM.get(_label(layout, "flow")), 0.0),
            "flow_setpoint": (FLOW_SCCM.get(_label(layout, "flow_setpoint")), 0.0),
            "pressure": (PRESSURE_BAR.get(_label(layout, "pressure")), 0.0),
            "gas_temperature": TEMPERATURE_C.get(_label(layout, "gas_temperature"), (None, 0.0)),
        }
        self.read = lru_cache(4096)(self._read)

    def _read(self, raw: bytes) -> Frame | None:
        """The frame in `raw`, or None when it is none: the whole of it has to fit the layout."""
        found = self._frame.fullmatch(raw)
        if found is None:
            return None
        fields = found.groupdict()
        gas = (fields.get("gas") or b"").decode("ascii")
        status = frozenset(fields["status"].split())
        untrusted = bool(status & UNTRUSTED_FLOW or status - UNTRUSTED_FLOW - HARMLESS) or gas != self._gas
        bad_sensor = b"ADC" in status
        return Frame(
            self._value("flow", fields, untrusted),
            self._value("flow_setpoint", fields, False),
            self._value("pressure", fields, bad_sensor or b"POV" in status),
            self._value("gas_temperature", fields, bad_sensor or b"TOV" in status),
            gas,
            status,
        )

    def _value(self, meaning: str, fields: dict[str, bytes], untrusted: bool) -> tuple[float | None, Quality]:
        factor, offset = self._scales[meaning]
        field = fields.get(meaning)
        if field is None or factor is None or field.startswith(b"--"):
            return None, BAD
        value = float(field) * factor + offset
        low, high = _RANGES[meaning]
        return value, GOOD if low <= value <= high and not untrusted else BAD


def _label(layout: Layout, meaning: str) -> str:
    column = layout.column(meaning)
    return column.unit.upper() if column else ""


def _pattern(layout: Layout, unit: str) -> bytes:
    """One expression for the whole frame. Firmware below 8 prints the setpoint without a sign."""
    parts = [re.escape(unit.encode())]
    for column in layout.columns:
        name = f"?P<{column.meaning}>".encode() if column.meaning else b"?:"
        if not column.width:
            parts.append(b"(%s\\S+)" % name)
        elif not column.meaning:
            parts.append(rb"(?:[+-]?\d+(?:\.\d+)?|-{2,})")
        else:
            whole = column.width - 1 - (column.decimals + 1 if column.decimals else 0)
            fraction = rb"\.\d{%d}" % column.decimals if column.decimals else b""
            sign = rb"[+-]?" if column.meaning == "flow_setpoint" else rb"[+-]"
            parts.append(rb"(%s%s\d{%d}%s|-{2,})" % (name, sign, whole, fraction))
    return rb" +".join(parts) + rb"(?P<status>(?: +[A-Z][A-Z0-9]{2})*) *\r"
