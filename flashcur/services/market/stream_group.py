"""All connections of one stream: topics spread over sockets, and the decision that the stream is dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from flashcur.services.market.connection import Channel, StreamConnection, leave_error

RESTARTS_BEFORE_LEAVING = 2
"""Silent for its allowance: restarted. Silent again after that many restarts: the venue is left."""


class StreamGroup:
    """The connections of one stream. `topics` may change while `run` is running."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._running: dict[StreamConnection, asyncio.Task[None]] = {}
        self._idle: list[StreamConnection] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._next_number = 0

    @property
    def _connections(self) -> list[StreamConnection]:
        return [*self._running, *self._idle]

    @property
    def topics(self) -> set[str]:
        """All topics subscribed to, over all connections."""
        return {topic for connection in self._connections for topic in connection.topics}

    def set_topics(self, topics: Iterable[str]) -> None:
        """Make `topics` the whole subscription: what stays keeps its connection."""
        wanted, known = set(topics), self.topics
        for connection in self._connections:
            gone = connection.topics - wanted
            if gone:
                connection.update((), gone)
            if not connection.topics:
                self._drop(connection)
        missing = sorted(wanted - known)
        for connection in self._connections:
            if missing and connection.room > 0:
                taken, missing = missing[: connection.room], missing[connection.room :]
                connection.update(taken, ())
        size = self._channel.venue.topics_per_connection
        for start in range(0, len(missing), size):
            connection = StreamConnection(self._channel, self._next_number, missing[start : start + size])
            self._next_number += 1
            self._idle.append(connection)
        self._start_idle()

    def _drop(self, connection: StreamConnection) -> None:
        task = self._running.pop(connection, None)
        if task is not None:
            task.cancel()
        if connection in self._idle:
            self._idle.remove(connection)

    def _start_idle(self) -> None:
        if self._tasks is None:
            return
        for connection in self._idle:
            connection.alive_at = time.monotonic()
            self._running[connection] = self._tasks.create_task(connection.run())
        self._idle.clear()

    async def run(self) -> None:
        """Keep the stream up until cancelled; raises a VenueError when it stays without data."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._start_idle()
                await self._watch()
        finally:
            self._tasks = None
            self._idle.extend(self._running)
            self._running.clear()

    async def _watch(self) -> None:
        limit_s = self._channel.allowance_s * (RESTARTS_BEFORE_LEAVING + 1)
        while True:
            await asyncio.sleep(self._channel.allowance_s / 10)
            subscribed = [connection for connection in self._running if connection.topics]
            if not subscribed:
                continue
            idle_s = time.monotonic() - max(connection.alive_at for connection in subscribed)
            if idle_s > limit_s:
                raise leave_error(self._channel, subscribed, idle_s)
