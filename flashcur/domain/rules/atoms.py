"""What conditions come down to: one number of a contract that is at or above a threshold.

Each number has a *source* (the price, its move over a window, …) and is looked at in a *view*: as it is, with its sign
turned, or without one. So "below", "falls" and "either way" are "at or above", too, and one sorted list of thresholds
a source and view answers which of them lie between the number before and the number now.
"""

from __future__ import annotations

from dataclasses import dataclass

from flashcur.domain.rules.condition import (
    INTEREST_WINDOWS_S,
    MOVE_WINDOWS_S,
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    Way,
)
from flashcur.domain.ticks import TickKind

PRICE = 0
"""Last price, USDT."""
FIRST_MOVE = 1
"""The first of the moves, percent, in the order of `MOVE_WINDOWS_S`."""
RATIO = FIRST_MOVE + len(MOVE_WINDOWS_S)
"""Quote volume of the hour as a multiple of the hour before's."""
VOLUME = RATIO + 1
"""Quote volume of the hour, USDT."""
FUNDING = VOLUME + 1
"""Funding rate, percent an interval."""
FIRST_INTEREST = FUNDING + 1
"""The first of the changes of open interest, percent, in the order of `INTEREST_WINDOWS_S`."""
SOURCES = FIRST_INTEREST + len(INTEREST_WINDOWS_S)
"""How many sources there are."""

_TICKER: tuple[TickKind, ...] = ("ticker",)
_INTEREST: tuple[TickKind, ...] = ("open_interest",)
KIND_OF: tuple[TickKind, ...] = (
    *_TICKER * RATIO,
    "candle",
    "candle",
    "funding",
    *_INTEREST * len(INTEREST_WINDOWS_S),
)
"""The message that tells each source."""

AS_IS, TURNED, SIZE = 0, 1, 2
"""The views: the number itself, with its sign turned, and without one."""

BANDS: dict[int, tuple[float, float]] = {
    PRICE: (0.001, 0.0),
    **{source: (0.1, 0.0) for source in range(FIRST_MOVE, RATIO)},
    RATIO: (0.1, 0.0),
    VOLUME: (0.1, 0.0),
    FUNDING: (0.1, 0.001),
    **{source: (0.1, 0.0) for source in range(FIRST_INTEREST, SOURCES)},
}
"""How far a number must go back behind its threshold before it may fire again: as a fraction of the threshold, and at
least (in the number's own unit). So a price that dances on its threshold fires once."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison: the source in this view is at or above the threshold."""

    source: int
    view: int
    threshold: float

    @property
    def release(self) -> float:
        """Below this, in the same view, it may fire again."""
        return self.threshold - band(self.source, self.threshold)


def band(source: int, threshold: float) -> float:
    """The width of the band behind a threshold; see `BANDS`."""
    share, least = BANDS[source]
    return max(abs(threshold) * share, least)


def seen(view: int, value: float) -> float:
    """A source's value in a view."""
    if view == AS_IS:
        return value
    return -value if view == TURNED else abs(value)


def move_source(window_s: int) -> int:
    """The source of the price's move over a window of `MOVE_WINDOWS_S`."""
    return FIRST_MOVE + MOVE_WINDOWS_S.index(window_s)


def interest_source(window_s: int) -> int:
    """The source of open interest's change over a window of `INTEREST_WINDOWS_S`."""
    return FIRST_INTEREST + INTEREST_WINDOWS_S.index(window_s)


def atoms_of(condition: Condition) -> tuple[Atom, ...]:
    """The comparisons that are all true where the condition is met; none for a signal, which is a moment."""
    if isinstance(condition, PriceCross):
        return (_sided(PRICE, condition.side == "above", condition.price),)
    if isinstance(condition, PriceMove):
        return (_moved(move_source(condition.window_s), condition.way, condition.percent),)
    if isinstance(condition, FundingLevel):
        return (_sided(FUNDING, condition.side == "above", condition.percent),)
    if isinstance(condition, InterestMove):
        return (_moved(interest_source(condition.window_s), condition.way, condition.percent),)
    if isinstance(condition, OnSignal):
        return ()
    ratio = Atom(RATIO, AS_IS, condition.multiple)
    return (ratio, Atom(VOLUME, AS_IS, condition.floor)) if condition.floor > 0 else (ratio,)


def _sided(source: int, above: bool, level: float) -> Atom:
    return Atom(source, AS_IS, level) if above else Atom(source, TURNED, -level)


def _moved(source: int, way: Way, percent: float) -> Atom:
    return Atom(source, {"up": AS_IS, "down": TURNED, "either": SIZE}[way], percent)
