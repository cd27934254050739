"""The balance driver: replies as printed in the reference, taring that is read back, and refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labctl.bench.api import BAD, CAPABILITIES, GOOD, NOT_READY, NotDoneError, Quality, RefusedError
from labctl_drivers.mettler import ENTRY
from tests.drivers.dosing_world import World, dosing


@pytest.fixture
def there() -> Iterator[World]:
    with dosing() as world:
        yield world


def said(there: World, *replies: bytes) -> dict[str, tuple[float | None, Quality]]:
    """What is read when the balance answers so: to `SI`, and to `TA`."""
    answers = iter(replies)
    there.device("balance").answer = lambda line: [(0.01, next(answers))]
    # the session was made with the device's own answers
    there.twin.seats["balance"].session._answer = there.device("balance").answer  # type: ignore[attr-defined]
    driver = there.drivers["balance"]
    return {s.name: (r.value, r.quality) for s, r in zip(driver.signals, driver.read(), strict=True)}


def test_it_offers_what_a_balance_must() -> None:
    assert dict(CAPABILITIES["balance"].signals).items() <= {s.name: s.unit for s in ENTRY.signals}.items()


TARE = b"TA A      0.0000 g\r\n"


@pytest.mark.parametrize(
    ("reply", "mass", "stable"),
    [
        (b"S S     100.00 g\r\n", (100.0, GOOD), (1.0, GOOD)),
        (b"S D    -0.0082 g\r\n", (-0.0082, GOOD), (0.0, GOOD)),
        (b"S S    1234.5 mg\r\n", (1.2345, GOOD), (1.0, GOOD)),
        (b"S S      0.100 kg\r\n", (100.0, GOOD), (1.0, GOOD)),
        (b"S S      3.527 oz\r\n", (None, BAD), (1.0, GOOD)),
        (b"S I\r\n", (None, NOT_READY), (None, NOT_READY)),
        (b"S +\r\n", (None, BAD), (0.0, GOOD)),
        (b"S -\r\n", (None, BAD), (0.0, GOOD)),
    ],
)
def test_every_form_of_a_weight_is_read_as_it_is_meant(
    there: World, reply: bytes, mass: tuple[float | None, Quality], stable: tuple[float | None, Quality]
) -> None:
    image = said(there, reply, TARE)
    assert image["mass"][1] is mass[1]
    assert image["mass"][0] == pytest.approx(mass[0])
    assert image["stable"] == stable


@pytest.mark.parametrize(
    "reply", [b"ES\r\n", b"ET\r\n", b"EL\r\n", b"S S  1,5 g\r\n", b"T S  1.5 g\r\n", b"S S 1.5\r\n", b"\r\n"]
)
def test_errors_and_other_replies_are_no_weight(there: World, reply: bytes) -> None:
    assert said(there, reply, TARE)["mass"][0] is None


def test_what_the_print_key_sends_is_passed_over(there: World) -> None:
    image = said(there, b"S S     20.0000 g\r\n", b"S S     20.0000 g\r\n" + TARE)
    assert image["tare"] == (0.0, GOOD)


def test_a_vessel_is_tared_and_what_comes_into_it_is_weighed_net(there: World) -> None:
    balance = there.drivers["balance"]
    assert balance.execute("tare", {}) == {"tare_g": pytest.approx(20.0, abs=5e-4)}
    there.pan.put(0.3488)
    there.live("balance", 1)
    assert there.live("balance", 1)[0]["stable"].value == 0.0, "it has not come to rest yet"
    image = there.live("balance", 12)[-1]
    assert image["mass"].value == pytest.approx(0.3488, abs=5e-4)
    assert image["stable"].value == 1.0


def test_what_moves_is_not_tared(there: World) -> None:
    there.pan.put(5.0)
    there.live("balance", 1)
    with pytest.raises(NotDoneError, match="not at rest"):
        there.drivers["balance"].execute("tare", {})
    assert there.device("balance").tare_g == 0.0


def test_a_tare_that_the_balance_does_not_keep_is_an_error(there: World) -> None:
    device = there.device("balance")
    true = device.answer

    def forgets(line: bytes) -> object:
        replies = true(line)
        if line == b"T":
            device.tare_g = 0.0
        return replies

    there.twin.seats["balance"].session._answer = forgets  # type: ignore[attr-defined]
    with pytest.raises(NotDoneError, match="the tare reads"):
        there.drivers["balance"].execute("tare", {})


def test_a_light_pan_is_zeroed_and_a_heavy_one_is_not(there: World) -> None:
    with pytest.raises(NotDoneError, match="overloaded"):
        there.drivers["balance"].execute("zero", {})
    there.pan.put(-19.0)
    there.live("balance", 15)
    assert abs(there.drivers["balance"].execute("zero", {})["mass_g"]) < 5e-4


def test_another_balance_or_a_small_one_is_told_by_the_audit() -> None:
    with dosing() as there:
        for options, item in (
            ({"serial_number": "B2"}, "serial number"),
            ({"capacity_g": 500.0}, "capacity"),
        ):
            driver = ENTRY.factory(there.drivers["balance"].line, options)
            driver.open()
            there.clock.sleep(1.0)
            assert [i.name for i in driver.audit().items if not i.ok] == [item]
            driver.close()


def test_it_drives_nothing(there: World) -> None:
    with pytest.raises(RefusedError):
        there.drivers["balance"].execute("heat", {"target_c": 20.0, "ramp_k_per_min": 1.0})
