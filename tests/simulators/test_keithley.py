from __future__ import annotations

from itertools import pairwise
from time import monotonic
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyvisa import ResourceManager
from pyvisa.resources import MessageBasedResource

from labctl_simulators.devices.api import Bindings, Session
from labctl_simulators.devices.keithley import Keithley2450, attach
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.physics.electrode import Electrode
from labctl_simulators.physics.halfcell import HalfCell

READ = b':READ? "defbuffer1",SOUR,READ,REL,SOURSTAT\n'
BATTERY_METHOD = (
    b'OUTP:SMOD HIMP\nSENS:CURR:RSEN ON\nSENS:FUNC "CURR"\nSENS:CURR:RANG 0.0002\nSOUR:FUNC VOLT\n'
    b"SOUR:VOLT 3.8\nSOUR:VOLT:READ:BACK ON\nSOUR:VOLT:RANG 20\nSOUR:VOLT:ILIM 0.0002\nROUT:TERM FRON\n"
)


def powered_up(cell: HalfCell | None = None, **options: Any) -> tuple[Keithley2450, Session]:
    device, session = attach(Bindings(now=lambda: 0.0, cell=cell), options, "04096331")
    assert isinstance(device, Keithley2450)
    return device, session


def half_charged() -> HalfCell:
    cell = HalfCell()
    cell.assemble(Electrode(), active_mass_mg=1.7)
    cell.fraction_out = 0.5
    cell.open_circuit()
    return cell


def ask(session: Session, message: bytes, now_s: float = 0.0) -> bytes:
    return b"".join(reply for _, reply in session.feed(message, now_s))


def test_it_names_itself_as_the_real_one_does() -> None:
    _, session = powered_up()
    assert ask(session, b"*IDN?\n") == b"KEITHLEY INSTRUMENTS,MODEL 2450,04096331,1.6.7c\n"
    assert ask(session, b"*LANG?\n") == b"SCPI\n"


@pytest.mark.parametrize(
    "header",
    [
        b":SOUR:VOLT:ILIM?",
        b"SOURce:VOLTage:ILIMit?",
        b"source1:voltage:ilimit:level?",
        b":sour1:Volt:iLim:LEV?",
    ],
)
def test_short_and_long_headers_in_any_case_are_the_same(header: bytes) -> None:
    _, session = powered_up()
    assert ask(session, header + b"\n") == b"0.000105\n"


@pytest.mark.parametrize(
    "header", [b"SOURC:VOLT?", b"SOUR2:VOLT?", b"VOLT?", b":SYST:RSEN ON", b"*TST?", b"\xff\xfe"]
)
def test_other_headers_are_undefined_and_get_no_reply(header: bytes) -> None:
    _, session = powered_up()
    assert ask(session, header + b"\n") == b""
    assert ask(session, b"SYST:ERR?\n").startswith(b'-113,"Undefined header;1;')
    assert ask(session, b"SYST:ERR?\n") == b'0,"No error;0;0 0"\n'


@pytest.mark.parametrize(
    ("message", "number"),
    [
        (b"SOUR:VOLT 300", -222),
        (b"SOUR:VOLT:ILIM 2", -222),
        (b"SOUR:VOLT three", -104),
        (b"SOUR:VOLT nan", -222),
        (b"SOUR:VOLT", -109),
        (b"SOUR:VOLT 1,2", -108),
        (b"OUTP PERHAPS", -224),
        (b'SENS:FUNC "OHMS"', -224),
        (b'READ? "nobuffer"', -224),
        (b'READ? "defbuffer1",VOLUME', -224),
        (b'TRAC:DATA? 1,1,"defbuffer1"', -222),
        (b"FETC?", -230),
    ],
)
def test_a_wrong_message_changes_nothing_and_is_queued(message: bytes, number: int) -> None:
    device, session = powered_up()
    before = dict(device.settings)
    assert ask(session, message + b"\n") == b""
    assert int(ask(session, b"SYST:ERR?\n").partition(b",")[0]) == number
    assert device.settings == before


def test_a_header_without_colon_continues_the_path_within_its_message() -> None:
    _, session = powered_up()
    assert ask(session, b":SOUR:VOLT:ILIM 1e-3;READ:BACK?;:OUTP:SMOD?;*LANG?;SMOD?\n") == (
        b"1;HIMP;SCPI;HIMP\n"
    )


def test_the_error_queue_says_when_it_overflows() -> None:
    _, session = powered_up()
    ask(session, b"NONSENSE\n" * 70)
    assert ask(session, b"SYST:ERR:COUN?\n") == b"64\n"
    errors = [ask(session, b"SYST:ERR?\n") for _ in range(65)]
    assert errors[63].startswith(b"-350,")
    assert errors[64].startswith(b"0,")


def test_the_documented_battery_method_sources_into_the_cell() -> None:
    cell = half_charged()
    _, session = powered_up(cell)
    ask(session, BATTERY_METHOD)
    assert ask(session, b"SYST:ERR?\n").startswith(b"0,")
    assert cell.current_a == 0.0
    ask(session, b"OUTP ON\n")
    volts, amps, elapsed, status = ask(session, READ).strip().split(b",")
    assert float(amps) == cell.current_a == 0.0002
    assert float(volts) == pytest.approx(cell.voltage_v, abs=1e-6)
    assert float(elapsed) == 0.0
    assert int(status) == 32 | 64 | 128


