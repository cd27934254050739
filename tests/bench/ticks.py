"""How late a controller begins the scans of a dozen instruments at 10 Hz, against a thread that does nothing else.

Ours is the product's own loop on the real clock: `Controller.run` decides with every guard of four tubes, `Threaded`
reads twelve instruments over TCP (a thread for each; their simulators are another process), `InStore` commits every
scan to disk. Only the period is shorter than a bench's, 0.1 s. Theirs sleeps until each tenth of a second, half a
period apart, in the same process at the same time. Late is what lies between a tick and the moment at which the
scan, or the thread, begins.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from typing import Any

from labctl.bench.discovery import drivers
from labctl.bench.loader import check_bench
from labctl.bench.schema import Bench
from labctl.engine.context import compile_bench
from labctl.engine.state import BenchState, ChamberState
from labctl.runtime.assembly import bus_of, connections, facts
from labctl.runtime.clock import RealClock
from labctl.runtime.controller import Controller
from labctl.runtime.instruments import Threaded
from labctl.runtime.record import InStore
from labctl.store import Store
from tests.bench.serve import A_TUBE_HAS, TUBES, serving

PERIOD_S = 0.1
TICKS = 60
"""Of one round."""
READ_IN_TIME = 0.9
"""Of all readings due; fewer would be a controller that is punctual because it does not wait for its instruments."""

OF_A_TUBE = """
  furnace-{n}: {{driver: eurotherm-epc, address: "{furnace}", serial_number: SIM, provides: [tube_furnace], chamber: tube-{n}}}
  nitrogen-{n}: {{driver: alicat, address: "{nitrogen}", serial_number: SIM, provides: [gas_flow], chamber: tube-{n}}}
  oxygen-{n}: {{driver: rapidox, address: "{oxygen}", serial_number: SIM, provides: [oxygen], chamber: tube-{n}}}
"""  # noqa: E501
TUBE = """
  tube-{n}:
    kind: tube
    volume_cm3: 2290
    safe_state: [heat_off, safe_flow]
    guards: [{{guard: over_temperature}}, {{guard: stuck_heater}}, {{guard: sensor}}, {{guard: nitrogen_low}},
      {{guard: nitrogen_lost}}, {{guard: oxygen_high}}, {{guard: silent}}]
"""


class Punctual(Controller):
    """The controller, with a note of how late each scan began (s), and how many instruments it read in time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.late_s: list[float] = []
        self.read = 0
        self._firsts = [c.keys[0] for c in self.instruments.connections.values()]

    def scan(self) -> None:
        """As Controller.scan."""
        began_s = self.clock.now()
        self.late_s.append(began_s - self.next_s)
        super().scan()
        seen = [self.image[key] for key in self._firsts if key in self.image]
        self.read += sum(reading.value is not None and reading.t_s >= began_s for reading in seen)

    def tick(self, count: int) -> None:
        """Scan so many times, in the product's own loop."""
        last = self.scans + count
        self.run(lambda: self.scans >= last)


def rounds() -> Generator[tuple[float, float], None, None]:
    """Lateness in ms that one tick in a hundred exceeds: ours, the bare thread's."""
    with _controller() as controller:
        controller.tick(10)  # the first scans open connections
        while True:
            controller.late_s.clear()
            controller.read = 0
            theirs: list[float] = []
            first_s = time.monotonic() + controller.next_s - controller.clock.now() + PERIOD_S / 2.0
            bare = threading.Thread(target=_bare, args=(first_s, theirs))
            bare.start()
            controller.tick(TICKS)
            bare.join()
            share = controller.read / TICKS / len(controller.instruments.connections)
            if share < READ_IN_TIME:
                raise RuntimeError(f"only {share:.1%} of the readings came within their scan")
            yield _p99_ms(controller.late_s), _p99_ms(theirs)


def _bare(first_s: float, late_s: list[float]) -> None:
    for n in range(TICKS):
        due_s = first_s + n * PERIOD_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        late_s.append(time.monotonic() - due_s)


def _p99_ms(late_s: Sequence[float]) -> float:
    return quantiles(late_s, n=100, method="inclusive")[98] * 1000.0


@contextmanager
def _controller() -> Iterator[Punctual]:
    """A controller on the real clock that watches all four tubes, as long as the block lasts."""
    with serving("dozen") as addresses, tempfile.TemporaryDirectory() as folder:
        bench = _bench(addresses.split())
        entries, clock = drivers(), RealClock()
        made = connections(bench, entries, lambda bus: clock)
        instruments = Threaded(made, {bus_of(bench, name): clock for name in made}, wait=False)
        context = compile_bench(bench, facts(bench, entries))
        context = replace(context, rigs={n: replace(r, scan_s=PERIOD_S) for n, r in context.rigs.items()})
        flowing = ChamberState(flow_sccm=200.0)  # a chamber under gas is watched, run or no run
        state = BenchState(chambers=dict.fromkeys(bench.chambers, flowing))
        with Store.create(
            Path(folder) / "labctl.db", bench=bench.bench, bench_yaml="", simulated=True
        ) as store:
            instruments.connect_all()
            try:
                yield Punctual(context, state, instruments, clock, InStore(store, clock, state))
            finally:
                instruments.close()


def _bench(addresses: Sequence[str]) -> Bench:
    names = [f"{name}-{n}" for n in range(1, TUBES + 1) for name in A_TUBE_HAS]
    at = dict(zip(names, addresses, strict=True))
    tubes = range(1, TUBES + 1)
    members = "".join(OF_A_TUBE.format(n=n, **{i: at[f"{i}-{n}"] for i in A_TUBE_HAS}) for n in tubes)
    text = f"bench: dozen\ninstruments:{members}\nchambers:{''.join(TUBE.format(n=n) for n in tubes)}"
    bench, findings = check_bench(text, "dozen.yaml", drivers())
    if bench is None:
        raise RuntimeError("; ".join(f.message for f in findings))
    return bench
