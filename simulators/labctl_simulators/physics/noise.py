"""Noise by counting: a value depends on (seed, name, tick) alone, so reading order cannot matter.

splitmix64 is Steele, Lea and Flood's generator (public domain constants).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from zlib import crc32

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E37_79B9_7F4A_7C15


def splitmix64(state: int) -> int:
    """64 well-mixed bits of a 64-bit state."""
    z = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return z ^ (z >> 31)


def channel(seed: int, name: str) -> int:
    """The state at which the stream of a named source of noise starts."""
    return splitmix64(splitmix64((seed + _GOLDEN) & _MASK) ^ crc32(name.encode()))


def uniform(seed: int, name: str, low: float, high: float) -> float:
    """One number for a name, uniform in [low, high)."""
    return low + (high - low) * (splitmix64(channel(seed, name)) >> 11) / 9007199254740992.0


@dataclass(slots=True)
class WhiteNoise:
    """Nearly normal noise, mean 0, deviation 1, one value a tick: the ones among 16 fair bits.

    64 bits serve four ticks, because every sensor draws on every tick. channel: see `channel`.
    """

    channel: int
    _block: int = field(default=-1, init=False)
    _bits: int = field(default=0, init=False)

    def at(self, tick: int) -> float:
        """The value of a tick, whatever was asked before."""
        block = tick >> 2
        if block != self._block:
            self._block = block
            self._bits = splitmix64((self.channel + block * _GOLDEN) & _MASK)
        return ((self._bits >> ((tick & 3) << 4) & 0xFFFF).bit_count() - 8) * 0.5
