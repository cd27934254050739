"""The wire of New Era pumps: requests that end in CR (basic), or packets with length and CRC (safe mode).

A packet is STX, length, data, CRC high, CRC low, ETX; the length counts itself and all that follows, the CRC is
CRC-16/XMODEM of the data. In safe mode a pump hears packets only; in basic mode it hears both.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable

from labctl_simulators.devices.api import Replies

STX, ETX, CR = 0x02, 0x03, 0x0D
LONGEST = 64
"""Bytes of a request that are kept (assumed)."""


def packet(data: bytes) -> bytes:
    """The packet of safe mode around some data."""
    return bytes((STX, len(data) + 4)) + data + crc_hqx(data, 0).to_bytes(2, "big") + bytes((ETX,))


class NewEraSession:
    """Requests, each answered by `answer(request, safe)`: what was asked, and whether it came as a packet.

    broken: answers a packet whose CRC is wrong. safe: whether the pump is in safe mode now.
    """

    def __init__(
        self,
        answer: Callable[[bytes, bool], Replies],
        broken: Callable[[], Replies],
        safe: Callable[[], bool],
    ) -> None:
        self._answer = answer
        self._broken = broken
        self._safe = safe
        self._held = b""

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes as they arrive; answer every request that they complete."""
        replies: Replies = []
        for byte in data:
            replies += self._take(byte)
        return replies

    def _take(self, byte: int) -> Replies:
        held = self._held = (self._held + bytes((byte,)))[-LONGEST:]
        if held[0] == STX:
            if len(held) < 2 or len(held) < held[1] + 1:
                return []
            self._held = b""
            data, crc = held[2:-3], int.from_bytes(held[-3:-1], "big")
            if held[-1] != ETX or crc != crc_hqx(data, 0):
                return self._broken()
            return self._answer(data, True)
        if byte == STX and self._safe():
            self._held = bytes((STX,))  # a packet begins, whatever was heard before it
        elif byte == CR:
            self._held = b""
            return [] if self._safe() else self._answer(held[:-1], False)
        return []
