"""What is weighed and dispensed is read off the instruments, judged, and the rest of the batch follows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from labctl.engine.state import StepState
from labctl.engine.steps.people import refusal
from labctl.engine.steps.weighing import _by_lot
from labctl.errors import ValidationError
from labctl.protocol.batch import batch
from labctl.protocol.cookbook import find_recipe
from labctl.protocol.plan import Portion
from labctl.testing.bench import BenchInTest
from labctl_simulators.physics.pan import WeighingPan

HEAD = """
protocol: pot
product: {formula: Na3V2(PO4)3, mass: 1.0 g, recipe: na3v2}
roles: {scales: balance, pump: syringe_pump, stirrer: hotplate_stirrer}
steps:
"""
V2O5 = "  - {id: vanadium, weigh: {with: scales, reagent: V2O5}}\n"
CARBONATE = "  - {id: carbonate, weigh: {with: scales, reagent: Na2CO3, lot: L-77}}\n"
POLYMER = "  - {id: polymer, weigh: {with: scales, reagent: PEO-b-PS}}\n"
THF = "  - {id: thf, dispense: {with: pump, reagent: THF, rate: 20 mL/min}}\n"


@contextmanager
def pot(*steps: str) -> Iterator[BenchInTest]:
    bench = BenchInTest("synthesis")
    try:
        bench.start(HEAD + "".join(steps))
        yield bench
    finally:
        bench.close()


def taken(bench: BenchInTest) -> dict[str, dict[str, Any]]:
    """The newest record of each step."""
    return {e.data["of"]: e.data for e in bench.events if e.kind == "taken"}


def prompts(bench: BenchInTest) -> list[str]:
    return [e.data["do"] for e in bench.events if e.kind == "prompt"]


def pan(bench: BenchInTest) -> WeighingPan:
    found = bench.twin.plant.chambers["pan"]
    assert isinstance(found, WeighingPan)
    return found


def fault(bench: BenchInTest, instrument: str, kind: str, **parameters: Any) -> None:
    bench.twin.faults.add({"instrument": instrument, "kind": kind, "parameters": parameters})


def phase(bench: BenchInTest, step: str, wanted: str) -> bool:
    active = bench.run.active if bench.run else {}
    return step in active and active[step].phase == wanted


def test_a_reagent_is_weighed_net_of_its_vessel_as_the_recipe_has_it() -> None:
    with pot(CARBONATE) as bench:
        assert bench.finish() == "COMPLETE"
        said = taken(bench)["carbonate"]
        assert (said["wanted"], said["unit"], said["verdict"]) == (pytest.approx(0.3488, abs=5e-5), "g", "ok")
        assert said["taken"] == pytest.approx(pan(bench).load_g - 18.4321, abs=5e-4)
        assert said["lots"] == {"L-77": said["taken"]}
        assert (said["purity_wt_pct"], said["formula"]) == (100.0, "Na2CO3")
        vessel, add = prompts(bench)
        assert vessel.startswith("Put an empty, dry vessel for Na2CO3 on balance")
        assert add.startswith("Put 0.3488 g of Na2CO3 lot L-77 into the vessel: 0.3453 to 0.3523 g")


@contextmanager
def told_lots(bench: BenchInTest, *lots: str) -> Iterator[None]:
    """The operator says of which lot it is, each time that is asked."""
    entered, left = bench.twin.entered, list(lots)

    def telling(prompt: Any) -> dict[str, Any]:
        return {**entered(prompt), **({"lot": left.pop(0)} if "lot" in prompt and left else {})}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.twin, "entered", telling)
        yield
    assert not left


def test_the_lot_of_a_bottle_is_what_the_person_says_who_weighs_from_it() -> None:
    with pot(CARBONATE, V2O5) as bench, told_lots(bench, "MK-1"):
        fault(bench, "balance", "hand_slips", percent=-10.0)
        bench.until(lambda: "carbonate" in taken(bench))
        bench.twin.faults.clear()
        assert bench.finish() == "COMPLETE"
        assert [e.data["lot"] for e in bench.events if e.kind == "answered" and "lot" in e.data] == ["MK-1"]
        assert {step: [*data["lots"]] for step, data in taken(bench).items()} == {
            "carbonate": ["MK-1"],
            "vanadium": [""],
        }
        assert "of Na2CO3 lot MK-1 into the vessel" in prompts(bench)[2]
        assert bench.run is not None
        assert [*bench.run.done["carbonate"]["lots"]] == ["MK-1"]


def test_each_lot_is_known_by_how_much_of_it_went_in() -> None:
    with pot(CARBONATE) as bench, told_lots(bench, "MK-1", "MK-2"):
        fault(bench, "balance", "hand_slips", percent=-10.0)
        bench.until(lambda: len(prompts(bench)) == 3)
        bench.twin.faults.clear()
        assert bench.finish() == "COMPLETE"
        said = taken(bench)["carbonate"]
        assert said["lots"]["MK-1"] == pytest.approx(0.9 * said["taken"], rel=0.01)
        assert said["lots"]["MK-2"] == pytest.approx(0.1 * said["taken"], rel=0.1)
        assert sum(said["lots"].values()) == pytest.approx(said["taken"], abs=1e-5)


@pytest.mark.parametrize(
    ("asked", "lot", "said"),
    [
        ({"lot": ""}, "MK-1", None),
        ({"lot": "L-77"}, "", None),
        ({}, "MK-1", "carbonate asks for nothing that has a lot"),
        ({"lot": ""}, "x" * 65, "a lot is a line of at most 64 characters"),
        ({"lot": ""}, "a\nb", "a lot is a line of at most 64 characters"),
        ({"lot": ""}, 7, "a lot is a line of at most 64 characters"),
    ],
)
def test_a_lot_is_one_line_and_told_where_it_is_asked_for(
    asked: dict[str, str], lot: Any, said: str | None
) -> None:
    prompt = {"id": "carbonate", "confirm": [], "enter": [], **asked}
    assert refusal(prompt, {"values": {}, "lot": lot}, "ada") == said


def test_too_little_is_asked_for_again_and_what_is_missing_is_said() -> None:
    with pot(CARBONATE) as bench:
        fault(bench, "balance", "hand_slips", percent=-10.0)
        assert bench.finish() == "COMPLETE"
        asked = prompts(bench)[1:]
        assert [text.split(" g")[0] for text in asked] == ["Put 0.3488", "Put 0.0349"]
        assert taken(bench)["carbonate"]["verdict"] == "ok"


def test_too_much_is_taken_out_again_unless_a_person_keeps_it() -> None:
    with pot(CARBONATE) as bench:
        fault(bench, "balance", "hand_slips", percent=10.0)
        assert bench.finish() == "COMPLETE"
        assert "0.0349 g too much of Na2CO3 (+10.0 %)" in prompts(bench)[-1]
        assert taken(bench)["carbonate"]["deviation_pct"] == pytest.approx(0.0, abs=0.2)


def test_what_is_kept_makes_the_batch_larger_and_the_rest_follows_as_the_recipe_command_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pot(CARBONATE, V2O5, POLYMER, THF) as bench:
        monkeypatch.setitem(bench.twin.operator._read, "keep", lambda batch: (1.0, "1", 1.0))
        fault(bench, "balance", "hand_slips", percent=4.0)
        bench.until(lambda: "carbonate" in taken(bench))
        bench.twin.faults.clear()
        assert bench.finish() == "COMPLETE"
        said = taken(bench)
        assert said["carbonate"]["deviation_pct"] == pytest.approx(4.0, abs=0.2)
        recipe = batch(find_recipe("na3v2"), 1.0).weighed("Na2CO3", f"{said['carbonate']['taken']} g")
        for step, name in (("vanadium", "V2O5"), ("polymer", "PEO-b-PS"), ("thf", "THF")):
            assert said[step]["verdict"] == "ok"
            after = recipe if step == "vanadium" else recipe.weighed("V2O5", f"{said['vanadium']['taken']} g")
            assert said[step]["wanted"] == pytest.approx(after.wanted(name), rel=1e-5)


def keep_too_much_carbonate(bench: BenchInTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the vanadium, which then lags behind."""
    monkeypatch.setitem(bench.twin.operator._read, "keep", lambda batch: (1.0, "1", 1.0))
    bench.until(lambda: "vanadium" in taken(bench))
    fault(bench, "balance", "hand_slips", percent=4.0)
    bench.until(lambda: "carbonate" in taken(bench))
    bench.twin.faults.clear()
    assert bench.finish() == "COMPLETE"


