"""The made pages say what the code says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from labctl.bench.discovery import drivers
from tests.docs.pages import DOCS, EVIDENCE, PAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_made_page_is_not_stale(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_all_cells_of_the_run_machine_are_told() -> None:
    rows = [line for line in PAGES["states.md"]().splitlines() if line.startswith("| **")]
    assert sum(line.count("|") - 3 for line in rows) == 108


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_for_a_driver_names_a_test_that_exists(name: str) -> None:
    assert name in drivers()
    path, _, test = EVIDENCE[name][1].partition("::")
    defined = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    named = [node.name for node in defined if isinstance(node, ast.FunctionDef)]
    assert test in named if test else any(name.startswith("test_") for name in named)
