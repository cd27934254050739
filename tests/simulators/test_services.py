"""What is around a tube furnace: pressure, cylinder, and everything in series in front of the heater."""

from __future__ import annotations

from typing import Any, cast

import pytest

from labctl_simulators.chambers import Tube
from labctl_simulators.devices.io_module import IoModule
from labctl_simulators.physics.services import Services
from labctl_simulators.plant import Plant
from labctl_simulators.twin import build
from tests.simulators.probes import probes, spec

__all__ = ["probes"]
pytestmark = pytest.mark.usefixtures("probes")


def guarded(**options: float) -> dict[str, Any]:
    described = spec()
    described["instruments"]["io"] = {"device": "io_module", "chamber": "tube", "options": options}
    return described


def around(plant: Plant) -> Services:
    services = cast(Tube, plant.chambers["tube"]).services
    assert services is not None
    return services


def test_pressure_follows_flow_through_the_exhaust() -> None:
    services = Services()
    services.energise("bypass", True)
    for _ in range(60):
        assert services.step(1.0, 500.0, 20.0) == 500.0
    assert services.tube_bar == pytest.approx(0.01, rel=1e-3)
    services.exhaust_bar_per_sccm = 1.0  # blocked
    services.step(60.0, 500.0, 20.0)
    # a sealed tube of 2290 cm3 gains p0 Q t / V a minute
    assert services.tube_bar == pytest.approx(0.01 + 1.01325 * 500.0 / 2290.0, rel=0.01)


@pytest.mark.parametrize("dt", [0.1, 1.0, 10.0])
def test_the_pressure_does_not_depend_on_the_step(dt: float) -> None:
    services = Services(exhaust_bar_per_sccm=2e-4)
    for _ in range(round(30.0 / dt)):
        services.step(dt, 100.0, 20.0)
    assert services.tube_bar == pytest.approx(0.06 * (1.0 - 2.718281828 ** (-30.0 / 27.12)), rel=1e-3)


def test_a_cylinder_empties_with_what_flows_and_then_nothing_flows() -> None:
    plant = Plant(guarded(sim_cylinder_l=1.0, sim_cylinder_bar=100.0), None)
    plant.flows["nitrogen"].setpoint_sccm = 800.0
    plant.advance_to(30)
    assert around(plant).cylinder_gauge_bar == pytest.approx(50.0, abs=2.0)
    plant.advance_to(120)
    tube = cast(Tube, plant.chambers["tube"])
    assert (around(plant).cylinder_gauge_bar, around(plant).bypass_flow_sccm) == (0.0, 0.0)
    assert tube.flow_sccm < 1.0
    tube.swap_cylinder()
    plant.advance_to(130)
    assert tube.flow_sccm == pytest.approx(1000.0, rel=0.01)


def test_contactor_limiter_and_e_stop_each_take_the_heat_away() -> None:
    plant = Plant(guarded(sim_limiter_c=400.0), None)
    tube, services = cast(Tube, plant.chambers["tube"]), around(plant)

    def power_w() -> float:
        tube.furnace.set_duty(0.5)
        plant.advance_to(plant.tick + 1)
        return tube.furnace.heater_w

    assert power_w() == 0.0  # the contactor is open until somebody closes it
    cast(IoModule, plant.devices["io"]).write_coils(0, [True])
    assert power_w() == 1000.0
    services.contacts["estop"] = False
    assert power_w() == 0.0
    services.contacts["estop"] = True
    tube.furnace.set_duty(1.0)
    plant.advance_to(plant.tick + 600)
    assert not services.contacts["limiter"]
    assert power_w() == 0.0
    services.reset_limiter()
    tube.furnace.thermocouple_c = 300.0
    assert power_w() == 1000.0


def test_the_bypass_washes_the_tube_when_the_controller_does_not() -> None:
    plant = Plant(guarded(sim_bypass_sccm=500.0), None)
    plant.advance_to(1800)
    tube = cast(Tube, plant.chambers["tube"])
    assert tube.flow_sccm == pytest.approx(500.0, abs=1.0)
    assert tube.atmosphere.oxygen_ppm < 20.0


def test_a_module_without_power_lets_go_of_everything() -> None:
    plant = Plant(guarded(), None)
    module = cast(IoModule, plant.devices["io"])
    module.write_coils(0, [True, True, True])
    back = plant.unplug("io")
    assert not any(around(plant).coils.values())
    back()
    assert not any(around(plant).coils.values())
    assert list(module.read_coils(0x200, 3)) == [False, False, False]


def test_truth_tells_of_them_only_where_they_are() -> None:
    assert "services" not in build(spec(), None).truth()
    truth = build(guarded(), None).truth()
    assert truth["io"] == truth["services"]
    told = truth["services"]
    assert (told["door"], told["contactor"], told["heater_fed"], told["bypass"]) == (True, False, False, True)


# -- faults ----------------------------------------------------------------------------------------


def test_what_is_around_a_tube_can_fail_and_is_as_before_afterwards() -> None:
    there = build(guarded(), None)
    services = around(there.plant)
    before = (dict(services.contacts), services.room_oxygen_pct)
    faults: list[dict[str, Any]] = [
        {"kind": "contact_open", "parameters": {"contact": "limiter"}},
        {"kind": "room_air", "parameters": {"oxygen_pct": 18.5, "co_ppm": 70.0}},
        {"kind": "transmitter_broken"},
        {"kind": "cylinder_empty"},
    ]
    there.faults.schedule({"instrument": "io", "at_s": 1.0, "for_s": 5.0, **fault} for fault in faults)
    there.advance_to(2.0)
    assert not services.contacts["limiter"]
    assert (services.room_oxygen_pct, services.room_co_ppm) == (18.5, 70.0)
    assert services.measured("tube_pressure") is None
    assert not services.supplied
    there.advance_to(8.0)
    assert (services.contacts, services.room_oxygen_pct) == before
    assert services.measured("tube_pressure") is not None
    assert services.supplied
    assert all(entry["hits"] == 1 for entry in there.faults.report())


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [("contact_open", {"contact": "window"}, "no contact"), ("swapped", {"with": "nobody"}, "no instrument")],
)
def test_what_is_not_there_cannot_fail(kind: str, parameters: dict[str, str], says: str) -> None:
    there = build(guarded(), None)
    with pytest.raises(ValueError, match=says):
        there.faults.add({"instrument": "io", "kind": kind, "parameters": parameters})


def test_two_instruments_in_each_others_place_answer_there_until_they_are_put_back() -> None:
    there = build(guarded(), None)
    mine, other = there.seats["nitrogen"].session, there.seats["furnace"].session
    parameters = {"with": "furnace"}
    there.faults.add({"instrument": "nitrogen", "kind": "swapped", "parameters": parameters, "for_s": 3.0})
    assert (there.seats["nitrogen"].session, there.seats["furnace"].session) == (other, mine)
    there.advance_to(5.0)
    assert (there.seats["nitrogen"].session, there.seats["furnace"].session) == (mine, other)
