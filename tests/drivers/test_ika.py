from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from labctl.bench.api import (
    BAD,
    CAPABILITIES,
    GOOD,
    SILENT,
    CommunicationError,
    NotDoneError,
    Reading,
    RefusedError,
)
from labctl_drivers.ika import ENTRY, Ika, decode
from labctl_simulators.devices import ika as simulated
from labctl_simulators.devices.api import Bindings
from labctl_simulators.physics.hotplate import Hotplate
from labctl_simulators.wire.lines import LineSession
from tests.drivers.bench import VirtualClock, Wire, mounted


class Rig(NamedTuple):
    clock: VirtualClock
    plate: Hotplate
    device: simulated.Ika
    wire: Wire
    driver: Ika

    def live(self, seconds: int, reading: bool = False) -> None:
        for _ in range(seconds):
            self.clock.t_s += 1.0
            self.plate.step(1.0, 22.0)
            self.device.tick(self.clock.t_s)
            if reading:
                self.driver.read()

    def image(self) -> dict[str, Reading]:
        return dict(zip((s.name for s in ENTRY.signals), self.driver.read(), strict=True))


@contextmanager
def hotplate(**options: Any) -> Iterator[Rig]:
    clock, plate = VirtualClock(), Hotplate()
    device, session = simulated.attach(Bindings(now=clock.now, hotplate=plate), options, "")
    wire = Wire(session)
    with mounted("ika-test/hotplate", wire, clock) as line:
        driver = Ika(line, options)
        driver.open()
        yield Rig(clock, plate, device, wire, driver)
        driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with hotplate() as rig:
        yield rig


def test_it_offers_what_a_hotplate_stirrer_must() -> None:
    assert {s.name: s.unit for s in ENTRY.signals} == dict(CAPABILITIES["hotplate_stirrer"].signals)


@pytest.mark.parametrize(
    "raw", [b"25.3 1 \r\n", b"25.3 1 \r \n", b"25.3 1\r\n", b" 25.3 1 \r\n", b"25.3   1 \r\n"]
)
def test_every_printed_form_of_a_reply_is_read(raw: bytes) -> None:
    assert decode(raw, 1, -50.0, 450.0) == (25.3, GOOD)


def test_an_instrument_that_never_names_the_channel_is_read_too(rig: Rig) -> None:
    def drop_channel(replies: Any) -> Any:
        return [(d, b" ".join(r.split(b" ")[:1]) + b" \r\n") if b"." in r else (d, r) for d, r in replies]

    rig.wire.spoil = drop_channel
    rig.driver.close()
    rig.driver.open()
    assert {r.quality for r in rig.driver.read()} == {GOOD}
    rig.wire.spoil = lambda replies: replies
    assert {r.quality for r in rig.driver.read()} == {SILENT}


@pytest.mark.parametrize(
    "raw", [b"25.3 4 \r\n", b"25.3 1", b"25.3 \r\n", b"25,3 1 \r\n", b"25.3 1 25.3 1 \r\n", b"\r\n", b"x\r\n"]
)
def test_another_channel_or_form_is_no_reading(raw: bytes) -> None:
    assert decode(raw, 1, -50.0, 450.0) is None


def test_the_sign_of_a_missing_sensor_is_bad() -> None:
    assert decode(b"999.9 1 \r\n", 1, -50.0, 450.0) == (999.9, BAD)


def test_a_reading_takes_four_questions_in_upper_case_with_blank_cr_lf(rig: Rig) -> None:
    before = len(rig.wire.carried)
    rig.driver.read()
    assert rig.wire.carried[before:] == [
        b"IN_PV_4 \r\n",
        b"IN_SP_4 \r\n",
        b"IN_PV_2 \r\n",
        b"IN_SP_1 \r\n",
    ]


def test_stirring_sets_reads_back_and_starts_and_is_seen_in_the_speed(rig: Rig) -> None:
    before = len(rig.wire.carried)
    assert rig.driver.execute("stir", {"speed_rpm": 500}) == {"speed_setpoint_rpm": 500.0}
    assert rig.wire.carried[before:] == [b"OUT_SP_4 500 \r\n", b"IN_SP_4 \r\n", b"START_4 \r\n"]
    effect = ENTRY.effects["stir"]
    rig.live(int(effect.within_s))
    speed = rig.image()[effect.signal]
    assert speed.quality is GOOD
    assert speed.value == pytest.approx(500.0, abs=effect.tolerance)


def test_a_lost_start_shows_as_a_speed_that_does_not_come(rig: Rig) -> None:
    def forget_the_start(replies: Any) -> Any:
        rig.device.stirring = False
        return replies

    rig.wire.spoil = forget_the_start
    rig.driver.execute("stir", {"speed_rpm": 500})
    rig.live(20)
    assert rig.image()["speed"].value == 0.0
    assert rig.image()["speed_setpoint"].value == 500.0


