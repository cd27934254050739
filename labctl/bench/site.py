"""What a site says of itself around its bench: when people are there, and what power and gas cost."""

from __future__ import annotations

import re
from dataclasses import dataclass

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

ASSUMED_HOURS = "Mon-Fri 08:00-18:00"
"""When somebody is there, where a bench does not say (assumed)."""

ELECTRICITY = "electricity"

GASES = {"nitrogen": "N2", "argon": "Ar", "helium": "He"}
"""Names of gases in prices, and what supplies call them."""

_PER = {"kWh": (ELECTRICITY, 1.0), "MWh": (ELECTRICITY, 1000.0), "L": ("gas", 1.0), "m3": ("gas", 1000.0)}
"""Units of a price: of what, and how many kWh or normal litres they are."""

_PRICE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s+([A-Z]{3})/(\w+)")
_SHIFT = re.compile(r"(\w{3})(?:-(\w{3}))?\s+([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Shift:
    """Days of the week (0 is Monday), from and to in minutes after midnight."""

    days: tuple[int, ...]
    from_min: int
    to_min: int


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When somebody is there, by the clock on the wall. `text`: as it was written.

    Usage:
        WorkingHours.parse("Mon-Thu 08:00-18:00, Fri 08:00-14:00").staffed(0, 9 * 60)
    """

    text: str
    shifts: tuple[Shift, ...]

    @classmethod
    def parse(cls, text: str) -> WorkingHours:
        """Days and hours as in `Mon-Thu 08:00-18:00, Fri 08:00-14:00`. Raises ValueError for anything else."""
        return cls(text, tuple(_shift(part.strip()) for part in text.split(",")))

    def staffed(self, weekday: int, minute: int) -> bool:
        """Somebody is there on a weekday (0 is Monday) at a minute after midnight; the last one counts too."""
        return any(weekday in s.days and s.from_min <= minute <= s.to_min for s in self.shifts)


def _shift(text: str) -> Shift:
    found = _SHIFT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} are no hours; write them as in Mon-Fri 08:00-18:00")
    first, last = found[1], found[2] or found[1]
    for day in (first, last):
        if day not in DAYS:
            raise ValueError(f"{day!r} is no day: {', '.join(DAYS)}")
    start, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
    if not (start < end <= 24 * 60 and int(found[4]) < 60 and int(found[6]) < 60):
        raise ValueError(f"{text!r}: hours go from earlier to later, within one day")
    span = (DAYS.index(last) - DAYS.index(first)) % 7
    return Shift(tuple((DAYS.index(first) + n) % 7 for n in range(span + 1)), start, end)


@dataclass(frozen=True, slots=True)
class Price:
    """What one kWh or one normal litre costs, in a currency by its code (ISO 4217)."""

    each: float
    currency: str

    @classmethod
    def parse(cls, text: str, of: str) -> Price:
        """A price as in `0.30 EUR/kWh` or `12 EUR/m3`, of electricity or of a gas.

        Raises ValueError saying what is wrong with it.
        """
        found = _PRICE.fullmatch(text.strip())
        kind = ELECTRICITY if of == ELECTRICITY else "gas"
        units = [unit for unit, (what, _) in _PER.items() if what == kind]
        if found is None or found[3] not in units:
            example = "0.30 EUR/kWh" if of == ELECTRICITY else "12 EUR/m3"
            raise ValueError(
                f"{text!r} is no price of {of}; write it per {' or '.join(units)}, as in {example}"
            )
        return cls(float(found[1]) / _PER[found[3]][1], found[2])


def read_prices(written: dict[str, str]) -> dict[str, Price]:
    """Prices by `electricity` or by a gas as supplies call it.

    Raises ValueError for what has no price here, and for a second currency: sums would mean nothing.
    """
    known = {ELECTRICITY: ELECTRICITY, **GASES, **{gas: gas for gas in GASES.values()}}
    parsed: dict[str, Price] = {}
    for name, text in written.items():
        if name not in known:
            raise ValueError(f"{name!r} has no price here; there are {', '.join(known)}")
        if known[name] in parsed:
            raise ValueError(f"{name!r} has two prices")
        parsed[known[name]] = Price.parse(text, known[name])
    currencies = sorted({price.currency for price in parsed.values()})
    if len(currencies) > 1:
        raise ValueError(f"prices are in one currency, not in {' and '.join(currencies)}")
    return parsed
