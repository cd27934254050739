"""A report opens anywhere, says what it must, and believes nothing it prints."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.analysis import analyse
from labctl.analysis.model import Analysis
from labctl.report import render, write_report
from labctl.report.numbers import duration, formula, quantity
from labctl.store import Reader
from tests.analysis import synthetic


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.make(tmp_path_factory.mktemp("bench") / "labctl.db", scan_s=60.0)


@pytest.fixture(scope="module")
def finished(database: Path) -> Analysis:
    with Reader.open(database) as reader:
        return analyse(reader, synthetic.RUN)


def without_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.S)


def data_of(html: str) -> dict[str, dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert found is not None
    loaded: dict[str, dict[str, Any]] = json.loads(found[1])
    return loaded


def test_a_report_is_one_file_that_fetches_nothing(finished: Analysis) -> None:
    text = without_scripts(render(finished))
    assert "src=" not in text
    assert re.findall(r'<link[^>]*href="([^"]*)"', text) == ["data:,"]
    assert re.findall(r'href="(http[^"]*)"', text) == ["https://doi.org/10.1002/advs.202004943"]


def test_a_simulated_run_says_so_first_and_disclaims_agreement(finished: Analysis) -> None:
    text = without_scripts(render(finished))
    assert text.index("Simulated</strong>") < text.index("<h1>")
    assert "agreement with the paper is by construction" in text
    assert "seed 7" in text
    assert "<title>SIMULATED" in render(finished)
    real = without_scripts(render(replace(finished, simulated=False)))
    assert "imulated</strong>" not in real


def test_the_report_carries_verdict_parameters_entries_alarms_and_proof(finished: Analysis) -> None:
    text = without_scripts(render(finished))
    for expected in (
        "mean temperature of hold", "capacity of the first discharge", "pyrolysis_hold", "assumed",
        "wet_mass", "simulated operator", "tube: nitrogen 118 sccm",
        finished.journal_head, finished.plan.plan_hash,
        "Na<sub>3</sub>V<sub>2</sub>(PO<sub>4</sub>)<sub>3</sub>@C",
    ):  # fmt: skip
        assert expected in text


def test_charts_are_thinned_out_and_keep_every_excursion(finished: Analysis) -> None:
    panels = data_of(render(finished))["process"]["panels"]
    for panel in ("temperature", "flow", "oxygen"):
        assert all(len(line["x"]) == len(line["y"]) <= 2000 for line in panels[panel])
    names = [line["name"] for line in panels["temperature"]]
    assert {"furnace", "oven", "furnace-monitor", "furnace, planned"} <= set(names)
    assert names[-1] == "furnace"


def test_an_excursion_of_one_scan_is_in_the_series(database: Path) -> None:
    with Reader.open(database) as reader:
        analysis = analyse(reader, synthetic.RUN)
    flow = next(s for s in analysis.series if s.signal == "flow")
    purge = next(s for s in analysis.steps if s.id == "preheat")
    assert purge.start_s is not None
    assert max(flow.value[flow.t_s < purge.start_s]) > 490


def test_an_aborted_run_never_reads_as_complete(tmp_path: Path) -> None:
    path = synthetic.make(tmp_path / "labctl.db", scan_s=120.0, abort_at="pyrolyse", seed=None)
    with Reader.open(path) as reader:
        aborted = analyse(reader, synthetic.RUN)
        text = without_scripts(render(aborted))
    assert aborted.verdict.outcome == "incomplete"
    assert "COMPLETE" not in text
    assert "ABORTED" in text
    assert "furnace 842.0 degC, limit 830.0 degC" in text
    assert "nominal" in text
    assert not {"carbon_wt_pct", "discharge_capacity_mah_per_g"} & set(aborted.results)


def test_an_aborted_run_shows_how_it_was_made_safe_and_cooled(tmp_path: Path) -> None:
    path = synthetic.make(tmp_path / "labctl.db", scan_s=120.0, abort_at="pyrolyse")
    with Reader.open(path) as reader:
        html = render(analyse(reader, synthetic.RUN))
    text, process = without_scripts(html), data_of(html)["process"]
    assert "hot and under gas; watched until it is cold" in text
    assert "not reached" in text
    assert "cut at" in text
    assert process["until"] > max(step["to"] for step in process["steps"]) + 8
    assert process["unit"] == "hours"


def test_short_runs_are_told_in_minutes(finished: Analysis) -> None:
    short = replace(finished, duration_s=3000.0, watched_s=3000.0)
    assert data_of(render(short))["process"]["unit"] == "minutes"


def test_nothing_from_the_record_becomes_markup(finished: Analysis) -> None:
    evil = "<img src=x onerror=alert(1)></script><script>"
    plan = finished.plan.model_copy(update={"title": evil, "product": None})
    steps = tuple(replace(step, id=evil) for step in finished.steps)
    remarks = tuple(replace(remark, text=evil) for remark in finished.remarks)
    html = render(replace(finished, plan=plan, reason=evil, steps=steps, remarks=remarks))
    assert "<img" not in without_scripts(html)
    assert html.count("</script>") == 3


def test_a_report_is_written_with_all_that_draws_it(database: Path, tmp_path: Path) -> None:
    with Reader.open(database) as reader:
        written = write_report(reader, synthetic.RUN, tmp_path / "report.html")
    assert written.stat().st_size > 4_000_000
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.2, "4.2 s"), (90, "1 min 30 s"), (2106, "35 min 6 s"), (86_460, "24 h 1 min"), (-7200, "−2 h")],
)  # fmt: skip
def test_durations_are_told_in_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_quantities_have_units_and_no_false_precision() -> None:
    assert quantity(799.97, "degC") == "800.0 °C"
    assert quantity(2.7123, "wt%") == "2.71 wt %"
    assert quantity(3.0, "1") == "3"
    assert quantity(None, "L") == "–"
    assert formula("Na3V2(PO4)3") == "Na<sub>3</sub>V<sub>2</sub>(PO<sub>4</sub>)<sub>3</sub>"
