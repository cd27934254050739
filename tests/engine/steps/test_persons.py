"""What a manual step may ask besides values: files, a second person, and that somebody comes in time."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.protocol.plan import Entry, Manual, Measure
from tests.engine.bench import Hands, stir

PHOTO = {"name": "photo", "file": "results/abc-boat.png", "sha256": "ab" * 32}


def answered(hands: Hands, **args: Any) -> tuple[str, bool]:
    return hands.ask("answer", **({"prompt": "load", "confirm": [], "values": {}} | args))


def waiting(step: Manual | Measure) -> Hands:
    hands = Hands(step, stir())
    hands.start()
    hands.scan()
    return hands


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "bring a file: photo (--attach NAME=FILE)"),
        ({"files": [PHOTO, PHOTO | {"name": "poem"}]}, "no such file is asked for: poem"),
    ],
)
def test_a_step_takes_the_files_that_it_asks_for_and_no_others(args: dict[str, Any], said: str) -> None:
    hands = waiting(Manual(id="load", do="Load the boat", attach=("photo",)))
    assert hands.run.prompts["load"]["attach"] == ["photo"]
    assert answered(hands, **args) == (f"refused: {said}", False)
    assert answered(hands, files=[PHOTO]) == ("accepted", True)
    assert hands.of("answered")[-1]["files"] == [PHOTO]


@pytest.mark.parametrize("second", [None, "", "person"])
def test_who_checks_is_somebody_else(second: str | None) -> None:
    hands = waiting(Manual(id="load", do="Load the boat", checked=True))
    said = "refused: a second person besides person must have looked (--checked-by NAME)"
    assert answered(hands, checked_by=second) == (said, False)
    assert answered(hands, checked_by="Ada") == ("accepted", True)
    row = hands.of("answered")[-1]
    assert (row["actor"], row["checked_by"]) == ("person", "Ada")


def test_when_nobody_comes_alarms_call_ever_louder_and_then_the_run_is_held() -> None:
    hands = waiting(Manual(id="load", do="Load the boat", within_s=600.0))
    hands.go(590.0)
    assert hands.alarms == {}
    hands.go(30.0)
    assert [(n, a["priority"]) for n, a in hands.alarms.items()] == [("run-1/person_wanted", "medium")]
    hands.go(600.0)
    assert {n: a["priority"] for n, a in hands.alarms.items()} == {
        "run-1/person_wanted": "medium",
        "run-1/person_late": "high",
    }
    assert hands.run.state == "RUNNING"
    hands.go(620.0)
    assert hands.run.state in ("HOLDING", "HELD")
    assert hands.run.reason == "load: nobody came within 3 times 10 min"


def test_alarms_that_called_for_a_person_end_when_one_came() -> None:
    hands = waiting(
        Measure(
            id="load", what="mass", enter=(Entry(name="mass", unit="g"),), within_s=60.0, attach=("photo",)
        )
    )
    hands.go(150.0)
    assert set(hands.alarms) == {"run-1/person_wanted", "run-1/person_late"}
    assert answered(hands, values={"mass": 1.0}, files=[PHOTO])[1]
    hands.scan()
    assert hands.alarms == {}
    assert "load" in hands.run.done


def test_a_plan_says_nothing_of_what_a_step_does_not_ask() -> None:
    plain = Manual(id="load", do="Load the boat").model_dump(mode="json")
    assert not {"attach", "checked", "within_s"} & set(plain)
