"""Steps that stand for several: what they become, and where mistakes in them are shown."""

from __future__ import annotations

import pytest

from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.plan import Cycle, Decide, LeakCheck, Manual, Measure, Plan, Wait
from labctl.protocol.validation import check_text

HEAD = """\
protocol: p
parameters:
  n: {default: 2, min: 1, max: 5}
  limit: {default: 60 degC}
roles: {oven: oven, cycler: cycler, stirrer: hotplate_stirrer, furnace: tube_furnace}
samples: [a, b]
product: {formula: Na3V2(PO4)3, mass: 1 g}
steps:
"""
FIRST = HEAD.count("\n") + 1


def written(*steps: str) -> str:
    return HEAD + "".join(f"  - {step}\n" for step in steps)


def planned(bench: Bench, *steps: str, **parameters: str) -> Plan:
    plan, findings = check_text(written(*steps), "p.yaml", parameters, bench)
    assert plan is not None, findings
    return plan


def ids(plan: Plan) -> list[str]:
    return [step.id for step in plan.steps]


def refused(bench: Bench, *steps: str) -> Finding:
    plan, findings = check_text(written(*steps), "p.yaml", {}, bench)
    assert plan is None
    return next(f for f in findings if f.severity == "error")


STIR = "{id: stir, stir: {with: stirrer, speed: 300 rpm, for: 1 min}}"
AGAIN = STIR.replace("id: stir", "id: again")
LOOK = "{id: look, manual: {do: Look}}"


def test_a_repeat_is_written_out_round_by_round(bench: Bench) -> None:
    plan = planned(bench, f'{{repeat: {{times: "{{n}}", steps: [{STIR}, {LOOK}]}}}}', n="3")
    assert ids(plan) == ["stir-1", "look-1", "stir-2", "look-2", "stir-3", "look-3"]


def test_a_repeat_may_go_through_values(bench: Bench) -> None:
    body = '{id: at, title: "at {rate}", cycle: {with: cycler, rate: "{rate}", window: [2.3 V, 3.8 V], cycles: 2}}'
    plan = planned(bench, f"{{repeat: {{each: rate, in: [0.5C, 1C, C/10], steps: [{body}]}}}}")
    assert ids(plan) == ["at-0-5c", "at-1c", "at-c-10"]
    assert [step.rate_c for step in plan.steps if isinstance(step, Cycle)] == [0.5, 1.0, 0.1]
    assert plan.steps[0].title == "at 0.5C"


def test_repeats_may_stand_in_repeats(bench: Bench) -> None:
    inner = f"{{repeat: {{times: 2, steps: [{LOOK}]}}}}"
    plan = planned(bench, f"{{repeat: {{times: 2, steps: [{STIR}, {inner}]}}}}")
    assert ids(plan) == ["stir-1", "look-1-1", "look-1-2", "stir-2", "look-2-1", "look-2-2"]


def test_every_sample_has_its_own_steps_values_and_current(bench: Bench) -> None:
    assemble = (
        '{id: assemble, manual: {do: "Assemble cell {sample}", enter: {active_mass: {unit: mg, min: 0.1}}}}'
    )
    run = "{id: run, cycle: {with: cycler, rate: 1C, window: [2.3 V, 3.8 V], cycles: 1}}"
    cells = f"{{repeat: {{each: sample, steps: [{assemble}, {run}]}}}}"
    plan = planned(
        bench, "{id: carbon, per: sample, measure: {what: carbon, enter: {carbon: {unit: wt%}}}}", cells
    )
    assert ids(plan) == ["carbon-a", "carbon-b", "assemble-a", "run-a", "assemble-b", "run-b"]
    assert [step.sample for step in plan.steps] == ["a", "b", "a", "a", "b", "b"]
    carbon, other = plan.step("carbon-b"), plan.step("assemble-b")
    assert isinstance(carbon, Measure)
    assert isinstance(other, Manual)
    assert (carbon.enter[0].name, carbon.enter[0].quantity) == ("carbon_b", "carbon")
    assert other.do == "Assemble cell b"
    assert [step.mass for step in plan.steps if isinstance(step, Cycle)] == ["active_mass_a", "active_mass_b"]


def test_a_repeat_until_something_holds_is_bounded_and_decides_after_each_round(bench: Bench) -> None:
    weigh = "{id: weigh, manual: {do: Weigh it, enter: {mass: {unit: g}}}}"
    until = "{entered: mass, below: 1500 mg}"
    plan = planned(
        bench, f"{{id: dry, repeat: {{until: {until}, at_most: 3, steps: [{STIR}, {weigh}]}}}}", LOOK
    )
    rounds = [f"{name}-{k}" for k in (1, 2, 3) for name in ("stir", "weigh", "dry")]
    assert ids(plan) == [*rounds, "look"]
    assert plan.step("stir-1").when == ()
    assert plan.step("stir-3").when[0].not_met == ("dry-1", "dry-2")
    last = plan.step("dry-3")
    assert isinstance(last, Decide)
    assert (last.condition.entered, last.condition.value, last.otherwise) == ("mass", 1.5, "hold")
    assert last.when[0].not_met == ("dry-1", "dry-2")


