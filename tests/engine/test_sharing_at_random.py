"""Three runs in one oven, and people who hold, stop, abort and restart them at any moment: what holds throughout."""

from __future__ import annotations

import random

import pytest

from labctl.engine.machine import allowed_commands
from tests.engine.shared_oven import OVEN, Oven, at, keep
from tests.engine.test_spans import answer_all, into

ASKED = ("pause", "resume", "hold", "restart", "stop", "abort")


def judge(hands: Oven) -> None:
    """What holds after every scan."""
    oven, runs = hands.oven, hands.state.runs
    going = {name for name, run in runs.items() if run.end_state is None}
    if oven.safe is None:
        assert set(oven.claims) <= going
        assert oven.run is None or oven.run in oven.claims
    if oven.claims and oven.run is not None and oven.lease is not None and runs[oven.run].state != "RUNNING":
        wanting = [
            n for n, c in oven.claims.items() if c["setpoint_c"] is not None and runs[n].state == "RUNNING"
        ]
        # whoever was restarted in this scan takes the lead with its next step
        assert all(
            step.phase in ("enter", "permissives") for n in wanting for step in runs[n].active.values()
        )
    if oven.lease is not None and oven.safe is None:
        assert oven.energised
        assert hands.values["oven.setpoint"] == 40.0
        assert any(c["setpoint_c"] for c in oven.claims.values()) or hands.state.reservations
    if oven.custody is not None:
        assert oven.run is None
        assert oven.claims == {}


def meddle(hands: Oven, draw: random.Random) -> None:
    """Somebody does something, or something happens."""
    run = draw.choice(list(hands.state.runs.values()))
    match draw.random():
        case p if p < 0.6:
            allowed = [verb for verb in ASKED if verb.upper() in allowed_commands(run.state)]
            wanted = [verb for verb in allowed if verb in ("resume", "restart") or draw.random() < 0.4]
            if wanted:
                hands.ask(draw.choice(wanted), run.run_id, reason="so")
        case p if p < 0.7:
            hands.scan(recovered=True)
        case p if p < 0.8:
            keep(hands, for_s=draw.uniform(60.0, 4000.0))
        case p if p < 0.9:
            hands.ask("unreserve", None, chamber=OVEN)
        case _:
            answer_all(hands)


@pytest.mark.parametrize("seed", range(12))
def test_whoever_meddles_an_oven_is_warm_for_somebody_and_every_run_comes_to_its_end(seed: int) -> None:
    draw = random.Random(seed)
    steps = [
        (
            into(OVEN, f"in-{number}"),
            at(
                id=f"dry-{number}",
                hold_s=draw.uniform(300.0, 5000.0),
                after=draw.choice(("cool", "off", "continue")),
            ),
            at(id=f"again-{number}", hold_s=draw.uniform(300.0, 1000.0), after="off"),
        )[: draw.choice((2, 3))]
        for number in range(3)
    ]
    hands = Oven(*steps[0])
    hands.start()
    for number in (1, 2):
        for _ in range(draw.randint(0, 40)):
            hands.scan()
            answer_all(hands)
            judge(hands)
        hands.begin(f"run-{number + 1}", *steps[number])
    for _ in range(40):
        for _ in range(draw.randint(1, 30)):
            hands.scan()
            judge(hands)
        meddle(hands, draw)
        judge(hands)

    def over() -> bool:
        answer_all(hands)
        for run in list(hands.state.runs.values()):
            for state, verb in (("HELD", "restart"), ("PAUSED", "resume")):
                if run.state == state:
                    hands.ask(verb, run.run_id, reason="so")
        judge(hands)
        return all(run.end_state is not None for run in hands.state.runs.values())

    hands.until(over, 60_000.0)
    for kept in list(hands.state.reservations):
        hands.ask("unreserve", None, chamber=OVEN)
        assert kept not in hands.state.reservations
    hands.until(
        lambda: hands.oven.run is None and hands.oven.lease is None and not hands.oven.energised, 3000.0
    )
