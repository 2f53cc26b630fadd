"""The engine's side of the bus."""

from __future__ import annotations

import asyncio
from typing import Protocol

from flashcur.services.bus import Bus
from flashcur.services.lease import Tenure


class Publisher(Protocol):
    """The part of the bus that is written to."""

    async def publish(self, topic: str, seq: int, payload: bytes, snapshot: bytes | None = None) -> bool:
        """See `Bus.publish`."""
        ...


class FencedPublisher:
    """A bus to which nothing is written once the lease is lost."""

    def __init__(self, bus: Bus, tenure: Tenure) -> None:
        self._bus = bus
        self._tenure = tenure

    async def publish(self, topic: str, seq: int, payload: bytes, snapshot: bytes | None = None) -> bool:
        """See `Bus.publish`; False once the lease is lost."""
        if self._tenure.lost.is_set():
            return False
        handed_over = await self._bus.publish(topic, seq, payload, snapshot)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # redis-py swallows a cancellation that meets it while it connects.
            raise asyncio.CancelledError
        return handed_over
