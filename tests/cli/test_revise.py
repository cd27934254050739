"""A run under way gets another plan from another terminal."""

from __future__ import annotations

from labctl.store.reader import Reader
from tests.cli.test_steering import Paced, paced

__all__ = ["paced"]


def test_a_run_is_adjusted_skips_and_is_not_made_hotter(paced: Paced) -> None:
    assert paced.heats()
    said = paced.ask("adjust", "-p", "hold=20 min", "--reason", "too short", "--yes")
    assert said[0] == 8
    assert "is under way; `labctl hold" in said[2]
    assert paced.ask("pause")[0] == 0
    assert paced.reaches("PAUSED")
    code, out, said_to = paced.ask("adjust", "-p", "hold=20 min", "--reason", "too short", "--yes")
    assert code == 0, said_to
    assert "20 min" in out
    assert out.splitlines()[-1] == f"{paced.folder.name}: accepted"
    assert "the whole run: " in said_to
    assert paced.ask("adjust", "-p", "hold=20 min", "--reason", "again", "--yes")[0] == 2
    code, _, said_to = paced.ask("adjust", "-p", "hold=21 min", "--yes")
    assert code == 8
    assert "say why (--reason)" in said_to
    code, _, said_to = paced.ask("skip", "cool", "--reason", "in a hurry", "--yes")
    assert code in (3, 8)
    assert "cool" in said_to
    code, _, said_to = paced.ask("skip", "purge", "--reason", "over", "--yes")
    assert code == 2
    assert "purge is over" in said_to
    code, _, said_to = paced.ask("goto", "nowhere", "--reason", "lost", "--yes")
    assert code == 2
    assert "has no step 'nowhere'" in said_to
    assert paced.ask("resume")[0] == 0
    assert paced.ask("stop")[0] == 0
    paced.process.communicate(timeout=60)
    with Reader.open(paced.folder / "labctl.db") as reader:
        revised = [e.data for e in reader.events(paced.folder.name, kinds=("plan_revised",))]
    assert [row["reason"] for row in revised] == ["too short"]
    assert paced.ask("audit", "verify")[0] == 0
    code, _, said_to = paced.ask(
        "adjust", paced.folder.name, "-p", "hold=22 min", "--reason", "late", "--yes"
    )
    assert code == 2
    assert "labctl rerun" in said_to
