"""What is held of a tab, and how long: in memory, and in a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import reflex as rx
from redis.asyncio import Redis
from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken
from reflex.utils.token_manager import LocalTokenManager, RedisTokenManager

from flashcur.state.market import FeedState
from flashcur.state.wire import lifetimes as module
from flashcur.state.wire.lifetimes import KEPT_S, Lifetimes
from tests.support.programs import RedisServer
from tests.support.waiting import eventually

TOKEN_LASTS_S = 900


class Process:
    """As much of a web process as decides about states."""

    def __init__(self, manager: Any, tokens: Any, *, most: int = 1_000) -> None:
        self.now = 1_000.0
        self.manager = manager
        self.tokens = tokens
        self.here: set[str] = set()
        """Socket.IO sessions that are connected."""
        sio = SimpleNamespace(manager=SimpleNamespace(is_connected=lambda sid, namespace: sid in self.here))
        namespace = SimpleNamespace(_token_manager=tokens)
        app = SimpleNamespace(sio=sio, event_namespace=namespace, state_manager=manager, _state=rx.State)
        self.lifetimes = Lifetimes(cast("rx.App", app), most=most, clock=lambda: self.now)
        self.lifetimes.install()

    async def connect(self, token: str, sid: str) -> str:
        """As Reflex does it: link, then handle the page's first event; the token that the tab has from then on."""
        self.here.add(sid)
        own: str = await self.tokens.link_token_to_sid(token, sid) or token
        await self.handle(own, sid)
        return own

    async def handle(self, token: str, sid: str) -> None:
        async with self.manager.modify_state(of(token)) as state:
            state.router_data = {**state.router_data, "sid": sid}
            (await state.get_state(FeedState)).exchange = sid

    async def disconnect(self, token: str, sid: str) -> None:
        self.here.discard(sid)
        await self.tokens.disconnect_token(token, sid)

    async def later(self, seconds: float) -> None:
        self.now += seconds
        await self.lifetimes.look()

    async def remembers(self, token: str) -> bool:
        if isinstance(self.manager, StateManagerMemory):
            return token in self.manager.states
        return bool(await self.manager.redis.keys(f"{token}_*"))


def of(token: str) -> BaseStateToken:
    return BaseStateToken(ident=token, cls=rx.State)


class Processes:
    """Processes that share a Redis; in memory there is one."""

    def __init__(self, server: RedisServer | None) -> None:
        self._server = server
        self._clients: list[Redis] = []

    def another(self, **options: Any) -> Process:
        if self._server is None:
            return Process(StateManagerMemory(token_expiration=TOKEN_LASTS_S), LocalTokenManager(), **options)
        redis = Redis.from_url(self._server.url)
        self._clients.append(redis)
        manager = StateManagerRedis(redis=redis, token_expiration=TOKEN_LASTS_S)
        return Process(manager, RedisTokenManager(redis), **options)

    async def close(self) -> None:
        for redis in self._clients:
            await redis.flushall()
            await redis.aclose()


@pytest.fixture(params=["memory", "redis"])
async def processes(request: pytest.FixtureRequest) -> AsyncIterator[Processes]:
    processes = Processes(request.getfixturevalue("shared_redis") if request.param == "redis" else None)
    yield processes
    await processes.close()


@pytest.fixture
async def process(processes: Processes) -> Process:
    return processes.another()


async def test_a_state_goes_a_minute_after_its_connection(process: Process) -> None:
    await process.connect("a", "s1")
    await process.later(10 * KEPT_S)
    assert await process.remembers("a")
    await process.disconnect("a", "s1")
    assert (process.lifetimes.open, process.lifetimes.kept) == (0, 1)
    await process.later(KEPT_S - 1)
    assert await process.remembers("a")
    await process.later(2)
    assert not await process.remembers("a")
    assert (process.lifetimes.open, process.lifetimes.kept) == (0, 0)


async def test_the_end_of_each_connection_is_told(process: Process) -> None:
    ended: list[str] = []
    process.lifetimes.listen(ended.append)
    await process.connect("a", "s1")
    await process.connect("b", "s2")
    await process.disconnect("a", "s1")
    assert ended == ["s1"]


async def test_nothing_at_all_is_left_of_a_tab_in_memory() -> None:
    process = Processes(None).another()
    for number in range(100):
        await process.connect(f"t{number}", f"s{number}")
        await process.disconnect(f"t{number}", f"s{number}")
    await process.later(KEPT_S + 1)
    manager, tokens = process.manager, process.tokens
    held = (manager.states, manager._states_locks, manager._token_expires_at)
    assert [len(each) for each in (*held, tokens.token_to_socket, tokens.sid_to_token)] == [0] * 5


