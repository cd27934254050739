"""Noise by counting: a value depends on (seed, channel, tick) alone, so reading order cannot matter.

splitmix64 is Steele, Lea and Flood's generator (public domain constants).
"""

from __future__ import annotations

from math import sqrt
from zlib import crc32

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E37_79B9_7F4A_7C15
_NORMAL_SCALE = sqrt(3.0) / 65536.0


def channel(name: str) -> int:
    """A stable number for a named source of noise."""
    return crc32(name.encode())


def splitmix64(seed: int, channel: int, tick: int) -> int:
    """64 well-mixed bits."""
    z = ((seed << 40) ^ (channel << 32) ^ (seed >> 24) ^ channel) & _MASK
    z = (z + (tick + 1) * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return z ^ (z >> 31)


def uniform(seed: int, channel: int, tick: int, low: float, high: float) -> float:
    """Uniform in [low, high)."""
    return low + (high - low) * (splitmix64(seed, channel, tick) >> 11) / 9007199254740992.0


def normal(seed: int, channel: int, tick: int) -> float:
    """Nearly normal, mean 0, standard deviation 1, never beyond 3.5: the sum of four 16-bit uniforms."""
    z = splitmix64(seed, channel, tick)
    total = (z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48)
    return (total - 131070) * _NORMAL_SCALE
