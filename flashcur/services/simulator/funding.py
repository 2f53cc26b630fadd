"""Funding rates: mostly the base rate, with fat tails."""

from __future__ import annotations

import math
from typing import Final

from flashcur.services.simulator.noise import normal, smooth
from flashcur.services.simulator.universe import HOUR_MS, ContractSpec

RATE_STEP_MS: Final = 10_000
"""A rate stays the same for ten seconds."""
BASE_RATE_8H: Final = 0.0001
_CAP: Final = 0.02


def funding_rate(spec: ContractSpec, at_ms: int) -> float:
    """Funding rate per interval of the contract, as a fraction.

    While the premium stays within a band the rate is the base rate of 0.01 % per 8 hours exactly, as on the real
    exchange; beyond it grows faster than the premium, in a few contracts far past 0.03 %, also below zero.
    """
    key = spec.key ^ 0xF00D
    hours = (at_ms - at_ms % RATE_STEP_MS) / HOUR_MS
    premium = 0.9 * smooth(key, hours / 9.0) + 0.35 * smooth(key ^ 3, hours / 1.5)
    excess = abs(premium) - 0.75
    per_8h = BASE_RATE_8H
    if excess > 0:
        size = 0.0003 * math.exp(0.9 * normal(key, -5)) * (0.25 if spec.volume_24h > 300e6 else 1.0)
        per_8h += math.copysign(excess**1.3 * size, premium)
        if premium < 0:
            per_8h -= BASE_RATE_8H * min(1.0, excess / 0.1)
    return max(-_CAP, min(_CAP, per_8h)) * spec.funding_interval_hours / 8.0
