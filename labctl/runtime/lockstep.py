"""Lock-step: a controller's virtual time over real wires.

The bytes go over the serial ports and sockets of a served simulator (`labctl sim up`); time goes through its backdoor:

- Between scans the controller's clock brings the plant to the time of the next scan (`advance_to`).
- Within a scan every bus has its own time, as in process. With each request the simulator is told how many bytes were
  sent and when on that bus (`carry`); it answers when each reply is due, and puts the replies on the wire at once.
- A driver's time-outs and waits pass on the bus's time: silence costs its time-out there, and no real second.

So nothing depends on how fast this machine is, and a run is the same, event for event, as in process.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from labctl.bench.api import Clock, CommunicationError, Line, Port
from labctl.bench.schema import Bench
from labctl.engine.state import RunState
from labctl.errors import ControllerError, UsageError
from labctl.protocol.plan import Plan
from labctl.runtime.backdoor import answers, ascertained, batch
from labctl.runtime.clock import VirtualClock

PATIENCE_S = 30.0
"""Real seconds for an answer: a long advance of the plant takes seconds (assumed)."""

ON_THE_WIRE_S = 5.0
"""Real seconds in which bytes that are on the wire come out of it (assumed; both ends are on this machine)."""


class Lockstep:
    """A served bench whose time is ours, while this is open as a context manager.

    bench: marked simulated. clock: to scan by; it begins at the plant's time. seed: of the plant.
    """

    def __init__(self, bench: Bench) -> None:
        """Take over the bench's time.

        Raises UsageError for a bench that no simulator serves, ControllerError when it does not answer.
        """
        self.bench = ascertained(bench)
        if bench.backdoor is None or not self.bench.simulated:
            raise UsageError(
                f"{bench.bench}: no simulator serves every instrument of this bench; start one: labctl sim up"
            )
        self._links = {name: _Link(bench.backdoor) for name in ("", *bench.instruments)}
        held = self._links[""].ask("lockstep", on=True)
        self._names = {address: name for name, address in held["lines"].items()}
        self.seed: int | None = held["seed"]
        self.clock = LockstepClock(self._links[""], float(held["t"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lines back. Time stands still until somebody lets it run."""
        with suppress(ControllerError):  # a simulator that is gone holds nothing back
            self._links[""].ask("lockstep", on=False)
        for link in self._links.values():
            link.close()

    @property
    def requests(self) -> int:
        """How many were carried so far."""
        return sum(link.carried for link in self._links.values())

    def line(self, real: Line) -> Line:
        """A line of the bench, in lock-step."""
        name = self._names[real.address]
        link = self._links[name]

        def carry(size: int, now_s: float) -> list[tuple[float, int]]:
            try:
                return link.carry(name, size, now_s)
            except UsageError as error:
                raise CommunicationError(f"{real.address}: {error}") from error

        return _SteppedLine(real, carry)

    def charge(self, plan: Plan) -> None:
        """Have the simulated operator begin the batch of a plan."""
        self._links[""].ask("charge", batch=batch(plan))

    def answer(self, run: RunState) -> list[tuple[str, dict[str, object]]]:
        """The simulated operator's answers to the open prompts of a run, as arguments of the request "answer"."""
        return answers(run, lambda prompt: self._links[""].ask("answer", prompt=prompt))


class LockstepClock(VirtualClock):
    """Virtual time that takes the plant along."""

    def __init__(self, door: _Link, start_s: float) -> None:
        super().__init__()
        self._door = door
        self._now = start_s

    def wait_until(self, t_s: float) -> None:
        """Move on to `t_s`, and the plant with it."""
        super().wait_until(t_s)
        self._door.ask("advance_to", t_s=self._now)


