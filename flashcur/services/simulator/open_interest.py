"""Open interest: drifts, follows the price in part, and pulses now and then."""

from __future__ import annotations

import math

from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.market import HOUR_MS, Market
from flashcur.services.simulator.noise import draw, normal, smooth, uniform


def open_interest(market: Market, c: LiveContract, at_ms: int) -> float:
    """Open contracts (base units) at a moment, now or past."""
    spec, key = c.spec, c.key ^ 0x01
    hours = at_ms / HOUR_MS
    usd = spec.volume_24h * 0.35 * math.exp(0.5 * normal(key, -1))
    drift = 0.10 * smooth(key, hours / 24) + 0.04 * smooth(key ^ 2, hours / 4)
    drift += 0.010 * smooth(key ^ 4, hours * 2) + 0.003 * smooth(key ^ 8, hours * 20)
    drift += sum(_pulse(key ^ 0x0F, int(hours) - back, hours) for back in range(6))
    drift += 0.3 * math.log(market.price_at(c, at_ms) / spec.base_price)
    return usd / spec.base_price * math.exp(drift) * c.oi_scale


def _pulse(key: int, hour: int, hours: float) -> float:
    """What is left of a sudden build-up or unwinding that began in `hour`; none in most hours."""
    bits = draw(key, hour)
    if bits & 1023 >= 8:
        return 0.0
    size = (0.04 + 0.10 * uniform(bits)) * (1 if bits >> 12 & 1 else -1)
    minutes = (hours - hour) * 60.0 - (bits >> 13 & 63) * 0.75
    return size * min(1.0, minutes / 6.0) * math.exp(-minutes / 120.0) if minutes > 0 else 0.0
