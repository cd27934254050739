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

from labctl_simulators.hosts.inprocess import Mount, mounted

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
        self._arrived = bytearray()
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
        self._mount = entry
        self._raises = "raise" in options
        self._blocks = "block" in options
        self._arrived.clear()
        self._due.clear()
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        self._mount = None

    def write(self, b: Any, /) -> int:
        """Hand bytes to the session; they are on the wire for as long as the baud rate says."""
        entry = self._plugged()
        data = b if type(b) is bytes else bytes(b)
        # when the request's last byte has arrived
        now = entry.clock.now()
        if not entry.paced:
            for delay, reply in entry.session.feed(data, now):
                self._queue(now + delay, reply)
            return len(data)
        per_byte = BITS_PER_CHARACTER / self._baudrate
        now += len(data) * per_byte
        for delay, reply in entry.session.feed(data, now):
            self._queue(now + delay + len(reply) * per_byte, reply)
        return len(data)

    def read(self, size: int = 1, /) -> bytes:
        """Up to `size` bytes; waits on the clock for what is under way, at most the time-out."""
        entry = self._plugged()
        arrived = self._arrived
        if len(arrived) < size:
            self._wait(entry, size)
        if self._blocks:
            size = max(size, len(arrived))
        if self._raises and not arrived and size:
            raise SerialTimeoutException("no reply in time")
        if len(arrived) <= size:
            data = bytes(arrived)
            arrived.clear()
            return data
        data = bytes(arrived[:size])
        del arrived[:size]
        return data

    @property
    def in_waiting(self) -> int:
        """How many bytes have arrived by now. Never moves time."""
        self._arrive(self._plugged())
        return len(self._arrived)

    def reset_input_buffer(self) -> None:
        """Throw away what has arrived by now; what is still under way will come."""
        entry = self._plugged()
        if self._due:
            self._arrive(entry)
        self._arrived.clear()

    def reset_output_buffer(self) -> None:
        """Nothing waits here: writing is immediate."""

    def flush(self) -> None:
        """Nothing waits here: writing is immediate."""

    def _plugged(self) -> Mount:
        entry = self._mount
        if entry is None:
            raise PortNotOpenError()
        if not entry.plugged:
            raise SerialException(f"{self.portstr} was unplugged")
        return entry

    def _queue(self, due: float, reply: bytes) -> None:
        if self._due and due < self._due[-1][0]:
            due = self._due[-1][0]  # a line keeps the order of its bytes
        self._due.append((due, reply))

    def _arrive(self, entry: Mount) -> None:
        due = self._due
        if due:
            now = entry.clock.now()
            while due and due[0][0] <= now:
                self._arrived += due.popleft()[1]

    def _wait(self, entry: Mount, size: int) -> None:
        """Sleep from arrival to arrival until `size` bytes (any, in block mode) or the time-out."""
        arrived, due, clock = self._arrived, self._due, entry.clock
        now = clock.now()
        timeout = self._timeout
        if timeout is None:
            if not due and not arrived:
                raise SerialException("a read without time-out, and nothing is under way: it would never end")
            deadline = due[-1][0] if due else now
        else:
            deadline = now + timeout
        while due and due[0][0] <= deadline:
            if due[0][0] > now:
                clock.sleep(due[0][0] - now)
                now = clock.now()
            # by this test and not by now >= due, which rounding may miss by an ulp
            arrived += due.popleft()[1]
            if len(arrived) >= size or self._blocks:
                return
        if deadline > now and not (self._blocks and arrived):
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
