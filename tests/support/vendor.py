"""A vendor's HTTP server on this event loop: it answers as its protocol says, unless a script says otherwise."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from aiohttp import web


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    fault: Literal["", "silent", "hang up", "stall"] = ""
    """`silent`: the request is taken and never answered; `hang up`: the connection is closed instead of an answer;
    `stall`: the head and the body come, and the end of the body never does."""


def json_reply(body: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"Content-Type": "application/json", **named}, json.dumps(body).encode())


HTML = Reply(502, {"Content-Type": "text/html"}, b"<!doctype html><h1>502 <b>Bad</b> Gateway</h1>")


@dataclass(frozen=True)
class Request:
    path: str
    """With its query."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Vendor:
    """Subclasses answer in `respond`; this one takes everything."""

    def __init__(self) -> None:
        self.url = ""
        self.script: deque[Reply] = deque()
        """Given first, one a request."""
        self.requests: list[Request] = []
        self.connections = 0
        self._over = asyncio.Event()

    def respond(self, request: Request) -> Reply:
        return Reply()

    async def reply(self, request: Request) -> Reply:
        """`respond`, for those that take their time."""
        return self.respond(request)

    async def _handle(self, received: web.BaseRequest) -> web.StreamResponse:
        request = Request(received.path_qs, dict(received.headers), await received.read())
        self.requests.append(request)
        reply = self.script.popleft() if self.script else await self.reply(request)
        transport = received.transport
        assert transport is not None
        if reply.fault == "silent":
            await self._over.wait()
        if reply.fault in ("silent", "hang up"):
            transport.abort()
            return web.Response()
        if reply.fault == "stall":
            response = web.StreamResponse(status=reply.status, headers=reply.headers)
            response.content_length = len(reply.body) + 1
            await response.prepare(received)
            await response.write(reply.body)
            await self._over.wait()
            transport.abort()
            return response
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    def _connect(self, server: web.Server) -> asyncio.Protocol:
        self.connections += 1
        return server()


V = TypeVar("V", bound=Vendor)


@asynccontextmanager
async def serving(vendor: V) -> AsyncIterator[V]:
    """`vendor` on a free port of 127.0.0.1 until the block ends."""
    server = web.Server(vendor._handle)
    listening = await asyncio.get_running_loop().create_server(lambda: vendor._connect(server), "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        vendor._over.set()
        listening.close()
        # Connections that are kept alive end at once; without this each is waited for.
        server.pre_shutdown()
        await server.shutdown(1)
