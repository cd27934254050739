"""The bundled benches have twins, and the small one is made for rehearsals of minutes."""

from importlib.resources import files
from typing import Any, cast

import pytest
import yaml

from labctl_simulators.devices.pid import Pid
from labctl_simulators.plant import Plant, Tube
from labctl_simulators.twin import build

DEVICE = {
    "alicat": "alicat_mc",
    "binder": "binder_mb1",
    "eurotherm": "eurotherm_3216",
    "ika": "ika_hotplate",
    "io": "io_module",
    "keithley": "keithley_2450",
    "mettler": "mettler_mt_sics",
    "new-era": "new_era_ne1000",
    "rapidox": "rapidox_1100",
}


def spec(name: str) -> dict[str, Any]:
    bench = yaml.safe_load(files("labctl_simulators").joinpath(f"benches/{name}.yaml").read_text("utf-8"))
    for instrument in bench["instruments"].values():
        instrument["device"] = DEVICE[instrument["driver"]]
    return cast(dict[str, Any], bench | {"name": bench["bench"]})


@pytest.mark.parametrize("name", ["standard", "small", "synthesis"])
def test_a_bundled_bench_has_a_twin_that_rests_at_ambient_temperature(name: str) -> None:
    twin = build(spec(name), None)
    twin.advance_to(600)
    truth = twin.truth()
    assert truth["furnace"]["tube_c"] == truth["oven"]["air_c"] == 22.0
    assert set(twin.sessions) == set(spec(name)["instruments"])


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_the_small_furnace_is_at_300_degc_in_minutes_and_below_60_within_a_quarter_of_an_hour(
    seed: int | None,
) -> None:
    described = spec("small")
    plant = Plant(described, seed)
    furnace = cast(Tube, plant.chambers["tube"]).furnace
    gains = described["instruments"]["furnace"]["options"]
    loop = Pid(gains["sim_pb_k"], gains["sim_ti_s"], gains["sim_td_s"])
    setpoint, highest = 22.0, 0.0
    for second in range(900):
        setpoint = min(300.0, setpoint + 100.0 / 60.0)
        furnace.set_duty(loop.step(setpoint, furnace.thermocouple_c) / 100.0)
        furnace.step(1.0, plant.ambient_c, 200.0)
        highest = max(highest, furnace.tube_c)
        if second == 300:
            assert furnace.tube_c == pytest.approx(300.0, abs=6.0)
    assert highest < 310.0
    assert furnace.sample_c == pytest.approx(300.0, abs=1.0)
    furnace.set_duty(0.0)
    for _ in range(900):
        furnace.step(1.0, plant.ambient_c, 200.0)
    assert furnace.sample_c < 60.0
