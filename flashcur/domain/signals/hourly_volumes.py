"""The quote volumes of a contract's whole hours of the past four weeks, a few kilobytes each."""

from __future__ import annotations

from array import array
from math import nan

from flashcur.domain.spikes import HOUR_MS

WEEK_HOURS = 168
KEPT_HOURS = 4 * WEEK_HOURS + 2
"""Four weeks and two hours, so that the same hour four weeks ago is still there, also for an hour that is judged again
when the next one is over."""

_EMPTY = array("d", [nan]) * KEPT_HOURS


class HourlyVolumes:
    """A ring: an hour that is set forgets the one four weeks before it. Hours are named by their beginning, Unix ms."""

    __slots__ = ("_asked_ms", "_newest", "_ring", "version")

    def __init__(self, *, is_asked_for: bool = False) -> None:
        """`is_asked_for`: somebody asks the exchange for hours that are not known, and says so (`asked`)."""
        self._ring = _EMPTY[:]
        self._newest = -1
        """Hours since 1970 of the newest hour that is known; -1 before the first."""
        self._asked_ms = 0 if is_asked_for else None
        self.version = 0
        """Rises with every change, so that what was computed from it can be kept until then."""

    def put(self, open_ms: int, volume: float) -> bool:
        """Set the volume of a whole hour in USDT; False if that changes nothing or the hour is too old to be kept."""
        hour = open_ms // HOUR_MS
        newest = self._newest
        if hour <= newest - KEPT_HOURS:
            return False
        if hour > newest:
            # Hours that were skipped are not known; what their places held was of four weeks before.
            gap = hour - newest - 1
            if newest < 0 or gap >= KEPT_HOURS:
                self._ring = _EMPTY[:]
            else:
                for skipped in range(newest + 1, hour):
                    self._ring[skipped % KEPT_HOURS] = nan
            self._newest = hour
        elif self._ring[hour % KEPT_HOURS] == volume:
            return False
        self._ring[hour % KEPT_HOURS] = volume
        self.version += 1
        return True

    def at(self, open_ms: int) -> float | None:
        """The volume of that hour in USDT; None if it is not known."""
        hour = open_ms // HOUR_MS
        if not self._newest - KEPT_HOURS < hour <= self._newest:
            return None
        volume = self._ring[hour % KEPT_HOURS]
        return None if volume != volume else volume

    def asked(self, until_ms: int) -> bool:
        """Hours that begin before `until_ms` (Unix ms) and are not known cannot be had; whether that is news."""
        if self._asked_ms == until_ms:
            return False
        self._asked_ms = until_ms
        self.version += 1
        return True

    def awaits(self, open_ms: int, hours: int) -> bool:
        """Whether any of the `hours` hours before `open_ms` is still to be asked for.

        The newest of them is not: its close comes by itself.
        """
        return self._asked_ms is not None and any(
            at_ms >= self._asked_ms and self.at(at_ms) is None
            for at_ms in range(open_ms - hours * HOUR_MS, open_ms - HOUR_MS, HOUR_MS)
        )

    def known(self, open_ms: int, steps: int, stride: int = 1) -> list[float]:
        """The known volumes among the `steps` hours before `open_ms`, `stride` hours apart, the newest first."""
        found: list[float] = []
        for step in range(1, steps + 1):
            volume = self.at(open_ms - step * stride * HOUR_MS)
            if volume is not None:
                found.append(volume)
        return found
