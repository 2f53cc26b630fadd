"""The detectors on the live market: each tick that the book took goes in, signals go to the writer.

Each book has a runner of its own, so what two exchanges traded never meets. A runner begins once the stored signals of
the past days, the stored episodes and the last set of contracts are read; while the database is away it waits, and
frames go on. What the book holds by then is judged again: what happened in between is told, and nothing twice. Hours
that were over before the exchange was ever watched are history and no news. An
exchange that goes on in the book it had goes on with its runner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Protocol

from sqlmodel import Session

from flashcur.domain.ages import allowance
from flashcur.domain.book import Row
from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.signals.runner import RESUME_MS, Runner
from flashcur.domain.signals.signal import Origin, Signal
from flashcur.domain.spikes import SpikeRule
from flashcur.domain.ticks import Candle, Instrument, Tick
from flashcur.engine.detector_figures import DetectorFigures
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.engine.signal_writer import KnownSet, SignalWriter
from flashcur.errors import DatabaseError
from flashcur.models import SignalRecord
from flashcur.services.alerts.episodes import load_episodes
from flashcur.services.alerts.signals import signal_of, since
from flashcur.services.kit.backoff import Backoff
from flashcur.services.records.instrument_sets import Contracts, contracts_of, instruments_of, load_set, watched_since
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

STEP_S = 1.0
"""How often the runner is told that time has passed."""
HOURLY = ("volume_spike", "adaptive_spike")
"""Detectors of whole hours."""
_SAY_AGAIN = 10_000
"""A failure of a detector is logged at first and each time after so many more."""


class Follower(Protocol):
    """Is told what detectors found and learned, at once. Must not block, nor raise."""

    def on_signals(self, book: VenueBook, signals: Sequence[Signal]) -> None:
        """Signals that were found just now on a book."""
        ...

    def on_prices(self, book: VenueBook, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        """A contract's prices of the past hour, (Unix ms, USDT) in order of time."""
        ...


class Watcher(Protocol):
    """Who has the detectors of the book that is being filled: `Detection`, for those who ask them."""

    @property
    def runner(self) -> Runner | None:
        """See `Detection.runner`."""
        ...