def test_what_was_weighed_before_and_lags_behind_is_topped_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pot(V2O5, CARBONATE) as bench:
        keep_too_much_carbonate(bench, monkeypatch)
        said = taken(bench)
        factors = {step: said[step]["taken"] / said[step]["planned"] for step in said}
        assert factors["vanadium"] == pytest.approx(1.04, abs=0.005)
        assert factors["vanadium"] == pytest.approx(factors["carbonate"], rel=0.01)
        assert "Put an empty, dry vessel for V2O5" in prompts(bench)[-2]


def test_what_is_topped_up_from_another_bottle_keeps_both_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    with pot(V2O5, CARBONATE) as bench, told_lots(bench, "V-1", "N-1", "V-2"):
        keep_too_much_carbonate(bench, monkeypatch)
        of_vanadium = [e.data for e in bench.events if e.kind == "taken" and e.data["of"] == "vanadium"]
        assert [[*data["lots"]] for data in of_vanadium] == [["V-1"], ["V-2"]]
        in_all = sum(grams for data in of_vanadium for grams in data["lots"].values())
        assert in_all == pytest.approx(of_vanadium[-1]["taken"], abs=1e-5)


def test_what_is_taken_out_of_a_vessel_again_was_of_all_its_lots() -> None:
    portion = Portion(reagent="V2O5", unit="g", amount=1.0, tolerance_pct=1.0)
    state = StepState("vanadium", "read", 0.0, 0.0, data={"lot": "B", "lots": {"A": 0.9, "B": 0.3}})
    assert _by_lot(state, portion, 1.0) == {"A": 0.75, "B": 0.25}
    assert _by_lot(state, portion, 1.3) == {"A": 0.9, "B": 0.4}


