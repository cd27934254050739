from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusTcpClient

from labctl.bench.api import (
    BAD,
    CAPABILITIES,
    GOOD,
    SILENT,
    CommunicationError,
    Driver,
    NotDoneError,
    Quality,
    Reading,
    RefusedError,
)
from labctl_drivers.io import CHANNELS, ENTRY, SIGNALS, Io
from labctl_simulators.devices.api import Bindings, Replies
from labctl_simulators.devices.io_module import WIRING, IoModule, attach
from labctl_simulators.hosts.tcp import TcpHost
from labctl_simulators.physics.services import Services
from tests.drivers.bench import VirtualClock, Wire, mounted
from tests.drivers.contract import DriverContract


class Rig:
    def __init__(self, options: dict[str, Any]) -> None:
        self.clock, self.services = VirtualClock(), Services()
        bindings = Bindings(now=lambda: float(int(self.clock.t_s)), services=self.services)
        device, session = attach(bindings, options, "")
        assert isinstance(device, IoModule)
        self.device, self.wire = device, Wire(session)
        self.driver: Io

    def live(self, seconds: int, *, polled: bool = False) -> None:
        for _ in range(seconds):
            self.clock.t_s = float(int(self.clock.t_s) + 1)
            self.device.tick(self.clock.t_s)
            if polled:
                self.driver.read()

    def image(self) -> dict[str, Reading]:
        return dict(zip((s.name for s in self.driver.signals), self.driver.read(), strict=True))

    def values(self) -> dict[str, float | None]:
        return {name: reading.value for name, reading in self.image().items()}

    def switch(self, name: str, on: bool) -> dict[str, Any]:
        return self.driver.execute("set_output", {"name": name, "on": on})

    def written(self) -> list[str]:
        return [f[6:].hex() for f in self.wire.carried if f[7] in (5, 6, 15, 16)]


@contextmanager
def rigged(**options: Any) -> Iterator[Rig]:
    rig = Rig(options)
    with mounted("io-test/io", rig.wire, rig.clock) as line:
        rig.driver = Io(line, options)
        rig.driver.open()
        yield rig
        rig.driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rigged() as rig:
        yield rig


class TestContract(DriverContract):
    entry = ENTRY
    hosts = ("tcp",)

    def bindings(self, now: Callable[[], float]) -> Bindings:
        return Bindings(now=now, services=Services())

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("set_output", {"name": "contactor", "on": True})
        driver.read()
        driver.execute("set_output", {"name": "contactor", "on": False})


def test_a_scan_asks_for_the_watchdog_the_inputs_and_the_outputs(rig: Rig) -> None:
    rig.driver.read()
    assert [f[2:].hex() for f in rig.wire.carried] == [
        "000000060103" + "10060001",
        "000000060102" + "00000005",
        "000000060104" + "00000004",
        "000000060101" + "02000003",
    ]


def test_all_is_well_reads_one_and_a_valve_without_current_is_an_open_bypass(rig: Rig) -> None:
    rig.services.tube_bar, rig.services.used_l = 0.02, 2500.0
    assert rig.values() == {
        **dict.fromkeys(("door", "extraction", "limiter", "water", "estop"), 1.0),
        "room_oxygen": pytest.approx(20.9, abs=0.01),
        "room_co": pytest.approx(0.0, abs=0.1),
        "tube_pressure": pytest.approx(0.02, abs=1e-4),
        "cylinder_pressure": pytest.approx(150.0, abs=0.1),
        "contactor": 0.0,
        "bypass": 1.0,
        "beacon": 0.0,
        "watchdog": 0.0,
    }
    assert {s.name: s.unit for s in SIGNALS} == dict(CAPABILITIES["io"].signals)
    assert {k: v["low"] for k, v in CHANNELS.items() if "low" in v} == {
        k: v["low"] for k, v in WIRING.items() if "low" in v
    }


@pytest.mark.parametrize("contact", ["door", "extraction", "limiter", "water", "estop"])
def test_an_open_contact_is_the_unsafe_value(rig: Rig, contact: str) -> None:
    rig.services.contacts[contact] = False
    values = rig.values()
    assert [name for name in rig.services.contacts if values[name] == 0.0] == [contact]


