"""Signals on their way into the database: in order, at once, and for as long as it takes.

What detectors found waits here until it is committed; while the database is away it keeps its true times. Episodes wait
behind the signals that were found with them, and a set of contracts behind the signals that it caused; they are written
in one transaction, so that a kill between loses neither. Unique keys make it harmless to write a signal twice.

Nothing is written once the lease is lost: what the next engine sees is its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session

from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.signal import Origin, Signal
from flashcur.engine.publisher import Publisher
from flashcur.engine.write_errors import must_wait
from flashcur.errors import DatabaseError
from flashcur.models import SignalRecord
from flashcur.services.alerts.episodes import save_episodes
from flashcur.services.alerts.signals import store
from flashcur.services.bus.topics import SIGNALS_TOPIC
from flashcur.services.kit.backoff import Backoff
from flashcur.services.lease import LeaseLost, Tenure
from flashcur.services.records.instrument_sets import Contracts, save_set
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

CAPACITY = 50_000
"""Signals kept while the database is away, some 75 MB: what 500 contracts give in weeks."""
BATCH = 500
"""Signals of one transaction."""


@dataclass(frozen=True, slots=True)
class KnownSet:
    """The contracts that the next set is compared with, to be kept."""

    origin: Origin
    contracts: Contracts
    as_of_ms: int
    """Unix ms."""


Writable = Signal | Episode | KnownSet


class SignalWriter:
    """See the module; `run` is its supervised task."""

    def __init__(
        self,
        database: Database,
        tenure: Tenure,
        bus: Publisher,
        *,
        clock: Callable[[], int],
        observe: Callable[[float], None],
    ) -> None:
        """`clock` is Unix ms; `observe` gets the seconds from each signal's message to its committed row."""
        self._database = database
        self._tenure = tenure
        self._bus = bus
        self._clock = clock
        self._observe = observe
        self._queue: deque[Writable] = deque()
        self._writing: list[Writable] = []
        self._news = asyncio.Event()
        self._told = asyncio.Event()
        self._last_id = 0
        self.is_held_up = False
        """Whether the database did not take what was tried last."""
        self.stored = 0
        """Signals written; those that were there already are not counted."""
        self.dropped = 0
        """Signals that gave way to newer ones, or that the database refuses."""

    @property
    def waiting(self) -> int:
        """Signals, episodes and sets that are not committed yet."""
        return len(self._writing) + len(self._queue)

    def waiting_of(self, origin: Origin) -> list[Signal]:
        """The signals of `origin` that are not committed yet."""
        return [each for each in (*self._writing, *self._queue) if isinstance(each, Signal) and each.origin == origin]

    def episodes_of(self, origin: Origin) -> list[Episode]:
        """The episodes of `origin` that are not committed yet, in their order."""
        return [each for each in (*self._writing, *self._queue) if isinstance(each, Episode) and each.origin == origin]

    def put(
        self, signals: Sequence[Signal], known: KnownSet | None = None, *, episodes: Sequence[Episode] = ()
    ) -> None:
        """Write `signals` soon, then `episodes`, and then `known`.

        Over `CAPACITY` the oldest are dropped, and signals counted.
        """
        self._queue.extend(signals)
        self._queue.extend(episodes)
        if known is not None:
            self._queue.append(known)
        while len(self._queue) > CAPACITY:
            self._drop(self._queue.popleft(), "the database has been away for too long")
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled, or until the lease is lost."""
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell())
            try:
                await self._write_all()
            finally:
                telling.cancel()

    async def flush(self) -> None:
        """Write what waits, after `run` was ended, where the database takes it."""
        try:
            while self._queue:
                await self._write_batch()
        except (DatabaseError, ProgrammingError, LeaseLost) as error:
            logger.warning("%d signals are left unwritten: %s", self.waiting, error)
        if self._told.is_set():
            await self._publish()

    async def _write_all(self) -> None:
        backoff = Backoff(first_s=0.2, cap_s=3.0)
        while True:
            if not self._queue:
                self._news.clear()
                await self._news.wait()
            try:
                await self._write_batch()
            except LeaseLost:
                return
            except (DatabaseError, ProgrammingError) as error:
                if not backoff.failures:
                    logger.warning("signals wait: %s", error)
                self.is_held_up = True
                await asyncio.sleep(backoff.next_s())
            else:
                if self.is_held_up:
                    logger.info("signals are written again")
                self.is_held_up = False
                backoff.reset()

    async def _write_batch(self) -> None:
        """The oldest that wait, in one transaction; one by one where the database refuses something of it.

        Raises what `must_wait` is of; all that was not written waits on then.
        """
        self._writing = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        try:
            await self._commit(self._writing)
            self._writing = []
        except Exception as error:
            if must_wait(error):
                raise
            await self._write_singly()
        finally:
            self._queue.extendleft(reversed(self._writing))
            self._writing = []

    async def _write_singly(self) -> None:
        while self._writing:
            try:
                await self._commit(self._writing[:1])
            except Exception as error:
                if must_wait(error):
                    raise
                # What cannot be stored must not hold up what follows it.
                self._drop(self._writing[0], str(error))
            del self._writing[0]

    async def _commit(self, batch: Sequence[Writable]) -> None:
        signals = [each for each in batch if isinstance(each, Signal)]
        episodes = [each for each in batch if isinstance(each, Episode)]
        sets = [each for each in batch if isinstance(each, KnownSet)]

        def work(session: Session) -> list[SignalRecord]:
            self._tenure.require()
            new = store(session, signals, self._clock())
            save_episodes(session, episodes)
            for known in sets:
                save_set(session, known.origin, known.contracts, known.as_of_ms)
            self._tenure.require()
            return new

        new = await self._database.run(work)
        now_ms = self._clock()
        self.stored += len(new)
        for record in new:
            self._observe(max(0.0, (now_ms - record.seen_ms) / 1000))
            self._last_id = max(self._last_id, record.id or 0)
        if new:
            self._told.set()

    async def _tell(self) -> None:
        # A bus that is away holds up nothing but itself.
        while True:
            await self._told.wait()
            self._told.clear()
            await self._publish()

    async def _publish(self) -> None:
        await self._bus.publish(SIGNALS_TOPIC, self._last_id, orjson.dumps({"last_id": self._last_id}))

    def _drop(self, lost: Writable, why: str) -> None:
        if isinstance(lost, KnownSet):
            logger.error("the contracts of %s are not kept: %s", lost.origin.exchange, why)
            return
        if isinstance(lost, Episode):
            # The next change of it says more than this one did.
            return
        self.dropped += 1
        if self.dropped == 1 or self.dropped % 1_000 == 0:
            logger.error("%d signals are lost, the last is %s: %s", self.dropped, lost.key, why)
