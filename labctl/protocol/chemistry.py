"""Chemical formulae: read from text, counted atom by atom, and weighed.

`Na3V2(PO4)3`, `H2C2O4·2H2O` (or `*`), `K4[Fe(CN)6]`, `Na₃V₂(PO₄)₃`. Counts are whole numbers. A full stop is
refused: it could be a hydrate (`CuSO4.5H2O`) or a decimal, and the two differ by a lot of matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files
from math import hypot, sqrt
from typing import NamedTuple

from labctl.errors import LabctlError

__all__ = ["Formula", "FormulaError", "MolarMass", "atomic_weights", "formula", "molar_mass"]

MAX_LENGTH = 200
"""Characters of a formula; what is longer is no formula of this laboratory (assumed)."""
MAX_ATOMS = 1_000_000
"""Atoms in a formula; a polymer of 25 kg/mol has about 4,000 (assumed)."""

_DOT = re.compile(r"[·*•⋅∙]")
_PART = re.compile(r"([0-9]*)(.+)", re.DOTALL)
_TOKEN = re.compile(
    r"(?P<element>[A-Z][a-z]?)(?P<count>[0-9]*)|(?P<open>[(\[])|(?P<close>[)\]])(?P<times>[0-9]*)"
)
_CLOSES = {"(": ")", "[": "]"}


class FormulaError(LabctlError):
    """A text is no chemical formula, or one of an element without a standard atomic weight."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as written, and how many atoms of each element it counts; equal when the counts are."""

    text: str = field(compare=False)
    atoms: Mapping[str, int] = field(hash=False)

    def __str__(self) -> str:
        """As it was written."""
        return self.text

    @property
    def hill(self) -> str:
        """In Hill's order: carbon, hydrogen, then by the alphabet; without carbon all by the alphabet."""
        first = [e for e in ("C", "H") if "C" in self.atoms and e in self.atoms]
        order = first + sorted(set(self.atoms) - set(first))
        return "".join(f"{e}{self.atoms[e] if self.atoms[e] > 1 else ''}" for e in order)


class MolarMass(NamedTuple):
    """Mass of a mole and its standard uncertainty, both in g/mol."""

    g_per_mol: float
    u_g_per_mol: float


@cache
def atomic_weights() -> Mapping[str, tuple[float, float]]:
    """Standard atomic weight and published uncertainty of every element that has one (`atomic_weights.txt`)."""
    text = files("labctl.protocol").joinpath("atomic_weights.txt").read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {element: (float(value), float(uncertainty)) for element, value, uncertainty in rows}


def molar_mass(of: Formula) -> MolarMass:
    """The sum of atomic weights, and its standard uncertainty.

    Published uncertainties are half-widths of rectangles: U/sqrt(3) each, added in quadrature
    (derived as in IUPAC technical report doi:10.1515/pac-2017-1002).
    """
    weights = atomic_weights()
    return MolarMass(
        sum(n * weights[e][0] for e, n in of.atoms.items()),
        hypot(*(n * weights[e][1] / sqrt(3) for e, n in of.atoms.items())),
    )


@lru_cache(1024)
def formula(text: str) -> Formula:
    """The formula in `text`. Raises FormulaError, which says what stands in the way."""
    written = unicodedata.normalize("NFKC", text).strip()
    if not written or len(written) > MAX_LENGTH:
        raise FormulaError(
            "a formula is wanted, for example Na3V2(PO4)3" if not written else "too long a formula"
        )
    atoms: Counter[str] = Counter()
    for part in _DOT.split(written):
        match = _PART.fullmatch(part)
        if match is None:
            raise FormulaError(f"{written!r}: nothing stands beside the dot")
        times = _count(match[1], written)
        atoms.update({element: n * times for element, n in _part(match[2], written).items()})
    if atoms.total() > MAX_ATOMS:
        raise FormulaError(f"{written!r} has more than {MAX_ATOMS:,} atoms")
    return Formula(written, dict(sorted(atoms.items())))


def _part(body: str, written: str) -> Counter[str]:
    """The atoms of what stands between two dots, by a stack of open brackets."""
    groups: list[Counter[str]] = [Counter()]
    brackets: list[str] = []
    at = 0
    while at < len(body):
        token = _TOKEN.match(body, at)
        if token is None:
            raise FormulaError(f"{written!r}: {_obstacle(body[at])}")
        at = token.end()
        if token["element"]:
            groups[-1][_element(token["element"], written)] += _count(token["count"], written)
        elif token["open"]:
            brackets.append(token["open"])
            groups.append(Counter())
        else:
            if not brackets or _CLOSES[brackets.pop()] != token["close"]:
                raise FormulaError(f"{written!r}: {token['close']} closes nothing")
            inside, times = groups.pop(), _count(token["times"], written)
            if not inside:
                raise FormulaError(f"{written!r}: nothing stands in the brackets")
            groups[-1].update({element: n * times for element, n in inside.items()})
    if brackets:
        raise FormulaError(f"{written!r}: {brackets[-1]} is never closed")
    return groups[0]


def _count(digits: str, written: str) -> int:
    if not digits:
        return 1
    if digits.startswith("0") or len(digits) > len(str(MAX_ATOMS)):
        raise FormulaError(f"{written!r}: {digits[:12]} is no count of atoms")
    return int(digits)


def _element(symbol: str, written: str) -> str:
    if symbol in atomic_weights():
        return symbol
    near = _nearest(symbol)
    hint = f" (did you mean {near}?)" if near else ""
    raise FormulaError(f"{written!r}: {symbol} is no element with a standard atomic weight{hint}")


@cache
def _nearest(symbol: str) -> str | None:
    """The element that is written most alike: a name that is no formula is met again in every rule."""
    near = get_close_matches(symbol, atomic_weights(), 1, 0.5)
    return near[0] if near else None


def _obstacle(character: str) -> str:
    if character == ".":
        return "a full stop may be a hydrate or a decimal; write H2C2O4·2H2O or H2C2O4*2H2O"
    if character.islower():
        return f"an element begins with a capital letter, not with {character!r}"
    return f"{character!r} has no place in a formula"
