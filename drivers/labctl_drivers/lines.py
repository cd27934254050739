"""Question and answer in lines of ASCII, for instruments whose answers carry no request number.

Nothing in such a reply says which question it answers, so one that comes late would be taken for the
next reading. After anything out of order, a line is *out of step*: before the next question it asks the
fence, a question whose answer looks like no reading. A serial line keeps order, so once the fence is
answered every older reply has passed by. Only one fence is under way at a time, or the late answer to
one would be taken for the next.
"""

from __future__ import annotations

import re

from labctl.bench.api import Clock, CommunicationError, Port

LONGEST = 8192
"""Bytes after which an answer is taken for babble: the longest known (a layout table) has about 1,500."""


PATIENCE_S = 3.0
"""How long an answer to the fence may be under way before it counts as lost (assumed; below the 5 s for which
an instrument may be silent)."""


class AsciiLine:
    """One instrument on a port, asked in lines.

    Args:
        port, clock: where the bytes go, and the bench clock.
        end: last byte of every reply.
        fence: (question, pattern of its reply), see the module's text.

    heard: what came while the fence was waited for last.
    """

    def __init__(self, port: Port, clock: Clock, end: bytes, fence: tuple[bytes, re.Pattern[bytes]]) -> None:
        self.port = port
        self.in_step = True
        self._clock = clock
        self._fenced_s: float | None = None
        self.heard = b""
        self._end = end[-1]
        self._fence, self._fence_reply = fence

    def ask(self, request: bytes) -> bytes:
        """One reply, its end included. Raises CommunicationError when none came whole and in time."""
        if not self.in_step:
            self.fence()
        self.in_step = False
        port = self.port
        port.reset_input()
        port.write(request)
        raw = port.read_some()
        if not self.is_whole(raw):
            raw = self._rest(raw)
        self.in_step = True
        return raw

    def ask_patiently(self, request: bytes, within_s: float) -> bytes:
        """As `ask`, of what an instrument answers when it is done: waits so long, whatever the port's time-out."""
        if not self.in_step:
            self.fence()
        self.in_step = False
        self.port.reset_input()
        self.port.write(request)
        raw, until_s = b"", self._clock.now() + within_s
        while not self.is_whole(raw):
            if len(raw) > LONGEST or self._clock.now() > until_s:
                raise CommunicationError(f"no reply to {request!r} within {within_s:g} s")
            raw += self.port.read_some()
        self.in_step = True
        return raw

    def is_whole(self, raw: bytes) -> bool:
        """Whether a reply has come to its end."""
        return bool(raw) and raw[-1] == self._end

    def ask_lines(self, request: bytes, last: re.Pattern[bytes] | None = None) -> list[bytes]:
        """Every line of a reply that says no end: until `last` is seen or the line has been quiet.

        Raises CommunicationError when nothing came.
        """
        if not self.in_step:
            self.fence()
        self.in_step = False
        self.port.reset_input()
        self.port.write(request)
        raw = b""
        while len(raw) < LONGEST:
            got = self.port.read_some()
            raw += got
            if not got or (last and raw[-1] == self._end and last.search(raw)):
                break
        if not raw:
            raise CommunicationError(f"no reply to {request!r}")
        self.in_step = True
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
        """Come back into step. Raises CommunicationError while the fence is not answered."""
        self.in_step = False
        now = self._clock.now()
        if self._fenced_s is None or now - self._fenced_s >= PATIENCE_S:
            self.port.reset_input()
            self.port.write(self._fence)
            self._fenced_s, self.heard = now, b""
        while not self._fence_reply.search(self.heard):
            got = self.port.read_some()
            if not got or len(self.heard) > LONGEST:
                raise CommunicationError(f"no reply to {self._fence!r}")
            self.heard += got
        self._fenced_s = None
        self.in_step = True

    def forget_fence(self) -> None:
        """Its answer comes no more, something else came instead: the next time it is asked anew."""
        self._fenced_s = None

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
            if self.is_whole(raw):
                return raw
        raise CommunicationError(f"broken reply {raw[:40]!r}" if raw else "no reply")
