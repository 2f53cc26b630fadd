"""Reads from the exchange what previews of rules ask for: minutes, or open interest, of one contract.

One at a time, patiently: whatever keeps the market up to date goes first. What is kept already is not asked for again.
The evaluation of rules is told the last day of it: a form that shows a rule's past shows what it measures now, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlmodel import Session

from flashcur.domain.ticks import Candle, OpenInterest
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.errors import DatabaseError, VenueError
from flashcur.services.alerts import past_requests
from flashcur.services.alerts.past_requests import SPAN_MS, Wanted
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import length_ms
from flashcur.services.records.past_series import KEPT, Row, load_series, prune_series, save_series
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often requests are looked for."""
PRUNE_S = 3_600.0
LEARNED_MS = 25 * 3_600_000
"""The longest window of a rule, and an hour."""
TOLD_EVERY = 2
"""After so many of these it is told how far it is, and looked whether anybody still waits."""


class PastSource(Protocol):
    """The part of `MarketSource` that the past needs; see there."""

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]: ...

    async def past_interest(self, symbol: str, first_ms: int, end_ms: int) -> list[OpenInterest]: ...


class Learner(Protocol):
    """The part of `Evaluation` that learns the past; see there."""

    def on_prices(self, book: VenueBook, symbol: str, prices: Sequence[tuple[int, float]]) -> None: ...

    def on_interest(self, book: VenueBook, symbol: str, values: Sequence[tuple[int, float]]) -> None: ...


class PastReader:
    """See the module; `run` is its supervised task."""

    def __init__(
        self, market: LiveMarket, rules: Learner, source: PastSource, database: Database, clock: Callable[[], int]
    ) -> None:
        """`clock` is Unix ms."""
        self._market = market
        self._rules = rules
        self._source = source
        self._database = database
        self._clock = clock
        self._pruned_s: float | None = None

    async def run(self) -> None:
        """Read what is asked for until cancelled; while the database is away, look less and less often."""
        backoff = Backoff(first_s=LOOK_S, cap_s=10.0)
        resumed = False
        while True:
            try:
                if not resumed:
                    # The engine before may have ended in the middle of one.
                    await self._database.run(past_requests.resume)
                    resumed = True
                await self._prune()
                found = await self.step()
            except DatabaseError as error:
                if not backoff.failures:
                    logger.warning("what previews ask for cannot be looked up: %s", error)
                await asyncio.sleep(backoff.next_s())
                continue
            backoff.reset()
            if not found:
                await asyncio.sleep(LOOK_S)

    async def step(self) -> bool:
        """Read one request, if there is one; whether there was. Raises DatabaseError."""
        target = self._market.target
        if target is None:
            return False
        wanted = await self._database.run(
            lambda session: past_requests.take(session, target.venue.id, demo=target.demo)
        )
        if wanted is None:
            return False
        try:
            await self._read(target, wanted)
        except VenueError as error:
            problem = f"The exchange did not answer: {error}"
            await self._database.run(lambda session: past_requests.end(session, wanted.id, problem))
        return True

    async def _read(self, target: VenueBook, wanted: Wanted) -> None:
        if wanted.symbol not in target.book:
            problem = f"{target.venue.name} does not trade {wanted.symbol[:40]}."
            await self._database.run(lambda session: past_requests.end(session, wanted.id, problem))
            return
        rows = await self._known(target, wanted)
        begin_ms = rows[-1][0] + 1 if rows else wanted.first_ms
        step_ms = 60_000 if wanted.kind == "minutes" else 300_000
        begin_ms = -(-begin_ms // step_ms) * step_ms
        spans = [
            (first_ms, min(first_ms + SPAN_MS[wanted.kind], wanted.until_ms))
            for first_ms in range(begin_ms, wanted.until_ms, SPAN_MS[wanted.kind])
        ]
        for number, (first_ms, end_ms) in enumerate(spans):
            rows += await self._ask(wanted, first_ms, end_ms)
            if number % TOLD_EVERY == 0:
                share = (number + 1) / len(spans)
                if not await self._database.run(
                    lambda session, share=share: past_requests.note(session, wanted.id, share)
                ):
                    return
        self._tell(target, wanted, rows)
        now_ms = self._clock()

        def save(session: Session) -> None:
            save_series(
                session,
                target.venue.id,
                wanted.symbol,
                wanted.kind,
                rows,
                demo=target.demo,
                first_ms=wanted.first_ms,
                until_ms=wanted.until_ms,
                now_ms=now_ms,
            )
            past_requests.end(session, wanted.id)

        await self._database.run(save)

    async def _known(self, target: VenueBook, wanted: Wanted) -> list[Row]:
        """What is kept of it from its beginning on, without a gap up to its own end."""
        kept = await self._database.run(
            lambda session: load_series(session, target.venue.id, wanted.symbol, wanted.kind, demo=target.demo),
            readonly=True,
        )
        if kept is None or not kept.first_ms <= wanted.first_ms <= kept.until_ms:
            return []
        return [row for row in kept.rows if wanted.first_ms <= row[0] < wanted.until_ms]

    async def _ask(self, wanted: Wanted, first_ms: int, end_ms: int) -> Sequence[Row]:
        if wanted.kind == "minutes":
            candles = await self._source.minutes(wanted.symbol, first_ms, end_ms)
            return [(each.open_ms, each.high, each.low, each.close, each.volume_quote) for each in candles]
        values = await self._source.past_interest(wanted.symbol, first_ms, end_ms)
        return [(each.event_ms, each.contracts, each.contracts, each.contracts, 0.0) for each in values]

    def _tell(self, target: VenueBook, wanted: Wanted, rows: Sequence[Row]) -> None:
        """Have rules know what their windows begin with; what is newer than the newest price they see themselves."""
        row = target.book.row(wanted.symbol)
        if row is None or row.ticker is None:
            return
        until_ms, step_ms = row.ticker.event_ms, 60_000 if wanted.kind == "minutes" else 0
        # The close of a minute is the price at its end.
        values = [(at_ms + step_ms, close) for at_ms, _, _, close, _ in rows if at_ms >= until_ms - LEARNED_MS]
        learn = self._rules.on_prices if wanted.kind == "minutes" else self._rules.on_interest
        learn(target, wanted.symbol, [value for value in values if value[0] <= until_ms])

    async def _prune(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._pruned_s is not None and now_s < self._pruned_s + PRUNE_S:
            return
        now_ms = self._clock()

        def prune(session: Session) -> None:
            prune_series(session, now_ms - length_ms(KEPT))
            past_requests.prune_requests(session, now_ms)

        await self._database.run(prune)
        self._pruned_s = now_s
