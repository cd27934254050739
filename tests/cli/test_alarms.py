"""Alarms from a second terminal: seen, acknowledged, shelved; a guard bypassed; and what people may not silence."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.test_steering import Paced, eventually, paced

__all__ = ["paced"]

LOST = "tube/nitrogen_lost"


def alarms(run: Paced) -> dict[str, dict[str, Any]]:
    code, out, said = run.ask("alarms", "--json")
    assert code == 0, said
    return {alarm["id"]: alarm for alarm in json.loads(out.splitlines()[-1])["alarms"]}


def test_an_alarm_is_seen_acknowledged_and_counted_from_another_terminal(paced: Paced) -> None:
    assert paced.heats()
    assert alarms(paced) == {}
    assert paced.ask("ack")[0] == 2, "nothing waits"
    assert paced.ask("sim", "fault", "nitrogen", "supply_lost")[0] == 0
    assert eventually(lambda: LOST in alarms(paced))
    assert alarms(paced)[LOST]["state"] in ("UNACK", "RTN_UNACK"), "a cold tube needs no nitrogen"
    assert alarms(paced)[LOST]["first_out"]
    code, out, _ = paced.ask("status")
    assert code == 0
    assert "UNACK): tube: N2 lost" in out, out
    assert f"[{LOST}]" in out

    code, out, said = paced.ask("shelve", LOST, "--for", "1 h", "--reason", "known")
    assert code == 8, said
    assert "belongs to a guard that trips" in said
    assert paced.ask("ack", LOST, "--by", "ada")[:2] == (0, f"ack {LOST}: accepted\n")
    acknowledged = alarms(paced).get(LOST)
    assert acknowledged is None or (acknowledged["state"], acknowledged["by"]) == ("ACKED", "ada")

    code, out, _ = paced.ask("alarms", "--stats", "--json")
    numbers = json.loads(out.splitlines()[-1])
    assert numbers["by_alarm"][LOST] == 1
    assert numbers["annunciations"] == sum(numbers["by_alarm"].values())


def test_a_guard_is_bypassed_only_where_that_is_allowed_and_every_face_says_so(paced: Paced) -> None:
    assert paced.heats()
    for guard, code, why in (
        ("oxygen_high", 2, "name the guard as CHAMBER/GUARD"),
        ("tube/over_temperature", 8, "can never be bypassed"),
        ("tube/oxygen_hihg", 8, "has no guard oxygen_hihg"),
        ("tube/oxygen_high", 8, "say why (--reason)"),
    ):
        found = paced.ask("bypass", guard, "--for", "1 h")
        assert found[0] == code, found
        assert why in found[2], found
    assert paced.ask("bypass", "tube/oxygen_high", "--for", "13 h", "--reason", "x")[0] == 8
    said = paced.ask("bypass", "tube/oxygen_high", "--for", "1 h", "--reason", "drifts", "--by", "grace")
    assert said[:2] == (0, "bypass tube/oxygen_high: accepted\n")
    assert "BYPASS: tube/oxygen_high only tells" in paced.ask("status")[1]
    assert [b["by"] for b in paced.status()["bypasses"]] == ["grace"]
    assert "tube/oxygen_high/bypassed" in alarms(paced)
    assert paced.ask("bypass", "tube/oxygen_high", "--end")[0] == 0
    assert paced.status()["bypasses"] == []
