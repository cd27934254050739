from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from labctl.bench.api import (
    BAD,
    CAPABILITIES,
    GOOD,
    SILENT,
    Audit,
    CommunicationError,
    NotDoneError,
    RefusedError,
)
from labctl_drivers.alicat import ENTRY, Alicat, FrameReader, parse_layout
from labctl_drivers.alicat.frame import shown_layout
from labctl_simulators.devices import alicat as simulated
from labctl_simulators.devices.api import Bindings
from labctl_simulators.physics.massflow import MassFlow
from tests.drivers.bench import VirtualClock, Wire, mounted

# Rows of an MC-500SCCM-D (10v20.0-R24) and of a 5v12 controller, as captured from the instruments.
MODERN = b"""\
A D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________
A D01 700 Unit ID                    string          1
A D02 002 Abs Press                  s decimal     7/2 010 02 PSIA
A D03 003 Flow Temp                  s decimal     7/2 002 02 `C
A D04 004 Volu Flow                  s decimal     7/2 012 02 CCM
A D05 005 Mass Flow                  s decimal     7/2 012 02 SCCM
A D06 037 Mass Flow Setpt            s decimal     7/2 012 02 SCCM
A D07 703 Gas                        string          6
A D08 701 *Error                     string          3 ADC
A D09 702 *Status                    string          3 OPL""".splitlines()
LEGACY = b"""\
A  D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__
A  D01 Unit ID     char         A         Z         na
A  D02 Pressure    signed    +000.00  +160.00     PSIA
A  D03 Temperature signed    -010.00  +050.00        C
A  D04 Volumetric  signed    +0000.0  +0500.0      CCM
A  D05 Mass        signed    +0000.0  +0500.0     SCCM
A  D06 SetPoint    signed    +0000.0  +0500.0     SCCM
A  D07 Gas         string        Air       D2       na
A  D08 Error       string         na      ADC       na
A  D09 Status      string         na      LCK       na""".splitlines()
CAPTURED = b"A +014.62 +021.89 +000.00 +000.00 +078.95     N2\r"


class Rig(NamedTuple):
    clock: VirtualClock
    flow: MassFlow
    device: simulated.Alicat
    wire: Wire
    driver: Alicat

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.t_s += 1.0
            self.flow.step(1.0)
            self.device.tick(self.clock.t_s)

    def good(self, name: str) -> float:
        reading = dict(zip((s.name for s in ENTRY.signals), self.driver.read(), strict=True))[name]
        assert reading.quality is GOOD
        assert reading.value is not None
        return reading.value


@contextmanager
def controller(full_scale: float = 500.0, **options: Any) -> Iterator[Rig]:
    clock, flow = VirtualClock(), MassFlow(full_scale)
    device, session = simulated.attach(Bindings(now=clock.now, mass_flow=flow), options, "521641")
    wire = Wire(session)
    with mounted("alicat-test/nitrogen", wire, clock) as line:
        driver = Alicat(line, options)
        driver.open()
        yield Rig(clock, flow, device, wire, driver)
        driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with controller() as rig:
        yield rig


def failed(audit: Audit) -> set[str]:
    return {item.name for item in audit.items if not item.ok}


def reader(table: list[bytes] = MODERN, old: bytes = b"", new: bytes = b"") -> FrameReader:
    text = b"\n".join(table)
    if old:
        text = text.replace(old, new)
    layout = parse_layout(text.splitlines())
    assert layout is not None
    return FrameReader(layout, "A", "N2")


def test_it_offers_what_a_gas_flow_must() -> None:
    signals = {s.name: s.unit for s in ENTRY.signals}
    assert dict(CAPABILITIES["gas_flow"].signals).items() <= signals.items()


@pytest.mark.evidence(
    "alicat", "record", "frames of real controllers, as alicatlib publishes them, are read by the driver"
)
def test_the_captured_frame_is_read_in_bar_and_sccm() -> None:
    frame = reader().read(CAPTURED)
    assert frame is not None
    assert frame.flow == (0.0, GOOD)
    assert frame.flow_setpoint == (78.95, GOOD)
    assert frame.pressure[0] == pytest.approx(1.00801, abs=1e-5)
    assert frame.pressure[1] is GOOD
    assert frame.gas_temperature == (21.89, GOOD)
    assert (frame.gas, frame.status) == ("N2", frozenset())


