"""A plan without some of its steps."""

from __future__ import annotations

from labctl.bench.loader import load_bench
from labctl.protocol.revision import obstacle, without
from labctl.protocol.validation import check_text
from tests.engine.bench import dry, plan_of, stir


def test_what_needed_a_step_that_is_left_out_needs_what_that_needed() -> None:
    a, b = stir(id="a", needs=()), stir(id="b", needs=("a",))
    c = dry(id="c", needs=("b",))
    left = without(plan_of(a, b, c), ["b"])
    assert [(step.id, step.needs) for step in left.steps] == [("a", ()), ("c", ("a",))]


def test_a_plan_of_another_product_is_a_run_of_its_own() -> None:
    old = plan_of(stir())
    assert obstacle(old, old.model_copy(update={"protocol": "other"}), ()) == (
        "its protocol is another; submit it as a run of its own"
    )
    assert (
        obstacle(old, old.model_copy(update={"bench_identity": "x"}), ())
        == "it was planned for another bench"
    )
    assert obstacle(old, old, ()) is None


def test_the_rules_judge_what_is_left() -> None:
    text = """
protocol: warm
roles: {stirrer: hotplate_stirrer, furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: mix, stir: {with: stirrer, speed: 500 rpm, for: 2 min}}
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - id: warm
    heat:
      {with: furnace, to: 300 degC, ramp: 5 K/min, hold: 1 h, atmosphere: inert, under: {gas: nitrogen, flow: 200 sccm}}
  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, under: {gas: nitrogen, flow: 200 sccm}}}
  - {id: unload, unload: {from: furnace, into: powder}}
"""
    bench = load_bench("standard")
    plan, _ = check_text(text, "warm.yaml", {}, bench, None, ["mix"])
    assert plan is not None
    assert [step.id for step in plan.steps] == ["purge", "warm", "cool", "unload"]
    plan, findings = check_text(text, "warm.yaml", {}, bench, None, ["purge"])
    assert plan is None
    assert {f.rule for f in findings if f.severity == "error"} == {"GAS-001"}
    assert next(f.line for f in findings if f.rule == "GAS-001") == 9
