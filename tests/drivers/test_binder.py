from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.bench.api import (
    BAD,
    GOOD,
    SILENT,
    CommunicationError,
    Driver,
    NotDoneError,
    RefusedError,
)
from labctl_drivers.binder import ENTRY, Binder
from labctl_simulators.devices.api import Bindings, Replies
from labctl_simulators.devices.binder import AUTO, BASIC, IDLE, MANUAL, BinderMb1, attach
from labctl_simulators.physics.oven import ConvectionOven
from tests.drivers.bench import VirtualClock, Wire, mounted
from tests.drivers.contract import DriverContract


class Rig(NamedTuple):
    clock: VirtualClock
    oven: ConvectionOven
    device: BinderMb1
    wire: Wire
    driver: Binder

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.oven.step(1.0, 22.0)
            self.clock.sleep(1.0)
            self.device.tick(self.clock.now())


@pytest.fixture
def rig() -> Iterator[Rig]:
    clock, oven = VirtualClock(), ConvectionOven()
    device, session = attach(Bindings(now=clock.now, oven=oven, oven_sensor=lambda: oven.air_c), {}, "1")
    assert isinstance(device, BinderMb1)
    wire = Wire(session)
    with mounted("binder-test/oven", wire, clock) as line:
        driver = Binder(line, {})
        driver.open()
        yield Rig(clock, oven, device, wire, driver)
        driver.close()


def values(rig: Rig) -> list[float | None]:
    readings = rig.driver.read()
    assert all(r.quality is GOOD for r in readings)
    return [r.value for r in readings]


class TestBinderContract(DriverContract):
    entry = ENTRY
    hosts = ("tcp",)

    def bindings(self, now: Callable[[], float]) -> Bindings:
        oven = ConvectionOven()
        return Bindings(now=now, oven=oven, oven_sensor=lambda: oven.air_c)

    def conversation(self, driver: Driver) -> None:
        super().conversation(driver)
        driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 1.0})
        driver.execute("renew", {"target_c": 23.0})
        driver.execute("heat_off", {})


def test_the_host_moves_its_ramp() -> None:
    assert ENTRY.host_ramp


def test_the_temperature_is_asked_for_with_the_published_bytes(rig: Rig) -> None:
    rig.wire.carried.clear()
    rig.driver.read()
    assert rig.wire.carried[0] == bytes.fromhex("01 03 11 A9 00 02 11 17")


def test_a_setpoint_goes_out_low_word_first(rig: Rig) -> None:
    rig.wire.carried.clear()
    rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})
    # 100.0 is 0x42C80000
    assert rig.wire.carried[0][:-2] == bytes.fromhex("01 10 15 81 00 02 04 00 00 42 C8")


def test_the_setpoint_is_written_before_the_mode(rig: Rig) -> None:
    rig.device.manual_c = 250.0
    seen = []

    def watch(replies: Replies) -> Replies:
        seen.append((rig.device.mode, rig.device.manual_c))
        return replies

    rig.wire.spoil = watch
    rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})
    assert (MANUAL, 250.0) not in seen
    assert seen[-1] == (MANUAL, 100.0)


def test_it_heats_and_holds(rig: Rig) -> None:
    back = rig.driver.execute("heat", {"target_c": 40.0, "ramp_k_per_min": 0.0})
    assert back == {"host_ramp": 0.0, "setpoint_c": 40.0, "mode": "manual"}
    rig.live(3600)
    temperature, setpoint, working, door = values(rig)
    assert temperature == pytest.approx(40.0, abs=0.5)
    assert (setpoint, working, door) == (40.0, 40.0, 0.0)


def test_a_ramp_starts_at_the_present_temperature_and_is_moved_by_renewing(rig: Rig) -> None:
    back = rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 1.0})
    assert back == {"host_ramp": 1.0, "setpoint_c": 22.0, "mode": "manual"}
    assert rig.driver.execute("renew", {"target_c": 23.5}) == {"setpoint_c": 23.5}
    assert values(rig)[1:3] == [23.5, 23.5]


def test_heat_off_leaves_the_fan_running_without_demand(rig: Rig) -> None:
    rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})
    rig.live(300)
    assert rig.device.duty > 0.0
    assert rig.driver.execute("heat_off", {}) == {"setpoint_c": 0.0, "mode": "manual"}
    rig.live(2)
    assert rig.device.fan
    assert rig.oven.duty == 0.0
    assert values(rig)[1:3] == [0.0, 0.0]


def test_heat_off_takes_over_from_a_mode_with_a_setpoint_of_its_own(rig: Rig) -> None:
    rig.device.basic_c, rig.device.mode = 80.0, BASIC
    rig.live(5)
    assert rig.oven.duty > 0.0
    assert rig.driver.execute("heat_off", {})["mode"] == "manual"
    rig.live(2)
    assert rig.oven.duty == 0.0


