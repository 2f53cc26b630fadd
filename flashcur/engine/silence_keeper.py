"""Keeps the ledger of silence: each second what the detectors see of each contract, each ten seconds into the database.

Every exchange that was ever watched has a ledger of its own: while another one serves, it is blind for that. After a
restart a ledger goes on where it was saved, and the time between is told as time without an engine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlmodel import Session

from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import Origin
from flashcur.domain.signals.silence import DAY_MS, Day, SilenceLedger
from flashcur.engine.detection import Watcher
from flashcur.engine.live_market import LiveMarket
from flashcur.errors import DatabaseError
from flashcur.services.alerts.silence import KEPT, ledgers, load_days, save_days
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import length_ms
from flashcur.services.lease import LeaseLost, Tenure
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

STEP_S = 1.0
SAVE_EVERY_MS = 10_000

_REMEMBERED_MS = 2 * DAY_MS
"""Older days are in the database and change no more."""


@dataclass(frozen=True, slots=True)
class _Saving:
    """What of one ledger is to be written."""

    origin: Origin
    until_ms: int
    watched: list[Day]
    left: list[Day]
    """Of contracts that are gone: nothing goes on from these."""


class SilenceKeeper:
    """See the module; `run` is its supervised task."""

    def __init__(
        self,
        market: LiveMarket,
        detection: Watcher,
        database: Database,
        tenure: Tenure,
        *,
        clock: Callable[[], int],
    ) -> None:
        """`clock` is Unix ms. The time before now, as far as it is not accounted for, was one without an engine."""
        self._market = market
        self._detection = detection
        self._database = database
        self._tenure = tenure
        self._clock = clock
        self._began_ms = clock()
        self._ledgers: dict[Origin, SilenceLedger] | None = None
        self._served = False
        """Whether any exchange has been watched in this time in office."""
        self._saved: dict[Origin, dict[tuple[str, int], Day]] = {}
        self._saved_ms = 0

    async def run(self) -> None:
        """Keep the ledgers until cancelled, or until the lease is lost."""
        await self._begin()
        failing = False
        while True:
            now_ms = self._clock()
            self.step(now_ms)
            if not 0 <= now_ms - self._saved_ms < SAVE_EVERY_MS:
                self._saved_ms = now_ms
                try:
                    await self.save()
                    failing = False
                except LeaseLost:
                    return
                except DatabaseError as error:
                    if not failing:
                        logger.warning("how complete signals are is not saved: %s", error)
                    failing = True
            await asyncio.sleep(STEP_S)

    async def restore(self) -> None:
        """Go on from what is stored. Raises DatabaseError."""
        began_ms = self._began_ms

        def read(session: Session) -> dict[Origin, tuple[list[Day], int]]:
            return {
                Origin(exchange, demo): load_days(session, exchange, demo=demo) for exchange, demo in ledgers(session)
            }

        stored = await self._database.run(read, readonly=True)
        found: dict[Origin, SilenceLedger] = {}
        kept_ms = length_ms(KEPT)
        for origin, (days, until_ms) in stored.items():
            if until_ms < began_ms - kept_ms:
                continue
            found[origin] = ledger = SilenceLedger()
            ledger.restore(days, until_ms, began_ms)
        self._ledgers = found

    def step(self, now_ms: int) -> None:
        """Time has passed, to `now_ms` (Unix ms)."""
        known = self._ledgers
        if known is None:
            return
        target, runner = self._market.target, self._detection.runner
        if target is None:
            for ledger in known.values():
                ledger.blind(now_ms, "stale")
            return
        if not target.demo:
            for origin in [origin for origin in known if origin.demo]:
                del known[origin]
                self._saved.pop(origin, None)
        for origin, ledger in known.items():
            if origin != target.origin:
                ledger.blind(now_ms, "switch")
        # Until its past is read a book has no runner, and until its contracts are known there is nothing to see.
        if runner is not None and runner.origin == target.origin and len(target.book):
            self._look(known, runner, now_ms)

    def _look(self, known: dict[Origin, SilenceLedger], runner: Runner, now_ms: int) -> None:
        sights = runner.sights(now_ms)
        symbols = {sight.symbol for sight in sights}
        ledger = known.get(runner.origin)
        if ledger is None:
            ledger = known[runner.origin] = SilenceLedger()
            # Its contracts were there before, and nobody looked.
            ledger.begin(symbols, now_ms, "switch" if self._served else "not_begun")
        self._served = True
        if ledger.watched != symbols:
            ledger.leave([symbol for symbol in list(ledger.watched) if symbol not in symbols], now_ms)
            ledger.begin(symbols, now_ms)
        ledger.step(now_ms, sights)

    async def save(self) -> None:
        """Write down what has changed since the last time. Raises DatabaseError, and LeaseLost."""
        if self._ledgers is None:
            return
        current = {origin: {_key(day): day for day in ledger.days()} for origin, ledger in self._ledgers.items()}
        changed = [
            _changed(origin, self._ledgers[origin], days, self._saved.get(origin, {}))
            for origin, days in current.items()
        ]

        def write(session: Session) -> None:
            for each in changed:
                self._tenure.require()
                where = each.origin
                save_days(session, where.exchange, each.watched, demo=where.demo, until_ms=each.until_ms)
                save_days(session, where.exchange, each.left, demo=where.demo, until_ms=each.until_ms - 1)
            self._tenure.require()

        if not any(each.watched or each.left for each in changed):
            return
        await self._database.run(write)
        self._saved = current
        for ledger in self._ledgers.values():
            ledger.prune(ledger.until_ms - _REMEMBERED_MS)

    async def flush(self) -> None:
        """Write down all there is, after `run` was ended, where the database takes it."""
        try:
            await self.save()
        except (DatabaseError, LeaseLost) as error:
            logger.warning("how complete signals are is not saved: %s", error)

    async def _begin(self) -> None:
        backoff = Backoff(first_s=0.5, cap_s=5.0)
        while self._ledgers is None:
            try:
                await self.restore()
            except DatabaseError as error:
                if not backoff.failures:
                    logger.warning("how complete signals are cannot be read: %s", error)
                await asyncio.sleep(backoff.next_s())


def _key(day: Day) -> tuple[str, int]:
    return day.symbol, day.day_ms


def _changed(
    origin: Origin, ledger: SilenceLedger, days: Mapping[tuple[str, int], Day], saved: Mapping[tuple[str, int], Day]
) -> _Saving:
    new = [day for key, day in days.items() if saved.get(key) != day]
    watched = ledger.watched
    return _Saving(
        origin,
        ledger.until_ms,
        [day for day in new if day.symbol in watched],
        [day for day in new if day.symbol not in watched],
    )
