from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.bench.api import (
    BAD,
    GOOD,
    SILENT,
    Audit,
    CommunicationError,
    Driver,
    NotDoneError,
    Reading,
    RefusedError,
)
from labctl_drivers.bronkhorst import ENTRY, Bronkhorst
from labctl_drivers.bronkhorst.parameters import (
    ALARM,
    CAPACITY,
    CONTROL_MODE,
    FIRMWARE,
    FLUID,
    FLUIDSET,
    FMEASURE,
    FSETPOINT,
    MEASURE,
    MODEL,
    SERIAL,
    SETPOINT,
    UNIT,
    Parameter,
    fraction,
    sccm_of,
)
from labctl_drivers.bronkhorst.propar import (
    ASCII,
    BINARY,
    ascii_frame,
    ascii_frames,
    binary_frame,
    binary_frames,
    reading,
    values_of,
    writing,
)
from labctl_simulators.devices.api import Bindings, Replies
from labctl_simulators.devices.bronkhorst import ElFlow, attach
from labctl_simulators.physics.massflow import MassFlow
from tests.drivers.bench import VirtualClock, Wire, mounted
from tests.drivers.contract import DriverContract

PROTOCOLS = ("ascii", "binary", "modbus")
PROPAR = ("ascii", "binary")


class Rig(NamedTuple):
    clock: VirtualClock
    flow: MassFlow
    device: ElFlow
    wire: Wire
    driver: Bronkhorst

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.t_s += 1.0
            self.flow.step(1.0)
            self.device.tick(self.clock.t_s)

    def run(self, seconds: int) -> tuple[Reading, ...]:
        """Read at every second, so that communication is never lost."""
        for _ in range(seconds):
            self.live(1)
            image = self.driver.read()
        return image


@contextmanager
def controller(full_scale: float = 1000.0, flowing: float = 0.0, **options: Any) -> Iterator[Rig]:
    clock, flow = VirtualClock(), MassFlow(full_scale)
    device, session = attach(Bindings(now=clock.now, mass_flow=flow), options, "M21201234A")
    if flowing:
        device.setpoint = flowing / full_scale
        for _ in range(10):
            device.tick(0.0)
            flow.step(1.0)
    wire = Wire(session)
    with mounted("bronkhorst-test/nitrogen", wire, clock) as line:
        driver = Bronkhorst(line, options)
        driver.open()
        yield Rig(clock, flow, device, wire, driver)
        driver.close()


