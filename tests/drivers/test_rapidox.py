from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from labctl.bench.api import BAD, CAPABILITIES, GOOD, NOT_READY, SILENT, Quality, RefusedError
from labctl_drivers.rapidox import ENTRY, Rapidox, decode
from labctl_simulators.devices import rapidox as simulated
from labctl_simulators.devices.api import Bindings, Replies
from labctl_simulators.wire.lines import CharacterSession
from tests.drivers.bench import VirtualClock, Wire, mounted

# Both lines are printed in the manuals.
CAPTURED_1100E = b"d2.959E+05,1.426E+01,2.000E-03,23:19:40,14/01/00,ALM1&2,0\r\n"
CAPTURED_1100ZR = b"d2.959E+05,-1.426E+01,2.000E+00,,23:19:40,14/01/00,,,ALM1&2,0\r\n"


class Rig(NamedTuple):
    clock: VirtualClock
    gas: list[float | None]
    device: simulated.Rapidox
    wire: Wire
    driver: Rapidox

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.t_s += 1.0
            self.device.tick(self.clock.t_s)


@contextmanager
def analyser(**options: Any) -> Iterator[Rig]:
    clock, gas = VirtualClock(), [209_500.0]
    held: list[float | None] = list(gas)
    bindings = Bindings(now=lambda: float(int(clock.t_s)), oxygen=lambda: held[0])
    device, session = simulated.attach(bindings, options, "")
    wire = Wire(session)
    with mounted("rapidox-test/oxygen", wire, clock) as line:
        driver = Rapidox(line, options)
        driver.open()
        yield Rig(clock, held, device, wire, driver)
        driver.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with analyser() as rig:
        yield rig


def test_it_offers_what_an_oxygen_analyser_must() -> None:
    signals = {s.name: s.unit for s in ENTRY.signals}
    assert dict(CAPABILITIES["oxygen"].signals).items() <= signals.items()


@pytest.mark.parametrize(
    ("raw", "model", "millivolt"), [(CAPTURED_1100E, "1100E", 14.26), (CAPTURED_1100ZR, "1100ZR", -14.26)]
)
def test_the_printed_lines_of_both_models_are_read(raw: bytes, model: str, millivolt: float) -> None:
    sample = decode(raw, model)
    assert sample is not None
    assert sample == (295_900.0, millivolt, GOOD, 83980, "ok")


@pytest.mark.parametrize(("raw", "model"), [(CAPTURED_1100E, "1100ZR"), (CAPTURED_1100ZR, "1100E")])
def test_a_line_of_the_other_model_is_no_reading(raw: bytes, model: str) -> None:
    assert decode(raw, model) is None


@pytest.mark.parametrize("state", range(1, 10))
def test_a_number_with_a_fault_code_is_bad(state: int) -> None:
    sample = decode(CAPTURED_1100E.replace(b",0\r", b",%d\r" % state), "1100E")
    assert sample is not None
    assert (sample.oxygen_ppm, sample.quality) == (295_900.0, BAD)


@pytest.mark.parametrize(
    ("message", "quality"),
    [
        (b"!Initialising", NOT_READY),
        (b"!Sensor heating", NOT_READY),
        (b"!Sensor cooling", NOT_READY),
        (b"!Cleaning sensor", NOT_READY),
        (b"!User setup active", NOT_READY),
        (b"!Possible sensor fault", BAD),
        (b"!No sensor or sensor fault", BAD),
        (b"!Whatever else", BAD),
    ],
)
def test_every_message_instead_of_a_number_has_its_quality(message: bytes, quality: Quality) -> None:
    sample = decode(message + b"\r\n", "1100E")
    assert sample is not None
    assert (sample.oxygen_ppm, sample.quality) == (None, quality)


