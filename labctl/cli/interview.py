"""Who answers the questions of commissioning: a person at the terminal, or a file that a person has filled in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field
from pydantic import ValidationError as SchemaError

from labctl.bench.schema import Model
from labctl.cli.terminal import say
from labctl.errors import UsageError, ValidationError
from labctl.model.quantity import QuantityError, parse
from labctl.protocol.diagnosis import findings_of
from labctl.protocol.source import read

TEMPLATE = """\
# Commissioning of {name} ({title}), serial number {serial}. true: it is so; false: it is not.
plate: false    # the serial number on its plate is {serial}
items:          # compare each with its panel and its manual
{items}
trials:         # cold trip tests, nothing heated; true: it was done, and seen as it should be
{trials}
{cooldown}note: ""
"""


class Answers(Model):
    """A file of answers: `labctl commission INSTRUMENT --questions` prints one to fill in.

    plate: the serial number is that of its plate. items: `all`, or each unverified item by its text. trials: each cold
    trip test by its name. cooldown: measured, a time as in `15 min`.
    """

    plate: bool | None = None
    items: Literal["all"] | dict[str, bool] = Field(default_factory=dict)
    trials: dict[str, bool] = Field(default_factory=dict)
    cooldown: str | None = None
    note: str = ""


def read_answers(path: Path) -> Answers:
    """The answers in a file. Raises ValidationError at the place of what is wrong."""
    document = read(path.read_bytes(), str(path))
    try:
        return Answers.model_validate(document.data or {})
    except SchemaError as error:
        raise ValidationError(findings_of(error, document, Answers)) from error


class Interview(Protocol):
    """Questions to a person."""

    watched: bool
    """Whether labctl looks at the instrument while the person trips it."""

    def plate(self, serial_number: str) -> bool:
        """Whether the instrument with this serial number on its plate is the one that answers."""

    def item(self, text: str, shown: str) -> bool:
        """Whether an unverified item is so; `shown`: what the instrument shows of it now."""

    def act(self, do: str) -> None:
        """Have something done; comes back when the person says that it is."""

    def trial(self, name: str) -> bool:
        """Whether a cold trip test went as it should."""

    def cooldown_s(self, planned_s: float, from_c: float) -> float:
        """The measured time from `from_c` (degC) to T_gas_off, in s. `planned_s`: what the bench file says."""

    def note(self) -> str:
        """Whatever else belongs into the record."""


class AtTerminal:
    """Asks on stderr, and reads lines of stdin."""

    watched = True

    def plate(self, serial_number: str) -> bool:
        """See Interview."""
        return _agreed(f"Is {serial_number} the serial number on its plate?")

    def item(self, text: str, shown: str) -> bool:
        """See Interview."""
        say(f"\n  {text}")
        if shown:
            say(f"  now: {shown}")
        return _agreed("Compared with its panel and manual: is it so?")

    def act(self, do: str) -> None:
        """See Interview."""
        _line(f"  {do[0].upper()}{do[1:]}, then press Enter. ")

    def trial(self, name: str) -> bool:
        """See Interview."""
        return _agreed("Is that what was done, and what its panel showed?")

    def cooldown_s(self, planned_s: float, from_c: float) -> float:
        """See Interview."""
        say(f"\nThe bench file says that it cools from {from_c:g} degC to 100 degC in {planned_s:g} s.")
        while True:
            try:
                return parse(_line("  Measured, as in '15 min': "), "time")
            except QuantityError as error:
                say(f"  {error}")

    def note(self) -> str:
        """See Interview."""
        return ""


class FromFile:
    """Answers that a person has filled in. Raises UsageError for a question that has none."""

    watched = False

    def __init__(self, answers: Answers, where: str) -> None:
        self._answers = answers
        self._where = where

    def plate(self, serial_number: str) -> bool:
        """See Interview."""
        return self._given(self._answers.plate, "plate")

    def item(self, text: str, shown: str) -> bool:
        """See Interview."""
        items = self._answers.items
        return True if items == "all" else self._given(items.get(text), f"items: {text}")

    def act(self, do: str) -> None:
        """See Interview; it was done before."""

    def trial(self, name: str) -> bool:
        """See Interview."""
        return self._given(self._answers.trials.get(name), f"trials: {name}")

    def cooldown_s(self, planned_s: float, from_c: float) -> float:
        """See Interview."""
        if self._answers.cooldown is None:
            raise UsageError(f"{self._where}: cooldown has no answer; or give --cooldown or --cooldown-from")
        try:
            return parse(self._answers.cooldown, "time")
        except QuantityError as error:
            raise UsageError(f"{self._where}: cooldown: {error}") from error

    def note(self) -> str:
        """See Interview."""
        return self._answers.note

    def _given(self, answer: bool | None, what: str) -> bool:
        if answer is None:
            raise UsageError(f"{self._where}: {what} has no answer; nothing was recorded")
        return answer


def chosen(answers: Path | None) -> Interview:
    """The file of answers, or the terminal. Raises UsageError when there is neither."""
    if answers is not None:
        return FromFile(read_answers(answers), str(answers))
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is at this terminal; give --answers FILE (--questions prints one to fill in)"
        )
    return AtTerminal()


def _agreed(question: str) -> bool:
    return _line(f"  {question} [y/N] ").strip().lower() in ("y", "yes")


def _line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise UsageError("the terminal has gone; nothing was recorded")
    return line.strip()
