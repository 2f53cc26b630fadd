"""Two jobs of the engine: what the price did after each signal, and what that sums up to."""

from __future__ import annotations

from collections.abc import Callable

from sqlmodel import Session

from flashcur.engine.live_market import LiveMarket
from flashcur.services.alerts import outcomes
from flashcur.services.alerts.statistics import purge_demo_statistics, read_statistics, save_statistics
from flashcur.services.storage.database import Database

MOST_BATCHES = 10
"""One run fills in so many batches at most; what is left waits for the next."""
STATISTICS_EVERY_MS = 3_600_000
"""How old statistics may be before they are computed anew."""


class Outcomes:
    """See the module."""

    def __init__(self, market: LiveMarket, database: Database, clock: Callable[[], int]) -> None:
        """`clock` is Unix ms."""
        self._market = market
        self._database = database
        self._clock = clock

    async def fill(self) -> str:
        """Fill in what has become known of the signals that are due; returns what was done. Raises DatabaseError."""
        looked = done = 0
        for _ in range(MOST_BATCHES):
            now_ms = self._clock()
            found = await self._database.run(
                lambda session, now_ms=now_ms: outcomes.look(session, now_ms), readonly=True
            )
            if found:
                # The reading takes long and nobody waits for it; the writing holds SQLite's one lock.
                done += await self._database.run(lambda session, found=found: outcomes.write(session, found))
            looked += len(found)
            if len(found) < outcomes.BATCH:
                break
        return f"{looked} signals looked at, {done} done"

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