@pytest.fixture(params=PROTOCOLS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with controller(protocol=request.param) as rig:
        yield rig


def good(reading: Reading) -> float:
    assert reading.quality is GOOD
    assert reading.value is not None
    return reading.value


def failed(audit: Audit) -> set[str]:
    return {item.name for item in audit.items if not item.ok}


class Contract(DriverContract):
    entry = ENTRY
    hosts = ("pty", "tcp")
    serial_number = "M21201234A"

    def bindings(self, now: Callable[[], float]) -> Bindings:
        return Bindings(now=now, mass_flow=MassFlow(1000.0))

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("set_flow", {"flow_sccm": 200.0})
        driver.read()
        driver.execute("keep_on_comms_loss", {})


class TestAsciiContract(Contract):
    options: ClassVar[Mapping[str, Any]] = {"protocol": "ascii"}


class TestBinaryContract(Contract):
    options: ClassVar[Mapping[str, Any]] = {"protocol": "binary"}


class TestModbusContract(Contract):
    options: ClassVar[Mapping[str, Any]] = {"protocol": "modbus"}


del Contract  # or it would be collected without options


@pytest.mark.parametrize(
    ("parameters", "frame"),
    [
        ((MEASURE,), ":06030401200120"),
        ((SETPOINT,), ":06030401210121"),
        ((CONTROL_MODE,), ":06030401040104"),
        ((ALARM,), ":06030401140114"),
        ((FMEASURE,), ":06030421402140"),
        ((FSETPOINT,), ":06030421432143"),
        ((CAPACITY,), ":060304014D014D"),
        ((UNIT,), ":070304017F017F00"),
        ((FLUID,), ":0703040171017100"),
        ((SERIAL,), ":0703047163716300"),
        ((FMEASURE, FSETPOINT, ALARM), ":0D0304A1C0214043214301140114"),
    ],
)
def test_requests_are_those_of_the_manual_and_of_the_makers_client(
    parameters: tuple[Parameter, ...], frame: str
) -> None:
    assert ascii_frame(0, 3, reading(parameters)) == frame.encode() + b"\r\n"


def test_writes_are_those_of_the_manual_and_of_the_makers_client() -> None:
    assert ascii_frame(0, 3, writing(SETPOINT, 16000)) == b":06030101213E80\r\n"
    assert ascii_frame(0, 3, writing(CONTROL_MODE, 0)) == b":050301010400\r\n"
    assert ascii_frame(0, 3, writing(FSETPOINT, 0.5)) == b":08030121433F000000\r\n"


def test_a_binary_frame_doubles_what_looks_like_its_end() -> None:
    assert binary_frame(1, 3, reading((FMEASURE,))) == bytes.fromhex("10 02 01 03 05 04 21 40 21 40 10 03")
    framed = binary_frame(16, 3, b"\x02\x01\x20\x10\x03")
    assert framed == bytes.fromhex("10 02 10 10 03 05 02 01 20 10 10 03 10 03")
    assert binary_frames(framed) == [(16, 3, b"\x02\x01\x20\x10\x03")]


def test_the_manuals_replies_are_understood() -> None:
    # the manual's request chooses 1 as the index of the reply
    ((_, node, data),) = ascii_frames(b":06030201213E80\r\n") or ()
    assert node == 3
    assert values_of(data, (SETPOINT,)) == (16000,)
    assert fraction(16000) == 0.5
    assert ascii_frames(b":0403000005\r\n") == [(None, 3, b"\x00\x00\x05")]
    assert ascii_frames(b":0105\r\n") == [(None, None, b"\x05")]


@pytest.mark.parametrize(
    ("raw", "of_capacity"), [(0, 0.0), (32000, 1.0), (41942, 41942 / 32000), (65535, 0.0), (65215, -0.01)]
)
def test_a_raw_measure_beyond_131_percent_is_a_negative_flow(raw: int, of_capacity: float) -> None:
    assert fraction(raw) == pytest.approx(of_capacity)


@pytest.mark.parametrize(
    ("unit", "sccm"),
    [
        ("mln/min", 298.15 / 273.15),
        ("ln/min ", 1091.525),
        ("mls/min", 298.15 / 293.15),
        ("ls/h   ", 16.9509),
        ("m3n/h", 18192.08),
        ("g/h", None),
        ("bar(a)", None),
        ("", None),
    ],
)
def test_a_capacity_at_0_or_20_degc_is_converted_to_25(unit: str, sccm: float | None) -> None:
    assert sccm_of(unit) == (sccm if sccm is None else pytest.approx(sccm, rel=1e-5))


def test_modbus_addresses_are_those_of_the_manual() -> None:
    assert [
        (p.address, p.registers)
        for p in (
            *(MEASURE, SETPOINT, CONTROL_MODE, FLUIDSET, ALARM, CAPACITY, FLUID, UNIT),
            *(FMEASURE, FSETPOINT, MODEL, SERIAL, FIRMWARE),
        )
    ] == [
        (0x0020, 1),
        (0x0021, 1),
        (0x0024, 1),
        (0x0030, 1),
        (0x0034, 1),
        (0x8168, 2),
        (0x8188, 5),
        (0x81F8, 4),
        (0xA100, 2),
        (0xA118, 2),
        (0xF110, 7),
        (0xF118, 8),
        (0xF128, 3),
    ]


def test_one_telegram_carries_a_whole_reading() -> None:
    with controller() as rig:
        before = len(rig.wire.carried)
        rig.driver.read()
        (request,) = rig.wire.carried[before:]
        assert request == b":190304AAC0214043214301A00120A10121840104900110140114\r\n"


def test_a_modbus_reading_is_one_block_and_asks_for_the_rest_at_every_fifth() -> None:
    with controller(protocol="modbus") as rig:
        before = len(rig.wire.carried)
        rig.run(20)
        asked = [int.from_bytes(r[2:4]) for r in rig.wire.carried[before:]]
        assert asked.count(0x20) == 20
        assert asked.count(0x30) == asked.count(0x34) == 4
        assert len(asked) == 28


def test_a_controller_is_identified_and_its_capacity_is_told_in_sccm(rig: Rig) -> None:
    before = dict(rig.device.__dict__)
    audit = rig.driver.audit()
    assert audit.ok
    assert audit.identity == {
        "maker": "Bronkhorst",
        "serial_number": "M21201234A",
        "model": "F-201CV-1K0",
        "firmware": "V8.27",
        "fluid": "N2",
        "capacity": "916.15 mln/min",
        "control_mode": "18, set at connect (was 0)",
    }
    assert {i.name: i.found for i in audit.items}["full scale"] == "1000 sccm"
    assert (rig.device.mode, rig.device.setpoint) == (before["mode"], before["setpoint"])


@pytest.mark.parametrize("unit", ["mln/min", "ln/min", "mls/min", "ls/h", "m3n/h"])
def test_whatever_unit_it_counts_in_it_is_asked_in_sccm(unit: str) -> None:
    with controller(sim_capacity_unit=unit) as rig:
        rig.driver.execute("set_flow", {"flow_sccm": 250.0})
        image = rig.run(10)
        assert rig.flow.flow_sccm == pytest.approx(250.0, abs=0.01)
        assert image[0].value == pytest.approx(250.0, abs=0.01)
        assert image[0].quality is GOOD


def test_a_flow_is_set_read_back_and_reached(rig: Rig) -> None:
    done = rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    assert done == {"flow_setpoint_sccm": 200.0, "flow_sccm": 0.0, "control_mode": 18}
    flow, setpoint, mode = rig.run(10)
    assert flow.value == pytest.approx(200.0, abs=0.05)
    assert setpoint.value == pytest.approx(200.0, abs=0.05)
    assert mode.value == 18
    rig.driver.execute("set_flow", {"flow_sccm": 0.0})
    assert rig.run(10)[0].value == pytest.approx(0.0, abs=0.05)


def test_the_whole_capacity_may_be_asked_for(rig: Rig) -> None:
    assert rig.driver.execute("set_flow", {"flow_sccm": 1000.0})["flow_setpoint_sccm"] == 1000.0


@pytest.mark.parametrize("flow", [-1.0, 1000.1, math.nan, math.inf])
def test_a_flow_outside_the_range_is_refused_and_not_sent(rig: Rig, flow: float) -> None:
    before = len(rig.wire.carried)
    with pytest.raises(RefusedError):
        rig.driver.execute("set_flow", {"flow_sccm": flow})
    assert len(rig.wire.carried) == before


def test_the_bench_may_allow_less_than_the_capacity() -> None:
    with controller(max_flow_sccm=300) as rig, pytest.raises(RefusedError, match="300"):
        rig.driver.execute("set_flow", {"flow_sccm": 301.0})


# Control mode: what becomes of the nitrogen when nobody speaks any more.


def test_at_rest_open_sets_the_mode_that_keeps_flowing_and_says_so(rig: Rig) -> None:
    assert rig.device.mode == 18
    assert rig.driver.audit().identity["control_mode"] == "18, set at connect (was 0)"


def test_while_gas_flows_open_writes_nothing_and_the_audit_fails() -> None:
    for protocol in PROTOCOLS:
        with controller(flowing=200.0, protocol=protocol) as rig:
            assert rig.device.mode == 0
            assert failed(rig.driver.audit()) == {"control mode"}
            assert rig.driver.read()[0].quality is BAD
            assert rig.device.setpoint == 0.2
            assert rig.driver.execute("keep_on_comms_loss", {}) == {"control_mode": 18}
            assert rig.driver.audit().ok
            assert good(rig.run(1)[0]) == pytest.approx(200.0, abs=0.05)


def test_with_mode_18_gas_flows_on_when_nobody_speaks(rig: Rig) -> None:
    rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    rig.run(10)
    rig.live(600)
    assert rig.flow.flow_sccm == pytest.approx(200.0, abs=0.01)


def test_with_mode_0_the_valve_closes_when_nobody_speaks() -> None:
    with controller(on_comms_loss="safe_state") as rig:
        assert rig.driver.audit().ok
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})
        assert rig.run(10)[0].quality is GOOD
        rig.live(10)
        assert rig.flow.flow_sccm == pytest.approx(200.0, abs=0.01)
        rig.live(30)
        assert rig.flow.indicated_sccm == 0.0
        rig.driver.read()
        rig.live(10)
        assert rig.flow.flow_sccm == pytest.approx(200.0, abs=0.01)


