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


class Serial(SerialBase):
    """One open port on a mounted session, used by one thread."""

    # Class attributes, because io's finaliser calls close() even where __init__ or open() failed.
    is_open = False
    _mount: Mount | None = None
    _baudrate: int
    _timeout: float | None
    portstr: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._arrived = b""
        self._due: deque[tuple[float, bytes]] = deque()
        self._raises = False
        self._blocks = False
        super().__init__(*args, **kwargs)

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
            raise self._gone(entry)
        self._mount = entry
        entry.ports.add(self)
        self._raises = "raise" in options
        self._blocks = "block" in options
        self._arrived = b""
        self._due.clear()
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        self.hang_up()

    def hang_up(self) -> None:
        """Leave the mount; every call from now on raises."""
        entry, self._mount = self._mount, None
        if entry is not None:
            entry.ports.discard(self)

    def write(self, b: Any, /) -> int:
        """Hand bytes to the session; they are on the wire for as long as the baud rate says."""
        entry = self._mount
        if entry is None or not entry.plugged:
            raise self._gone(entry)
        data = b if type(b) is bytes else bytes(b)
        due = self._due
        per_byte = BITS_PER_CHARACTER / self._baudrate if entry.paced else 0.0
        # the request's last byte has arrived then
        now = entry.clock.now() + len(data) * per_byte
        for delay, reply in entry.session.feed(data, now):
            at = now + delay + len(reply) * per_byte
            # a line keeps the order of its bytes
            due.append((at if not due or at > due[-1][0] else due[-1][0], reply))
        return len(data)

    def read(self, size: int = 1, /) -> bytes:
        """Up to `size` bytes; waits on the clock for what is under way, at most the time-out."""
        entry = self._mount
        if entry is None or not entry.plugged:
            raise self._gone(entry)
        data = self._arrived
        if len(data) < size:
            self._wait(entry.clock, size)
            data = self._arrived
            if self._raises and not data:
                raise SerialTimeoutException("no reply in time")
        if len(data) <= size or self._blocks:
            self._arrived = b""
            return data
        self._arrived = data[size:]
        return data[:size]

    @property
    def in_waiting(self) -> int:
        """How many bytes have arrived by now. Never moves time."""
        self._arrive()
        return len(self._arrived)

    def reset_input_buffer(self) -> None:
        """Throw away what has arrived by now; what is still under way will come."""
        entry = self._mount
        if self._due or entry is None or not entry.plugged:
            self._arrive()
        self._arrived = b""

    def reset_output_buffer(self) -> None:
        """Nothing waits here: writing is immediate."""

    def flush(self) -> None:
        """Nothing waits here: writing is immediate."""

    def _gone(self, entry: Mount | None) -> SerialException:
        if entry is None:
            return PortNotOpenError()
        return SerialException(f"{self.portstr} was unplugged")

    def _arrive(self) -> None:
        entry, due = self._mount, self._due
        if entry is None or not entry.plugged:
            raise self._gone(entry)
        if due:
            now = entry.clock.now()
            while due and due[0][0] <= now:
                self._arrived += due.popleft()[1]

    def _wait(self, clock: Clock, size: int) -> None:
        """Sleep from arrival to arrival until `size` bytes (any, in block mode) or the time-out."""
        due, timeout = self._due, self._timeout
        now = clock.now()
        if timeout is not None:
            deadline = now + timeout
        elif due or self._arrived:
            deadline = due[-1][0] if due else now
        else:
            raise SerialException("a read without time-out, and nothing is under way: it would never end")
        while due and due[0][0] <= deadline:
            at, reply = due.popleft()
            if at > now:
                clock.sleep(at - now)
                now = at
            self._arrived += reply
            if len(self._arrived) >= size or self._blocks:
                return
        if deadline > now and not (self._blocks and self._arrived):
            clock.sleep(deadline - now)

    # What pyserial calls on an open port; a simulated line has no modem lines and no settings of its own.

    def _reconfigure_port(self, *_: Any, **__: Any) -> None:
        pass

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
