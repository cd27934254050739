"""How words on the command line become values. Raises argparse's own error, so that the usage is shown."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

DATABASE = b"SQLite format 3\0"
"""How every SQLite file begins (its file format, section 1.3)."""


def path(text: str) -> Path:
    """A path, of whatever is there or not yet there."""
    # Here, since --help needs no path and the import is a tenth of its time.
    from pathlib import Path

    if not text:
        raise ArgumentTypeError("a name is wanted, not an empty one")
    return Path(text)


def file(text: str) -> Path:
    """A file to write, that may not exist yet; its folder may not either. A database is never overwritten."""
    place = path(text)
    if place.is_dir():
        raise ArgumentTypeError(f"{text} is a folder; name a file")
    above = next(parent for parent in place.absolute().parents if parent.exists())
    if not above.is_dir():
        raise ArgumentTypeError(f"{text} cannot be a file: {above} is no folder")
    if place.is_file():
        with place.open("rb") as there:
            if there.read(len(DATABASE)) == DATABASE:
                raise ArgumentTypeError(f"{text} is a database; it is never overwritten")
    return place


def existing_file(text: str) -> Path:
    """A file that exists."""
    place = path(text)
    if not place.is_file():
        raise ArgumentTypeError(f"{text} is a folder" if place.is_dir() else f"there is no file {text}")
    return place


def duration(text: str) -> float:
    """Seconds: a plain number, or a quantity as in `2 h`."""
    from labctl.model.quantity import QuantityError, parse

    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else parse(text, "time")
    except QuantityError as error:
        raise ArgumentTypeError(str(error)) from None
    return seconds


def celsius(text: str) -> float:
    """A temperature in degC: a quantity as in `40 degC`."""
    from labctl.model.quantity import QuantityError, parse

    try:
        return parse(text, "temperature")
    except QuantityError as error:
        raise ArgumentTypeError(str(error)) from None


def moment(text: str) -> datetime:
    """A time by the clock on the wall, as in `2026-01-05 09:00`; with an offset it becomes that of this machine."""
    from datetime import datetime

    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time; write it as in '2026-01-05 09:00'") from None
    if not 2000 <= when.year < 2200:
        raise ArgumentTypeError(f"{text!r} is not of this age")
    return when.astimezone().replace(tzinfo=None) if when.tzinfo else when


def folder(text: str) -> Path:
    """A folder that may not exist yet."""
    place = path(text)
    if place.exists() and not place.is_dir():
        raise ArgumentTypeError(f"{text} is not a folder")
    return place


def bench_folder(text: str) -> Path:
    """A folder that exists."""
    place = path(text)
    if not place.is_dir():
        raise ArgumentTypeError(f"there is no folder {text}")
    return place


def named_value(text: str) -> tuple[str, str]:
    """`name=value` as its two halves; the value keeps its unit, and may contain `=`."""
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE, for example pyrolysis_hold='6 h'")
    return name.strip(), value.strip()


def reading(text: str) -> tuple[str, str]:
    """`reagent=mass` as its two halves; the mass keeps its unit."""
    try:
        return named_value(text)
    except ArgumentTypeError:
        raise ArgumentTypeError(f"{text!r} is not REAGENT=MASS, for example V2O5='0.4012 g'") from None


def reading_of(text: str) -> tuple[str, str]:
    """`quantity=value` as its two halves."""
    try:
        return named_value(text)
    except ArgumentTypeError:
        raise ArgumentTypeError(f"{text!r} is not QUANTITY=VALUE, for example carbon='2.7 wt%'") from None


def mass(text: str) -> float:
    """Grams, of a quantity as in `500 mg`."""
    from labctl.model.quantity import QuantityError, parse

    try:
        grams = parse(text, "mass")
    except QuantityError as error:
        raise ArgumentTypeError(str(error)) from None
    if not grams:
        raise ArgumentTypeError(f"{text} of a product is nothing to make")
    return grams


def once(named: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Values by name. Raises UsageError when a name comes twice: which one was meant is not ours to guess."""
    from labctl.errors import UsageError

    values = dict(named)
    if len(values) < len(named):
        names = [name for name, _ in named]
        raise UsageError(f"{next(n for n in names if names.count(n) > 1)} is given twice; give it once")
    return values


def count(text: str) -> int:
    """A whole number above zero."""
    if not (text.isdecimal() and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def positive_number(text: str) -> float:
    """A finite number above zero."""
    try:
        number = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None
    if not (isfinite(number) and number > 0):
        raise ArgumentTypeError(f"{text} is not above zero")
    return number
