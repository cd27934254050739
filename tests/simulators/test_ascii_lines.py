"""The ASCII wires of the simulators: any split gives the same answers, and no bytes bring them down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl_simulators.devices import alicat, ika, rapidox
from labctl_simulators.devices.api import Bindings, Session
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.physics.massflow import MassFlow


def session(family: str, options: Mapping[str, Any]) -> Session:
    bindings = Bindings(now=lambda: 0.0, mass_flow=MassFlow(500.0), hotplate=Hotplate(), oxygen=lambda: 100.0)
    attach: Callable[..., Any] = {
        "alicat": alicat.attach,
        "rapidox": rapidox.attach,
        "ika": ika.attach,
    }[family]
    wire: Session = attach(bindings, options, "521641")[1]
    return wire


REQUESTS = {
    "alicat": b"A\rAVE\rAS100.0\rA??D*\rA??M*\rALS\rB\r\rA??G*\rAG9\rA\n\r",
    "rapidox": b"DxDD",
    "ika": b"IN_NAME \r\nOUT_SP_4 500 \r\nIN_SP_4\rIN_PV_1\r \nOUT_WD1@30 \r\nNONSENSE\r\nIN_PV_2 \r\n",
}
each = pytest.mark.parametrize("family", REQUESTS)


def said(wire: Session, *parts: bytes) -> bytes:
    return b"".join(reply for part in parts for _, reply in wire.feed(part, 0.0))


@each
def test_any_split_gives_the_same_answers(family: str) -> None:
    request = REQUESTS[family]
    whole = said(session(family, {}), request)
    assert whole
    for cut in range(len(request) + 1):
        assert said(session(family, {}), request[:cut], request[cut:]) == whole
    assert said(session(family, {}), *(bytes((b,)) for b in request)) == whole


@each
@settings(max_examples=100, deadline=None)
@given(noise=st.binary(max_size=300), cut=st.integers(0, 300))
def test_garbage_in_any_split_gives_the_same_answers_and_does_no_harm(
    family: str, noise: bytes, cut: int
) -> None:
    split, whole = session(family, {}), session(family, {})
    assert said(split, noise[:cut], noise[cut:]) == said(whole, noise)
    sound = b"D" if family == "rapidox" else b"\r" + REQUESTS[family]
    assert said(split, sound) == said(whole, sound) != b""


@settings(max_examples=100, deadline=None)
@given(
    line=st.text("ALSGVRF?MD*@ .0123456789", max_size=20), firmware=st.sampled_from(["5v12", "8v17", "10v20"])
)
def test_no_line_of_its_own_letters_brings_a_controller_down(line: str, firmware: str) -> None:
    wire = session("alicat", {"sim_firmware": firmware})
    said(wire, b"A" + line.encode() + b"\r")
    assert said(wire, b"@@ A\rA\r").endswith(b"\r")


@pytest.mark.evidence(
    "alicat",
    "record",
    "replies of a real controller, as alicatlib publishes them, are given by the simulator",
)
def test_the_captured_replies_of_a_modern_controller() -> None:
    wire = session("alicat", {})
    assert said(wire, b"AVE\r") == b"A   10v20.0-R24 Jan  9 2025,15:04:07\r"
    assert said(wire, b"A\r") == b"A +014.70 +022.00 +000.00 +000.00 +000.00     N2\r"
    assert said(wire, b"AS78.95\r") == b"A +014.70 +022.00 +000.00 +000.00 +078.95     N2\r"
    assert said(wire, b"ALS 100.0\r") == b"A +100.00 +100.00 12 SCCM\r"
    assert said(wire, b"ALSS\r") == b"A S\r"
    assert said(wire, b"AGS\r") == b"A 8 N2 Nitrogen\r"
    assert said(wire, b"ALV\r") == b"A 37\r"
    assert said(wire, b"AFPF 5\r") == b"A +500.00 12 SCCM\r"
    assert said(wire, b"AFPF 99\r") == b"A 0 0 ---\r"
    assert said(wire, b"AGS 8 0\r") == b"A 8 N2 Nitrogen\r"
    assert said(wire, b"AGS 8 2\r") == said(wire, b"AG8 0\r") == b"?\r"
    assert said(wire, b"AQQ\r") == b"?\r"
    rows = said(wire, b"A??M*\r").split(b"\r")
    assert rows[4:6] == [b"A  M04 Model Number MC-500SCCM-D", b"A  M05 Serial Number 521641"]
    rows = said(wire, b"A??D*\r").split(b"\r")
    assert rows[5] == b"A D05 005 Mass Flow                  s decimal     7/2 012 02 SCCM"


def test_a_controller_answers_in_registers_as_it_does_in_letters() -> None:
    wire = session("alicat", {})
    assert said(wire, b"A$$R46\r") == b"A   046 = 8\r"
    assert said(wire, b"A$$W46=1\r") == b"A   046 = 1\r"
    assert said(wire, b"AGS\r") == b"A 1 Ar Argon\r"
    assert said(wire, b"A$$W46=200\r") == b"A   046 = 1\r"
    assert said(wire, b"AW122=34\r") == b"A   122 = 34\r"
    assert b"+000.00     Ar" in said(wire, b"AS78.95\r")  # a setpoint of pressure is none of flow
    assert said(wire, b"A$$W122=37\r") == said(wire, b"AR122\r") == b"A   122 = 37\r"
    assert said(wire, b"A$$H\r").endswith(b"Ar HLD\r")
    assert said(wire, b"A$$C\r").endswith(b"Ar\r")
    assert said(wire, b"A$$L\r").endswith(b"Ar LCK\r")
    assert said(wire, b"A$$U\r").endswith(b"Ar\r")
    assert said(wire, b"AR500\r") == b"?\r"


def test_a_modern_controller_tells_units_statistics_and_the_drive_of_its_valve() -> None:
    wire = session("alicat", {})
    assert said(wire, b"ADCU 5\r") == b"A 12 SCCM\r"
    assert said(wire, b"ADV 10 2 5 99\r") == b"+014.70 +000.00 --\r"
    assert said(wire, b"ADV 0 2\r") == said(wire, b"ADV 10\r") == b"?\r"
    assert said(wire, b"AVD\r") == b"A 000.00 000.00 000.00 000.00\r"
    for tare in (b"AT\r", b"ATP\r", b"APC\r", b"AT 1\r"):
        assert said(wire, tare) == said(wire, b"A\r")
    old = session("alicat", {"sim_firmware": "5v12.0-R22"})
    assert said(old, b"ADV 10 2\r") == said(old, b"AVD\r") == said(old, b"ADCU 5\r") == b"?\r"


def test_the_captured_replies_of_an_old_controller() -> None:
    wire = session("alicat", {"sim_firmware": "5v12.0-R22"})
    rows = said(wire, b"A??D*\r").split(b"\r")
    assert rows[0] == b"A  D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__"
    assert rows[5] == b"A  D05 Mass        signed    +0000.0  +0500.0     SCCM"
    assert said(wire, b"AS116.3\r") == b"A +014.70 +022.00 +0000.0 +0000.0 0116.3     N2\r"
    assert said(wire, b"AFPF 5\r") == b"?\r"
    assert said(wire, b"AR122\r") == b"A   122 = 37\r"
    assert said(wire, b"ALS\r").endswith(b"N2 LCK\r")


def test_a_streaming_controller_pushes_frames_without_its_letter_until_it_gets_it_back() -> None:
    wire = session("alicat", {})
    said(wire, b"A@ @\r")
    assert said(wire, b"A\r").startswith(b"  +014.70")
    said(wire, b"@@ A\r")
    assert said(wire, b"A\r").startswith(b"A +014.70")


def test_a_hotplate_drops_the_parity_bit_answers_writes_with_silence_and_unknown_words_too() -> None:
    wire = session("ika", {})
    with_parity = bytes(b | 0x80 if bin(b).count("1") % 2 else b for b in b"IN_NAME \r\n")
    assert with_parity != b"IN_NAME \r\n"
    assert said(wire, with_parity) == b"RCT digital \r\n"
    assert said(wire, b"OUT_SP_4 500 \r\nSTART_4 \r\nWHO \r\n") == b""
    assert said(wire, b"IN_SP_4 \r\n") == b"500.0 4 \r\n"
    assert said(wire, b"STATUS_1 \r\nSTATUS_4 \r\n") == b"12 1 \r\n1 4 \r\n"
    assert said(wire, b"OUT_WD1@30 \r\nOUT_SP_12@40 \r\nOUT_WD1@5 \r\n") == b"30 \r\n40 \r\n"
    assert said(wire, b"OUT_SP_4 1501 \r\nIN_SP_4 \r\n") == b"500.0 4 \r\n"


def test_an_analyser_says_what_the_manual_prints() -> None:
    assert said(session("rapidox", {}), b"D") == b"d1.000E+02,1.521E+02,1.000E+00,00:00:00,14/01/00,,0\r\n"
    assert said(session("rapidox", {"model": "1100ZR"}), b"D") == (
        b"d1.000E+02,1.521E+02,1.000E+00,,00:00:00,14/01/00,,,,0\r\n"
    )
    assert said(session("rapidox", {"sim_warm": False}), b"D") == b"!Initialising\r\n"


def test_a_plate_is_held_at_its_setpoint_and_cut_by_its_safety_circuit() -> None:
    plate = Hotplate()
    device, wire = ika.attach(Bindings(now=lambda: 0.0, hotplate=plate), {}, "")
    said(wire, b"OUT_SP_1 80 \r\nSTART_1 \r\n")
    for t in range(3600):
        plate.step(1.0, 22.0)
        device.tick(float(t))
    assert plate.plate_c == pytest.approx(80.0, abs=1.0)
    plate.plate_c = 370.0
    device.tick(3600.0)
    assert plate.heater_w == 0.0
    assert device.error == 25


def test_the_second_watchdog_falls_back_instead_of_stopping() -> None:
    device, wire = ika.attach(Bindings(now=lambda: 0.0, hotplate=Hotplate()), {}, "")
    said(wire, b"OUT_SP_42@100 \r\nOUT_SP_4 500 \r\nSTART_4 \r\nOUT_WD2@20 \r\n")
    device.tick(20.0)
    assert device.speed_setpoint_rpm == 500.0
    device.tick(21.0)
    assert (device.speed_setpoint_rpm, device.stirring, device.warning) == (100.0, True, True)


@pytest.mark.parametrize("attach", [alicat.attach, rapidox.attach, ika.attach])
def test_a_device_wired_to_nothing_is_refused(attach: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="needs"):
        attach(Bindings(now=lambda: 0.0), {}, "")
