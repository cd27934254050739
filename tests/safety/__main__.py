"""Whether the safety tests would notice: every declared guard and safe-state item, deleted and inverted one at a time.

    python -m tests.safety

Each mutant lives in a process of its own, forked with everything loaded, and meets the tests that were made from its
declaration, which must pass before. Exits 1 when one survives.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, cast

from labctl.engine import safe
from labctl.engine.guards import GUARDS
from labctl.engine.guards.frame import Guard, Seen
from tests.safety import test_declared as tests
from tests.safety.scenes import declared, items

WORKERS = 2
BECAME = {0: "killed", 1: "SURVIVED", 2: "FAILS UNCHANGED"}
OF_GUARDS = (
    tests.test_a_declared_guard_acts_just_beyond_its_limit_and_in_time,
    tests.test_a_declared_guard_leaves_alone_what_is_just_inside,
)
OF_ITEMS = (
    tests.test_a_declared_item_is_commanded_on_abort_and_confirmed_by_read_back,
    tests.test_an_item_that_is_not_read_back_is_tried_again_and_a_person_is_asked,
)
Change = Callable[[Seen | None], Seen | None]


class Mutant(NamedTuple):
    """One declaration (bench, chamber, name) with one thing wrong, and the tests that were made from it."""

    declaration: tuple[str, str, str]
    how: str
    apply: Callable[[], None]
    tests: tuple[Callable[[str, str, str], None], ...]


def mutants() -> Iterator[Mutant]:
    """Two of every declaration."""
    for declaration in declared():
        name = declaration[-1]
        yield Mutant(declaration, "deleted", partial(_see, name, lambda seen: None), OF_GUARDS)
        inverted: Change = lambda seen: Seen("inverted") if seen is None else None  # noqa: E731
        yield Mutant(declaration, "inverted", partial(_see, name, inverted), OF_GUARDS)
    for declaration in items():
        name = declaration[-1]
        yield Mutant(declaration, "deleted", partial(_delete, name), OF_ITEMS)
        yield Mutant(declaration, "inverted", partial(_invert, name), OF_ITEMS)


def _see(name: str, change: Change) -> None:
    guard = GUARDS[name]
    sees = guard.sees
    table = cast(dict[str, Guard], GUARDS)  # which nobody else may change
    table[name] = guard._replace(sees=lambda *what: change(sees(*what)))


def _delete(name: str) -> None:
    safe.ITEMS[name] = safe.ITEMS[name]._replace(act=lambda *what: None)


def _invert(name: str) -> None:
    proven = safe.ITEMS[name].proven
    safe.ITEMS[name] = safe.ITEMS[name]._replace(proven=lambda *what: not proven(*what))


def _became(mutant: Mutant) -> int:
    """0: its tests pass unchanged and fail with it. 1: it survives them. 2: they fail without it."""
    try:
        for test in mutant.tests:
            test(*mutant.declaration)
    except AssertionError:
        return 2
    mutant.apply()
    try:
        for test in mutant.tests:
            test(*mutant.declaration)
    except AssertionError:
        return 0
    return 1


def main() -> int:
    """Try them all; print each with what became of it."""
    began = time.monotonic()
    waiting = list(mutants())[::-1]
    under_way: dict[int, Mutant] = {}
    became: dict[tuple[str, str], str] = {}
    while waiting or under_way:
        while waiting and len(under_way) < WORKERS:
            mutant = waiting.pop()
            child = os.fork()
            if child == 0:
                code = 3
                try:
                    code = _became(mutant)
                finally:
                    os._exit(code)  # what raises anything else was not tried
            under_way[child] = mutant
        child, status = os.wait()
        mutant = under_way.pop(child)
        code = os.waitstatus_to_exitcode(status)
        became["-".join(mutant.declaration), mutant.how] = BECAME.get(code, "NOT TRIED")
    for (where, how), what in sorted(became.items()):
        print(f"{where:45s} {how:10s} {what}")
    killed = sum(what == "killed" for what in became.values())
    print(
        f"{killed} of {len(became)} mutants of {len(became) // 2} declarations killed in "
        f"{time.monotonic() - began:.0f} s"
    )
    return 0 if killed == len(became) else 1


if __name__ == "__main__":
    sys.exit(main())
