"""The pyserial handler of `labsim://PLANT/INSTRUMENT[?raise=1&block=1]`: a serial port without a wire.

pyserial finds it by name once this package is in `serial.protocol_handler_packages`; pyvisa-py opens
the same URL as `ASRLlabsim://...::INSTR`. Waiting for a reply sleeps on the mount's clock, so virtual
time jumps to the moment the byte would have come. `in_waiting` never moves time.

Options, for pyvisa-py, which reads byte by byte and measures its time-out on the wall clock:
raise=1: a read that times out raises SerialTimeoutException. block=1: a read returns all that has arrived.
"""

from __future__ import annotations

from collections import deque
from typing import Any
from urllib.parse import parse_qs, urlsplit

from serial.serialutil import (
    PortNotOpenError,
    SerialBase,
    SerialException,
    SerialTimeoutException,
)

from labctl_simulators.hosts.inprocess import Clock, Mount, mounted

BITS_PER_CHARACTER = 10
"""Start, eight data (or seven and parity), stop."""


class _Line:
    """What an open port works with. Apart from `Serial`, because attributes of an io object are slow to reach.

    mount: None once it is closed. due: (time, bytes) under way. per_byte_s: what a byte takes on a paced line, else 0.
    blocks, raises: the options of the URL.
    """

    __slots__ = ("arrived", "blocks", "due", "mount", "per_byte_s", "raises", "timeout_s")

    def __init__(self, mount: Mount | None = None, *, raises: bool = False, blocks: bool = False) -> None:
        self.mount = mount
        self.arrived = b""
        self.due: deque[tuple[float, bytes]] = deque()
        self.raises = raises
        self.blocks = blocks
        self.per_byte_s = 0.0
        self.timeout_s: float | None = None

    def take_in(self, now: float) -> None:
        """What is under way has arrived as far as it is due."""
        while self.due and self.due[0][0] <= now:
            self.arrived += self.due.popleft()[1]

    def wait(self, clock: Clock, size: int) -> bytes:
        """Sleep from arrival to arrival until `size` bytes (any, in block mode) or the time-out; all that arrived."""
        due, timeout, arrived, now = self.due, self.timeout_s, self.arrived, clock.now()
        if timeout is not None:
            deadline = now + timeout
        elif due or arrived:
            deadline = due[-1][0] if due else now
        else:
            raise SerialException("a read without time-out, and nothing is under way: it would never end")
        while due:
            at, reply = due[0]
            if at > deadline:
                break
            due.popleft()
            if at > now:
                clock.sleep(at - now)
                now = at
            arrived += reply
            if len(arrived) >= size or self.blocks:
                return arrived
        if deadline > now and not (self.blocks and arrived):
            clock.sleep(deadline - now)
        return arrived


class Serial(SerialBase):
    """One open port on a mounted session, used by one thread."""

    # Class attributes, because io's finaliser calls close() even where __init__ or open() failed.
    is_open = False
    _line = _Line()
    _baudrate: int
    _timeout: float | None
    portstr: str | None

    def open(self) -> None:
        """Find the mount. Raises SerialException when nothing of that name is mounted."""
        if self.portstr is None:
            raise SerialException("Port must be configured before it can be used.")
        if self.is_open:
            raise SerialException("Port is already open.")
        parts = urlsplit(self.portstr)
        options = parse_qs(parts.query, keep_blank_values=True)
        if unknown := sorted(set(options) - {"raise", "block"}):
            raise SerialException(f"unknown option {unknown[0]!r} in {self.portstr}")
        # netloc, because hostname would be lower-cased
        entry = mounted(parts.netloc + parts.path)
        if entry is None:
            raise SerialException(f"no simulated instrument is mounted at {self.portstr}")
        if not entry.plugged:
            raise SerialException(f"{self.portstr} was unplugged")
        self._line = _Line(entry, raises="raise" in options, blocks="block" in options)
        self._reconfigure_port()
        entry.ports.add(self)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        self.hang_up()

    def hang_up(self) -> None:
        """Leave the mount; every call from now on raises."""
        entry, self._line = self._line.mount, _Line()
        if entry is not None:
            entry.ports.discard(self)

    def write(self, b: Any, /) -> int:
        """Hand bytes to the session; they are on the wire for as long as the baud rate says."""
        line = self._line
        entry = line.mount
        if entry is None:
            raise PortNotOpenError
        data = b if type(b) is bytes else bytes(b)
        due, per_byte, size = line.due, line.per_byte_s, len(data)
        # the request's last byte has arrived then
        now = entry.clock.now() + size * per_byte
        for delay, reply in entry.session.feed(data, now):
            at = now + delay + len(reply) * per_byte
            if due and at < due[-1][0]:
                at = due[-1][0]  # a line keeps the order of its bytes
            due.append((at, reply))
        return size

    def read(self, size: int = 1, /) -> bytes:
        """Up to `size` bytes; waits on the clock for what is under way, at most the time-out."""
        line = self._line
        data = line.arrived
        if len(data) < size:
            if line.mount is None:
                raise PortNotOpenError
            data = line.wait(line.mount.clock, size)
            if line.raises and not data:
                raise SerialTimeoutException("no reply in time")
        if len(data) <= size or line.blocks:
            line.arrived = b""
            return data
        line.arrived = data[size:]
        return data[:size]

    @property
    def in_waiting(self) -> int:
        """How many bytes have arrived by now. Never moves time."""
        return len(self._arrived().arrived)

    def reset_input_buffer(self) -> None:
        """Throw away what has arrived by now; what is still under way will come."""
        line = self._line
        if line.due or line.mount is None:
            self._arrived()
        line.arrived = b""

    def reset_output_buffer(self) -> None:
        """Nothing waits here: writing is immediate."""

    def flush(self) -> None:
        """Nothing waits here: writing is immediate."""

    def _arrived(self) -> _Line:
        """The line as it is by now."""
        line = self._line
        if line.mount is None:
            raise PortNotOpenError
        if line.due:
            line.take_in(line.mount.clock.now())
        return line

    # What pyserial calls on an open port; a simulated line has no modem lines.

    def _reconfigure_port(self, *_: Any, **__: Any) -> None:
        line = self._line
        paced = line.mount is not None and line.mount.paced
        line.per_byte_s = BITS_PER_CHARACTER / self._baudrate if paced else 0.0
        line.timeout_s = self._timeout

    def _update_dtr_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass

    def _update_break_state(self) -> None:
        pass

    @property
    def cts(self) -> bool:
        """Always clear to send."""
        return True

    @property
    def dsr(self) -> bool:
        """Always ready."""
        return True

    @property
    def ri(self) -> bool:
        """Nobody rings."""
        return False

    @property
    def cd(self) -> bool:
        """Always a carrier."""
        return True
