"""The cold trip tests: each is for the instruments that have what it trips, and is seen only when it was done."""

from __future__ import annotations

import pytest

from labctl.bench.api import BAD, GOOD, SILENT, Quality, Reading, Signal
from labctl.bench.discovery import drivers
from labctl.bench.loader import load_bench
from labctl.bench.trials import TRIALS, Trial, trials_of


def trial(name: str) -> Trial:
    return next(trial for trial in TRIALS if trial.name == name)


def shown(quality: Quality = GOOD, **values: float | None) -> dict[str, Reading]:
    return {name: Reading(value, "1", quality, 0.0) for name, value in values.items()}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("furnace", ["thermocouple", "cable", "mains"]),
        ("furnace-monitor", ["thermocouple", "cable", "mains"]),
        ("nitrogen", ["nitrogen", "cable", "mains"]),
        ("oven", ["cable", "mains"]),
        ("oxygen", ["cable", "mains"]),
    ],
)
def test_each_instrument_has_its_own(name: str, wanted: list[str]) -> None:
    instrument = load_bench("small").instruments[name]
    found = trials_of(instrument, drivers()[instrument.driver].signals)
    assert [trial.name for trial in found] == wanted


def test_a_module_without_an_extraction_contact_is_not_asked_for_it() -> None:
    module = load_bench("small").instruments["oven"].model_copy(update={"provides": ("io",)})
    contact = Signal("extraction", "1")
    assert trial("extraction") in trials_of(module, [contact])
    assert trial("extraction") not in trials_of(module, [Signal("door", "1")])


@pytest.mark.parametrize(
    ("name", "tripped", "restored"),
    [
        ("thermocouple", shown(BAD, temperature=1372.0), shown(temperature=22.0)),
        ("nitrogen", shown(flow=79.0, flow_setpoint=100.0), shown(flow=0.0, flow_setpoint=0.0)),
        ("extraction", shown(extraction=0.0), shown(extraction=1.0)),
        ("cable", shown(SILENT, temperature=None, output=None), shown(temperature=22.0, output=0.0)),
        ("mains", shown(SILENT, temperature=None, output=None), shown(temperature=22.0, output=0.0)),
    ],
)
def test_it_is_seen_when_it_was_done_and_not_before(
    name: str, tripped: dict[str, Reading], restored: dict[str, Reading]
) -> None:
    assert trial(name).tripped(tripped)
    assert not trial(name).tripped(restored)
    assert trial(name).restored(restored)
    assert not trial(name).restored(tripped)


def test_silence_is_no_broken_sensor_and_flow_at_its_setpoint_no_loss() -> None:
    assert not trial("thermocouple").tripped(shown(SILENT, temperature=None))
    assert not trial("nitrogen").tripped(shown(flow=81.0, flow_setpoint=100.0))
    assert not trial("nitrogen").tripped(shown(flow=0.0, flow_setpoint=0.0)), "no flow was asked for"
    assert not trial("nitrogen").tripped(shown(BAD, flow=0.0, flow_setpoint=100.0))


def test_a_heater_that_comes_back_with_an_output_is_not_restored() -> None:
    assert not trial("mains").restored(shown(temperature=22.0, output=40.0))
    assert trial("mains").restored(shown(temperature=22.0)), (
        "where there is no output to read the person judges"
    )
