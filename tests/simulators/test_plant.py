"""A plant lives on ticks: reproducible whoever asks, perturbed by its seed alone, at rest when cold."""

import threading
from statistics import pstdev
from typing import cast

import pytest

from labctl_simulators.chambers import Tube
from labctl_simulators.devices import DEVICES
from labctl_simulators.plant import Plant
from labctl_simulators.twin import build
from tests.simulators.probes import Probe, probes, spec

__all__ = ["probes"]
pytestmark = pytest.mark.usefixtures("probes")


def probe(plant: Plant, name: str) -> Probe:
    return cast(Probe, plant.devices[name])


def tube(plant: Plant) -> Tube:
    return cast(Tube, plant.chambers["tube"])


def heated(seed: int | None) -> Plant:
    """A plant told to hold 300 degC under 200 sccm."""
    plant = Plant(spec(), seed)
    probe(plant, "furnace").target_c = 300.0
    plant.flows["nitrogen"].setpoint_sccm = 200.0
    return plant


def test_neither_how_often_nor_by_whom_it_is_asked_changes_what_happens() -> None:
    once, often = heated(5), heated(5)
    once.advance_to(900.9)
    for half_seconds in range(1802):
        often.advance_to(half_seconds / 2)
        for name in ("oxygen", "monitor", "oven", "furnace"):
            often.sensors[name].read()
    assert once.tick == often.tick == 900
    assert tube(once).furnace == tube(often).furnace
    assert tube(once).atmosphere == tube(often).atmosphere
    assert once.sensors["furnace"].read() == often.sensors["furnace"].read()


def test_every_device_lives_every_second_once_and_time_never_runs_back() -> None:
    plant = Plant(spec(), None)
    for now_s in (10.5, 3.0, 10.9, 20.0):
        plant.advance_to(now_s)
    assert {probe(plant, name).ticks for name in plant.devices} == {20}
    assert plant.now() == 20.0


def test_an_instrument_of_somebody_elses_lives_every_second_unless_it_says_that_it_need_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heavy = {"kind": "tube", "volume_cm3": 2290}
    described = spec(
        chambers={"tube": heavy}, instruments={"furnace": {"device": "probe_furnace", "chamber": "tube"}}
    )
    assert Plant(described, None, 5).tick_s == 1
    bears = DEVICES["probe_furnace"]._replace(longest_tick_s=5.0)
    monkeypatch.setitem(DEVICES, "probe_furnace", bears)
    plant = Plant(described, None, 5)
    plant.advance_to(23.0)
    assert (plant.tick_s, plant.tick, probe(plant, "furnace").ticks) == (5, 20, 4)


def test_seeds_spread_the_plant_within_bounds_and_the_nominal_plant_has_no_errors() -> None:
    nominal, plants = Plant(spec(), None), [Plant(spec(), seed) for seed in range(60)]
    power = [tube(p).furnace.full_power_w / 2000.0 - 1.0 for p in plants]
    ambient = [p.ambient_c - 22.0 for p in plants]
    gain = [p.flows["nitrogen"].gain_error for p in plants]
    offset = [p.sensors["furnace"].offset for p in plants]
    for values, low, high in (
        (power, -0.20, 0.10),
        (ambient, -5.0, 5.0),
        (gain, -0.003, 0.003),
        (offset, -1.5, 1.5),
    ):
        assert low <= min(values) < low + 0.15 * (high - low)
        assert high - 0.15 * (high - low) < max(values) <= high
    assert any(p.sensors["furnace"].offset != p.sensors["monitor"].offset for p in plants)
    assert tube(nominal).furnace.full_power_w == 2000.0
    assert (nominal.ambient_c, nominal.flows["nitrogen"].gain_error) == (22.0, 0.0)
    assert nominal.sensors["furnace"].offset == 0.0


