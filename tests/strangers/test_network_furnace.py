from __future__ import annotations

import pytest
from pymodbus import FramerType

from labctl.bench.api import GOOD, NotDoneError
from labctl_drivers.eurotherm import EPC
from labctl_drivers.ports import open_line
from labctl_drivers.ports.modbus import registers_of
from tests.drivers.contract import RealClock
from tests.strangers.modbus_server import Memory, served

# An EPC3016 at rest: 25.0 degC, loop in manual, remote setpoint in use, everything else as the driver wants it.
NUMBERS = {1: 25.0, 2: 20.0, 3: 0.0, 4: 0.0, 5: 20.0, 24: 20.0, 34: 0.0, 35: 0.0, 111: 1200.0, 112: 0.0}
NUMBERS |= {277: 20.0, 1667: 0.0, 2304: 1200.0, 2305: 0.0, 2306: 1200.0, 2307: 0.0}
CHOICES = {15: 0, 23: 1, 121: 0x1280, 199: 0, 273: 1, 276: 1, 516: 0, 518: 1, 531: 1, 553: 0, 1027: 3016}
CHOICES |= {1234: 0, 1236: 0, 1623: 1, 1666: 1, 1668: 0, 1901: 0, 1930: 1, 1931: 0, 1932: 0, 2308: 10}
DOUBLES = {1026: 12345, 1233: 10_000, 1235: 0}


def memory(**numbers: float) -> Memory:
    """Registers in the maker's two regions: choices as they are, numbers and times doubled."""
    words = dict(CHOICES)
    for address, value in (NUMBERS | {int(name[1:]): value for name, value in numbers.items()}).items():
        high, low = registers_of(value, low_word_first=False)
        words |= {0x8000 + 2 * address: high, 0x8001 + 2 * address: low}
    for address, count in DOUBLES.items():
        words |= {0x8000 + 2 * address: count >> 16, 0x8001 + 2 * address: count & 0xFFFF}
    return Memory(words, functions=frozenset({3, 16}))


def number(server: Memory, address: int) -> tuple[int, int]:
    """The two words of a number, as the server keeps them."""
    return server.values[0x8000 + 2 * address], server.values[0x8001 + 2 * address]


@pytest.mark.evidence("eurotherm-epc", "simulator", "pymodbus is read, heated and turned off by the driver")
def test_the_driver_reads_heats_and_turns_off_what_pymodbus_serves() -> None:
    server = memory()
    with served(server, FramerType.SOCKET) as address:
        driver = EPC.factory(open_line(address, RealClock()), {"timeout_s": 2.0, "serial_number": "12345"})
        driver.open()
        assert [item for item in driver.audit().items if not item.ok] == []
        image = driver.read()
        assert (image[0].value, image[0].quality) == (25.0, GOOD)
        driver.execute("heat", {"target_c": 350.0, "ramp_k_per_min": 5.0})
        assert number(server, 277) == (0x43AF, 0)
        assert number(server, 35) == number(server, 1667) == (0x40A0, 0)
        assert (server.values[276], server.values[273]) == (0, 0)
        driver.execute("renew", {"target_c": 350.0})
        driver.execute("heat_off", {})
        assert number(server, 277) == number(server, 24) == (0x41A0, 0)
        assert (server.values[276], server.values[273]) == (1, 1)
        driver.close()
    assert {function for function, _, _ in server.asked} == {3, 16}


def test_an_output_that_pymodbus_goes_on_showing_is_no_proof_of_heat_off() -> None:
    with served(memory(_4=12.5), FramerType.SOCKET) as address:
        driver = EPC.factory(open_line(address, RealClock()), {"timeout_s": 2.0})
        driver.open()
        with pytest.raises(NotDoneError, match=r"12\.5"):
            driver.execute("heat_off", {})
        driver.close()


@pytest.mark.parametrize("max_block", [2, 3, 125])
def test_the_two_words_of_a_number_are_never_asked_for_apart(max_block: int) -> None:
    server = memory()
    with served(server, FramerType.SOCKET) as address:
        driver = EPC.factory(open_line(address, RealClock()), {"timeout_s": 2.0, "max_block": max_block})
        driver.open()
        assert driver.read()[0].value == 25.0
        driver.close()
    numbers = [(at, count) for _, at, count in server.asked if at >= 0x8000]
    assert numbers
    assert all(at % 2 == count % 2 == 0 for at, count in numbers)


def test_a_driver_that_would_tear_numbers_apart_is_not_made() -> None:
    with pytest.raises(ValueError, match="max_block 1"):
        EPC.factory(open_line("tcp://127.0.0.1:502", RealClock()), {"max_block": 1})
