"""What people tell of samples while a controller has the bench is journaled, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.model.samples import ADDED
from tests.engine.bench import Hands


def test_a_fact_about_a_sample_goes_into_the_journal_with_who_told_it() -> None:
    hands = Hands()
    before = hands.state
    assert hands.ask("sample", None, kind=ADDED, data={"id": "p1", "kind": "powder"})[1]
    assert hands.of(ADDED) == [{"id": "p1", "kind": "powder", "by": "person"}]
    assert replace(hands.state, tally={}) == replace(before, tally={})


@pytest.mark.parametrize(
    ("kind", "data"),
    [("run_ended", {"end_state": "COMPLETE"}), (ADDED, {}), (ADDED, "p1"), (ADDED, {"id": "x" * 20_000})],
)
def test_nothing_else_can_be_told_that_way(kind: str, data: object) -> None:
    hands = Hands()
    outcome, accepted = hands.ask("sample", None, kind=kind, data=data)
    assert (accepted, outcome.startswith("refused")) == (False, True)
    assert ADDED not in hands.kinds()
    assert "run_ended" not in hands.kinds()
