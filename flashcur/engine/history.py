"""The past that detectors compare with: four weeks of hours and the funding payments of each contract on crypto, and
the past hour's prices of the liquid ones.

What was kept comes first, of all contracts; then what is missing (a gap since the last run, a hole, or everything) is
asked of the exchange, the largest contracts first, a few requests at a time, when nothing else waits to be asked. A
contract's signals begin as soon as its own past is there. Hours that close while the engine runs are kept too, so that
the next start asks for little.

The newest hour is not asked for here: the live market brings it, unless it is late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from flashcur.domain.book import Row
from flashcur.domain.signals.adaptive_spike import LEAST_RECENT_HOURS, RECENT_HOURS
from flashcur.domain.signals.funding_extreme import Payment, nearest_interval
from flashcur.domain.signals.hourly_volumes import KEPT_HOURS
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.engine.history_status import HistoryStatus
from flashcur.engine.history_store import HistoryStore
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.engine.polling import each
from flashcur.errors import DatabaseError, VenueError, VenueRateLimited
from flashcur.services.kit.clock import length_ms
from flashcur.services.records.funding_payments import KEPT
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

WANTED_HOURS = KEPT_HOURS - 1
"""Closed hours of a contract: four weeks."""
PARALLEL = 3
A_RUN = 60
"""Contracts that one run asks for; then it looks anew which come first."""
A_READ = 20
"""Contracts whose stored past is read at once."""
RETRY_MS = 60_000
"""Until a contract is asked for again whose request failed."""
AGAIN_MS = HOUR_MS
LONGEST_AGAIN_MS = 24 * HOUR_MS
"""Until hours are asked for again that the exchange did not have; twice as long each time."""
LATE_MS = 10 * 60_000
"""After its end, an hour that the live market has not brought is asked for."""
DATABASE_PATIENCE_MS = 60_000
"""How long stored hours are waited for, before all are asked for anew."""
PRICE_MINUTES = 70
"""An hour, its tolerance, and the time until they are asked for."""
PAYMENTS_AGE_MS = 48 * HOUR_MS
"""Payments are asked for once the newest that is known is older: a few more hardly move a rank among hundreds."""
PAYMENTS_AGAIN_MS = 6 * HOUR_MS
"""Until payments are asked for again that the exchange did not have."""
FILL_MS = 10 * 60_000
"""After an exchange began to serve, baselines of liquid contracts should be there."""
NEW_MS = 24 * HOUR_MS
"""A contract listed since then may have no baseline yet."""
NAMED = 10
"""Contracts that the status names."""

_KEPT_MS = length_ms(KEPT)


class HistorySource(Protocol):
    """The part of `MarketSource` that the past needs; see there."""

    async def candles(self, symbol: str, limit: int, *, patient: bool = False) -> list[Candle]: ...

    async def past_prices(self, symbol: str, minutes: int) -> list[tuple[int, float]]: ...

    async def funding_payments(self, symbol: str, since_ms: int) -> list[Payment]: ...


class Learner(Protocol):
    """The part of `Detection` that is told of the past; see there. What is of another book than it fills is ignored."""

    @property
    def runner(self) -> object | None:
        """The detectors of the book that is being filled; None until they have begun."""
        ...

    def learn_hours(self, book: VenueBook, symbol: str, candles: Sequence[Candle]) -> None: ...

    def learn_volumes(self, book: VenueBook, symbol: str, hours: Sequence[tuple[int, float]]) -> None: ...

    def learn_asked(self, book: VenueBook, symbol: str, until_ms: int) -> None: ...

    def learn_payments(
        self, book: VenueBook, symbol: str, payments: Sequence[Payment], interval_hours: int
    ) -> None: ...

    def learn_prices(self, book: VenueBook, symbol: str, prices: Sequence[tuple[int, float]]) -> None: ...

    def is_ready(self, symbol: str, now_ms: int) -> bool: ...


@dataclass(slots=True)
class _Past:
    """What is known of one contract's past."""

    row: Row
    """The row itself: a contract that left and is listed again has a new one, and begins anew."""
    hours: int = 0
    """Bit n stands for the n-th hour after the book's first: whether it is known."""
    kept: tuple[Candle, ...] = ()
    """The closed hours of the row that were seen last."""
    answered: bool = False
    asked_until: int = -1
    """The first of the latest hours that is still to be asked for, in hours since 1970, as detectors were told."""
    fault: str = ""
    """Why the last request failed."""
    again_ms: int = 0
    """Its hours are not asked for before, Unix ms."""
    pause_ms: int = 0
    """How long the last pause was after an answer without the missing hours."""
    is_priced: bool = False
    """Its prices of the hour before are known."""
    prices_again_ms: int = 0
    paid_ms: int = 0
    """The newest payment that is known, Unix ms."""
    payments_again_ms: int = 0


