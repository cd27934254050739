"""The report as HTML: one section a function, each from the analysis alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import groupby

from labctl.analysis.model import Analysis, Row, StepRecord, Taken
from labctl.model.events import clock
from labctl.report.charts import ORDER, panels, time_unit
from labctl.report.numbers import duration, formula, name_of, number, quantity

HONESTY = (
    "No instrument, furnace or powder was involved. The simulator is a digital twin calibrated to the paper: "
    "agreement with the paper is by construction, not evidence."
)

OUTCOMES = {
    "pass": "Every comparison with the plan is within its tolerance.",
    "deviations": "Some comparisons with the plan are outside their tolerance.",
    "incomplete": "The run did not complete, so there is no result to vouch for.",
}

KEY_FIGURES = {
    "carbon_wt_pct": ("Carbon", "wt%"),
    "discharge_capacity_mah_per_g": ("First discharge", "mAh/g"),
    "nitrogen_l": ("Nitrogen", "L"),
}


def body(analysis: Analysis) -> str:
    """Everything between the opening and the closing of the page's body, without scripts."""
    sections = (
        banner(analysis),
        header(analysis),
        key_figures(analysis),
        process(analysis),
        remarks(analysis),
        cell(analysis),
        verdict(analysis),
        timeline(analysis),
        parameters(analysis),
        taken(analysis),
        entered(analysis),
        identity(analysis),
    )
    return "\n".join(section for section in sections if section)


def banner(a: Analysis) -> str:
    """The mark of a simulated run, and what it does not prove."""
    if not a.simulated:
        return ""
    plant = (
        "Its plant is the nominal one."
        if a.seed is None
        else f"Its plant was perturbed by seed {a.seed}: heater power, thermocouples, flow and ambient."
    )
    return f'<aside class="simulated"><strong>Simulated</strong><p>{HONESTY} {plant}</p></aside>'


def header(a: Analysis) -> str:
    """Title, how it ended, and which run this is."""
    title = escape(a.plan.title or a.plan.protocol)
    if a.plan.product:
        title = title.replace(escape(a.plan.product.formula), formula(a.plan.product.formula))
    facts = [
        ("Run", escape(a.run_id)),
        ("Protocol", escape(a.plan.protocol)),
        ("Virtual start", _instant(a.started_utc).removesuffix(" UTC"))
        if a.simulated
        else ("Started", _instant(a.started_utc)),
    ]
    doi = a.plan.source.get("doi")
    if doi:
        facts.append(("After", f'<a href="https://doi.org/{escape(doi)}">doi:{escape(doi)}</a>'))
    reason = f" <span>{escape(a.reason)}</span>" if a.reason else ""
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    good = "good" if a.verdict.outcome == "pass" else "bad"
    return (
        f"<header><p class=eyebrow>Run report</p><h1>{title}</h1>"
        f'<p class="state {good}"><b>{escape(a.state)}</b>{reason}</p>'
        f"<dl class=facts>{items}</dl></header>"
    )


def key_figures(a: Analysis) -> str:
    """Four numbers that answer most questions."""
    planned = {row.quantity: row for row in a.verdict.rows if row.step is None}
    figures = [
        ("Duration", duration(a.duration_s), "planned " + duration(a.planned_s) if a.planned_s else "")
    ]
    for key, (name, unit) in KEY_FIGURES.items():
        if key in a.results:
            row = planned.get(key)
            shown, _, suffix = quantity(a.results[key], unit).partition(" ")
            note = f"{_basis(row.provenance)} {quantity(row.planned, unit)}" if row else ""
            figures.append((name, f"{shown} <small>{suffix}</small>", note))
    tiles = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd><p>{note}</p></div>" for name, value, note in figures
    )
    return f"<dl class=figures>{tiles}</dl>"


def process(a: Analysis) -> str:
    """The chart of temperature, gas and oxygen; drawn by the script."""
    if not a.series:
        return ""
    looks: dict[str, list[str]] = {}
    for line in panels(a)["temperature"]:
        looks.setdefault(line["look"], []).append(line["name"])
    key = "".join(
        f"<span><i class={look}></i>{escape(_key_text(look, looks[look]))}</span>"
        for look in reversed(ORDER)
        if look in looks
    )
    return _section(
        "Process",
        f'<figure><p class=legend>{key}</p><div id="process" class="chart tall"></div>'
        "<figcaption>The broad line is the forecast, the thin ones are readings; bands are steps. Of each stretch "
        f"of time the least and the greatest reading are drawn, so no excursion is hidden.{_after(a)}"
        "</figcaption></figure>",
    )


def _after(a: Analysis) -> str:
    later_s = a.watched_s - a.duration_s
    return f" The run ended {duration(later_s)} before its chambers were cold." if later_s > 60 else ""


