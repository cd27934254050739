"""The verdict compares the record with the plan, and passes nothing that was not measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.analysis import analyse, result_key
from labctl.analysis.model import Analysis, Row
from labctl.analysis.verdict import compare
from labctl.errors import UsageError
from labctl.store import Reader
from tests.analysis import synthetic


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    path = synthetic.make(tmp_path_factory.mktemp("bench") / "labctl.db", scan_s=60.0)
    with Reader.open(path) as reader:
        return analyse(reader, synthetic.RUN)


@pytest.fixture(scope="module")
def aborted(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    path = synthetic.make(tmp_path_factory.mktemp("bench") / "labctl.db", scan_s=60.0, abort_at="pyrolyse")
    with Reader.open(path) as reader:
        return analyse(reader, synthetic.RUN)


def row(analysis: Analysis, quantity: str, step: str | None = None) -> Row:
    return next(r for r in analysis.verdict.rows if r.quantity == quantity and r.step == step)


def test_a_run_as_planned_passes(finished: Analysis) -> None:
    assert finished.verdict.outcome == "pass"
    assert all(r.ok for r in finished.verdict.rows)


def test_every_step_is_compared_with_its_forecast(finished: Analysis) -> None:
    compared = {r.step for r in finished.verdict.rows if r.quantity == "duration" and r.step}
    assert compared == {step.id for step in synthetic.PLAN.steps}


def test_results_are_keyed_by_quantity_and_unit(finished: Analysis) -> None:
    assert finished.results["carbon_wt_pct"] == 2.71
    assert finished.results["active_mass_mg"] == synthetic.MASS_MG
    assert finished.results["discharge_capacity_mah_per_g"] == pytest.approx(108.2, abs=0.3)
    assert finished.results["purge_s"] == pytest.approx(2268, abs=1)
    assert result_key("carbon", "wt%") == result_key("carbon_wt_pct", "wt%") == "carbon_wt_pct"
    assert result_key("solvent_loss", "%") == "solvent_loss_pct"


def test_published_values_are_judged_with_their_provenance(finished: Analysis) -> None:
    carbon = row(finished, "carbon_wt_pct")
    assert (carbon.planned, carbon.actual, carbon.tolerance, carbon.provenance) == (2.7, 2.71, 0.3, "paper")


def test_mean_temperature_of_a_hold_comes_from_telemetry(finished: Analysis) -> None:
    mean = row(finished, "mean temperature of hold", "pyrolyse").actual
    assert mean == pytest.approx(800.0, abs=0.1)


def test_nitrogen_is_the_integral_of_the_measured_flow(finished: Analysis) -> None:
    assert row(finished, "nitrogen", "purge").actual == pytest.approx(500 * 2268 / 60e3, rel=0.02)
    assert row(finished, "nitrogen_l").ok


def test_what_was_planned_and_never_happened_is_not_as_planned() -> None:
    assert not compare("duration", 10.0, None, "s", None, "forecast").ok
    assert not compare("carbon", 2.7, None, "wt%", 0.3, "paper").ok
    assert compare("duration", None, 10.0, "s", None, "forecast").ok


@pytest.mark.parametrize(("actual", "ok"), [(2.4, True), (3.0, True), (3.0001, False), (2.3999, False)])
def test_a_value_on_the_edge_of_its_tolerance_is_within(actual: float, ok: bool) -> None:
    assert compare("carbon", 2.7, actual, "wt%", 0.3, "paper").ok is ok


def test_the_time_of_a_hold_is_no_room_for_the_duration_of_heating(finished: Analysis) -> None:
    assert row(finished, "duration", "evaporate").tolerance == 300.0
    assert row(finished, "duration", "preheat").tolerance == pytest.approx(0.1 * (27_900 - 18_000))


def test_planned_temperatures_are_those_of_the_forecast_for_the_heaters_of_the_plan(
    finished: Analysis,
) -> None:
    planned = {profile.instrument: profile for profile in finished.profiles}
    assert set(planned) == {"oven", "furnace"}
    assert None in planned["oven"].value
    assert max(v for v in planned["furnace"].value if v is not None) == 800.0


def test_how_long_a_step_took_whose_oven_others_heated_is_told_and_not_judged(tmp_path: Path) -> None:
    path = synthetic.make(tmp_path / "labctl.db", scan_s=600.0, shared_at="age")
    with Reader.open(path) as reader:
        shared = analyse(reader, synthetic.RUN)
    assert row(shared, "duration", "age").tolerance is None
    assert row(shared, "duration", "preheat").tolerance is not None
    assert row(shared, "duration_s").tolerance is None
    assert row(shared, "time in band of hold", "age").tolerance is not None
    said = [r.text for r in shared.remarks if r.kind == "shared"]
    assert said == [f"drying-oven: {synthetic.RUN} leads after run-0"]


def test_a_run_that_ended_early_is_not_judged_by_what_it_used(aborted: Analysis) -> None:
    assert aborted.verdict.outcome == "incomplete"
    assert row(aborted, "nitrogen_l").tolerance is None
    assert not [r for r in aborted.verdict.rows if r.quantity == "duration_s"]
    assert row(aborted, "duration", "cool").actual is None


def test_a_run_is_followed_until_its_chambers_are_cold(aborted: Analysis) -> None:
    told = [r.text for r in aborted.remarks if r.kind in ("safe state", "custody")]
    assert told == [
        "tube: heat off",
        "tube: heat off confirmed",
        "tube: hot and under gas; watched until it is cold",
        "tube: gas stopped",
        "tube: cold, released",
    ]
    assert aborted.watched_s == pytest.approx(aborted.duration_s + 29_940)


def test_alarms_are_remarked_with_their_time(finished: Analysis) -> None:
    assert [r.kind for r in finished.remarks] == ["alarm, high", "alarm over"]
    assert [r.is_alarm for r in finished.remarks] == [True, False]


def test_an_unknown_run_is_a_wrong_call(tmp_path: Path) -> None:
    path = synthetic.make(tmp_path / "labctl.db", scan_s=600.0)
    with Reader.open(path) as reader, pytest.raises(UsageError, match="no run"):
        analyse(reader, "no-such-run")
