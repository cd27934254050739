"""A session behind a pseudo terminal: what programs that open a serial port by path can talk to."""

from __future__ import annotations

import contextlib
import os
import tty
from collections.abc import Callable
from typing import Any

from labctl_simulators.devices.api import Session
from labctl_simulators.hosts.pump import Pump


class PtyHost(Pump):
    """Serves the terminal's other end; `path` is what to open.

    Args:
        session, now, others: see `Pump`.
    """

    def __init__(self, session: Session, now: Callable[[], float], **others: Any) -> None:
        # The near end stays open here: without a reader on it, the far end would fail with EIO.
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        super().__init__(session, now, **others)
        self.path = os.ttyname(self._near)

    @property
    def address(self) -> str:
        """As a bench file names it."""
        return f"serial://{self.path}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self._carry(self._far)

    def _release(self) -> None:
        os.close(self._far)
        os.close(self._near)
