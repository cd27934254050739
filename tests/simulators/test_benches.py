"""The bundled benches have twins, and the small one is made for rehearsals of minutes."""

from dataclasses import fields
from importlib.resources import files
from typing import Any, cast

import pytest
import yaml

from labctl_simulators.chambers import Tube
from labctl_simulators.devices.binder import MANUAL
from labctl_simulators.devices.eurotherm import MANUAL as MANUAL_OUTPUT
from labctl_simulators.devices.eurotherm import RATE, SP1
from labctl_simulators.devices.pid import Pid
from labctl_simulators.faults import KINDS
from labctl_simulators.plant import Plant
from labctl_simulators.twin import Twin, build
from labctl_simulators.wire.modbus_rtu import with_crc

READ_TEMPERATURE = with_crc(bytes.fromhex("01 03 0001 0001"))
"""Of a Eurotherm; an oven refuses it, and has been asked all the same."""
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


def test_a_plant_in_ticks_of_5_s_leads_where_it_does_in_ticks_of_1_s() -> None:
    """Every loop, ramp and lag of the bundled bench: a furnace to 400 degC, gas, an oven, a stirred hotplate."""
    reached = []
    for tick_s in (1, 5):
        plant = Plant(spec("standard"), None, tick_s)
        assert plant.tick_s == tick_s
        furnace, oven, plate = (cast(Any, plant.devices[name]) for name in ("furnace", "oven", "hotplate"))
        for register, value in ((RATE, 100), (SP1, 4000), (MANUAL_OUTPUT, 0)):
            furnace.write_single(register, value)
        cast(Any, plant.devices["nitrogen"]).setpoint_sccm = 500.0
        oven.mode, oven.manual_c = MANUAL, 60.0
        plate.heating, plate.setpoint_c, plate.stirring, plate.speed_setpoint_rpm = True, 60.0, True, 400.0
        shown = []
        for now_s in (600, 1500, 5400):
            plant.advance_to(now_s)
            truth = Twin("standard", plant).truth()
            shown += [furnace.loop.working_c, truth["furnace"]["tube_c"], truth["furnace"]["sample_c"]]
            shown += [truth["oven"]["load_c"], truth["hotplate"]["plate_c"], truth["hotplate"]["liquid_c"]]
            shown += [cast(Any, plant.devices["oxygen"]).shown_ppm]
        reached.append(shown)
    assert reached[1] == pytest.approx(reached[0], rel=0.01, abs=1.0)
    assert reached[0][-6] == pytest.approx(400.0, abs=3.0)


@pytest.mark.parametrize(("name", "tick_s"), [("standard", 5), ("small", 2), ("synthesis", 2)])
def test_no_tick_is_longer_than_the_fastest_thing_of_a_bench_bears(name: str, tick_s: int) -> None:
    """The small furnace has little mass."""
    assert Plant(spec(name), None, 10).tick_s == tick_s


def seen(twin: Twin) -> list[bytes]:
    """What the analyser and both thermometers of the tube say now."""
    asked = {"oxygen": b"D", "furnace": READ_TEMPERATURE, "furnace-monitor": READ_TEMPERATURE}
    now_s = twin.plant.now()
    return [reply for name, request in asked.items() for _, reply in twin.sessions[name].feed(request, now_s)]


def asks_the_oven(twin: Twin, until_s: int) -> None:
    """Every half a minute, and nobody else."""
    for now_s in range(int(twin.plant.now()), until_s + 1, 30):
        twin.sessions["oven"].feed(READ_TEMPERATURE, float(now_s))


def watched_over(twin: Twin, until_s: int) -> None:
    """As `asks_the_oven`, with somebody who looks at the whole plant as often."""
    for now_s in range(int(twin.plant.now()), until_s + 1, 30):
        twin.advance_to(float(now_s))


@pytest.mark.parametrize("tick_s", [1, 5])
def test_a_chamber_left_alone_shows_in_the_end_what_it_would_have_shown(tick_s: int) -> None:
    """Six hours, in which air and leaking nitrogen mix in the tube and its sensors are noisy."""
    alone, looked_at = build(spec("standard"), 7, tick_s), build(spec("standard"), 7, tick_s)
    asks_the_oven(alone, 21_600)
    watched_over(looked_at, 21_600)
    assert {name for name, s in alone.plant.stations.items() if s.dozes_since is not None} == {
        "vessel",
        "pan",
        "tube",
        "cell",
    }
    assert [s.dozes_since for s in looked_at.plant.stations.values()] == [None] * 5
    assert seen(alone) == seen(looked_at)
    mixed, expected = (twin.truth()["oxygen"]["oxygen_ppm"] for twin in (alone, looked_at))
    assert mixed == pytest.approx(expected, rel=1e-9)
    assert mixed < 200_000.0, "nitrogen has leaked in meanwhile"
    assert alone.truth()["batch"] == looked_at.truth()["batch"]


