"""How words on the command line become values. Raises argparse's own error, so that the usage is shown."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def file(text: str) -> Path:
    """A file that may not exist yet."""
    # Here, since --help needs no path and the import is a tenth of its time.
    from pathlib import Path

    return Path(text)


def existing_file(text: str) -> Path:
    """A file that exists."""
    path = file(text)
    if not path.is_file():
        raise ArgumentTypeError(f"there is no file {text}")
    return path


def duration(text: str) -> float:
    """Seconds: a plain number, or a quantity as in `2 h`."""
    from labctl.model.quantity import QuantityError, parse

    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else parse(text, "time")
    except QuantityError as error:
        raise ArgumentTypeError(str(error)) from None
    return seconds


def folder(text: str) -> Path:
    """A folder that may not exist yet."""
    path = file(text)
    if path.exists() and not path.is_dir():
        raise ArgumentTypeError(f"{text} is not a folder")
    return path


def bench_folder(text: str) -> Path:
    """A folder that exists."""
    path = file(text)
    if not path.is_dir():
        raise ArgumentTypeError(f"there is no folder {text}")
    return path


def named_value(text: str) -> tuple[str, str]:
    """`name=value` as its two halves; the value keeps its unit, and may contain `=`."""
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE, for example pyrolysis_hold='6 h'")
    return name.strip(), value.strip()


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
