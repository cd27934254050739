from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusTcpClient

from labctl.bench.api import (
    BAD,
    GOOD,
    SILENT,
    CommunicationError,
    Driver,
    NotDoneError,
    Reading,
    RefusedError,
)
from labctl.bench.discovery import drivers
from labctl_drivers.eurotherm import ENTRY, EPC, Eurotherm
from labctl_drivers.eurotherm.programs import general_address, segment_address
from labctl_drivers.options import check_options
from labctl_simulators.devices.api import Bindings, Replies
from labctl_simulators.devices.epc_parameters import PARAMETERS
from labctl_simulators.devices.eurotherm_epc import Epc3016, attach
from labctl_simulators.hosts.tcp import TcpHost
from tests.drivers.bench import VirtualClock, Wire, mounted
from tests.drivers.contract import DriverContract

HEAT = {"target_c": 350.0, "ramp_k_per_min": 5.0}


class Rig:
    """A driver on a simulated EPC3016 with a thermocouple that shows what the test says."""

    def __init__(self, options: Mapping[str, Any], serial_number: str = "271828") -> None:
        self.clock = VirtualClock()
        self.shown_c: float | None = 25.0
        self.duty = 0.0
        bindings = Bindings(
            now=lambda: float(int(self.clock.t_s)),
            thermocouple=lambda: self.shown_c,
            set_heater=self.set_heater,
        )
        device, session = attach(bindings, options, serial_number)
        assert isinstance(device, Epc3016)
        self.device, self.wire = device, Wire(session)
        self.driver: Eurotherm

    def set_heater(self, duty: float) -> None:
        self.duty = duty

    def live(self, seconds: int, renew_c: float | None = None) -> None:
        for _ in range(seconds):
            self.clock.t_s = float(int(self.clock.t_s) + 1)
            self.device.tick(self.clock.t_s)
            if renew_c is not None:
                self.driver.execute("renew", {"target_c": renew_c})

    def image(self) -> dict[str, Reading]:
        return dict(zip((s.name for s in EPC.signals), self.driver.read(), strict=True))

    def value(self, name: str) -> float | None:
        reading = self.image()[name]
        assert reading.quality is GOOD
        return reading.value


@contextmanager
def rigged(**options: Any) -> Iterator[Rig]:
    rig = Rig(options)
    with mounted("epc-test/furnace", rig.wire, rig.clock) as line:
        driver = EPC.factory(line, options)
        assert isinstance(driver, Eurotherm)
        rig.driver = driver
        driver.open()
        yield rig
        driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged(max_temperature_c=1100.0, max_ramp_k_per_min=10.0) as rig:
        yield rig


class TestContract(DriverContract):
    entry = EPC
    hosts = ("tcp",)

    def bindings(self, now: Callable[[], float]) -> Bindings:
        return Bindings(now=now, thermocouple=lambda: 25.0, set_heater=lambda duty: None)

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("heat", HEAT)
        driver.execute("renew", {"target_c": 350.0})
        driver.read()
        driver.execute("run_cooling", {"segments": [{"target_c": 24.0, "rate_k_per_min": 1.0}]})
        driver.execute("heat_off", {})
        driver.read()


def test_it_is_a_declaration_of_its_own_with_its_lease_link_and_twin() -> None:
    assert drivers()["eurotherm-epc"] is EPC
    assert (EPC.lease_s, EPC.link, EPC.device) == (10.0, "tcp", "eurotherm_epc3016")
    assert (ENTRY.lease_s, ENTRY.link, ENTRY.device) == (5.0, "serial", "eurotherm_3216")


def test_the_loop_is_asked_for_as_floats_with_the_handbooks_bytes(rig: Rig) -> None:
    rig.driver.read()
    rig.wire.carried.clear()
    rig.driver.read()
    assert [frame[2:].hex() for frame in rig.wire.carried] == [
        "000000060103" + "8002000a",  # process value to working setpoint, IEEE region
        "000000060103" + "078b0002",  # sensor break and status of the process value
        "000000060103" + "06570001",  # source of the setpoint
        "000000060103" + "076d0001",  # in manual
    ]


def test_a_setpoint_goes_out_as_a_float_high_word_first(rig: Rig) -> None:
    rig.driver.read()
    rig.wire.carried.clear()
    rig.driver.execute("renew", {"target_c": 350.0})
    # 277 -> 0x822A; 350.0 = 43 AF 00 00 (published)
    assert [f[2:].hex() for f in rig.wire.carried] == ["0000000b0110" + "822a000204" + "43af0000"]


