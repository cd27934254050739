"""A schedule of faults is carried out on the second, counted, repeatable, and costs nothing while there is none."""

from __future__ import annotations

from typing import Any

import pytest

from labctl_simulators.faults import KINDS, LAYERS
from labctl_simulators.twin import Twin, build
from labctl_simulators.wire.modbus_rtu import RtuSession, with_crc

SPEC: dict[str, Any] = {
    "chambers": {"tube": {"kind": "tube", "volume_cm3": 100.0}},
    "instruments": {
        "furnace": {"device": "eurotherm_3216", "chamber": "tube"},
        "nitrogen": {"device": "alicat_mc", "chamber": "tube"},
    },
}
ASK = with_crc(b"\x01\x03\x00\x01\x00\x05")


def twin(seed: int | None = None) -> Twin:
    return build(SPEC, seed)


def answers(there: Twin, at_s: float) -> bool:
    return bool(there.sessions["furnace"].feed(ASK, at_s))


def test_a_fault_begins_and_ends_on_the_second_and_leaves_nothing_behind() -> None:
    there = twin()
    there.faults.schedule([{"instrument": "furnace", "kind": "drop", "at_s": 10, "for_s": 5}])
    assert [t for t in range(20) if not answers(there, t + 0.5)] == [10, 11, 12, 13, 14]
    (entry,) = there.faults.report()
    assert (entry["state"], entry["hits"], entry["since_s"], entry["layer"]) == ("over", 5, 10.0, "wire")
    assert len(there.faults.applications()) == 5
    assert type(there.seats["furnace"].session) is RtuSession


def test_without_a_fault_no_session_is_wrapped_and_no_tick_is_asked() -> None:
    there = twin()
    assert there.plant._device_ticks == tuple(d.tick for d in there.plant.devices.values())
    assert type(there.seats["furnace"].session) is RtuSession


def test_a_fault_waits_for_what_is_true_of_the_plant() -> None:
    there = twin()
    when = {"of": "gas.flow_sccm", "above": 100.0}
    there.faults.add({"instrument": "nitrogen", "kind": "supply_lost", "at_s": 20, "when": when})
    nitrogen: Any = there.plant.devices["nitrogen"]
    there.advance_to(30)
    assert there.faults.report()[0]["state"] == "waits"
    nitrogen.setpoint_sccm = 200.0
    there.advance_to(45)
    assert there.truth()["gas"]["flow_sccm"] > 199.0
    there.advance_to(60)
    assert there.truth()["gas"]["flow_sccm"] < 1.0
    there.faults.clear()
    there.advance_to(70)
    assert there.truth()["gas"]["flow_sccm"] > 199.0


def test_faults_of_one_thing_may_end_in_any_order() -> None:
    there = twin()
    sensor = there.plant.sensors["furnace"]
    true = sensor.source
    for number, kind in enumerate(("sensor_detached", "sensor_frozen", "sensor_reversed")):
        there.faults.add({"instrument": "furnace", "kind": kind, "for_s": 30 - 10 * number})
    there.advance_to(40)
    assert sensor.source is true
    assert sensor.noise == 0.05


def test_the_same_seed_spoils_the_same_bytes() -> None:
    def said(seed: int) -> list[bytes]:
        there = twin(seed)
        there.faults.add({"instrument": "furnace", "kind": "corrupt", "parameters": {"chance": 0.5}})
        return [b"".join(r for _, r in there.sessions["furnace"].feed(ASK, float(t))) for t in range(40)]

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_a_fault_chooses_its_requests() -> None:
    there = twin()
    parameters = {"match": "0x0103000100", "times": 2}
    there.faults.add({"instrument": "furnace", "kind": "drop", "parameters": parameters})
    assert [answers(there, t) for t in range(4)] == [False, False, True, True]
    assert there.sessions["furnace"].feed(with_crc(b"\x01\x03\x00\x4b\x00\x01"), 5.0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"instrument": "furnce", "kind": "drop"}, "did you mean 'furnace'"),
        ({"instrument": "furnace", "kind": "dorp"}, "did you mean 'drop'"),
        ({"instrument": "furnace", "kind": "drop", "parameters": {"chnce": 1}}, "did you mean 'chance'"),
        ({"instrument": "furnace", "kind": "drop", "layer": "physics"}, "of the layer 'wire'"),
        ({"instrument": "furnace", "kind": "drop", "at": 3}, "did you mean 'at_s'"),
        ({"instrument": "furnace", "kind": "drop", "for_s": "3"}, "a number of seconds"),
        ({"instrument": "furnace", "kind": "supply_lost"}, "cannot have supply_lost"),
        ({"instrument": "furnace", "kind": "refuse"}, "on no host"),
        (
            {"instrument": "furnace", "kind": "drop", "when": {"of": "no.thing", "above": 1}},
            "no number 'no.thing'",
        ),
        ({"kind": "drop"}, "needs 'instrument'"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_name(wrong: dict[str, Any], says: str) -> None:
    there = twin()
    with pytest.raises(ValueError, match=says):
        there.faults.add(wrong)
    assert not there.faults.entries


def test_every_layer_has_faults_and_every_fault_a_line_of_help() -> None:
    assert {kind.layer for kind in KINDS.values()} == set(LAYERS)
    assert all(kind.help for kind in KINDS.values())


@pytest.mark.parametrize("lost_s", [(1.0, 3.0), (1.0, 8.0), (3.0, 4.0), (3.0, 8.0)])
def test_a_wire_that_loses_what_is_said_loses_it_whatever_is_at_its_end(lost_s: tuple[float, float]) -> None:
    """The cables are in each other's place from 2 s to 6 s."""
    there = twin()
    seats = there.seats["nitrogen"], there.seats["furnace"]
    before = [seat.session for seat in seats]
    there.faults.schedule(
        [
            {
                "instrument": "nitrogen",
                "kind": "swapped",
                "parameters": {"with": "furnace"},
                "at_s": 2,
                "for_s": 4,
            },
            {"instrument": "nitrogen", "kind": "drop", "at_s": lost_s[0], "for_s": lost_s[1] - lost_s[0]},
        ]
    )
    answered = [bool(seats[0].feed(ASK if 2 <= t < 6 else b"A\r", t + 0.5)) for t in range(10)]
    assert answered == [not lost_s[0] <= t < lost_s[1] for t in range(10)]
    assert [seat.session for seat in seats] == before
