"""How long a tab's state lasts: as long as its connection, and a minute more.

Reflex keeps what it made for a tab for an hour after its last event, so that a guest who opens tabs and closes them
fills a process, or Redis. Here a state goes a minute after its connection has ended, which is long enough for one that
was lost to come back to it; a page that comes later is sent everything anew. While a tab is connected its state stays,
however long nothing happens. A process holds a bounded number of them: the longest unconnected give way first.

`tests/state/wire/test_lifetimes.py` holds Reflex's token and state managers to what is assumed here.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import reflex as rx
from redis.exceptions import RedisError
from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken
from reflex.state import BaseState

from flashcur.state.wire.messages import NAMESPACE

KEPT_S = 60.0
"""How long a state is kept after its connection has ended."""
MOST = 20_000
"""Tabs of one process, with those that are kept; at 40 kB each it has had enough of them."""
_EVERY_S = 5.0
_RENEWED_S = 300.0
"""How often Reflex is told that a connected tab's state is in use: a third of the time after which it would forget
it by itself (`redis_token_expiration` in `rxconfig.py`)."""
_AT_ONCE = 500
"""States that are renewed, or forgotten, in one go."""

_RENEW = "for i = 2, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[1]) end"
# The first key is where Reflex notes whose socket a tab has: it may have come back to another process.
_FORGET = "if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', unpack(KEYS, 2)) end"


class _Keeper(Protocol):
    """Where states are."""

    async def renew(self, tokens: Sequence[str]) -> None:
        """Have states last for another `redis_token_expiration`."""
        ...

    async def forget(self, tokens: Sequence[str]) -> list[str]:
        """Let states go; returns those of which an event is being handled."""
        ...


class Lifetimes:
    """The tabs of one process. Each is named by its token, the id that its page has made."""

    def __init__(self, app: rx.App, *, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._most = most
        self._clock = clock
        self._open: OrderedDict[str, tuple[str, float]] = OrderedDict()
        """Token to (Socket.IO session, when its state was last renewed), that the longest ago first."""
        self._ended: OrderedDict[str, float] = OrderedDict()
        """Token to when its connection ended, the longest ago first."""
        self._listeners: list[Callable[[str], None]] = []

    def listen(self, ended: Callable[[str], None]) -> None:
        """Call `ended` with the Socket.IO session of each connection that has ended."""
        self._listeners.append(ended)

    @property
    def open(self) -> int:
        """Tabs that are connected."""
        return len(self._open)

    @property
    def kept(self) -> int:
        """Tabs whose connection has ended, and whose state is still there."""
        return len(self._ended)

    def install(self) -> None:
        """Follow the app's connections; after the app was made, once."""
        sio, namespace = self._app.sio, self._app.event_namespace
        assert sio is not None, "expected an app with states"
        assert namespace is not None, "expected an app with states"
        self._sio = sio
        self._tokens: Any = namespace._token_manager
        self._keeper = _keeper(self._app, self._tokens)
        link, unlink = self._tokens.link_token_to_sid, self._tokens.disconnect_token

        async def linked(token: str, sid: str) -> str | None:
            # Another, where the tab was duplicated.
            new_token: str | None = await link(token, sid)
            self._begin(new_token or token, sid)
            return new_token

        async def unlinked(token: str, sid: str) -> None:
            self._end(token, sid)
            await unlink(token, sid)

        self._tokens.link_token_to_sid, self._tokens.disconnect_token = linked, unlinked

    def _begin(self, token: str, sid: str) -> None:
        self._ended.pop(token, None)
        self._open[token] = sid, self._clock()
        self._open.move_to_end(token)

    def _end(self, token: str, sid: str) -> None:
        for ended in self._listeners:
            ended(sid)
        if token in self._open and self._open[token][0] == sid:
            del self._open[token]
            self._ended[token] = self._clock()

    async def make_room(self) -> bool:
        """Whether another tab may come; those that have been unconnected the longest give way to it if need be."""
        if (over := self._over) > 0:
            await self._forget(list(islice(self._ended, over)))
        return self._over <= 0

    @property
    def _over(self) -> int:
        """How many are too many for another one to come."""
        return len(self._open) + len(self._ended) - self._most + 1

    async def run(self) -> None:
        """Let go, and renew, what is due, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Let go, and renew, what is due now."""
        while gone := list(self._due_to_go()):
            await self._forget(gone)
        await self._renew()

    def _due_to_go(self) -> Iterator[str]:
        now = self._clock()
        for token, ended in self._ended.items():
            if now - ended < KEPT_S:
                return
            yield token

    async def _forget(self, tokens: list[str]) -> None:
        tokens = tokens[:_AT_ONCE]
        for token in tokens:
            del self._ended[token]
        for token in await self._keeper.forget(tokens):
            if token not in self._open:
                self._ended[token] = self._clock()

    async def _renew(self) -> None:
        now, due = self._clock(), list[str]()
        for token, (_, renewed) in self._open.items():
            if now - renewed < _RENEWED_S or len(due) == _AT_ONCE:
                break
            due.append(token)
        for token in due:
            sid = self._open[token][0]
            if self._sio.manager.is_connected(sid, NAMESPACE):
                self._open[token] = sid, now
                self._open.move_to_end(token)
            else:
                # Its end came while it was being opened, and nobody was told.
                self._end(token, sid)
        await self._keeper.renew([token for token in due if token in self._open])


def _keeper(app: rx.App, tokens: Any) -> _Keeper:
    manager = app.state_manager
    assert app._state is not None, "expected an app with states"
    if isinstance(manager, StateManagerRedis):
        return _InRedis(manager, tokens, app._state)
    assert isinstance(manager, StateManagerMemory), f"expected states in memory or Redis, was {type(manager).__name__}"
    return _InMemory(manager, app._state)


class _InMemory:
    """In this process."""

    def __init__(self, manager: StateManagerMemory, root: type[BaseState]) -> None:
        self._manager = manager
        self._root = root

    async def renew(self, tokens: Sequence[str]) -> None:
        for token in tokens:
            if token in self._manager.states:
                self._manager._track_token(BaseStateToken(ident=token, cls=self._root))

    async def forget(self, tokens: Sequence[str]) -> list[str]:
        locks = self._manager._states_locks
        busy = [token for token in tokens if token in locks and locks[token].locked()]
        for token in tokens:
            if token not in busy:
                self._manager._purge_token(BaseStateToken(ident=token, cls=self._root))
        return busy


class _InRedis:
    """In Redis, a key for each state of a tab. A Redis that is away forgets them by itself, a while later."""

    def __init__(self, manager: StateManagerRedis, tokens: Any, root: type[BaseState]) -> None:
        self._manager = manager
        self._tokens = tokens
        self._classes = list(_tree(root))

    async def renew(self, tokens: Sequence[str]) -> None:
        await self._for_each(tokens, _RENEW, self._manager.token_expiration)

    async def forget(self, tokens: Sequence[str]) -> list[str]:
        await self._for_each(tokens, _FORGET)
        return []

    async def _for_each(self, tokens: Sequence[str], script: str, *arguments: int) -> None:
        pipeline = self._manager.redis.pipeline(transaction=False)
        for token in tokens:
            of = BaseStateToken(ident=token, cls=self._classes[0])
            keys = [self._tokens._get_redis_key(token), *(of._state_key(each) for each in self._classes)]
            pipeline.eval(script, len(keys), *keys, *arguments)
        try:
            await pipeline.execute()
        except RedisError:
            return


def _tree(root: type[BaseState]) -> Iterator[type[BaseState]]:
    yield root
    for state in root.get_substates():
        yield from _tree(state)
