"""Stirring."""

from __future__ import annotations

from tests.engine.bench import Hands, stir


def test_only_time_at_speed_is_stirred_and_the_drive_stops_at_the_end() -> None:
    hands = Hands(stir())
    hands.start()
    hands.phase("stir", "stir")
    hands.values["hotplate.speed"] = 284.0
    hands.go(100.0)
    assert hands.step("stir").phase == "stir"
    hands.values["hotplate.speed"] = 286.0
    hands.until(lambda: "stir" in hands.run.done, 70.0)
    assert hands.run.done["stir"]["stirred_s"] == 60.0
    assert [c.verb for c in hands.commands] == ["stir", "stir_off"]
    assert hands.run.end_state == "COMPLETE"
    assert not hands.state.chambers["vessel"].energised


def test_a_drive_that_does_not_turn_is_held_cold() -> None:
    hands = Hands(stir())
    hands.start()
    hands.scan()
    hands.values["hotplate.speed"] = 0.0
    hands.until(lambda: hands.run.state == "HELD", 400.0)
    assert hands.run.reason == "stir: not stirred for 60 s within 300 s"
    assert hands.sent("heat_off")
    assert hands.sent("stir")[-1].args == {"speed_rpm": 100.0}


def test_a_stop_whose_reply_was_lost_is_read_back() -> None:
    hands = Hands(stir())
    hands.outcome["stir_off"] = "carried out, reply lost"
    hands.start()
    hands.until(lambda: hands.run.end_state == "COMPLETE", 100.0)
    assert len(hands.sent("stir_off")) == 1
