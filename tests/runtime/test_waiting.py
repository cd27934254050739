from __future__ import annotations

import time

from labctl.engine.context import compile_bench
from labctl.engine.state import empty
from labctl.runtime.clock import RealClock
from labctl.runtime.controller import POLL_S, Controller
from labctl.runtime.instruments import Threaded
from labctl.runtime.record import InMemory
from tests.engine.bench import bare


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
