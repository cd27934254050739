"""Two runs share one bench, and no chamber but an oven at one setpoint; nobody waits for ever."""

from __future__ import annotations

import random

import pytest

from labctl.bench.discovery import drivers
from labctl.engine.state import RunState
from labctl.forecast import Rehearsal
from labctl.protocol.plan import Segment
from labctl.runtime.record import InMemory
from labctl_simulators.devices.api import Replies, Session
from labctl_simulators.twin import Twin
from tests.acceptance.schedules import plan_on, scheduled, shared_bench, stage, two_runs
from tests.engine.bench import dry


@pytest.mark.parametrize("seed", range(8))
def test_two_runs_in_any_order_both_come_to_their_end(seed: int) -> None:
    outcome = scheduled(seed)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.shared == ()


def test_the_oven_of_one_run_works_while_the_other_is_in_the_furnace() -> None:
    furnace = stage("tube", 0, random.Random(1))
    oven = stage("drying-oven", 0, random.Random(2))
    outcome = two_runs([*furnace], [*oven], later_s=900.0)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.waited == ()
    worked = {step: (began, ended) for run, step, began, ended in outcome.worked}
    assert worked["put-in-0"][0] >= 0.0
    in_furnace = next(began for _, step, began, _ in outcome.worked if step == "purge-0"), worked["cool-0"][1]
    assert in_furnace[0] < worked["dry-0"][0] < in_furnace[1]


def test_two_runs_that_go_through_the_same_chambers_in_opposite_order_do_not_wait_for_each_other_for_ever() -> (
    None
):
    draw = random.Random(3)
    tube, oven = stage("tube", 0, draw), stage("drying-oven", 1, draw)
    oven_first, tube_last = stage("drying-oven", 0, draw), stage("tube", 1, draw)
    outcome = two_runs([*tube, *oven], [*oven_first, *tube_last], later_s=0.0)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.waited, "both want the oven or the tube while the other is in it"
    assert outcome.shared == ()


def test_two_runs_dry_in_a_shared_oven_at_the_same_time_over_its_own_bytes() -> None:
    first = stage("drying-oven", 0, random.Random(4), oven_c=40.0)
    second = stage("drying-oven", 0, random.Random(5), oven_c=40.0)
    outcome = two_runs(first, second, later_s=600.0, shared=True)
    assert outcome.ends == {"first": "COMPLETE", "second": "COMPLETE"}
    assert outcome.waited == ()
    assert outcome.joined == 1
    dried = {run: (began, ended) for run, step, began, ended in outcome.worked if step == "dry-0"}
    assert dried["first"][0] < dried["second"][0] < dried["first"][1]


class Wire:
    """The oven's session; what writes into its registers is noted with when it came."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.writes: list[float] = []

    def feed(self, data: bytes, now_s: float) -> Replies:
        if data[1] in (0x05, 0x06, 0x0F, 0x10):  # the function code of Modbus RTU
            self.writes.append(now_s)
        return self.session.feed(data, now_s)


def test_when_the_run_that_leads_is_stopped_no_byte_changes_the_oven_until_the_other_has_dried() -> None:
    bench, oven_c = shared_bench(), Segment(target_c=40.0, ramp_k_per_min=0.0, hold_s=3600.0)
    first, second = (
        plan_on(bench, name, [dry(id="dry-0", segments=(oven_c,) * n, band_k=4.0, timeout_s=30_000.0)])
        for n, name in ((2, "first"), (1, "second"))
    )
    wires: list[Wire] = []

    def listen(twin: Twin) -> None:
        wires.append(Wire(twin.sessions["oven"]))
        twin.sessions["oven"] = wires[0]

    record = InMemory()
    with Rehearsal(
        bench, drivers(), first, seed=None, record=record, coarse=True, also=[second], prepare=listen
    ) as made:
        controller = made.controller

        def of(name: str) -> RunState:
            return controller.state.runs[name]

        made.submit("first", {}, plan=first)
        controller.run(lambda: made.clock.now() >= 3600.0)
        made.submit("second", {}, plan=second)
        controller.run(lambda: made.clock.now() >= 5400.0)
        record.ask("stop", {"reason": "spilt"}, actor="ada", run="first", key="stop", utc_ms=0)
        controller.hurry()
        controller.run(lambda: of("first").end_state is not None)
        stopped_s = made.clock.now()
        assert controller.state.chambers["drying-oven"].run == "second"
        temperatures: list[float] = []

        def dried() -> bool:
            if of("second").active["dry-0"].phase != "soak":
                return True
            temperatures.append(made.twin.truth()["oven"]["air_c"])
            return made.clock.now() > 50_000.0

        controller.run(dried)
        dried_s = made.clock.now()
        assert of("second").active["dry-0"].data["soaks"][0] >= 3600.0
        assert max(temperatures) - min(temperatures) < 1.0
        assert wires[0].writes[0] < stopped_s
        assert [t for t in wires[0].writes if stopped_s < t < dried_s - 60.0] == []
