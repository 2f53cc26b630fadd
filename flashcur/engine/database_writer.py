"""Database work of the engine that nothing waits for: marks, listings, runs of jobs.

Done one after another, tried again while the database is away. Frames go on in the meantime.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from sqlmodel import Session

from flashcur.errors import DatabaseError
from flashcur.services.kit.backoff import Backoff
from flashcur.services.storage.database import Database

logger = logging.getLogger(__name__)

CAPACITY = 1_000
"""Pieces of work kept while the database is away; the oldest give way."""

Work = Callable[[Session], object]


class WriteQueue(Protocol):
    """Takes work for the database that must not hold up the frames."""

    def write(self, key: str, work: Work) -> None:
        """Do `work` soon; a later one of the same key may stand in for it."""
        ...


class DatabaseWriter:
    """A queue in front of the database; `run` is its supervised task."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, Work] = {}
        self._news = asyncio.Event()
        self.dropped = 0
        """Pieces of work that gave way to newer ones."""

    def write(self, key: str, work: Work) -> None:
        """Do `work` soon, in a session of its own; work of the same key that still waits is replaced by it.

        Returns at once and raises nothing. Over `CAPACITY` the oldest work is dropped and counted.
        """
        self._waiting.pop(key, None)
        self._waiting[key] = work
        while len(self._waiting) > CAPACITY:
            self._waiting.pop(next(iter(self._waiting)))
            self.dropped += 1
        self._news.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits or is being written."""
        return not self._waiting

    async def run(self) -> None:
        """Work through the queue until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._drain()

    async def _drain(self) -> None:
        backoff = Backoff(first_s=0.5, cap_s=5.0)
        while self._waiting:
            key, work = next(iter(self._waiting.items()))
            try:
                await self._database.run(work)
            except DatabaseError as error:
                if not backoff.failures:
                    logger.warning("%s: what is to be written waits", error)
                await asyncio.sleep(backoff.next_s())
                continue
            except Exception:
                # Work that cannot be done must not hold up what follows it.
                logger.exception("%s could not be written", key)
            backoff.reset()
            if self._waiting.get(key) is work:
                del self._waiting[key]
