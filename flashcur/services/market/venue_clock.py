"""The clock of an exchange, as it told the time, carried on by a clock of ours that nobody sets.

Our wall clock may be set by any amount at any moment, and exchanges tell their time only every few seconds: what they
mean by now must not jump with it in between.
"""

from __future__ import annotations

from flashcur.services.kit.clock import now_ms, steady_ms

_NO_DIFFERENCE_MS = 250


class VenueClock:
    """See the module; before the exchange has told its time, it is taken to be that of our wall clock."""

    def __init__(self) -> None:
        self._told: tuple[int, int, int] | None = None
        """Its time less our steady clock's, in ms: half-way of the request and at its end; and how long that took."""

    def learn(self, venue_ms: int, asked_ms: int) -> None:
        """The exchange has just said `venue_ms` (Unix ms); it was asked at `asked_ms` of `steady_ms`."""
        seen_ms = steady_ms()
        self._told = venue_ms - (asked_ms + seen_ms) // 2, venue_ms - seen_ms, seen_ms - asked_ms

    @property
    def skew_ms(self) -> int:
        """How far it is ahead of our wall clock as that stands now."""
        if self._told is None:
            return 0
        ahead_ms, _, took_ms = self._told
        skew_ms = ahead_ms + steady_ms() - now_ms()
        # Half of the round trip is uncertain: a smaller difference is none.
        return skew_ms if abs(skew_ms) > max(_NO_DIFFERENCE_MS, took_ms) else 0

    def now_ms(self) -> int:
        """Unix ms that it has reached for certain: never ahead, and behind by at most what an answer takes."""
        return now_ms() if self._told is None else self._told[1] + steady_ms()
