"""Noise by counting: a value depends on (seed, name, tick) alone, so reading order cannot matter.

splitmix64 is Steele, Lea and Flood's generator (public domain constants).
"""

from __future__ import annotations

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


def normal(channel: int, tick: int) -> float:
    """Nearly normal, mean 0, standard deviation 1, in steps of a quarter: the ones among 64 fair bits.

    splitmix64 is written out here because every sensor calls this on every tick.
    """
    z = (channel + tick * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return ((z ^ (z >> 31)).bit_count() - 32) * 0.25
