"""Several runs on one bench: who has which chamber, who waits for what, and that nobody waits for ever."""

from __future__ import annotations

import pytest

from labctl.engine.context import with_plan
from labctl.engine.state import RunState
from labctl.protocol.plan import AnyStep, Manual
from tests.engine.bench import Hands, dry, inert, plan_of, purge, stir, unload

OVEN, TUBE = "drying-oven", "tube"


def into(chamber: str, step: str = "put-in") -> Manual:
    return Manual(id=step, do=f"Put it into {chamber}", into=chamber)


def begin(hands: Hands, run: str, *steps: AnyStep) -> None:
    """Another run of these steps is started."""
    plan = plan_of(*steps)
    hands.context = with_plan(hands.context, plan)
    assert hands.ask("submit", None, run=run, plan=plan.plan_hash) == ("accepted", True)
    assert hands.ask("start", run) == ("accepted", True)


def other(hands: Hands) -> RunState:
    return hands.state.runs["run-2"]


def owner(hands: Hands, chamber: str) -> str | None:
    return hands.state.chambers[chamber].run


def answer_all(hands: Hands) -> None:
    """People do at once what they are asked."""
    for run in list(hands.state.runs.values()):
        for prompt in run.prompts:
            assert hands.ask("answer", run.run_id, prompt=prompt, confirm=[], values={}) == ("accepted", True)


def test_a_second_run_waits_for_a_busy_chamber_and_says_so() -> None:
    hands = Hands(stir(duration_s=300.0, timeout_s=1e5))
    hands.start()
    begin(hands, "run-2", stir())
    hands.scan()
    assert other(hands).state == "RUNNING"
    assert other(hands).active == {}
    assert other(hands).waits == "vessel is busy with run run-1 (RUNNING)"
    assert len([e for e in hands.of("run_waits") if e["for"]]) == 1
    assert owner(hands, "vessel") == "run-1"
    hands.until(lambda: other(hands).end_state == "COMPLETE", 2000.0)
    assert other(hands).waits is None
    assert hands.run.done["stir"]["ended_s"] <= other(hands).done["stir"]["started_s"]


def test_a_run_that_waits_can_be_stopped_and_energises_nothing() -> None:
    hands = Hands(stir(duration_s=1e5, timeout_s=2e5))
    hands.start()
    begin(hands, "run-2", dry(), stir(id="again"))
    hands.values["oven.temperature"] = 100.0
    hands.until(lambda: other(hands).waits is not None, 3000.0)
    sent = len(hands.commands)
    assert hands.ask("stop", "run-2")[1]
    hands.until(lambda: other(hands).end_state == "STOPPED", 600.0)
    assert other(hands).waits is None
    assert [c for c in hands.commands[sent:] if c.verb in ("heat", "stir", "set_flow")] == []
    assert hands.run.state == "RUNNING"


def test_a_chamber_is_free_as_soon_as_its_span_is_over() -> None:
    hands = Hands(into(OVEN), dry(), into(TUBE, "load"), purge(), inert(), unload())
    hands.values["oxygen.oxygen"] = 5.0
    hands.values["oven.temperature"] = 100.0
    hands.start()
    answer_all(hands)
    hands.until(lambda: "load" in hands.run.active)
    assert owner(hands, OVEN) == "run-1"  # the batch is still in it
    hands.values["oven.temperature"] = 22.0
    answer_all(hands)
    hands.until(lambda: "purge" in hands.run.active)
    assert owner(hands, TUBE) == "run-1"
    hands.until(lambda: owner(hands, OVEN) is None, 600.0)
    begin(hands, "run-2", dry(id="second"))
    hands.values["oven.temperature"] = 100.0
    hands.until(lambda: other(hands).end_state == "COMPLETE", 5000.0)
    assert hands.run.state == "RUNNING"
    assert "purge" in hands.run.active or "heat" in hands.run.active


def test_what_is_hot_when_its_run_leaves_it_is_made_safe_and_free_after_custody() -> None:
    hands = Hands(dry(after="continue"), stir(duration_s=1e4, timeout_s=2e4))
    hands.values["oven.temperature"] = 100.0
    hands.start()
    hands.until(lambda: "stir" in hands.run.active)
    chamber = hands.state.chambers[OVEN]
    assert chamber.run is None
    assert chamber.lease is None or chamber.safe is not None
    begin(hands, "run-2", dry(id="second"))
    hands.until(lambda: hands.state.chambers[OVEN].custody is not None, 600.0)
    assert hands.values["oven.setpoint"] == 20.0
    hands.scan()
    assert other(hands).waits == f"{OVEN} is in custody since run-1 has left it"
    hands.values["oven.temperature"] = 25.0
    hands.until(lambda: "second" in other(hands).active, 600.0)
    assert hands.run.state == "RUNNING"