@pytest.mark.parametrize(
    ("counts", "quality", "value"),
    [
        (0, BAD, -0.125),
        (3599, BAD, -0.01253),
        (3600, GOOD, -0.0125),
        (4000, GOOD, 0.0),
        (12000, GOOD, 0.25),
        (20000, GOOD, 0.5),
        (21000, GOOD, 0.53125),
        (21001, BAD, 0.53128),
        (22000, BAD, 0.5625),
        (65535, BAD, -0.12503),
    ],
)
def test_a_current_that_no_transmitter_sends_is_bad(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, counts: int, quality: Quality, value: float
) -> None:
    monkeypatch.setattr(rig.device, "_current", lambda place: counts)
    reading = rig.image()["tube_pressure"]
    assert reading.quality is quality
    assert reading.value == pytest.approx(value, abs=1e-4)


def test_a_broken_loop_is_bad_and_leaves_the_others_good(rig: Rig) -> None:
    rig.services.broken.add("room_co")
    assert [name for name, reading in rig.image().items() if reading.quality is not GOOD] == ["room_co"]


def test_nothing_gets_current_before_the_watchdog_runs(rig: Rig) -> None:
    assert rig.switch("contactor", True) == {"contactor": 1.0}
    assert rig.written() == [
        "0110" + "1008000102" + "55aa",  # stopped, so that it takes settings
        "0110" + "1000000102" + "0064",  # 10 s
        "0110" + "1001000102" + "ffff",  # every function feeds it
        "0110" + "1003000102" + "0001",  # triggered
        "0105" + "0000" + "ff00",  # the contactor
    ]
    assert rig.services.coils == {"contactor": True, "bypass": False, "beacon": False}
    assert rig.values()["watchdog"] == 1.0
    rig.wire.carried.clear()
    rig.switch("contactor", True)
    assert rig.written() == []


def test_polling_alone_feeds_the_watchdog(rig: Rig) -> None:
    rig.switch("contactor", True)
    rig.live(100, polled=True)
    assert rig.services.coils["contactor"]


def test_when_the_host_falls_silent_the_contactor_opens_and_the_nitrogen_flows(rig: Rig) -> None:
    rig.switch("contactor", True)
    rig.switch("bypass", False)
    rig.switch("beacon", True)
    assert rig.services.bypass_flow_sccm == 0
    rig.live(10)
    assert rig.services.coils["contactor"]
    rig.live(1)
    assert not any(rig.services.coils.values())
    assert rig.services.bypass_flow_sccm == 200
    image = rig.image()
    assert (image["watchdog"].value, image["contactor"].value, image["bypass"].value) == (2.0, 0.0, 1.0)
    assert {image[n].quality for n in rig.services.contacts} == {BAD}
    assert image["door"].value is None


def test_an_expired_watchdog_is_armed_again_with_every_output_off(rig: Rig) -> None:
    rig.switch("contactor", True)
    rig.live(20)
    assert rig.driver.execute("arm", {}) == {"watchdog_s": 10.0}
    assert (rig.values()["watchdog"], rig.values()["contactor"], rig.values()["door"]) == (1.0, 0.0, 1.0)
    rig.live(20)
    assert rig.switch("contactor", False) == {"contactor": 0.0}
    assert rig.values()["contactor"] == 0.0


def test_taking_current_away_survives_a_lost_reply_and_giving_it_is_never_repeated(rig: Rig) -> None:
    rig.switch("contactor", True)
    lost = [0]

    def lose_the_first(replies: Replies) -> Replies:
        if rig.wire.carried[-1][7] == 5 and not lost[0]:
            lost[0] += 1
            return []
        return replies

    rig.wire.spoil = lose_the_first
    assert rig.switch("contactor", False) == {"contactor": 0.0}
    lost[0] = 0
    rig.wire.carried.clear()
    with pytest.raises(CommunicationError):
        rig.switch("contactor", True)
    assert [f[7] for f in rig.wire.carried].count(5) == 1


def test_an_output_that_does_not_follow_is_not_done(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.device, "write_coils", lambda address, values: None)
    with pytest.raises(NotDoneError, match="contactor reads back off"):
        rig.switch("contactor", True)


def test_a_watchdog_that_does_not_run_leaves_the_contactor_open(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.device, "_write", lambda address, value: None)
    with pytest.raises(NotDoneError, match="watchdog reads 10 s, mask 0x0000, off"):
        rig.switch("contactor", True)
    assert not rig.services.coils["contactor"]


