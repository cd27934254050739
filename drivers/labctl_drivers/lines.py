"""Question and answer in lines of ASCII, for instruments whose answers carry no request number.

Nothing in such a reply says which question it answers, so one that comes late would be taken for the
next reading. After anything out of order, a line is *out of step*: before the next question it asks the
fence, a question whose answer looks like no reading. A serial line keeps order, so once the fence is
answered every older reply has passed by.
"""

from __future__ import annotations

import re

from labctl.bench.api import CommunicationError, Port

LONGEST = 8192
"""Bytes after which an answer is taken for babble: the longest known (a layout table) has about 1,500."""


class AsciiLine:
    """One instrument on a port, asked in lines.

    Args:
        port: where the bytes go.
        end: last byte of every reply.
        fence: (question, pattern of its reply), see the module's text.
    """

    def __init__(self, port: Port, end: bytes, fence: tuple[bytes, re.Pattern[bytes]]) -> None:
        self.port = port
        self.in_step = True
        self._end = end[-1]
        self._fence, self._fence_reply = fence

    def ask(self, request: bytes) -> bytes:
        """One reply, its end included. Raises CommunicationError when none came whole and in time."""
        if not self.in_step:
            self.fence()
        port = self.port
        port.reset_input()
        port.write(request)
        raw = port.read_some()
        if raw and raw[-1] == self._end:
            return raw
        return self._rest(raw)

    def ask_lines(self, request: bytes, last: re.Pattern[bytes] | None = None) -> list[bytes]:
        """Every line of a reply that says no end: until `last` is seen or the line has been quiet.

        Raises CommunicationError when nothing came.
        """
        if not self.in_step:
            self.fence()
        self.port.reset_input()
        self.port.write(request)
        raw = b""
        while len(raw) < LONGEST:
            got = self.port.read_some()
            raw += got
            if not got or (last and raw[-1] == self._end and last.search(raw)):
                break
        if not raw:
            raise self.lost(f"no reply to {request!r}")
        return [line for line in re.split(rb"[\r\n]+", raw) if line.strip()]

    def tell(self, request: bytes) -> None:
        """Send what the instrument does not answer."""
        if not self.in_step:
            self.fence()
        self.port.write(request)

    def drain(self) -> None:
        """Read until the line has been quiet for one time-out."""
        taken = 0
        while taken < LONGEST and (got := self.port.read_some()):
            taken += len(got)

    def fence(self) -> None:
        """Come back into step. Raises CommunicationError when the fence is not answered."""
        self.in_step = False
        self.port.reset_input()
        self.port.write(self._fence)
        raw = b""
        while not self._fence_reply.search(raw):
            got = self.port.read_some()
            if not got or len(raw) > LONGEST:
                raise CommunicationError(f"no reply to {self._fence!r}")
            raw += got
        self.in_step = True

    def lost(self, why: str) -> CommunicationError:
        """Note that the line is out of step, and return the error that says why."""
        self.in_step = False
        return CommunicationError(why)

    def _rest(self, raw: bytes) -> bytes:
        while len(raw) < LONGEST:
            got = self.port.read_some()
            if not got:
                break
            raw += got
            if raw[-1] == self._end:
                return raw
        raise self.lost(f"broken reply {raw[:40]!r}" if raw else "no reply")