def test_a_reboot_makes_the_flow_bad_fails_the_audit_and_nothing_is_rewritten(rig: Rig) -> None:
    rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    rig.run(10)
    rig.device.power_cycle()
    flow, setpoint, mode = rig.run(10)
    assert (flow.quality, setpoint.value, mode.value) == (BAD, 0.0, 0.0)
    assert failed(rig.driver.audit()) == {"control mode"}
    # gas may be asked for again, and flows; what it would do without us is still not what the bench wants
    done = rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    assert done["control_mode"] == 0
    flow = rig.run(10)[0]
    assert flow.quality is BAD
    assert rig.flow.flow_sccm == pytest.approx(200.0, abs=0.01)
    assert rig.device.mode == 0
    rig.driver.execute("keep_on_comms_loss", {})
    assert rig.run(1)[0].quality is GOOD


def test_a_stored_setpoint_that_comes_back_with_the_power_is_seen() -> None:
    with controller(flowing=0.0, sim_power_up_sccm=1000.0) as rig:
        assert rig.device.mode == 0
        assert failed(rig.driver.audit()) == {"control mode"}
        assert rig.driver.read()[1].value == pytest.approx(1000.0, abs=0.05)


@pytest.mark.parametrize("mode", [1, 3, 4, 8, 12, 22])
def test_a_mode_that_ignores_the_setpoint_is_found_and_never_changed(rig: Rig, mode: int) -> None:
    rig.device.mode = mode
    assert failed(rig.driver.audit()) == {"control mode"}
    assert rig.driver.read()[0].quality is BAD
    with pytest.raises(NotDoneError, match="does not act"):
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    with pytest.raises(RefusedError, match="somebody"):
        rig.driver.execute("keep_on_comms_loss", {})
    assert rig.device.mode == mode