def test_the_fall_back_and_both_watchdogs_stand_before_anything_that_energises(rig: Rig) -> None:
    rig.device.values[24] = 800.0
    rig.driver.execute("heat", HEAT)
    written = [int.from_bytes(r[8:10]) for r in rig.wire.carried if r[7] == 16]
    ieee = [(a - 0x8000) // 2 if a >= 0x8000 else a for a in written]
    assert ieee == [24, 2308, 1233, 1234, 35, 1667, 277, 276, 273]
    values = rig.device.values
    assert (values[24], values[2308], values[1233], values[1234]) == (20.0, 10, 10.0, 0)


def test_heat_goes_to_the_target_by_the_instruments_own_ramp(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(120, renew_c=350.0)
    assert rig.value("setpoint") == 350.0
    assert rig.value("working_setpoint") == pytest.approx(35.0, abs=0.2)
    assert rig.duty > 0
    assert rig.value("manual") == 0
    assert rig.value("renewals") == 120


def test_kept_parameters_are_written_once_however_long_it_heats(rig: Rig) -> None:
    for _ in range(5):
        rig.driver.execute("heat", HEAT)
        rig.live(50, renew_c=350.0)
        rig.driver.execute("heat_off", {})
    assert rig.device.nv_writes[24] == 0
    assert {a: n for a, n in rig.device.nv_writes.items() if a not in (273, 276)} == {
        35: 1,
        1667: 1,
        1233: 1,
        1234: 1,
        2308: 1,
    }


@pytest.mark.parametrize("wired", [True, False])
def test_without_renewals_it_falls_back_whether_or_not_its_watchdog_is_wired(wired: bool) -> None:
    with rigged(sim_watchdog_wired=wired) as rig:
        rig.driver.execute("heat", {"target_c": 350.0, "ramp_k_per_min": 0.0})
        rig.live(60, renew_c=350.0)
        rig.shown_c = 340.0
        assert rig.duty > 0
        rig.live(12)
        assert rig.duty == 0
        assert rig.value("remote_fail") == 1
        assert rig.value("setpoint") == 20
        assert rig.value("manual") == (1 if wired else 0)


def test_reading_alone_does_not_keep_the_lease(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    for _ in range(12):
        rig.live(1)
        rig.driver.read()
    assert rig.value("remote_fail") == 1
    assert rig.value("manual") == 0  # it is being talked to: the network watchdog has nothing to say
    rig.live(1, renew_c=350.0)
    assert rig.value("remote_fail") == 0


def test_a_tripped_watchdog_stays_tripped_until_heat_is_asked_for_again(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(12)
    for _ in range(5):
        rig.live(1, renew_c=350.0)
    assert (rig.duty, rig.value("manual")) == (0.0, 1)
    rig.driver.execute("heat", HEAT)
    rig.live(60, renew_c=350.0)
    assert rig.duty > 0


def test_heat_off_is_proven_with_the_thermocouple_open(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(20, renew_c=350.0)
    rig.shown_c = None
    assert rig.driver.execute("heat_off", {})["output_percent"] == 0
    rig.live(60)
    assert rig.duty == 0
    assert rig.value("manual") == 1
    assert rig.image()["temperature"].quality is BAD


def test_heat_off_fails_loudly_when_the_output_stays(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(60, renew_c=350.0)
    rig.device.values[31] = 10.0  # an output limit holds it there
    with pytest.raises(NotDoneError, match="output"):
        rig.driver.execute("heat_off", {})


@pytest.mark.parametrize("lost", range(14))
def test_heat_off_survives_any_one_lost_reply(rig: Rig, lost: int) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(30, renew_c=350.0)
    count = 0

    def lose(replies: Replies) -> Replies:
        nonlocal count
        count += 1
        return [] if count == lost + 1 else replies

    rig.wire.spoil = lose
    rig.driver.execute("heat_off", {})
    assert rig.duty == 0


def test_an_energising_write_is_never_repeated(rig: Rig) -> None:
    rig.driver.read()
    rig.wire.spoil = lambda replies: [r for r in replies if r[1][7] != 16]
    rig.wire.carried.clear()
    with pytest.raises(CommunicationError):
        rig.driver.execute("renew", {"target_c": 350.0})
    assert [r[7] for r in rig.wire.carried] == [16]


def test_heat_that_does_not_take_is_not_done(rig: Rig) -> None:
    rig.device.values[1666] = 0  # remote setpoint disabled: the loop stays on the local one
    assert "remote setpoint enabled" in [i.name for i in rig.driver.audit().items if not i.ok]
    with pytest.raises(NotDoneError, match="remote setpoint in use still reads 0"):
        rig.driver.execute("heat", HEAT)


@pytest.mark.parametrize(
    ("register", "value", "item"),
    [
        (1930, 0, "sensor break"),
        (34, 50.0, "output on sensor break"),
        (553, 1, "output on a bad process value"),
        (516, 1, "units"),
        (531, 0, "ramp units"),
        (24, 800.0, "setpoint after power return"),
        (112, 30.0, "setpoint limits"),
        (518, 0, "program after power return"),
        (199, 2, "instrument mode"),
        (2306, 600.0, "scale of the remote setpoint"),
    ],
)
def test_the_audit_refuses_a_dangerous_setting_and_names_it(
    rig: Rig, register: int, value: float, item: str
) -> None:
    assert rig.driver.audit().ok
    rig.device.values[register] = value
    assert [i.name for i in rig.driver.audit().items if not i.ok] == [item]
    assert all(request[7] == 3 for request in rig.wire.carried)


def test_another_controller_than_the_bench_names_fails_the_audit() -> None:
    with rigged(serial_number="271829") as rig:
        items = {i.name: (i.ok, i.found) for i in rig.driver.audit().items}
        assert items["serial number"] == (False, "271828")
        assert rig.driver.audit().identity["serial"] == "271828"


@given(st.binary(min_size=4, max_size=4), st.integers(0, 4))
def test_no_float_that_the_wire_may_carry_is_a_good_temperature_unless_it_could_be_one(
    raw: bytes, place: int
) -> None:
    with rigged() as rig:
        rig.driver.read()

        def spoil(replies: Replies) -> Replies:
            return [
                (d, r[: 9 + 4 * place] + raw + r[13 + 4 * place :] if r[8] == 20 else r) for d, r in replies
            ]

        rig.wire.spoil = spoil
        for name, reading in rig.image().items():
            if reading.quality is GOOD:
                assert reading.value is not None
                assert reading.value == reading.value
                if name == "temperature":
                    assert -50.0 <= reading.value <= 1800.0


def test_a_flag_that_is_neither_0_nor_1_is_a_broken_answer(rig: Rig) -> None:
    rig.driver.read()
    for function in (b"\x06\x00\x00", b"\x02\x10\x01"):
        rig.wire.spoil = (
            lambda replies, tail=function: [  # type: ignore[misc]
                (d, r[:-2] + tail[1:] if r[8] == 2 else r) for d, r in replies
            ]
        )
        quality = {r.quality for r in rig.driver.read()}
        assert quality == ({SILENT} if function[1] else {GOOD})


# -- resident programs ---------------------------------------------------------------------------


def test_segments_from_17_on_live_elsewhere() -> None:
    assert [segment_address(n) for n in (1, 2, 16, 17, 25)] == [8336, 8344, 8456, 9768, 9832]
    assert [segment_address(n, 2) for n in (1, 16, 17)] == [8472, 8592, 9848]
    assert (general_address(1), general_address(10)) == (8328, 9552)
    with pytest.raises(ValueError, match="25 of each of 10"):
        segment_address(26)


def test_a_program_of_25_segments_is_written_where_they_live_and_runs_down(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.shown_c = 350.0
    rig.live(5, renew_c=350.0)
    steps = [{"target_c": 350.0 - 25 * n, "rate_k_per_min": 60.0, "hold_s": 30.0} for n in range(1, 13)]
    segments = [*steps, {"target_c": 40.0, "rate_k_per_min": 60.0}]
    assert rig.driver.execute("run_cooling", {"segments": segments})["end_c"] == 40.0
    values = rig.device.values
    assert [values[segment_address(n)] for n in range(1, 26)] == [1, 3] * 12 + [1]
    assert [values[segment_address(n) + 1] for n in (1, 15, 17, 23, 25)] == [325.0, 150.0, 125.0, 50.0, 40.0]
    assert [values[segment_address(n) + 2] for n in (1, 2, 24, 25)] == [60.0, 30.0, 30.0, 60.0]
    rig.live(20)
    assert rig.value("setpoint") == pytest.approx(330.0, abs=2.0)
    assert rig.duty == 0
    rig.live(900)  # nobody speaks to it
    assert values[23] == 1  # over, and reset
    assert rig.value("setpoint") == 20


@pytest.mark.parametrize(
    ("segments", "why"),
    [
        ([{"target_c": 360.0, "rate_k_per_min": 5.0}], "never heat"),
        (
            [{"target_c": 200.0, "rate_k_per_min": 5.0}, {"target_c": 210.0, "rate_k_per_min": 5.0}],
            "never heat",
        ),
        ([{"target_c": 200.0, "rate_k_per_min": 0.0}], "cannot be programmed"),
        ([{"target_c": 300.0 - n, "rate_k_per_min": 5.0} for n in range(26)], "takes 26 segments"),
        ([{"target_c": float("nan"), "rate_k_per_min": 5.0}], "never heat"),
        ([], "takes 0"),
    ],
)
def test_a_program_that_could_heat_or_does_not_fit_is_refused_unsent(
    rig: Rig, segments: list[dict[str, float]], why: str
) -> None:
    rig.driver.execute("heat", HEAT)
    rig.shown_c = 350.0
    rig.live(1)
    rig.wire.carried.clear()
    with pytest.raises(RefusedError, match=why):
        rig.driver.execute("run_cooling", {"segments": segments})
    assert all(request[7] == 3 for request in rig.wire.carried)


def test_no_program_is_run_in_manual_and_heat_off_ends_one(rig: Rig) -> None:
    segments = [{"target_c": 100.0, "rate_k_per_min": 1.0}]
    with pytest.raises(RefusedError, match="manual"):
        rig.driver.execute("run_cooling", {"segments": segments})
    rig.driver.execute("heat", HEAT)
    rig.shown_c = 350.0
    rig.live(1)
    rig.driver.execute("run_cooling", {"segments": segments})
    assert rig.device.values[23] == 2
    rig.driver.execute("heat_off", {})
    assert (rig.device.values[23], rig.duty) == (1, 0.0)


def test_a_3216_has_no_such_verb_and_neither_series_takes_the_others_profile() -> None:
    with rigged() as rig:
        with pytest.raises(RefusedError, match="no verb"):
            ENTRY.factory(rig.driver.line, {}).execute("run_cooling", {"segments": []})
        for entry, other in ((ENTRY, "EPC3016"), (EPC, "3216")):
            with pytest.raises(ValueError, match="is not one of"):
                entry.factory(rig.driver.line, {"profile": other})
        with pytest.raises(ValueError, match="comms"):
            EPC.factory(rig.driver.line, {"comms": "wireless"})


def test_fixed_communications_have_a_watchdog_of_their_own() -> None:
    with rigged(comms="fixed") as rig:
        rig.driver.execute("heat", HEAT)
        assert (rig.device.values[1169], rig.device.values[1233]) == (10.0, 0)


def test_everything_it_writes_exists_and_the_instrument_mode_is_not_among_it() -> None:
    with rigged() as rig:
        assert 199 not in rig.driver.profile.writable
        assert all(PARAMETERS[a].access in ("rw", "nv") for a in rig.driver.profile.writable)
    check_options("eurotherm", {"unit": 1}, EPC.options)


def test_a_mains_failure_leaves_no_setpoint_that_heats(rig: Rig) -> None:
    rig.driver.execute("heat", HEAT)
    rig.live(60, renew_c=350.0)
    rig.device.power_cycle()
    rig.live(30)
    assert (rig.duty, rig.value("setpoint")) == (0.0, 20)


@pytest.mark.evidence("eurotherm-epc", "client", "pymodbus reads, writes and is refused over TCP")
def test_a_foreign_client_reads_and_writes_the_simulated_controller() -> None:
    rig = Rig({})
    with TcpHost(rig.wire.session, time.monotonic) as host:
        client = ModbusTcpClient(host.host, port=host.port, timeout=2.0)
        assert client.connect()  # type: ignore[no-untyped-call]
        words = client.read_holding_registers(0x8002, count=10, device_id=1).registers
        assert client.convert_from_registers(words[:2], client.DATATYPE.FLOAT32) == 25.0
        assert client.read_holding_registers(1, count=1, device_id=1).registers == [250]
        ms = struct.unpack(">HH", struct.pack(">I", 120_000))  # 120 s as 0001 D4C0 (handbook)
        assert ms == (0x0001, 0xD4C0)
        assert not client.write_registers(0x8000 + 2 * 1233, list(ms), device_id=1).isError()
        assert rig.device.values[1233] == 120.0
        assert client.write_register(0x8000 + 2 * 24, 1, device_id=1).exception_code == 2
        assert client.write_register(24, 20000, device_id=1).exception_code == 3
        assert client.read_holding_registers(3000, count=1, device_id=1).exception_code == 2
        assert client.read_coils(0, count=1, device_id=1).exception_code == 1
        client.close()  # type: ignore[no-untyped-call]
