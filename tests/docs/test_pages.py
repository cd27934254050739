"""The made pages say what the code says."""

from __future__ import annotations

import pytest

from tests.docs.pages import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_made_page_is_not_stale(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_all_cells_of_the_run_machine_are_told() -> None:
    rows = [line for line in PAGES["states.md"]().splitlines() if line.startswith("| **")]
    assert sum(line.count("|") - 3 for line in rows) == 108