def test_a_tare_changed_at_the_panel_holds_the_run() -> None:
    with pot(CARBONATE) as bench:
        bench.until(lambda: phase(bench, "carbonate", "read"))
        fault(bench, "balance", "panel_tare")
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.1)
        assert bench.run is not None
        assert "tare of balance was changed" in (bench.run.reason or "")
        assert "carbonate" not in taken(bench)
        bench.twin.faults.clear()
        bench.ask("restart")
        assert bench.finish() == "COMPLETE"
        assert taken(bench)["carbonate"]["verdict"] == "ok"


def test_a_balance_that_never_rests_holds_the_run() -> None:
    with pot(CARBONATE) as bench:
        bench.until(lambda: phase(bench, "carbonate", "read"))
        fault(bench, "balance", "draught")
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.2)
        assert bench.run is not None
        assert "does not come to rest" in (bench.run.reason or "")


def test_a_hand_that_never_gets_it_right_holds_the_run() -> None:
    with pot(CARBONATE) as bench:
        fault(bench, "balance", "hand_slips", percent=-60.0)
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.2)
        assert bench.run is not None
        assert "% off after 5 tries" in (bench.run.reason or "")


def test_a_step_paused_between_vessel_and_reagent_goes_on_with_the_same_vessel() -> None:
    with pot(CARBONATE) as bench:
        bench.until(lambda: phase(bench, "carbonate", "read"))
        bench.ask("pause")
        bench.until(lambda: bench.run is not None and bench.run.state == "PAUSED")
        bench.advance(60.0)
        bench.ask("resume")
        assert bench.finish() == "COMPLETE"
        assert sum("vessel for" in text for text in prompts(bench)) == 1
        assert taken(bench)["carbonate"]["verdict"] == "ok"


def test_a_liquid_is_dispensed_by_the_pumps_own_count() -> None:
    with pot(THF) as bench:
        assert bench.finish() == "COMPLETE"
        said = taken(bench)["thf"]
        assert (said["taken"], said["unit"], said["verdict"]) == (pytest.approx(10.0, abs=0.01), "mL", "ok")
        assert bench.twin.truth()["syringe"]["poured_ml"] == pytest.approx(10.0, abs=0.01)
        assert bench.value("pump.pumping") == 0.0
        assert not bench._started().controller.state.chambers["vessel"].dosing


