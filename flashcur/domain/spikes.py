"""The canonical volume rule's measure: this hour's quote volume against the hour before (DOMAIN: volume spike)."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_MS = 3_600_000
"""Milliseconds in an hour."""


@dataclass(frozen=True, slots=True)
class SpikeRule:
    """When this hour's volume counts as a spike; the defaults are the canonical rule."""

    multiple: float = 3.0
    """Least multiple of the hour before."""
    floor: float = 3_000_000.0
    """Least quote volume of this hour in USDT."""

    def holds(self, previous: float | None, current: float | None) -> bool:
        """Whether `current` is a spike over `previous` (both USDT); False where either is missing or it was 0."""
        return (
            previous is not None
            and current is not None
            and previous > 0
            and current >= self.floor
            and current / previous >= self.multiple
        )


def volume_ratio(previous: float | None, current: float | None) -> float | None:
    """`current` (this hour) as a multiple of `previous` (the hour before), both in one unit.

    None where either is missing or the hour before was empty.
    """
    if previous is None or current is None or previous <= 0:
        return None
    return current / previous
