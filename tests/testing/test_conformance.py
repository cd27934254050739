"""The conformance suite can fail: each way to write a sloppy driver is caught by the test that is there for it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.testing.children import ROOT, pytest_on
from tests.testing.test_driver_page import files_of


class Sloppy(NamedTuple):
    """A line of the driver of docs/drivers.md, what a sloppy one has there, and the test that catches it."""

    careful: str
    sloppy: str
    caught_by: str


SLOPPY = [
    Sloppy("unverified=(", "api=2, unverified=(", "it_is_written_for_this_labctl"),
    Sloppy(
        'Signal("temperature", "degC"',
        'Signal("temperature", "K"',
        "its_entry_declares_what_its_capabilities_ask_for",
    ),
    Sloppy(
        "SIGNALS = (",
        "import socket\nsocket.socket().bind(('127.0.0.1', 0))\nSIGNALS = (",
        "importing_it_opens_nothing",
    ),
    Sloppy("self._tag = 0\n", "self._tag = 0\n        self.open()\n", "making_one_opens_nothing"),
    Sloppy("if name not in OPTIONS:", "if False:", "an_unknown_option_is_refused_with_the_nearest_name"),
    Sloppy(
        'shown_by=("temperature", "setpoint")',
        'shown_by=("temperature", "set point")',
        "what_shows_an_unverified_item_is_a_signal_or_an_item_of_its_audit",
    ),
    Sloppy(
        'rb"(-?\\d{1,3}\\.\\d|--\\.-)',
        'rb"(-?\\d{1,3}|--\\.-)',
        "a_healthy_instrument_reads_good_in_the_declared_units",
    ),
    Sloppy(
        "while len(heard) < LONGEST and (got := port.read_some()):",
        "for got in [port.read_some()]:",
        "a_reply_in_two_pieces_reads_the_same_wherever_it_is_split",
    ),
    Sloppy("return self.silent()", "raise", "a_spoilt_wire_is_silence_never_a_number[silence]"),
    Sloppy(
        '        raise CommunicationError(f"kelvin-k1: no reply to',
        "        return b'25.0 0.0 0.0'\n        raise CommunicationError(f\"kelvin-k1: no reply to",
        "a_spoilt_wire_is_silence_never_a_number[half a reply]",
    ),
    Sloppy(
        "if line.startswith(tag):\n                    return line[len(tag) :]",
        "if tag in line:\n                    return line.partition(tag)[2]",
        "a_spoilt_wire_is_silence_never_a_number[noise before]",
    ),
    Sloppy(
        "if line.startswith(tag):",
        "if line[3:4] == b' ':",
        "a_late_reply_is_silence_whatever_is_being_asked_when_it_comes",
    ),
    Sloppy(
        'raise RefusedError(f"kelvin-k1: no verb {verb!r}; it has heat and heat_off")',
        "return {}",
        "an_unknown_verb_is_refused_and_nothing_is_sent",
    ),
    Sloppy(
        "if not 0.0 <= target_c <= self._highest_c:",
        "if target_c < 0.0 or target_c > self._highest_c:",
        "an_absurd_number_is_refused_and_nothing_is_sent",
    ),
    Sloppy(
        "if not 0.0 <= target_c <= self._highest_c:",
        "self._status()\n        if not 0.0 <= target_c <= self._highest_c:",
        "what_is_beyond_its_limits_is_refused_and_nothing_is_sent",
    ),
    Sloppy(
        "if self._port is not None:\n            self._port.close()",
        "if True:\n            self._port.close()",
        "a_closed_driver_is_silent_and_closes_twice",
    ),
]

TESTS = """
from labctl.testing.conformance import DriverConformance
from labctl_simulators.devices.api import Bindings
from labctl_simulators.physics.oven import ConvectionOven
from kelvin_oven.simulator import attach
from {module} import ENTRY

class TestIt(DriverConformance):
    entry = ENTRY
    beyond = (("heat", {{"target_c": 250.1, "ramp_k_per_min": 1.0}}),)

    def session(self, now):
        oven = ConvectionOven()
        return attach(Bindings(now=now, oven=oven, oven_sensor=lambda: oven.air_c), {{}}, "1234")[1]
"""

WHOLE_REQUESTS_ONLY = """
class Whole:
    def __init__(self, session):
        self.session = session

    def feed(self, data, now_s):
        return self.session.feed(data, now_s) if len(data) > 1 else []

class TestWhole(TestIt):
    def session(self, now):
        return Whole(super().session(now))
"""
"""A simulator that loses what does not come at once."""


def test_every_sloppy_driver_is_caught_and_the_careful_one_is_not(tmp_path: Path) -> None:
    files = files_of(ROOT / "docs" / "drivers.md")
    careful = files["kelvin_oven/driver.py"]
    (tmp_path / "kelvin_oven").mkdir()
    (tmp_path / "kelvin_oven/__init__.py").touch()
    (tmp_path / "kelvin_oven/simulator.py").write_text(files["kelvin_oven/simulator.py"])
    (tmp_path / "careful.py").write_text(careful)
    (tmp_path / "test_careful.py").write_text(TESTS.format(module="careful"))
    wanted = []
    for number, way in enumerate(SLOPPY):
        assert careful.count(way.careful) == 1, way
        (tmp_path / f"sloppy_{number}.py").write_text(careful.replace(way.careful, way.sloppy))
        (tmp_path / f"test_sloppy_{number}.py").write_text(TESTS.format(module=f"sloppy_{number}"))
        wanted.append(f"test_sloppy_{number}.py::TestIt::test_{way.caught_by}")
    (tmp_path / "test_whole.py").write_text(TESTS.format(module="careful") + WHOLE_REQUESTS_ONLY)
    wanted.append("test_whole.py::TestWhole::test_its_simulator_takes_requests_byte_by_byte")
    done = pytest_on(tmp_path, "-rA", "--tb=no", *wanted, "test_careful.py")
    said = done.stdout.splitlines()
    failed = [line.split(" ", 1)[1] for line in said if line.startswith(("FAILED", "ERROR"))]
    assert [node for node in wanted if not any(name.startswith(node) for name in failed)] == [], done.stdout
    assert not any("careful" in name for name in failed), done.stdout
    assert done.stdout.count("PASSED test_careful.py") > 25