def test_elapsed_counts_from_the_first_sample_of_the_buffer() -> None:
    _, session = powered_up(half_charged())
    ask(session, READ, 100.0)
    assert ask(session, READ, 107.5).split(b",")[2] == b"7.500000"
    ask(session, b"TRAC:CLE\n", 108.0)
    assert ask(session, READ, 200.0).split(b",")[2] == b"0.000000"


def test_a_buffer_gives_its_samples_back() -> None:
    _, session = powered_up(half_charged())
    shown = [ask(session, READ, t).strip() for t in (0.0, 1.0, 2.0)]
    assert ask(session, b'TRAC:ACT? "defbuffer1"\n') == b"3\n"
    assert ask(session, b'TRAC:DATA? 2,3,"defbuffer1",SOUR,READ,REL,SOURSTAT\n').strip() == b",".join(
        shown[1:]
    )
    ask(session, b'TRAC:MAKE "mine",10;:READ? "mine"\n')
    assert ask(session, b'TRAC:POIN? "mine";ACT? "mine"\n') == b"10;1\n"


def test_the_limit_trips_until_the_voltage_is_reached() -> None:
    cell = half_charged()
    _, session = powered_up(cell)
    ask(session, BATTERY_METHOD + b"OUTP ON\n")
    assert ask(session, b"SOUR:VOLT:ILIM:TRIP?\n") == b"1\n"
    ask(session, b"SOUR:VOLT 3.4;VOLT:ILIM 1\n")
    assert ask(session, b"SOUR:VOLT:ILIM:TRIP?\n") == b"0\n"


def test_output_off_in_high_impedance_leaves_the_cell_alone_and_four_wires_still_see_it() -> None:
    cell = half_charged()
    _, session = powered_up(cell)
    ask(session, BATTERY_METHOD + b"OUTP ON\nOUTP OFF\n")
    assert cell.current_a == 0.0
    volts, amps, _, status = ask(session, READ).strip().split(b",")
    assert float(volts) == pytest.approx(cell.voltage_v, abs=1e-6)
    assert float(amps) == 0.0
    assert int(status) == 64
    ask(session, b"SENS:CURR:RSEN OFF\n")
    assert float(ask(session, READ).split(b",")[0]) == 0.0


def test_output_off_as_shipped_drains_the_cell() -> None:
    cell = half_charged()
    _, session = powered_up(cell, sim_off_mode="NORM")
    assert cell.current_a < 0.0
    ask(session, b"OUTP:SMOD HIMP\n")
    assert cell.current_a == 0.0


def test_a_reset_turns_the_output_off_and_forgets_high_impedance() -> None:
    cell = half_charged()
    device, session = powered_up(cell)
    ask(session, BATTERY_METHOD + b"OUTP ON\n*RST\n")
    assert not device.settings["output"]
    assert ask(session, b"OUTP:SMOD?\n") == b"NORM\n"
    assert cell.current_a < 0.0


def test_terminals_without_a_cell_read_the_level_and_no_current() -> None:
    _, session = powered_up(None)
    ask(session, b"SOUR:VOLT 2.5;:OUTP ON\n")
    assert ask(session, READ) == b"2.500000E+00,0.000000E+00,0.000000,128\n"


MESSAGES = b"*IDN?\nSOUR:VOLT 3;VOLT?\nnonsense\n" + READ + b'SYST:ERR?\nTRAC:DATA? 1,1,"defbuffer1",REL\n'


@given(cuts=st.lists(st.integers(0, len(MESSAGES)), max_size=12).map(sorted))
def test_replies_do_not_depend_on_how_the_bytes_are_split(cuts: list[int]) -> None:
    _, whole = powered_up(half_charged())
    _, split = powered_up(half_charged())
    edges = [0, *cuts, len(MESSAGES)]
    pieces = [MESSAGES[a:b] for a, b in pairwise(edges)]
    assert b"".join(ask(split, piece) for piece in pieces) == ask(whole, MESSAGES)


@settings(max_examples=200)
@given(garbage=st.binary(max_size=120))
def test_no_garbage_stops_it(garbage: bytes) -> None:
    _, session = powered_up(half_charged())
    ask(session, garbage)
    ask(session, b"\n")
    assert ask(session, b"*LANG?\n") == b"SCPI\n"


def test_a_message_without_end_is_thrown_away() -> None:
    _, session = powered_up()
    ask(session, b"A" * 5000)
    ask(session, b"\n")
    assert ask(session, b"*LANG?\n") == b"SCPI\n"
    assert ask(session, b"SYST:ERR?\n").startswith(b"-363,")


@pytest.mark.evidence("keithley", "client", "pyvisa-py queries it over a raw socket")
def test_a_plain_visa_client_talks_to_it_over_a_raw_socket() -> None:
    _, session = powered_up(half_charged())
    host = TcpHost(session, monotonic)
    with host:
        instrument = ResourceManager("@py").open_resource(
            host.resource,
            resource_pyclass=MessageBasedResource,
            read_termination="\n",
            write_termination="\n",
        )
        assert isinstance(instrument, MessageBasedResource)
        assert instrument.query("*IDN?").startswith("KEITHLEY INSTRUMENTS,MODEL 2450,")
        assert len(instrument.query_ascii_values(':READ? "defbuffer1",SOUR,READ,REL,SOURSTAT')) == 4
        instrument.close()
