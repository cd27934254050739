"""Between two scans and within one, the inbox and the e-stop are looked at; neither looking nor waiting costs more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from labctl.bench.api import Audit, Driver, Reading
from labctl.engine.context import compile_bench
from labctl.engine.decide import IDLE_SCAN_S
from labctl.engine.state import empty
from labctl.model.readings import GOOD
from labctl.runtime.clock import RealClock
from labctl.runtime.controller import Controller
from labctl.runtime.folder import ESTOP, ESTOP_SEEN, acknowledge_estop, press_estop
from labctl.runtime.instruments import POLL_S, Connection, Threaded
from labctl.runtime.record import InMemory
from labctl_drivers.binder import SIGNALS
from tests.engine.bench import Hands, bare, dry, ramp

HASTE = 100.0
"""Bench seconds in a real one."""

SOON_S = 30.0
"""For what takes less than a second on a machine that has nothing else to do."""


class SlowInbox(InMemory):
    """An inbox on a disk that is busy: looking takes a while."""

    def __init__(self, takes_s: float) -> None:
        super().__init__()
        self.takes_s = takes_s
        self.looks = 0

    def asked(self) -> bool:
        self.looks += 1
        time.sleep(self.takes_s)
        return super().asked()


def test_a_slow_look_at_the_inbox_does_not_put_off_the_scan() -> None:
    bench, record = bare("small"), SlowInbox(0.6 * POLL_S)
    instruments = Threaded({}, {}, wait=False)
    controller = Controller(compile_bench(bench, {}), empty(bench.chambers), instruments, RealClock(), record)
    controller.scan()
    due = controller.next_s = controller.clock.now() + 0.8 * POLL_S
    late: list[float] = []

    def over() -> bool:
        late.append(controller.clock.now() - due)
        return controller.scans > 1

    controller.run(over)
    assert record.looks
    assert 0.0 <= late[-1] < 0.5 * POLL_S


def on_the_bench(folder: Path) -> Controller:
    """A controller of a bench on which nothing is in use, which looks every 5 s."""
    bench, instruments = bare("small"), Threaded({}, {}, wait=False)
    context, state = compile_bench(bench, {}), empty(bench.chambers)
    said = partial(acknowledge_estop, folder)
    return Controller(
        context, state, instruments, RealClock(), InMemory(), estop=folder / ESTOP, on_estop=said
    )


def until(true: Callable[[], bool]) -> Callable[[], bool]:
    deadline = time.monotonic() + SOON_S
    return lambda: true() or time.monotonic() > deadline


def test_an_estop_that_is_pressed_again_is_acknowledged_again(tmp_path: Path) -> None:
    controller, seen = on_the_bench(tmp_path), tmp_path / ESTOP_SEEN
    assert press_estop(tmp_path, "ada: smoke")
    controller.run(until(seen.exists))
    seen.unlink()  # as whoever presses does, to hear of it from a controller that lives
    assert not press_estop(tmp_path, "ben: smoke")
    controller.run(until(seen.exists))
    assert seen.exists()


class SlowDisk(InMemory):
    """Keeping what a scan came to takes longer than the scan may take."""

    def keep(self, *what: Any) -> None:
        super().keep(*what)
        time.sleep(2.0 * IDLE_SCAN_S / HASTE)


def test_a_controller_whose_every_scan_is_late_looks_at_the_estop(tmp_path: Path) -> None:
    controller, seen = on_the_bench(tmp_path), tmp_path / ESTOP_SEEN
    controller.clock, controller.record = RealClock(controller.clock.now(), HASTE), SlowDisk()
    controller.scan()
    press_estop(tmp_path, "ada: smoke")
    controller.run(until(seen.exists))
    assert seen.exists()


def test_an_estop_that_was_taken_back_leaves_no_word_behind(tmp_path: Path) -> None:
    controller, seen = on_the_bench(tmp_path), tmp_path / ESTOP_SEEN
    press_estop(tmp_path, "ada: smoke")
    controller.run(until(seen.exists))
    for name in (ESTOP, ESTOP_SEEN):
        (tmp_path / name).unlink()
    time.sleep(POLL_S)
    controller.poll()
    controller.scan()
    assert not seen.exists()


class Stuck(Driver):
    """An oven whose line waits for its time-outs from when its first reading begins, until it is let go."""

    signals = SIGNALS

    def __init__(self, begins: Callable[[], object], clock: RealClock) -> None:
        self.begins, self.clock = begins, clock
        self.let_go = threading.Event()
        self.told: list[str] = []

    def open(self) -> None:
        pass

    def audit(self) -> Audit:
        return Audit({}, ())

    def read(self) -> tuple[Reading, ...]:
        self.begins()
        self.let_go.wait(2 * SOON_S)
        return tuple(Reading(0.0, signal.unit, GOOD, self.clock.now()) for signal in SIGNALS)

    def execute(self, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
        self.told.append(verb)
        return {}

    def close(self) -> None:
        pass


def test_the_estop_does_not_wait_for_an_instrument_that_does_not_answer(tmp_path: Path) -> None:
    hands = Hands(dry(segments=(ramp(100.0, 6000.0),), after="off"))
    hands.start()
    hands.phase("dry", "ramp")
    hands.scan()
    assert hands.state.chambers["drying-oven"].lease is not None
    clock = RealClock(hands.now + 1.0)
    oven = Stuck(partial(press_estop, tmp_path, "ada: smoke"), clock)
    made = {"oven": Connection("oven", oven, "line", audit=Audit({}, ()), open=True)}
    controller = Controller(
        hands.context,
        hands.state,
        Threaded(made, {"line": clock}, wait=False),
        clock,
        InMemory(),
        estop=tmp_path / ESTOP,
        on_estop=partial(acknowledge_estop, tmp_path),
    )
    controller.scan()
    assert (tmp_path / ESTOP_SEEN).exists(), "in the scan during whose reading it was pressed"
    assert controller.state.runs["run-1"].state == "ABORTING"
    assert oven.told == []
    oven.let_go.set()
    deadline = time.monotonic() + SOON_S
    while not (oven.told and "oven.temperature" in controller.image) and time.monotonic() < deadline:
        controller.scan()
        time.sleep(0.05)
    assert "heat_off" in oven.told, "told as soon as its line was free"
    assert controller.image["oven.temperature"].value == 0.0, "what comes late comes with a later scan"
    controller.instruments.close()