@pytest.mark.parametrize(
    ("table", "raw", "flow", "setpoint"),
    [
        (reader(LEGACY), b"A +014.64 +022.40 +0115.9 +0116.2 0116.3     N2\r", 116.2, 116.3),
        (reader(LEGACY), b"A +014.64 +022.40 +0115.9 +0116.2 +0116.3     N2\r", 116.2, 116.3),
        (
            reader(MODERN, b"7/2 012 02 SCCM", b"7/3 012 02 SCCM"),
            b"A +014.62 +021.89 +000.00 -00.034 +00.000     N2\r",
            -0.034,
            0.0,
        ),
        (
            reader(MODERN, b"7/2 012 02 SCCM", b"7/3 007 02 SLPM"),
            b"A +014.62 +021.89 +000.00 +01.500 +01.500     N2\r",
            1500.0,
            1500.0,
        ),
        (
            reader(MODERN, b"A D07 703", b"A D07 009 Mass Total  s decimal 8/0 006 02 Scm3\nA D08 703"),
            b"A +014.64 +040.27 +000.40 +000.40 +015.00 +0022741  N2 MOV TMF\r",
            0.4,
            15.0,
        ),
        (reader(), b"A   +014.62   +021.89 +000.00  +020.00 +020.00 N2   LCK \r", 20.0, 20.0),
    ],
    ids=["unsigned setpoint", "signed setpoint", "negative at rest", "litres", "totalizer", "padding"],
)
def test_every_captured_variation_of_a_frame_is_read(
    table: FrameReader, raw: bytes, flow: float, setpoint: float
) -> None:
    frame = table.read(raw)
    assert frame is not None
    assert frame.flow[0] == pytest.approx(flow)
    assert frame.flow_setpoint[0] == pytest.approx(setpoint)
    assert frame.flow[1] is frame.flow_setpoint[1] is GOOD


def test_a_column_of_dashes_is_no_number_and_spoils_no_other() -> None:
    frame = reader().read(b"A +014.62 ------- +000.00 -- +078.95     N2\r")
    assert frame is not None
    assert frame.flow == (None, BAD)
    assert frame.gas_temperature == (None, BAD)
    assert frame.flow_setpoint == (78.95, GOOD)


def test_a_meter_has_no_setpoint() -> None:
    meter = [row for row in MODERN if b" 037 " not in row]
    frame = reader(meter).read(b"A +014.62 +021.89 +000.00 +020.00     N2\r")
    assert frame is not None
    assert frame.flow == (20.0, GOOD)
    assert frame.flow_setpoint == (None, BAD)


@pytest.mark.parametrize("token", [b"ADC", b"POV", b"OPL", b"HLD", b"EXH", b"XYZ"])
def test_a_flow_is_bad_beside_a_token_that_casts_doubt_on_it(token: bytes) -> None:
    frame = reader().read(CAPTURED.replace(b"\r", b" %s\r" % token))
    assert frame is not None
    assert frame.flow == (0.0, BAD)


def test_a_flow_of_another_gas_is_bad() -> None:
    frame = reader().read(CAPTURED.replace(b" N2", b"Air"))
    assert frame is not None
    assert frame.flow == (0.0, BAD)


@pytest.mark.parametrize("place", range(len(CAPTURED)))
def test_a_lost_character_never_makes_another_number(place: int) -> None:
    damaged = CAPTURED[:place] + CAPTURED[place + 1 :]
    frame, whole = reader().read(damaged), reader().read(CAPTURED)
    assert whole is not None
    if frame is not None:
        assert frame.gas != "N2" or frame[:4] == whole[:4]


def test_a_controller_is_identified_and_audited_without_being_written_to(rig: Rig) -> None:
    before = len(rig.wire.carried)
    audit = rig.driver.audit()
    assert audit.ok
    assert audit.identity == {
        "firmware": "10v20.0-R24",
        "model": "MC-500SCCM-D",
        "serial_number": "521641",
        "layout": "modern",
    }
    assert rig.wire.carried[before:] == [b"A\r", b"AGS\r", b"ALV\r", b"ALSS\r"]


@pytest.mark.parametrize("firmware", ["5v12.0-R22", "6v21.0-R22", "8v17.0-R23", "10v04.0-R24", "10v20.0-R24"])
def test_every_firmware_is_read_driven_and_never_locked(firmware: str) -> None:
    with controller(sim_firmware=firmware) as rig:
        assert rig.driver.audit().ok
        assert rig.driver.execute("set_flow", {"flow_sccm": 123.4})["flow_setpoint_sccm"] == 123.4
        rig.live(10)
        assert rig.good("flow") == 123.4
        assert not rig.device.locked


def test_a_command_that_begins_with_l_locks_an_old_display() -> None:
    with controller(sim_firmware="5v12.0-R22") as rig:
        rig.wire.feed(b"ALS\r", 0.0)
        assert rig.device.locked


