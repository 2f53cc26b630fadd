"""See the module: what Reflex's manager does with a cancelled event, and what is left of its lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import reflex as rx
from redis.asyncio import Redis
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken

from flashcur.state.wire.locks import keep_whole
from tests.support.programs import RedisServer
from tests.support.waiting import eventually

TOKEN = BaseStateToken(ident="a-tab", cls=rx.State)
KEY = b"a-tab_lock"


@pytest.fixture
async def manager(shared_redis: RedisServer) -> AsyncIterator[StateManagerRedis]:
    redis = Redis.from_url(shared_redis.url)
    # Longer than a test may take: a lock that is left does not go by itself.
    manager = StateManagerRedis(redis=redis, token_expiration=60, lock_expiration=120_000)
    yield manager
    await redis.flushall()
    await manager.close()


async def modify(
    manager: StateManagerRedis, begun: asyncio.Event | None = None, done: asyncio.Event | None = None
) -> None:
    async with manager.modify_state(TOKEN):
        if begun is not None and done is not None:
            begun.set()
            await done.wait()


async def cancelled_after(manager: StateManagerRedis, turns: int) -> bool:
    """Have an event cancelled after so many turns of the loop; whether it was still under way."""
    event = asyncio.create_task(modify(manager))
    for _ in range(turns):
        await asyncio.sleep(0)
    under_way = event.cancel()
    with suppress(asyncio.CancelledError):
        await event
    return under_way


class Slow:
    """A Redis whose answer to the first try for a lock is on its way until it is let through."""

    def __init__(self, redis: Any) -> None:
        self.granted = asyncio.Event()
        self.through = asyncio.Event()
        self._set = redis.set
        redis.set = self.set

    async def set(self, *arguments: Any, **options: Any) -> Any:
        answer = await self._set(*arguments, **options)
        self.granted.set()
        await self.through.wait()
        return answer


async def is_free(manager: StateManagerRedis) -> bool:
    return not await manager.redis.exists(KEY)


async def test_reflex_leaves_the_lock_of_an_event_that_is_cancelled_while_it_is_granted(
    manager: StateManagerRedis,
) -> None:
    slow = Slow(manager.redis)
    event = asyncio.create_task(modify(manager))
    await slow.granted.wait()
    event.cancel()
    slow.through.set()
    await asyncio.wait({event})
    # Once this holds no longer, `locks` has become needless.
    assert not await is_free(manager)


async def test_a_lock_that_is_granted_to_a_cancelled_event_is_given_back(manager: StateManagerRedis) -> None:
    keep_whole(manager)
    slow = Slow(manager.redis)
    event = asyncio.create_task(modify(manager))
    await slow.granted.wait()
    event.cancel()
    await asyncio.wait({event})
    assert event.cancelled()
    slow.through.set()
    async with asyncio.timeout(30):
        await modify(manager)
        await modify(manager)
    assert await is_free(manager)


async def test_an_event_may_be_cancelled_at_any_moment(manager: StateManagerRedis) -> None:
    keep_whole(manager)
    await modify(manager)
    turns = 0
    while await cancelled_after(manager, turns):
        turns += 1
        async with asyncio.timeout(30):
            await modify(manager)
    # It was cancelled before it began, while it took, while it held and while it gave back.
    assert turns > 5
    assert await is_free(manager)


async def test_one_that_waits_and_is_cancelled_lets_the_next_one_have_it(manager: StateManagerRedis) -> None:
    keep_whole(manager)
    begun, done = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(modify(manager, begun, done))
    await begun.wait()
    second, third = (asyncio.create_task(modify(manager)) for _ in range(2))
    await eventually(lambda: len(manager._lock_waiters.get(KEY, [])) == 2, "both to wait")
    second.cancel()
    await asyncio.wait({second})
    done.set()
    async with asyncio.timeout(30):
        await asyncio.gather(first, third)
    assert second.cancelled()
    async with asyncio.timeout(30):
        await modify(manager)
    assert await is_free(manager)


async def test_an_error_of_an_event_goes_on_and_frees_the_lock(manager: StateManagerRedis) -> None:
    keep_whole(manager)
    with pytest.raises(ZeroDivisionError):
        async with manager.modify_state(TOKEN):
            raise ZeroDivisionError
    assert await is_free(manager)
