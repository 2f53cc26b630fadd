"""Where a contract stands to a detector's region: what a restart must know besides the signals that were told.

A visit to a region is told once. That it has ended, or that another began which was not told (in a cooldown, or again
within one funding period), is no signal; so each change is noted, and stored in order with the signals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flashcur.domain.signals.signal import DetectorName, Origin


@dataclass(frozen=True, slots=True)
class Episode:
    """Where a contract stands to one region of one detector, as of a moment."""

    origin: Origin
    detector: DetectorName
    symbol: str
    part: str
    """Which of the detector's regions, `5m`; empty where it has one."""
    inside: int
    """0 outside; inside, the highest severity of the visit, with the sign of its direction."""
    at_ms: int
    """The exchange's time of the message that said so, Unix ms."""

    @property
    def key(self) -> tuple[DetectorName, str, str]:
        """What there is one episode of, within an origin."""
        return self.detector, self.symbol, self.part


Note = Callable[[Episode], None]
"""Takes each change of an episode."""
