"""The page of a plan opens from a file, without a network, without a complaint, and draws every step."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.report.gantt import render
from tests.browser.test_report import opened
from tests.report.test_gantt import SCHEDULE

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1400, 500])
def test_it_opens_and_draws_its_bars_calls_and_curves(tmp_path: Path, width: int) -> None:
    page = tmp_path / "plan.html"
    page.write_text(render(SCHEDULE), encoding="utf-8")
    document, console = opened(page, f"--window-size={width},900")
    assert console == []
    assert document.count('<g class="point"') >= len(SCHEDULE.bars)
    assert document.count("js-line") >= len(SCHEDULE.curves)
    assert "Mon 5 Jan" in document
    assert all(f">{bar.id}<" in document for bar in SCHEDULE.bars)
