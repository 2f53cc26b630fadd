"""What Reflex is shown of whoever comes: nothing that proves who they are.

Reflex keeps a socket's headers in the router data of each of its states, and pickles them into Redis. So the session's
cookie is read here, once, when a request comes in: a socket is known from then on by the hash under which its session
is stored, and by where it comes from. Everything else of its request, but what opening a WebSocket needs, is left
outside; so are the cookies and keys of requests for pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import reflex as rx
from starlette.types import ASGIApp, Receive, Scope, Send

from flashcur.services.accounts.client import NOBODY, Client, client_of
from flashcur.state.wire.messages import NAMESPACE
from flashcur.web.routes.base import cookie_header

_OPENING = frozenset({b"origin", b"upgrade", b"sec-websocket-protocol"})
"""The headers that Engine.IO and Reflex read to open a socket: from which page, that it is one, of which version."""
_LONGEST = 200
"""Characters of one of those; a browser's are shorter."""
_CREDENTIALS = frozenset({b"cookie", b"authorization", b"proxy-authorization"})
_ARRIVAL = "flashcur.arrival"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who opened a socket."""

    visitor: str
    """`Visitor.key`; empty for a guest."""
    client: Client


UNKNOWN = Arrival("", NOBODY)
"""For a socket that is not there, or no longer."""


class Door:
    """The way in to Reflex of one web process."""

    def __init__(
        self,
        key_of: Callable[[str], str],
        greet: Callable[[str], Awaitable[object]],
        *,
        admits: Callable[[Client], bool] = lambda client: True,
        proxy_hops: int = 0,
    ) -> None:
        """`key_of` makes a visitor's key of a `Cookie` header; `greet` is awaited with it before a socket opens, if
        `admits` lets its client have one now; `proxy_hops`: how many of our own proxies stand in front of this
        process."""
        self._key_of = key_of
        self._greet = greet
        self._admits = admits
        self._proxy_hops = proxy_hops

    def wrap(self, inner: ASGIApp) -> ASGIApp:
        """`inner`, Reflex's application, behind this door."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "websocket":
                if not await self.receive(scope, send):
                    return
            elif scope["type"] == "http":
                headers = [header for header in scope["headers"] if header[0] not in _CREDENTIALS]
                scope = {**scope, "headers": headers}
            await inner(scope, receive, send)

        return app

    async def receive(self, scope: MutableMapping[str, Any], send: Send) -> bool:
        """Note in a socket's scope who it is, and take everything out of it that nobody behind this needs. False if it
        was turned away.

        The scope itself is changed: the server holds on to it for as long as the socket lasts.
        """
        peer = (scope.get("client") or ("",))[0]
        client = client_of(scope["headers"], peer, self._proxy_hops)
        # Before anything is looked up for it.
        if not self._admits(client):
            await turn_away(scope, send, 429, "Your network has opened too many connections: try again in a moment.")
            return False
        key = self._key_of(cookie_header(scope))
        scope[_ARRIVAL] = Arrival(key, client)
        scope["headers"] = [
            (name, value) for name, value in scope["headers"] if name in _OPENING and len(value) <= _LONGEST
        ]
        await self._greet(key)
        return True


async def turn_away(scope: Mapping[str, Any], send: Send, status: int, words: str) -> None:
    """Answer a socket's request with a status and words instead of opening it.

    A page tries again by itself, every two seconds at most. A server that cannot answer so closes the connection.
    """
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"2"), (b"cache-control", b"no-store")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": words.encode()})


def arrival_in(scope: Mapping[str, Any]) -> Arrival:
    """Who opened the socket of this scope; `UNKNOWN` for one that came by no door."""
    return scope.get(_ARRIVAL, UNKNOWN)


def arrival_of(app: rx.App, sid: str) -> Arrival:
    """Who opened the socket of a Socket.IO session; `UNKNOWN` once it has ended."""
    environ: dict[str, Any] | None = app.sio.get_environ(sid, NAMESPACE) if app.sio else None
    return UNKNOWN if environ is None else arrival_in(environ["asgi.scope"])
