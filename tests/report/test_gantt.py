"""The page of a plan opens anywhere, draws every step, and believes nothing it prints."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from labctl.bench.site import WorkingHours
from labctl.report.gantt import Bar, Call, Schedule, render, unstaffed

MONDAY = datetime(2026, 1, 5, 9)
HOURS = WorkingHours.parse("Mon-Fri 08:00-18:00")


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


SCHEDULE = Schedule(
    title="Na3V2(PO4)3 & more",
    protocol="p",
    formula="Na3V2(PO4)3",
    bench="lab",
    plan_hash="abc",
    start=MONDAY,
    end=at(30),
    hours=HOURS,
    bars=(Bar("mix", "stir", at(0), at(1), ""), Bar("bake", "heat", at(1), at(30), "800 °C, hold 6 h")),
    calls=(Call(at(0), "Start the run", True), Call(at(12), "Look", False)),
    curves={
        "oven": ((at(1), 22.0), (at(2), 100.0)),
        "furnace": ((at(1), 22.0), (at(9), 800.0), (at(10), None)),
    },
    facts=(("energy", "3 kWh up to 800 degC"),),
)


def without_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.S)


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_the_page_is_one_file_that_fetches_nothing() -> None:
    text = without_scripts(render(SCHEDULE))
    assert "src=" not in text
    assert re.findall(r'href="([^"]*)"', text) == ["data:,"]
    assert "Na<sub>3</sub>V<sub>2</sub>(PO<sub>4</sub>)<sub>3</sub> &amp; more" in text
    assert "800 °C" in text


def test_every_step_is_a_bar_and_every_call_stands_on_one() -> None:
    data = data_of(render(SCHEDULE))
    assert [(b["id"], b["from"], b["to"]) for b in data["bars"]] == [
        ("mix", "2026-01-05 09:00:00", "2026-01-05 10:00:00"),
        ("bake", "2026-01-05 10:00:00", "2026-01-06 15:00:00"),
    ]
    assert [(c["step"], c["staffed"]) for c in data["calls"]] == [("mix", True), ("bake", False)]
    assert [(c["name"], c["look"]) for c in data["curves"]] == [("furnace", "furnace"), ("oven", "oven")]
    assert data["curves"][0]["y"] == [22.0, 800.0, None]


def test_the_hours_in_which_nobody_is_there_are_shaded() -> None:
    assert list(unstaffed(HOURS, MONDAY, at(30))) == [(MONDAY.replace(hour=18), at(23))]
    friday = datetime(2026, 1, 9, 12)
    assert list(unstaffed(HOURS, friday, friday + timedelta(days=3))) == [
        (friday.replace(hour=18), datetime(2026, 1, 12, 8))
    ]
    assert list(unstaffed(HOURS, at(10), at(11))) == [(at(10), at(11))]


def test_what_a_file_says_is_text_and_never_markup() -> None:
    evil = "</script><script>alert(1)</script>"
    bars = (replace(SCHEDULE.bars[0], id=evil),)
    page = render(replace(SCHEDULE, title=evil, bench=evil, bars=bars, facts=((evil, evil),)))
    assert page.count("</script>") == 3
    assert "<script>alert" not in page
    assert data_of(page)["bars"][0]["id"] == evil
