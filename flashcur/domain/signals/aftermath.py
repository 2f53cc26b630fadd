"""What the price did after one signal, as far as the hours that followed are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flashcur.domain.signals.outcomes import HORIZONS_H, HourlyCloses
from flashcur.domain.spikes import HOUR_MS

SPAN_H = max(HORIZONS_H)
"""For so many hours after a signal the largest moves are looked for."""


@dataclass(frozen=True, slots=True)
class Hour:
    """Prices of one whole hour, in USDT."""

    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Moves as fractions of the price of the signal: 0.01 is +1 %."""

    moves: dict[int, float | None]
    """By horizon in hours; None while it is not known."""
    highest: float | None
    """Largest rise within `SPAN_H`, at least 0; None, as `lowest`, unless all of these hours are known."""
    lowest: float | None
    """Largest fall, at most 0."""

    @property
    def complete(self) -> bool:
        """Whether all is known."""
        return self.highest is not None and None not in self.moves.values()


def first_hour_ms(at_ms: int) -> int:
    """The full hour nearest to a signal at `at_ms` (Unix ms): what follows it is measured from there on."""
    return (at_ms + HOUR_MS // 2) // HOUR_MS * HOUR_MS


def known_from_ms(at_ms: int, horizon_h: int) -> int:
    """When what followed over a horizon can be known, Unix ms: once its last hour has closed."""
    return first_hour_ms(at_ms) + horizon_h * HOUR_MS


def aftermath(at_ms: int, price: float | None, hours: Mapping[int, Hour]) -> Aftermath:
    """What followed a signal at `at_ms` (Unix ms) and `price`; without one, the close of the hour nearest to it.

    `hours`: by their beginning, Unix ms; those around the signal and the `SPAN_H` after it matter.
    """
    closes = HourlyCloses((open_ms, hour.close) for open_ms, hour in hours.items())
    moves = {horizon: closes.move(at_ms, horizon, price) for horizon in HORIZONS_H}
    before = price or closes.after(at_ms, 0)
    first_ms = first_hour_ms(at_ms)
    following = [hours.get(first_ms + number * HOUR_MS) for number in range(SPAN_H)]
    known = [hour for hour in following if hour is not None]
    if before is None or len(known) < SPAN_H:
        return Aftermath(moves, None, None)
    return Aftermath(
        moves,
        max(0.0, max(hour.high for hour in known) / before - 1),
        min(0.0, min(hour.low for hour in known) / before - 1),
    )
