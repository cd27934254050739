"""A plan as one HTML file that needs nothing else: steps as bars below the temperatures, by the clock on the wall."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from html import escape
from importlib.resources import files
from typing import Any

from labctl.bench.site import WorkingHours
from labctl.report.numbers import duration
from labctl.report.numbers import formula as as_formula

Curve = tuple[tuple[datetime, float | None], ...]

LOOKS = ("furnace", "oven", "monitor")
"""Looks of curves, that of the hottest first."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A step from when to when. detail: setpoint and hold in words."""

    id: str
    kind: str
    begin: datetime
    end: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody is wanted. staffed: within working hours."""

    when: datetime
    what: str
    staffed: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the page shows. curves: degC by heater, None while it is not in use. facts: (what, in words)."""

    title: str
    protocol: str
    formula: str | None
    bench: str
    plan_hash: str
    start: datetime
    end: datetime
    hours: WorkingHours
    bars: tuple[Bar, ...]
    calls: tuple[Call, ...]
    curves: Mapping[str, Curve]
    facts: tuple[tuple[str, str], ...]


def render(s: Schedule) -> str:
    """The whole page. Plotly's script, style and data stand inside it."""
    here = files("labctl.report")
    plotly = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(f"Plan of {s.protocol}")}</title>
<link rel="icon" href="data:,">
<style>{(here / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
{body(s)}
<script type="application/json" id="data">{figure(s)}</script>
<script>{plotly}</script>
<script>{(here / "gantt.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def body(s: Schedule) -> str:
    """Everything between the opening and the closing of the page's body, without scripts."""
    return "\n".join((_header(s), _figures(s), _chart(s), _calls(s), _facts(s), _proof(s)))


def figure(s: Schedule) -> str:
    """Everything `gantt.js` draws, as JSON that may stand inside a script element."""
    data: dict[str, Any] = {
        "from": _iso(s.start),
        "to": _iso(s.end),
        "curves": [
            {"name": name, "look": look, "x": [_iso(t) for t, _ in curve], "y": [c for _, c in curve]}
            for name, look, curve in _looks(s)
        ],
        "bars": [{"id": b.id, "from": _iso(b.begin), "to": _iso(b.end), "text": _told(b)} for b in s.bars],
        "calls": [
            {"at": _iso(c.when), "text": c.what, "staffed": c.staffed, "step": _step_at(s, c.when)}
            for c in s.calls
        ],
        "nights": [[_iso(a), _iso(b)] for a, b in unstaffed(s.hours, s.start, s.end)],
    }
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def unstaffed(hours: WorkingHours, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The stretches between two times in which nobody is there."""
    dark = start
    day = datetime.combine(start, time())
    while day < end:
        shifts = sorted((s.from_min, s.to_min) for s in hours.shifts if day.weekday() in s.days)
        for from_min, to_min in shifts:
            opens, closes = day + timedelta(minutes=from_min), day + timedelta(minutes=to_min)
            if min(opens, end) > dark:
                yield dark, min(opens, end)
            dark = max(dark, closes)
        day += timedelta(days=1)
    if dark < end:
        yield dark, end


def _looks(s: Schedule) -> Iterator[tuple[str, str, Curve]]:
    def hottest(curve: Curve) -> float:
        return max((c for _, c in curve if c is not None), default=0.0)

    ordered = sorted(s.curves.items(), key=lambda item: -hottest(item[1]))
    for n, (name, curve) in enumerate(ordered):
        yield name, LOOKS[min(n, len(LOOKS) - 1)], curve


def _told(bar: Bar) -> str:
    took = duration((bar.end - bar.begin).total_seconds())
    return f"{bar.id}: {took}{f', {bar.detail}' if bar.detail else ''}"


def _step_at(s: Schedule, when: datetime) -> str:
    """The step that a call belongs to: the one that then goes on, or begins."""
    begun = [bar.id for bar in s.bars if bar.begin <= when]
    return begun[-1] if begun else s.bars[0].id if s.bars else ""


def _header(s: Schedule) -> str:
    title = escape(s.title)
    if s.formula:
        title = title.replace(escape(s.formula), as_formula(s.formula))
    items = (("Protocol", escape(s.protocol)), ("Bench", escape(s.bench)))
    facts = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in items)
    return f"<header><p class=eyebrow>Plan</p><h1>{title}</h1><dl class=facts>{facts}</dl></header>"


def _figures(s: Schedule) -> str:
    outside = sum(not call.staffed for call in s.calls)
    tiles = (
        ("Starts", f"{s.start:%a %H:%M}", f"{s.start.day} {s.start:%B %Y}"),
        ("Ends", f"{s.end:%a %H:%M}", f"{s.end.day} {s.end:%B %Y}"),
        ("Takes", duration((s.end - s.start).total_seconds()), "as forecast"),
        ("People", f"{len(s.calls)} <small>times</small>", f"{outside or 'none'} outside working hours"),
    )
    inner = "".join(f"<div><dt>{n}</dt><dd>{v}</dd><p>{note}</p></div>" for n, v, note in tiles)
    return f"<dl class=figures>{inner}</dl>"


def _chart(s: Schedule) -> str:
    key = "".join(f"<span><i class={look}></i>{escape(name)}</span>" for name, look, _ in _looks(s))
    height = 300 + 24 * len(s.bars)
    return (
        "<section><h2>Timeline</h2>"
        f'<figure><p class=legend>{key}</p><div id="gantt" class="chart" style="height:{height}px"></div>'
        "<figcaption>Temperatures are forecast on the nominal plant of this bench. Shaded: outside working hours "
        f"({escape(s.hours.text)}). A mark on a bar: somebody is needed; filled red, outside working hours."
        "</figcaption></figure></section>"
    )


def _calls(s: Schedule) -> str:
    rows = "".join(
        f"<tr><td>{c.when:%a} {c.when.day} {c.when:%b %H:%M}</td><td>{escape(c.what)}</td>"
        f"<td>{'' if c.staffed else '<i class=off>outside working hours</i>'}</td></tr>"
        for c in s.calls
    )
    head = "<thead><tr><th>When</th><th>What for</th><th></th></tr></thead>"
    return (
        f"<section><h2>When somebody is needed</h2><div class=scroll><table class=plain>{head}"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _facts(s: Schedule) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_typeset(text))}</td></tr>" for name, text in s.facts
    )
    return f"<section><h2>What it takes</h2><div class=scroll><table><tbody>{rows}</tbody></table></div></section>"


def _typeset(text: str) -> str:
    return text.replace("degC", "°C")


def _proof(s: Schedule) -> str:
    return (
        "<section><h2>Identity</h2><dl class=hashes><div><dt>Plan</dt>"
        f"<dd><code>{escape(s.plan_hash)}</code></dd></div></dl></section>"
    )


def _iso(when: datetime) -> str:
    return when.isoformat(sep=" ", timespec="seconds")
