"""Tests of a bench, to copy and change: `pytest --labctl-bench PATH/TO/BENCH test_my_bench.py`.

The bench is simulated whatever its addresses say, and its time is virtual: hours take seconds.
Without the option this runs on the bundled bench `small`.
"""

from labctl.testing.bench import BenchInTest, PlantInTest

WARM_TUBE = """\
protocol: warm-tube
roles: {furnace: tube_furnace, nitrogen: gas_flow}
steps:
  - {id: purge, purge: {with: nitrogen, into: furnace, until_oxygen_below: 100 ppm, flow: 500 sccm}}
  - id: heat
    heat:
      {with: furnace, to: 200 degC, ramp: 5 K/min, hold: 2 min, atmosphere: inert,
       under: {gas: nitrogen, flow: 200 sccm}}
  - {id: cool, cool: {with: furnace, below: 60 degC, natural: true, under: {gas: nitrogen, flow: 200 sccm}}}
  - {id: unload, unload: {from: furnace, into: empty boat}}
"""


def test_a_warm_tube_completes_and_heats_the_sample_without_air(
    bench: BenchInTest, plant: PlantInTest
) -> None:
    bench.start(WARM_TUBE)
    bench.until(lambda: plant.truth()["furnace"]["sample_c"] > 190.0, within_h=4)
    assert plant.truth()["gas"]["oxygen_ppm"] < 100.0
    assert (bench.value("furnace.temperature") or 0.0) > 190.0
    assert bench.finish() == "COMPLETE"


def test_nitrogen_that_is_lost_ends_the_heating(bench: BenchInTest, plant: PlantInTest) -> None:
    bench.start(WARM_TUBE)
    bench.until(lambda: plant.truth()["furnace"]["tube_c"] > 180.0)
    plant.faults.add({"instrument": "nitrogen", "kind": "supply_lost"})
    lost_s = bench.now()
    bench.until(lambda: plant.truth()["furnace"]["heater_w"] == 0.0)
    # `nitrogen_low_for` is 5 s; the flow is read each second, and the gas in the line lasts for another
    assert bench.now() - lost_s <= 8.0
    assert bench.run is not None
    assert bench.run.state != "RUNNING"


def test_a_person_can_stop_it(bench: BenchInTest) -> None:
    bench.start(WARM_TUBE)
    bench.advance(60.0)
    bench.ask("stop", reason="lunch")
    assert bench.finish() == "STOPPED"