def test_a_sensor_is_noisy_but_steady_within_its_second_and_silent_when_broken() -> None:
    plant = Plant(spec(), None)
    sensor, values = plant.sensors["furnace"], []
    for second in range(500):
        plant.advance_to(second)
        values.append(sensor.read())
        assert sensor.read() == values[-1]
    assert pstdev(cast(list[float], values)) == pytest.approx(0.05, rel=0.15)
    sensor.broken = True
    assert sensor.read() is None


def test_a_cold_plant_does_not_move_at_all() -> None:
    plant = Plant(spec(), 7)
    before = tube(plant).furnace.tube_c
    plant.advance_to(20_000)
    assert tube(plant).furnace.tube_c == before == plant.ambient_c == plant.temperature_c(plant.batch)


def test_one_controller_drives_a_tube_and_monitors_only_look() -> None:
    plant = Plant(spec(), None)
    assert probe(plant, "furnace").bindings.set_heater is not None
    assert probe(plant, "monitor").bindings.set_heater is None
    described = spec()
    described["instruments"] = {
        "monitor": {"device": "probe_furnace", "chamber": "tube", "provides": ["thermometer"]},
        "furnace": {"device": "probe_furnace", "chamber": "tube", "provides": ["tube_furnace"]},
    }
    assert Plant(described, None).controllers == {"tube": "furnace"}


def test_instruments_see_only_what_they_are_wired_to() -> None:
    bindings = probe(Plant(spec(), None), "nitrogen").bindings
    assert bindings.mass_flow is not None
    assert (bindings.thermocouple, bindings.oxygen, bindings.cell, bindings.oven) == (None, None, None, None)


@pytest.mark.parametrize(
    ("chamber", "message"),
    [
        ({"kind": "tube", "physics": {"tube_j_per_kk": 1.0}}, "did you mean 'tube_j_per_k'"),
        ({"kind": "oven", "physics": {"zzz": 1.0}}, "there are air_j_per_k"),
        ({"kind": "kiln"}, "no model of a chamber of kind 'kiln'"),
    ],
)
def test_what_is_not_simulated_is_refused_by_name(chamber: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plant(spec(chambers={"x": chamber}, instruments={}), None)


def test_an_unknown_device_and_a_wrong_wiring_are_refused_by_name() -> None:
    with pytest.raises(KeyError, match="no simulated device 'toaster'"):
        Plant(spec(instruments={"x": {"device": "toaster", "chamber": "tube"}}), None)
    with pytest.raises(ValueError, match="'x': probe_cell cannot be wired to chamber 'tube'"):
        Plant(spec(instruments={"x": {"device": "probe_cell", "chamber": "tube"}}), None)


def test_a_session_brings_the_plant_to_the_present_first() -> None:
    twin = build(spec(), None)
    assert twin.sessions["furnace"].feed(b"?", 41.7) == [(0.0, b"41")]
    assert twin.truth()["t"] == 41.0


def test_threads_share_a_plant_without_losing_a_second() -> None:
    twin = build(spec(), None)

    def poll(name: str) -> None:
        for now_s in range(1, 400):
            twin.sessions[name].feed(b"?", now_s)

    threads = [threading.Thread(target=poll, args=(name,)) for name in ("furnace", "oven", "cycler")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {probe(twin.plant, name).ticks for name in twin.plant.devices} == {399}


def test_truth_is_told_by_kind_and_by_instrument() -> None:
    twin = build(spec(), None)
    twin.plant.flows["nitrogen"].setpoint_sccm = 200.0
    twin.advance_to(30)
    truth = twin.truth()
    assert truth["furnace"] == truth["monitor"] == {"heater_w": 0.0, "tube_c": 22.0, "sample_c": 22.0}
    assert truth["gas"] == truth["nitrogen"] == truth["oxygen"]
    assert truth["gas"]["flow_sccm"] == 200.0
    assert truth["oven"]["air_c"] == truth["hotplate"]["plate_c"] == 22.0
    assert truth["cell"]["voltage_v"] == 0.0
    assert truth["batch"]["carbon_wt_pct"] == 0.0
