"""The simulated operator does what prompts ask, reads what a person would, and makes nothing up."""

from typing import Any, cast

import pytest

from labctl_simulators.chambers import Tube
from labctl_simulators.operator import OperatorError
from labctl_simulators.physics.halfcell import HalfCell
from labctl_simulators.twin import Twin, build
from tests.simulators.probes import Probe, probes, spec

__all__ = ["probes"]
pytestmark = pytest.mark.usefixtures("probes")


def ask(twin: Twin, kind: str = "manual", into: str | None = None, **enter: str) -> dict[str, float | bool]:
    entries = [{"name": name, "unit": unit, "min": None, "max": None} for name, unit in enter.items()]
    return twin.operator.answer({"kind": kind, "do": "", "enter": entries, "into": into, "confirm": []})


def oven_at(twin: Twin, celsius: float, hours: float) -> None:
    """Keep the dryer's air and load at a temperature."""
    oven: Any = twin.plant.chambers["dryer"]
    oven.air_c = oven.wall_c = oven.load_c = celsius
    oven.duty = (oven.leak_w_per_k + oven.wall_ambient_w_per_k) * (celsius - 22.0) / oven.full_power_w
    twin.advance_to(twin.plant.tick + hours * 3600)
    oven.duty = 0.0


def test_the_dish_is_weighed_to_a_tenth_of_a_milligram_and_loses_its_solvent() -> None:
    twin = build(spec(), None)
    weighed = ask(twin, into="dryer", tare="g", wet_mass="g")
    assert weighed["wet_mass"] - weighed["tare"] == pytest.approx(23.605, abs=1e-4)
    assert round(weighed["tare"], 4) == weighed["tare"]
    oven_at(twin, 40.0, 24.0)
    lost = weighed["wet_mass"] - ask(twin, dry_mass="g")["dry_mass"]
    assert lost == pytest.approx(8.89 + 0.97 * 3.945 + 0.35 * 9.0, abs=0.4)


def test_solvent_stays_in_the_vessel_until_it_is_poured() -> None:
    twin = build(spec(), None)
    twin.advance_to(7200)
    assert twin.truth()["batch"]["thf_g"] == 8.89


def test_a_fired_batch_gives_its_carbon_and_a_cell_of_its_capacity() -> None:
    twin = build(spec(), 3)
    ask(twin, into="tube")
    furnace = cast(Probe, twin.plant.devices["furnace"])
    furnace.target_c = 804.0
    twin.advance_to(3 * 3600)
    furnace.target_c = None
    furnace.bindings.set_heater and furnace.bindings.set_heater(0.0)
    twin.advance_to(12 * 3600)
    ask(twin, "unload", into="powder")
    batch = twin.plant.batch
    assert batch.place is None
    carbon = ask(twin, "measure", carbon="wt%")["carbon"]
    assert carbon == pytest.approx(batch.heat.carbon_wt_pct, abs=0.01)
    assert 2.7 < carbon < 4.2
    mass_mg = ask(twin, active_mass="mg")["active_mass"]
    assert mass_mg == pytest.approx(1.70, abs=0.06)
    cell = cast(HalfCell, twin.plant.chambers["cell"])
    assert cell.electrode is not None
    assert cell.voltage_v == pytest.approx(3.1, abs=0.2)


def test_opening_the_tube_lets_air_in_and_moves_the_batch() -> None:
    twin = build(spec(), None)
    tube = cast(Tube, twin.plant.chambers["tube"])
    tube.atmosphere.oxygen_ppm = 5.0
    ask(twin, into="furnace")
    assert (tube.atmosphere.oxygen_ppm, twin.plant.batch.place) == (209500.0, "tube")


def test_hands_stay_off_a_hot_tube() -> None:
    twin = build(spec(), None)
    cast(Probe, twin.plant.devices["furnace"]).target_c = 300.0
    twin.advance_to(1200)
    with pytest.raises(OperatorError, match=r"does not open 'tube' at \d\d\d degC"):
        ask(twin, into="tube")


def test_confirmations_are_given_and_peroxide_is_low() -> None:
    twin = build(spec(), None)
    step = {"kind": "manual", "do": "", "enter": [], "into": None, "confirm": ["trap empty", "extraction on"]}
    assert twin.operator.answer(step) == {"trap empty": True, "extraction on": True}
    assert ask(twin, peroxide="ppm") == {"peroxide": 3.0}


def test_masses_come_in_the_unit_asked_for() -> None:
    twin = build(spec(), None)
    assert ask(twin, tare="mg")["tare"] == pytest.approx(52314.7)
    assert ask(twin, active_mass="mg") == {"active_mass": 1.7}


@pytest.mark.parametrize(
    ("kind", "into", "enter", "message"),
    [
        (
            "measure",
            None,
            {"surface_area": "m2/g"},
            "no model gives 'surface_area'.*can read active_mass, carbon",
        ),
        ("measure", None, {"carbon": "g"}, "carbon is read in wt%, not in 'g'"),
        ("manual", "attic", {}, "'attic' names 0 chambers of this bench"),
        ("voltammetry", None, {}, "does not know prompts of kind 'voltammetry'"),
    ],
)
def test_what_no_model_gives_is_refused_by_name(
    kind: str, into: str | None, enter: dict[str, str], message: str
) -> None:
    with pytest.raises(OperatorError, match=message):
        ask(build(spec(), None), kind, into, **enter)


def test_a_refused_prompt_leaves_the_plant_as_it_was() -> None:
    twin = build(spec(), None)
    with pytest.raises(OperatorError):
        ask(twin, into="tube", surface_area="m2/g")
    assert twin.plant.batch.place is None


def test_the_same_seed_gives_the_same_answers_and_another_seed_others() -> None:
    masses = [ask(build(spec(), seed), active_mass="mg")["active_mass"] for seed in (1, 1, 2, 3, 4)]
    assert masses[0] == masses[1]
    assert len(set(masses)) > 2
