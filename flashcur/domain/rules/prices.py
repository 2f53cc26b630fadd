"""Prices of one contract, to tell what it cost at the beginning of a window: one a second for an hour, one a minute
for a day.

A price stands until the next one for as long as the stream of prices is alive: a contract that is not mentioned has not
traded. What nobody told, since the stream was down, is not known. 41 kB a contract.

Prices of before (`fill`) are one a minute. Each stands until the next, for a minute at most, and windows from five
minutes on may begin there: their base is then up to a minute older than the window. A shorter window waits until all
of it was seen.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import isnan, nan

SECONDS = 3_601 + 5
"""An hour and its tolerance."""
MINUTES = 1_441 + 2
"""A day and its tolerance."""
FINE_S = 3_600
"""Windows up to this are measured to the second, longer ones to the minute."""
COARSE_S = 300
"""Windows from this on may begin at a price of up to a minute before."""
BREAK_MS = 90_000
"""After so long without any price a window counts only once all of it lies behind the gap."""
_STEP_MS = 61_000
"""Past prices that lie no further apart leave no gap."""
_STANDS_S = 60
"""For so long a past price stands."""

Gap = tuple[int, int]
"""From the last price of the stream to the next, Unix ms."""


class Prices:
    """See the module."""

    __slots__ = ("_broken", "_broken_s", "_last", "_last_s", "_minutes", "_seconds", "_since_s")

    def __init__(self) -> None:
        self._seconds = array("d", [nan]) * SECONDS
        """Below 0 (its opposite is the price) where a past price stands that was told of up to a minute before."""
        self._minutes = array("d", [nan]) * MINUTES
        self._last = nan
        self._last_s = 0
        self._broken: Gap | None = None
        self._broken_s = 0
        self._since_s: int | None = None
        """From when on all is known; None where that is to be looked up."""

    def put(self, event_ms: int, price: float, gaps: Sequence[Gap] = (), *, alive: bool = True) -> None:
        """A price in USDT at `event_ms` (Unix ms, not before the last).

        `gaps`: when the stream was silent, oldest first. Without `alive` nothing is said of the time since the last.
        """
        second = event_ms // 1000
        last_s = self._last_s
        if second < last_s:
            return
        if second > last_s + 1:
            self._pass(last_s, second, self._last if alive else nan)
            self._forget(last_s, second, gaps)
            if not alive:
                self._since_s = None
        elif second // 60 > last_s // 60:
            self._minutes[second // 60 % MINUTES] = price
        self._seconds[second % SECONDS] = price
        self._minutes[second // 60 % MINUTES] = price
        self._last, self._last_s = price, second

    def fill(self, prices: Sequence[tuple[int, float]]) -> None:
        """Prices of before, (Unix ms, USDT) in order of time: what is known already stays."""
        for event_ms, price in prices:
            second = event_ms // 1000
            minute, last = second // 60, self._last_s // 60
            if second > self._last_s:
                self.put(event_ms, price, alive=False)
                self._seconds[second % SECONDS] = -price
            elif minute > last - MINUTES and isnan(self._minutes[minute % MINUTES]):
                self._minutes[minute % MINUTES] = price
        self._stand(prices)
        if self._broken is not None:
            self._broken = _rest(prices, self._broken)
            self._broken_s = 0 if self._broken is None else -(-self._broken[1] // 1000)
        self._since_s = None

    def base(self, window_s: int, event_ms: int) -> float | None:
        """The price at the beginning of a window that ends at `event_ms` (Unix ms); None if it is not known.

        It is that of the same second; of a window longer than an hour, that of the same minute. Where only past prices
        are known it is the last one of the minute before, for windows from `COARSE_S` on.
        """
        second = event_ms // 1000 - window_s
        if second < self._broken_s:
            return None
        if window_s <= FINE_S:
            if second > self._last_s:
                price = self._last
            elif second > self._last_s - SECONDS:
                price = self._seconds[second % SECONDS]
                if price < 0 and window_s >= COARSE_S:
                    price = -price
            else:
                return None
        else:
            minute, last = second // 60, self._last_s // 60
            if minute > last:
                price = self._last
            elif minute > last - MINUTES:
                price = self._minutes[minute % MINUTES]
            else:
                return None
        return price if price > 0 else None

    def known_ms(self, window_s: int) -> int:
        """When `base` is known for good of a window of which it is not known now, if prices go on: Unix ms."""
        if window_s < COARSE_S:
            # Past prices, which are a minute apart, do not count.
            since_s = self._last_s
            while since_s > self._last_s - window_s and self._seconds[(since_s - 1) % SECONDS] > 0:
                since_s -= 1
            return (max(since_s, self._broken_s) + window_s) * 1000
        if self._since_s is None:
            self._since_s = self._look_up_since()
        return (max(self._since_s, self._broken_s) + window_s) * 1000

    def newest(self, seconds: int) -> tuple[int, list[float | None]]:
        """(the last second, prices of so many seconds up to it, oldest first); None for one that nobody saw."""
        last_s = self._last_s
        span = (self._seconds[at % SECONDS] for at in range(last_s - seconds + 1, last_s + 1))
        return last_s, [price if price > 0 else None for price in span]

    def restore(self, last_s: int, prices: Sequence[float | None]) -> None:
        """Go on from what `newest` gave."""
        for at, price in enumerate(prices, last_s - len(prices) + 1):
            if price is not None:
                self.put(at * 1000, price, alive=False)

    def _look_up_since(self) -> int:
        """From when on all is known up to the last price, in seconds."""
        last_s = self._last_s
        for second in range(last_s, last_s - SECONDS, -1):
            if isnan(self._seconds[second % SECONDS]):
                return second + 1
        for minute in range(last_s // 60, last_s // 60 - MINUTES, -1):
            if isnan(self._minutes[minute % MINUTES]):
                return (minute + 1) * 60
        return 0

    def _stand(self, prices: Sequence[tuple[int, float]]) -> None:
        """Let past prices stand where nothing is known, each until the next, or until one that was seen."""
        ring, last_s = self._seconds, self._last_s
        for number, (event_ms, price) in enumerate(prices):
            begin_s = event_ms // 1000
            end_s = min(begin_s + _STANDS_S, last_s + 1)
            if number + 1 < len(prices):
                end_s = min(end_s, prices[number + 1][0] // 1000)
            standing = price
            for second in range(max(begin_s, last_s - SECONDS + 1), end_s):
                known = ring[second % SECONDS]
                if isnan(known):
                    ring[second % SECONDS] = -standing
                else:
                    standing = abs(known)

    def _pass(self, last_s: int, second: int, price: float) -> None:
        """Fill what lies between two prices."""
        _spread(self._seconds, SECONDS, last_s + 1, second, price)
        _spread(self._minutes, MINUTES, last_s // 60 + 1, second // 60, price)

    def _forget(self, last_s: int, second: int, gaps: Sequence[Gap]) -> None:
        """Nothing is known of the time in which the stream was silent."""
        for begin_ms, end_ms in reversed(gaps):
            end_s = end_ms // 1000
            if end_s <= last_s:
                break
            begin_s = max(begin_ms // 1000, last_s)
            self._since_s = None
            _spread(self._seconds, SECONDS, begin_s + 1, min(end_s, second), nan)
            _spread(self._minutes, MINUTES, begin_s // 60 + 1, min(end_s, second) // 60, nan)
            if begin_ms > 0 and end_ms - begin_ms > BREAK_MS and end_s > self._broken_s:
                self._broken, self._broken_s = (begin_ms, end_ms), end_s


def _spread(ring: array[float], length: int, first: int, end: int, price: float) -> None:
    """Write one price into all places from `first` up to `end`, which is not in it."""
    first = max(first, end - length)
    if first >= end:
        return
    begin, stop = first % length, (end - 1) % length + 1
    if begin < stop:
        ring[begin:stop] = array("d", [price]) * (stop - begin)
    else:
        ring[begin:] = array("d", [price]) * (length - begin)
        ring[:stop] = array("d", [price]) * stop


def _rest(prices: Sequence[tuple[int, float]], gap: Gap) -> Gap | None:
    """What past prices leave open of a gap, from either end; None if nothing."""
    begin_ms, end_ms = gap
    for at_ms, _ in prices:
        if begin_ms < at_ms <= begin_ms + _STEP_MS:
            begin_ms = min(at_ms, end_ms)
    for at_ms, _ in reversed(prices):
        if end_ms - _STEP_MS <= at_ms < end_ms:
            end_ms = max(at_ms, begin_ms)
    return (begin_ms, end_ms) if end_ms - begin_ms > _STEP_MS else None