def test_stir_off_stops_the_motor(rig: Rig) -> None:
    rig.driver.execute("stir", {"speed_rpm": 500})
    rig.live(20)
    assert rig.driver.execute("stir_off", {}) == {"speed_setpoint_rpm": 0.0}
    rig.live(20)
    assert rig.image()["speed"].value == pytest.approx(0.0, abs=0.1)
    assert not rig.device.stirring


def test_heat_off_stops_a_heater_that_a_person_started_and_leaves_the_motor_alone(rig: Rig) -> None:
    rig.driver.execute("stir", {"speed_rpm": 500})
    rig.device.setpoint_c, rig.device.heating = 80.0, True
    rig.live(60)
    assert rig.plate.heater_w > 0.0
    assert rig.driver.execute("heat_off", {}) == {"setpoint_c": 0.0}
    rig.live(1)
    assert rig.plate.heater_w == 0.0
    assert not rig.device.heating
    assert rig.device.stirring


def test_heat_off_holds_even_when_the_silent_stop_was_lost(rig: Rig) -> None:
    rig.device.setpoint_c, rig.device.heating = 80.0, True
    rig.live(60)
    rig.driver.execute("heat_off", {})
    rig.device.heating = True
    rig.live(5)
    assert rig.plate.heater_w == 0.0


@pytest.mark.parametrize(("verb", "args"), [("stir", {"speed_rpm": 300}), ("stir_off", {}), ("heat_off", {})])
def test_a_setpoint_that_was_not_taken_is_not_done(rig: Rig, verb: str, args: dict[str, float]) -> None:
    rig.device.setpoint_c, rig.device.speed_setpoint_rpm = 80.0, 500.0
    rig.device.ignores_setpoints = True
    with pytest.raises(NotDoneError, match="reads"):
        rig.driver.execute(verb, args)


def test_a_motor_is_not_started_at_a_speed_that_was_not_taken(rig: Rig) -> None:
    rig.device.ignores_setpoints = True
    with pytest.raises(NotDoneError):
        rig.driver.execute("stir", {"speed_rpm": 300})
    assert not rig.device.stirring


@pytest.mark.parametrize("speed", [0.0, -1.0, 801.0, 1501.0, float("nan")])
def test_a_speed_outside_the_range_is_refused_and_not_sent(speed: float) -> None:
    with hotplate(max_speed_rpm=800) as rig:
        before = len(rig.wire.carried)
        with pytest.raises(RefusedError, match="rpm"):
            rig.driver.execute("stir", {"speed_rpm": speed})
        assert len(rig.wire.carried) == before


def test_it_cannot_be_asked_to_heat(rig: Rig) -> None:
    with pytest.raises(RefusedError, match="heat_off"):
        rig.driver.execute("heat", {"target_c": 60})


def test_a_silent_instrument_leaves_the_outcome_unknown(rig: Rig) -> None:
    rig.device.silent = True
    with pytest.raises(CommunicationError):
        rig.driver.execute("stir", {"speed_rpm": 300})
    assert {r.quality for r in rig.driver.read()} == {SILENT}


def test_the_temperature_may_be_that_of_an_external_probe() -> None:
    with hotplate(temperature_from="probe") as rig:
        rig.plate.liquid_c = 41.5
        assert rig.image()["temperature"][:3] == (41.5, "degC", GOOD)
        rig.device.probe_in = False
        assert rig.image()["temperature"].quality is BAD


def test_the_audit_names_the_instrument_and_refuses_a_setpoint_above_the_limit() -> None:
    with hotplate(max_temperature_c=100) as rig:
        assert rig.driver.audit().identity == {"name": "RCT digital"}
        assert rig.driver.audit().ok
        rig.device.setpoint_c = 150.0
        assert [i.name for i in rig.driver.audit().items if not i.ok] == ["heater setpoint"]


def test_an_armed_watchdog_is_renewed_by_reading_and_stops_all_when_the_host_is_gone() -> None:
    with hotplate(watchdog_s=30) as rig:
        rig.driver.execute("stir", {"speed_rpm": 300})
        assert b"OUT_WD1@30 \r\n" in rig.wire.carried
        rig.live(120, reading=True)
        assert rig.device.stirring
        rig.live(31)
        assert not rig.device.stirring
        assert rig.device.error == 2
        rig.live(20)
        assert rig.image()["speed"].value == pytest.approx(0.0, abs=0.1)


def test_no_watchdog_is_armed_unless_asked_for(rig: Rig) -> None:
    rig.driver.execute("stir", {"speed_rpm": 300})
    rig.live(2000)
    assert rig.device.stirring
    assert not any(b"WD" in request for request in rig.wire.carried)


@pytest.mark.parametrize(
    "options", [{"watchdog_s": 10}, {"watchdog_s": 1501}, {"temperature_from": "glass"}, {"watchdogs": 1}]
)
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    with (
        mounted("ika-test/options", LineSession(lambda line: []), VirtualClock()) as line,
        pytest.raises(ValueError, match="ika"),
    ):
        Ika(line, options)