def _key_text(look: str, names: list[str]) -> str:
    return {"plan": "planned", "setpoint": "working setpoint"}.get(look, ", ".join(names))


def verdict(a: Analysis) -> str:
    """Planned against actual, row by row; what nothing is known against stands with the steps."""
    judged = [row for row in a.verdict.rows if row.tolerance is not None]
    reached = [row for row in judged if row.actual is not None]
    counted = f"{sum(row.ok for row in reached)} of {len(reached)} within tolerance"
    counted += f", {len(judged) - len(reached)} not reached." if len(reached) < len(judged) else "."
    head = "".join(
        f"<th>{name}</th>" for name in ("Step", "Quantity", "Planned", "Actual", "Tolerance", "Basis", "")
    )
    groups = []
    for step, rows in groupby(judged, key=lambda row: row.step):
        first, *others = rows
        name = escape(step or "whole run")
        groups.append(f"<tbody>{_row(first, name)}{''.join(_row(row, '') for row in others)}</tbody>")
    return _section(
        "Planned against actual",
        f"<p>{OUTCOMES[a.verdict.outcome]} {counted}</p>"
        f"<table class=verdict><thead><tr>{head}</tr></thead>{''.join(groups)}</table>",
    )


def _row(row: Row, step: str) -> str:
    reached = row.actual is not None
    mark = (
        "<i class=ok>✓</i>"
        if row.ok
        else "<i class=off>outside</i>"
        if reached
        else "<small>not reached</small>"
    )
    planned = quantity(row.planned, row.unit)
    tolerance = "±&#8239;" + quantity(row.tolerance, row.unit) if row.tolerance else ""
    if row.is_limit:
        planned = f"≤&#8239;{planned}"
    name = escape(name_of(row.quantity))
    return (
        f"<tr{' class=deviates' if reached and not row.ok else ''}><th>{step}</th><td>{name}</td>"
        f"<td data-name=planned>{planned}</td><td data-name=actual>{quantity(row.actual, row.unit)}</td>"
        f"<td>{tolerance}</td><td>{_tag(row.provenance)}</td><td>{mark}</td></tr>"
    )


def cell(a: Analysis) -> str:
    """The cell's curve, and its cycles in numbers."""
    if not a.halves:
        return ""
    rows = [
        (
            str(c.cycle),
            quantity(c.charge_mah_per_g, "mAh/g") if a.active_mass_g else quantity(c.charge_mah, "mAh"),
            quantity(c.discharge_mah_per_g, "mAh/g") if a.active_mass_g else quantity(c.discharge_mah, "mAh"),
            "–" if c.coulombic_efficiency is None else f"{c.coulombic_efficiency:.2%}".replace("%", " %"),
        )
        for c in a.cycles
    ]
    mass = f" for {number(a.active_mass_g * 1000, 'mg')} mg of active mass" if a.active_mass_g else ""
    return _section(
        "Cell",
        '<figure><div id="cell" class="chart"></div><figcaption>The current, integrated on the '
        f"cycler's own clock up to each cut-off{mass}. The first cycle is darkest. "
        "Efficiency is coulombic: discharge over charge.</figcaption></figure>"
        + _table(("Cycle", "Charge", "Discharge", "Efficiency"), rows, "numbers"),
    )


def remarks(a: Analysis) -> str:
    """Alarms, trips and changes of state: everything out of the ordinary."""
    if not a.remarks:
        return _section("Deviations, alarms and trips", "<p>None.</p>")
    rows = [(clock(r.at_s), escape(r.kind), escape(r.text)) for r in a.remarks]
    return _section(
        "Deviations, alarms and trips", _table(("Hours", "Kind", "What happened"), rows, "remarks")
    )


def timeline(a: Analysis) -> str:
    """Each step as planned (above) and as it went (below), on one axis of time."""
    ends = [t for s in a.steps for t in (s.planned_end_s, s.end_s) if t is not None]
    whole = max([a.duration_s, *ends], default=0.0)
    if not whole:
        return ""
    rows = []
    for step in a.steps:
        bars = _bar("plan", step.planned_start_s, step.planned_end_s, whole)
        bars += _bar("went", step.start_s, step.end_s if step.end_s is not None else a.duration_s, whole)
        took = duration(step.actual_s) if step.actual_s is not None else _unfinished(step, a)
        rows.append(
            f"<li><span class=name>{escape(step.id)}</span><span class=track>{bars}</span>"
            f"<span class=took>{took}</span></li>"
        )
    per_s, unit = time_unit(whole)
    steps = (1, 2, 5, 10, 15, 30) if unit == "minutes" else (1, 2, 4, 6, 12, 24, 48, 96, 168)
    every = next((n for n in steps if whole / per_s / n <= 8), 336)
    ticks = "".join(
        f'<i style="left:{100 * n * per_s / whole:.3f}%">{n}</i>'
        for n in range(0, int(whole / per_s) + 1, every)
    )
    return _section(
        "Steps",
        f"<ol class=timeline>{''.join(rows)}<li class=axis><span class=name></span>"
        f"<span class=track>{ticks}</span><span class=took>{unit}</span></li></ol>"
        "<p class=key><span><i class=plan></i>planned</span><span><i class=went></i>actual</span></p>",
    )


