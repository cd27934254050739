"""Whether a tube is tight, told by the oxygen that stays under flow."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.protocol.plan import LeakCheck
from tests.engine.bench import Hands


def check(**changes: Any) -> LeakCheck:
    given: dict[str, Any] = {"id": "leak", "instruments": ("nitrogen", "oxygen"), "chamber": "tube"}
    given |= {"gas": "nitrogen", "analyser": "oxygen", "flow_sccm": 200.0, "below_sccm": 0.05}
    return LeakCheck(**(given | {"duration_s": 60.0, "expected_s": 300.0, "timeout_s": 900.0} | changes))


def begun(oxygen_ppm: float) -> Hands:
    hands = Hands(check())
    hands.values["oxygen.oxygen"] = oxygen_ppm
    hands.start()
    hands.phase("leak", "watch")
    return hands


def test_a_tube_is_tight_once_little_oxygen_has_stayed_for_long_enough() -> None:
    hands = begun(500.0)
    hands.go(100.0)
    hands.values["oxygen.oxygen"] = 40.0
    hands.go(50.0)
    assert "leak" in hands.run.active
    hands.until(lambda: "leak" in hands.run.done, 20.0)
    assert hands.run.done["leak"]["leak_sccm"] == pytest.approx(38.0 * 200.0 / 209500.0)
    assert hands.run.done["leak"]["oxygen_ppm"] == 40.0


def test_a_leak_holds_the_run_and_says_how_large_it_is() -> None:
    hands = begun(210.0)
    hands.until(lambda: hands.run.state == "HELD", 1000.0)
    assert hands.run.reason == (
        "leak: up to 0.20 sccm of air leak in, wanted below 0.05 sccm; look at flanges and seals"
    )
    hands.values["oxygen.oxygen"] = 20.0
    assert hands.ask("restart")[1]
    hands.until(lambda: "leak" in hands.run.done, 200.0)


@pytest.mark.parametrize("spoilt", ["no flow", "no oxygen reading", "hot"])
def test_nothing_is_judged_without_flow_or_good_readings_nor_where_zirconia_lies(spoilt: str) -> None:
    hands = begun(5.0)
    if spoilt == "no flow":
        hands.nitrogen(False)
    elif spoilt == "hot":
        hands.at(320.0)
    else:
        hands.broken("oxygen.oxygen")
    hands.until(lambda: hands.run.state in ("HELD", "ABORTED"), 1000.0)
    assert "leak" not in hands.run.done


def test_a_break_in_the_proof_starts_it_anew() -> None:
    hands = begun(5.0)
    hands.go(50.0)
    hands.values["oxygen.oxygen"] = 300.0
    hands.go(5.0)
    hands.values["oxygen.oxygen"] = 5.0
    hands.go(50.0)
    assert "leak" in hands.run.active
    hands.until(lambda: "leak" in hands.run.done, 20.0)