def test_a_module_without_watchdog_switches_nothing_on() -> None:
    with rigged(watchdog_at=0) as rig:
        with pytest.raises(RefusedError, match="no watchdog"):
            rig.switch("contactor", True)
        assert rig.switch("bypass", True) == {"bypass": 1.0}  # it is open without current
        assert [i.name for i in rig.driver.audit().items if not i.ok] == ["watchdog"]
        assert rig.values()["watchdog"] == 0.0


def test_an_output_on_without_a_watchdog_fails_the_audit(rig: Rig) -> None:
    assert rig.driver.audit().identity["item"] == "362"
    rig.device.write_coils(0, [True])
    assert [(i.name, i.found) for i in rig.driver.audit().items if not i.ok] == [
        ("outputs without a watchdog", "contactor")
    ]
    assert all(f[7] in (1, 2, 3, 4) for f in rig.wire.carried)


def test_what_is_not_wired_is_absent() -> None:
    channels = {
        "door": {"input": 9},
        "tube_pressure": {"register": 4, "low": -0.1, "high": 0.1},
        "beacon": {"coil": 7},
    }
    with rigged(channels=channels) as rig:
        rig.services.tube_bar = 0.05
        assert rig.values() == {
            "door": 1.0,
            "tube_pressure": pytest.approx(0.05, abs=1e-4),
            "beacon": 0.0,
            "watchdog": 0.0,
        }
        assert rig.switch("beacon", True) == {"beacon": 1.0}
        with pytest.raises(RefusedError, match="no output 'contactor'; this module has beacon"):
            rig.switch("contactor", True)


def test_other_modules_count_otherwise() -> None:
    channels = {"room_co": {"register": 0, "low": 0, "high": 100, "counts_4_ma": 6554, "counts_20_ma": 32767}}
    with rigged(channels=channels) as rig:
        rig.services.room_co_ppm = 30.0
        reading = rig.image()["room_co"]
        assert reading.value == pytest.approx(30.0, abs=0.01)
        rig.services.broken.add("room_co")
        assert rig.image()["room_co"].quality is BAD


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"channels": {"dor": {"input": 0}}}, "did you mean 'door'"),
        ({"channels": {"door": {"coil": 0}}}, "valid are input"),
        ({"channels": {"door": {}}}, "no input"),
        ({"channels": {"room_co": {"register": 0, "low": 5, "high": 5}}}, "mean the same"),
        ({"watchdog_s": 60}, "1..30"),
    ],
)
def test_wrong_options_are_refused(rig: Rig, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Io(rig.driver.line, options)


@given(st.binary(max_size=24))
def test_no_garbage_becomes_a_signal(garbage: bytes) -> None:
    with rigged() as rig:
        rig.wire.spoil = lambda replies: [(0.01, garbage)]
        assert {r.quality for r in rig.driver.read()} == {SILENT}


@pytest.mark.evidence(
    "io", "client", "pymodbus reads bits and registers, switches coils and meets the watchdog"
)
def test_a_foreign_client_sees_the_same_module() -> None:
    rig = Rig({})
    rig.services.contacts["door"] = False
    with TcpHost(rig.wire.session, time.monotonic) as host:
        client = ModbusTcpClient(host.host, port=host.port, timeout=2.0)
        assert client.connect()  # type: ignore[no-untyped-call]
        assert client.read_discrete_inputs(0, count=5, device_id=1).bits[:5] == [
            False,
            True,
            True,
            True,
            True,
        ]
        assert client.read_input_registers(0, count=1, device_id=1).registers == [17376]  # 20.9 % of 25 %
        assert client.read_holding_registers(0x2011, count=2, device_id=255).registers == [750, 362]
        assert not client.write_coils(0, [True, True, False], device_id=1).isError()
        assert client.read_coils(0x200, count=3, device_id=1).bits[:3] == [True, True, False]
        assert rig.services.coils == {"contactor": True, "bypass": True, "beacon": False}
        client.write_registers(0x1000, [30, 0xFFFF], device_id=1)
        client.write_register(0x1003, 1, device_id=1)
        assert client.write_register(0x1000, 50, device_id=1).exception_code == 3  # not while it runs
        rig.live(5)
        assert client.read_coils(0x200, count=3, device_id=1).exception_code == 4
        assert client.read_holding_registers(0x1006, count=1, device_id=1).registers == [2]
        assert client.read_holding_registers(0x3000, count=1, device_id=1).exception_code == 2
        client.close()  # type: ignore[no-untyped-call]