def test_heat_off_does_not_start_the_fan_of_an_idle_oven(rig: Rig) -> None:
    assert rig.driver.execute("heat_off", {})["mode"] == "idle"
    assert not rig.device.fan


def test_idle_is_never_commanded(rig: Rig) -> None:
    rig.driver.execute("heat", {"target_c": 60.0, "ramp_k_per_min": 0.0})
    rig.driver.execute("renew", {"target_c": 61.0})
    rig.driver.execute("heat_off", {})
    idle = bytes.fromhex("01 10 1A 22 00 01 02 00 00")
    assert not any(
        request.startswith((idle, bytes.fromhex("01 06 1A 22 00 00"))) for request in rig.wire.carried
    )


@pytest.mark.parametrize("target", [300.1, 1200.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("verb", ["heat", "renew"])
def test_a_target_beyond_the_oven_is_refused_and_nothing_is_sent(rig: Rig, verb: str, target: float) -> None:
    rig.wire.carried.clear()
    with pytest.raises(RefusedError):
        rig.driver.execute(verb, {"target_c": target, "ramp_k_per_min": 0.0})
    assert rig.wire.carried == []


def test_a_ramp_needs_a_temperature_to_start_from(rig: Rig) -> None:
    rig.device.sensor = lambda: None
    with pytest.raises(RefusedError, match="1500"):
        rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 1.0})
    assert rig.device.mode == IDLE


def test_a_renewal_notices_that_the_mode_was_changed_at_the_panel(rig: Rig) -> None:
    rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 1.0})
    rig.device.mode = IDLE
    with pytest.raises(NotDoneError, match="idle"):
        rig.driver.execute("renew", {"target_c": 25.0})


def test_a_setpoint_that_does_not_take_effect_is_reported(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BinderMb1, "write_block", lambda self, address, words: None)
    with pytest.raises(NotDoneError, match="setpoint"):
        rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})
    assert rig.device.mode == IDLE


def test_a_setpoint_that_keeps_heating_after_heat_off_is_reported(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})
    monkeypatch.setattr(BinderMb1, "setpoint_c", property(lambda self: 100.0))
    with pytest.raises(NotDoneError, match="100"):
        rig.driver.execute("heat_off", {})


def test_a_lost_acknowledgement_is_an_unknown_outcome(rig: Rig) -> None:
    rig.wire.spoil = lambda replies: [] if rig.wire.carried[-1][1] == 16 else replies
    with pytest.raises(CommunicationError):
        rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})


def test_an_open_sensor_is_a_bad_temperature_and_turns_the_heater_off(rig: Rig) -> None:
    rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})
    rig.device.sensor = lambda: None
    rig.live(2)
    assert rig.driver.read()[0].quality is BAD
    assert rig.oven.duty == 0.0
    assert [i.name for i in rig.driver.audit().items if not i.ok] == ["alarm"]


def test_a_tripped_limiter_fails_the_audit_until_the_panel_resets_it(rig: Rig) -> None:
    rig.driver.execute("heat", {"target_c": 100.0, "ramp_k_per_min": 0.0})
    rig.oven.air_c = 330.0
    rig.live(2)
    assert rig.oven.duty == 0.0
    audit = rig.driver.audit()
    assert [i.name for i in audit.items if not i.ok] == ["over-temperature limiter", "alarm"]
    assert audit.identity["text"] == "Safety controller"
    rig.device.reset_at_panel()
    assert rig.driver.audit().ok


def test_a_running_program_fails_the_audit(rig: Rig) -> None:
    rig.device.mode = AUTO
    assert [i.found for i in rig.driver.audit().items if not i.ok] == ["auto"]


def test_an_open_door_is_seen(rig: Rig) -> None:
    rig.oven.door_open = True
    assert values(rig)[3] == 1.0


@given(garbage=st.binary(max_size=40))
def test_no_garbage_becomes_a_temperature(garbage: bytes) -> None:
    clock = VirtualClock()
    _, session = attach(Bindings(now=clock.now), {}, "1")
    wire = Wire(session)
    with mounted("binder-garbage/oven", wire, clock) as line:
        driver = Binder(line, {})
        driver.open()
        wire.spoil = lambda replies: [(0.01, garbage)]
        assert all(r.quality is SILENT for r in driver.read())
        driver.close()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_temperature": 200}, "max_temperature_c"),
        ({"max_temperature_c": 500}, "300"),
        ({"off_setpoint_c": 30}, "20"),
    ],
)
def test_wrong_options_are_refused(rig: Rig, options: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Binder(rig.driver.line, options)
