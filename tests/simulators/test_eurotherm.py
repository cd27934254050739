from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_simulators.devices.api import Bindings
from labctl_simulators.devices.eurotherm import (
    BREAK_LATCHING,
    BREAK_TYPE,
    NV_ENDURANCE,
    Eurotherm3216,
    attach,
)
from labctl_simulators.physics.furnace import TubeFurnace
from labctl_simulators.wire.modbus_rtu import RtuSession, with_crc


class Bench:
    """A 3216 on the reference furnace, with registers by number."""

    def __init__(self, **options: object) -> None:
        self.now_s = 0.0
        self.open = False
        self.furnace = TubeFurnace()
        device, session = attach(
            Bindings(
                now=lambda: self.now_s,
                thermocouple=lambda: None if self.open else self.furnace.thermocouple_c,
                set_heater=self.furnace.set_duty,
            ),
            options,
            "SIM-1",
        )
        assert isinstance(device, Eurotherm3216)
        assert isinstance(session, RtuSession)
        self.device, self.session = device, session

    def live(self, seconds: int, remote: int | None = None) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            self.furnace.step(1.0, 22.0, 200.0)
            self.device.tick(self.now_s)
            if remote is not None:
                self.device.write_single(26, remote)

    def ask(self, body: str) -> bytes:
        """The reply without unit and CRC, b"" for silence."""
        self.now_s += 1.0
        replies = self.session.feed(with_crc(bytes.fromhex(body)), self.now_s)
        return b"".join(reply[1:-2] for _, reply in replies)

    def read(self, address: int) -> int:
        return struct.unpack(">h", self.ask(f"01 03 {address:04X} 00 01")[2:])[0]  # type: ignore[no-any-return]

    def write(self, address: int, value: int) -> bytes:
        return self.ask(f"01 06 {address:04X} {value & 0xFFFF:04X}")


def heating(**options: object) -> Bench:
    bench = Bench(**options)
    for address, value in ((35, 50), (26, 3500), (276, 1), (273, 0)):
        assert bench.write(address, value)[0] == 6
    return bench


def test_it_controls_a_furnace_with_the_overshoot_of_the_prototype() -> None:
    bench = heating()
    peak = 0.0
    for _ in range(6000):
        bench.live(1, remote=3500)
        peak = max(peak, bench.furnace.thermocouple_c)
    assert 351 < peak < 358
    assert bench.furnace.thermocouple_c == pytest.approx(350, abs=1)


def test_a_block_write_drops_what_is_not_configured_without_a_word() -> None:
    bench = Bench()
    assert bench.ask("01 10 00 19 00 03 06 00 C8 00 D2 03 E7")[0] == 16  # 25, 26 and 27, which there is not
    assert (bench.read(26), bench.read(27)) == (210, 0)


def test_a_block_write_stops_at_the_first_refusal() -> None:
    bench = Bench()
    assert bench.ask("01 10 00 03 00 03 06 00 64 00 64 00 64") == b"\x90\x03"  # 4 is read-only
    assert bench.read(3) == 100


@pytest.mark.parametrize(
    ("why", "address", "value"),
    [
        ("read-only", 4, 1),
        ("not configured", 27, 1),
        ("below the setpoint limit", 24, -5),
        ("above the setpoint limit", 26, 12001),
        ("not in configuration mode", 578, 0),
        ("no such choice", 273, 7),
    ],
)
def test_a_single_write_that_cannot_be_is_refused(why: str, address: int, value: int) -> None:
    assert Bench().write(address, value) == b"\x86\x03", why


def test_the_output_is_writable_in_manual_only() -> None:
    bench = Bench()
    assert bench.write(3, 300)[0] == 6
    assert (bench.read(4), bench.furnace.duty) == (300, 0.3)
    bench.write(273, 0)
    assert bench.write(3, 300) == b"\x86\x03"


def test_going_to_manual_keeps_the_output_until_it_is_written() -> None:
    bench = heating()
    bench.live(600, remote=3500)
    before = bench.read(4)
    bench.write(273, 1)
    assert bench.read(4) == pytest.approx(before, abs=1)
    bench.write(3, 0)
    assert (bench.read(4), bench.furnace.duty) == (0, 0)


@pytest.mark.parametrize(("kind", "duty"), [("off", 1.0), ("on", 0.0), ("latching", 0.0)])
def test_an_open_thermocouple_gives_full_or_safe_output(kind: str, duty: float) -> None:
    bench = heating(sim_sensor_break=kind)
    bench.live(300, remote=3500)
    bench.open = True
    bench.live(2, remote=3500)
    assert bench.furnace.duty == duty
    assert bench.read(75) & (1 << 5 | 1 << 10) == 1 << 5 | 1 << 10
    assert bench.read(1) == 13720


def test_a_latched_break_needs_an_acknowledgement() -> None:
    bench = heating()
    bench.device.registers[BREAK_TYPE] = BREAK_LATCHING
    bench.open = True
    bench.live(2, remote=3500)
    bench.open = False
    bench.live(2, remote=3500)
    assert bench.read(75) & 1 << 5
    bench.write(274, 1)
    assert not bench.read(75) & 1 << 5


def test_the_remote_setpoint_lapses_after_five_seconds() -> None:
    bench = heating()
    bench.write(26, 3500)
    bench.live(4)
    assert not bench.read(75) & 1 << 14
    bench.live(1)
    assert bench.read(75) & 1 << 14
    assert bench.read(2) == 200


def test_setpoints_wear_the_eeprom_and_the_remote_one_does_not() -> None:
    bench = Bench()
    for _ in range(10):
        bench.write(24, 200)
        bench.write(2, 210)
        bench.write(26, 200)
    assert dict(bench.device.nv_writes) == {24: 20}  # register 2 is the setpoint in use, here SP1
    assert max(bench.device.nv_writes.values()) < NV_ENDURANCE


def test_an_impossible_instrument_mode_destroys_calibration() -> None:
    bench = Bench()
    bench.write(199, 7)
    assert bench.device.calibration_lost
    assert bench.read(1) == -220


def test_a_power_cut_loses_the_remote_setpoint_and_is_remembered() -> None:
    bench = heating()
    bench.live(60, remote=3500)
    bench.device.power_off()
    assert bench.ask("01 03 00 01 00 01") == b""
    bench.device.power_on()
    bench.live(2)
    assert bench.read(87) & 1 << 7
    assert (bench.read(26), bench.read(2), bench.furnace.duty) == (0, 200, 0)


def test_an_unknown_profile_is_not_simulated() -> None:
    with pytest.raises(ValueError, match="not simulated"):
        Bench(profile="2416")


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8))
def test_garbage_neither_crashes_nor_heats(chunks: list[bytes]) -> None:
    bench = Bench()
    for chunk in chunks:
        bench.session.feed(chunk, bench.now_s)
        bench.live(1)
    assert bench.furnace.duty == 0


@given(st.sampled_from([3, 4, 6, 16, 8, 1, 99]), st.integers(0, 65535), st.integers(0, 65535))
def test_any_well_formed_request_is_answered_or_met_with_silence(
    function: int, address: int, value: int
) -> None:
    bench = Bench()
    body = struct.pack(">BBHH", 1, function, address, 1 if function == 16 else value)
    if function == 16:
        body += struct.pack(">BH", 2, value)
    for _, reply in bench.session.feed(with_crc(body), 0.0):
        assert with_crc(reply[:-2]) == reply
    bench.live(2)
