"""What the price did after one signal, to the minute, as far as it is known.

A price at a moment is that at the end of the last whole minute by then. The largest moves are those of the whole
minutes after the signal, so nothing of before it is among them: the minutes of an hour, then whole hours, and the
minutes of the hour in which it all ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flashcur.domain.signals.outcomes import HORIZONS_H, HourlyCloses
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle

MINUTE_MS = 60_000
SPAN_H = max(HORIZONS_H)
"""For so many hours after a signal the largest moves are looked for."""
FIRST_H = min(HORIZONS_H)
GRACE_MS = 60_000
"""A minute is looked for so long after it: by then the exchange has it."""


@dataclass(frozen=True, slots=True)
class Hour:
    """Prices of one whole hour, in USDT."""

    high: float
    low: float
    close: float


def _nothing() -> dict[int, float | None]:
    return dict.fromkeys(HORIZONS_H)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Moves as fractions of `price`: 0.01 is +1 %."""

    price: float | None
    """That of the signal; where it has none, the first one after it, in USDT."""
    moves: dict[int, float | None] = field(default_factory=_nothing)
    """By horizon in hours; None while it is not known."""
    first_highest: float | None = None
    """Largest rise within the first hour, at least 0: all that is needed later of its minutes."""
    first_lowest: float | None = None
    highest: float | None = None
    """Largest rise within `SPAN_H`, at least 0; None, as `lowest`, unless all of that time is known."""
    lowest: float | None = None
    """Largest fall, at most 0."""
    by_hours: bool = False
    """Whether a move was taken from hourly closes, up to half an hour off, as its minute could not be had."""

    @property
    def complete(self) -> bool:
        """Whether all is known."""
        return self.highest is not None and None not in self.moves.values()

    def lacks(self, horizon_h: int) -> bool:
        """Whether something that the minutes around a horizon tell is not known."""
        if horizon_h == FIRST_H and self.first_highest is None:
            return True
        if horizon_h == SPAN_H and self.highest is None:
            return True
        return self.moves[horizon_h] is None


def known_from_ms(at_ms: int, horizon_h: int) -> int:
    """When the price a horizon after a signal at `at_ms` is looked for, Unix ms."""
    return at_ms + horizon_h * HOUR_MS + GRACE_MS


