"""What is assumed of Engine.IO, Socket.IO and the server where `connections` takes their place."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
import reflex as rx
from engineio.async_server import AsyncServer as EngineServer
from socketio import AsyncServer

from flashcur.state.wire import connections
from flashcur.state.wire.door import Door
from flashcur.state.wire.failures import shorten_library_records
from flashcur.state.wire.messages import NAMESPACE
from flashcur.web.shared_frame import SharedFrame, SharedFrameWriter
from tests.support.waiting import eventually

COOKIE = (b"cookie", b"session=1")
HEADERS = [
    (b"host", b"h"),
    (b"upgrade", b"websocket"),
    (b"accept-language", b"en"),
    COOKIE,
    (b"user-agent", b"browser"),
]


class Client:
    """A browser at the other end of an ASGI connection; with `writes`, on a server that is written to directly."""

    closed = False

    def __init__(self, server: AsyncServer, *, writes: bool, path: str = f"{NAMESPACE}/") -> None:
        self.received: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said.put_nowait({"type": "websocket.connect"})
        extensions = {SharedFrameWriter.EXTENSION: self} if writes else {}
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": path,
            "query_string": b"EIO=4&transport=websocket&token=t",
            "headers": list(HEADERS),
            "subprotocols": ["0.10.1", "other"],
            "extensions": extensions,
        }
        self.task = asyncio.ensure_future(server.handle_request(self.scope, self.said.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        self.received.append(message)
        if message["type"] == "websocket.send":
            self.texts.append(message["text"])

    def post(self, frame: SharedFrame) -> None:
        self.texts.append(frame.text)

    def write(self, frame: SharedFrame) -> bool:
        self.post(frame)
        return True

    def say(self, text: str) -> None:
        self.said.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self.said.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def until(self, text: str) -> None:
        await eventually(lambda: any(text in each for each in self.texts), text, 5)


@pytest.fixture
def server() -> AsyncServer:
    server = AsyncServer(async_mode="asgi", transports=["websocket"], namespaces=[NAMESPACE], ping_interval=0.2)
    connections.install(cast("rx.App", SimpleNamespace(sio=server)))
    return server


@pytest.fixture(params=[True, False], ids=["direct", "asgi"])
async def client(server: AsyncServer, request: pytest.FixtureRequest) -> Client:
    return Client(server, writes=request.param)


def test_what_is_replaced_is_there() -> None:
    assert list(EngineServer._handle_connect.__code__.co_varnames[:4]) == [
        "self",
        "environ",
        "transport",
        "jsonp_index",
    ]
    server = AsyncServer(async_mode="asgi")
    assert server.eio.sockets == {}
    assert server.eio.service_task_handle is None


async def test_a_socket_opens_with_its_protocol_and_the_terms(client: Client) -> None:
    await client.until('0{"sid"')
    assert client.received[0] == {"type": "websocket.accept", "subprotocol": "0.10.1"}
    assert '"upgrades":[]' in client.texts[0]
    client.say(f"40{NAMESPACE},")
    await client.until(f"40{NAMESPACE},")


async def test_the_request_is_forgotten(server: AsyncServer, client: Client) -> None:
    client.say(f"40{NAMESPACE},")
    await client.until(f"40{NAMESPACE},")
    (environ,) = server.environ.values()
    assert client.scope["headers"] == client.scope["subprotocols"] == []
    assert environ["QUERY_STRING"].endswith("token=t")
    assert not [name for name in environ if name.startswith(("HTTP_USER", "HTTP_COOKIE", "wsgi."))]


async def test_messages_to_one_socket_keep_their_order(server: AsyncServer, client: Client) -> None:
    client.say(f"40{NAMESPACE},")
    await client.until(f"40{NAMESPACE},")
    (sid,) = server.manager.rooms[NAMESPACE][None]
    for number in range(50):
        await server.emit("event", {"n": number}, to=sid, namespace=NAMESPACE)
    await client.until('"n":49')
    assert [text for text in client.texts if '"n":' in text] == [
        f'42{NAMESPACE},["event",{{"n":{number}}}]' for number in range(50)
    ]


async def test_a_page_that_answers_pings_stays_and_one_that_leaves_is_gone(server: AsyncServer, client: Client) -> None:
    left: list[str] = []
    server.on("disconnect", lambda sid, reason: left.append(reason), namespace=NAMESPACE)
    client.say(f"40{NAMESPACE},")
    await client.until(f"40{NAMESPACE},")
    for pings in (1, 2):
        await eventually(lambda pings=pings: client.texts.count("2") == pings, "a ping", 5)
        client.say("3")
    client.leave()
    await asyncio.wait_for(client.task, 5)
    assert left == ["transport close"]
    assert server.eio.sockets == {}
    assert server.environ == {}


async def test_the_end_is_told_when_the_connection_has_ended_and_not_at_a_goodbye(server: AsyncServer) -> None:
    ended: list[str] = []

    def on_connect(eio_sid: str, environ: dict[str, Any]) -> None:
        environ[connections.WHEN_ENDED] = lambda: ended.append("ended")

    server.eio.on("connect", on_connect)
    client = Client(server, writes=True)
    await client.until("0{")
    client.say("1")
    await eventually(lambda: any(m["type"] == "websocket.close" for m in client.received), "the goodbye", 5)
    await asyncio.sleep(0.05)
    assert ended == []
    client.leave()
    await asyncio.wait_for(client.task, 5)
    assert ended == ["ended"]


async def test_a_page_that_answers_no_ping_is_closed(server: AsyncServer) -> None:
    server.eio.ping_timeout = 0.3
    client = Client(server, writes=True)
    await eventually(lambda: any(m["type"] == "websocket.close" for m in client.received), "the end", 10)
    client.leave()
    await asyncio.wait_for(client.task, 5)
    assert server.eio.sockets == {}


async def test_what_a_message_breaks_is_one_line_and_the_socket_goes_on(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "_logRecordFactory", logging.getLogRecordFactory())
    shorten_library_records()
    await client.until("0{")
    for text in ("", "x", "42/_event,[", "4", "9", '42["event",' + "[" * 5000):
        client.say(text)
    client.say(f"40{NAMESPACE},")
    await client.until(f"40{NAMESPACE},")
    assert "Traceback" not in caplog.text
    assert caplog.text.count("\n") <= 6


async def test_only_the_app_s_sockets_take_the_short_way(server: AsyncServer) -> None:
    taken: list[str] = []

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        taken.append(scope["path"])

    async def greet(key: str) -> None:
        taken.append(f"greeted {key}")

    app = SimpleNamespace(sio=server, _set_contexts_internal=lambda: taken.append("contexts"))
    route = connections.direct(whole, cast("rx.App", app), Door(lambda cookies: f"who has {cookies}", greet))

    said = iter(("websocket.connect", "websocket.disconnect"))

    async def receive() -> dict[str, Any]:
        return {"type": next(said)}

    async def send(message: Any) -> None: ...

    for kind, path in (("http", "/_event/"), ("websocket", "/other"), ("lifespan", "")):
        await route({"type": kind, "path": path}, receive, send)
    assert taken == ["/_event/", "/other", ""]
    client = Client(server, writes=True)
    await client.until("0{")
    client.leave()
    await route({**client.scope, "headers": list(HEADERS)}, receive, send)
    assert taken[3:] == ["contexts", "greeted who has session=1"]
