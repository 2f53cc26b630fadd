"""What a client is told whose socket is not opened, over real connections to uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
import reflex as rx
import uvicorn
from socketio import AsyncServer

from flashcur.services.accounts.client import Client
from flashcur.state.wire import connections
from flashcur.state.wire.door import Door
from flashcur.state.wire.gate import Gate
from flashcur.state.wire.messages import NAMESPACE
from flashcur.web.http_server import BoundedHttpProtocol
from flashcur.web.websocket_server import SharedFrameProtocol
from tests.support.programs import free_port
from tests.support.waiting import eventually


class Site:
    """A server whose moods tests set."""

    def __init__(self) -> None:
        self.port = free_port()
        self.admits = self.has_room = True
        self.looked_up: list[str] = []
        sio = AsyncServer(async_mode="asgi", transports=["websocket"], namespaces=[NAMESPACE])
        namespace = SimpleNamespace(on_event=None)
        app = SimpleNamespace(sio=sio, event_namespace=namespace, _set_contexts_internal=lambda: None)
        self.gate = Gate(cast("rx.App", app), has_room=self._has_room)
        self.gate.install()
        connections.install(cast("rx.App", app))
        door = Door(lambda cookies: cookies, self._greet, admits=self._admits)

        async def whole(scope: Any, receive: Any, send: Any) -> None: ...

        self.asgi = connections.direct(whole, cast("rx.App", app), door)

    async def _greet(self, key: str) -> None:
        self.looked_up.append(key)

    def _admits(self, client: Client) -> bool:
        assert client.ip == "127.0.0.1"
        return self.admits

    async def _has_room(self) -> bool:
        return self.has_room

    async def ask(self, session: aiohttp.ClientSession) -> tuple[int, str]:
        """Status and text of the answer to a handshake; Engine.IO's first message where it opens."""
        url = f"http://127.0.0.1:{self.port}{NAMESPACE}/?EIO=4&transport=websocket&token=a-1"
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        if self.admits and self.has_room:
            async with session.ws_connect(url) as socket:
                return 101, (await socket.receive()).data
        async with session.get(url, headers=upgrade | {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}) as answer:
            assert answer.headers["retry-after"] == "2"
            return answer.status, await answer.text()


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr("flashcur.state.wire.gate.entrances", dict)
    site = Site()
    config = uvicorn.Config(
        site.asgi,
        host="127.0.0.1",
        port=site.port,
        http=BoundedHttpProtocol,
        ws=SharedFrameProtocol,
        interface="asgi3",
        lifespan="off",
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    monkeypatch.setattr(server, "capture_signals", contextlib.nullcontext)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, "the server", 10)
    yield site
    server.should_exit = True
    await asyncio.wait_for(task, 10)


async def test_a_client_reads_why_it_is_turned_away_and_comes_in_later(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with aiohttp.ClientSession(headers={"Cookie": "who=a"}) as session:
        site.admits = False
        status, words = await site.ask(session)
        assert (status, words) == (429, "Your network has opened too many connections: try again in a moment.")
        assert site.looked_up == []
        site.admits, site.has_room = True, False
        status, words = await site.ask(session)
        assert (status, words) == (503, "FlashCur has as many visitors as it can carry: try again in a moment.")
        site.has_room = True
        status, words = await site.ask(session)
        assert status == 101
        assert words.startswith('0{"sid"')
    assert site.looked_up == ["who=a"] * 2
    assert caplog.text == ""
