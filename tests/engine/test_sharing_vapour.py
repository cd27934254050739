"""Who may come into an oven that others have their batches in: what their solvents, together, forbid."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.protocol.plan import Charge, Entry, Manual, Requirement
from labctl.protocol.vapour import dilution_l_per_min
from tests.engine.shared_oven import OVEN, Oven, at

WET = Charge(thf_g=4.0, ethanol_g=1.0)


def wet_pair(first: Charge = WET, second: Charge = WET, **of_oven: Any) -> Oven:
    """A run with solvent dries; another wants to come in."""
    hands = Oven(at(hold_s=3600.0), charge=first, **of_oven)
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(id="second"), charge=second)
    hands.scan()
    return hands


def test_two_wet_batches_share_an_oven_whose_exhaust_takes_the_vapour_of_both() -> None:
    assert list(wet_pair(exhaust_l_per_min=500.0).oven.claims) == ["run-1", "run-2"]


def test_the_vapour_of_all_batches_counts_against_the_exhaust() -> None:
    alone = dilution_l_per_min(WET, 40.0)
    hands = wet_pair(exhaust_l_per_min=1.5 * alone)
    said = f"the exhaust of {OVEN} draws {1.5 * alone:g} L/min; the solvent of 2 batches wants {2 * alone:.1f} L/min"
    assert hands.of_run("run-2").waits == said
    dry_one = wet_pair(second=Charge(), exhaust_l_per_min=1.5 * alone)
    assert list(dry_one.oven.claims) == ["run-1", "run-2"]


@pytest.mark.parametrize("volume_cm3", [53000.0, None])
def test_where_nobody_measured_the_exhaust_two_wet_batches_are_too_much(volume_cm3: float | None) -> None:
    hands = wet_pair(exhaust_l_per_min=None, volume_cm3=volume_cm3)
    said = f"the solvent of 2 batches is too much for {OVEN}: nobody measured its exhaust"
    assert hands.of_run("run-2").waits == said


def test_traces_of_solvent_in_a_large_oven_are_not() -> None:
    trace = Charge(ethanol_g=0.05)
    assert list(wet_pair(trace, trace, exhaust_l_per_min=None).oven.claims) == ["run-1", "run-2"]


def test_an_oven_whose_door_is_watched_stays_shut_while_there_may_be_solvent_in_it() -> None:
    hands = wet_pair(second=Charge(), io={"door": "io.door"})
    assert hands.of_run("run-2").waits == f"{OVEN} must stay shut: run-1 may hold solvent"


def test_a_batch_whose_solvent_was_weighed_to_be_gone_is_dry() -> None:
    weigh = Manual(
        id="weigh",
        do="Weigh it",
        enter=(Entry(name="wet_mass", unit="g"), Entry(name="dry_mass", unit="g")),
        require=(Requirement(quantity="solvent_loss", relation="at_least", value=99.0, unit="%"),),
    )
    hands = Oven(weigh, at(), charge=WET, io={"door": "io.door"})
    hands.start()
    hands.scan()
    values = {"wet_mass": 10.0, "dry_mass": 5.0}
    assert hands.ask("answer", "run-1", prompt="weigh", confirm=[], values=values)[1]
    hands.soaks()
    hands.begin("run-2", at(id="second"))
    hands.soaks("run-2")


def test_nobody_comes_in_while_a_batch_is_to_cool_down_there() -> None:
    hands = Oven(at(100.0, 600.0, after="cool"))
    hands.start()
    hands.soaks()
    hands.begin("run-2", at(100.0, 7200.0, id="second"))
    hands.until(lambda: "dry" in hands.run.active and hands.step("dry").phase == "leave", 2000.0)
    assert hands.oven.run == "run-2"
    hands.begin("run-3", at(100.0, id="third"))
    hands.scan()
    said = f"{OVEN} is busy with run run-2 (RUNNING); it is to cool down for what is in it"
    assert hands.of_run("run-3").waits == said
    hands.ends("run-2", "COMPLETE")
    hands.ends("run-1", "COMPLETE", 600.0)
    assert hands.heats()[:2] == [("heat", 100.0), ("heat_off", 20.0)]