def _unfinished(step: StepRecord, a: Analysis) -> str:
    return "not reached" if step.start_s is None else f"cut at {duration(a.duration_s - step.start_s)}"


def _bar(kind: str, start_s: float | None, end_s: float | None, whole: float) -> str:
    if start_s is None or end_s is None:
        return ""
    left, width = 100 * start_s / whole, 100 * (end_s - start_s) / whole
    return f'<b class={kind} style="left:{left:.3f}%;width:{width:.3f}%"></b>'


def parameters(a: Analysis) -> str:
    """What the protocol let one choose, and where each number comes from."""
    rows = [
        (
            escape(p.name),
            escape(p.text.replace("degC", "°C")),
            _tag(p.provenance) + (" <small>given</small>" if p.given else ""),
        )
        for p in a.plan.parameters
    ]
    roles = [(escape(role), escape(name)) for role, name in a.plan.roles.items()]
    return (
        _section("Parameters", _table(("Parameter", "Value", "Basis"), rows, "plain")) if rows else ""
    ) + (_section("Instruments", _table(("Role", "Instrument"), roles, "plain")) if roles else "")


def entered(a: Analysis) -> str:
    """What people wrote down."""
    rows = [
        (clock(e.at_s), escape(e.step), escape(e.name), quantity(e.value, e.unit), escape(e.by))
        for e in a.entered
    ]
    return (
        _section("Entered values", _table(("Hours", "Step", "Quantity", "Value", "By"), rows, "plain"))
        if rows
        else ""
    )


def taken(a: Analysis) -> str:
    """What went into the pot, from which bottle, and how far from what was wanted."""
    rows = [
        (
            clock(t.at_s),
            escape(t.reagent) + _of_lots(t),
            "" if t.purity_wt_pct is None else quantity(t.purity_wt_pct, "wt%"),
            f"{t.wanted:.4f} {t.unit}",
            f"{t.taken:.4f} {t.unit}",
            f"{t.deviation_pct:+.2f} % of ±{t.tolerance_pct:g} %" + ("" if t.verdict == "ok" else ", kept"),
            escape(t.instrument),
        )
        for t in a.taken
    ]
    heads = ("Hours", "Reagent", "Purity", "Wanted", "Taken", "Off by", "Read by")
    return _section("Weighed and dispensed", _table(heads, rows, "plain")) if rows else ""


def _of_lots(t: Taken) -> str:
    """Of which bottles; how much of each where there were several."""
    told = [(escape(lot), f"{amount:.4f} {t.unit}") for lot, amount in t.lots.items() if lot]
    several = len(t.lots) > 1
    return "".join(f" <small>lot {lot}{f', {amount}' if several else ''}</small>" for lot, amount in told)


def identity(a: Analysis) -> str:
    """What identifies this run, and how anybody can check that the record is whole."""
    facts = (
        ("Journal head", a.journal_head),
        ("Journal rows", str(a.journal_rows)),
        ("Plan", a.plan.plan_hash),
        ("Bench", a.plan.bench_identity),
    )
    rows = "".join(
        f"<div><dt>{name}</dt><dd><code>{escape(value)}</code></dd></div>" for name, value in facts
    )
    return _section(
        "Proof",
        f"<dl class=hashes>{rows}</dl><p>The journal is a chain of SHA-256 hashes; its head vouches for "
        "every row. <code>labctl audit verify</code> recomputes it; "
        f"<code>labctl runs export {escape(a.run_id)} --journal</code> writes the rows from which anybody "
        "else can.</p>",
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<thead><tr>{head}</tr></thead><tbody>{cells}</tbody>"
    return f"<div class=scroll><table class={kind}>{table}</table></div>"


def _basis(provenance: str) -> str:
    return escape({"forecast": "planned", "protocol": "planned"}.get(provenance, provenance))


def _tag(provenance: str) -> str:
    return f"<span class=tag>{escape(provenance)}</span>"


def _instant(utc: str) -> str:
    try:
        return datetime.fromisoformat(utc).strftime("%-d %B %Y, %H:%M UTC")
    except ValueError:
        return escape(utc)
