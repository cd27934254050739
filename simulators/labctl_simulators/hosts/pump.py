"""The loop of both hosts with a wire: bytes from a file descriptor into a session, replies out when due.

In lock-step a pump does nothing by itself: whoever owns the time says how many bytes it has sent and when, and is told
when each reply is due, while the bytes themselves go over the wire (`carry`).
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from labctl_simulators.devices.api import Session
from labctl_simulators.hosts.protocol_labsim import BITS_PER_CHARACTER

LONGEST_NAP_S = 0.005
"""How long to wait at most before looking again at a clock that may run faster than this machine's."""

CHUNK = 4096

ARRIVES_WITHIN_S = 2.0
"""Real seconds in which bytes that were sent on this machine come out of the wire; later they never do (assumed)."""

_HANG_UP, _LOOK_AGAIN = b"!", b"?"


class Pump:
    """A thread that serves one session.

    Args:
        session: what bytes are fed to.
        now: the bench clock, in seconds.
        wire: the clock by which delays and bytes take their time; the bench clock unless that may stand still.
        baudrate: bytes take 10 bits / baud rate each; None: no pacing.
        delays: False sends every reply at once (to measure throughput).
        lock: held while the session works; share one between all instruments of a plant.

    A pump serves from `start` to `close`, and is a context manager that does both. It can also hang up, and let
    nobody in for a while (`drop`, `refuse`, `accept`). `lockstep` stops it from answering by itself.
    """

    def __init__(
        self,
        session: Session,
        now: Callable[[], float],
        *,
        wire: Callable[[], float] | None = None,
        baudrate: int | None = None,
        delays: bool = True,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.session = session
        self.now = now
        self.wire = wire or now
        self.refusing = False
        self.stepped = False
        self.delays = delays
        self._per_byte = BITS_PER_CHARACTER / baudrate if baudrate else 0.0
        self._lock = lock or nullcontext()
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._standing_by = threading.Condition()
        self._line = -1

    def start(self) -> None:
        """Serve from now on, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving and release everything; closing twice is fine."""
        if self._stop_writer < 0:
            return
        os.close(self._stop_writer)
        self._stop_writer = -1
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._stop_reader)
        self._release()

    def drop(self) -> None:
        """Hang up on whoever is connected; they may come back."""
        if self._stop_writer >= 0:
            os.write(self._stop_writer, _HANG_UP)

    def refuse(self) -> None:
        """Hang up, and let nobody in."""
        self.refusing = True
        self.drop()

    def accept(self) -> None:
        """Let callers in again."""
        self.refusing = False
        self.drop()

    def lockstep(self, on: bool) -> None:
        """Leave the time to whoever calls `carry`, or (off) answer by the clocks again. The connection stays."""
        self.stepped = on
        if self._stop_writer >= 0:
            os.write(self._stop_writer, _LOOK_AGAIN)

    def carry(self, size: int, now_s: float) -> list[tuple[float, int]]:
        """In lock-step: take the `size` bytes that were sent at `now_s` from the wire, and put the replies on it.

        Returns when each reply's last byte is due, in s, and its length; on the wire it is at once.
        Raises ConnectionError when nobody is connected, or not so many bytes come.
        """
        with self._standing_by:
            if not self._standing_by.wait_for(self._holds_a_line, ARRIVES_WITHIN_S):
                raise ConnectionError("nobody is connected")
            data = self._received(size)
            now = now_s + size * self._per_byte
            with self._lock:
                replies = self.session.feed(data, now)
            for _, reply in replies:
                rest = reply
                while rest:
                    rest = rest[os.write(self._line, rest) :]
        return [(now + delay + len(reply) * self._per_byte, len(reply)) for delay, reply in replies]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        """Run until told to stop. Raises nothing when the peer goes away."""
        raise NotImplementedError

    def _release(self) -> None:
        raise NotImplementedError

    def _told_to_stop(self) -> bool:
        """Take a word from `drop` or `close`, waiting for it: whether it is time to stop, or only to hang up."""
        return not os.read(self._stop_reader, 1)

    def _carry(self, fd: int) -> bool:
        """Carry bytes until either side hangs up (True) or it is time to stop (False). Raises OSError."""
        word = _LOOK_AGAIN
        while word == _LOOK_AGAIN:
            word = self._stand_by(fd) if self.stepped else self._converse(fd)
        return word == _HANG_UP

    def _stand_by(self, fd: int) -> bytes:
        """Leave the line to `carry` until a word comes, or the other side hangs up."""
        waiting = select.poll()
        waiting.register(self._stop_reader, select.POLLIN)
        waiting.register(fd, select.POLLRDHUP)
        with self._standing_by:
            self._line = fd
            self._standing_by.notify_all()
        try:
            ready = [place for place, _ in waiting.poll()]
        finally:
            with self._standing_by:
                self._line = -1
        return os.read(self._stop_reader, 1) if self._stop_reader in ready else _HANG_UP

    def _holds_a_line(self) -> bool:
        """Somebody is connected still: who hung up and has called anew is not the one whose line is held yet."""
        if self._line < 0:
            return False
        gone = select.poll()
        gone.register(self._line, select.POLLRDHUP)
        return not gone.poll(0)

    def _received(self, size: int) -> bytes:
        """So many bytes off the line that `carry` holds. Raises ConnectionError when they do not come."""
        data = b""
        arriving = select.poll()
        arriving.register(self._line, select.POLLIN)
        while len(data) < size:
            if not arriving.poll(ARRIVES_WITHIN_S * 1000.0):
                raise ConnectionError(f"{len(data)} bytes came, not {size}")
            got = os.read(self._line, size - len(data))
            if not got:
                raise ConnectionError("the other side hung up")
            data += got
        return data

    def _converse(self, fd: int) -> bytes:
        """Answer by the clocks until a word comes, which is returned (empty: stop), or the other side hangs up."""
        due: deque[tuple[float, bytes]] = deque()
        while True:
            nap = None
            while due:
                wait = due[0][0] - self.wire()
                if wait > 0:
                    nap = min(wait, LONGEST_NAP_S)
                    break
                os.write(fd, due.popleft()[1])
            ready, _, _ = select.select((fd, self._stop_reader), (), (), nap)
            if self._stop_reader in ready:
                return os.read(self._stop_reader, 1)
            if not ready:
                continue
            data = os.read(fd, CHUNK)
            if not data:
                return _HANG_UP
            self._feed(data, due)

    def _feed(self, data: bytes, due: deque[tuple[float, bytes]]) -> None:
        took_s = len(data) * self._per_byte
        with self._lock:
            replies = self.session.feed(data, self.now() + took_s)
        now = self.wire() + took_s
        for delay, reply in replies:
            leaves = now + delay + len(reply) * self._per_byte if self.delays else now
            due.append((max(leaves, due[-1][0] if due else leaves), reply))
