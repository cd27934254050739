"""Two runs side by side say what differs, each quantity once, and what only one of them met."""

from __future__ import annotations

from pathlib import Path

from labctl.analysis import Analysis, analyse
from labctl.analysis.comparison import compare
from labctl.store import Reader
from tests.analysis import synthetic


def run_in(path: Path, abort_at: str | None = None, seed: int | None = 7) -> Analysis:
    made = synthetic.make(path, scan_s=120.0, abort_at=abort_at, seed=seed)
    with Reader.open(made) as reader:
        return analyse(reader, synthetic.RUN, charts=False)


def test_a_run_beside_itself_differs_in_nothing(tmp_path: Path) -> None:
    run = run_in(tmp_path / "labctl.db")
    comparison = compare(run, run)
    assert not any(pair.differs for pair in comparison.pairs)
    assert (comparison.only_one, comparison.only_two) == ((), ())
    at = [(pair.step, pair.quantity) for pair in comparison.pairs]
    assert len(at) == len(set(at)) > 10


def test_a_run_that_was_aborted_is_told_from_one_that_was_not(tmp_path: Path) -> None:
    whole, cut = run_in(tmp_path / "a.db"), run_in(tmp_path / "b.db", "pyrolyse", None)
    comparison = compare(whole, cut)
    assert comparison.outcomes["state"] == ("COMPLETE", "ABORTED")
    assert comparison.outcomes["seed"] == ("7", "")
    assert any("furnace 842.0 degC" in text for text in comparison.only_two)
    pairs = {(pair.step, pair.quantity): pair for pair in comparison.pairs}
    assert pairs["pyrolyse", "duration"].two is None
    assert pairs["pyrolyse", "duration"].judged == (True, None)
    assert any(pair.step is None and pair.one is not None and pair.two is None for pair in comparison.pairs)
