"""Random numbers that are a function of a key and an index, so that any moment can be computed without its past.

A sequential generator would have to be replayed from the beginning to know the price of last Tuesday; hashing the
index gives the same number at once, for any hour, in any order, in every process with the same seed.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

MASK64: Final = (1 << 64) - 1
_STEP: Final = 0x9E3779B97F4A7C15
_TABLE_BITS: Final = 12
TABLE_MASK: Final = (1 << _TABLE_BITS) - 1
GAUSS: Final = tuple(NormalDist().inv_cdf((i + 0.5) / (1 << _TABLE_BITS)) for i in range(1 << _TABLE_BITS))
"""Standard normal quantiles: twelve random bits pick one, which is much cheaper than drawing a normal."""


def mix(x: int) -> int:
    """A 64-bit integer whose every bit depends on every bit of `x` (two multiply-xorshift rounds)."""
    x = (x ^ (x >> 31)) * 0x7FB5D329728EA185 & MASK64
    x = (x ^ (x >> 27)) * 0x81DADEF4BC2DD44D & MASK64
    return x ^ (x >> 33)


def draw(key: int, index: int) -> int:
    """64 random bits for `index` of the sequence `key`."""
    return mix((key + index * _STEP) & MASK64)


def subkey(key: int, name: str) -> int:
    """A sequence of its own for a named purpose; stable across processes, unlike `hash()`."""
    value = key
    for char in name:
        value = mix((value * 31 + ord(char) + _STEP) & MASK64)
    return value


def uniform(bits: int) -> float:
    """A float in [0, 1) from 64 random bits."""
    return (bits >> 11) / 9007199254740992.0


def normal(key: int, index: int) -> float:
    """A standard normal for `index` of the sequence `key`."""
    return GAUSS[draw(key, index) & TABLE_MASK]


def smooth(key: int, position: float) -> float:
    """Noise that moves from one normal per unit to the next, linearly between: a slow drift for any position."""
    i = math.floor(position)
    f = position - i
    return normal(key, i) * (1.0 - f) + normal(key, i + 1) * f


_OCTAVES: Final = tuple((1 << k, math.sqrt(1 << k), k << 40) for k in range(11))


def walk(key: int, hour: int) -> float:
    """A rough path over integer hours that looks like a random walk and yet never leaves a band for good.

    The sum of smooth noises of 1, 2, 4 … 1024 hours, each as strong as the square root of its period: increments scale
    with the square root of time like those of a walk (standard deviation over 24 hours: about 6.3).
    """
    total = 0.0
    for period, strength, offset in _OCTAVES:
        i, rest = divmod(hour, period)
        left = GAUSS[mix((key + (offset + i) * _STEP) & MASK64) & TABLE_MASK]
        if rest:
            right = GAUSS[mix((key + (offset + i + 1) * _STEP) & MASK64) & TABLE_MASK]
            left += (right - left) * rest / period
        total += left * strength
    return total
