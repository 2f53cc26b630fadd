"""When the markets of stocks and commodities are closed: asked for now and then, and never waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from flashcur.domain.ticks import Span
from flashcur.errors import VenueError

log = logging.getLogger(__name__)

ASK_EVERY_S = 3600.0
"""An answer tells of a week."""
RETRY_S = 300.0


class TradingHours:
    """The last answer of an exchange that tells trading hours; nothing is closed before the first."""

    def __init__(self, ask: Callable[[], Awaitable[Mapping[str, tuple[Span, ...]]]]) -> None:
        """`ask` returns the times when markets are closed, by the exchange's name of the market; raises VenueError."""
        self._ask = ask
        self._due_at: float | None = None
        self.closed: Mapping[str, tuple[Span, ...]] = {}

    async def refresh(self) -> None:
        """Ask again where it is time. The first call leaves it to the second: contracts do not wait for this.

        Never raises VenueError: an answer that does not come leaves the last one.
        """
        now = time.monotonic()
        if self._due_at is None:
            self._due_at = now
            return
        if now < self._due_at:
            return
        self._due_at = now + RETRY_S
        try:
            self.closed = await self._ask()
        except VenueError as error:
            log.info("trading hours are not known: %s", error)
            return
        self._due_at = now + ASK_EVERY_S
