"""A job of the engine: prices of before that rules on moves look at, asked of the exchange after a start or a silence.

An engine that starts knows no prices of before; without this, a move over a day could be judged only a day later. First
each contract's newest minutes are asked for, for windows of up to an hour: one request each. Those of longer windows
follow, once each, the oldest first, as these are the ones that the window's beginning passes next. Windows of less than
five minutes are not filled: a price a minute is too coarse for them.

Once all that rules look at is known, the same is asked for of the other contracts, the largest first: for the form of a
rule that is still to be saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from flashcur.domain.book import Row
from flashcur.domain.rules.condition import MOVE_WINDOWS_S, PriceMove
from flashcur.domain.rules.prices import COARSE_S, FINE_S
from flashcur.engine.evaluation import Evaluation
from flashcur.engine.live_market import VenueBook
from flashcur.engine.outcomes import MinuteSource
from flashcur.engine.polling import each
from flashcur.errors import VenueRateLimited

RECENT_A_RUN = 30
"""A run asks for the newest minutes of so many contracts at most: a hundred are known within half a minute."""
REQUESTS_A_RUN = 5
"""And for so many stretches of the older ones; the day of a hundred contracts is known within half an hour."""
SPARE_A_RUN = 5
"""Where rules want nothing, it asks for so many of other contracts: the day of the fifty largest is known within a
quarter of an hour, that of 500 within two and a half hours."""
PARALLEL = 2
MINUTE_MS = 60_000
STRETCH_MS = 99 * MINUTE_MS
"""What one request tells."""
REST_MS = 20_000
"""Until rules are looked through again where nothing was missing."""
_AT_ONCE = 5_000
"""Rules that are looked through before other tasks have their turn."""


@dataclass(frozen=True, slots=True, order=True)
class _Stretch:
    """Minutes that are missing, Unix ms."""

    first_ms: int
    symbol: str
    end_ms: int
    recent: bool


class RuleWindows:
    """See the module."""

    def __init__(self, evaluation: Evaluation, source: MinuteSource, clock: Callable[[], int]) -> None:
        """`clock` is Unix ms."""
        self._evaluation = evaluation
        self._source = source
        self._clock = clock
        self._began_ms = 0
        """When the evaluation began, as of the last run."""
        self._since_ms = 0
        """From there on it has seen all prices itself, Unix ms."""
        self._known: dict[str, tuple[int, int]] = {}
        """From when until when each contract's past is known, Unix ms."""
        self._recent_ms: dict[str, int] = {}
        """From when on each contract's newest minutes are known, Unix ms."""
        self._rest_until_ms = 0
        self._settled_until_ms = 0
        """Until then rules are not looked at again: they wanted nothing."""

    async def fill(self) -> str:
        """Ask for what is missing next; returns what was done. Raises VenueError: what was not told stays missing."""
        evaluation = self._evaluation
        book = evaluation.book
        if book is None:
            return "no rules are evaluated yet"
        now_ms = self._clock()
        self._turn()
        if now_ms < self._rest_until_ms:
            return "at rest"
        missing: list[_Stretch] = []
        # To look at a hundred thousand rules takes a quarter of a second.
        if now_ms >= self._settled_until_ms and not (missing := await self._missing(book)):
            self._settled_until_ms = now_ms + REST_MS
        if not missing:
            missing = list(islice(self._spare(book), SPARE_A_RUN))
        if not missing:
            self._rest_until_ms = now_ms + REST_MS
        newest = [stretch for stretch in reversed(missing) if stretch.recent]
        older = [stretch for stretch in missing if not stretch.recent]
        asked = newest[:RECENT_A_RUN] + older[:REQUESTS_A_RUN]

        async def ask(wanted: _Stretch) -> None:
            symbol, since_ms = wanted.symbol, self._since_ms
            candles = await self._source.minutes(symbol, wanted.first_ms, wanted.end_ms)
            evaluation.on_prices(book, symbol, [(candle.open_ms + MINUTE_MS, candle.close) for candle in candles])
            if since_ms != self._since_ms:
                return
            if wanted.recent:
                self._recent_ms[symbol] = wanted.first_ms
            else:
                from_ms, to_ms = self._known.get(symbol, (wanted.first_ms, wanted.first_ms))
                # Of a longer window than before all is asked for, from its own beginning on.
                from_ms = from_ms if from_ms <= wanted.first_ms <= to_ms else wanted.first_ms
                self._known[symbol] = (from_ms, wanted.end_ms)

        try:
            await each(asked, PARALLEL, ask)
        except VenueRateLimited as error:
            self._rest_until_ms = self._clock() + int((error.retry_after or 0.0) * 1000)
            raise
        contracts = {stretch.symbol for stretch in missing}
        return f"{len(asked)} stretches of minutes asked for, of {len(contracts)} contracts"

    def _turn(self) -> None:
        """Begin anew with each evaluation; a silence of the prices is asked for as if it were a start."""
        begin_ms, end_ms = self._evaluation.gap_ms
        since_ms = max(self._evaluation.since_ms, end_ms)
        if self._evaluation.since_ms != self._began_ms:
            self._began_ms = self._evaluation.since_ms
            self._known.clear()
        elif since_ms != self._since_ms:
            before_ms = begin_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS
            self._known = {
                symbol: (min(from_ms, before_ms), min(to_ms, before_ms))
                for symbol, (from_ms, to_ms) in self._known.items()
            }
        if since_ms != self._since_ms:
            self._since_ms = since_ms
            self._recent_ms.clear()
            self._rest_until_ms = self._settled_until_ms = 0

    async def _missing(self, book: VenueBook) -> list[_Stretch]:
        """What is not known, at most one stretch of either kind a contract, the oldest first."""
        named: dict[str, tuple[int, int]] = {}
        every = (0, 0)
        for number, rule in enumerate(list(self._evaluation.rules.values()), 1):
            moves = [each.window_s for each in rule.definition.conditions if isinstance(each, PriceMove)]
            windows = (
                max((each for each in moves if COARSE_S <= each <= FINE_S), default=0),
                max((each for each in moves if each > FINE_S), default=0),
            )
            if any(windows) and rule.symbols is None:
                every = _longest(every, windows)
            elif any(windows):
                for symbol in rule.symbols or ():
                    named[symbol] = _longest(windows, named.get(symbol, (0, 0)))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        found: list[_Stretch] = []
        for row in book.book:
            windows = _longest(named.get(row.instrument.symbol, (0, 0)), every if row.instrument.is_crypto else (0, 0))
            found += self._of(row, *windows)
        return sorted(found)

    def _spare(self, book: VenueBook) -> Iterator[_Stretch]:
        """What is not known of contracts that no rule looks at, the largest first."""
        for row in book.ranked():
            if row.instrument.is_crypto:
                yield from self._of(row, FINE_S, MOVE_WINDOWS_S[-1])

    def _of(self, row: Row, short_s: int, long_s: int) -> Iterator[_Stretch]:
        """What is not known of a contract for windows of up to an hour, and for longer ones; 0 for none."""
        if row.ticker is None:
            return
        symbol, now_ms, seen_ms = row.instrument.symbol, self._clock(), self._since_ms // MINUTE_MS * MINUTE_MS
        first_ms = _first(now_ms, short_s)
        if short_s and first_ms < min(seen_ms, self._recent_ms.get(symbol, seen_ms)):
            yield _Stretch(first_ms, symbol, seen_ms, True)
        first_ms = _first(now_ms, long_s)
        from_ms, to_ms = self._known.get(symbol, (0, 0))
        if from_ms <= first_ms:
            first_ms = max(first_ms, to_ms)
        if long_s and first_ms < seen_ms:
            yield _Stretch(first_ms, symbol, min(first_ms + STRETCH_MS, seen_ms), False)


def _first(now_ms: int, window_s: int) -> int:
    """Where the minutes begin that a window needs: the one before its beginning."""
    return (now_ms - window_s * 1000) // MINUTE_MS * MINUTE_MS - MINUTE_MS


def _longest(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), max(one[1], other[1])
