"""When a forecast looks: soon after something changed, as a soak ends, and at a half cycle when it may be over."""

from __future__ import annotations

from itertools import pairwise

from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.engine.context import COARSE_SCAN_S
from labctl.engine.state import RunState
from labctl.forecast import Rehearsal
from labctl.forecast.pace import SHORTEST_S
from labctl.protocol.plan import Plan
from labctl.protocol.validation import check_text, load_plan
from labctl.runtime.record import InMemory

BENCH = load_bench("standard")
AGEING = """\
protocol: ageing
title: Five hours at 100 degC
roles: {oven: oven}
steps:
  - {id: age, heat: {with: oven, to: 100 degC, hold: 307 min, band: 2 K, after: cool}}
"""


def looked_at(plan: Plan) -> tuple[InMemory, RunState]:
    """The record of a forecast, and its run when it is over."""
    record = InMemory()
    with Rehearsal(BENCH, drivers(), plan, seed=None, record=record, coarse=True) as rehearsal:
        rehearsal.submit("run", {})
        controller = rehearsal.controller
        controller.run(
            lambda: "run" in controller.state.runs and bool(controller.state.runs["run"].end_state)
        )
        return record, controller.state.runs["run"]


def ageing() -> Plan:
    plan, findings = check_text(AGEING, "ageing.yaml", {}, BENCH)
    assert plan is not None, findings
    return plan


def test_a_soak_is_forecast_to_the_second_though_an_oven_is_looked_at_every_five_minutes() -> None:
    _, run = looked_at(ageing())
    assert run.done["age"]["soaks_s"] == [307 * 60.0]


def test_it_looks_ever_more_rarely_while_nothing_changes_and_soon_again_when_something_did() -> None:
    record, _ = looked_at(ageing())
    times = [t_s for t_s, _ in record.rows]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    soak_s = next(e.t_s for e in record.events if e.kind == "step_phase" and e.data["phase"] == "soak")
    after = [gap for t_s, gap in zip(times, gaps, strict=False) if t_s >= soak_s]
    assert after[0] == SHORTEST_S
    soaking = after[: after.index(max(after))]
    assert soaking == sorted(soaking)
    assert 100.0 < max(gaps) <= COARSE_SCAN_S["oven"]


def test_half_cycles_like_the_one_before_are_looked_at_in_their_last_tenth_and_last_as_long() -> None:
    record, _ = looked_at(load_plan("gcd-1c-100", {"cycles": "4"}, BENCH)[0])
    begun = [e.t_s for e in record.events if e.kind == "step_phase" and e.data["phase"] == "source"]
    ended = [*begun[1:], next(e.t_s for e in record.events if e.data.get("phase") == "open")]
    looks = [sum(a < t_s <= b for t_s, _ in record.rows) for a, b in zip(begun, ended, strict=True)]
    assert len(looks) == 8
    assert min(looks[:2]) > 150
    assert max(looks[2:]) < 50
    lasted = [b - a for a, b in zip(begun, ended, strict=True)]
    # 115.7 mAh/g at 117 mA/g are 59 min at the longest; as found in scans of a second: 56 min 30 s and less
    assert max(lasted[2:]) - min(lasted[2:]) < 40.0
    assert min(lasted) / max(lasted) > 0.93
