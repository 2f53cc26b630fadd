"""The last hour of a contract's prices, one a minute, to say how the price moved while something else did."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

STEP_MS = 60_000
_STEPS = 70
"""An hour and its tolerance."""


class PastPrices:
    """Prices of one contract in order of time; what comes late, or within a minute of the last, is not kept."""

    __slots__ = ("_prices", "_times")

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=_STEPS)
        self._prices: deque[float] = deque(maxlen=_STEPS)

    def put(self, event_ms: int, price: float) -> None:
        """Keep a price in USDT if it is the first of its minute."""
        if not self._times or event_ms >= self._times[-1] + STEP_MS:
            self._times.append(event_ms)
            self._prices.append(price)

    def fill(self, prices: Sequence[tuple[int, float]]) -> None:
        """Prices of before, (Unix ms, USDT) in order of time: what is kept already stays."""
        for event_ms, price in reversed(prices):
            if self._times and event_ms <= self._times[0] - STEP_MS and len(self._times) < _STEPS:
                self._times.appendleft(event_ms)
                self._prices.appendleft(price)
        for event_ms, price in prices:
            self.put(event_ms, price)

    def at(self, at_ms: int, tolerance_ms: int) -> float | None:
        """The price nearest to a moment; None if none is within the tolerance."""
        times = self._times
        after = bisect_left(times, at_ms)
        near = [i for i in (after - 1, after) if 0 <= i < len(times)]
        best = min(near, key=lambda i: abs(times[i] - at_ms), default=None)
        return None if best is None or abs(times[best] - at_ms) > tolerance_ms else self._prices[best]
