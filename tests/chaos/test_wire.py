"""The judge's own decoders, held against bytes as the drivers' tests and the makers' manuals have them."""

from __future__ import annotations

import pytest

from labctl.chaos.judge.wire import Asked, alicat, binder, eurotherm, ika, io, keithley


@pytest.mark.parametrize(
    ("request_hex", "asked"),
    [
        ("01 06 001a 0fa0 0000", [Asked("setpoint", 400.0)]),
        ("01 06 0111 0001 0000", [Asked("manual")]),
        ("01 06 0111 0000 0000", [Asked("automatic")]),
        ("01 06 0003 0000 0000", [Asked("output", 0.0)]),
        ("01 10 0023 0001 02 0190 0000", [Asked("rate", 40.0)]),
        ("01 03 0001 0005 0000", []),
    ],
)
def test_what_is_written_to_a_eurotherm(request_hex: str, asked: list[Asked]) -> None:
    assert eurotherm(bytes.fromhex(request_hex)) == asked


def test_a_binder_setpoint_has_its_low_word_first() -> None:
    frame = bytes.fromhex("01 10 1581 0002 04 0000 42b4 0000")
    assert binder(frame) == [Asked("setpoint", 90.0)]


def test_lines_of_text_that_ask_for_something() -> None:
    assert alicat(b"AS200.00\r") == [Asked("flow", 200.0)]
    assert alicat(b"A\r") == alicat(b"ALSS\r") == []
    assert ika(b"OUT_SP_4 500 \r\n") == [Asked("stir", 500.0)]
    assert keithley(b":OUTP ON\n")[0].energises
    assert keithley(b":OUTP OFF\n") == [Asked("off")]


def test_what_energises_is_above_the_room() -> None:
    assert Asked("setpoint", 90.0).energises
    assert not Asked("setpoint", 20.0).energises
    assert not Asked("output", 0.0).energises
    assert not Asked("flow", 500.0).energises


@pytest.mark.parametrize(
    ("request_hex", "asked"),
    [
        ("0001 0000 0006 01 05 0000 ff00", [Asked("contactor", 1.0)]),
        ("0001 0000 0006 01 05 0000 0000", [Asked("contactor", 0.0)]),
        ("0001 0000 0006 01 05 0001 0000", [Asked("bypass", 1.0)]),
        ("0001 0000 0006 01 05 0001 ff00", [Asked("bypass", 0.0)]),
        ("0001 0000 0006 01 05 0002 ff00", [Asked("beacon", 1.0)]),
        ("0001 0000 0006 01 05 0007 ff00", []),
        ("0001 0000 0006 01 01 0200 0003", []),
    ],
)
def test_outputs_of_an_io_module_whose_bypass_is_open_without_current(
    request_hex: str, asked: list[Asked]
) -> None:
    assert io(bytes.fromhex(request_hex)) == asked


def test_closing_a_contactor_lets_heat_in_and_opening_a_bypass_does_not() -> None:
    assert Asked("contactor", 1.0).energises
    assert not Asked("contactor", 0.0).energises
    assert not Asked("bypass", 1.0).energises