def test_branches_say_what_they_need(bench: Bench) -> None:
    dry = "{id: dry, heat: {with: oven, to: 80 degC, hold: 1 h, after: off}}"
    both = f"{{parallel: {{one: [{dry}, {LOOK}], other: [{STIR}]}}}}"
    plan = planned(bench, "{id: begin, wait: {for: 1 s}}", both, "{id: end, wait: {for: 1 s}}")
    assert {s.id: s.needs for s in plan.steps} == {
        "begin": None, "dry": ("begin",), "look": None, "stir": ("begin",), "end": ("look", "stir"),
    }  # fmt: skip
    assert plan.needs == {
        "begin": (), "dry": ("begin",), "look": ("dry",), "stir": ("begin",), "end": ("look", "stir"),
    }  # fmt: skip


def test_a_plan_says_nothing_of_what_it_does_not_use(bench: Bench) -> None:
    plan = planned(bench, LOOK, "{id: wait, wait: {for: 1 s}}")
    assert plan.needs is None
    for step in plan.model_dump(mode="json")["steps"]:
        assert not {"when", "needs", "sample", "until", "timeout_s"} & set(step)


def test_conditions_are_in_the_unit_of_what_they_ask(bench: Bench) -> None:
    until = '{signal: furnace.temperature, below: "{limit}", for: 10 min, hysteresis: 2 K, on_bad: wait}'
    plan = planned(bench, f"{{id: wait, wait: {{until: {until}, timeout: 4 h}}}}", limit="340 K")
    step = plan.step("wait")
    assert isinstance(step, Wait)
    assert step.until is not None
    assert (step.instruments, step.chamber, step.timeout_s) == (("furnace",), "tube", 14400.0)
    assert step.until.value == pytest.approx(66.85)
    assert (step.until.for_s, step.until.hysteresis) == (600.0, 2.0)
    assert (step.until.relation, step.until.unit, step.until.on_bad) == ("below", "degC", "wait")


def test_a_step_that_asks_a_live_signal_comes_after_one_that_decides(bench: Bench) -> None:
    stir = STIR.replace("stir:", "when: {signal: oven.temperature, below: 40 degC}, stir:", 1)
    plan = planned(bench, stir.replace("id: stir, ", "id: stir, "))
    assert ids(plan) == ["stir-when", "stir"]
    assert plan.step("stir").when[0].met == ("stir-when",)


PURGE = "{id: off, when: {entered: x, above: 1 g}, unload: {from: furnace, into: powder}}"
ENTER = "{id: enter, manual: {do: Weigh, enter: {mass: {unit: g}}}}"


