"""Another cylinder, told from a second terminal while a simulated run waits for it."""

from __future__ import annotations

from labctl.store.reader import Reader
from tests.cli.test_steering import Paced, eventually, paced

__all__ = ["paced"]

FULL = ("--lot", "4711", "--pressure", "198", "--reason", "empty")


def facts(run: Paced, kind: str) -> list[dict[str, object]]:
    with Reader.open(run.folder / "labctl.db") as reader:
        return [event.data for event in reader.every_event() if event.kind == kind]


def test_a_cylinder_is_swapped_under_a_held_run_and_flow_and_purge_are_proven_again(paced: Paced) -> None:
    assert paced.heats()
    code, out, said = paced.ask("gas", "swap", "nitrogen-cylinder", *FULL)
    assert (code, out) == (8, "")
    assert "tube heats on it; hold" in said
    assert paced.ask("hold")[0] == 0
    assert paced.reaches("HELD")
    for words, code, why in (
        (("argon", *FULL), 8, "no supply argon feeds a chamber here; there are nitrogen-cylinder"),
        (("nitrogen-cylinder", "--lot", "1", "--pressure", "4000", "--reason", "x"), 8, "up to 400"),
        (("nitrogen-cylinder", "--pressure", "198"), 2, "--lot"),
        (("nitrogen-cylinder", "--lot", "1", "--pressure", "full", "--reason", "x"), 2, "--pressure"),
    ):
        found = paced.ask("gas", "swap", *words)
        assert found[0] == code, found
        assert why in found[2], found
    swapped = paced.ask("gas", "swap", "nitrogen-cylinder", *FULL, "--by", "ada")
    assert swapped[:2] == (0, "gas swap nitrogen-cylinder: accepted\n")
    (fact,) = facts(paced, "gas_swapped")
    assert (fact["lot"], fact["pressure_bar"], fact["contents_l"], fact["by"]) == (
        "4711",
        198.0,
        9900.0,
        "ada",
    )
    assert facts(paced, "purge_voided")[-1]["cause"] == "nitrogen-cylinder was swapped"
    assert paced.ask("restart")[0] == 0
    assert eventually(lambda: len(facts(paced, "purge_proven")) == 2)
    assert paced.reaches("RUNNING")
