"""What the README and the pages under docs/ name is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.cli.parser import EXIT_CODES, build

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def commands() -> Iterator[list[str]]:
    """Every call of labctl in a code block, without its comment."""
    for block in re.findall(r"```\n(.*?)```", README, re.S):
        for line in block.splitlines():
            if line.startswith("labctl "):
                yield shlex.split(line.partition(" #")[0])[1:]


def test_the_table_of_targets_is_the_makefile() -> None:
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", README, re.M)) == TARGETS - {"help"}


def test_every_make_target_that_is_named_exists() -> None:
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M))
        assert {a or b for a, b in named} <= TARGETS, page.name


def test_every_call_that_is_shown_is_understood() -> None:
    parser, called = build(), list(commands())
    assert len(called) >= 10
    for words in called:
        assert parser.parse_args(words).handler, words


def test_exit_codes_are_those_of_the_help() -> None:
    told = dict(re.findall(r"^\| (\d+) \| (.+) \|$", README, re.M))
    helped = dict(re.findall(r"(\d+) +((?:\S+ )*\S+)", EXIT_CODES))
    assert told == helped


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_in_the_text_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:labctl|drivers|simulators|tests|protocols|docs)/[\w./-]+)", page.read_text("utf-8")
    )
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_picture_is_small_enough_to_load() -> None:
    assert (ROOT / "docs/images/report.png").stat().st_size < 400_000