@pytest.mark.parametrize(
    ("steps", "rule", "said"),
    [
        (["{repeat: {times: 0, steps: [{id: x, wait: {for: 1 s}}]}}"], "SCH-003", "greater than"),
        (["{repeat: {times: 2}}"], "SCH-002", "'steps' is missing"),
        ([f"{{repeat: {{tims: 2, steps: [{LOOK}]}}}}"], "SCH-001", "did you mean times?"),
        (["{repeat: {steps: [{id: x, wait: {for: 1 s}}]}}"], "SCH-003", "one of `times`"),
        (["{repeat: 3}"], "SCH-003", "key: value"),
        (["{repeat: {each: rate, steps: [{id: x, wait: {for: 1 s}}]}}"], "SCH-002", "in: [...]"),
        ([f"{{stir: {{}}, repeat: {{times: 2, steps: [{LOOK}]}}}}"], "SCH-001", "beside `repeat`"),
        ([f"{{repeat: {{until: {{entered: mass, below: 1 g}}, steps: [{LOOK}]}}}}"], "SCH-002", "at_most"),
        ([f"{{repeat: {{times: 1000, steps: [{LOOK}, {STIR}]}}}}"], "INC-005", "1000 steps"),
        ([f"{{parallel: {{one: [{LOOK}]}}}}"], "SCH-003", "two or more"),
        ([f"{{parallel: {{one: [{LOOK}], other: []}}}}"], "SCH-003", "has no steps"),
        ([f"{{parallel: {{one: [{STIR}], other: [{AGAIN}]}}}}"], "STEP-004", "both use vessel"),
        (["{id: x, per: batch, manual: {do: Look}}"], "SCH-003", "per: sample"),
        (["{id: x, sample: c, manual: {do: Look}}"], "STEP-007", "valid: a, b"),
        (["{id: x, needs: [y], manual: {do: Look}}"], "STEP-006", "no step 'y'"),
        (["{id: x, needs: [x], manual: {do: Look}}"], "STEP-006", "no step 'x'"),
        (["{id: x, when: {met: y}, manual: {do: Look}}"], "COND-003", "no step 'y' decides"),
        (["{id: x, when: {}, manual: {do: Look}}"], "SCH-003", "asks `entered`"),
        ([ENTER, PURGE.replace("entered: x", "entered: mass")], "STEP-005", "must not be left out"),
        ([ENTER, "{id: x, when: {entered: mas, above: 1 g}, manual: {do: Look}}"], "COND-002", "mean mass?"),
        ([ENTER, "{id: x, when: {entered: mass, above: 1 degC}, manual: {do: Look}}"], "QTY-001", "a mass is wanted"),
        (["{id: x, decide: {if: {signal: oven.temprature, above: 1 degC}}}"], "COND-001", "mean temperature?"),
        (["{id: x, decide: {if: {signal: ofen.temperature, above: 1 degC}}}"], "ROLE-001", "did you mean oven?"),
        (["{id: x, decide: {if: {signal: oven.temperature}}}"], "SCH-003", "one of above, below"),
        (["{id: x, wait: {until: {signal: oven.temperature, above: 1 degC}}}"], "SCH-002", "needs a `timeout`"),
        (["{id: x, wait: {for: 1 s, until: {signal: oven.temperature, above: 1 K}}}"], "SCH-003", "says `for`"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_out_is_refused_at_its_place(
    bench: Bench, steps: list[str], rule: str, said: str
) -> None:
    finding = refused(bench, *steps)
    assert finding.rule == rule, finding
    assert said in f"{finding.message} {finding.hint}"
    assert finding.line == FIRST + len(steps) - 1


def test_what_must_come_before_comes_before_in_every_order_of_the_branches(bench: Bench) -> None:
    """The oven must not be hot before the loss of solvent was weighed; a branch beside it proves nothing."""
    text = """\
protocol: p
roles: {dryer: solvent_dryer, stirrer: hotplate_stirrer}
charge: {ethanol: 10 mL}
steps:
  - {id: pour, manual: {do: Pour, enter: {wet_mass: {unit: g}}, into: dryer}}
  - parallel:
      one: [{id: weigh, manual: {do: Weigh, enter: {dry_mass: {unit: g}}, require: {solvent_loss: at least 99 %}}}]
      other: [{id: age, heat: {with: dryer, to: 100 degC, hold: 1 h}}]
"""
    plan, findings = check_text(text, "p.yaml", {}, bench)
    assert plan is None
    assert ("SOL-005", 8) in {(f.rule, f.line) for f in findings if f.severity == "error"}
    assert check_text(text.replace("100 degC", "40 degC"), "p.yaml", {}, bench)[0] is not None


def test_a_leak_is_expected_to_show_when_the_oxygen_of_the_air_is_gone(bench: Bench) -> None:
    text = """\
protocol: p
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: tight, leak_check: {with: nitrogen, into: furnace, flow: 200 sccm, below: 0.0936 sccm, for: 5 min}}
"""
    plan, findings = check_text(text, "p.yaml", {}, bench)
    assert plan is not None, findings
    step = plan.steps[0]
    assert isinstance(step, LeakCheck)
    assert (step.gas, step.analyser, step.chamber) == ("nitrogen", "oxygen", "tube")
    assert step.expected_s == pytest.approx((87.8 + 5.0) * 60.0, abs=60.0)
    blind = {n: i for n, i in bench.instruments.items() if n != "oxygen"}
    findings = check_text(text, "p.yaml", {}, bench.model_copy(update={"instruments": blind}))[1]
    assert "BIND-008" in {f.rule for f in findings}


@pytest.mark.parametrize(
    "repeat",
    [
        "{times: 100000, steps: [{id: x, wait: {for: 1 s}}]}",
        "{times: 600, steps: [{id: x, wait: {for: 1 s}}, {id: y, wait: {for: 1 s}}]}",
        "{times: 1000, steps: [{repeat: {times: 1000, steps: [{repeat: {times: 1000, steps: [{id: x}]}}]}}]}",
        "{times: 400, steps: [{id: x, manual: {do: Look, confirm: [" + "a, " * 300 + "a]}}]}",
        "{each: n, in: [" + "1, " * 1001 + "1], steps: [{id: x}]}",
    ],
)
def test_repeats_do_not_fill_the_memory(bench: Bench, repeat: str) -> None:
    assert refused(bench, f"{{repeat: {repeat}}}").rule == "INC-005"


def test_a_repeat_until_something_holds_is_tried_a_hundred_times_at_most(bench: Bench) -> None:
    until = "{entered: mass, below: 1 g}"
    finding = refused(bench, f"{{id: dry, repeat: {{until: {until}, at_most: 101, steps: [{LOOK}]}}}}")
    assert (finding.rule, "less than or equal to 100" in finding.message) == ("SCH-003", True)