def test_a_run_that_waits_has_its_batch_taken_out_of_what_another_may_need() -> None:
    hands = Hands(into(OVEN), dry(after="off"), into(TUBE, "load"), purge(), unload())
    hands.values["oven.temperature"] = 100.0
    begin(hands, "run-2", into(TUBE), purge(timeout_s=1e5), unload(), into(OVEN, "back"), dry())
    hands.start()
    answer_all(hands)
    hands.values["oven.temperature"] = 100.0
    hands.until(lambda: hands.run.waits is not None, 3000.0)
    hands.values["oven.temperature"] = 22.0
    assert hands.run.waits == f"{TUBE} is busy with run run-2 (RUNNING)"
    hands.scan()
    assert list(hands.run.prompts) == [f"take-out:{OVEN}"]
    assert owner(hands, OVEN) == "run-1"
    hands.go(60.0)
    assert len([p for p in hands.of("prompt") if p["id"].startswith("take-out")]) == 1
    answer_all(hands)
    hands.until(lambda: owner(hands, OVEN) is None, 600.0)
    assert hands.state.chambers[OVEN].contents == ()
    hands.values["oxygen.oxygen"] = 5.0

    def over() -> bool:
        answer_all(hands)
        hands.values["oven.temperature"] = hands.values["oven.setpoint"]
        return all(run.end_state == "COMPLETE" for run in hands.state.runs.values())

    hands.until(over, 30_000.0)


def test_a_tripped_chamber_is_not_waited_for() -> None:
    hands = Hands(purge(), inert(), unload())
    hands.heated(300.0)
    hands.at(700.0)
    hands.until(lambda: hands.run.state == "ABORTED", 600.0)
    plan = plan_of(purge())
    hands.context = with_plan(hands.context, plan)
    outcome, accepted = hands.ask("submit", None, run="run-2", plan=plan.plan_hash)
    assert not accepted
    assert outcome == "refused: tube has tripped (over_temperature); clear and reset that run first"


def test_people_keep_a_chamber_for_themselves_until_they_give_it_back_or_time_is_up() -> None:
    hands = Hands(stir())
    said = {"chamber": "vessel", "for_s": 3600.0, "reason": "cleaning"}
    assert hands.ask("reserve", None, **said) == ("accepted", True)
    hands.start()
    hands.scan()
    assert hands.run.waits == "vessel is reserved by person: cleaning"
    assert hands.ask("unreserve", None, chamber="vessel") == ("accepted", True)
    hands.until(lambda: hands.run.end_state == "COMPLETE", 600.0)
    assert hands.ask("reserve", None, **said)[1]
    begin(hands, "run-2", stir())
    hands.scan()
    assert other(hands).waits == "vessel is reserved by person: cleaning"
    hands.until(lambda: "stir" in other(hands).active, 4000.0)
    assert hands.state.reservations["vessel"]["until_s"] <= hands.now


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"chamber": "attic", "for_s": 1.0, "reason": "r"}, "no chamber attic on this bench"),
        ({"chamber": "vessel", "for_s": 1.0}, "say why (--reason)"),
        ({"chamber": "vessel", "for_s": -1.0, "reason": "r"}, "say for how long (--for), at most 14 days"),
        ({"chamber": "vessel", "for_s": True, "reason": "r"}, "say for how long (--for), at most 14 days"),
        ({"chamber": "vessel", "for_s": 2e6, "reason": "r"}, "say for how long (--for), at most 14 days"),
    ],
)
def test_a_reservation_names_a_chamber_a_time_and_a_reason(args: dict[str, object], said: str) -> None:
    outcome, accepted = Hands(stir()).ask("reserve", None, **args)
    assert not accepted
    assert outcome.startswith(f"refused: {said}")


def test_nobody_reserves_what_is_in_use_nor_gives_back_what_is_free() -> None:
    hands = Hands(stir(duration_s=600.0))
    hands.start()
    hands.scan()
    args = {"chamber": "vessel", "for_s": 60.0, "reason": "cleaning"}
    assert hands.ask("reserve", None, **args) == ("refused: vessel is busy with run run-1 (RUNNING)", False)
    assert hands.ask("unreserve", None, chamber=OVEN) == (f"refused: {OVEN} is not reserved", False)
