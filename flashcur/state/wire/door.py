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
        proxy_hops: int = 0,
    ) -> None:
        """`key_of` makes a visitor's key of a `Cookie` header; `greet` is awaited with it before a socket opens;
        `proxy_hops`: how many of our own proxies stand in front of this process."""
        self._key_of = key_of
        self._greet = greet
        self._proxy_hops = proxy_hops

    def wrap(self, inner: ASGIApp) -> ASGIApp:
        """`inner`, Reflex's application, behind this door."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "websocket":
                await self.receive(scope)
            elif scope["type"] == "http":
                headers = [header for header in scope["headers"] if header[0] not in _CREDENTIALS]
                scope = {**scope, "headers": headers}
            await inner(scope, receive, send)

        return app

    async def receive(self, scope: MutableMapping[str, Any]) -> None:
        """Note in a socket's scope who it is, and take everything out of it that nobody behind this needs.

        The scope itself is changed: the server holds on to it for as long as the socket lasts.
        """
        key = self._key_of(cookie_header(scope))
        peer = (scope.get("client") or ("",))[0]
        scope[_ARRIVAL] = Arrival(key, client_of(scope["headers"], peer, self._proxy_hops))
        scope["headers"] = [header for header in scope["headers"] if header[0] in _OPENING]
        await self._greet(key)


def arrival_in(scope: Mapping[str, Any]) -> Arrival:
    """Who opened the socket of this scope; `UNKNOWN` for one that came by no door."""
    return scope.get(_ARRIVAL, UNKNOWN)


def arrival_of(app: rx.App, sid: str) -> Arrival:
    """Who opened the socket of a Socket.IO session; `UNKNOWN` once it has ended."""
    environ: dict[str, Any] | None = app.sio.get_environ(sid, NAMESPACE) if app.sio else None
    return UNKNOWN if environ is None else arrival_in(environ["asgi.scope"])