def test_a_mode_that_is_not_taken_over_is_not_believed(rig: Rig) -> None:
    rig.device.mode = 0
    rig.device.keeps_mode = True
    with pytest.raises(NotDoneError, match="control mode reads 0"):
        rig.driver.execute("keep_on_comms_loss", {})


# Identity and calibration.


def test_another_serial_number_gas_or_capacity_fails_the_audit(rig: Rig) -> None:
    options = {**rig.driver.options, "serial_number": "M1", "full_scale_sccm": 1091.5, "gas": "Ar"}
    other = Bronkhorst(rig.driver.line, options)
    other.open()
    assert failed(other.audit()) == {"serial number", "fluid", "full scale"}
    other.close()


def test_another_fluid_set_makes_the_flow_bad(rig: Rig) -> None:
    rig.device.fluidset = 1
    assert rig.run(5)[0].quality is BAD
    assert failed(rig.driver.audit()) == {"fluid"}


def test_a_capacity_that_is_no_volume_flow_is_no_flow(rig: Rig) -> None:
    rig.device.unit = "g/h"
    other = Bronkhorst(rig.driver.line, rig.driver.options)
    other.open()
    assert failed(other.audit()) == {"capacity unit", "full scale"}
    assert {r.quality for r in other.read()[:2]} == {BAD}
    with pytest.raises(RefusedError, match="g/h"):
        other.execute("set_flow", {"flow_sccm": 10.0})
    other.close()


@pytest.mark.parametrize(("alarm", "quality"), [(1 << 0, BAD), (1 << 7, BAD), (1 << 1, GOOD), (1 << 5, GOOD)])
def test_an_error_or_hardware_alarm_makes_the_flow_bad_a_warning_does_not(
    rig: Rig, alarm: int, quality: object
) -> None:
    rig.device.alarm = alarm
    assert rig.run(5)[0].quality is quality
    assert ("alarms" in failed(rig.driver.audit())) is (quality is BAD)