async def test_nothing_at_all_is_left_of_a_tab_in_redis(shared_redis: RedisServer) -> None:
    processes = Processes(shared_redis)
    process = processes.another()
    for number in range(20):
        await process.connect(f"t{number}", f"s{number}")
        await process.disconnect(f"t{number}", f"s{number}")
    assert await process.manager.redis.keys("t*")
    await process.later(KEPT_S + 1)
    assert await process.manager.redis.keys("t*") == []
    await processes.close()


async def test_a_connection_that_was_lost_comes_back_to_its_state(process: Process) -> None:
    await process.connect("a", "s1")
    await process.disconnect("a", "s1")
    await process.later(KEPT_S - 1)
    await process.connect("a", "s2")
    await process.later(KEPT_S + 1)
    assert await process.remembers("a")
    await process.disconnect("a", "s2")
    await process.later(KEPT_S + 1)
    assert not await process.remembers("a")


async def test_the_end_of_a_former_connection_ends_nothing(process: Process) -> None:
    await process.connect("a", "s1")
    second = await process.connect("a", "s2")
    assert second != "a"
    await process.disconnect(second, "s2")
    await process.later(KEPT_S + 1)
    assert await process.remembers("a")
    assert not await process.remembers(second)


async def test_a_tab_may_come_back_to_another_process(shared_redis: RedisServer) -> None:
    processes = Processes(shared_redis)
    first, second = processes.another(), processes.another()
    await first.connect("a", "s1")
    await first.disconnect("a", "s1")
    await second.connect("a", "s2")
    await first.later(KEPT_S + 1)
    assert await second.remembers("a")
    await second.disconnect("a", "s2")
    await second.later(KEPT_S + 1)
    assert not await second.remembers("a")
    await processes.close()


async def test_the_state_of_an_idle_tab_stays_whole(process: Process) -> None:
    await process.connect("a", "s1")
    if isinstance(process.manager, StateManagerMemory):
        process.manager._token_expires_at["a"] = (0.0, of("a"))
    else:
        for key in await process.manager.redis.keys("a_*"):
            await process.manager.redis.expire(key, 30)
    await process.later(module._RENEWED_S + 1)
    if isinstance(process.manager, StateManagerMemory):
        process.manager._purge_expired_tokens()
        assert await process.remembers("a")
    else:
        keys = await process.manager.redis.keys("a_*")
        assert len(keys) >= 2
        assert all([await process.manager.redis.ttl(key) > 60 for key in keys])


async def test_a_tab_whose_end_nobody_told_goes_as_well(process: Process) -> None:
    await process.connect("a", "s1")
    process.here.clear()
    await process.later(module._RENEWED_S + 1)
    assert (process.lifetimes.open, process.lifetimes.kept) == (0, 1)
    await process.later(KEPT_S + 1)
    assert process.lifetimes.kept == 0


async def test_a_state_in_use_is_not_taken_away() -> None:
    process = Processes(None).another()
    await process.connect("a", "s1")
    async with process.manager.modify_state(of("a")):
        await process.disconnect("a", "s1")
        await process.later(KEPT_S + 1)
        assert await process.remembers("a")
    await process.later(KEPT_S + 1)
    assert not await process.remembers("a")


async def test_the_longest_unconnected_give_way_and_then_nobody_more_comes(processes: Processes) -> None:
    process = processes.another(most=3)
    for name in "abc":
        assert await process.lifetimes.make_room()
        await process.connect(name, f"s{name}")
    assert not await process.lifetimes.make_room()
    for name in "ba":
        await process.disconnect(name, f"s{name}")
        process.now += 1
    for name, gone in (("d", "b"), ("e", "a")):
        assert await process.lifetimes.make_room()
        assert not await process.remembers(gone)
        await process.connect(name, f"s{name}")
    assert not await process.lifetimes.make_room()
    assert [await process.remembers(name) for name in "abcde"] == [False, False, True, True, True]


async def test_room_is_made_however_many_are_too_many(processes: Processes) -> None:
    process = processes.another(most=3)
    for name in "abcdef":
        await process.connect(name, f"s{name}")
        await process.disconnect(name, f"s{name}")
    assert await process.lifetimes.make_room()
    assert [await process.remembers(name) for name in "abcdef"] == [False] * 4 + [True] * 2


async def test_while_redis_is_away_nothing_fails(own_redis: RedisServer) -> None:
    processes = Processes(own_redis)
    process = processes.another()
    await process.connect("a", "s1")
    await process.connect("b", "s2")
    own_redis.kill()
    await process.disconnect("a", "s1")
    await process.later(module._RENEWED_S + KEPT_S + 1)
    assert (process.lifetimes.open, process.lifetimes.kept) == (1, 0)
    own_redis.start()
    await process.later(module._RENEWED_S + 1)
    await processes.close()


async def test_it_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY_S", 0.001)
    process = Processes(None).another()
    await process.connect("a", "s1")
    await process.disconnect("a", "s1")
    running = asyncio.create_task(process.lifetimes.run())
    process.now += KEPT_S + 1
    await eventually(lambda: process.lifetimes.kept == 0, "the state to go")
    running.cancel()
