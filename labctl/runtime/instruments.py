"""The instruments of a bench, grouped by bus: read in parallel in real time, inline in virtual time.

One worker per bus, so that an instrument that does not answer delays only its own line. In both modes the result of a
command of one scan is seen in the next.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import NamedTuple, Protocol

from labctl.bench.api import Audit, Clock, Driver
from labctl.errors import CommunicationError, InstrumentError, NotDoneError, RefusedError
from labctl.model.commands import Command, Outcome, Result
from labctl.model.readings import Reading
from labctl.runtime.clock import BusClock, wall_s

POLL_S = 0.25
"""How often the inbox and the e-stop are looked at, in real seconds, whatever the scan and whatever it waits for."""


class Sample(NamedTuple):
    """One instrument's readings of one scan."""

    instrument: str
    readings: tuple[Reading, ...]


@dataclass(slots=True)
class Connection:
    """One instrument on its bus. `every_s`: read no more often than this."""

    name: str
    driver: Driver
    bus: str
    every_s: float = 0.0
    last_s: float = float("-inf")
    open: bool = False
    audit: Audit | None = None
    problem: str | None = None
    keys: tuple[str, ...] = field(default=())


def connect(connection: Connection) -> None:
    """Open an instrument and audit it; what goes wrong is kept as its problem."""
    try:
        if not connection.open:
            connection.driver.open()
            connection.open = True
        connection.audit = connection.driver.audit()
        connection.problem = None
    except InstrumentError as error:
        connection.problem = str(error)


