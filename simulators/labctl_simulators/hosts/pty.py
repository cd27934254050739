"""A session behind a pseudo terminal: what programs that open a serial port by path can talk to."""

from __future__ import annotations

import contextlib
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labctl_simulators.devices.api import Session
from labctl_simulators.hosts.pump import Pump


class PtyHost(Pump):
    """Serves the terminal's other end; `path` is what to open.

    Args:
        session, now, others: see `Pump`.
        name: a path that always leads to the terminal, also to the next one after it was closed. None: none.
    """

    def __init__(
        self, session: Session, now: Callable[[], float], *, name: Path | None = None, **others: Any
    ) -> None:
        super().__init__(session, now, **others)
        self._name = name
        self._open_terminal()

    @property
    def address(self) -> str:
        """As a bench file names it."""
        return f"serial://{self.path}"

    def _open_terminal(self) -> None:
        # The near end stays open here: without a reader on it, the far end would fail with EIO.
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        self.path = os.ttyname(self._near)
        if self._name is not None:
            draft = self._name.with_name(f".{self._name.name}.new")
            draft.unlink(missing_ok=True)
            draft.symlink_to(self.path)
            draft.replace(self._name)
            self.path = str(self._name)

    def _serve(self) -> None:
        goes_on = True
        while goes_on:
            with contextlib.suppress(OSError):
                goes_on = self._carry(self._far)
            if goes_on:
                self._release()
                while self.refusing:
                    if self._told_to_stop():
                        return
                self._open_terminal()

    def _release(self) -> None:
        if self._far < 0:
            return
        os.close(self._far)
        os.close(self._near)
        self._far = self._near = -1
        if self._name is not None:
            self._name.unlink(missing_ok=True)
