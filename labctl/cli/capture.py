"""`labctl capture`: what a bench and labctl say to each other, byte by byte, in a file that a test can replay."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from labctl.bench.api import InstrumentError
from labctl.bench.discovery import drivers
from labctl.bench.loader import find_bench, load_bench
from labctl.bench.schema import Bench
from labctl.cli.terminal import say
from labctl.errors import PermissiveError, UsageError
from labctl.protocol.diagnosis import nearest
from labctl.runtime.assembly import connections
from labctl.runtime.backdoor import Backdoor, ascertained
from labctl.runtime.capture import to_file
from labctl.runtime.clock import VIRTUAL_EPOCH_MS, BusClock, RealClock
from labctl.runtime.folder import BENCH_FILE, Lock
from labctl.runtime.instruments import Connection, connect
from labctl.twin import Mounted, build, spec

EVERY_S = 1.0
"""As often as a furnace is scanned."""

HARMLESS: Mapping[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "tube_furnace": (("heat_off", {}),),
    "oven": (("heat_off", {}),),
    "hotplate_stirrer": (("stir", {"speed_rpm": 100.0}), ("stir_off", {}), ("heat_off", {})),
    "gas_flow": (("set_flow", {"flow_sccm": 50.0}), ("set_flow", {"flow_sccm": 0.0})),
    "cycler": (("open_circuit", {}),),
    "scheduled_cycler": (("stop", {}),),
    "balance": (("tare", {}), ("zero", {})),
    "syringe_pump": (("dispense", {"volume_ml": 0.5, "rate_ml_per_min": 1.0}), ("pump_off", {})),
    "io": (("set_output", {"name": "beacon", "on": True}), ("set_output", {"name": "beacon", "on": False})),
}
"""What `--exercise` asks of each capability: nothing that heats or charges."""


def main(arguments: Namespace) -> int:
    """Capture, print the path; 6 when an instrument did not answer."""
    file = find_bench(arguments.bench)
    whole = ascertained(load_bench(file))
    bench = _chosen(whole, arguments.instruments)
    if arguments.exercise and not whole.simulated:
        raise PermissiveError(f"{file} is of a real bench; --exercise is for simulated ones only")
    if arguments.output.exists():
        raise UsageError(f"{arguments.output} exists already; nothing was changed")
    with ExitStack() as held:
        clock: BusClock | RealClock
        if whole.in_process:
            clock = BusClock()
            entries = drivers()
            links = {name: entries[i.driver].link for name, i in whole.instruments.items()}
            held.enter_context(Mounted(build(spec(whole, entries), None), whole, lambda name: clock, links))
        else:
            if file.name != BENCH_FILE:
                raise UsageError(
                    f"{file}: instruments belong to a bench folder with a {BENCH_FILE}; name that"
                )
            held.enter_context(Lock(file.parent, "capture"))
            clock = RealClock(0.0, whole.speed)
        return _captured(bench, clock, arguments)


def _chosen(bench: Bench, names: Sequence[str]) -> Bench:
    """The bench with only these instruments, all when none is named. Raises UsageError naming the nearest."""
    for name in names:
        if name not in bench.instruments:
            raise UsageError(f"there is no instrument {name!r}; {nearest(name, bench.instruments)}")
    wanted = {name: i for name, i in bench.instruments.items() if not names or name in names}
    return bench.model_copy(update={"instruments": wanted})


def _captured(bench: Bench, clock: BusClock | RealClock, arguments: Namespace) -> int:
    start_s = clock.now()
    began = clock.utc_ms(start_s) if isinstance(clock, RealClock) else VIRTUAL_EPOCH_MS
    capture = to_file(arguments.output, bench, start_s)
    admit = Backdoor(bench.backdoor).admit if bench.simulated and bench.backdoor else None
    made = connections(bench, drivers(), lambda bus: clock, admit=admit, capture=capture)
    over = threading.Event()  # not in the middle of what a driver does
    signal.signal(signal.SIGINT, lambda *_: over.set())
    try:
        for connection in made.values():
            if not over.is_set():
                connect(connection)
        capture.begin(made, began)
        whose = " of a twin, in virtual time," if bench.in_process else ""
        say(f"capturing {', '.join(made)}{whose} for {arguments.lasts:g} s; Ctrl-C ends it sooner")
        provides = {n: i.provides if arguments.exercise else () for n, i in bench.instruments.items()}
        _converse(made, clock, start_s + arguments.lasts, provides, over)
    finally:
        capture.begin(made, began)
        for connection in made.values():
            connection.driver.close()
        capture.close()
    if capture.transcript.problem:
        return UsageError.exit_code  # and it was said
    print(arguments.output)
    if silent := [f"{name}: {c.problem}" for name, c in made.items() if c.problem]:
        raise InstrumentError("; ".join(silent))
    return 0


def _converse(
    made: Mapping[str, Connection],
    clock: BusClock | RealClock,
    end_s: float,
    exercised: Mapping[str, Sequence[str]],
    over: threading.Event,
) -> None:
    """Read every instrument that answered, once a second, after its capabilities in `exercised` were tried."""
    there = [connection for connection in made.values() if connection.audit is not None]
    for connection in there:
        _exercise(connection, exercised[connection.name])
    while there and not over.is_set():
        next_s = clock.now() + EVERY_S
        for connection in there:
            connection.driver.read()
        if next_s > end_s:
            return
        if isinstance(clock, RealClock):
            over.wait((next_s - clock.now()) / (clock.speed or 1.0))
        else:
            clock.sleep(next_s - clock.now())


def _exercise(connection: Connection, provides: Sequence[str]) -> None:
    for capability in provides:
        for verb, args in HARMLESS.get(capability, ()):
            try:
                connection.driver.execute(verb, args)
            except InstrumentError as error:  # also kept in the transcript
                say(f"{connection.name}: {verb}: {error}")
