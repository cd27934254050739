"""In virtual time buses are carried out one after the other, and yet none waits for another's time-outs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.bench.api import Audit, Driver, Reading
from labctl.model.commands import Command
from labctl.runtime.clock import BusClock
from labctl.runtime.instruments import Connection, Inline


class Slow(Driver):
    """A driver whose every question takes this long on its bus."""

    signals = ()

    def __init__(self, clock: BusClock, takes_s: float, told: list[str]) -> None:
        self.clock, self.takes_s, self.told = clock, takes_s, told

    def open(self) -> None:
        pass

    def audit(self) -> Audit:
        return Audit({}, ())

    def read(self) -> tuple[Reading, ...]:
        self.clock.sleep(self.takes_s)
        return ()

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        self.told.append(verb)
        self.clock.sleep(self.takes_s)
        return {}

    def close(self) -> None:
        pass


def test_a_contactor_opens_before_a_furnace_that_does_not_answer_has_timed_out() -> None:
    told: list[str] = []
    clocks = {"serial": BusClock(), "network": BusClock()}
    furnace = Connection("furnace", Slow(clocks["serial"], 1.2, told), "serial")
    module = Connection("io", Slow(clocks["network"], 0.01, told), "network")
    bench = Inline({"furnace": furnace, "io": module}, clocks)
    bench.read(("furnace", "io"), 100.0, 0.0)
    bench.execute([Command("c1", "furnace", "heat_off", {}), Command("c2", "io", "open_contactor", {})])
    assert told == ["open_contactor", "heat_off"]
    assert [result.command_id for result in bench.results()] == ["c1", "c2"]
    assert bench.end_s(100.0) == 102.4


def test_commands_of_one_bus_keep_their_order() -> None:
    told: list[str] = []
    clocks = {"serial": BusClock()}
    furnace = Connection("furnace", Slow(clocks["serial"], 0.1, told), "serial")
    bench = Inline({"furnace": furnace}, clocks)
    bench.execute([Command("c1", "furnace", "ramp", {}), Command("c2", "furnace", "start", {})])
    assert told == ["ramp", "start"]
