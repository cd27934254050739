"""Resident programs of the EPC3016: up to 25 segments, written and read back; they may cool, never heat.

Address law, held against all 250 rows of the maker's register list: program p (1..10) begins at 8328 + 136 (p - 1);
its segments 1..16 at 8336 + 136 (p - 1) + 8 (n - 1), its segments 17..25 elsewhere, at 9768 + 80 (p - 1) + 8 (n - 17).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from labctl.bench.api import RefusedError
from labctl_drivers.eurotherm.profiles import Item

PROGRAM = 1
"""The program that this driver writes and runs."""
SEGMENTS = 25
END, RAMP_RATE, DWELL = 0, 1, 3
RUNNING = Item("program running", 23, 2, by=(10573, 1))
NUMBER = Item("program number", 22, PROGRAM)
WRITABLE = frozenset((22, 10573, *range(8328, 8464), *range(9768, 9848)))
"""All that running a program ever writes."""
START_TOLERANCE_K = 2.0
"""How far above the process value the first target may lie: two thermocouple readings of one furnace."""


class Segment(NamedTuple):
    """Go to `target_c` (degC) at `rate_k_per_min`, then stay there for `hold_s` (0: go on at once)."""

    target_c: float
    rate_k_per_min: float
    hold_s: float = 0.0


def general_address(program: int) -> int:
    """Where the general block of a program begins, 1..10."""
    return 8328 + 136 * (program - 1)


def segment_address(segment: int, program: int = PROGRAM) -> int:
    """Where a segment's registers begin, 1..25."""
    if not (1 <= segment <= SEGMENTS and 1 <= program <= 10):
        raise ValueError(f"segment {segment} of program {program}: there are 25 of each of 10")
    if segment <= 16:
        return 8336 + 136 * (program - 1) + 8 * (segment - 1)
    return 9768 + 80 * (program - 1) + 8 * (segment - 17)


def cooling(segments: Iterable[Mapping[str, Any]], present_c: float, low_c: float) -> list[Segment]:
    """The segments of a cool-down. Raises RefusedError for anything that could heat, or does not fit."""
    program = [Segment(**{name: float(value) for name, value in s.items()}) for s in segments]
    before_c = present_c + START_TOLERANCE_K
    for number, (target_c, rate, hold_s) in enumerate(program, 1):
        if not low_c <= target_c <= before_c:
            raise RefusedError(
                f"segment {number}: {target_c:g} degC is not within {low_c:g}..{before_c:g} degC;"
                " a resident program may cool, never heat"
            )
        if not (0.0 < rate <= 1000.0 and 0.0 <= hold_s <= 1e6):
            raise RefusedError(f"segment {number}: {rate:g} K/min for {hold_s:g} s cannot be programmed")
        before_c = target_c
    blocks = sum(2 if s.hold_s else 1 for s in program)
    if not 1 <= blocks <= SEGMENTS:
        raise RefusedError(f"the program takes {blocks} segments; 1 to {SEGMENTS} are possible")
    return program


def registers(program: list[Segment]) -> Iterator[Item]:
    """Everything that the program is made to read, in the order in which it is written."""
    general = general_address(PROGRAM)
    for offset, value, what in (
        (0, 0, "no holdback"),
        (2, 1, "ramps per minute"),
        (4, 1, "one cycle"),
        (6, 1, "reset at its end"),
    ):
        yield Item(f"program: {what}", general + offset, value)
    number = 0
    for target_c, rate, hold_s in program:
        number += 1
        at = segment_address(number)
        yield Item(f"segment {number} is a ramp", at, RAMP_RATE)
        yield Item(f"target of segment {number}", at + 1, target_c, "number")
        yield Item(f"rate of segment {number}", at + 2, rate, "number")
        yield from _plain(number, at)
        if hold_s:
            number += 1
            at = segment_address(number)
            yield Item(f"segment {number} is a dwell", at, DWELL)
            yield Item(f"duration of segment {number}", at + 2, hold_s, "time")
            yield from _plain(number, at)
    if number < SEGMENTS:
        yield Item(f"end at segment {number + 1}", segment_address(number + 1), END)


def _plain(number: int, at: int) -> Iterator[Item]:
    yield Item(f"no events in segment {number}", at + 4, 0)
    yield Item(f"no holdback in segment {number}", at + 5, 0)
