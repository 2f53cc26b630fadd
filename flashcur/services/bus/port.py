"""What a bus is: topics of numbered messages from the one engine to any number of readers, and a snapshot of each.

Messages are ordered by (epoch, seq). An epoch is one engine's time in office, taken from its lease; numbers start anew
with it. A reader that is slow gets the newest message next, never a queue, so numbers may jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class BusMessage:
    """One message of a topic."""

    topic: str
    epoch: int
    """Of the engine that sent it."""
    seq: int
    """Rises within an epoch; numbers may be left out."""
    payload: bytes
    is_snapshot: bool = False
    """Whether `payload` is what `publish` was given as `snapshot`, not as `payload`."""

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, seq): the larger, the newer."""
        return self.epoch, self.seq


@dataclass(slots=True)
class BusCounters:
    """What a bus did since its process started."""

    published: int = 0
    failed: int = 0
    """Messages that could not be handed over in time; the next one stands in for them."""
    fenced: int = 0
    """Messages refused because a newer engine is in office."""
    received: int = 0
    skipped: int = 0
    """Messages a slow reader never saw, because a newer one had come."""
    reconnects: int = 0
    """Times a reader lost its connection."""


class Subscription(Protocol):
    """The messages of a topic as they come, from the moment of `subscribe`. Close it, or leave `async with`."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> BusMessage: ...

    async def aclose(self) -> None:
        """End the iteration, of a reader that waits right now as well."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Bus(Protocol):
    """Implemented by `MemoryBus` for one process and by `RedisBus` for many."""

    epoch: int
    """Stamped on what is published; an engine sets it to its lease's epoch when it takes office."""
    counters: BusCounters

    async def publish(self, topic: str, seq: int, payload: bytes, snapshot: bytes | None = None) -> bool:
        """Hand `payload` to all readers of `topic`, and keep `snapshot` for those that come later.

        Returns within a bounded time (`redis_bus.PUBLISH_TIMEOUT_S`). False when the message was not handed over, or
        a newer engine is in office: that is counted, and nothing is raised, because a newer message follows anyway.
        """
        ...

    async def snapshot(self, topic: str) -> BusMessage | None:
        """The newest snapshot, None when there is none or it has expired. Raises BusError when it cannot be read."""
        ...

    def subscribe(self, topic: str) -> Subscription:
        """Follow `topic`. The snapshot comes first, if there is one; after a broken connection again, if newer."""
        ...

    async def close(self) -> None:
        """End all subscriptions and close all connections."""
        ...
