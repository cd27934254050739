"""What speaks for each driver, gathered from the tests themselves.

A test in which a program of somebody else's meets a simulator or a driver of ours says so in a mark:

    @pytest.mark.evidence("binder", "client", "pymodbus reads and writes the simulator over TCP")

side: "client" is a foreign client at our simulator, "simulator" a foreign one at our driver, "record" bytes of a
real instrument that others published. The marks are all there is: no table elsewhere claims evidence.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]

BOTH_SIDES, CLIENT_ONLY, SELF_CONSISTENT = (
    "independent both sides",
    "independent client only",
    "self-consistent only",
)
SIDES = ("client", "simulator", "record")


class Evidence(NamedTuple):
    """One test that speaks for a driver. test: path within the repository, and name."""

    driver: str
    side: str
    by: str
    test: str


@cache
def gathered() -> tuple[Evidence, ...]:
    """All marks of all tests, in the order of files and lines. Raises ValueError for one that is not literal."""
    return tuple(mark for path in sorted(TESTS.rglob("test_*.py")) for mark in _marks(path))


def words(found: Sequence[Evidence]) -> str:
    """How far evidence reaches, in one of three phrases."""
    sides = {each.side for each in found}
    if "client" not in sides:
        return SELF_CONSISTENT
    return BOTH_SIDES if "simulator" in sides else CLIENT_ONLY


def _marks(path: Path) -> Iterator[Evidence]:
    place = path.relative_to(TESTS.parent)
    for test in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            for mark in test.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.evidence":
                    driver, side, by = (str(ast.literal_eval(argument)) for argument in mark.args)
                    yield Evidence(driver, side, by, f"{place}::{test.name}")
