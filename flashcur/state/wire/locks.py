"""A tab's lock in Redis is not left behind by an event that is cancelled.

Reflex cancels what a page's load still has to do when its tab loads another page. Where that event was just taking the
tab's lock, Redis grants it to nobody, and all that the tab asks for waits until the lock expires, ten seconds later.
Here a lock is taken, and given back, to the end, whoever still waits for it.

`tests/state/wire/test_locks.py` holds Reflex's manager to what is assumed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import reflex as rx
from redis.exceptions import RedisError
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import StateToken

# One that has expired may be another's by now.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


def install(app: rx.App) -> None:
    """Have the app's locks taken and given back to the end; after it was made, once. Those in memory need nothing."""
    if isinstance(app.state_manager, StateManagerRedis):
        keep_whole(app.state_manager)


def keep_whole(manager: StateManagerRedis) -> None:
    """Have the locks of one manager taken and given back to the end."""
    wait, lock = manager._wait_lock, manager._lock
    redis: Any = manager.redis
    # The loop itself would let go of a task that nobody waits for.
    unfinished: set[asyncio.Task[Any]] = set()

    def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        unfinished.add(task)
        task.add_done_callback(unfinished.discard)
        return task

    async def give_back(taking: asyncio.Task[Any], lock_key: bytes, lock_id: bytes) -> None:
        await asyncio.wait({taking})
        if not taking.cancelled() and taking.exception() is None:
            # While Redis is away, the lock expires by itself.
            with suppress(RedisError):
                await redis.eval(_RELEASE, 1, lock_key, lock_id)

    async def wait_whole(lock_key: bytes, lock_id: bytes) -> None:
        taking = begin(wait(lock_key, lock_id))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            begin(give_back(taking, lock_key, lock_id))
            raise

    @asynccontextmanager
    async def lock_whole(token: StateToken[Any], event_name: str | None = None) -> AsyncIterator[bytes]:
        held = lock(token, event_name)
        lock_id = await held.__aenter__()
        try:
            yield lock_id
        except BaseException as error:
            if not await asyncio.shield(begin(_exit(held, error))):
                raise
        else:
            await asyncio.shield(begin(_exit(held, None)))

    manager._wait_lock = wait_whole
    manager._lock = lock_whole


async def _exit(held: Any, error: BaseException | None) -> bool:
    if error is None:
        return await held.__aexit__(None, None, None)
    return await held.__aexit__(type(error), error, error.__traceback__)