class History:
    """Fills and keeps the past of the book that is being filled."""

    def __init__(
        self,
        market: LiveMarket,
        source: HistorySource,
        detection: Learner,
        database: Database,
        *,
        clock: Callable[[], int],
    ) -> None:
        """`clock` is Unix ms."""
        self._market = market
        self._source = source
        self._detection = detection
        self._clock = clock
        self.store = HistoryStore(database)
        self._book: VenueBook | None = None
        self._runner: object | None = None
        self._pasts: dict[str, _Past] = {}
        self._since_ms = 0
        """When this book was turned to."""
        self._first_hour = 0
        """Hours since 1970 of bit 0 of `_Past.hours`."""
        self._is_read = False
        self._rest_until_ms = 0
        self._saving_fails = False

    async def fill(self) -> str:
        """Read what was kept, note what has closed, ask for what is missing; one line that says what was done.

        Raises VenueError as `polling.each` does; the next run goes on where this one stopped.
        """
        target = self._turn()
        if target is None:
            return "no exchange serves"
        if self._runner is None:
            return "waits for the detectors"
        try:
            if not self._is_read and not await self._read(target):
                return "waits for what was kept"
            self._note_closed(target)
            self._tell_asked(target)
            return await self._ask_for_missing(target)
        finally:
            await self._save()

    def status(self) -> HistoryStatus:
        """How far it is."""
        target = self._market.target
        now_ms = self._clock()
        if target is None:
            return HistoryStatus()
        rows = [row for row in target.ranked() if row.instrument.is_crypto]
        unready = [row for row in rows if not self._detection.is_ready(row.instrument.symbol, now_ms)]
        mine = self._pasts if target is self._book else {}
        blind = 0
        if target is self._book and now_ms >= self._since_ms + FILL_MS:
            blind = sum(row.liquid and not _is_new(row, now_ms) for row in unready)
        new = [row for row in unready if _is_new(row, now_ms)]
        quiet = [
            row
            for row in unready
            if not _is_new(row, now_ms) and self._has_recent_hours(mine.get(row.instrument.symbol), now_ms)
        ]
        return HistoryStatus(
            ready=len(rows) - len(unready),
            contracts=len(rows),
            asked=sum(past.answered for past in mine.values()),
            waiting=sum(bool(self._missing(past, now_ms)) for past in mine.values()) if mine else len(rows),
            liquid=sum(row.liquid for row in rows),
            blind=blind,
            new=len(new),
            quiet=len(quiet),
            not_ready={
                row.instrument.symbol: self._why(mine.get(row.instrument.symbol), row, now_ms)
                for row in unready[:NAMED]
            },
        )

    def _turn(self) -> VenueBook | None:
        """Turn to the book that is being filled and its detectors; they begin with nothing."""
        target, runner = self._market.target, self._detection.runner
        if target is not self._book or runner is not self._runner:
            self._book, self._runner = target, runner
            self._since_ms = self._clock()
            self._first_hour = self._since_ms // HOUR_MS - WANTED_HOURS
            self._pasts = {}
            self._is_read = False
            self._rest_until_ms = 0
        return target

    def _is_current(self, target: VenueBook) -> bool:
        return target is self._market.target and self._runner is self._detection.runner

    async def _read(self, target: VenueBook) -> bool:
        """Learn what was kept of all contracts; whether that is done, or given up."""
        symbols = [row.instrument.symbol for row in self._rows(target)]
        now_ms = self._clock()
        try:
            for some in _parts(symbols, A_READ):
                for symbol, hours in (await self.store.volumes(target, some, now_ms - WANTED_HOURS * HOUR_MS)).items():
                    if not self._is_current(target):
                        return False
                    self._detection.learn_volumes(target, symbol, hours)
                    self._know(self._pasts.get(symbol), [open_ms for open_ms, _ in hours])
                    # One contract takes half a millisecond: nothing else waits for longer.
                    await asyncio.sleep(0)
            for some in _parts(symbols, A_READ):
                for symbol, payments in (await self.store.payments(target, some, now_ms - _KEPT_MS)).items():
                    if not self._is_current(target):
                        return False
                    self._learn_payments(target, symbol, payments)
                    await asyncio.sleep(0)
        except DatabaseError as error:
            if now_ms < self._since_ms + DATABASE_PATIENCE_MS:
                return False
            logger.warning("all hours are asked for, since what was kept cannot be read: %s", error)
        self._is_read = True
        return True

    def _note_closed(self, target: VenueBook) -> None:
        """Learn and keep the hours that the live market has closed since the last time, late finals too."""
        fresh: list[Candle] = []
        for row in self._rows(target):
            past = self._pasts[row.instrument.symbol]
            closed = tuple(candle for candle in (row.previous_hour, row.candle) if candle is not None and candle.closed)
            if not closed:
                continue
            new = [candle for candle in closed if not any(candle is known for known in past.kept)]
            if not new:
                continue
            past.kept = closed
            self._know(past, [candle.open_ms for candle in new])
            self._detection.learn_hours(target, row.instrument.symbol, new)
            fresh += new
        self.store.keep_hours(target, fresh)

    def _tell_asked(self, target: VenueBook) -> None:
        for symbol, past in self._pasts.items():
            self._tell_asked_of(target, symbol, past)

    def _tell_asked_of(self, target: VenueBook, symbol: str, past: _Past) -> None:
        """Say from which hour on a contract's latest past may yet become known, where that has changed."""
        now_ms = self._clock()
        owed = self._owed(past, now_ms)
        until = _lowest_bit(owed) if owed else self._end(now_ms)
        if self._first_hour + until != past.asked_until:
            past.asked_until = self._first_hour + until
            self._detection.learn_asked(target, symbol, past.asked_until * HOUR_MS)

    async def _ask_for_missing(self, target: VenueBook) -> str:
        now_ms = self._clock()
        if now_ms < self._rest_until_ms:
            return f"the exchange is left alone for {(self._rest_until_ms - now_ms) // 1000} s more"
        hours = [
            symbol for symbol, past in self._pasts.items() if now_ms >= past.again_ms and self._missing(past, now_ms)
        ]
        prices = [symbol for symbol, past in self._pasts.items() if self._owes_prices(past, now_ms)]
        payments = [symbol for symbol, past in self._pasts.items() if self._owes_payments(past, now_ms)]
        if not hours and not prices and not payments:
            return "nothing missing"
        try:
            if hours:
                some = hours[:A_RUN]
                answered = await each(some, PARALLEL, lambda symbol: self._ask_hours(target, symbol))
                return f"hours of {answered} of {len(hours)} contracts"
            if prices:
                some = prices[:A_RUN]
                answered = await each(some, PARALLEL, lambda symbol: self._ask_prices(target, symbol))
                return f"past prices of {answered} of {len(prices)} contracts"
            some = payments[:A_RUN]
            answered = await each(some, PARALLEL, lambda symbol: self._ask_payments(target, symbol))
            return f"payments of {answered} of {len(payments)} contracts"
        except VenueRateLimited as error:
            self._rest_until_ms = self._clock() + int((error.retry_after or 0.0) * 1000)
            raise

    async def _ask_hours(self, target: VenueBook, symbol: str) -> None:
        past, now_ms = self._pasts.get(symbol), self._clock()
        missing = 0 if past is None else self._missing(past, now_ms)
        if past is None or not missing or not self._is_current(target):
            return
        past.again_ms = now_ms + RETRY_MS
        oldest = self._first_hour + _lowest_bit(missing)
        try:
            candles = await self._source.candles(symbol, now_ms // HOUR_MS - oldest + 1, patient=True)
        except VenueError as error:
            past.fault = str(error)
            raise
        if self._pasts.get(symbol) is not past or not self._is_current(target):
            return
        new = [candle for candle in candles if candle.closed and not self._knows(past, candle.open_ms)]
        self._detection.learn_hours(target, symbol, new)
        self.store.keep_hours(target, new)
        self._know(past, [candle.open_ms for candle in new])
        past.answered, past.fault = True, ""
        if self._missing(past, now_ms):
            past.pause_ms = min(max(AGAIN_MS, 2 * past.pause_ms), LONGEST_AGAIN_MS)
            past.again_ms = now_ms + past.pause_ms
        else:
            past.again_ms = past.pause_ms = 0
        self._tell_asked_of(target, symbol, past)

    async def _ask_prices(self, target: VenueBook, symbol: str) -> None:
        past, now_ms = self._pasts.get(symbol), self._clock()
        if past is None or not self._is_current(target):
            return
        past.prices_again_ms = now_ms + RETRY_MS
        prices = await self._source.past_prices(symbol, PRICE_MINUTES)
        if self._pasts.get(symbol) is past and self._is_current(target):
            self._detection.learn_prices(target, symbol, prices)
            past.is_priced = True

    async def _ask_payments(self, target: VenueBook, symbol: str) -> None:
        past, now_ms = self._pasts.get(symbol), self._clock()
        if past is None or not self._is_current(target):
            return
        past.payments_again_ms = now_ms + RETRY_MS
        most = target.venue.payments_a_request
        interval_ms = past.row.instrument.funding_interval_hours * HOUR_MS
        # From the newest that is known on, which tells over how long the one after it was.
        since_ms = max(past.paid_ms, now_ms - min(_KEPT_MS, (most - 1) * interval_ms))
        payments = await self._source.funding_payments(symbol, since_ms)
        if self._pasts.get(symbol) is not past or not self._is_current(target):
            return
        before_ms = past.paid_ms
        self._learn_payments(target, symbol, payments)
        self.store.keep_payments(target, symbol, [payment for payment in payments if payment.paid_ms > before_ms])
        # An exchange that has more than fits into an answer is asked for the rest.
        more = len(payments) >= most and past.paid_ms > before_ms
        past.payments_again_ms = 0 if more else now_ms + PAYMENTS_AGAIN_MS

    def _learn_payments(self, target: VenueBook, symbol: str, payments: Sequence[Payment]) -> None:
        past = self._pasts.get(symbol)
        if past is None or not payments:
            return
        interval_hours = past.row.instrument.funding_interval_hours
        if len(payments) > 1:
            interval_hours = nearest_interval(payments[1].paid_ms - payments[0].paid_ms)
        self._detection.learn_payments(target, symbol, payments, interval_hours)
        past.paid_ms = max(past.paid_ms, payments[-1].paid_ms)

    def _owes_prices(self, past: _Past, now_ms: int) -> bool:
        """Whether the prices of before the start are of use: only the liquid ones' quadrants are told, for an hour."""
        return (
            past.row.liquid
            and not past.is_priced
            and now_ms >= past.prices_again_ms
            and now_ms < self._since_ms + HOUR_MS
        )

    def _owes_payments(self, past: _Past, now_ms: int) -> bool:
        if now_ms < past.payments_again_ms or past.paid_ms >= now_ms - PAYMENTS_AGE_MS:
            return False
        instrument = past.row.instrument
        # A contract that was listed just now has paid nothing yet.
        return instrument.listed_ms is None or now_ms >= instrument.listed_ms + (
            instrument.funding_interval_hours * HOUR_MS
        )

    async def _save(self) -> None:
        try:
            await self.store.flush()
        except DatabaseError as error:
            if not self._saving_fails:
                logger.warning("hours are kept later: %s", error)
            self._saving_fails = True
        else:
            self._saving_fails = False

    def _rows(self, target: VenueBook) -> list[Row]:
        """The contracts on crypto, the largest first; `_pasts` holds these, in this order."""
        rows = [row for row in target.ranked() if row.instrument.is_crypto]
        former, self._pasts = self._pasts, {}
        for row in rows:
            past = former.get(row.instrument.symbol)
            self._pasts[row.instrument.symbol] = past if past is not None and past.row is row else _Past(row)
        return rows

    def _know(self, past: _Past | None, hours_ms: Sequence[int]) -> None:
        if past is None:
            return
        for open_ms in hours_ms:
            bit = open_ms // HOUR_MS - self._first_hour
            if bit >= 0:
                past.hours |= 1 << bit

    def _knows(self, past: _Past, open_ms: int) -> bool:
        bit = open_ms // HOUR_MS - self._first_hour
        # What is older than the first hour is not compared with.
        return bit < 0 or bool(past.hours >> bit & 1)

    def _end(self, now_ms: int) -> int:
        """The bit after the newest whole hour that should be known."""
        return now_ms // HOUR_MS - (now_ms % HOUR_MS < LATE_MS) - self._first_hour

    def _missing(self, past: _Past, now_ms: int) -> int:
        """The whole hours that should be known and are not, as bits."""
        end = self._end(now_ms)
        first = now_ms // HOUR_MS - WANTED_HOURS - self._first_hour
        listed_ms = past.row.instrument.listed_ms
        if listed_ms is not None:
            first = max(first, -(-listed_ms // HOUR_MS) - self._first_hour)
        first = max(first, 0)
        return 0 if first >= end else (1 << end) - (1 << first) & ~past.hours

    def _owed(self, past: _Past, now_ms: int) -> int:
        """Those of the latest hours that are still to be asked for, as bits.

        What an answer did not bring is asked for again after a pause, but is not counted on.
        """
        latest = max(0, now_ms // HOUR_MS - self._first_hour - RECENT_HOURS - 1)
        return 0 if past.pause_ms else self._missing(past, now_ms) >> latest << latest

    def _why(self, past: _Past | None, row: Row, now_ms: int) -> str:
        if self._detection.runner is None or past is None:
            return "the detectors have not begun"
        if past.fault:
            return f"is asked for again: {past.fault}"
        if not past.answered and self._missing(past, now_ms):
            return "not asked for yet"
        if self._has_recent_hours(past, now_ms) and self._owed(past, now_ms):
            known = self._recent_hours(past, now_ms)
            return f"{known} of the last {RECENT_HOURS} hours are known, the others are asked for"
        if self._has_recent_hours(past, now_ms):
            return "hardly anything was traded"
        told = f"{self._recent_hours(past, now_ms)} of {LEAST_RECENT_HOURS} hours are known"
        return f"new: {told}" if _is_new(row, now_ms) else told

    def _recent_hours(self, past: _Past, now_ms: int) -> int:
        """How many of the hours that a baseline needs are known."""
        end = now_ms // HOUR_MS - self._first_hour
        return (past.hours >> max(0, end - RECENT_HOURS) & (1 << RECENT_HOURS) - 1).bit_count()

    def _has_recent_hours(self, past: _Past | None, now_ms: int) -> bool:
        return past is not None and self._recent_hours(past, now_ms) >= LEAST_RECENT_HOURS


def _is_new(row: Row, now_ms: int) -> bool:
    listed_ms = row.instrument.listed_ms
    return listed_ms is not None and now_ms < listed_ms + NEW_MS


def _lowest_bit(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _parts(symbols: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(symbols), size):
        yield symbols[at : at + size]