@pytest.mark.parametrize(
    ("verb", "state", "again"), [("pause", "PAUSED", "resume"), ("hold", "HELD", "restart")]
)
def test_a_run_that_is_held_stops_the_pump_and_pumps_only_the_rest_afterwards(
    verb: str, state: str, again: str
) -> None:
    with pot(THF) as bench:
        bench.until(lambda: phase(bench, "thf", "pump"))
        bench.advance(10.0)
        bench.ask(verb)
        bench.until(lambda: bench.run is not None and bench.run.state == state)
        poured = bench.twin.truth()["syringe"]["poured_ml"]
        bench.advance(60.0)
        assert bench.twin.truth()["syringe"]["poured_ml"] == poured
        bench.ask(again)
        assert bench.finish() == "COMPLETE"
        assert bench.twin.truth()["syringe"]["poured_ml"] == pytest.approx(10.0, abs=0.03)
        assert taken(bench)["thf"]["taken"] == pytest.approx(10.0, abs=0.03)


def test_a_blocked_line_holds_the_run_and_the_rest_is_pumped_when_it_is_free() -> None:
    with pot(THF) as bench:
        bench.until(lambda: phase(bench, "thf", "pump"))
        bench.advance(6.0)
        fault(bench, "pump", "line_blocked")
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.1)
        assert bench.run is not None
        assert "stopped by itself (it stalled)" in (bench.run.reason or "")
        bench.twin.faults.clear()
        bench.ask("restart")
        assert bench.finish() == "COMPLETE"
        assert bench.twin.truth()["syringe"]["poured_ml"] == pytest.approx(10.0, abs=0.03)


def test_a_pump_stopped_at_its_keypad_holds_the_run() -> None:
    with pot(THF) as bench:
        bench.until(lambda: phase(bench, "thf", "pump"))
        fault(bench, "pump", "panel_mode")
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.1)
        assert bench.run is not None
        assert "was stopped after" in (bench.run.reason or "")


def test_a_pump_whose_power_was_off_is_never_given_more_than_was_missing() -> None:
    with pot(THF) as bench:
        bench.until(lambda: phase(bench, "thf", "pump"))
        bench.advance(10.0)
        bench.twin.faults.add({"instrument": "pump", "kind": "power", "for_s": 8.0})
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.1)
        bench.advance(30.0)
        bench.ask("restart")
        assert bench.finish() == "COMPLETE"
        assert bench.twin.truth()["syringe"]["poured_ml"] == pytest.approx(10.0, abs=2.1), (
            "one scan is not seen"
        )


def test_nothing_flammable_is_dispensed_onto_a_warm_plate() -> None:
    with pot(THF) as bench:
        plate: Any = bench.twin.plant.chambers["vessel"]
        plate.plate_c, plate._resting = 55.0, False
        bench.until(lambda: phase(bench, "thf", "cool"), within_h=0.1)
        bench.until(lambda: any(e.kind == "step_waits" for e in bench.events), within_h=0.1)
        assert bench.twin.truth()["syringe"]["poured_ml"] == 0.0
        assert bench.finish() == "COMPLETE"
        assert plate.plate_c < 40.0


def test_what_another_step_pumped_is_not_counted_for_one_that_did_not_start() -> None:
    first = "  - {id: first, dispense: {with: pump, reagent: H2O, volume: 4 mL, rate: 20 mL/min}}\n"
    with pot(first, THF) as bench:
        bench.until(lambda: phase(bench, "first", "pump"))
        fault(bench, "pump", "setpoints_ignored")
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.1)
        assert bench.run is not None
        assert "VOL" in (bench.run.reason or "")
        bench.twin.faults.clear()
        bench.ask("restart")
        assert bench.finish() == "COMPLETE"
        assert bench.twin.truth()["syringe"]["poured_ml"] == pytest.approx(14.0, abs=0.03)
        assert taken(bench)["thf"]["taken"] == pytest.approx(10.0, abs=0.01)


def test_a_pump_held_when_all_is_poured_pumps_nothing_more() -> None:
    with pot(THF) as bench:
        bench.until(lambda: phase(bench, "thf", "pump"))
        bench.until(lambda: bench.twin.truth()["syringe"]["poured_ml"] > 9.999)
        bench.ask("pause")
        bench.until(lambda: bench.run is not None and bench.run.state == "PAUSED")
        bench.ask("resume")
        assert bench.finish() == "COMPLETE"
        assert bench.twin.truth()["syringe"]["poured_ml"] == pytest.approx(10.0, abs=0.01)


