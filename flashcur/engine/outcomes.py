"""Two jobs of the engine: what the price did after each signal and each alert, and what signals sum up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlmodel import Session

from flashcur.domain.signals.outcomes import HORIZONS_H
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.engine.polling import each
from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited, VenueUnavailable
from flashcur.services.alerts import alert_outcomes, outcomes
from flashcur.services.alerts.outcomes import Due, Found
from flashcur.services.alerts.statistics import purge_demo_statistics, read_statistics, save_statistics
from flashcur.services.storage.database import Database

MOST_BATCHES = 10
"""One run looks at so many batches at most; what is left waits for the next."""
REQUESTS_A_RUN = 60
"""A run each minute asks for so many stretches of minutes at most."""
PARALLEL = 3
MOST_SPANS = len(HORIZONS_H)
"""Requests for one signal at most."""
A_PART = 20
"""After so many requests, what was found is written down."""
START_MS = HOUR_MS
"""So long after its start, an engine does not conclude that an exchange has gone for good: it may be the network."""
STATISTICS_EVERY_MS = 3_600_000
"""How old statistics may be before they are computed anew."""


Look = Callable[[Session, int], list[Due]]
"""What is due at a moment, Unix ms."""
Write = Callable[[Session, Sequence[Found]], int]
"""Writes down what was found; how many are done."""


class MinuteSource(Protocol):
    """The part of `MarketSource` that outcomes need; see there."""

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]: ...


class Outcomes:
    """See the module."""

    def __init__(self, market: LiveMarket, source: MinuteSource, database: Database, clock: Callable[[], int]) -> None:
        """`clock` is Unix ms."""
        self._market = market
        self._source = source
        self._database = database
        self._clock = clock
        self._started_ms = clock()

    async def fill(self) -> str:
        """Fill in what can be known of the signals and alerts that are due; returns what was done.

        Raises DatabaseError, and VenueBlocked or VenueRateLimited: what was not asked for stays due.
        """
        if self._market.target is None and self._is_new(self._clock()):
            return "no exchange serves yet"
        looked, done, left = await self._fill(outcomes.look, outcomes.write, REQUESTS_A_RUN)
        alerts, alerts_done, left = await self._fill(alert_outcomes.look, alert_outcomes.write, left)
        told = f"{looked} signals looked at, {done} done"
        if alerts:
            told = f"{told}, {alerts} alerts looked at, {alerts_done} done"
        return f"{told}, {REQUESTS_A_RUN - left} requests"

    async def _fill(self, look: Look, write: Write, left: int) -> tuple[int, int, int]:
        """(looked at, done, what is left of `left` requests)."""
        looked = done = 0
        for _ in range(MOST_BATCHES):
            now_ms = self._clock()
            due = await self._database.run(lambda session, now_ms=now_ms: look(session, now_ms), readonly=True)
            # The reading takes long and nobody waits for it; the writing holds SQLite's one lock.
            for part in self._parts(due, now_ms, left):
                left -= sum(len(spans) for _, spans in part)
                found = await self._measure(part, now_ms)
                done += await self._database.run(lambda session, found=found: write(session, found))
                looked += len(part)
            if left < MOST_SPANS or len(due) < outcomes.BATCH:
                break
        return looked, done, left

    def _parts(self, due: Sequence[Due], now_ms: int, left: int) -> list[list[_Asked]]:
        """The signals in their order with the minutes to ask for, as many as `left` requests are enough for."""
        target = self._market.target
        parts: list[list[_Asked]] = [[]]
        requests = 0
        for signal in due:
            spans = signal.wanted(now_ms) if _serves(target, signal) else []
            if len(spans) > left:
                break
            left -= len(spans)
            parts[-1].append((signal, spans))
            requests += len(spans)
            if requests >= A_PART:
                parts.append([])
                requests = 0
        return [part for part in parts if part]

    async def _measure(self, part: Sequence[_Asked], now_ms: int) -> list[Found]:
        minutes: dict[int, dict[int, Candle]] = {signal.id: {} for signal, _ in part}
        answered: Counter[int] = Counter()

        async def ask(wanted: tuple[Due, tuple[int, int]]) -> None:
            signal, (first_ms, end_ms) = wanted
            candles = await self._source.minutes(signal.symbol, first_ms, end_ms)
            if not _serves(self._market.target, signal):
                raise VenueUnavailable("another exchange has taken over since the request")
            minutes[signal.id] |= {candle.open_ms: candle for candle in candles}
            answered[signal.id] += 1

        try:
            await each([(signal, span) for signal, spans in part for span in spans], PARALLEL, ask)
        except (VenueBlocked, VenueRateLimited):
            raise
        except VenueError:
            # Each of them is asked for again, ever more rarely.
            pass
        is_new = self._is_new(now_ms)
        return [
            outcomes.found(
                signal,
                minutes[signal.id],
                now_ms,
                waits=is_new and not 0 < len(spans) == answered[signal.id],
            )
            for signal, spans in part
        ]

    def _is_new(self, now_ms: int) -> bool:
        return now_ms < self._started_ms + START_MS

    async def sum_up(self) -> str:
        """Compute the statistics of the exchange that serves, where they are old; returns what was done.

        Those of demo data are forgotten once real data serves. Raises DatabaseError.
        """
        serves = self._market.target
        if serves is None:
            return "no exchange serves"
        exchange, demo, now_ms = serves.venue.id, serves.demo, self._clock()
        last = await self._database.run(lambda session: read_statistics(session, exchange, demo=demo), readonly=True)
        if last is not None and 0 <= now_ms - last.computed_ms < STATISTICS_EVERY_MS:
            return f"{len(last.groups)} groups of signals, known"
        groups = await self._database.run(
            lambda session: outcomes.summaries(session, exchange, demo=demo, now_ms=now_ms), readonly=True
        )

        def save(session: Session) -> None:
            if not demo:
                purge_demo_statistics(session)
            save_statistics(session, exchange, demo=demo, computed_ms=now_ms, groups=groups)

        await self._database.run(save)
        return f"{len(groups)} groups of signals"


_Asked = tuple[Due, list[tuple[int, int]]]
"""A signal and the minutes to ask for: beginning of the first, end of the last, Unix ms."""


def _serves(target: VenueBook | None, signal: Due) -> bool:
    """Whether the exchange that serves is the signal's, and still lists its contract."""
    return (
        target is not None
        and (target.venue.id, target.demo) == (signal.exchange, signal.demo)
        and signal.symbol in target.book
    )
