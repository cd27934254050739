"""Every rule has a protocol or a bench that trips it, at the place where the mistake was written."""

from typing import Any

import pytest

from labctl.bench.schema import Bench
from labctl.protocol import rules
from labctl.protocol.rules.protection import NEEDS_A_PERSON, PROTECTIONS, lost
from labctl.protocol.validation import check
from tests.protocol.conftest import Check, Edit, bundled

FLOW = 'under: {gas: nitrogen, flow: "{run_flow}"}'
PURGED = "{with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: "
PURGE = "  - {id: purge, purge: " + PURGED + '"{purge_flow}"}}\n'
COOL = "  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, " + FLOW + "}}\n"


def changed(part: str, name: str, **update: Any) -> Bench:
    """The standard bench with one instrument, chamber or supply changed; `limits` are changed one by one."""
    bench = bundled("standard")
    old = getattr(bench, part)[name]
    if "limits" in update:
        update["limits"] = old.limits.model_copy(update=update["limits"])
    return bench.model_copy(update={part: {**getattr(bench, part), name: old.model_copy(update=update)}})


HOT = '5 K/min, hold: "{pyrolysis_hold}", atmosphere: inert, under: {gas: nitrogen, flow: '
FURNACE_AT_700 = changed("instruments", "furnace", limits={"max_temperature_c": 700})
QUARTZ = changed("chambers", "tube", material="quartz", max_temperature_c=None)
NO_ANALYSER = changed("instruments", "oxygen", provides=("thermometer",))
CYLINDER = "nitrogen-cylinder"

CASES: list[tuple[str, str, Edit | None, Bench | None, int, str]] = [
    (
        "LIM-001",
        "error",
        ("to: 40 degC", "to: 310 degC"),
        None,
        37,
        "310 degC is above the 300 degC limit of oven",
    ),
    ("LIM-001", "error", None, FURNACE_AT_700, 43, "800 degC is above the 700 degC limit of furnace"),
    (
        "LIM-002",
        "error",
        ("ramp: 5 K/min", "ramp: 11 K/min"),
        None,
        43,
        "11 K/min is above the 10 K/min limit",
    ),
    (
        "LIM-003",
        "error",
        ('flow: "{purge_flow}"', "flow: 2 slm"),
        None,
        41,
        "2000 sccm is above the 1000 sccm",
    ),
    (
        "LIM-004",
        "error",
        ("speed: 500 rpm", "speed: 1600 rpm"),
        None,
        35,
        "1600 rpm is above the 1500 rpm limit",
    ),
    ("GAS-001", "error", (PURGE, ""), None, 41, "was not purged since it was last open"),
    (
        "GAS-001",
        "error",
        (f", atmosphere: inert, {FLOW}, after", ", after"),
        None,
        42,
        "a tube to 350 degC in air",
    ),
    (
        "GAS-001",
        "error",
        (f"atmosphere: inert, {FLOW}, after", "atmosphere: inert, after"),
        None,
        42,
        "no gas",
    ),
    ("GAS-002", "error", ("until_oxygen_below: 100", "until_oxygen_below: 10"), None, 41, "8 tube volumes"),
    ("GAS-002", "error", ("until_oxygen_below: 100", "until_oxygen_below: 2"), None, 41, "never be reached"),
    ("GAS-002", "warning", None, NO_ANALYSER, 41, "by volume only"),
    (
        "GAS-003",
        "warning",
        (FLOW, "under: {gas: nitrogen, flow: 45 sccm}"),
        None,
        42,
        "45 sccm while heating",
    ),
    ("GAS-004", "warning", (HOT + '"{run_flow}"', HOT + "600 sccm"), None, 43, "600 sccm above 350 degC"),
    (
        "GAS-009",
        "error",
        None,
        changed("supplies", CYLINDER, contents_l=300),
        41,
        "holds 300 L; the plan uses",
    ),
    ("GAS-009", "warning", None, changed("supplies", CYLINDER, feeds=()), 41, "contents unknown"),
    ("SAFE-001", "error", (FLOW, "under: {gas: nitrogen, flow: 110 sccm}"), None, 42, "_flow, 114.5 sccm"),
    ("SAFE-005", "warning", None, None, 42, "standard has no extraction signal for tube"),
    ("SAFE-008", "warning", None, None, 42, "standard has no door signal for tube"),
    ("SAFE-007", "error", None, changed("supplies", CYLINDER, gas="H2"), 41, "nitrogen-cylinder is H2"),
    (
        "FUR-001",
        "error",
        ('"{pyrolysis_temperature}"', "1150 degC"),
        QUARTZ,
        43,
        "too hot for quartz: 1100 degC",
    ),
    ("FUR-002", "warning", ("ramp: 5 K/min", "ramp: 8 K/min"), None, 43, "400/ID = 7.4 K/min"),
    ("FUR-002", "error", None, changed("chambers", "tube", inner_diameter_mm=130), 43, "400/ID = 3.1 K/min"),
    ("FUR-006", "error", ("below: 60 degC", "below: 25 degC"), None, 44, "25 degC cannot be reached"),
    ("FUR-008", "error", (COOL, ""), None, 44, "opens tube, which was last brought to 800 degC"),
    ("FUR-009", "error", (f", natural: true, {FLOW}", ""), None, 44, "cools an inert tube without gas"),
    (
        "SOL-001",
        "error",
        None,
        changed("chambers", "drying-oven", flammable_rated=False),
        37,
        "12.8 g of solvent",
    ),
    ("SOL-003", "error", ("peroxide: {", "colour: {"), None, 37, "no step before it tests for peroxides"),
    (
        "SOL-005",
        "error",
        (", require: {solvent_loss: at least 99 %}", ""),
        None,
        39,
        "goes above 60 degC before",
    ),
    ("SOL-005", "error", ("at least 99 %", "at least 90 %"), None, 39, "goes above 60 degC before"),
    ("CEL-001", "warning", ("3.8 V]", "3.9 V]"), None, 48, "3.9 V is above"),
    ("CEL-001", "error", ("3.8 V]", "4.2 V]"), None, 48, "4.2 V is above"),
    ("CEL-001", "warning", ("[2.3 V", "[2.1 V"), None, 48, "2.1 V is below"),
    ("CEL-001", "error", ("[2.3 V", "[1.5 V"), None, 48, "1.5 V is below"),
]


