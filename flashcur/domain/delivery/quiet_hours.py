"""Quiet hours: from one minute of the owner's clock to another, each night, whatever is done to the clock meanwhile.

A night begins when the clock first shows its beginning and ends when it last shows its end. So a clock that is put back
gives a longer night and not a second one, and one that is put past the end ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, tzinfo

from flashcur.domain.delivery.local_day import date_of, first_ms, last_ms

DAY_MIN = 24 * 60
_DAY = timedelta(days=1)
_MOST_NIGHTS = 8


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A stretch of each day, in minutes after midnight; over midnight where it ends before it begins.

    Where both are the same there is none.
    """

    from_min: int
    until_min: int

    def ends_ms(self, now_ms: int, zone: tzinfo) -> int | None:
        """When the quiet time of `now_ms` is over; None where that is not within any. Unix ms."""
        end: int | None = None
        # With 24 hours but a minute, or where the clock is put back, one night may reach into the next.
        for _ in range(_MOST_NIGHTS):
            at = now_ms if end is None else end
            found = self._end_of_night(at, zone)
            if found is None:
                break
            end = found
        return end

    def _end_of_night(self, at_ms: int, zone: tzinfo) -> int | None:
        if self.from_min == self.until_min:
            return None
        today = date_of(at_ms, zone)
        over_midnight = self.until_min < self.from_min
        # A clock that is put back at midnight shows a date again that was over.
        for began in (today - _DAY, today, today + _DAY):
            start = first_ms(began, self.from_min, zone)
            end = last_ms(began + _DAY if over_midnight else began, self.until_min, zone)
            if start <= at_ms < end:
                return end
        return None