def test_hands_find_a_chamber_as_it_is_by_now() -> None:
    """The operator opens a tube that had dozed: the air that comes in mixes from then on."""
    twins = [build(spec("standard"), None) for _ in range(2)]
    for twin, pass_time in zip(twins, (asks_the_oven, watched_over), strict=True):
        pass_time(twin, 21_600)
        twin.operator.answer({"kind": "manual", "do": "Load the boat", "into": "tube", "enter": []})
        pass_time(twin, 43_200)
        twin.advance_to(43_200.0)
    assert seen(twins[0]) == seen(twins[1])


def test_nothing_dozes_while_a_fault_may_come_to_it() -> None:
    twin = build(spec("standard"), None)
    asks_the_oven(twin, 3600)
    assert twin.plant.stations["tube"].dozes_since is not None
    twin.faults.schedule([{"instrument": "nitrogen", "kind": "leak", "at_s": 9000}])
    asks_the_oven(twin, 7200)
    assert [s.dozes_since for s in twin.plant.stations.values()] == [None] * 5


@pytest.mark.parametrize("tick_s", [1, 5])
def test_a_balance_and_a_pump_that_were_left_alone_say_what_they_would_have_said(tick_s: int) -> None:
    """Its zero has drifted meanwhile by seven digits."""
    alone, looked_at = (build(spec("standard"), 7, tick_s) for _ in range(2))
    for twin in (alone, looked_at):
        for name, requests in {"balance": (b"S\r\n", b"SI\r\n"), "pump": (b"00VER\r",)}.items():
            for request in requests:
                twin.sessions[name].feed(request, 0.0)
    asks_the_oven(alone, 25_200)
    watched_over(looked_at, 25_200)
    assert alone.plant.stations["pan"].dozes_since is not None
    for name, request in (("balance", b"S\r\n"), ("balance", b"SI\r\n"), ("pump", b"00DIS\r")):
        said = [twin.sessions[name].feed(request, twin.plant.now()) for twin in (alone, looked_at)]
        assert said[0]
        assert said[0] == said[1]
    assert alone.truth()["pan"]["shown_g"] == pytest.approx(0.0007, abs=1e-6)


def made_of(twin: Twin) -> dict[str, Any]:
    """What a plant is made of: the parameters of its models, and its contacts."""
    plant = twin.plant
    models: dict[str, Any] = {**plant.flows, **plant.sensors}
    for name, chamber in plant.chambers.items():
        models[name] = chamber
        models |= {
            f"{name}.{part}": getattr(chamber, part)
            for part in ("furnace", "atmosphere", "services")
            if getattr(chamber, part, None) is not None
        }
    found = {
        f"{name}.{field.name}": getattr(model, field.name)
        for name, model in models.items()
        for field in fields(model)
        if field.init and isinstance(getattr(model, field.name), int | float)
    }
    contacts = getattr(models.get("tube.services"), "contacts", {})
    return found | {f"contact {name}": closed for name, closed in contacts.items()}


@pytest.mark.parametrize("lasts", [(20.0, 30.0), (40.0, 10.0)])
@pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.items() if kind.layer == "physics"))
def test_two_faults_of_one_kind_leave_nothing_behind_in_whatever_order_they_end(
    kind: str, lasts: tuple[float, float]
) -> None:
    tried = 0
    for bench, instrument in [(b, i) for b in ("standard", "small") for i in spec(b)["instruments"]]:
        twin = build(spec(bench), None)
        before = made_of(twin)
        faults = [
            {"instrument": instrument, "kind": kind, "at_s": at_s, "for_s": for_s}
            for at_s, for_s in zip((10.0, 15.0), lasts, strict=True)
        ]
        try:
            twin.faults.schedule(faults)
        except ValueError:  # another instrument's fault
            continue
        twin.advance_to(100.0)
        assert made_of(twin) == before
        tried += 1
    assert tried


@pytest.mark.parametrize("kind", ["contact_open", "opened"])
def test_a_contact_stays_open_until_whatever_opened_it_is_over(kind: str) -> None:
    twin = build(spec("small"), None)
    module = next(name for name, (_, part) in twin.plant.wiring.items() if part == "services")
    door = {"instrument": module, "kind": "contact_open", "parameters": {"contact": "door"}}
    again = door if kind == "contact_open" else {"instrument": next(iter(twin.plant.flows)), "kind": kind}
    twin.faults.schedule([{**door, "at_s": 10.0, "for_s": 20.0}, {**again, "at_s": 15.0, "for_s": 40.0}])
    tube = twin.plant.chambers["tube"]
    assert isinstance(tube, Tube)
    assert tube.services is not None
    seen = []
    for at_s in (5.0, 20.0, 40.0, 60.0):
        twin.advance_to(at_s)
        seen.append(tube.services.contacts["door"])
    assert seen == [True, False, False, True]
