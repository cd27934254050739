"""The loop of both real-clock hosts: bytes from a file descriptor into a session, replies out when due."""

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
    nobody in for a while (`drop`, `refuse`, `accept`).
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
        self.delays = delays
        self._per_byte = BITS_PER_CHARACTER / baudrate if baudrate else 0.0
        self._lock = lock or nullcontext()
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

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
            os.write(self._stop_writer, b"!")

    def refuse(self) -> None:
        """Hang up, and let nobody in."""
        self.refusing = True
        self.drop()

    def accept(self) -> None:
        """Let callers in again."""
        self.refusing = False
        self.drop()

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
                return not self._told_to_stop()
            if not ready:
                continue
            data = os.read(fd, CHUNK)
            if not data:
                return True
            self._feed(data, due)

    def _feed(self, data: bytes, due: deque[tuple[float, bytes]]) -> None:
        took_s = len(data) * self._per_byte
        with self._lock:
            replies = self.session.feed(data, self.now() + took_s)
        now = self.wire() + took_s
        for delay, reply in replies:
            leaves = now + delay + len(reply) * self._per_byte if self.delays else now
            due.append((max(leaves, due[-1][0] if due else leaves), reply))
