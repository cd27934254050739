"""A forecast holds for plants that are not the nominal one: duration, gas and end temperatures within 5 %.

Runs are given a seed, so their heaters are up to 20 % weaker or 10 % stronger, their thermometers, flows and rooms off.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.analysis import analyse
from labctl.analysis.model import StepRecord
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.forecast import Forecast, forecast
from labctl.protocol.plan import Cool, Heat, Plan
from labctl.protocol.validation import load_plan
from labctl.store import Reader
from tests.acceptance.conftest import SHORTER, Runner

pytestmark = pytest.mark.acceptance

WITHIN = 0.05


def forecast_of(parameters: dict[str, str]) -> tuple[Plan, Forecast]:
    bench = load_bench("standard")
    plan, _ = load_plan("3dp-nvp-c", parameters, bench)
    return plan, forecast(bench, drivers(), plan)


def end_c(reader: Reader, heater: str, step: StepRecord, start_s: float) -> float:
    """What the heater's own thermometer showed in the last half minute of a step, degC."""
    assert step.end_s is not None
    until = start_s + step.end_s
    readings = reader.series(heater, "temperature", interval=(until - 30.0, until), buckets=3)
    return readings[-1].mean


@pytest.mark.parametrize(
    ("seed", "parameters"),
    [
        (7, {"pyrolysis_temperature": "800 degC"}),
        (8, {"pyrolysis_temperature": "900 degC", **SHORTER}),
        (9, {"pyrolysis_temperature": "700 degC", **SHORTER}),
    ],
)
def test_a_forecast_holds_on_a_perturbed_plant(
    carried_out: Runner, seed: int, parameters: dict[str, str]
) -> None:
    done = carried_out(seed=seed, **parameters)
    plan, planned = forecast_of(parameters)
    assert done.result["state"] == "COMPLETE"
    assert done.result["results"]["duration_s"] == pytest.approx(planned.duration_s, rel=WITHIN)
    assert done.result["results"]["nitrogen_l"] == pytest.approx(planned.nitrogen_l, rel=WITHIN)
    with Reader.open(Path(done.folder) / "labctl.db") as reader:
        run = analyse(reader, done.result["run_id"], charts=False)
        start_s = reader.interval(run.run_id)[0]
        heated = {s.id: s.heater for s in plan.steps if isinstance(s, Heat | Cool)}
        went = {s.id: end_c(reader, heated[s.id], s, start_s) for s in run.steps if s.id in heated}
    expected = {s.id: s.end_c for s in planned.steps if s.id in heated}
    assert went == pytest.approx(expected, rel=WITHIN)
    assert {"preheat", "pyrolyse", "cool"} <= went.keys()