@pytest.mark.parametrize("place", range(len(CAPTURED_1100E)))
def test_a_lost_character_never_makes_another_number(place: int) -> None:
    sample = decode(CAPTURED_1100E[:place] + CAPTURED_1100E[place + 1 :], "1100E")
    assert sample is None or sample.oxygen_ppm in (None, 295_900.0)


@pytest.mark.parametrize("model", ["1100E", "1100ZR"])
def test_oxygen_follows_the_gas_with_the_lag_of_the_analyser(model: str) -> None:
    with analyser(model=model) as rig:
        rig.gas[0] = 500.0
        rig.live(10)
        assert rig.driver.read()[0].value == pytest.approx(500 + (209_500 - 500) * 0.3679, rel=1e-3)
        rig.live(200)
        oxygen, millivolt = rig.driver.read()
        assert oxygen.value == pytest.approx(500.0, rel=1e-3)
        assert millivolt.value == pytest.approx(120.1, abs=0.2)  # Nernst at 650 degC against air
        assert {oxygen.quality, millivolt.quality} == {GOOD}


def test_warming_up_is_not_ready_and_not_a_fault() -> None:
    with analyser(sim_warm=False) as rig:
        seen = []
        for _ in range(31):
            seen.append(rig.driver.read()[0].quality)
            rig.live(10)
        assert seen == [NOT_READY] * 30 + [GOOD]
        rig.device.power_cycle()
        assert rig.driver.read()[0].quality is NOT_READY
        assert rig.driver.audit().ok


def test_a_sensor_that_never_gets_hot_becomes_a_fault_after_ten_minutes() -> None:
    with analyser(sim_warm=False) as rig:
        rig.device.heater_broken = True
        rig.live(599)
        assert rig.driver.read()[0].quality is NOT_READY
        rig.live(1)
        assert rig.driver.read()[0].quality is BAD
        assert not rig.driver.audit().ok


def test_an_open_sensor_is_bad(rig: Rig) -> None:
    rig.gas[0] = None
    rig.live(1)
    assert rig.driver.read()[0].quality is BAD


def test_it_is_asked_with_a_single_character_and_never_written_to(rig: Rig) -> None:
    rig.driver.audit()
    rig.driver.read()
    assert rig.wire.carried == [b"D", b"D", b"D"]
    with pytest.raises(RefusedError):
        rig.driver.execute("heat", {})


@pytest.mark.parametrize("late_s", [0.31, 0.5, 1.0, 2.0, 4.9, 5.1, 5.3, 9.0])
def test_a_reading_is_never_older_than_it_says(rig: Rig, late_s: float) -> None:
    """Oxygen falls steadily, so that each number tells its own age; replies begin to come late."""

    def delay(replies: Replies) -> Replies:
        return [(d + late_s, r) for d, r in replies]

    def say_the_time() -> None:
        rig.live(1)
        rig.device.shown_ppm = 10_000.0 - rig.clock.t_s

    say_the_time()
    assert rig.driver.read()[0].quality is GOOD
    rig.wire.spoil = delay
    for _ in range(40):
        say_the_time()
        oxygen = rig.driver.read()[0]
        if oxygen.quality is GOOD:
            assert oxygen.value is not None
            assert oxygen.t_s - (10_000.0 - oxygen.value) < 3.0
    rig.wire.spoil = lambda replies: replies
    seen = []
    for _ in range(15):
        say_the_time()
        seen.append(rig.driver.read()[0].quality)
    assert seen[-1] is GOOD


def test_silence_is_silent(rig: Rig) -> None:
    rig.device.silent = True
    assert {r.quality for r in rig.driver.read()} == {SILENT}
    rig.device.silent = False
    assert {r.quality for r in rig.driver.read()} == {GOOD}


def test_a_wrong_option_is_named() -> None:
    with (
        mounted("rapidox-test/options", CharacterSession(lambda byte: []), VirtualClock()) as line,
        pytest.raises(ValueError, match="1100ZR"),
    ):
        Rapidox(line, {"model": "1100"})
