"""A tap on a line: it sees every byte both ways, exactly as the port carried it.

A line without a tap is not wrapped at all; taps cost those who use them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from serial import SerialTimeoutException

from labctl_drivers.ports.stream import ByteLine

_Done = TypeVar("_Done")

VI_ERROR_TMO = -1073807339
"""VISA's code of a time-out (VPP-4.3, table of completion codes)."""


class Tap(Protocol):
    """Who listens. Called by the thread that owns the line, in the order of what happened."""

    def opens(self, settings: str) -> None:
        """A driver asks for the line, with these settings."""

    def sent(self, data: bytes) -> None:
        """These bytes were handed to the line."""

    def received(self, data: bytes) -> None:
        """These bytes were read; none: a read ended by its time-out."""

    def dropped(self, data: bytes) -> None:
        """These bytes had arrived and were thrown away unread."""

    def failed(self, why: str) -> None:
        """The line does not open, or was lost."""


class TappedLine:
    """A `ByteLine` whose bytes are told to a tap."""

    __slots__ = ("_line", "_tap")

    def __init__(self, line: ByteLine, tap: Tap) -> None:
        self._line = line
        self._tap = tap

    @property
    def in_waiting(self) -> int:
        """As the line's own."""
        return self._told(lambda: self._line.in_waiting)

    def write(self, b: bytes, /) -> int | None:
        """As the line's own."""
        written = self._told(partial(self._line.write, b))
        self._tap.sent(bytes(b))
        return written

    def read(self, size: int = 1, /) -> bytes:
        """As the line's own."""
        data = self._told(partial(self._line.read, size))
        if data:
            self._tap.received(data)
        if len(data) < size:
            self._tap.received(b"")
        return data

    def reset_input_buffer(self) -> None:
        """Read what the line itself would throw away unseen."""
        gone = b""
        while waiting := self.in_waiting:
            gone += self._told(partial(self._line.read, waiting))
        if gone:
            self._tap.dropped(gone)
        self._told(self._line.reset_input_buffer)

    def close(self) -> None:
        """As the line's own."""
        self._line.close()

    def _told(self, do: Callable[[], _Done]) -> _Done:
        try:
            return do()
        except Exception as error:
            self._tap.failed(f"lost: {error}")
            raise


class TappedLibrary:
    """The library behind one VISA resource, with the bytes of its reads and writes told to a tap.

    A resource calls it for whatever it does, so nothing passes by; a device clear is not on the wire of a socket.
    """

    def __init__(self, library: Any, tap: Tap) -> None:
        self._library = library
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def write(self, session: Any, data: bytes) -> Any:
        """As the library's own."""
        try:
            done = self._library.write(session, data)
        except Exception as error:
            self._tap.failed(f"lost: {error}")
            raise
        self._tap.sent(bytes(data))
        return done

    def read(self, session: Any, count: int) -> Any:
        """As the library's own. What VISA itself forgets at a time-out is not seen."""
        try:
            done = self._library.read(session, count)
        except Exception as error:
            silence = isinstance(error, SerialTimeoutException)
            if silence or getattr(error, "error_code", None) == VI_ERROR_TMO:
                self._tap.received(b"")
            else:
                self._tap.failed(f"lost: {error}")
            raise
        self._tap.received(bytes(done[0]))
        return done


def tapped(opener: Callable[[], ByteLine], tap: Tap) -> ByteLine:
    """Open a line with a tap on it."""
    try:
        line = opener()
    except Exception as error:
        tap.failed(f"does not open: {error}")
        raise
    return TappedLine(line, tap)