def _connect_each(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connect(connection)


def carry_out(connection: Connection, command: Command) -> Result:
    """Execute one command; every way in which it can end has its outcome."""
    outcome: Outcome
    try:
        if command.verb == "audit":
            return _audited(connection, command)
        readback = connection.driver.execute(command.verb, command.args)
        return Result(command.id, "ok", "read back", readback)
    except RefusedError as error:
        outcome, detail = "refused", str(error)
    except NotDoneError as error:
        outcome, detail = "failed", str(error)
    except CommunicationError as error:
        outcome, detail = "unknown", str(error)
    except InstrumentError as error:
        outcome, detail = "failed", str(error)
    return Result(command.id, outcome, detail, {})


def _audited(connection: Connection, command: Command) -> Result:
    """Ask anew for all that safety rests on, as when it was connected."""
    connection.audit = audit = connection.driver.audit()
    wrong = "; ".join(f"{i.name} is {i.found}, wanted {i.wanted}" for i in audit.items if not i.ok)
    return Result(command.id, "failed" if wrong else "ok", wrong or "audit passed", {})


def _never() -> bool:
    return False


class Instruments(Protocol):
    """All instruments of a bench, for the controller's loop."""

    connections: Mapping[str, Connection]

    def connect_all(self) -> None:
        """Open and audit every instrument."""

    def read(
        self, names: Iterable[str], now_s: float, deadline_s: float, hurried: Callable[[], bool] = _never
    ) -> list[Sample]:
        """Read these instruments, those that are due. Late ones come with a later call.

        hurried: asked every POLL_S while others are waited for in real time; once it is so, the rest is late.
        """

    def execute(self, commands: Sequence[Command]) -> None:
        """Carry out commands; their results come from `results` from the next scan on."""

    def results(self) -> list[Result]:
        """Results that have come in. In real time that of an instrument which is read comes with its next reading."""

    def end_s(self, now_s: float) -> float:
        """When the slowest bus of this scan was done (virtual time), else `now_s`."""

    def close(self) -> None:
        """Release all ports; changes nothing about what the instruments do."""


def _due(connection: Connection, now_s: float) -> bool:
    return now_s - connection.last_s >= connection.every_s - 1e-6


_TIME: Callable[[BusClock], float] = attrgetter("t_s")


class Inline:
    """All buses one after the other, each on its own virtual time."""

    def __init__(self, connections: Mapping[str, Connection], clocks: Mapping[str, BusClock]) -> None:
        """`clocks` by bus."""
        self.connections = connections
        self._clocks = clocks
        self._all = tuple(clocks.values())
        self._results: list[Result] = []

    def connect_all(self) -> None:
        """See Instruments."""
        for connection in self.connections.values():
            connect(connection)

    def read(
        self, names: Iterable[str], now_s: float, deadline_s: float, hurried: Callable[[], bool] = _never
    ) -> list[Sample]:
        """See Instruments; every due instrument is in the answer."""
        for clock in self._all:
            clock.t_s = now_s
        samples = []
        connections = self.connections
        for name in names:
            connection = connections[name]
            if now_s - connection.last_s >= connection.every_s - 1e-6:
                connection.last_s = now_s
                samples.append(Sample(name, connection.driver.read()))
        return samples

    def execute(self, commands: Sequence[Command]) -> None:
        """See Instruments. A bus that waits for its time-outs keeps no other waiting."""
        order = sorted(range(len(commands)), key=lambda n: self._free_s(commands[n]))
        found = {n: carry_out(self.connections[commands[n].instrument], commands[n]) for n in order}
        self._results += [found[n] for n in range(len(commands))]

    def _free_s(self, command: Command) -> float:
        """When the bus of a command is done with what it was asked before."""
        return self._clocks[self.connections[command.instrument].bus].t_s

    def results(self) -> list[Result]:
        """See Instruments."""
        results, self._results = self._results, []
        return results

    def end_s(self, now_s: float) -> float:
        """See Instruments."""
        return max(now_s, *map(_TIME, self._all))

    def close(self) -> None:
        """See Instruments."""
        for connection in self.connections.values():
            connection.driver.close()


_Job = tuple[float, list[Connection], list[tuple[Connection, Command]]]


class _Done(NamedTuple):
    """A command that an instrument was given, and how it ended."""

    instrument: str
    result: Result


class _Worker:
    """The one thread that talks on a bus."""

    def __init__(self, name: str, clock: Clock, done: queue.SimpleQueue[Sample | _Done | str]) -> None:
        self.name = name
        self.clock = clock
        self.jobs = 0
        self._jobs: queue.SimpleQueue[_Job | Callable[[], None] | None] = queue.SimpleQueue()
        self._done = done
        self._thread = threading.Thread(target=self._work, name=f"bus {name}", daemon=True)
        self._thread.start()

    def put(self, job: _Job | Callable[[], None]) -> None:
        self.jobs += 1
        self._jobs.put(job)

    def stop(self, timeout_s: float) -> None:
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if callable(job):
                job()
            else:
                self._scan(*job)
            self._done.put(self.name)

    def _scan(self, now_s: float, due: list[Connection], commands: list[tuple[Connection, Command]]) -> None:
        if isinstance(self.clock, BusClock) and due:
            self.clock.t_s = now_s
        for connection in due:
            self._done.put(Sample(connection.name, self._read(connection)))
        for connection, command in commands:
            self._done.put(_Done(connection.name, self._carry_out(connection, command)))

    # A driver that fails in a way it does not declare must not end the thread of its bus, or nothing on it is ever
    # asked again: to the core it is an instrument that does not answer.

    def _read(self, connection: Connection) -> tuple[Reading, ...]:
        try:
            if connection.audit is None:
                connect(connection)
            return connection.driver.silent() if connection.audit is None else connection.driver.read()
        except Exception:
            traceback.print_exc()
            return connection.driver.silent()

    def _carry_out(self, connection: Connection, command: Command) -> Result:
        try:
            return carry_out(connection, command)
        except Exception as error:
            traceback.print_exc()
            return Result(command.id, "unknown", f"the driver failed: {error!r}", {})


class Threaded:
    """One worker thread per bus. In real time a bus that is late is skipped until it is done.

    What a command did is told together with what its instrument reads afterwards: a reading from before, beside the
    word that it was done, would look like an instrument that was reset.
    """

    def __init__(
        self, connections: Mapping[str, Connection], clocks: Mapping[str, Clock], *, wait: bool
    ) -> None:
        """`clocks` by bus. `wait`: wait for every bus however long it takes (virtual time over worker threads)."""
        self.connections = connections
        self._done: queue.SimpleQueue[Sample | _Done | str] = queue.SimpleQueue()
        self._workers = {bus: _Worker(bus, clock, self._done) for bus, clock in clocks.items()}
        self._wait = wait
        self._names: frozenset[str] = frozenset()
        self._samples: list[Sample] = []
        self._unseen: list[_Done] = []
        self._results: list[Result] = []

    def connect_all(self) -> None:
        """See Instruments."""
        for bus, worker in self._workers.items():
            members = [c for c in self.connections.values() if c.bus == bus]
            worker.put(partial(_connect_each, members))
        self._collect(float("inf"), self._workers)

    def read(
        self, names: Iterable[str], now_s: float, deadline_s: float, hurried: Callable[[], bool] = _never
    ) -> list[Sample]:
        """See Instruments. Waits until `deadline_s` of the wall's monotonic clock, unless told to wait for all."""
        self._collect(wall_s(), ())  # a bus that has carried out its commands meanwhile is free again
        self._names = frozenset(names := tuple(names))
        told = {done.instrument for done in self._unseen}
        wanted: dict[str, list[Connection]] = {}
        for name in names:
            connection = self.connections[name]
            if not self._workers[connection.bus].jobs and (name in told or _due(connection, now_s)):
                connection.last_s = now_s
                wanted.setdefault(connection.bus, []).append(connection)
        for bus, due in wanted.items():
            self._workers[bus].put((now_s, due, []))
        if self._wait:
            self._collect(float("inf"), wanted)
        else:
            self._collect(deadline_s, wanted, hurried)
        samples, self._samples = self._samples, []
        return (
            sorted(samples, key=lambda s: list(self.connections).index(s.instrument))
            if self._wait
            else samples
        )

    def execute(self, commands: Sequence[Command]) -> None:
        """See Instruments; in virtual time waits, so that the bus clocks are final."""
        grouped: dict[str, list[tuple[Connection, Command]]] = {}
        for command in commands:
            connection = self.connections[command.instrument]
            grouped.setdefault(connection.bus, []).append((connection, command))
        for bus, items in grouped.items():
            self._workers[bus].put((0.0, [], items))
        if self._wait:
            self._collect(float("inf"), grouped)
            order = {command.id: n for n, command in enumerate(commands)}
            self._results += (done.result for done in self._unseen)
            self._results.sort(key=lambda r: order.get(r.command_id, -1))
            self._unseen = []

    def results(self) -> list[Result]:
        """See Instruments: those that had come in when instruments were read last."""
        self._show({done.instrument for done in self._unseen} - self._names)
        results, self._results = self._results, []
        return results

    def _show(self, instruments: set[str]) -> None:
        """Tell what became of the commands to these."""
        self._results += (done.result for done in self._unseen if done.instrument in instruments)
        self._unseen = [done for done in self._unseen if done.instrument not in instruments]

    def end_s(self, now_s: float) -> float:
        """See Instruments."""
        if not self._wait:
            return now_s
        return max([now_s, *(w.clock.now() for w in self._workers.values())])

    def close(self) -> None:
        """See Instruments."""
        for worker in self._workers.values():
            worker.stop(2.0)
        for connection in self.connections.values():
            connection.driver.close()

    def _collect(
        self, deadline_s: float, buses: Collection[str], hurried: Callable[[], bool] = _never
    ) -> None:
        """Take in what workers have done, until those of `buses` are idle, the deadline has passed or it is hurried."""
        look_s = wall_s() + POLL_S
        while True:
            now_s = wall_s()
            if now_s >= look_s:
                look_s = now_s + POLL_S
                deadline_s = now_s if hurried() else deadline_s
            waits = now_s < deadline_s and any(self._workers[bus].jobs for bus in buses)
            try:
                rest_s = min(deadline_s, look_s) - now_s
                item = self._done.get(timeout=rest_s) if waits else self._done.get_nowait()
            except queue.Empty:
                if waits:
                    continue
                return
            if isinstance(item, str):
                self._workers[item].jobs -= 1
            elif isinstance(item, _Done):
                self._unseen.append(item)
            else:
                self._samples.append(item)
                self._show({item.instrument})
