"""A job of the engine: prices of before that rules with windows of hours look at, asked of the exchange after a start.

An engine that starts knows no prices of before; without this, a move over a day could be judged only a day later. Each
contract's minutes are asked for once, the oldest first, as these are the ones that the window's beginning passes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flashcur.domain.rules.condition import PriceMove
from flashcur.domain.rules.prices import FINE_S
from flashcur.engine.evaluation import Evaluation
from flashcur.engine.live_market import VenueBook
from flashcur.engine.outcomes import MinuteSource
from flashcur.engine.polling import each

REQUESTS_A_RUN = 20
"""A run asks for so many stretches of minutes at most; the day of a hundred contracts is known within half an hour."""
PARALLEL = 2
MINUTE_MS = 60_000
STRETCH_MS = 99 * MINUTE_MS
"""What one request tells."""
_AT_ONCE = 5_000
"""Rules that are looked through before other tasks have their turn."""


class RuleWindows:
    """See the module."""

    def __init__(self, evaluation: Evaluation, source: MinuteSource, clock: Callable[[], int]) -> None:
        """`clock` is Unix ms."""
        self._evaluation = evaluation
        self._source = source
        self._clock = clock
        self._since_ms = 0
        self._known_ms: dict[str, int] = {}
        """Up to when each contract's past is known, Unix ms."""

    async def fill(self) -> str:
        """Ask for what is missing next; returns what was done. Raises VenueError: what was not told stays missing."""
        evaluation = self._evaluation
        book = evaluation.book
        if book is None:
            return "no rules are evaluated yet"
        if evaluation.since_ms != self._since_ms:
            self._since_ms = evaluation.since_ms
            self._known_ms.clear()
        missing = await self._missing(book)
        asked = missing[:REQUESTS_A_RUN]

        async def ask(wanted: tuple[int, str]) -> None:
            first_ms, symbol = wanted
            # From there on the evaluation has seen all prices itself.
            end_ms = min(first_ms + STRETCH_MS, self._since_ms // MINUTE_MS * MINUTE_MS)
            candles = await self._source.minutes(symbol, first_ms, end_ms)
            evaluation.on_prices(book, symbol, [(candle.open_ms + MINUTE_MS, candle.close) for candle in candles])
            self._known_ms[symbol] = end_ms

        await each(asked, PARALLEL, ask)
        return f"{len(asked)} stretches of minutes asked for, of {len(missing)} contracts"

    async def _missing(self, book: VenueBook) -> list[tuple[int, str]]:
        """(where the next minutes begin, contract) of those whose past is not known, the oldest first."""
        traded = {row.instrument.symbol: row.instrument for row in book.book}
        named: dict[str, int] = {}
        every = 0
        for number, rule in enumerate(list(self._evaluation.rules.values()), 1):
            moves = [each.window_s for each in rule.definition.conditions if isinstance(each, PriceMove)]
            window_s = max(moves, default=0)
            if window_s > FINE_S and rule.symbols is None:
                every = max(every, window_s)
            elif window_s > FINE_S:
                for symbol in rule.symbols or ():
                    named[symbol] = max(window_s, named.get(symbol, 0))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        found: list[tuple[int, str]] = []
        now_ms = self._clock()
        for symbol, instrument in traded.items():
            window_s = max(named.get(symbol, 0), every if instrument.is_crypto else 0)
            if not window_s:
                continue
            first_ms = max(
                self._known_ms.get(symbol, 0), (now_ms - window_s * 1000) // MINUTE_MS * MINUTE_MS - MINUTE_MS
            )
            if first_ms < self._since_ms // MINUTE_MS * MINUTE_MS:
                found.append((first_ms, symbol))
        return sorted(found)
