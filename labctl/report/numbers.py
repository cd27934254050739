"""Numbers as a report shows them: durations in words, formulas with subscripts, no false precision."""

from __future__ import annotations

import re
from html import escape

DECIMALS = {"degC": 1, "K": 1, "sccm": 1, "rpm": 0, "wt%": 2, "mAh/g": 1, "L": 1, "kWh": 2, "%": 1, "1": 4}
"""Digits after the point for a unit; other units get four significant digits."""

UNITS = {"degC": "°C", "wt%": "wt %", "1": "", "mAh/g": "mAh g⁻¹", "K/min": "K min⁻¹", "L": "L"}
"""Units as typography has them."""

MINUTE, HOUR = 60.0, 3600.0

_NAMES = {
    "carbon_wt_pct": "carbon",
    "charge_capacity_mah_per_g": "capacity of the first charge",
    "discharge_capacity_mah_per_g": "capacity of the first discharge",
    "coulombic_efficiency": "coulombic efficiency of the first cycle",
    "nitrogen_l": "nitrogen",
    "purge_s": "purge",
    "duration_s": "duration",
}


def name_of(quantity: str) -> str:
    """What a quantity is called: a result by its key, anything else by its own words."""
    return _NAMES.get(quantity, quantity.replace("_", " "))


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit, for example `6 h 2 min`, `799.8 °C` or a dash where there is none."""
    if value is None:
        return "–"
    if unit == "s":
        return duration(value)
    shown = UNITS.get(unit, unit)
    return f"{number(value, unit)} {shown}".rstrip()


def number(value: float, unit: str) -> str:
    """A value without its unit."""
    decimals = 0 if unit == "1" and value == int(value) else DECIMALS.get(unit)
    text = f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"
    if "." in text and "e" not in text:
        text = text.rstrip("0").rstrip(".") if decimals is None else text
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """Seconds in the two units that tell most: `24 h 1 min`, `35 min 6 s`, `4.2 s`."""
    sign = "−" if seconds < 0 else ""
    seconds = abs(seconds)
    if seconds < MINUTE:
        return f"{sign}{seconds:.3g} s"
    if seconds < HOUR:
        minutes, rest = divmod(round(seconds), 60)
        return f"{sign}{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(round(seconds / MINUTE), 60)
    return f"{sign}{hours} h" + (f" {minutes} min" if minutes else "")


def formula(text: str) -> str:
    """A chemical formula as HTML: the numbers that count atoms are set below the line."""
    return re.sub(r"(?<=[A-Za-z)])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", escape(text))
