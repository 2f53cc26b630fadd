"""Open interest where it has no stream: asked for contract by contract, liquid ones each minute, others every 8 min."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from flashcur.domain.ages import allowance
from flashcur.domain.book import Row, has_open_interest_hole
from flashcur.domain.ticks import OpenInterest
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.engine.polling import each

_ALLOWANCE = allowance("open_interest")
LIQUID_MS = _ALLOWANCE.cadence_ms(True) - 10_000
"""Age at which a liquid contract is asked for again; with the job's interval it is at most a minute old."""
OTHERS_MS = _ALLOWANCE.cadence_ms(False) - 60_000
RETRY_MS = 20_000
PARALLEL = 6
HISTORY_STEPS = 50
"""Five-minute values that are read at first: four hours, the longest window of a rule, and some minutes."""
HISTORY_RETRY_MS = 5 * 60_000


Learn = Callable[[VenueBook, str, Sequence[tuple[int, float]]], None]
"""Takes a contract's past open interest: (Unix ms, contracts) in order of time."""


class OpenInterestSource(Protocol):
    """The part of `MarketSource` that open interest needs; see there."""

    async def open_interest(self, symbol: str) -> OpenInterest: ...

    async def open_interest_history(self, symbol: str, limit: int) -> list[OpenInterest]: ...


class OpenInterestPoller:
    """Keeps the open interest of the book that is being filled, and its past hours."""

    def __init__(
        self,
        market: LiveMarket,
        source: OpenInterestSource,
        *,
        clock: Callable[[], int],
        learn: Learn = lambda book, symbol, history: None,
    ) -> None:
        """`clock` is Unix ms. `learn` is told the past of each contract, of which a book keeps an hour alone."""
        self._market = market
        self._source = source
        self._clock = clock
        self._learn = learn
        self._book: VenueBook | None = None
        self._asked: dict[str, int] = {}
        self._history_asked: dict[str, int] = {}
        self._history_done: dict[str, Row] = {}
        """The row itself: a contract that left and is listed again has a new one, without a past."""

    async def poll(self) -> str:
        """Ask for what is due, the largest contracts first; one line that says what was done.

        Nothing is asked where the exchange streams it. Raises VenueError as `polling.each` does.
        """
        target = self._turn_to_target()
        if target is None:
            return "no exchange serves"
        if target.venue.streams_open_interest:
            return "streamed"
        now_ms = self._clock()
        due = _symbols(row for row in target.ranked() if self._is_due(target, row, now_ms))
        if not due:
            return "nothing due"
        return f"{await each(due, PARALLEL, lambda symbol: self._ask(target, symbol))} of {len(due)} asked"

    async def backfill(self) -> str:
        """Read the past hours of contracts that have none, so that no change of open interest need wait for them.

        Again where an outage has left a hole in it.
        """
        target = self._turn_to_target()
        if target is None:
            return "no exchange serves"
        now_ms = self._clock()
        self._forget_gone(target)
        due = _symbols(
            row
            for row in target.ranked()
            if row.open_interest is not None
            and now_ms >= self._history_asked.get(row.instrument.symbol, 0) + HISTORY_RETRY_MS
            and (self._history_done.get(row.instrument.symbol) is not row or has_open_interest_hole(row))
        )
        if not due:
            return "nothing due"
        return f"{await each(due, PARALLEL, lambda symbol: self._ask_history(target, symbol))} of {len(due)} read"

    def _turn_to_target(self) -> VenueBook | None:
        target = self._market.target
        if target is not self._book:
            self._book = target
            self._asked.clear()
            self._history_asked.clear()
            self._history_done.clear()
        return target

    def _forget_gone(self, target: VenueBook) -> None:
        for symbol, row in list(self._history_done.items()):
            if target.book.row(symbol) is not row:
                del self._history_done[symbol]
                self._history_asked.pop(symbol, None)

    def _is_due(self, target: VenueBook, row: Row, now_ms: int) -> bool:
        if now_ms < self._asked.get(row.instrument.symbol, 0) + RETRY_MS:
            return False
        age_ms = target.book.age_ms(row, "open_interest", now_ms)
        return age_ms is None or age_ms >= (LIQUID_MS if row.liquid else OTHERS_MS)

    async def _ask(self, target: VenueBook, symbol: str) -> None:
        self._asked[symbol] = self._clock()
        answer = await self._source.open_interest(symbol)
        if target is self._market.target:
            self._market.apply(target, answer)

    async def _ask_history(self, target: VenueBook, symbol: str) -> None:
        self._history_asked[symbol] = self._clock()
        history = await self._source.open_interest_history(symbol, HISTORY_STEPS)
        row = target.book.row(symbol)
        if target is not self._market.target or row is None:
            return
        self._history_done[symbol] = row
        # Before the newest value is judged again.
        self._learn(target, symbol, [(each.event_ms, each.contracts) for each in history])
        self._market.remember(target, symbol, history)


def _symbols(rows: Iterable[Row]) -> list[str]:
    return [row.instrument.symbol for row in rows]
