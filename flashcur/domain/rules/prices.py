"""Prices of one contract, to tell what it cost at the beginning of a window: one a second for an hour, one a minute
for a day.

A price stands until the next one for as long as the stream of prices is alive: a contract that is not mentioned has not
traded. What nobody told, since the stream was down, is not known. 41 kB a contract.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import isnan, nan

SECONDS = 3_601 + 5
"""An hour and its tolerance."""
MINUTES = 1_441 + 2
"""A day and its tolerance."""
FINE_S = 3_600
"""Windows up to this are measured to the second, longer ones to the minute."""
BREAK_MS = 90_000
"""After so long without any price a window counts only once all of it lies behind the gap."""
_STEP_MS = 61_000
"""Past prices that lie no further apart leave no gap."""

Gap = tuple[int, int]
"""From the last price of the stream to the next, Unix ms."""


class Prices:
    """See the module."""

    __slots__ = ("_broken", "_broken_s", "_last", "_last_s", "_minutes", "_seconds")

    def __init__(self) -> None:
        self._seconds = array("d", [nan]) * SECONDS
        self._minutes = array("d", [nan]) * MINUTES
        self._last = nan
        self._last_s = 0
        self._broken: Gap | None = None
        self._broken_s = 0

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
        elif second // 60 > last_s // 60:
            self._minutes[second // 60 % MINUTES] = price
        self._seconds[second % SECONDS] = price
        self._minutes[second // 60 % MINUTES] = price
        self._last, self._last_s = price, second

    def fill(self, prices: Sequence[tuple[int, float]]) -> None:
        """Prices of before, (Unix ms, USDT) in order of time: what is known already stays."""
        for event_ms, price in prices:
            second = event_ms // 1000
            if second > self._last_s:
                self.put(event_ms, price, alive=False)
                continue
            for ring, length, at, last in (
                (self._seconds, SECONDS, second, self._last_s),
                (self._minutes, MINUTES, second // 60, self._last_s // 60),
            ):
                if at > last - length and isnan(ring[at % length]):
                    ring[at % length] = price
        if self._broken is not None and _covers(prices, self._broken):
            self._broken, self._broken_s = None, 0

    def base(self, window_s: int, event_ms: int) -> float | None:
        """The price at the beginning of a window that ends at `event_ms` (Unix ms); None if it is not known.

        It is that of the same second; of a window longer than an hour, that of the same minute.
        """
        second = event_ms // 1000 - window_s
        if second < self._broken_s:
            return None
        if window_s <= FINE_S:
            if second > self._last_s:
                price = self._last
            elif second > self._last_s - SECONDS:
                price = self._seconds[second % SECONDS]
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

    def newest(self, seconds: int) -> tuple[int, list[float | None]]:
        """(the last second, prices of so many seconds up to it, oldest first); None for one that is not known."""
        last_s = self._last_s
        span = (self._seconds[at % SECONDS] for at in range(last_s - seconds + 1, last_s + 1))
        return last_s, [None if isnan(price) else price for price in span]

    def restore(self, last_s: int, prices: Sequence[float | None]) -> None:
        """Go on from what `newest` gave."""
        for at, price in enumerate(prices, last_s - len(prices) + 1):
            if price is not None:
                self.put(at * 1000, price, alive=False)

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


def _covers(prices: Sequence[tuple[int, float]], gap: Gap) -> bool:
    """Whether past prices leave nothing of a gap open."""
    inside = [at_ms for at_ms, _ in prices if gap[0] < at_ms < gap[1]]
    return all(after - before <= _STEP_MS for before, after in pairwise([gap[0], *inside, gap[1]]))
