"""Who is the one active engine: a lease that is held, kept and, one day, lost.

    async with lease.hold() as tenure:      # waits for as long as another one is in office
        bus.epoch = tenure.epoch
        ...                                 # work until tenure.lost is set, then leave at once

A holder that dies without a word is replaced within TAKEOVER_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from flashcur.services.kit.backoff import Backoff

logger = logging.getLogger(__name__)

TAKEOVER_S = 10.0
"""Seconds within which a holder that died is replaced."""
POLL_S = 0.5
"""How often a standby asks whether the lease is free."""
RELEASE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Tenure:
    """One time in office."""

    epoch: int
    """Larger than that of every tenure before it, on any machine; fences what a former engine still sends."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the lease could not be kept: another engine may be in office from now on."""

    def require(self) -> None:
        """Raise LeaseLost once the lease is lost: nothing more is to be written."""
        if self.lost.is_set():
            raise LeaseLost


class LeaseLost(Exception):
    """The lease is lost: another engine may be in office."""

    def __str__(self) -> str:
        return "the lease is lost"


class LeaseUnavailable(Exception):
    """What keeps the lease cannot be reached; the text says why."""


class Lease(ABC):
    """Implemented on a file, on PostgreSQL and on Redis. One object is used by one task at a time."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        """The epoch of the tenure held now; None on standby."""

    @property
    def held(self) -> bool:
        """Whether this object is in office now."""
        return self.epoch is not None

    @asynccontextmanager
    async def hold(self) -> AsyncGenerator[Tenure]:
        """Wait until the lease is ours, keep it for as long as the block runs, then give it back.

        While whatever keeps the lease is away it waits on. A lease that is lost raises nothing: `Tenure.lost` is set.
        """
        try:
            tenure = Tenure(await self._acquire())
        except BaseException:
            await self._give_back()
            raise
        self.epoch = tenure.epoch
        logger.info("this process is the active engine, epoch %d", tenure.epoch)
        keeper = asyncio.create_task(self._keep_until_lost(tenure), name="lease keeper")
        try:
            yield tenure
        finally:
            self.epoch = None
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self._give_back()

    async def _give_back(self) -> None:
        # What cannot be given back ends by itself.
        with contextlib.suppress(LeaseUnavailable, TimeoutError):
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._release()

    async def _acquire(self) -> int:
        backoff = Backoff(first_s=POLL_S, cap_s=2.0)
        while True:
            try:
                epoch = await self._try_acquire()
            except LeaseUnavailable as error:
                if not backoff.failures:
                    logger.warning("no engine can be elected: %s", error)
                await asyncio.sleep(backoff.next_s())
                continue
            backoff.reset()
            if epoch is not None:
                return epoch
            await asyncio.sleep(POLL_S)

    async def _keep_until_lost(self, tenure: Tenure) -> None:
        try:
            await self._keep()
        except LeaseUnavailable as error:
            logger.error("this process is no longer the active engine: %s", error)
        except asyncio.CancelledError:
            raise
        except Exception:
            # Not knowing is as good as having lost it.
            logger.exception("the lease could not be kept")
        self.epoch = None
        tenure.lost.set()

    @abstractmethod
    async def _try_acquire(self) -> int | None:
        """The epoch when the lease is ours now, None when another one holds it. May raise LeaseUnavailable."""

    @abstractmethod
    async def _keep(self) -> None:
        """Run while the lease is held; return or raise LeaseUnavailable when it is lost."""

    @abstractmethod
    async def _release(self) -> None:
        """Give the lease back if it is ours, and close what was opened. May raise LeaseUnavailable."""
