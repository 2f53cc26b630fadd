"""The engine's side of the bus."""

from __future__ import annotations

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
        if self._tenure.lost.is_set():
            return False
        return await self._bus.publish(topic, seq, payload, snapshot)