def test_a_lost_supply_shows_as_flow_below_the_setpoint(rig: Rig) -> None:
    rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    rig.run(10)
    rig.flow.supply_ok = False
    flow, setpoint, _ = rig.run(10)
    assert good(flow) == pytest.approx(0.0, abs=0.05)
    assert setpoint.value == pytest.approx(200.0, abs=0.05)


# The wire.


def test_silence_is_silence_and_an_unknown_outcome_is_said(rig: Rig) -> None:
    rig.device.silent = True
    assert {r.quality for r in rig.driver.read()} == {SILENT}
    with pytest.raises(CommunicationError):
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    with pytest.raises(CommunicationError):
        Bronkhorst(rig.driver.line, rig.driver.options).open()


def test_a_setpoint_whose_acknowledgement_was_lost_is_read_back_and_not_sent_again(rig: Rig) -> None:
    clean, lost = rig.wire.spoil, []

    def lose_first(replies: Replies) -> Replies:
        lost.append(rig.wire.carried[-1])
        rig.wire.spoil = clean
        return []

    rig.wire.spoil = lose_first
    assert rig.driver.execute("set_flow", {"flow_sccm": 200.0})["flow_setpoint_sccm"] == 200.0
    assert rig.wire.carried.count(lost[0]) == 1


@pytest.mark.parametrize("protocol", PROPAR)
def test_a_reply_that_comes_late_is_never_the_next_reading(protocol: str) -> None:
    with controller(protocol=protocol) as rig:
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})
        rig.run(10)
        late = rig.wire.session.feed(rig.wire.carried[-1], rig.clock.now())
        rig.flow.supply_ok = False
        rig.run(10)
        rig.wire.spoil = lambda replies: late
        assert {r.quality for r in rig.driver.read()} == {SILENT}
        rig.wire.spoil = lambda replies: late + replies
        assert good(rig.driver.read()[0]) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("protocol", PROPAR)
def test_the_reply_of_another_node_is_none(protocol: str) -> None:
    with controller(protocol=protocol) as rig:
        rig.driver.read()
        _, raw = rig.wire.session.feed(rig.wire.carried[-1], 0.0)[0]
        other = raw.replace(b":1A03", b":1A04") if protocol == "ascii" else raw[:3] + b"\x04" + raw[4:]
        assert other != raw
        rig.wire.spoil = lambda replies: [(0.0, other)]
        assert {r.quality for r in rig.driver.read()} == {SILENT}


@pytest.mark.parametrize("protocol", PROPAR)
def test_a_node_that_is_not_there_is_named(protocol: str) -> None:
    clock = VirtualClock()
    _, session = attach(Bindings(now=clock.now, mass_flow=MassFlow(500.0)), {"node": 5}, "")
    with mounted("bronkhorst-test/node", session, clock) as line:
        with pytest.raises(CommunicationError, match="node 4: no such node"):
            Bronkhorst(line, {"protocol": protocol, "node": 4}).open()
        for node in (5, 128):
            driver = Bronkhorst(line, {"protocol": protocol, "node": node})
            driver.open()
            assert driver.read()[0].quality is GOOD
            driver.close()


@pytest.mark.parametrize("protocol", PROPAR)
def test_a_status_error_is_refused_with_its_meaning_and_is_no_reading(protocol: str) -> None:
    with controller(protocol=protocol) as rig:
        wrap = (ASCII if protocol == "ascii" else BINARY).wrap

        def refuse(replies: Replies) -> Replies:
            request = rig.wire.carried[-1]
            return [(0.0, wrap(request[2], 3, b"\x00\x0d\x03"))]

        rig.wire.spoil = refuse
        assert {r.quality for r in rig.driver.read()} == {SILENT}
        with pytest.raises(RefusedError, match=r"read only \(status 13, at byte 3\)"):
            rig.driver.execute("set_flow", {"flow_sccm": 200.0})


