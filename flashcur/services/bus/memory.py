"""The bus inside one process: engine and pages share it directly."""

from __future__ import annotations

from collections import defaultdict

from flashcur.services.bus.latest import LatestSubscription
from flashcur.services.bus.port import BusCounters, BusMessage
from flashcur.services.kit.clock import now_ms


class MemoryBus:
    """See `Bus`. Nothing here can fail or wait."""

    def __init__(self) -> None:
        self.epoch = now_ms()
        self.counters = BusCounters()
        self._snapshots: dict[str, BusMessage] = {}
        self._readers: defaultdict[str, set[_MemorySubscription]] = defaultdict(set)

    async def publish(self, topic: str, seq: int, payload: bytes, snapshot: bytes | None = None) -> bool:
        """See `Bus.publish`; always True."""
        message = BusMessage(topic, self.epoch, seq, payload)
        for reader in self._readers[topic]:
            reader.offer(message)
        if snapshot is not None:
            self._snapshots[topic] = BusMessage(topic, self.epoch, seq, snapshot, is_snapshot=True)
        self.counters.published += 1
        return True

    async def snapshot(self, topic: str) -> BusMessage | None:
        """See `Bus.snapshot`; it never expires and nothing is raised."""
        return self._snapshots.get(topic)

    def subscribe(self, topic: str) -> _MemorySubscription:
        """See `Bus.subscribe`."""
        reader = _MemorySubscription(self.counters, self._readers[topic])
        if (snapshot := self._snapshots.get(topic)) is not None:
            reader.offer(snapshot)
        return reader

    async def close(self) -> None:
        """End all subscriptions."""
        for readers in self._readers.values():
            for reader in list(readers):
                await reader.aclose()


class _MemorySubscription(LatestSubscription):
    def __init__(self, counters: BusCounters, readers: set[_MemorySubscription]) -> None:
        super().__init__(counters)
        self._readers = readers
        readers.add(self)

    async def aclose(self) -> None:
        self._readers.discard(self)
        await super().aclose()
