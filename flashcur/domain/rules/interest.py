"""Open interest of one contract over four hours, a value each four minutes, to tell how it changed since then.

The book remembers the last hour of it; this is for longer windows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

STEP_MS = 4 * 60_000
TOLERANCE_MS = 5 * 60_000
"""How far from the window's beginning the value may lie that is compared with."""
KEPT_MS = 4 * 3_600_000 + TOLERANCE_MS


class Interest:
    """Values in order of time; of two within a step the first is kept."""

    __slots__ = ("_contracts", "_times")

    def __init__(self) -> None:
        self._times = array("q")
        self._contracts = array("d")

    def put(self, event_ms: int, contracts: float) -> None:
        """Keep a number of contracts at `event_ms` (Unix ms), in its place."""
        times = self._times
        at = bisect_left(times, event_ms)
        if (at and event_ms - times[at - 1] < STEP_MS) or (at < len(times) and times[at] - event_ms < STEP_MS):
            return
        times.insert(at, event_ms)
        self._contracts.insert(at, contracts)
        old = bisect_left(times, times[-1] - KEPT_MS)
        if old:
            del times[:old], self._contracts[:old]

    @property
    def times(self) -> Sequence[int]:
        """Of which moments a value is kept, Unix ms, in order."""
        return self._times

    def fill(self, values: Sequence[tuple[int, float]]) -> None:
        """Values of before, (Unix ms, contracts)."""
        for event_ms, contracts in values:
            if contracts > 0:
                self.put(event_ms, contracts)

    def at(self, at_ms: int) -> float | None:
        """The number of contracts nearest to a moment (Unix ms); None if none is within the tolerance."""
        times = self._times
        after = bisect_left(times, at_ms)
        near = [at for at in (after - 1, after) if 0 <= at < len(times)]
        best = min(near, key=lambda each: abs(times[each] - at_ms), default=None)
        return None if best is None or abs(times[best] - at_ms) > TOLERANCE_MS else self._contracts[best]
