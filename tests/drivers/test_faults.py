"""Every kind of fault on every driver that it concerns: what is reported, that nothing false is, and recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from labctl.bench.api import (
    BAD,
    GOOD,
    NOT_READY,
    SILENT,
    InstrumentError,
    NotDoneError,
    Quality,
    Reading,
    RefusedError,
)
from labctl_simulators.faults import KINDS
from tests.drivers.faulty_world import INSTRUMENTS, World, world

RECOVERS_WITHIN_S = 12
"""A driver that lost its line waits for a time-out, or for the patience of its fence, before it asks again."""
BABBLED_S = 40
"""What babbled is under way for that long at 9600 baud."""

Seen = set[Quality]
ALWAYS, NEVER, SOMETIMES = {GOOD}, {SILENT}, {GOOD, SILENT}

WIRE: Mapping[str, tuple[Mapping[str, Any], Seen]] = {
    "disconnect": ({}, SOMETIMES),
    "refuse": ({}, NEVER),
    "drop": ({}, NEVER),
    "drop of requests": ({"side": "request"}, NEVER),
    "drop of every third": ({"chance": 0.3}, SOMETIMES),
    "delay": ({"delay_s": 0.1}, ALWAYS),
    "delay beyond patience": ({"delay_s": 1.3}, SOMETIMES),
    "truncate": ({}, NEVER),
    "duplicate": ({"after_s": 0.0}, SOMETIMES),
    "duplicate later": ({"after_s": 0.05}, SOMETIMES),
    "corrupt": ({}, SOMETIMES),
    "corrupt one in two": ({"chance": 0.5}, SOMETIMES),
    "corrupt high bit": ({"mask": 0x80}, SOMETIMES),
    "corrupt requests": ({"side": "request"}, SOMETIMES),
    "garbage": ({}, NEVER),
    "echo": ({}, SOMETIMES),
    "coalesce": ({}, SOMETIMES),
    "split": ({"pause_s": 0.1}, ALWAYS),
    "stale": ({}, SOMETIMES),
    "babble": ({}, SOMETIMES | {BAD}),
    "exception": ({}, NEVER),
    "busy": ({}, NEVER),
    "wrong_unit": ({}, NEVER),
    "question_mark": ({}, NEVER),
    "error_queue": ({}, NEVER),
}
"""What a spoilt wire may show, while it is spoilt: numbers only where they are the truth, else silence."""


@pytest.fixture
def moving() -> Iterator[World]:
    with world() as there:
        there.live("furnace", 3)
        yield there


def kind_of(way: str) -> str:
    return way.split()[0]


def models() -> dict[str, str]:
    return {
        "furnace": "eurotherm_3216",
        "oven": "binder_mb1",
        "nitrogen": "alicat_mc",
        "oxygen": "rapidox_1100",
        "hotplate": "ika_hotplate",
        "cycler": "keithley_2450",
    }


def concerned(way: str) -> list[str]:
    devices = KINDS[kind_of(way)].devices
    return [name for name in INSTRUMENTS if devices is None or models()[name] in devices]


UNDETECTABLE = {
    ("oven", "duplicate later"): "the late copy of an answer is as long as the one that is waited for",
}
"""What no driver of that protocol can notice: an answer of Modbus RTU carries neither register nor number, so one
of the right length and unit passes for any. (The furnace is asked for five words and for one: these differ.)"""

ON_WIRES = [(name, way) for way in WIRE for name in concerned(way) if (name, way) not in UNDETECTABLE]


@pytest.mark.filterwarnings("ignore:VI_SUCCESS_MAX_CNT")
@pytest.mark.parametrize(("name", "way"), ON_WIRES, ids=lambda v: str(v))
def test_a_spoilt_wire_shows_the_truth_or_nothing(moving: World, name: str, way: str) -> None:
    parameters, allowed = WIRE[way]
    moving.live(name, 2)
    moving.twin.faults.add({"instrument": name, "kind": kind_of(way), "parameters": parameters})
    seen = {reading.quality for readings in moving.live(name, 12) for reading in readings.values()}
    assert moving.hits() > 0, "the fault was never there"
    assert seen <= allowed | NEVER if GOOD in allowed else seen == allowed
    if allowed == ALWAYS:
        assert seen == ALWAYS
    moving.twin.faults.clear()
    recovered = moving.live(name, BABBLED_S if way == "babble" else RECOVERS_WITHIN_S)[-1]
    assert {reading.quality for reading in recovered.values()} == {GOOD}


@pytest.mark.parametrize(("name", "way"), UNDETECTABLE, ids=lambda v: str(v))
def test_what_cannot_be_noticed_is_known(moving: World, name: str, way: str) -> None:
    moving.live(name, 2)
    moving.twin.faults.add({"instrument": name, "kind": kind_of(way), "parameters": WIRE[way][0]})
    assert false_numbers(moving, name, 12) > 0, "it is noticed now: strike it off the list"
    moving.twin.faults.clear()
    moving.drivers[name].close()
    moving.drivers[name].open()
    moving.live(name, 3)


def false_numbers(moving: World, name: str, seconds: int) -> int:
    """How many seconds showed a good number that was not the truth."""
    wrong = 0
    for _ in range(seconds):
        asked = int(moving.clock.t_s) + 1
        wrong += moving.wrong(name, moving.read(name), asked)
    return wrong


DIGITS = {"nitrogen": 28, "oxygen": 1, "hotplate": 0, "cycler": 3}
"""Where a digit stands in an answer of each protocol without a checksum."""


@pytest.mark.parametrize("name", DIGITS)
def test_one_changed_digit_passes_where_the_protocol_has_no_checksum(moving: World, name: str) -> None:
    moving.live(name, 2)
    parameters = {"byte": DIGITS[name], "mask": 0x01}
    moving.twin.faults.add({"instrument": name, "kind": "corrupt", "parameters": parameters})
    assert false_numbers(moving, name, 6) > 0, "it is noticed now: strike it off the list"
    moving.twin.faults.clear()
    moving.live(name, RECOVERS_WITHIN_S)


@pytest.mark.parametrize("name", ["furnace", "oven"])
@pytest.mark.parametrize("byte", range(-9, 0))
def test_no_changed_byte_passes_a_checksum(moving: World, name: str, byte: int) -> None:
    moving.twin.faults.add(
        {"instrument": name, "kind": "corrupt", "parameters": {"byte": byte, "mask": 0x01}}
    )
    assert {r.quality for readings in moving.live(name, 4) for r in readings.values()} == NEVER


Said = Mapping[str, Reading]
Says = Callable[[Said, World], bool]


def reads(signal: str, quality: Quality) -> Says:
    return lambda said, _: said[signal].quality is quality


def shows(signal: str, low: float, high: float) -> Says:
    return lambda said, _: said[signal].quality is GOOD and low <= (said[signal].value or 0.0) <= high


def truth(part: str, value: str, low: float, high: float) -> Says:
    def says(_: Said, there: World) -> bool:
        return bool(low <= there.twin.truth()[part][value] <= high)

    return says


REPORTED: list[tuple[str, str, Mapping[str, Any], int, Says]] = [
    *(
        (name, "power", {}, 1, reads(signal, SILENT))
        for name, signal in [
            ("furnace", "temperature"),
            ("oven", "temperature"),
            ("nitrogen", "flow"),
            ("oxygen", "oxygen"),
            ("hotplate", "speed"),
            ("cycler", "voltage"),
        ]
    ),
    ("furnace", "panel_setpoint", {"value": 123.0}, 2, shows("setpoint", 123.0, 123.0)),
    ("oven", "panel_setpoint", {}, 2, shows("setpoint", 60.0, 60.0)),
    ("cycler", "panel_setpoint", {"value": 3.0}, 5, shows("current", -3e-4, 0.0)),
    ("furnace", "panel_mode", {"output": 40.0}, 2, shows("manual", 1.0, 1.0)),
    ("furnace", "panel_mode", {"output": 40.0}, 2, shows("output", 40.0, 40.0)),
    ("oven", "panel_mode", {}, 2, shows("working_setpoint", 0.0, 0.0)),
    ("hotplate", "panel_mode", {}, 20, shows("speed", 0.0, 1.0)),
    ("cycler", "panel_mode", {}, 2, shows("output", 0.0, 0.0)),
    ("nitrogen", "valve_hold", {}, 2, reads("flow", BAD)),
    ("nitrogen", "wrong_gas", {}, 2, reads("flow", BAD)),
    ("nitrogen", "dashes", {}, 2, reads("flow", BAD)),
    ("nitrogen", "status_error", {}, 2, reads("flow", BAD)),
    ("oxygen", "cell_failed", {}, 2, reads("oxygen", BAD)),
    ("oxygen", "cleaning", {}, 2, reads("oxygen", NOT_READY)),
    ("oxygen", "over_range", {}, 2, reads("oxygen", BAD)),
    ("furnace", "sensor_open", {}, 2, reads("temperature", BAD)),
    ("oven", "sensor_open", {}, 2, reads("temperature", BAD)),
    ("hotplate", "sensor_open", {}, 2, reads("temperature", BAD)),
    ("oxygen", "sensor_open", {}, 2, reads("oxygen", BAD)),
    ("furnace", "sensor_detached", {}, 60, shows("temperature", 21.0, 23.0)),
    ("oven", "sensor_detached", {}, 60, shows("temperature", 21.0, 23.0)),
    ("furnace", "sensor_reversed", {}, 5, shows("temperature", -50.0, 21.0)),
    ("furnace", "heater_failed", {}, 2, truth("furnace", "heater_w", 0.0, 0.0)),
    ("oven", "heater_failed", {}, 2, truth("oven", "heater_w", 0.0, 0.0)),
    ("furnace", "heater_stuck", {}, 2, truth("furnace", "heater_w", 900.0, 900.0)),
    ("oven", "heater_stuck", {}, 2, truth("oven", "heater_w", 1200.0, 1200.0)),
    ("hotplate", "heater_stuck", {}, 2, truth("hotplate", "heater_w", 600.0, 600.0)),
    ("nitrogen", "supply_lost", {}, 5, shows("flow", 0.0, 0.2)),
    ("nitrogen", "valve_stuck", {"flow_sccm": 50.0}, 8, shows("flow", 49.9, 50.1)),
    ("nitrogen", "exhaust_blocked", {}, 8, shows("pressure", 1.2, 4.0)),
    ("cycler", "cell_short", {}, 3, shows("voltage", 0.0, 0.1)),
    ("cycler", "cell_open", {}, 3, shows("current", 0.0, 0.0)),
    ("hotplate", "bar_lost", {}, 2, lambda _, there: there.twin.plant.devices["hotplate"] is not None),
]
"""(instrument, fault, parameters, after how many seconds, what is then said or so)."""


@pytest.mark.parametrize(
    ("name", "kind", "parameters", "after_s", "says"), REPORTED, ids=lambda v: str(v)[:24]
)
def test_trouble_in_instrument_or_matter_is_reported(
    moving: World, name: str, kind: str, parameters: Mapping[str, Any], after_s: int, says: Says
) -> None:
    moving.twin.faults.add({"instrument": name, "kind": kind, "parameters": parameters})
    said: Said = {}
    for _ in range(after_s):
        said = moving.read(name)
    assert says(said, moving), said
    assert moving.hits() > 0
    moving.twin.faults.clear()


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_after_a_loss_of_power_an_instrument_is_read_again_and_drives_nothing(
    moving: World, name: str
) -> None:
    moving.swings = False
    moving.twin.faults.add({"instrument": name, "kind": "power", "for_s": 4.0})
    for _ in range(RECOVERS_WITHIN_S):
        said = moving.read(name)
    first = next(iter(said.values()))
    assert first.quality in (GOOD, NOT_READY), "the analyser heats its cell; the cycler's output is off"
    known = moving.twin.truth()
    off = {
        "nitrogen": known["gas"]["flow_sccm"] < 1.0,
        "hotplate": known["hotplate"]["speed_rpm"] < 1.0,
        "cycler": known["cell"]["current_a"] == 0.0,
    }
    assert off.get(name, True)


def test_a_drifting_and_a_frozen_sensor_read_good_and_false() -> None:
    """No driver can know; a second sensor and the energy model must."""
    for kind, parameters in (("sensor_drift", {"per_hour": 7200.0}), ("sensor_frozen", {})):
        with world() as there:
            there.twin.faults.add({"instrument": "furnace", "kind": kind, "parameters": parameters})
            assert false_numbers(there, "furnace", 10) > 5


def test_air_that_leaks_in_is_seen_as_oxygen() -> None:
    for kind, low in (("leak", 3_000.0), ("cracked_tube", 60_000.0), ("opened", 60_000.0)):
        with world() as there:
            for _ in range(300):
                there.read("oxygen")
            there.twin.faults.add({"instrument": "oxygen", "kind": kind})
            assert max(there.read("oxygen")["oxygen"].value or 0.0 for _ in range(40)) > low, kind


WRITES: list[tuple[str, str, str, Mapping[str, float], type[Exception]]] = [
    ("furnace", "local_lock", "heat", {"target_c": 300.0, "ramp_k_per_min": 10.0}, RefusedError),
    ("oven", "local_lock", "heat", {"target_c": 50.0, "ramp_k_per_min": 0.0}, RefusedError),
    ("furnace", "eeprom_worn", "heat", {"target_c": 300.0, "ramp_k_per_min": 10.0}, NotDoneError),
    ("nitrogen", "setpoints_ignored", "set_flow", {"flow_sccm": 20.0}, NotDoneError),
    ("hotplate", "setpoints_ignored", "stir", {"speed_rpm": 900.0}, NotDoneError),
]


@pytest.mark.parametrize(("name", "kind", "verb", "args", "error"), WRITES, ids=lambda v: str(v)[:24])
def test_a_command_that_does_not_take_is_an_error(
    moving: World, name: str, kind: str, verb: str, args: Mapping[str, float], error: type[Exception]
) -> None:
    moving.swings = False
    moving.twin.faults.add({"instrument": name, "kind": kind})
    with pytest.raises(error):
        moving.drivers[name].execute(verb, args)
    assert moving.hits() > 0
    moving.twin.faults.clear()
    moving.drivers[name].execute(verb, args)


def test_the_oven_tells_of_its_limiter(moving: World) -> None:
    moving.twin.faults.add({"instrument": "oven", "kind": "limiter"})
    assert not moving.drivers["oven"].audit().ok


@pytest.mark.parametrize(
    ("name", "other"), [("nitrogen", "oxygen"), ("furnace", "hotplate"), ("oven", "furnace")]
)
def test_an_instrument_in_the_place_of_another_gives_no_number(moving: World, name: str, other: str) -> None:
    moving.twin.faults.add({"instrument": name, "kind": "swapped", "parameters": {"with": other}})
    moving.read("cycler")
    for _ in range(3):
        for swapped in (name, other):
            assert {reading.quality for reading in moving.read(swapped).values()} <= {SILENT, BAD}
    moving.twin.faults.clear()


def test_an_oven_whose_cable_another_unit_of_its_number_took_is_not_said_to_be_off(moving: World) -> None:
    """A 3216 answers 0 for registers that it does not have: idle, at 0 degC, as an oven that is off."""
    moving.swings = False
    moving.twin.faults.add({"instrument": "oven", "kind": "swapped", "parameters": {"with": "furnace"}})
    with pytest.raises(InstrumentError):
        moving.drivers["oven"].execute("heat_off", {})
    with pytest.raises(InstrumentError):
        moving.drivers["oven"].audit()
    assert moving.truths[max(moving.truths)]["oven"]["working_setpoint"] == 80.0
    moving.twin.faults.clear()
    moving.read("oven")
    assert moving.drivers["oven"].execute("heat_off", {})["setpoint_c"] == 0.0


MODELS = set(models().values())


def test_every_kind_of_fault_is_tried() -> None:
    tried = {kind_of(way) for way in WIRE} | {case[1] for case in REPORTED} | {case[1] for case in WRITES}
    tried |= {"sensor_drift", "sensor_frozen", "leak", "cracked_tube", "opened", "limiter", "swapped"}
    assert tried == {
        name for name, kind in KINDS.items() if kind.devices is None or set(kind.devices) & MODELS
    }
