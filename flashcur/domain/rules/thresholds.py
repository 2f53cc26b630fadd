"""Sorted thresholds, each with who waits for it: which of them lie between two numbers is found by bisection."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import Generic, TypeVar

Waiter = TypeVar("Waiter")

_FEW = 16
"""So many are put in one by one; more are sorted in."""
_first = itemgetter(0)


class Thresholds(Generic[Waiter]):
    """See the module. 16 bytes a threshold."""

    __slots__ = ("_added", "_levels", "_waiters")

    def __init__(self) -> None:
        self._levels = array("d")
        self._waiters: list[Waiter] = []
        self._added: list[tuple[float, Waiter]] = []

    def __len__(self) -> int:
        return len(self._levels) + len(self._added)

    def add(self, level: float, waiter: Waiter) -> None:
        """Wait for a level."""
        self._added.append((level, waiter))

    def discard(self, level: float, waiter: Waiter) -> None:
        """No longer wait for it; does nothing where nobody did."""
        self._settle()
        at = bisect_left(self._levels, level)
        while at < len(self._levels) and self._levels[at] == level:
            if self._waiters[at] is waiter:
                del self._levels[at], self._waiters[at]
                return
            at += 1

    def between(self, low: float, high: float) -> Iterator[tuple[float, Waiter]]:
        """Those above `low` and up to `high`, which is one of them."""
        self._settle()
        first, end = bisect_right(self._levels, low), bisect_right(self._levels, high)
        if first == end:
            return iter(())
        return zip(self._levels[first:end], self._waiters[first:end], strict=True)

    def around(self, value: float) -> tuple[float, float]:
        """(the highest level up to `value`, the lowest above it); infinite where there is none."""
        self._settle()
        at = bisect_right(self._levels, value)
        below = self._levels[at - 1] if at else float("-inf")
        above = self._levels[at] if at < len(self._levels) else float("inf")
        return below, above

    def _settle(self) -> None:
        added = self._added
        if not added:
            return
        if len(added) <= _FEW:
            for level, waiter in added:
                at = bisect_right(self._levels, level)
                self._levels.insert(at, level)
                self._waiters.insert(at, waiter)
        else:
            added.extend(zip(self._levels, self._waiters, strict=True))
            added.sort(key=_first)
            self._levels = array("d", map(_first, added))
            self._waiters = [waiter for _, waiter in added]
        self._added = []
