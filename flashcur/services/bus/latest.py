"""A place for one message: a newer one replaces it, so a slow reader never builds up a queue."""

from __future__ import annotations

import asyncio
from typing import Self

from flashcur.services.bus.port import BusCounters, BusMessage


class LatestSubscription:
    """Holds the newest message until it is read; messages that are not newer than the last one are dropped."""

    def __init__(self, counters: BusCounters) -> None:
        self._counters = counters
        self._waiting: BusMessage | None = None
        self._position = (-1, -1)
        self._ready = asyncio.Event()
        self._closed = False

    def offer(self, message: BusMessage) -> None:
        """Hold `message` in place of the one that waits; dropped if it is not newer, or the reader has closed."""
        if self._closed or message.position <= self._position:
            return
        if self._waiting is not None:
            self._counters.skipped += 1
        self._counters.received += 1
        self._position = message.position
        self._waiting = message
        self._ready.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BusMessage:
        await self._ready.wait()
        message = self._waiting
        if message is None:
            raise StopAsyncIteration
        self._waiting = None
        if not self._closed:
            self._ready.clear()
        return message

    async def aclose(self) -> None:
        """See `Subscription.aclose`."""
        self._closed = True
        self._waiting = None
        self._ready.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
