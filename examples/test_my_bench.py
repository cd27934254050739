"""Tests of a bench, to copy and change: `pytest --labctl-bench PATH/TO/BENCH test_my_bench.py`.

The bench is simulated whatever its addresses say, and its time is virtual: hours take seconds.
Without the option this runs on the bundled bench `small`.
"""

from labctl.testing.bench import BenchInTest, PlantInTest

SHORT = {"temperature": "200 degC", "hold": "2 min"}


def test_our_rehearsal_completes_and_heats_the_sample(bench: BenchInTest, plant: PlantInTest) -> None:
    bench.start("short-furnace", **SHORT)
    bench.until(lambda: plant.truth()["furnace"]["sample_c"] > 190.0, within_h=1)
    assert plant.truth()["gas"]["oxygen_ppm"] < 100.0
    assert bench.value("furnace.temperature") is not None
    assert bench.finish() == "COMPLETE"


def test_nitrogen_that_is_lost_ends_the_heating(bench: BenchInTest, plant: PlantInTest) -> None:
    bench.start("short-furnace", **SHORT)
    bench.until(lambda: plant.truth()["furnace"]["tube_c"] > 180.0)
    plant.faults.add({"instrument": "nitrogen", "kind": "supply_lost"})
    lost_s = bench.now()
    bench.until(lambda: plant.truth()["furnace"]["heater_w"] == 0.0)
    # `nitrogen_low_for` is 5 s; the flow is read each second, and the gas in the line lasts for another
    assert bench.now() - lost_s <= 8.0
    assert bench.run is not None
    assert bench.run.state != "RUNNING"


def test_a_person_can_stop_it(bench: BenchInTest) -> None:
    bench.start("short-furnace", **SHORT)
    bench.advance(60.0)
    bench.ask("stop", reason="lunch")
    assert bench.finish() == "STOPPED"
