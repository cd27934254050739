"""A session behind a TCP port: a raw socket instrument, or a serial one behind a device server."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable
from typing import Any

from labctl_simulators.devices.api import Session
from labctl_simulators.hosts.pump import Pump

LOOPBACK = "127.0.0.1"


class TcpHost(Pump):
    """Serves one connection at a time, as such instruments do; others wait their turn.

    Args:
        session, now, others: see `Pump`.
        port: 0 takes a free one; `address` says which.
        host: other than loopback only with `exposed=True`: a simulator has no lock on its door.
    """

    def __init__(
        self,
        session: Session,
        now: Callable[[], float],
        *,
        port: int = 0,
        host: str = LOOPBACK,
        exposed: bool = False,
        **others: Any,
    ) -> None:
        if host != LOOPBACK and not exposed:
            raise ValueError(f"a simulator listens on {LOOPBACK} only; exposed=True allows {host}")
        self._listener = socket.create_server((host, port))
        super().__init__(session, now, **others)
        self.host, self.port = self._listener.getsockname()[:2]

    @property
    def address(self) -> str:
        """As a bench file names it."""
        return f"tcp://{self.host}:{self.port}"

    @property
    def resource(self) -> str:
        """As VISA names it."""
        return f"TCPIP0::{self.host}::{self.port}::SOCKET"

    def _serve(self) -> None:
        while self._called():
            link, _ = self._listener.accept()
            with link, contextlib.suppress(OSError):
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if not self._carry(link.fileno()):
                    return

    def _called(self) -> bool:
        """Wait for a caller; False when it is time to stop. While refusing, nobody listens."""
        while True:
            if self.refusing:
                self._listener.close()
                if self._told_to_stop():
                    return False
            elif self._listener.fileno() < 0:
                self._listener = socket.create_server((self.host, self.port))
            else:
                ready, _, _ = select.select((self._listener.fileno(), self._stop_reader), (), ())
                if self._stop_reader not in ready:
                    return True
                if self._told_to_stop():
                    return False

    def _release(self) -> None:
        self._listener.close()
