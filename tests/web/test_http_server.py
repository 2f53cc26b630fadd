"""The end of every request, over real connections to uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from flashcur.web import http_server
from flashcur.web.http_server import MAX_HEAD, MAX_HEADERS, MAX_LINE, BoundedHttpProtocol
from flashcur.web.websocket_server import WHEN_LOST, SharedFrameProtocol
from tests.support.programs import free_port
from tests.support.waiting import eventually

UPGRADE = {
    "Host": "h",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class Site:
    """A server with a page and a socket."""

    server: uvicorn.Server

    def __init__(self, port: int) -> None:
        self.port = port
        self.lost = 0
        self.open = 0

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            self.open += 1
            scope["extensions"][WHEN_LOST](self._count)
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def _count(self) -> None:
        self.lost += 1

    async def ask(self, data: bytes, within_s: float = 5.0) -> str:
        """All that is answered until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return (await asyncio.wait_for(reader.read(), within_s)).decode()
        finally:
            writer.close()


def request(headers: dict[str, str], path: str = "/", method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    site = Site(free_port())
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
    server = site.server = uvicorn.Server(config)
    monkeypatch.setattr(server, "capture_signals", contextlib.nullcontext)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, "the server")
    yield site
    server.should_exit = True
    await asyncio.wait_for(task, 10)


CLOSE = {"Host": "h", "Connection": "close"}


async def test_a_page_of_usual_size_comes(site: Site) -> None:
    many = {f"X-{number}": "x" for number in range(MAX_HEADERS - 3)}
    headers = {**CLOSE, **many, "Cookie": "x" * (MAX_LINE - 10)}
    assert (await site.ask(request(headers))).startswith("HTTP/1.1 200 ")
    assert (await site.ask(request({**CLOSE, "Content-Length": "5"}, method="POST") + b"hello")).startswith(
        "HTTP/1.1 200"
    )


@pytest.mark.parametrize("kind", [CLOSE, UPGRADE], ids=["page", "socket"])
@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"Cookie": "x" * 8_200}, "/"),
        ({"Cookie": "x" * 60_000}, "/"),
        ({"x" * 8_200: ""}, "/"),
        ({f"X-{number}": "x" for number in range(200)}, "/"),
        ({}, "/?" + "x" * 9_000),
    ],
    ids=["cookie", "large cookie", "name", "many", "address"],
)
async def test_what_is_too_large_is_told_so(site: Site, kind: dict[str, str], more: dict[str, str], path: str) -> None:
    answer = await site.ask(request({**kind, **more}, path))
    assert answer.startswith("HTTP/1.1 431 ")
    assert "Delete the cookies of this site" in answer


async def test_a_header_that_never_ends_is_not_kept(site: Site) -> None:
    answer = await site.ask(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: " + b"x" * MAX_HEAD)
    assert answer.startswith("HTTP/1.1 431 ")


async def test_who_is_still_sending_reads_the_refusal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not reset under it; what never ends is closed all the same."""
    monkeypatch.setattr(http_server, "LINGER_S", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(request({**CLOSE, "Cookie": "x" * 8_200, "X-More": ""})[:-4] + b"x" * 3_000_000)
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 431 ")
    await eventually(lambda: not site.server.server_state.connections, "the end")
    writer.close()


async def test_a_connection_that_asks_nothing_is_closed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.3)
    assert await site.ask(b"") == ""


@pytest.mark.parametrize("sent", [b"GET", b"GET / HTTP/1.1\r\nHost: h\r\n", request(UPGRADE)[:-2]])
async def test_half_a_head_ends_by_time(site: Site, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.3)
    assert (await site.ask(sent)).startswith("HTTP/1.1 408 ")


async def test_dribbling_does_not_help(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.4)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET / HTTP/1.1\r\n")
    answer = asyncio.create_task(reader.read())
    for number in range(40):
        if answer.done():
            break
        writer.write(f"X-{number}: x\r\n".encode())
        await asyncio.sleep(0.05)
    writer.close()
    assert number < 20
    assert answer.result().startswith(b"HTTP/1.1 408 ")


async def test_half_a_body_ends_by_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "BODY_TIMEOUT_S", 0.3)
    assert await site.ask(request({"Host": "h", "Content-Length": "5"}, method="POST") + b"he") == ""


async def test_a_slow_answer_and_a_pause_between_requests_are_no_halves(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(http_server, "BODY_TIMEOUT_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    for _ in range(2):
        writer.write(request({"Host": "h"}))
        assert b"200" in await asyncio.wait_for(reader.readuntil(b"ok"), 5)
        await asyncio.sleep(0.5)
    writer.close()


async def test_a_socket_opens_stays_and_its_end_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(request(UPGRADE))
    assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await asyncio.sleep(0.4)
    assert (site.open, site.lost) == (1, 0)
    writer.transport.abort()
    await eventually(lambda: site.lost == 1, "the end")


async def test_a_handshake_that_websockets_cannot_parse_is_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the limits of the two differ."""
    monkeypatch.setattr(http_server, "MAX_LINE", 100_000)
    monkeypatch.setattr(http_server, "MAX_HEADERS", 10_000)
    for more in ({"Cookie": "x" * 9_000}, {f"X-{number}": "x" for number in range(200)}):
        assert (await site.ask(request({**UPGRADE, **more}))).startswith("HTTP/1.1 431 ")
    assert (await site.ask(request({**UPGRADE, "Transfer-Encoding": "chunked"}) + b"0\r\n\r\n"))[:12] == "HTTP/1.1 400"