def test_a_setpoint_is_rounded_to_what_the_display_shows_and_read_back(rig: Rig) -> None:
    assert rig.driver.execute("set_flow", {"flow_sccm": 123.456}) == {
        "flow_setpoint_sccm": 123.46,
        "flow_sccm": 0.0,
    }
    assert rig.wire.carried[-1] == b"AS123.46\r"
    rig.live(10)
    assert rig.good("flow") == pytest.approx(123.46)


def test_an_analog_setpoint_source_is_found_at_connect_and_when_asked_for_flow(rig: Rig) -> None:
    rig.device.analog_source = True
    assert failed(rig.driver.audit()) == {"setpoint source"}
    with pytest.raises(NotDoneError, match="setpoint source"):
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})


@pytest.mark.parametrize("flow", [-1.0, 500.1, float("nan"), float("inf")])
def test_a_flow_outside_the_range_is_refused_and_not_sent(rig: Rig, flow: float) -> None:
    before = len(rig.wire.carried)
    with pytest.raises(RefusedError):
        rig.driver.execute("set_flow", {"flow_sccm": flow})
    assert len(rig.wire.carried) == before


def test_the_bench_may_allow_less_than_the_full_scale() -> None:
    with controller(max_flow_sccm=300) as rig, pytest.raises(RefusedError, match="300"):
        rig.driver.execute("set_flow", {"flow_sccm": 301.0})


def test_it_has_no_other_verb(rig: Rig) -> None:
    with pytest.raises(RefusedError, match="heat"):
        rig.driver.execute("heat", {})


def test_the_wrong_gas_fails_the_audit_and_makes_the_flow_bad(rig: Rig) -> None:
    rig.device.gas = 0
    assert failed(rig.driver.audit()) == {"gas"}
    assert rig.driver.read()[0].quality is BAD


def test_another_serial_number_full_scale_or_loop_fails_the_audit() -> None:
    with controller(serial_number="521642", full_scale_sccm=1000) as rig:
        rig.device.loop_variable = 34
        assert failed(rig.driver.audit()) == {"serial number", "full scale", "loop variable"}


def test_a_held_valve_fails_the_audit_and_makes_the_flow_bad(rig: Rig) -> None:
    rig.device.held = True
    assert failed(rig.driver.audit()) == {"status"}
    assert rig.driver.read()[0].quality is BAD


def test_a_lost_supply_shows_as_flow_below_the_setpoint(rig: Rig) -> None:
    rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    rig.live(10)
    rig.flow.supply_ok = False
    rig.live(10)
    assert rig.good("flow") == pytest.approx(0.0, abs=0.01)
    assert rig.good("flow_setpoint") == 200.0


def test_a_power_cut_shows_as_the_power_up_setpoint(rig: Rig) -> None:
    rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    rig.live(10)
    rig.device.power_cycle()
    assert rig.good("flow_setpoint") == 0.0


def test_a_controller_left_streaming_is_stopped_at_open() -> None:
    clock, flow = VirtualClock(), MassFlow(500.0)
    device, session = simulated.attach(Bindings(now=clock.now, mass_flow=flow), {}, "521641")
    device.streaming = True
    with mounted("alicat-test/streaming", session, clock) as line:
        driver = Alicat(line, {})
        driver.open()
        assert not device.streaming
        assert driver.read()[0].quality is GOOD


def test_a_setpoint_whose_reply_was_lost_is_resolved_by_a_poll_and_not_sent_again(rig: Rig) -> None:
    def lose_echo(replies: Any) -> Any:
        return [] if rig.wire.carried[-1].startswith(b"AS") else replies

    rig.wire.spoil = lose_echo
    assert rig.driver.execute("set_flow", {"flow_sccm": 200.0})["flow_setpoint_sccm"] == 200.0
    assert [c for c in rig.wire.carried if c.startswith(b"AS")] == [b"AS200.00\r"]


def test_a_setpoint_whose_outcome_cannot_be_learned_is_a_communication_error(rig: Rig) -> None:
    rig.device.silent = True
    with pytest.raises(CommunicationError):
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})


def test_a_controller_that_rejects_everything_is_not_believed_to_have_done_it(rig: Rig) -> None:
    rig.device.rejects = True
    with pytest.raises((NotDoneError, CommunicationError)):
        rig.driver.execute("set_flow", {"flow_sccm": 200.0})
    assert rig.device.setpoint_sccm == 0.0


