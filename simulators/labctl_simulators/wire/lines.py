"""The wire of instruments that are asked in lines or in single characters of ASCII."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from labctl_simulators.devices.api import Replies

LONGEST = 80
"""Bytes of a request that an instrument's buffer keeps (NAMUR: 80 characters); the last ones stay."""

SEVEN_BITS = bytes(b & 0x7F for b in range(256))
"""What a receiver of 7E1 makes of each byte: the parity bit is no data."""


@lru_cache(1024)
def _lines(data: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """Complete lines in `data` without terminators and surrounding blanks, and the unfinished rest."""
    *whole, rest = data.replace(b"\n", b"\r").split(b"\r")
    kept = (line[-LONGEST:].strip(b" ") for line in whole)
    return tuple(line for line in kept if line), rest[-LONGEST:]


class LineSession:
    """Requests that end in CR, LF or both, each answered by `answer(line)`.

    seven_bits: the line is 7E1, so bit 7 of what arrives is dropped.
    """

    def __init__(self, answer: Callable[[bytes], Replies], *, seven_bits: bool = False) -> None:
        self._answer = answer
        self._seven_bits = seven_bits
        self._held = b""

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes as they arrive; answer every line that they complete."""
        if self._seven_bits and not data.isascii():
            data = data.translate(SEVEN_BITS)
        lines, self._held = _lines(self._held + data)
        if len(lines) == 1:
            return self._answer(lines[0])
        return [reply for line in lines for reply in self._answer(line)]


class CharacterSession:
    """Requests of one byte each, answered by `answer(byte)`."""

    def __init__(self, answer: Callable[[bytes], Replies]) -> None:
        self._answer = answer

    def feed(self, data: bytes, now_s: float) -> Replies:
        """Take bytes as they arrive; answer each."""
        if len(data) == 1:
            return self._answer(data)
        return [reply for byte in data for reply in self._answer(bytes((byte,)))]
