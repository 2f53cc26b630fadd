"""Both buses by the same tests, then what only Redis can do: break and heal, fence, be fast."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import redis

from flashcur.errors import BusError
from flashcur.services.bus import Bus, BusMessage, MemoryBus, RedisBus, Subscription, make_bus
from flashcur.services.bus.redis_bus import PUBLISH_TIMEOUT_S
from flashcur.settings import Settings
from tests.support.programs import RedisServer
from tests.support.waiting import eventually


@pytest.fixture(params=["memory", "redis"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    if request.param == "memory":
        made: Bus = MemoryBus()
    else:
        url = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        made = RedisBus(url)
    yield made
    await made.close()


async def read(subscription: Subscription) -> BusMessage:
    async with asyncio.timeout(30):
        return await anext(subscription)


@asynccontextmanager
async def following(bus: Bus, topic: str = "live") -> AsyncIterator[Subscription]:
    """A subscription that is surely in place: its first message has been read."""
    await bus.publish(topic, 0, b"first", b"first")
    async with bus.subscribe(topic) as subscription:
        assert (await read(subscription)).payload == b"first"
        yield subscription


async def test_a_message_reaches_every_reader_of_its_topic_only(bus: Bus) -> None:
    async with following(bus) as one, following(bus) as two, following(bus, "mark:free") as other:
        assert await bus.publish("live", 1, b"\x00\xff:frame")
        for subscription in (one, two):
            assert await read(subscription) == BusMessage("live", bus.epoch, 1, b"\x00\xff:frame")
        await bus.publish("mark:free", 1, b"mark")
        assert (await read(other)).payload == b"mark"


async def test_a_late_reader_starts_with_the_snapshot(bus: Bus) -> None:
    assert await bus.snapshot("live") is None
    await bus.publish("live", 7, b"delta", b"whole")
    await bus.publish("live", 8, b"delta")
    expected = BusMessage("live", bus.epoch, 7, b"whole", is_snapshot=True)
    assert await bus.snapshot("live") == expected
    async with bus.subscribe("live") as subscription:
        assert await read(subscription) == expected


async def test_a_snapshot_equal_to_the_message_is_kept(bus: Bus) -> None:
    payload = b"frame"
    await bus.publish("live", 1, payload, payload)
    kept = await bus.snapshot("live")
    assert kept is not None
    assert kept.payload == payload


async def test_a_slow_reader_gets_the_newest_message_only(bus: Bus) -> None:
    async with following(bus) as subscription:
        received = bus.counters.received
        for seq in range(1, 501):
            await bus.publish("live", seq, b"%d" % seq)
        await eventually(lambda: bus.counters.received == received + 500, "all messages to arrive")
        assert (await read(subscription)).seq == 500
        assert bus.counters.skipped == 499


async def test_a_reader_never_goes_back(bus: Bus) -> None:
    async with following(bus) as subscription:
        await bus.publish("live", 5, b"five")
        assert (await read(subscription)).seq == 5
        await bus.publish("live", 4, b"late")
        await bus.publish("live", 6, b"six")
        assert (await read(subscription)).seq == 6


async def test_a_new_epoch_starts_its_numbers_anew(bus: Bus) -> None:
    async with following(bus) as subscription:
        await bus.publish("live", 900, b"old engine")
        await read(subscription)
        bus.epoch += 1
        await bus.publish("live", 1, b"new engine")
        message = await read(subscription)
        assert (message.epoch, message.seq) == (bus.epoch, 1)


async def test_closing_ends_a_waiting_reader(bus: Bus) -> None:
    async with following(bus) as subscription:
        waiting = asyncio.create_task(read(subscription))
        await asyncio.sleep(0)
        await subscription.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_closing_the_bus_ends_its_readers(bus: Bus) -> None:
    async with following(bus) as subscription:
        await bus.close()
        with pytest.raises(StopAsyncIteration):
            await read(subscription)


def test_the_settings_choose_the_bus(environ: dict[str, str]) -> None:
    assert isinstance(make_bus(Settings.load(environ)), MemoryBus)
    assert isinstance(make_bus(Settings.load({**environ, "REDIS_URL": "redis://127.0.0.1:1"})), RedisBus)


async def test_an_engine_no_longer_in_office_is_refused(redis_url: str) -> None:
    old, new = RedisBus(redis_url), RedisBus(redis_url)
    new.epoch = old.epoch + 1
    await old.publish("fenced", 1, b"old", b"old")
    await new.publish("fenced", 1, b"new", b"new")
    assert not await old.publish("fenced", 2, b"old", b"old")
    assert old.counters.fenced == 1
    kept = await new.snapshot("fenced")
    assert kept is not None
    assert kept.payload == b"new"
    await old.close()
    await new.close()


async def test_the_snapshot_expires(redis_url: str) -> None:
    bus = RedisBus(redis_url)
    await bus.publish("expiring", 1, b"x", b"x")
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < cast("int", client.ttl("flashcur:bus:snapshot:expiring")) <= 3600
    await bus.close()


async def test_a_foreign_message_is_ignored(redis_url: str) -> None:
    bus = RedisBus(redis_url)
    async with following(bus, "foreign") as subscription:
        with redis.Redis.from_url(redis_url) as client:
            client.publish("flashcur:bus:channel:foreign", b"hello")
        await bus.publish("foreign", 1, b"ours")
        assert (await read(subscription)).payload == b"ours"
    await bus.close()


async def test_readers_and_publisher_heal_after_redis_was_killed(own_redis: RedisServer) -> None:
    bus = RedisBus(own_redis.url)
    async with following(bus) as subscription:
        own_redis.kill()
        assert not await bus.publish("live", 1, b"lost", b"lost")
        with pytest.raises(BusError, match="cannot be read"):
            await bus.snapshot("live")
        await eventually(lambda: bus.counters.reconnects > 0, "the reader to notice")
        await asyncio.to_thread(own_redis.start)
        started = time.monotonic()
        assert await bus.publish("live", 2, b"back", b"back")
        assert (await read(subscription)).payload == b"back"
        assert time.monotonic() - started < 5
        assert bus.counters.failed == 1
    await bus.close()


async def test_a_message_missed_while_away_comes_as_the_snapshot(own_redis: RedisServer) -> None:
    publisher, reader = RedisBus(own_redis.url), RedisBus(own_redis.url)
    async with following(reader) as subscription:
        publisher.epoch = reader.epoch + 1
        with redis.Redis.from_url(own_redis.url) as client:
            # The reader's connection is cut, and the mark comes before it is back.
            client.client_kill_filter(_type="pubsub")
        await publisher.publish("live", 1, b"mark", b"mark")
        received = await read(subscription)
        assert (received.epoch, received.payload) == (publisher.epoch, b"mark")
    await reader.close()
    await publisher.close()


async def test_publishing_never_takes_longer_than_its_timeout(own_redis: RedisServer) -> None:
    bus = RedisBus(own_redis.url)
    await bus.publish("live", 1, b"x", b"x")
    own_redis.pause()
    started = time.monotonic()
    assert not await bus.publish("live", 2, b"x", b"x")
    assert time.monotonic() - started < PUBLISH_TIMEOUT_S + 0.2
    own_redis.resume()
    assert await bus.publish("live", 3, b"x", b"x")
    await bus.close()


async def test_a_snapshot_is_read_within_a_millisecond(redis_url: str) -> None:
    bus = RedisBus(redis_url)
    payload = b"x" * 60_000
    await bus.publish("large", 1, payload, payload)

    async def timed() -> float:
        started = time.perf_counter()
        await bus.snapshot("large")
        return time.perf_counter() - started

    times = [await timed() for _ in range(500)]
    assert statistics.median(times) < 0.001, f"p50 was {statistics.median(times) * 1000:.2f} ms"
    await bus.close()
