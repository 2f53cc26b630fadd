"""The canonical volume rule's measure: this hour's quote volume against the hour before (DOMAIN: volume spike)."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class SpikeRule:
    """Multiple of the hour before, and the least quote volume of this hour in USDT."""

    multiple: float = 3.0
    floor: float = 3_000_000.0

    def holds(self, previous: float | None, current: float | None) -> bool:
        """Whether `current` is a spike over `previous`; a missing or empty hour before never is."""
        return (
            previous is not None
            and current is not None
            and previous > 0
            and current >= self.floor
            and current / previous >= self.multiple
        )


def volume_ratio(previous: float | None, current: float | None) -> float | None:
    """This hour over the hour before; None where either is missing or the hour before was empty."""
    if previous is None or current is None or previous <= 0:
        return None
    return current / previous
