"""The bus between processes: a Redis channel for each topic, and its snapshot under a key that expires.

A message is `epoch:seq:` followed by the payload. Publishing is one script, so that the epoch check, the snapshot
and the message are one step: an engine that was paused and comes back cannot overwrite what its successor wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from redis.exceptions import RedisError

from flashcur.errors import BusError
from flashcur.services.bus.latest import LatestSubscription
from flashcur.services.bus.port import BusCounters, BusMessage
from flashcur.services.kit.backoff import Backoff
from flashcur.services.kit.clock import now_ms
from flashcur.services.storage.redis_client import PubSubChannel, RedisClient, redis_client

logger = logging.getLogger(__name__)

PREFIX = "flashcur:bus:"
PUBLISH_TIMEOUT_S = 0.5
"""Half of the engine's second: a frame that could not be handed over by then is not worth waiting for."""
SNAPSHOT_TTL_S = 3600
"""Covers the quarter hours between two marks; what is older is not worth showing."""
QUIET_S = 5.0
"""A reader that heard nothing for this long asks the server for a sign of life, and gives it as long again."""

# KEYS: epoch, snapshot. ARGV: channel, epoch, header, payload, snapshot, `1` if the snapshot is the payload, TTL in s.
_PUBLISH = """
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[2]) < newest then return 0 end
if tonumber(ARGV[2]) > newest then redis.call('SET', KEYS[1], ARGV[2]) end
if ARGV[6] == '1' then
  redis.call('SET', KEYS[2], ARGV[3] .. ARGV[4], 'EX', ARGV[7])
elseif ARGV[5] ~= '' then
  redis.call('SET', KEYS[2], ARGV[3] .. ARGV[5], 'EX', ARGV[7])
end
redis.call('PUBLISH', ARGV[1], ARGV[3] .. ARGV[4])
return 1
"""

_FAILURES = (RedisError, OSError, TimeoutError)


class RedisBus:
    """See `Bus`. Heals by itself whenever Redis comes back."""

    def __init__(self, url: str) -> None:
        self.epoch = now_ms()
        self.counters = BusCounters()
        self._redis = redis_client(url, command_timeout_s=PUBLISH_TIMEOUT_S)
        self._publish = self._redis.register_script(_PUBLISH)
        self._readers: set[_RedisSubscription] = set()
        self._failing = False

    async def publish(self, topic: str, seq: int, payload: bytes, snapshot: bytes | None = None) -> bool:
        """See `Bus.publish`."""
        header = f"{self.epoch}:{seq}:".encode()
        same = snapshot is not None and (snapshot is payload or snapshot == payload)
        arguments = [_channel(topic), self.epoch, header, payload, b"" if same or snapshot is None else snapshot]
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                accepted = await self._publish(
                    keys=[f"{PREFIX}epoch", _snapshot_key(topic)], args=[*arguments, int(same), SNAPSHOT_TTL_S]
                )
        except _FAILURES as error:
            self._note_failure(error)
            return False
        self._failing = False
        if not accepted:
            self.counters.fenced += 1
            return False
        self.counters.published += 1
        return True

    async def snapshot(self, topic: str) -> BusMessage | None:
        """See `Bus.snapshot`; it expires after `SNAPSHOT_TTL_S`."""
        try:
            raw = await self._redis.get(_snapshot_key(topic))
        except _FAILURES as error:
            raise BusError(f"The snapshot of {topic} cannot be read: {_one_line(error)}") from error
        return None if raw is None else _parse(topic, raw, is_snapshot=True)

    def subscribe(self, topic: str) -> _RedisSubscription:
        """See `Bus.subscribe`; starts a task, so an event loop must run."""
        return _RedisSubscription(self, self._redis, topic, self._readers)

    async def ping(self) -> None:
        """Return when Redis answers; raise BusError when it does not within `PUBLISH_TIMEOUT_S`."""
        try:
            await self._redis.ping()
        except _FAILURES as error:
            raise BusError(f"Redis does not answer: {_one_line(error)}") from error

    async def close(self) -> None:
        """End all subscriptions and close all connections."""
        for reader in list(self._readers):
            await reader.aclose()
        await self._redis.aclose()

    def _note_failure(self, error: Exception) -> None:
        self.counters.failed += 1
        # Said once per outage, not every second.
        if not self._failing:
            logger.warning("Redis takes no messages: %s", _one_line(error))
        self._failing = True


class _RedisSubscription(LatestSubscription):
    """A task reads the channel and keeps the newest message; it reconnects for as long as the subscription lives."""

    def __init__(self, bus: RedisBus, redis: RedisClient, topic: str, readers: set[_RedisSubscription]) -> None:
        super().__init__(bus.counters)
        self._bus = bus
        self._redis = redis
        self._topic = topic
        self._readers = readers
        readers.add(self)
        self._task = asyncio.create_task(self._follow(), name=f"bus reader of {topic}")

    async def aclose(self) -> None:
        self._readers.discard(self)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await super().aclose()

    async def _follow(self) -> None:
        backoff = Backoff(first_s=0.1, cap_s=2.0)
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await self._read(channel, backoff)
            except (*_FAILURES, BusError) as error:
                self._bus.counters.reconnects += 1
                if not backoff.failures:
                    logger.warning("The bus reader of %s lost Redis: %s", self._topic, _one_line(error))
            await asyncio.sleep(backoff.next_s())

    async def _read(self, channel: PubSubChannel, backoff: Backoff) -> None:
        await channel.subscribe(_channel(self._topic))
        pinged = False
        while True:
            received = await channel.get_message(timeout=QUIET_S)
            if received is None:
                if pinged:
                    raise TimeoutError(f"nothing heard for {2 * QUIET_S:g} s")
                await channel.ping()
                pinged = True
                continue
            pinged = False
            if received["type"] == "subscribe":
                # From here on nothing is missed; what was published before is in the snapshot.
                if (snapshot := await self._bus.snapshot(self._topic)) is not None:
                    self.offer(snapshot)
                backoff.reset()
            elif received["type"] == "message":
                message = _parse(self._topic, received["data"], is_snapshot=False)
                if message is not None:
                    self.offer(message)


def _channel(topic: str) -> str:
    return f"{PREFIX}channel:{topic}"


def _snapshot_key(topic: str) -> str:
    return f"{PREFIX}snapshot:{topic}"


def _parse(topic: str, raw: bytes, *, is_snapshot: bool) -> BusMessage | None:
    """The message in `raw`, or None when another program wrote it."""
    epoch, _, rest = raw.partition(b":")
    seq, colon, payload = rest.partition(b":")
    if not (colon and epoch.isdigit() and seq.isdigit()):
        logger.error("a message on %s is not one of ours: %r", topic, raw[:40])
        return None
    return BusMessage(topic, int(epoch), int(seq), payload, is_snapshot)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