@pytest.mark.parametrize(("firmware", "told"), [("10v20.0-R24", True), ("5v12.0-R22", False)])
def test_a_controller_that_does_not_know_the_old_setpoint_is_told_by_the_new_one(
    firmware: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with controller(sim_firmware=firmware) as rig:
        answers = rig.device._command

        def newer(body: bytes) -> bytes:
            return b"?\r" if body[:1] == b"S" else answers(body)

        monkeypatch.setattr(rig.device, "_command", newer)
        if told:
            assert rig.driver.execute("set_flow", {"flow_sccm": 200.0})["flow_setpoint_sccm"] == 200.0
            assert b"ALS 200.00\r" in rig.wire.carried
        else:
            with pytest.raises(NotDoneError):
                rig.driver.execute("set_flow", {"flow_sccm": 200.0})
            # below firmware 8 any command that begins with L locks the display
            assert not [c for c in rig.wire.carried if c.startswith(b"AL")]


class OfRegisters:
    """A controller as old as the published client that speaks in registers: no tables, no L commands."""

    def __init__(self) -> None:
        self.setpoint = 0.0
        self.asked: list[bytes] = []

    def feed(self, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
        self.asked.append(data)
        command = data.removesuffix(b"\r")
        if command.startswith(b"AS"):
            self.setpoint = float(command[2:])
        frame = b"A +014.62 +021.89 +%05.1f +%05.1f %06.1f     N2\r" % (3 * (self.setpoint,))
        known = {b"AVE": b"A   4v27.0-R22 Jan  9 2015,15:04:07\r", b"AR122": b"A   122 = 37\r", b"A": frame}
        return (
            []
            if command[:2] == b"@@"
            else [(0.01, known.get(command, frame if command[:2] == b"AS" else b"?\r"))]
        )


def test_a_controller_without_tables_shows_its_layout_in_a_frame_once_its_unit_of_flow_is_known() -> None:
    clock, old = VirtualClock(), OfRegisters()
    with mounted("alicat-test/old", old, clock) as line:
        with pytest.raises(CommunicationError, match="flow_unit"):
            Alicat(line, {}).open()
        driver = Alicat(line, {"flow_unit": "SCCM", "max_flow_sccm": 400.0})
        driver.open()
        assert failed(driver.audit()) == {"full scale"}
        assert driver.execute("set_flow", {"flow_sccm": 150.0}) == {
            "flow_setpoint_sccm": 150.0,
            "flow_sccm": 150.0,
        }
        flow, setpoint, pressure, temperature = driver.read()
        assert (flow.value, setpoint.value, temperature.value) == (150.0, 150.0, 21.89)
        assert pressure.value == pytest.approx(1.008, abs=1e-3)
        assert not [asked for asked in old.asked if asked.startswith(b"AL")]
        driver.close()


@pytest.mark.parametrize(
    "frame",
    [b"?\r", b"A +014.62 +021.89 N2\r", b"A +014.62 +021.89 +000.00 +000.00 +078.95\r", CAPTURED[:-1]],
)
def test_what_is_no_frame_of_a_controller_shows_no_layout(frame: bytes) -> None:
    assert shown_layout(frame, "SCCM") is None


def test_the_layout_that_a_frame_shows_reads_it_as_its_table_would() -> None:
    shown = shown_layout(CAPTURED, "SCCM")
    assert shown is not None
    assert FrameReader(shown, "A", "N2").read(CAPTURED) == reader().read(CAPTURED)
    assert FrameReader(shown, "A", "N2").read(CAPTURED.replace(b"+000.00", b"+00.00")) is None


def test_an_address_without_an_instrument_says_so_at_open() -> None:
    clock, flow = VirtualClock(), MassFlow(500.0)
    _, session = simulated.attach(Bindings(now=clock.now, mass_flow=flow), {"unit": "B"}, "521641")
    with mounted("alicat-test/nobody", session, clock) as line, pytest.raises(CommunicationError):
        Alicat(line, {"unit": "A"}).open()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flow_unit": "gpm"}, "SCCM or SLPM"),
        ({"gass": "N2"}, "'gas'"),
        ({"unit": "AB"}, "letter"),
        ({"gas": "Nitrogen"}, "unknown gas"),
    ],
)
def test_a_wrong_option_is_named(options: Mapping[str, Any], message: str) -> None:
    with (
        mounted("alicat-test/options", _Deaf(), VirtualClock()) as line,
        pytest.raises(ValueError, match=message),
    ):
        Alicat(line, options)


def test_what_was_never_opened_is_silent_and_closing_twice_is_fine() -> None:
    with mounted("alicat-test/closed", _Deaf(), VirtualClock()) as line:
        driver = Alicat(line, {})
        assert {r.quality for r in driver.read()} == {SILENT}
        driver.close()
        driver.close()


class _Deaf:
    def feed(self, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
        return []
