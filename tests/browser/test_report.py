"""A report opens from a file, without a network, without a complaint, and draws its charts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from labctl.report import write_report
from labctl.store import Reader
from tests.analysis import synthetic

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=5000",
    "--proxy-server=127.0.0.1:9",  # whatever is fetched fails, and says so on the console
)  # fmt: skip

PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const box = document.querySelector(".simulated").getBoundingClientRect();
  const told = {
    banner: [box.top, box.width, box.height], seen: innerHeight, wide: innerWidth,
    content: document.documentElement.scrollWidth, fetched: performance.getEntriesByType("resource").length,
    lines: [...document.querySelectorAll(".chart")].map((c) => c.querySelectorAll("path.js-line").length),
  };
  const shown = Object.assign(document.createElement("pre"), {id: "told", textContent: JSON.stringify(told)});
  document.body.appendChild(shown);
}, 500))</script>"""


@pytest.fixture(scope="module", params=[None, "pyrolyse"], ids=["complete", "aborted"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    path = synthetic.make(folder / "labctl.db", scan_s=60.0, abort_at=request.param)
    with Reader.open(path) as reader:
        return write_report(reader, synthetic.RUN, folder / "report.html")


def opened(page: Path, *flags: str) -> tuple[str, list[str]]:
    """The page's document after its scripts ran, and what the console said."""
    name = next(filter(None, map(shutil.which, NAMES)), None)
    assert name is not None, f"none of {', '.join(NAMES)} is on the path"
    profile = page.parent / "profile"
    done = subprocess.run(
        [name, *FLAGS, *flags, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def told(report: Path, width: int) -> dict[str, Any]:
    """What a probe at the end of the page measured in a window of this width."""
    probed = report.with_name("probed.html")
    probed.write_text(
        report.read_text(encoding="utf-8").replace("</body>", f"{PROBE}</body>"), encoding="utf-8"
    )
    document, _ = opened(probed, f"--window-size={width},900")
    found = re.search(r'<pre id="told">(.*?)</pre>', document)
    assert found is not None
    measured: dict[str, Any] = json.loads(unescape(found[1]))
    return measured


def test_it_opens_from_a_file_without_a_word_on_the_console(report: Path) -> None:
    document, console = opened(report)
    assert console == []
    assert document.count('class="main-svg"') >= 2


@pytest.mark.parametrize("width", [1400, 500])
def test_charts_are_drawn_the_banner_is_in_sight_and_nothing_is_fetched(report: Path, width: int) -> None:
    page = told(report, width)
    top, banner_width, height = page["banner"]
    assert 0 <= top < page["seen"]
    assert banner_width > page["wide"] / 2
    assert height > 20
    assert page["fetched"] == 0
    assert all(lines > 0 for lines in page["lines"])
    assert page["lines"][0] >= 6
    assert page["content"] <= page["wide"]