def _flowing(protocol: str) -> tuple[bytes, Callable[[bytes], tuple[Reading, ...]]]:
    """A reply to a reading at 200 sccm, and what a driver makes of any reply to that request."""
    with controller(protocol=protocol) as rig:
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})
        rig.run(10)
        _, raw = rig.wire.session.feed(rig.wire.carried[-1], rig.clock.now())[0]
        propar: Any = rig.driver._wire
        turn = propar._turn

    def read(spoilt: bytes) -> tuple[Reading, ...]:
        class Canned:
            def feed(self, data: bytes, now_s: float) -> Replies:
                return [(0.0, spoilt)]

        with mounted("bronkhorst-test/canned", Canned(), VirtualClock()) as line:
            driver = Bronkhorst(line, {"protocol": protocol})
            driver._wire = wire = driver._connected()
            wire._turn = turn - 1  # type: ignore[attr-defined]
            driver._capacity, driver._full_scale_sccm = 916.1495, 1000.0
            image = driver.read()
            driver.close()
        return image

    return raw, read


CANNED = {protocol: _flowing(protocol) for protocol in PROPAR}


@pytest.mark.parametrize("protocol", PROPAR)
def test_an_undamaged_reply_reads_good(protocol: str) -> None:
    raw, read = CANNED[protocol]
    assert good(read(raw)[0]) == pytest.approx(200.0, abs=0.05)


@pytest.mark.parametrize("protocol", PROPAR)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_damage_on_the_way_never_makes_a_good_number_that_is_another(
    protocol: str, data: st.DataObject
) -> None:
    raw, read = CANNED[protocol]
    place = data.draw(st.integers(0, len(raw) - 1))
    instead = data.draw(st.binary(max_size=3) | st.sampled_from([bytes((c,)) for c in b"0123456789ABCDEF"]))
    flow, setpoint, _ = read(raw[:place] + instead + raw[place + 1 :])
    for reading_ in (flow, setpoint):
        if reading_.quality is GOOD:
            # 0.5 % of the capacity: what the two numbers of a telegram may differ by
            assert reading_.value == pytest.approx(200.0, abs=5.1)


@pytest.mark.parametrize("protocol", PROPAR)
@settings(deadline=None, max_examples=100)
@given(garbage=st.binary(max_size=80))
def test_garbage_is_never_a_number(protocol: str, garbage: bytes) -> None:
    _, read = CANNED[protocol]
    assert {r.quality for r in read(garbage)} == {SILENT}


@given(number=st.integers(0, 255), node=st.integers(1, 128), data=st.binary(min_size=2, max_size=250))
def test_whatever_is_framed_comes_out_again(number: int, node: int, data: bytes) -> None:
    assert ascii_frames(ascii_frame(number, node, data)) == [(None, node, data)]
    assert binary_frames(binary_frame(number, node, data)) == [(number, node, data)]


def test_a_text_comes_with_its_length_or_with_its_end() -> None:
    assert values_of(b"\x02\x01\x7f\x07mln/min", (UNIT,)) == ("mln/min",)
    assert values_of(b"\x02\x01\x7f\x00mln/min\x00", (UNIT,)) == ("mln/min",)
    for cut in (b"\x02\x01\x7f", b"\x02\x01\x7f\x07mln", b"\x02\x01\x7f\x00mln/min", b"\x02\x01\x7f\x02mln"):
        assert values_of(cut, (UNIT,)) is None
    assert values_of(b"\x02\x01\x24\x00\x12", (CONTROL_MODE,)) is None, "another type"
    assert values_of(b"\x02\x01\x04", (CONTROL_MODE,)) is None, "no value"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "rs485"}, "ascii, binary or modbus"),
        ({"on_comms_loss": "close"}, "keep or safe_state"),
        ({"noed": 3}, "'node'"),
    ],
)
def test_a_wrong_option_is_named(options: Mapping[str, Any], message: str) -> None:
    with (
        mounted("bronkhorst-test/options", _Deaf(), VirtualClock()) as line,
        pytest.raises(ValueError, match=message),
    ):
        Bronkhorst(line, options)


def test_a_node_that_cannot_be_is_refused() -> None:
    with (
        mounted("bronkhorst-test/nodes", _Deaf(), VirtualClock()) as line,
        pytest.raises(ValueError, match="node 0"),
    ):
        Bronkhorst(line, {"node": 0}).open()


class _Deaf:
    def feed(self, data: bytes, now_s: float) -> Replies:
        return []
