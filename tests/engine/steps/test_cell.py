"""Cycling: charge first, a half ends by voltage or limit bit, current from the active mass."""

from __future__ import annotations

import pytest

from labctl.protocol.plan import Entry, Measure
from tests.engine.bench import Hands, cycle

WEIGH = Measure(id="weigh", what="mass", enter=(Entry(name="active_mass", unit="mg"),))


def cycling(outcome: str = "ok", **changes: object) -> Hands:
    hands = Hands(WEIGH, cycle(**changes))
    hands.start()
    hands.until(lambda: bool(hands.run.prompts), 20.0)
    hands.outcome["source"] = outcome
    hands.ask("answer", prompt="weigh", values={"active_mass": 2.0})
    hands.phase("cycle", "limit", 60.0)
    return hands


def test_charge_comes_first_at_the_current_of_the_active_mass() -> None:
    hands = cycling()
    source = hands.sent("source")[0].args
    assert source["voltage_v"] == 4.0
    assert source["limit_a"] == pytest.approx(0.5 * 117.6 * 2.0 * 1e-6)
    assert hands.state.chambers["cell"].programmed_a == source["limit_a"]


def test_half_cycles_alternate_and_end_by_voltage_then_open_circuit() -> None:
    hands = cycling()
    for half, target in enumerate((4.0, 2.0, 4.0, 2.0)):
        hands.until(lambda half=half: len(hands.sent("source")) == half + 1, 60.0)  # type: ignore[misc]
        hands.phase("cycle", "limit", 60.0)
        assert hands.sent("source")[-1].args["voltage_v"] == target
        hands.values["cycler.voltage"] = 3.0
        hands.go(20.0)
        hands.values["cycler.voltage"] = target
        hands.scan()
    hands.until(lambda: hands.run.end_state == "COMPLETE", 30.0)
    assert [c.verb for c in hands.commands] == ["source"] * 4 + ["open_circuit"]
    assert hands.run.done["cycle"]["cycles"] == 2
    assert hands.state.chambers["cell"].programmed_a == 0.0


def test_a_half_also_ends_when_the_limit_no_longer_acts_in_two_readings_running() -> None:
    hands = cycling()
    hands.values["cycler.limited"] = 0.0
    hands.scan()
    hands.values["cycler.limited"] = 1.0
    hands.scan()
    hands.values["cycler.limited"] = 0.0
    hands.scan()
    assert len(hands.sent("source")) == 1
    hands.scan()
    assert hands.sent("source")[-1].args["voltage_v"] == 2.0


def test_a_reading_that_is_not_good_ends_nothing() -> None:
    hands = cycling()
    hands.values["cycler.voltage"] = 4.0
    hands.broken("cycler.voltage")
    hands.go(60.0)
    assert len(hands.sent("source")) == 1


def test_without_an_active_mass_nothing_is_sourced() -> None:
    hands = Hands(cycle())
    hands.start()
    hands.until(lambda: hands.run.state == "HELD", 20.0)
    assert hands.run.reason == "cycle: no active mass was entered"
    assert not hands.sent("source")


def test_a_half_that_never_ends_is_held_at_open_circuit_and_goes_on_where_it_was() -> None:
    hands = cycling(timeout_s=600.0)
    hands.until(lambda: hands.run.state == "HELD", 700.0)
    assert "half cycle 1 did not end" in (hands.run.reason or "")
    assert hands.sent("open_circuit")
    assert hands.ask("restart")[1]
    hands.until(lambda: len(hands.sent("source")) == 2, 20.0)
    assert hands.sent("source")[-1].args == hands.sent("source")[0].args


@pytest.mark.parametrize(("carried_out", "state"), [(True, "RUNNING"), (False, "HELD")])
def test_a_lost_reply_to_the_second_half_is_told_by_the_sign_of_the_current(
    carried_out: bool, state: str
) -> None:
    hands = cycling()
    hands.outcome["source"] = "carried out, reply lost" if carried_out else "lost"
    hands.values["cycler.voltage"] = 4.0
    hands.go(60.0)
    assert len(hands.sent("source")) == 2
    assert hands.run.state == state


def test_a_lost_reply_to_open_circuit_is_read_back() -> None:
    hands = cycling(cycles=1)
    hands.outcome["open_circuit"] = "carried out, reply lost"
    hands.values["cycler.voltage"] = 4.0
    hands.go(15.0)
    hands.values["cycler.voltage"] = 2.0
    hands.until(lambda: hands.run.end_state == "COMPLETE", 60.0)
    assert len(hands.sent("open_circuit")) == 1


def test_a_half_cycle_that_ends_without_a_current_holds_for_a_lead_that_is_off() -> None:
    hands = cycling()
    hands.values["cycler.voltage"] = 4.0
    hands.values["cycler.current"] = hands.step("cycle").data["current_a"] * 0.009
    hands.go(10.0)
    assert hands.run.state in ("HOLDING", "HELD")
    assert "look for a lead that is off" in (hands.run.reason or "")
    assert hands.alarms["cell/held"]["first_out"]
    hands.until(lambda: hands.run.state == "HELD", 60.0)
    assert hands.ask("restart")[1]
    hands.go(10.0)
    assert "cell/held" not in hands.alarms
    assert len(hands.sent("source")) == 2, "the half cycle is begun again"