class Detection:
    """See the module; `run` is its supervised task."""

    def __init__(
        self,
        market: LiveMarket,
        writer: SignalWriter,
        database: Database,
        rule: SpikeRule,
        *,
        clock: Callable[[], int],
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        """`rule` is the canonical spike's; `clock` is Unix ms, `timer` seconds. Observes `market` from now on."""
        self._market = market
        self._writer = writer
        self._database = database
        self._rule = rule
        self._clock = clock
        self._timer = timer
        self._book: VenueBook | None = None
        self._runner: Runner | None = None
        self._runners: dict[VenueBook, Runner] = {}
        self._saved: dict[Origin, Contracts] = {}
        self._since_ms: dict[Origin, int] = {}
        """When each exchange was watched for the first time, Unix ms."""
        self._news = asyncio.Event()
        self._backoff = Backoff(first_s=0.5, cap_s=5.0)
        self._gone = DetectorFigures()
        self._followers: tuple[Follower, ...] = ()
        self.failures = 0
        """Ticks at which a detector raised, which would be a defect of it."""
        market.observe(self)

    def follow(self, follower: Follower) -> None:
        """Have `follower` told from now on."""
        self._followers = (*self._followers, follower)

    @property
    def runner(self) -> Runner | None:
        """Of the book that is being filled; None before the first, or until its stored signals are read."""
        return self._runner

    @property
    def is_waiting(self) -> bool:
        """Whether the stored signals could not be read when it was last tried."""
        return self._backoff.failures > 0

    @property
    def figures(self) -> DetectorFigures:
        """What all detectors did in this time in office."""
        total = DetectorFigures()
        total.add(self._gone)
        for runner in self._runners.values():
            total.add_runner(runner)
        return total

    def is_ready(self, symbol: str, now_ms: int) -> bool:
        """Whether the contract has all that its detectors compare with, at `now_ms` (Unix ms)."""
        return self._runner is not None and self._runner.is_ready(symbol, now_ms)

    def learn_hours(self, book: VenueBook, symbol: str, candles: Sequence[Candle]) -> None:
        """Learn past whole hours of a contract; does nothing if `book` is not the one that is being filled."""
        if (runner := self._of(book)) is not None:
            self._give(runner, runner.fill(symbol, candles))

    def learn_volumes(self, book: VenueBook, symbol: str, hours: Sequence[tuple[int, float]]) -> None:
        """`learn_hours` from (beginning of the hour in Unix ms, quote volume in USDT)."""
        if (runner := self._of(book)) is not None:
            self._give(runner, runner.fill_volumes(symbol, hours))

    def learn_asked(self, book: VenueBook, symbol: str, until_ms: int) -> None:
        """The exchange has no more of the contract's hours that begin before `until_ms` (Unix ms) than were learned."""
        if (runner := self._of(book)) is not None:
            self._give(runner, runner.history_asked(symbol, until_ms))

    def learn_payments(self, book: VenueBook, symbol: str, payments: Sequence[Payment], interval_hours: int) -> None:
        """Learn past funding payments of a contract, oldest first; `interval_hours` is that of the first one."""
        if (runner := self._of(book)) is not None:
            runner.fill_funding(symbol, payments, interval_hours)

    def learn_prices(self, book: VenueBook, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        """Learn a contract's prices of the past hour, (Unix ms, USDT) in order of time."""
        if (runner := self._of(book)) is not None:
            runner.fill_prices(symbol, prices)
        for follower in self._followers:
            follower.on_prices(book, symbol, prices)

    def on_book(self, book: VenueBook) -> None:
        """See `Observer.on_book`."""
        self._book = book
        self._runner = self._runners.get(book)
        for other in list(self._runners):
            # The book that is shown may yet go on; any other is gone.
            if other is not book and other is not self._market.shown:
                self._gone.add_runner(self._runners.pop(other))
        self._backoff.reset()
        self._news.set()

    def on_instruments(self, book: VenueBook, instruments: Sequence[Instrument]) -> None:
        """See `Observer.on_instruments`."""
        runner = self._of(book)
        if runner is None:
            return
        now_ms = self._clock()
        try:
            found = runner.observe_instruments(instruments, now_ms)
        except Exception:
            self._failed()
            return
        contracts = contracts_of(runner.listings.known)
        if contracts == self._saved.get(book.origin):
            self._give(runner, found)
            return
        self._saved[book.origin] = contracts
        known = KnownSet(book.origin, contracts, now_ms)
        self._give(runner, found, known)

    def on_tick(self, book: VenueBook, tick: Tick) -> None:
        """See `Observer.on_tick`."""
        runner = self._runner
        if runner is None or book is not self._book:
            return
        try:
            found = runner.observe(tick)
        except Exception:
            # The market goes on without its detectors, never the other way round.
            self._failed()
            return
        self._give(runner, found)

    async def run(self) -> None:
        """Begin with each new book, and tell the runner each second that time has passed; until cancelled."""
        while True:
            self._news.clear()
            pause_s = STEP_S
            if self._book is not None and self._runner is None:
                pause_s = await self._try_to_begin(self._book)
            self.step(self._clock())
            try:
                async with asyncio.timeout(pause_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    def step(self, now_ms: int) -> None:
        """Time has passed, to `now_ms` (Unix ms)."""
        if self._runner is None:
            return
        try:
            found = self._runner.step(now_ms)
        except Exception:
            self._failed()
            return
        self._give(self._runner, found)

    async def begin(self, book: VenueBook) -> None:
        """Make the book's runner, as it was before a restart, and judge what is in the book. Raises DatabaseError."""
        origin = book.origin
        # What waits now is in the database or still waits when that has been read.
        waiting, turning = self._writer.waiting_of(origin), self._writer.episodes_of(origin)
        first_ms = self._clock() - RESUME_MS

        def read(session: Session) -> tuple[list[SignalRecord], list[Episode], Contracts, int | None]:
            records = since(session, origin.exchange, demo=origin.demo, first_ms=first_ms)
            return records, load_episodes(session, origin), load_set(session, origin), watched_since(session, origin)

        records, episodes, contracts, since_ms = await self._database.run(read, readonly=True)
        told = await asyncio.to_thread(_signals, records)
        if book is not self._book:
            return
        if since_ms is None and origin not in self._since_ms:
            # Signals without a set tell that it was watched before.
            since_ms = 0 if told or waiting else self._clock()
        if since_ms is not None:
            self._since_ms[origin] = since_ms
        runner = Runner(origin, book.book, rule=self._rule, timer=self._timer, asks_history=True)
        runner.resume([*told, *waiting], [*episodes, *turning])
        try:
            runner.listings.restore(instruments_of(contracts))
            self._saved[origin] = contracts
        except ValueError as error:
            logger.warning("the contracts of before are not known: %s", error)
        self._runners[book] = self._runner = runner
        logger.info("detectors watch %s, with %d signals of before", book.venue.name, len(told) + len(waiting))
        self._catch_up(book)

    async def _try_to_begin(self, book: VenueBook) -> float:
        """`begin`; seconds until it is to be tried again, or until the next step."""
        try:
            await self.begin(book)
        except DatabaseError as error:
            if not self._backoff.failures:
                logger.warning("detectors wait: %s", error)
            return self._backoff.next_s()
        self._backoff.reset()
        return STEP_S

    def _catch_up(self, book: VenueBook) -> None:
        """Judge what came while the stored signals were read."""
        if not len(book.book):
            return
        self.on_instruments(book, [row.instrument for row in book.book])
        now_ms = self._clock()
        for row in book.book:
            for tick in values_of(book, row, now_ms):
                self.on_tick(book, tick)

    def _of(self, book: VenueBook) -> Runner | None:
        return self._runner if book is self._book else None

    def _give(self, runner: Runner, found: Sequence[Signal], known: KnownSet | None = None) -> None:
        if not found and known is None and not runner.has_turned:
            return
        news = self._news_of(found)
        self._writer.put(news, known, episodes=runner.take_turned())
        if self._book is not None and news:
            for follower in self._followers:
                follower.on_signals(self._book, news)

    def _news_of(self, found: Sequence[Signal]) -> Sequence[Signal]:
        """What is not of an hour that was over before its exchange was watched for the first time."""
        return [
            signal
            for signal in found
            if signal.detector not in HOURLY or signal.period_ms + signal.span_ms > self._since_ms.get(signal.origin, 0)
        ]

    def _failed(self) -> None:
        self.failures += 1
        if self.failures % _SAY_AGAIN == 1:
            logger.exception("a detector failed, %d times so far", self.failures)


def values_of(book: VenueBook, row: Row, now_ms: int) -> list[Tick]:
    """The values of a contract that still tell of the present, the hours in their order."""
    values: list[Tick] = [tick for tick in (row.ticker, row.previous_hour, row.candle) if tick is not None]
    if row.funding is not None and (book.book.age_ms(row, "funding", now_ms) or 0) <= allowance("funding").ms:
        values.append(row.funding)
    age_ms = book.book.age_ms(row, "open_interest", now_ms)
    if row.open_interest is not None and (age_ms or 0) <= allowance("open_interest").limit_ms(row.liquid):
        values.append(row.open_interest)
    return values


def _signals(records: Sequence[SignalRecord]) -> list[Signal]:
    found: list[Signal] = []
    for record in records:
        try:
            found.append(signal_of(record))
        except ValueError as error:
            logger.warning("the stored signal %s is of another version: %s", record.key, error)
    return found
