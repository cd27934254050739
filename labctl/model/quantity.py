"""Quantities as people write them: a value and a unit, read apart and turned into one canonical unit.

A text is never evaluated: `800 degC` is the number 800 and the unit degC, found in a closed table.
pint knows how units convert (`units.txt` beside this file); results are cached, so it is met at load only.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from pint import UnitRegistry

__all__ = [
    "DIMENSIONS",
    "LEAST",
    "MOST",
    "UNITS",
    "Dimension",
    "QuantityError",
    "canonical_unit",
    "dimension_of",
    "parse",
    "result_key",
]


class QuantityError(LabctlError):
    """A text is not the quantity that was wanted. `reason` says what is wrong, `hint` what to write."""

    exit_code = 3

    def __init__(self, reason: str, hint: str | None = None) -> None:
        """Keep both; the text of the error is the reason, and the hint in parentheses."""
        self.reason = reason
        self.hint = hint
        super().__init__(f"{reason} ({hint})" if hint else reason)


@dataclass(frozen=True, slots=True)
class Dimension:
    """A kind of quantity.

    name: for people and for `parse`. unit: the canonical one. units: all spellings that are taken.
    low: physical lower bound in the canonical unit, or None.
    """

    name: str
    unit: str
    units: tuple[str, ...]
    low: float | None = None


DIMENSIONS: Mapping[str, Dimension] = {
    d.name: d
    for d in (
        Dimension("temperature_difference", "K", ("K",), 0.0),
        Dimension("temperature", "degC", ("degC", "°C", "K", "degF"), -273.15),
        Dimension("ramp", "K/min", ("K/min", "K/h", "K/s", "degC/min", "degC/h", "°C/min", "°C/h"), 0.0),
        Dimension("time", "s", ("s", "min", "h", "d"), 0.0),
        Dimension("flow", "sccm", ("sccm", "slm"), 0.0),
        Dimension("percent", "%", ("%",)),
        Dimension("concentration", "ppm", ("ppm", "ppb", "%"), 0.0),
        Dimension("speed", "rpm", ("rpm",), 0.0),
        Dimension("voltage", "V", ("V", "mV")),
        Dimension("current", "A", ("A", "mA", "uA")),
        Dimension("rate", "C", ("C",), 0.0),
        Dimension("specific_current", "mA/g", ("mA/g", "A/g"), 0.0),
        Dimension("specific_capacity", "mAh/g", ("mAh/g", "Ah/g"), 0.0),
        Dimension("mass", "g", ("g", "kg", "mg", "ug"), 0.0),
        Dimension("small_mass", "mg", ("mg", "g", "ug"), 0.0),
        Dimension("volume", "mL", ("mL", "L", "uL", "cm3"), 0.0),
        Dimension("pumping_rate", "mL/min", ("mL/min", "mL/h", "uL/min", "uL/h"), 0.0),
        Dimension("length", "mm", ("mm", "cm", "m", "um", "nm"), 0.0),
        Dimension("scan_rate", "mV/s", ("mV/s", "V/s"), 0.0),
        Dimension("frequency", "Hz", ("Hz", "mHz", "kHz", "MHz"), 0.0),
        Dimension("pressure", "bar", ("bar", "mbar", "kPa", "Pa")),
        Dimension("resistance", "ohm", ("ohm",), 0.0),
        Dimension("weight_percent", "wt%", ("wt%",), 0.0),
        Dimension("density", "g/mL", ("g/mL", "mg/mL"), 0.0),
        Dimension("molarity", "mol/L", ("mol/L", "mmol/L"), 0.0),
    )
}
"""Every dimension by name. A bare number belongs to none: it is a count or a ratio, and no quantity."""

_PINT = {
    "degC": "degC", "°C": "degC", "K": "kelvin", "degF": "degF",
    "K/min": "kelvin/minute", "K/h": "kelvin/hour", "K/s": "kelvin/second", "degC/min": "kelvin/minute",
    "degC/h": "kelvin/hour", "°C/min": "kelvin/minute", "°C/h": "kelvin/hour",
    "s": "second", "min": "minute", "h": "hour", "d": "day", "sccm": "sccm", "slm": "slm",
    "ppm": "ppm", "ppb": "ppb", "%": "percent", "wt%": "weight_percent", "rpm": "rpm",
    "V": "volt", "mV": "millivolt", "A": "ampere", "mA": "milliampere", "uA": "microampere",
    "C": "charge_rate", "mA/g": "milliampere/gram", "A/g": "ampere/gram",
    "mAh/g": "milliampere*hour/gram", "Ah/g": "ampere*hour/gram",
    "g": "gram", "kg": "kilogram", "mg": "milligram", "ug": "microgram",
    "mL": "millilitre", "L": "litre", "uL": "microlitre", "cm3": "millilitre",
    "mL/min": "millilitre/minute", "mL/h": "millilitre/hour",
    "uL/min": "microlitre/minute", "uL/h": "microlitre/hour",
    "mm": "millimetre", "cm": "centimetre", "m": "metre", "um": "micrometre", "nm": "nanometre",
    "bar": "bar", "mbar": "millibar", "kPa": "kilopascal", "Pa": "pascal", "ohm": "ohm",
    "mV/s": "millivolt/second", "V/s": "volt/second",
    "Hz": "hertz", "mHz": "millihertz", "kHz": "kilohertz", "MHz": "megahertz",
    "g/mL": "gram/millilitre", "mg/mL": "milligram/millilitre",
    "mol/L": "mole/litre", "mmol/L": "millimole/litre",
}  # fmt: skip
_KEY = {
    "%": "pct", "wt%": "wt_pct", "mAh/g": "mah_per_g", "mA/g": "ma_per_g", "degC": "c", "K/min": "k_per_min",
    "mL": "ml", "V": "v", "A": "a", "mA": "ma", "K": "k", "C": "c_rate",
}  # fmt: skip

UNITS: frozenset[str] = frozenset(_PINT)
"""Every spelling of a unit that labctl knows."""

LONGEST_UNIT = 16
"""Characters; no unit that labctl knows has half as many, so a longer one is none of them misspelt."""
LEAST, MOST = 1e-9, 1e9
"""Between them every quantity of a laboratory in its canonical unit: 30 years in seconds, a microgram (assumed)."""

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(.*)", re.DOTALL)
_FRACTION_OF_C = re.compile(r"C\s*/\s*([0-9]+\.?[0-9]*)")
_NOT_FINITE = re.compile(r"[+-]?\.?(nan|inf|infinity)\b", re.IGNORECASE)


def parse(text: object, dimension: str) -> float:
    """The value of `text` in the canonical unit of `dimension`, rounded to 12 significant digits.

    `60 min` and `1 h` give the same float. A charge rate may also be written `C/10`.
    Raises QuantityError for anything else than one finite number with a unit of that dimension.
    """
    if isinstance(text, str):
        return _parse(text, dimension)
    number = isinstance(text, int | float) and not isinstance(text, bool)
    raise QuantityError(
        f"{text} has no unit" if number else f"{_short(text)} is not a quantity",
        _wanted(DIMENSIONS[dimension]),
    )


@lru_cache(maxsize=4096)
def _parse(text: str, dimension: str) -> float:
    kind = DIMENSIONS[dimension]
    stripped = text.strip()
    if dimension == "rate" and (fraction := _FRACTION_OF_C.fullmatch(stripped)):
        stripped = f"{1 / float(fraction[1])!r} C" if float(fraction[1]) else "inf C"
    match = _NUMBER.fullmatch(stripped)
    if match is None:
        if _NOT_FINITE.match(stripped):
            raise QuantityError(f"{_short(text)} is not a finite number", _wanted(kind))
        raise QuantityError(f"{_short(text)} is not a quantity", _wanted(kind))
    number, unit = float(match[1]), _normal(match[2])
    if not math.isfinite(number):
        raise QuantityError(f"{_short(text)} is not a finite number", _wanted(kind))
    if not unit:
        raise QuantityError(f"{_short(text)} has no unit", _wanted(kind))
    if unit not in kind.units:
        raise _wrong_unit(text, unit, kind)
    value = _convert(number, unit, kind)
    if not math.isfinite(value) or (kind.low is not None and value < kind.low):
        raise QuantityError(f"{_short(text)} is below the lowest possible {_words(kind)}", _wanted(kind))
    if value and not LEAST <= abs(value) <= MOST:
        size = "large" if abs(value) > MOST else "small"
        raise QuantityError(f"{_short(text)} is too {size} for a {_words(kind)}", _wanted(kind))
    return value


def canonical_unit(unit: str) -> str:
    """`unit` as labctl spells it (`°C` is degC, `µL` is uL). Raises QuantityError naming the nearest one."""
    normal = _normal(unit)
    if normal == "°C":
        return "degC"
    if normal in UNITS:
        return normal
    near = _nearest(normal, tuple(sorted(UNITS)))
    raise QuantityError(f"unknown unit {_short(unit)}", f"did you mean {near}?" if near else None)


def dimension_of(*texts: object) -> str | None:
    """The first dimension in which all of `texts` can be read, or None; `5 K` alone is a difference."""
    for name, kind in DIMENSIONS.items():
        if any(isinstance(text, str) and not _may_be(text, kind) for text in texts):
            continue
        try:
            for text in texts:
                parse(text, name)
        except QuantityError:
            continue
        return name
    return None


def _may_be(text: str, kind: Dimension) -> bool:
    """False when the unit alone tells that a text is no such quantity: a refusal with all its hints costs more."""
    match = _NUMBER.fullmatch(text.strip())
    return match is None or _normal(match[2]) in kind.units


def result_key(quantity: str, unit: str) -> str:
    """The name of a result with its unit: `carbon` in wt% is `carbon_wt_pct`."""
    return f"{quantity}_{_KEY.get(unit, unit.lower().replace('/', '_per_'))}"


def _convert(number: float, unit: str, kind: Dimension) -> float:
    source, target = _PINT[unit], _PINT[kind.unit]
    if kind.name == "concentration" and unit == "%":
        source = "amount_percent"
    if source != target:
        number = float(_registry().Quantity(number, source).to(target).magnitude)
    return float(f"{number:.12g}") + 0.0


@cache
def _registry() -> UnitRegistry[float]:
    from pint import UnitRegistry

    with as_file(files("labctl.model").joinpath("units.txt")) as path:
        return UnitRegistry(str(path), cache_folder=None)


def _normal(unit: str) -> str:
    """One spelling for each unit: `cm³` is cm3, both micro signs are u."""
    return unicodedata.normalize("NFKC", unit.strip()).replace("μ", "u")


def _wrong_unit(text: str, unit: str, kind: Dimension) -> QuantityError:
    if unit == "C" and kind.name in ("temperature", "temperature_difference"):
        return QuantityError(f"{_short(text)}: C is a charge rate here", f"write {kind.unit}")
    owners = [_words(d) for d in DIMENSIONS.values() if unit in d.units]
    if owners:
        return QuantityError(f"{_short(text)} is a {owners[0]}, a {_words(kind)} is wanted", _wanted(kind))
    if re.match(r",[0-9]", unit):
        return QuantityError(
            f"{_short(text)} has a decimal comma", f"write {text.strip().replace(',', '.', 1)}"
        )
    near = _nearest(unit, kind.units)
    hint = f"did you mean {near}?" if near else _wanted(kind)
    return QuantityError(f"{_short(text)}: unknown unit {_short(unit)}", hint)


@lru_cache(1024)
def _nearest(unit: str, among: tuple[str, ...]) -> str | None:
    """The unit that is written most alike; a file may hold the same mistake ten thousand times."""
    near = get_close_matches(unit, among, 1, 0.5) if len(unit) <= LONGEST_UNIT else ()
    return near[0] if near else None


def _wanted(kind: Dimension) -> str:
    units = [u for u in kind.units if "°" not in u]
    example = "1C or C/10" if kind.name == "rate" else f"5 {kind.unit}"
    return f"a {_words(kind)} in {' or '.join(units)}, e.g. {example}"


def _words(kind: Dimension) -> str:
    return "charge rate" if kind.name == "rate" else kind.name.replace("_", " ")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 48 else f"{text[:44]}...'"
