"""From a schedule that violates something to a smaller one that violates the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Fault = Mapping[str, Any]

TRIES = 24
"""Trials that one minimising may take (a minute or two of a slow core)."""


def minimised(
    faults: Sequence[Fault], violates: Callable[[Sequence[Fault]], bool], tries: int = TRIES
) -> list[Fault]:
    """A schedule from which no single fault can be left out, or as far as `tries` trials went.

    `violates` says whether a schedule still breaks what the whole one broke. Halves are tried first, single faults
    then, so that what has nothing to do with it goes early.
    """
    kept = list(faults)
    size = max(1, len(kept) // 2)
    while tries > 0 and kept:
        smaller = None
        for first in range(0, len(kept), size):
            if tries == 0:
                break
            without = [*kept[:first], *kept[first + size :]]
            tries -= 1
            if violates(without):
                smaller = without
                break
        if smaller is not None:
            kept = smaller
            size = min(size, max(1, len(kept)))
        elif size == 1:
            break
        else:
            size = max(1, size // 2)
    return kept
