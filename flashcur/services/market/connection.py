"""One socket with its subscriptions: connects, subscribes, notices silence, reconnects and subscribes again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from flashcur.domain.ticks import Reject
from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited, VenueSilent
from flashcur.services.kit.backoff import Backoff
from flashcur.services.market.counters import StreamCounters
from flashcur.services.market.venues import Stream, Venue

if TYPE_CHECKING:
    # At run time this module would import ccxt.
    from flashcur.services.market.ccxt_client import Socket, Transport

log = logging.getLogger(__name__)

# Binance closes a connection that sends more than 10 messages a second.
_REQUEST_GAP_S = 0.15
_RECONNECT_FIRST_S = 0.25
_RECONNECT_CAP_S = 30.0


class Wire(Protocol):
    """How a venue's subscribe requests and answers look."""

    def request(self, number: int, topics: list[str], *, subscribe: bool) -> dict[str, object]:
        """A subscribe or unsubscribe request."""
        ...

    def answer(self, message: object) -> tuple[int, str | None] | None:
        """(request number, None or why it was refused) of an answer to a request; None for any other message."""
        ...

    def is_keepalive(self, message: object) -> bool:
        """True for messages that ccxt itself takes (pongs)."""
        ...


@dataclass(frozen=True, slots=True)
class Channel:
    """What the connections of one stream have in common."""

    venue: Venue
    stream: Stream
    transport: Transport
    wire: Wire
    url: Callable[[int], str]
    """Address by connection number; each must differ, ccxt keeps one socket an address."""
    take: Callable[[object, int], int]
    """(message, our clock in ms) to the number of usable values: only those are a sign of life."""
    connected: Callable[[], None]
    """Called on every new connection, before its first message."""
    reject: Callable[[Reject], None]
    counters: StreamCounters

    @property
    def allowance_s(self) -> float:
        """Seconds without a usable message after which a connection is restarted."""
        return self.venue.allowances_s[self.stream]


class StreamConnection:
    """A socket carrying `topics` of one stream, kept alive by `run`."""

    def __init__(self, channel: Channel, number: int, topics: Iterable[str]) -> None:
        self._channel = channel
        self._url = channel.url(number)
        self.topics = set(topics)
        self.alive_at = time.monotonic()
        """Monotonic time of the last usable message, or of the start."""
        self.last_error: VenueError | None = None
        """Why the last connection ended; None while messages flow."""
        self._backoff = Backoff(_RECONNECT_FIRST_S, _RECONNECT_CAP_S)
        self._requests: asyncio.Queue[tuple[bool, list[str]]] | None = None
        self._sent: dict[int, list[str]] = {}
        self._number = 0

    @property
    def room(self) -> int:
        """How many topics may be added."""
        return self._channel.venue.topics_per_connection - len(self.topics)

    def update(self, add: Iterable[str], remove: Iterable[str]) -> None:
        """Subscribe and unsubscribe while running; a later connection starts with the new set."""
        added, removed = sorted(set(add) - self.topics), sorted(set(remove) & self.topics)
        self.topics.update(added)
        self.topics.difference_update(removed)
        self._enqueue(False, removed)
        self._enqueue(True, added)

    async def run(self) -> None:
        """Keep the connection up until cancelled.

        Raises VenueBlocked or VenueRateLimited when the handshake is refused; every other failure is retried.
        """
        while True:
            try:
                await self._session()
            except (VenueBlocked, VenueRateLimited):
                raise
            except VenueSilent as error:
                self._channel.counters.restarts += 1
                self.last_error = error
                log.warning("%s, restarting it", error)
            except VenueError as error:
                self.last_error = error
                log.warning("%s %s stream: %s", self._channel.venue.name, self._channel.stream, error)
            await asyncio.sleep(self._backoff.next_s())

    async def _session(self) -> None:
        channel = self._channel
        socket = await channel.transport.open(self._url, self._on_message)
        sender: asyncio.Task[None] | None = None
        try:
            channel.connected()
            channel.counters.connects += 1
            self._sent.clear()
            self._requests = asyncio.Queue()
            self._enqueue(True, sorted(self.topics))
            sender = asyncio.create_task(self._send_requests(socket, self._requests))
            opened_at = time.monotonic()
            while True:
                idle_s = time.monotonic() - max(self.alive_at, opened_at)
                left_s = channel.allowance_s - idle_s if self.topics else channel.allowance_s
                if left_s <= 0:
                    raise VenueSilent(
                        f"{channel.venue.name}: no {channel.stream} message within {channel.allowance_s:g} s"
                    )
                await asyncio.wait({socket.closed, sender}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if socket.closed.done():
                    raise socket.close_reason()
                if sender.done():
                    sender.result()
        finally:
            self._requests = None
            if sender is not None:
                sender.cancel()
            socket.retire()

    async def _send_requests(self, socket: Socket, requests: asyncio.Queue[tuple[bool, list[str]]]) -> None:
        while True:
            subscribe, topics = await requests.get()
            self._number += 1
            if subscribe:
                self._sent[self._number] = topics
            await socket.send(self._channel.wire.request(self._number, topics, subscribe=subscribe))
            await asyncio.sleep(_REQUEST_GAP_S)

    def _enqueue(self, subscribe: bool, topics: list[str]) -> None:
        if self._requests is None:
            return
        size = self._channel.venue.topics_per_request
        for start in range(0, len(topics), size):
            self._requests.put_nowait((subscribe, topics[start : start + size]))

    def _on_message(self, message: object, seen_ms: int) -> bool:
        channel = self._channel
        answer = channel.wire.answer(message)
        if answer is not None:
            self._on_answer(*answer)
            return True
        if channel.wire.is_keepalive(message):
            return False
        channel.counters.messages += 1
        if channel.take(message, seen_ms):
            self.alive_at = time.monotonic()
            self.last_error = None
            self._backoff.reset()
            channel.counters.last_message_ms = seen_ms
        return True

    def _on_answer(self, number: int, refused: str | None) -> None:
        topics = self._sent.pop(number, None)
        if refused is None or not topics:
            return
        if len(topics) == 1:
            # A contract that is gone: the others must not go without data because of it.
            self._channel.reject(Reject(self._channel.stream, "refused", None, f"{topics[0]}: {refused}"[:200]))
            return
        middle = len(topics) // 2
        self._enqueue(True, topics[:middle])
        self._enqueue(True, topics[middle:])


def leave_error(channel: Channel, connections: Iterable[StreamConnection], idle_s: float) -> VenueError:
    """Why a venue is left whose stream stayed without data through its restarts."""
    for connection in connections:
        error = connection.last_error
        if error is not None and not isinstance(error, VenueSilent):
            return error
    return VenueSilent(f"{channel.venue.name}: no {channel.stream} message for {idle_s:.0f} s", retry_after=30.0)
