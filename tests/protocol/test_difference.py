"""Two plans differ in what they mean, not in how they are written."""

from __future__ import annotations

from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.difference import Change, differences, only_in
from labctl.protocol.plan import Plan
from labctl.protocol.validation import check, check_text


def of(text: str, bench: Bench) -> Plan:
    plan, findings = check_text(text, "p.yaml", {}, bench)
    assert plan is not None, findings
    return plan


def test_the_same_in_other_words_is_no_difference(paper: str, bench: Bench) -> None:
    again = paper.replace("default: 6 h", "default: 360 min").replace("speed: 500 rpm", "speed: 500.0 rpm")
    assert again != paper
    assert differences(of(paper, bench), of(again, bench)) == ()


def test_a_parameter_is_followed_into_the_steps_that_use_it(bench: Bench) -> None:
    one, _ = check("3dp-nvp-c", {}, bench)
    two, _ = check("3dp-nvp-c", {"pyrolysis_temperature": "900 degC"}, bench)
    assert one is not None
    assert two is not None
    changes = {(c.where, c.what): (c.before, c.after, c.unit) for c in differences(one, two)}
    assert changes["parameter pyrolysis_temperature", ""] == (800.0, 900.0, "degC")
    assert changes["step pyrolyse", "to"] == (800.0, 900.0, "degC")
    assert not any(where == "step preheat" for where, _ in changes)


def test_steps_are_known_by_their_ids_wherever_they_stand(bench: Bench) -> None:
    head = "protocol: p\ntitle: t\nroles: {}\nsteps:\n"
    a, b, c, d = ("  - {id: " + i + ", wait: {for: 1 min}}\n" for i in "abcd")
    changes = differences(of(head + a + b + c + d, bench), of(head + d + a + c, bench))
    assert changes == (
        Change("removed", "step b", "", "wait", None),
        Change("moved", "step d", "", 4, 1),
    )


def test_segments_and_gas_are_compared_one_by_one(bench: Bench) -> None:
    def text(hold: str, flow: str) -> str:
        gas = "under: {gas: nitrogen, flow: " + flow + "}"
        return (
            "protocol: p\ntitle: t\nroles: {furnace: tube_furnace, nitrogen: gas_flow}\nsteps:\n"
            "  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}\n"
            "  - {id: heat, heat: {with: furnace, atmosphere: inert, " + gas + ", segments: ["
            "{to: 100 degC, ramp: 2 K/min, hold: 1 h}, {to: 350 degC, ramp: 2 K/min, hold: " + hold + "}]}}\n"
            "  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, " + gas + "}}\n"
        )

    changes = differences(of(text("1 h", "200 sccm"), bench), of(text("2 h", "250 sccm"), bench))
    told = {c.what: (c.before, c.after, c.unit) for c in changes if c.where == "step heat"}
    assert told["segments 2 hold"] == (3600.0, 7200.0, "s")
    assert told["under flow"] == (200.0, 250.0, "sccm")


def test_a_finding_is_the_same_on_another_line() -> None:
    known, moved = Finding("X-1", "warning", "so", line=3), Finding("X-1", "warning", "so", line=7)
    new = Finding("X-2", "error", "not so")
    assert only_in([known], [moved]) == []
    assert only_in([new, known], [moved]) == [new]
