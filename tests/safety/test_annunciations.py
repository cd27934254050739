"""Each kind of fault alone: how many alarms it sounds, and whether the first says what a furnace engineer would say.

The stages of a synthesis on the small-mass bench of chaos: real engine, drivers and wire bytes in virtual time. Nobody
comes; nobody acknowledges.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import pytest

from labctl.analysis.annunciations import statistics
from labctl.chaos.schedule import AT_FIRST, KINDS, STAGES
from labctl.chaos.setting import Setting
from labctl.forecast import Rehearsal
from labctl.model.events import Event
from labctl.protocol.plan import Plan
from labctl.runtime.record import InMemory

AT_MOST = 3
"""Annunciations that one fault may cause (reliability goal G11)."""
WATCHED_S = 150.0
"""How long each case is looked at, at least, and after its fault is over: twice no_progress and more, after which a
person would be asked to do by hand what labctl cannot."""
BRIEF_S = 60.0
"""How long a fault lasts unless its case says otherwise."""

Given = dict[str, Any]


class Case(NamedTuple):
    """A fault in a role in a stage, and the alarm that is to come first; None: it heals or cannot be seen."""

    kind: str
    role: str
    stage: str
    first: str | None
    for_s: float = BRIEF_S
    given: Given | None = None


CASES = (
    # thermometers
    Case("thermocouple open", "furnace", "hot", "tube/sensor"),
    Case("thermocouple open", "oven", "oven", "drying-oven/sensor"),
    Case("thermocouple detached", "furnace", "hot", "tube/sensor_jump"),
    Case("thermocouple detached", "oven", "oven", "drying-oven/ramp_deviation", 1000.0),
    Case("thermocouple reversed", "furnace", "hot", "tube/sensor"),
    Case("thermocouple drifts", "furnace", "hot", "tube/thermometers_disagree", 900.0, {"per_hour": 600.0}),
    Case("thermocouple drifts", "furnace", "hot", "tube/over_temperature", 900.0, {"per_hour": -600.0}),
    Case("value stuck", "furnace", "ramp", "tube/frozen_sensor", 200.0),
    Case("value stuck while it warms", "furnace", "warming", "tube/frozen_sensor", 200.0),
    Case("value stuck", "oven", "oven", "drying-oven/frozen_sensor", 300.0),
    Case("value stuck", "analyser", "hot", None),
    # lines
    Case("no reply", "furnace", "hot", "tube/furnace/silent", 90.0),
    Case("no reply", "monitor", "soak", "tube/furnace-monitor/silent"),
    Case("no reply", "gas", "hot", "tube/nitrogen/silent", 90.0),
    Case("no reply", "analyser", "hot", "tube/oxygen/silent"),
    Case("no reply", "oven", "oven", "drying-oven/oven/silent", 90.0),
    Case("no reply", "stirrer", "stir", "vessel/hotplate/silent", 90.0),
    Case("no reply", "cycler", "cell", "cell/cycler/silent"),
    Case("no reply", "io", "ramp", "tube/io/silent", 90.0),
    Case("cable pulled", "furnace", "hot", "tube/furnace/silent", 90.0),
    Case("cable pulled", "io", "ramp", "tube/io/silent", 90.0),
    Case("connection cut", "furnace", "hot", None),
    Case("heard but not answering", "furnace", "hot", "tube/furnace/silent", 90.0),
    Case("heard but not answering", "gas", "soak", "tube/nitrogen/silent", 90.0),
    Case("byte corrupted", "gas", "hot", "tube/nitrogen/silent", 20.0),
    Case("request corrupted", "analyser", "hot", "tube/oxygen/silent", 20.0),
    Case("reply truncated", "furnace", "ramp", "tube/furnace/silent", 20.0),
    Case("reply twice", "monitor", "ramp", "tube/furnace-monitor/silent"),
    Case("noise before reply", "cycler", "cell", "cell/cycler/silent", 20.0),
    Case("echo", "gas", "purge", "tube/nitrogen/silent", 20.0),
    Case("echo", "furnace", "ramp", None, 20.0),
    Case("reply held back", "stirrer", "stir", "vessel/hotplate/silent", 20.0),
    Case("reply split", "gas", "hot", None),
    Case("reply of the question before", "io", "ramp", "tube/io/silent", 20.0),
    Case("another unit answers", "furnace", "hot", "tube/furnace/silent", 20.0),
    Case("exception", "oven", "oven", "drying-oven/oven/silent", 20.0),
    Case("busy", "monitor", "ramp", "tube/furnace-monitor/silent", 20.0),
    Case("not understood", "analyser", "purge", "tube/oxygen/silent", 20.0),
    Case("slow", "gas", "hot", "tube/nitrogen/silent", 60.0, {"delay_s": 10.0}),
    Case("slow", "furnace", "ramp", None, 60.0, {"delay_s": 0.2}),
    Case("babble", "furnace", "ramp", "tube/furnace/silent", 20.0),
    # gas
    Case("nitrogen lost", "gas", "hot", "tube/nitrogen_lost", 200.0),
    Case("nitrogen sags", "gas", "hot", "tube/nitrogen_low", 200.0, {"flow_sccm": 130.0}),
    Case("valve stuck", "gas", "soak", "tube/nitrogen_lost", 200.0, {"flow_sccm": 0.0}),
    Case("valve stuck", "gas", "hot", "tube/flow_deviation", 200.0, {"flow_sccm": 300.0}),
    Case("valve held", "gas", "hot", "tube/nitrogen_lost"),
    Case("wrong gas", "gas", "hot", "tube/nitrogen_lost"),
    Case("setpoints ignored", "gas", "purge", "tube/held", 500.0),
    Case("cylinder runs out", "io", "hot", "tube/gas_reserve", 300.0),
    # heat
    Case("relay stuck on", "furnace", "hot", "tube/over_temperature", 300.0),
    Case("relay stuck on", "oven", "oven", "drying-oven/over_temperature", 500.0),
    Case("heater failed", "furnace", "ramp", "tube/detached_sensor", 200.0),
    Case("element broken", "furnace", "climbing", "tube/no_heat", 200.0),
    Case("heater failed", "oven", "oven", "drying-oven/ramp_deviation", 1200.0),
    # power and hands
    Case("power blip", "furnace", "hot", "tube/controller_reset", 3.0),
    Case("power blip", "furnace", "soak", "tube/furnace/silent", 40.0),
    Case("power blip", "gas", "hot", "tube/nitrogen/silent", 40.0),
    Case("power blip", "oven", "oven", "drying-oven/oven/silent", 40.0),
    Case("power blip", "stirrer", "stir", "vessel/hotplate/silent", 40.0),
    Case("power blip", "cycler", "cell", "cell/cycler/silent", 40.0),
    Case("power blip", "analyser", "hot", "tube/oxygen/silent", 40.0),
    Case("setpoint changed at the panel", "furnace", "ramp", "tube/panel_change", 1.0),
    Case("setpoint changed at the panel", "oven", "oven", "drying-oven/panel_change", 1.0),
    Case("setpoint changed at the panel", "gas", "hot", "tube/nitrogen_lost", 1.0),
    Case("setpoint changed at the panel", "stirrer", "stir", "vessel/panel_change", 1.0),
    Case("hotter at the panel", "furnace", "hot", "tube/panel_change", 1.0, {"value": 700.0}),
    Case("manual at the panel", "furnace", "hot", "tube/controller_reset", 1.0, {"output": 100.0}),
    Case("manual at the panel", "oven", "oven", "drying-oven/panel_change", 1.0, {"output": 100.0}),
    Case("locked at the panel", "furnace", "ramp", "tube/controller_reset", 100.0),
    Case("locked at the panel", "oven", "oven", "drying-oven/held", 400.0),
    Case("setpoints ignored", "stirrer", "stir", "vessel/held", 200.0),
    # the tube and what is around it
    Case("exhaust blocks", "gas", "hot", "tube/tube_pressure", 300.0, {"over_s": 60.0}),
    Case("tube cracks", "furnace", "hot", "tube/tube_integrity"),
    Case("tube cracks", "furnace", "soak", "tube/tube_integrity"),
    Case("air leaks in", "furnace", "hot", "tube/oxygen_high", 60.0, {"air_sccm": 5.0}),
    Case("tube opened hot", "furnace", "hot", "tube/door"),
    Case("tube opened hot", "furnace", "soak", "tube/door"),
    Case("analyser fails", "analyser", "hot", "tube/oxygen_high"),
    Case("cables swapped", "gas", "hot", "tube/nitrogen/silent", 90.0),
    Case("cables swapped", "furnace", "hot", "tube/furnace/silent", 90.0),
    Case("extraction lost", "io", "oven", "drying-oven/extraction"),
    Case("extraction lost", "io", "ramp", "tube/extraction"),
    Case("cooling water lost", "io", "ramp", "tube/water"),
    Case("limiter trips", "io", "ramp", "tube/limiter"),
    Case("e-stop pressed", "io", "ramp", "tube/estop_contact"),
    Case("little oxygen in the room", "io", "ramp", "tube/room_oxygen", 60.0, {"oxygen_pct": 17.5}),
    Case("carbon monoxide in the room", "io", "soak", "tube/room_co", 60.0, {"co_ppm": 80.0}),
    Case("I/O module resets", "io", "ramp", "tube/io/silent", 20.0),
    Case("transmitter broken", "io", "ramp", "tube/tube_pressure", 60.0, {"transmitter": "tube_pressure"}),
    Case("transmitter broken", "io", "purge", "tube/room_co", 60.0, {"transmitter": "room_co"}),
    Case("door opened", "oven", "oven", None),
    # the cell
    Case("cell shorted", "cycler", "cell", "cell/cell_limits"),
    Case("cell lead off", "cycler", "cell", "cell/held"),
)
"""The alarm is that of the cause as far as labctl can tell it: a line that is silent, not what is missing for it; two
thermometers that part, for nobody knows which is wrong; heat that brings no rise, whether element or thermocouple."""

NOT_HERE = {
    "commands in a storm": "people's, not a fault",
    "cables swapped at first": "refused before any run (`tests/engine/test_barred.py`)",
}

PARTS = {"stir": ("mix",), "oven": ("age",), "cell": ("assemble-cell", "test")}
FURNACE = ("load-tube", "purge", "preheat", "pyrolyse", "cool", "unload")


@cache
def setting() -> Setting:
    return Setting.of()


@cache
def part(stage: str) -> Plan:
    """Of the protocols of chaos, the steps of one chamber."""
    kept = PARTS.get(stage, FURNACE)
    plan = next(plan for plan in setting().plans if kept[0] in {step.id for step in plan.steps})
    return plan.model_copy(update={"steps": tuple(step for step in plan.steps if step.id in kept)})


def carried_out(case: Case) -> list[Event]:
    """What labctl said of alarms, from the beginning until well after the fault; the fault has acted."""
    roles, kind, stage = setting().roles, KINDS[case.kind], STAGES[case.stage]
    given = {k: v for k, v in kind.parameters.items() if not isinstance(v, list)} | (case.given or {})
    given = {k: roles[v[1:]] if isinstance(v, str) and v.startswith("@") else v for k, v in given.items()}
    fault = {"instrument": roles[case.role], "kind": kind.fault, "for_s": case.for_s, "parameters": given}
    fault |= {"when": {"of": stage.of, "above": stage.above[0] * 1.02}, "at_s": 2.0}
    record = InMemory()
    with Rehearsal(setting().bench, setting().entries, part(case.stage), seed=None, record=record) as trial:
        trial.twin.faults.schedule([fault])
        trial.submit("run-1", {})
        (entry,) = trial.twin.faults.entries
        controller = trial.controller

        def over() -> bool:
            now = controller.clock.now()
            began = entry.since_s if entry.state != "waits" else None
            return now > 6000.0 if began is None else now > began + case.for_s + WATCHED_S

        controller.run(over)
        assert entry.hits > 0, "the fault was never there"
    return [event for event in record.events if event.kind == "alarm"]


def first_out(alarms: Iterable[Event]) -> str | None:
    """The alarm that is marked as the first; where it turns out to be a consequence, the mark has passed on."""
    first: str | None = None
    over: set[str] = set()
    for event in alarms:
        name = event.data["id"]
        if event.data["trigger"] == "clear":
            over.add(name)
        elif event.data.get("first_out") and first not in over:
            first = name
    return first


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}, {case.role}, {case.stage}")
def test_a_single_fault_sounds_few_alarms_and_the_first_is_the_right_one(case: Case) -> None:
    alarms = carried_out(case)
    told = statistics(alarms, alarms[-1].t_s if alarms else 0.0).by_alarm
    assert first_out(alarms) == case.first, told
    assert sum(told.values()) <= AT_MOST, told
    assert (case.first is None) is (not told)


def test_every_kind_of_fault_is_tried() -> None:
    assert {case.kind for case in CASES} | NOT_HERE.keys() == KINDS.keys()
    assert [name for name, kind in KINDS.items() if kind.stages == (AT_FIRST,)] == ["cables swapped at first"]