class _Link:
    """A connection to the backdoor that stays, for one thread at a time."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._address = address
        try:
            self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), PATIENCE_S)
        except OSError as error:
            raise ControllerError(f"no simulator answers at {address}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self.carried = 0

    def ask(self, do: str, **arguments: Any) -> Any:
        """As `Backdoor.ask`."""
        return self._asked(json.dumps({"do": do, **arguments}))

    def carry(self, line: str, size: int, now_s: float) -> list[tuple[float, int]]:
        """When each reply to the `size` bytes sent at `now_s` is due, and its length. Raises UsageError."""
        self.carried += 1
        due: list[tuple[float, int]] = self._asked(
            f'{{"do": "carry", "line": {json.dumps(line)}, "size": {size}, "now_s": {now_s!r}}}'
        )
        return due

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def _asked(self, question: str) -> Any:
        try:
            self._socket.sendall(question.encode() + b"\n")
            answer = json.loads(self._answers.readline())
        except (OSError, ValueError) as error:
            raise ControllerError(f"no simulator answers at {self._address}: {error}") from error
        if not answer["ok"]:
            raise UsageError(str(answer["error"]))
        return answer["result"]


_Carry = Callable[[int, float], list[tuple[float, int]]]


class _Replies:
    """What was asked on a line and what has come back, by the time of its bus."""

    def __init__(self, clock: Clock, carry: _Carry, read: Callable[[int], bytes], timeout_s: float) -> None:
        """`read`: up to so many bytes off the real wire."""
        self.arrived = b""
        self._due: deque[tuple[float, bytes]] = deque()
        self._clock = clock
        self._carry = carry
        self._read = read
        self._timeout_s = timeout_s

    def sent(self, size: int) -> None:
        """So many bytes are on the wire: have them answered, and take the replies off it."""
        due = self._due
        for at_s, length in self._carry(size, self._clock.now()):
            reply = b""
            while len(reply) < length:
                got = self._read(length - len(reply))
                if not got:
                    raise CommunicationError(f"{len(reply)} bytes of a reply came, not {length}")
                reply += got
            # a line keeps the order of its bytes
            due.append((at_s if not due or at_s > due[-1][0] else due[-1][0], reply))

    def arrive(self) -> None:
        """Take in what is there by now, without waiting."""
        due, now = self._due, self._clock.now()
        while due and due[0][0] <= now:
            self.arrived += due.popleft()[1]

    def wait(self, size: int) -> None:
        """Wait from arrival to arrival for `size` bytes, or for the time-out."""
        due, clock = self._due, self._clock
        if len(self.arrived) >= size:
            return
        now = clock.now()
        deadline = now + self._timeout_s
        while due and due[0][0] <= deadline:
            at_s, reply = due.popleft()
            if at_s > now:
                clock.sleep(at_s - now)
                now = at_s
            self.arrived += reply
            if len(self.arrived) >= size:
                return
        if deadline > now:
            clock.sleep(deadline - now)

    def take(self, size: int) -> bytes:
        """Up to `size` bytes of what has arrived."""
        taken, self.arrived = self.arrived[:size], self.arrived[size:]
        return taken

    def forget(self) -> None:
        """Nothing is under way on a line that is opened anew."""
        self._due.clear()
        self.arrived = b""


class _SteppedLine:
    """A `Line` in lock-step."""

    def __init__(self, real: Line, carry: _Carry) -> None:
        self._real = real
        self._carry = carry
        self.address = real.address
        self.clock = real.clock

    def open_stream(
        self,
        *,
        baudrate: int = 9600,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: int = 1,
        timeout_s: float = 0.3,
    ) -> Port:
        """As the real line's; its own time-out is how long bytes may take on the wire."""
        port = self._real.open_stream(
            baudrate=baudrate, bytesize=bytesize, parity=parity, stopbits=stopbits, timeout_s=ON_THE_WIRE_S
        )
        return _SteppedPort(port, _Replies(self.clock, self._carry, port.read, timeout_s))

    def open_visa(self, *, termination: str = "\n", timeout_s: float = 2.0) -> Any:
        """As the real line's."""
        resource = self._real.open_visa(termination=termination, timeout_s=ON_THE_WIRE_S)
        library, session = resource.visalib, resource.session

        def read(size: int) -> bytes:
            data: bytes = library.read(session, size)[0]
            return data

        resource.visalib = _SteppedLibrary(library, _Replies(self.clock, self._carry, read, timeout_s))
        return resource


class _SteppedPort:
    """A `Port` in lock-step."""

    def __init__(self, real: Port, replies: _Replies) -> None:
        self._real = real
        self._replies = replies

    def write(self, data: bytes) -> None:
        """Send, and have it answered."""
        self._real.write(data)
        self._replies.sent(len(data))

    def read(self, size: int) -> bytes:
        """As `Port.read`, by the bus's time."""
        self._replies.wait(size)
        return self._replies.take(size)

    def read_some(self) -> bytes:
        """As `Port.read_some`, by the bus's time."""
        self._replies.wait(1)
        self._replies.arrive()
        return self._replies.take(len(self._replies.arrived))

    def reset_input(self) -> None:
        """As `Port.reset_input`; what is still under way will come."""
        self._replies.arrive()
        self._replies.arrived = b""
        self._real.reset_input()

    def close(self) -> None:
        """As `Port.close`."""
        self._replies.forget()
        self._real.close()


class _SteppedLibrary:
    """The VISA library behind one resource, in lock-step: a resource calls it for whatever it does."""

    def __init__(self, real: Any, replies: _Replies) -> None:
        self._real = real
        self._replies = replies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, session: Any, data: bytes) -> Any:
        """Send, and have it answered."""
        done = self._real.write(session, data)
        self._replies.sent(len(data))
        return done

    def read(self, session: Any, count: int) -> Any:
        """What has arrived, after waiting by the bus's time for anything. Raises VisaIOError for a time-out."""
        from pyvisa import constants, errors  # whoever opened a resource has imported it

        replies = self._replies
        replies.wait(1)
        replies.arrive()
        if not replies.arrived:
            raise errors.VisaIOError(constants.StatusCode.error_timeout)
        done = constants.StatusCode.success_termination_character_read
        return replies.take(count), done


__all__ = ["Lockstep", "LockstepClock"]