def hours_of(at_ms: int) -> range:
    """The beginnings of the whole hours, Unix ms, that lie within `SPAN_H` after a signal."""
    return range(-(-at_ms // HOUR_MS) * HOUR_MS, (at_ms // HOUR_MS + SPAN_H) * HOUR_MS, HOUR_MS)


def minutes_wanted(at_ms: int, known: Aftermath, horizon_h: int, hours: Mapping[int, Hour]) -> tuple[int, int] | None:
    """The minutes (beginning of the first, end of the last, Unix ms; at most an hour) that would tell what is unknown.

    None where there is nothing to ask: it is known, the stored `hours` tell it, or it has to wait for other things.
    """
    first_ms, end_ms = _minutes(at_ms, horizon_h)
    if horizon_h == FIRST_H:
        told = known.price is not None and at_ms % HOUR_MS == 0 and at_ms in hours
        return None if told or not known.lacks(horizon_h) else (first_ms, end_ms)
    if known.price is None:
        return None
    if known.moves[horizon_h] is None and _close(end_ms, {}, hours) is None:
        return min(first_ms, end_ms - MINUTE_MS), end_ms
    if horizon_h < SPAN_H or known.highest is not None or first_ms == end_ms:
        return None
    ready = all(open_ms in hours for open_ms in hours_of(at_ms))
    return (first_ms, end_ms) if ready and known.first_highest is not None else None


def measure(at_ms: int, known: Aftermath, minutes: Mapping[int, Candle], hours: Mapping[int, Hour]) -> Aftermath:
    """What is known of a signal at `at_ms` (Unix ms) with these candles, by their beginning, beside what was known."""
    first_ms, end_ms = _minutes(at_ms, FIRST_H)
    first = _bars(first_ms, end_ms, minutes, hours)
    price = known.price
    if price is None:
        price = minutes[first_ms].open if first_ms in minutes else None
        if price is None:
            return known
    moves = dict(known.moves)
    for horizon_h, move in known.moves.items():
        close = _close(_minutes(at_ms, horizon_h)[1], minutes, hours)
        if move is None and close is not None:
            moves[horizon_h] = close / price - 1
    now = replace(known, price=price, moves=moves)
    if now.first_highest is None and first is not None:
        highest, lowest = _reach(first, price)
        now = replace(now, first_highest=highest, first_lowest=lowest)
    return now if now.highest is not None else _with_largest(at_ms, now, minutes, hours)


def measure_by_hours(at_ms: int, known: Aftermath, horizon_h: int, hours: Mapping[int, Hour]) -> Aftermath:
    """The move over a horizon from the full hour nearest to its end, where its minute cannot be had any more.

    What is known stays. The largest moves are not told so: they would hold prices of before the signal, or miss some.
    """
    if known.moves[horizon_h] is not None:
        return known
    closes = HourlyCloses((open_ms, hour.close) for open_ms, hour in hours.items())
    move = closes.move(at_ms, horizon_h, known.price)
    return known if move is None else replace(known, moves=known.moves | {horizon_h: move}, by_hours=True)


def _minutes(at_ms: int, horizon_h: int) -> tuple[int, int]:
    """The minutes around the end of a horizon that tell what hours do not."""
    end_ms = (at_ms + horizon_h * HOUR_MS) // MINUTE_MS * MINUTE_MS
    if horizon_h == FIRST_H:
        return -(-at_ms // MINUTE_MS) * MINUTE_MS, end_ms
    return (end_ms // HOUR_MS * HOUR_MS if horizon_h == SPAN_H else end_ms - MINUTE_MS), end_ms


def _close(end_ms: int, minutes: Mapping[int, Candle], hours: Mapping[int, Hour]) -> float | None:
    bar = minutes.get(end_ms - MINUTE_MS) or (hours.get(end_ms - HOUR_MS) if end_ms % HOUR_MS == 0 else None)
    return None if bar is None else bar.close


def _bars(
    first_ms: int, end_ms: int, minutes: Mapping[int, Candle], hours: Mapping[int, Hour]
) -> list[Candle | Hour] | None:
    """All of that time, which is at most an hour; None if a minute is missing."""
    if first_ms % HOUR_MS == 0 and end_ms == first_ms + HOUR_MS and first_ms in hours:
        return [hours[first_ms]]
    bars: list[Candle | Hour] = [
        minutes[open_ms] for open_ms in range(first_ms, end_ms, MINUTE_MS) if open_ms in minutes
    ]
    return bars if len(bars) == (end_ms - first_ms) // MINUTE_MS else None


def _reach(bars: list[Candle | Hour], price: float) -> tuple[float, float]:
    return (
        max([0.0, *(bar.high / price - 1 for bar in bars)]),
        min([0.0, *(bar.low / price - 1 for bar in bars)]),
    )


def _with_largest(at_ms: int, known: Aftermath, minutes: Mapping[int, Candle], hours: Mapping[int, Hour]) -> Aftermath:
    last = _bars(*_minutes(at_ms, SPAN_H), minutes, hours)
    whole = [hours[open_ms] for open_ms in hours_of(at_ms) if open_ms in hours]
    price, first_highest, first_lowest = known.price, known.first_highest, known.first_lowest
    if price is None or first_highest is None or first_lowest is None:
        return known
    if last is None or len(whole) < len(hours_of(at_ms)):
        return known
    highest, lowest = _reach([*whole, *last], price)
    return replace(known, highest=max(first_highest, highest), lowest=min(first_lowest, lowest))