def test_a_plate_that_stays_warm_or_is_not_told_holds_the_run_in_the_end() -> None:
    slow = THF.replace("rate: 20 mL/min", "rate: 20 mL/min, timeout: 4 min")
    with pot(slow) as bench:
        bench.twin.faults.add({"instrument": "hotplate", "kind": "sensor_open"})
        bench.until(lambda: bench.run is not None and bench.run.state == "HELD", within_h=0.2)
        assert bench.run is not None
        assert "is not dispensed within 240 s" in (bench.run.reason or "")
        told = next(e.data for e in bench.events if e.kind == "step_waits")
        assert told["waits_for"] == ["flammable_plate"]
        assert bench.twin.truth()["syringe"]["poured_ml"] == 0.0


def test_nothing_flammable_is_dispensed_while_the_hood_does_not_draw() -> None:
    with pot(THF) as bench:
        fault(bench, "io", "contact_open", contact="extraction")
        bench.until(lambda: any(e.kind == "step_waits" for e in bench.events), within_h=0.1)
        told = next(e.data for e in bench.events if e.kind == "step_waits")
        assert told["waits_for"] == ["extraction"]
        assert bench.twin.truth()["syringe"]["poured_ml"] == 0.0
        bench.twin.faults.clear()
        assert bench.finish() == "COMPLETE"


def test_water_is_dispensed_onto_a_warm_plate() -> None:
    water = "  - {id: thf, dispense: {with: pump, reagent: H2O, volume: 2 mL, rate: 20 mL/min}}\n"
    with pot(water) as bench:
        plate: Any = bench.twin.plant.chambers["vessel"]
        plate.plate_c, plate._resting = 80.0, False
        assert bench.finish() == "COMPLETE"


def test_the_safe_state_of_a_vessel_stops_its_pump() -> None:
    with pot(THF) as bench:
        bench.until(lambda: phase(bench, "thf", "pump"))
        bench.advance(5.0)
        bench.ask("abort")
        assert bench.finish() == "ABORTED"
        assert bench.twin.plant.devices["pump"].state == "S"  # type: ignore[attr-defined]
        items = [e.data["item"] for e in bench.events if e.kind == "safe_item" and e.data.get("confirmed")]
        assert "dosing_off" in items


@pytest.mark.parametrize(
    ("step", "rule", "said"),
    [
        ("  - {id: a, weigh: {with: scales, reagent: Na2C03}}\n", "RCP-006", "no reagent 'Na2C03'"),
        ("  - {id: a, weigh: {with: pump, reagent: Na2CO3}}\n", "ROLE-003", "needs balance"),
        ("  - {id: a, dispense: {with: pump, reagent: Na2CO3, rate: 1 mL/min}}\n", "RCP-006", "is a solid"),
        (
            "  - {id: a, dispense: {with: pump, reagent: THF, rate: 1 mL/min, volume: 60 mL}}\n",
            "BIND-009",
            "60 mL",
        ),
        ("  - {id: a, dispense: {with: pump, reagent: THF, rate: 1 g/min}}\n", "QTY-001", "1 g/min"),
    ],
)
def test_what_cannot_be_weighed_or_dispensed_is_refused_at_the_desk(step: str, rule: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught, pot(step):
        pass
    assert [f.rule for f in caught.value.findings if f.severity == "error"] == [rule]
    assert said in str(caught.value)


def test_an_amount_that_the_protocol_gives_itself_is_taken_as_it_is() -> None:
    given = "  - {id: water, dispense: {with: pump, reagent: H2O, volume: 2 mL, rate: 20 mL/min}}\n"
    salt = "  - {id: salt, weigh: {with: scales, reagent: NaCl, mass: 0.5 g, tolerance: 2 %}}\n"
    bench = BenchInTest("synthesis")
    try:
        bench.start(
            HEAD.replace("product: {formula: Na3V2(PO4)3, mass: 1.0 g, recipe: na3v2}\n", "") + salt + given
        )
        assert bench.finish() == "COMPLETE"
        said = taken(bench)
        assert said["salt"]["wanted"] == 0.5
        assert (said["water"]["wanted"], said["water"]["follows"]) == (2.0, False)
    finally:
        bench.close()
