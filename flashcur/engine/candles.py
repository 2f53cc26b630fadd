"""Hourly candles: which contracts have theirs streamed, and what has to be asked for.

Asked for are: the two newest hours of every contract at first (a ratio needs the hour before), contracts too small to
stream, and streamed ones whose stream has gaps: an hour whose close was missed must not pass for a whole hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from flashcur.domain.ages import STREAMED, allowance
from flashcur.domain.book import Row, covers_hour, is_overdue
from flashcur.domain.ticks import Candle
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.engine.polling import each

POLL_MS = allowance("candle").cadence_ms(False) - 60_000
"""Age at which a candle that is not streamed is asked for again, so that it is as often as is promised."""
SILENT_MS = 60_000
"""Age at which a streamed candle is asked for again."""
RETRY_MS = 30_000
"""A contract is not asked for more often than this."""
PARALLEL = 12
"""Requests at a time; the exchange's rate limit is kept below, by the feed."""


class CandleSource(Protocol):
    """The part of `MarketSource` that candles need; see there."""

    def set_candle_symbols(self, symbols: Iterable[str]) -> None: ...

    async def candles(self, symbol: str, limit: int) -> list[Candle]: ...


class Candles:
    """Keeps the candles of the book that is being filled."""

    def __init__(self, market: LiveMarket, source: CandleSource, *, clock: Callable[[], int]) -> None:
        self._market = market
        self._source = source
        self._clock = clock
        self._streamed: frozenset[str] = frozenset()
        self._asked: dict[str, int] = {}
        self._first_hour: dict[str, int] = {}
        self._book: VenueBook | None = None
        self._since_ms = 0

    async def choose_streamed(self) -> str:
        """Choose which contracts have their candle streamed, and tell the feed; one line that says what was done."""
        target = self._market.target
        if target is None:
            return "no exchange serves"
        chosen = frozenset(
            row.instrument.symbol
            for row in target.book
            if row.ticker is not None
            and STREAMED.holds(row.ticker.volume_quote, row.instrument.symbol in self._streamed)
        )
        if chosen != self._streamed or target is not self._book:
            self._streamed = chosen
            self._source.set_candle_symbols(chosen)
        target.book.set_streamed_candles(chosen)
        return f"{len(chosen)} of {len(target.book)} streamed"

    async def poll(self) -> str:
        """Ask for what is missing, broken or old, the largest contracts first; one line that says what was done.

        Raises VenueError as `polling.each` does.
        """
        target = self._market.target
        if target is None:
            return "no exchange serves"
        if target is not self._book or target.since_ms != self._since_ms:
            # Another exchange, or one that was away: whatever its candles missed is asked for anew.
            self._book, self._since_ms = target, target.since_ms
            self._asked.clear()
            self._first_hour.clear()
            await self.choose_streamed()
        now_ms = self._clock()
        due = [row.instrument.symbol for row in target.ranked() if self._is_due(target, row, now_ms)]
        if not due:
            return "nothing due"
        answered = await each(due, PARALLEL, lambda symbol: self._ask(target, symbol))
        return f"{answered} of {len(due)} asked"

    def _is_due(self, target: VenueBook, row: Row, now_ms: int) -> bool:
        symbol = row.instrument.symbol
        asked_ms = self._asked.get(symbol)
        if asked_ms is None:
            return True
        if now_ms < asked_ms + RETRY_MS:
            return False
        if is_broken(row, now_ms):
            return row.candle is None or self._first_hour.get(symbol) != row.candle.open_ms
        age_ms = target.book.age_ms(row, "candle", now_ms)
        return age_ms is None or age_ms > (SILENT_MS if row.candle_streamed else POLL_MS)

    async def _ask(self, target: VenueBook, symbol: str) -> None:
        self._asked[symbol] = self._clock()
        candles = await self._source.candles(symbol, 2)
        if len(candles) == 1:
            # Listed within this hour: there is none before.
            self._first_hour[symbol] = candles[0].open_ms
        if target is self._market.target:
            for candle in candles:
                self._market.apply(target, candle, alone=True)


def is_broken(row: Row, now_ms: int) -> bool:
    """Whether the candle, or the hour before it, is missing or does not cover its hour."""
    candle = row.candle
    if candle is None or is_overdue(candle, now_ms):
        return True
    return not candle.closed and (row.previous_hour is None or not covers_hour(row.previous_hour))
