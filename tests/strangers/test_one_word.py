"""A server that answers one word to whatever is asked, and nothing to what it does not know."""

from __future__ import annotations

import pytest

from labctl.bench.api import GOOD, SILENT, CommunicationError
from labctl_drivers.eurotherm import Eurotherm
from labctl_drivers.ports import open_line
from tests.drivers.contract import RealClock
from tests.strangers.one_word_server import OneWord, served
from tests.strangers.test_eurotherm import REGISTERS

WORD_BY_WORD = {"max_block": 1, "write_fc": 6, "timeout_s": 0.3}


def test_word_by_word_the_driver_reads_heats_and_turns_it_off() -> None:
    controller = OneWord(REGISTERS)
    with served(controller) as address:
        driver = Eurotherm(open_line(address, RealClock()), WORD_BY_WORD)
        driver.open()
        assert driver.audit().ok
        image = driver.read()
        assert [(r.value, r.quality) for r in image[:4]] == [
            (25.0, GOOD),
            (20.0, GOOD),
            (20.0, GOOD),
            (0.0, GOOD),
        ]
        driver.execute("heat", {"target_c": 350.0, "ramp_k_per_min": 5.0})
        assert [controller.values[a] for a in (24, 26, 35, 273, 276)] == [200, 3500, 50, 0, 1]
        driver.execute("renew", {"target_c": 350.0})
        driver.execute("heat_off", {})
        assert [controller.values[a] for a in (3, 24, 26, 273, 276)] == [0, 200, 200, 1, 0]
        driver.close()
    assert {(function, count) for function, _, count in controller.asked} == {(3, 1), (6, 1)}


def test_a_block_of_which_one_word_comes_is_silence_and_no_number() -> None:
    with served(OneWord(REGISTERS)) as address:
        driver = Eurotherm(open_line(address, RealClock()), WORD_BY_WORD | {"max_block": 125})
        driver.open()
        assert {reading.quality for reading in driver.read()} == {SILENT}
        driver.close()


def test_a_block_that_it_does_not_take_is_an_unknown_outcome() -> None:
    with served(OneWord(REGISTERS)) as address:
        driver = Eurotherm(open_line(address, RealClock()), WORD_BY_WORD | {"write_fc": 16})
        driver.open()
        with pytest.raises(CommunicationError, match="no answer"):
            driver.execute("renew", {"target_c": 20.0})
        driver.close()


def test_a_register_that_it_does_not_have_is_silence_and_the_next_one_is_read_all_the_same() -> None:
    without_status = {address: word for address, word in REGISTERS.items() if address != 75}
    controller = OneWord(without_status)
    with served(controller) as address:
        driver = Eurotherm(open_line(address, RealClock()), WORD_BY_WORD)
        driver.open()
        assert {reading.quality for reading in driver.read()} == {SILENT}
        controller.values[75] = REGISTERS[75]
        assert driver.read()[0].quality is GOOD
        driver.close()