@pytest.mark.parametrize(("rule", "severity", "edit", "on", "line", "said"), CASES)
def test_a_rule_trips_where_the_mistake_is(
    findings: Check, rule: str, severity: str, edit: Edit | None, on: Bench | None, line: int, said: str
) -> None:
    found = findings(*([edit] if edit else []), on=on)
    hits = [f for f in found if f.rule == rule and said in f.message]
    assert hits, [str(f) for f in found]
    assert (hits[0].severity, hits[0].line) == (severity, line)


def test_what_1c_means_must_be_known(findings: Check) -> None:
    other = ("formula: Na3V2(PO4)3", "formula: K3V2(PO4)3")
    unsaid = (", specific_current: 117 mA/g", "")
    assert not [f for f in findings(unsaid) if f.rule == "CEL-007"]
    assert [f.line for f in findings(other, unsaid) if f.rule == "CEL-007"] == [48]


def test_every_rule_says_why_and_from_where() -> None:
    assert len({rule.id for rule in rules.RULES}) == len(rules.RULES)
    for rule in rules.RULES:
        assert rule.severity in ("error", "warning", "info")
        assert rule.rationale
        assert rule.source


def test_the_papers_protocol_trips_only_what_the_bench_lacks_and_what_it_does_not_say(
    bench: Bench,
) -> None:
    for temperature in ("700 degC", "800 degC", "900 degC"):
        plan, found = check("3dp-nvp-c", {"pyrolysis_temperature": temperature}, bench)
        assert plan is not None
        assert {f.rule for f in found if f.severity != "info"} == {"SAFE-005", "SAFE-008"}
    messages = [f.message for f in found if f.rule in ("SAFE-005", "SAFE-008")]
    assert [p in m for p, m in zip(PROTECTIONS, messages, strict=True)] == [True] * 4


def test_a_bench_that_wires_and_guards_a_signal_lacks_it_no_more() -> None:
    small = bundled("small")
    assert not lost(small, "tube")
    tube = small.chambers["tube"]
    unguarded = tube.model_copy(update={"guards": tuple(g for g in tube.guards if g.guard != "limiter")})
    unwired = tube.model_copy(update={"io": {k: v for k, v in tube.io.items() if k != "extraction"}})
    for changed_tube, signal in ((unguarded, "limiter contact"), (unwired, "extraction")):
        bench = small.model_copy(update={"chambers": {**small.chambers, "tube": changed_tube}})
        assert list(lost(bench, "tube")) == [signal]
    assert set(NEEDS_A_PERSON) < set(PROTECTIONS)
