"""What the page on instruments says of evidence is what the tests can show."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest

from labctl.bench.discovery import drivers
from tests.docs.evidence import SIDES, TESTS, Evidence, gathered, words
from tests.docs.pages import DOCS

INSTALLED = {each.name.lower().replace("_", "-") for each in distributions()}
APART = (TESTS.parent / "requirements-bench.in").read_text(encoding="utf-8")
PROGRAMS = {"mbpoll"} | set(re.findall(r"^([\w-]+)==", APART, re.M))
"""Not in this environment: of the operating system, or in one apart for its licence. Make targets of their own."""
OURS = {"labctl-synthesis"}


def marked(*sides: str) -> list[Evidence]:
    return [Evidence("a", side, "", "") for side in sides]


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (("client", "simulator", "record"), "independent both sides"),
        (("client", "client"), "independent client only"),
        (("record",), "self-consistent only"),
        ((), "self-consistent only"),
    ],
)
def test_the_phrase_follows_from_who_met_whom(sides: tuple[str, ...], said: str) -> None:
    assert words(marked(*sides)) == said


@pytest.mark.parametrize("each", gathered(), ids=lambda e: f"{e.driver}-{e.side}-{e.by.split()[0]}")
def test_a_mark_names_a_driver_of_ours_and_a_program_of_somebody_elses(each: Evidence) -> None:
    assert each.driver in drivers()
    assert each.side in SIDES
    if each.side != "record":
        program = each.by.split()[0].rstrip(",").lower()
        assert program in (INSTALLED - OURS) | PROGRAMS
        assert _spoken_of(program, TESTS.parent / each.test.partition("::")[0])


def test_a_foreign_simulator_never_stands_alone() -> None:
    for name in drivers():
        sides = {each.side for each in gathered() if each.driver == name}
        assert "simulator" not in sides or "client" in sides, name


def test_every_instrument_has_one_of_the_three_phrases_and_it_is_the_true_one() -> None:
    text = (DOCS / "instruments.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^## (.+?)\n.*?^\| evidence \| ([^|]+?) \|$", text, re.M | re.S))
    shown = {e.title: words([m for m in gathered() if m.driver == e.name]) for e in drivers().values()}
    assert told == shown
    for title, phrase in shown.items():
        assert f"| {title} | {phrase} |" in text


def test_marks_that_pytest_sees_are_the_marks_that_are_gathered(request: pytest.FixtureRequest) -> None:
    seen = {
        (*mark.args, item.nodeid.partition("[")[0])
        for item in request.session.items
        for mark in item.iter_markers("evidence")
    }
    assert seen <= set(gathered())


def _spoken_of(program: str, path: Path) -> bool:
    """Whether the test, or a script beside it that it runs, imports the program or calls it."""
    names = {program.replace("-", "_"), *program.split("-")}
    called = re.compile(rf"(?:import|from) (?:{'|'.join(names)})\b|\"{program}\"")
    return any(called.search(each.read_text(encoding="utf-8")) for each in path.parent.glob("*.py"))
