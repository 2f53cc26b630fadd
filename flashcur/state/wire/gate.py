"""What a socket may ask: the gate between the network and Reflex's event handlers.

Reflex runs whatever handler a socket names, with whatever arguments. Here a message has to pass, in this order: its
size and its socket's budget, before anything is decoded; its form (`messages.py`); the list of who may call what
(`access.py`). What does not pass is dropped and the page goes on; a socket that keeps at it is closed.

`tests/state/wire/test_gate.py` and `tests/state/test_sockets.py` hold Socket.IO's handlers, and Engine.IO's environ of
a connection, to what is assumed here.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs

import reflex as rx

from flashcur.services.accounts.client import Client
from flashcur.services.kit.budgets import Budgets
from flashcur.state.wire.access import Entrance, Identity, entrances, may_call
from flashcur.state.wire.connections import WHEN_ENDED
from flashcur.state.wire.door import arrival_in, turn_away
from flashcur.state.wire.messages import MAX_MESSAGE, NAMESPACE, CheckedPacket, Malformed, fault_in, page_of
from flashcur.web.websocket_server import WHEN_LOST

logger = logging.getLogger(__name__)

RATE = 10.0
"""Messages a second that a socket may send on average; a page sends one a click."""
BURST = 60.0
MAX_DROPPED = 200
"""Dropped messages after which a socket is closed."""
MAX_SOCKETS = 200
"""Open sockets from one network: an IPv4 address, or an IPv6 /64."""
CONNECTIONS = MAX_SOCKETS
"""Sockets that one network opens at once: after a restart all of its come back together."""
CONNECTION_RATE = 10.0
"""Sockets a second that it opens after that."""
MAX_ADDRESS = 200
"""Characters of the path with which a socket is opened, and of the query; a page's has 80."""
HYDRATIONS = 2 * MAX_SOCKETS
"""Page loads at once from one network: after a restart all of its sockets come back together."""
HYDRATION_RATE = 20.0
"""Page loads a second from one network after that; each costs some 3 ms."""
EVENTS = 5 * MAX_SOCKETS
"""Greetings and events at once from one network, whatever they ask for; a page load is some five."""
EVENT_RATE = 100.0
"""Greetings and events a second from one network after that; each costs 1 to 2 ms, and sockets have budgets each."""
SITE_SOCKETS = 5 * MAX_SOCKETS
"""Open sockets from one IPv6 /48, which a line or a tunnel may have whole."""
_HYDRATING = frozenset(
    {
        "state.hydrate_and_load",
        "on_load_internal_state.on_load_internal",
        "feed_state.watch_table",
        "feed_state.watch_feed",
    }
)
"""Handlers that send whole states, and need no account."""

_POLICY_VIOLATION = 1008
_PEER = "flashcur.peer"
# Engine.IO: 1 close, 3 pong, 4 message; Socket.IO inside it: 0 connect, 1 disconnect, 2 event. With another second
# character Engine.IO would decode the rest as JSON, and fail on values nested deeply.
_PACKET = re.compile(r"[13]\Z|4[012]")
_GREETING, _GOODBYE = "0", "1"
# Tokens name a visitor's state, in Redis too, where Reflex appends to them with an underscore.
_TOKEN = re.compile(r"[0-9A-Za-z-]{1,64}")

Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Guest:
    """A visitor who is not signed in."""

    account: None = None
    admin: bool = False


_GUEST = Guest()


def everybody_is_a_guest(sid: str) -> Identity:
    """The visitor behind any socket of a site without accounts."""
    return _GUEST


async def everybody_fits() -> bool:
    """True: for a process without a bound."""
    return True


async def _nowhere(message: Message) -> None: ...


@dataclass(slots=True, eq=False)
class Peer:
    """One socket's budget. It lives in the connection's environ and ends with it."""

    network: str | None
    """What its address counts as; None: not counted."""
    tokens: float
    filled: float
    """Time at which `tokens` was right."""
    dropped: int = 0
    site: str | None = None
    """The wider network that its own is part of; None where there is none, or it is not counted."""
    counted: bool = False
    """It is among the open sockets of its network."""
    greeted: bool = False
    """It has asked for a session, and has had its only one."""


class Gate:
    """The gate of one web process."""

    def __init__(
        self,
        app: rx.App,
        *,
        visitor_of: Callable[[str], Identity] = everybody_is_a_guest,
        has_room: Callable[[], Awaitable[bool]] = everybody_fits,
        proxy_hops: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`visitor_of` says who is behind a socket, by its id; `has_room` whether this process can hold another tab;
        `proxy_hops`: how many of our own proxies stand in front of this process."""
        self._app = app
        self._visitor_of = visitor_of
        self._has_room = has_room
        self._proxy_hops = proxy_hops
        self._clock = clock
        self._entrances: dict[str, Entrance] = {}
        self._open: Counter[str] = Counter()
        self._connections = Budgets(CONNECTIONS, CONNECTION_RATE)
        self._hydrations = Budgets(HYDRATIONS, HYDRATION_RATE)
        self._events = Budgets(EVENTS, EVENT_RATE)
        self._full: set[str] = set()
        """Networks that have all the sockets they may, which the log has said."""
        self.refused: Counter[str] = Counter()
        """Refused messages by reason: `size`, `rate`, `form`, `name`, `arguments`, `access`, `hydration`, `events` (too
        many of a network); and sockets:
        `sockets`, `connections` (too many a second), `tabs` (no room in this process)."""

    def install(self) -> None:
        """Stand between the sockets and the app; after the app and all states were made, once."""
        sio, namespace = self._app.sio, self._app.event_namespace
        assert sio is not None, "expected an app with states"
        assert namespace is not None, "expected an app with states"
        self._sio = sio
        self._entrances = entrances()
        handlers = sio.eio.handlers
        self._connect, self._message = (handlers[x] for x in ("connect", "message"))
        sio.eio.on("connect", self._on_connect)
        sio.eio.on("message", self._on_message)
        sio.packet_class = CheckedPacket
        # The greeting that comes with a connection goes through it, too.
        self._event = namespace.on_event
        namespace.on_event = self.on_event

    async def _on_connect(self, eio_sid: str, environ: dict[str, Any]) -> Any:
        scope = environ["asgi.scope"]
        client = arrival_in(scope).client
        network = self._network(client)
        site = None if network is None else client.site
        if self._is_full(network, MAX_SOCKETS) or self._is_full(site, SITE_SOCKETS):
            words = f"Your network has {MAX_SOCKETS} tabs of FlashCur open, and may have no more: close some."
            return await self._turn_away("sockets", environ, 429, words)
        path: str = environ["asgi.scope"].get("path", "")
        if len(path) > MAX_ADDRESS or not _has_one_token(environ.get("QUERY_STRING", "")):
            self.refused["sockets"] += 1
            return False
        if not await self._has_room():
            words = "FlashCur has as many visitors as it can carry: try again in a moment."
            return await self._turn_away("tabs", environ, 503, words)
        environ[_PEER] = peer = Peer(network, BURST, self._clock(), site=site)
        environ["asgi.receive"] = self._guarded(environ["asgi.receive"], environ["asgi.send"], peer)
        self._count(peer, environ)
        answer: Any = False
        try:
            answer = await self._connect(eio_sid, environ)
        finally:
            if answer is not None and answer is not True:
                self._forget(peer)
        return answer

    def _is_full(self, network: str | None, most: int) -> bool:
        if network is None or self._open[network] < most:
            return False
        if network not in self._full:
            self._full.add(network)
            logger.warning("%s has %d sockets open: refused another", network, most)
        return True

    async def _turn_away(self, reason: str, environ: dict[str, Any], status: int, words: str) -> bool:
        """False, once the answer was given; Engine.IO's own goes nowhere."""
        self.refused[reason] += 1
        await turn_away(environ["asgi.scope"], environ["asgi.send"], status, words)
        environ["asgi.send"] = _nowhere
        return False

    def admits_connection(self, client: Client) -> bool:
        """Whether a client's network may open another socket now; it is charged for it."""
        network = self._network(client)
        if network is None or self._connections.take(network, self._clock()):
            return True
        self.refused["connections"] += 1
        return False

    def _count(self, peer: Peer, environ: dict[str, Any]) -> None:
        """Count a connection until it has ended: a socket that says goodbye may well stay."""
        if peer.network is None:
            return
        for network in (peer.network, peer.site):
            if network is not None:
                self._open[network] += 1
        peer.counted = True

        def ended() -> None:
            self._forget(peer)

        when_lost = environ["asgi.scope"].get("extensions", {}).get(WHEN_LOST)
        if when_lost is None:
            # A server that does not tell; the call that serves the socket ends with it, or a moment before.
            environ[WHEN_ENDED] = ended
        else:
            when_lost(ended)

    def _forget(self, peer: Peer) -> None:
        if peer.network is None or not peer.counted:
            return
        peer.counted = False
        for network in (peer.network, peer.site):
            if network is None:
                continue
            self._open[network] -= 1
            self._full.discard(network)
            if self._open[network] <= 0:
                del self._open[network]

    def _network(self, client: Client) -> str | None:
        try:
            # Without proxies these are this machine's own programs: benchmarks, probes.
            if not self._proxy_hops and ip_address(client.ip).is_loopback:
                return None
        except ValueError:
            return None
        return client.network

    def _guarded(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]], peer: Peer
    ) -> Callable[[], Awaitable[Message]]:
        async def guarded() -> Message:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    return message
                admitted = self.admits(peer, message.get("text"))
                if peer.dropped > MAX_DROPPED:
                    await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
                    return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}
                if admitted:
                    return message

        return guarded

    def admits(self, peer: Peer, text: object) -> bool:
        """Whether a message is within a socket's budget and worth decoding; it is charged for it."""
        now = self._clock()
        tokens = min(BURST, peer.tokens + (now - peer.filled) * RATE)
        peer.filled, peer.tokens = now, max(tokens - 1.0, 0.0)
        if tokens < 1.0:
            return self._refuse(peer, "rate", f"more than {RATE:.0f} messages a second")
        if not isinstance(text, str) or not _PACKET.match(text):
            return self._refuse(peer, "form", "a message that is no packet of a page")
        if len(text) > MAX_MESSAGE:
            return self._refuse(peer, "size", f"a message of {len(text)} characters")
        return True

    async def _on_message(self, eio_sid: str, data: Any) -> None:
        peer: Peer | None = self._sio.environ.get(eio_sid, {}).get(_PEER)
        if data[:1] == _GREETING:
            # Each would make another session, with a state that outlives it: after a goodbye, too.
            if peer is None or peer.greeted:
                self._refuse(peer, "form", "a second greeting")
                return
            peer.greeted = True
            if not self._may_ask(peer):
                self._refuse(peer, "events", "a session")
                await self._sio.eio.disconnect(eio_sid)
                return
        try:
            await self._message(eio_sid, data)
        except Malformed as error:
            self._refuse(peer, "form", str(error))
        if data[:1] == _GOODBYE:
            # It may have no other session, and whoever sends it anything finds out when it has closed.
            await self._sio.eio.disconnect(eio_sid)

    async def on_event(self, sid: str, data: Any) -> None:
        """Pass an event on to Reflex if it is well-formed and its sender may call its handler."""
        if not self._may_ask(self._peer(sid)):
            self._refuse_event(sid, "events", f"more than {EVENT_RATE:.0f} things a second from its network")
            return
        fault = fault_in(data)
        if fault is not None:
            self._refuse_event(sid, "form", fault)
            return
        entrance = self._entrances.get(data["name"])
        if entrance is None:
            self._refuse_event(sid, "name", f"{data['name'][-80:]!r}, which is not in the list of handlers")
            return
        arguments = data.get("payload", {})
        fault = entrance.fault_in(arguments) or _fault_in_storage(arguments if "vars" in arguments else {})
        if fault is not None:
            self._refuse_event(sid, "arguments", f"{entrance.name} {fault}")
            return
        if entrance.caller != "anyone" and not may_call(entrance.caller, self._visitor_of(sid)):
            self._refuse_event(sid, "access", f"{entrance.name}, which is for {entrance.caller}")
            return
        if entrance.name in _HYDRATING and not self._may_hydrate(sid):
            self._refuse_event(sid, "hydration", f"{entrance.name} more than {HYDRATION_RATE:.0f} times a second")
            return
        await self._event(sid, {**data, "router_data": page_of(data.get("router_data", {}), self._is_page)})

    def _is_page(self, path: str) -> bool:
        return self._app.router(path) is not None

    def _may_ask(self, peer: Peer | None) -> bool:
        """Charge a greeting or an event to the network, before Reflex does anything for it."""
        return peer is None or peer.network is None or self._events.take(peer.network, self._clock())

    def _may_hydrate(self, sid: str) -> bool:
        """Charge a page load to the network: two hundred sockets have two hundred budgets."""
        peer = self._peer(sid)
        return peer is None or peer.network is None or self._hydrations.take(peer.network, self._clock())

    def _peer(self, sid: str) -> Peer | None:
        environ: dict[str, Any] = self._sio.get_environ(sid, NAMESPACE) or {}
        return environ.get(_PEER)

    def _refuse_event(self, sid: str, reason: str, what: str) -> None:
        self._refuse(self._peer(sid), reason, what)

    def _refuse(self, peer: Peer | None, reason: str, what: str) -> bool:
        """Count a refusal; False. The first of a socket is logged, and its end."""
        self.refused[reason] += 1
        if peer is None:
            return False
        peer.dropped += 1
        whose = peer.network or "a local program"
        if peer.dropped == 1:
            logger.warning("a socket of %s asked for %s: refused, as what follows of the kind", whose, what)
        elif peer.dropped == MAX_DROPPED + 1:
            logger.warning("a socket of %s is closed after %d refused messages", whose, MAX_DROPPED)
        return False


def _has_one_token(query: str) -> bool:
    """Whether there is one token, of the form that pages make, as Reflex reads the query.

    It takes the first of several, and reads names that are escaped.
    """
    if len(query) > MAX_ADDRESS:
        return False
    tokens = parse_qs(query, keep_blank_values=True).get("token", [])
    return len(tokens) == 1 and _TOKEN.fullmatch(tokens[0]) is not None


def _fault_in_storage(arguments: dict[str, Any]) -> str | None:
    """The greeting's `vars` may name nothing but what states keep in the browser."""
    kept = arguments.get("vars")
    for name in kept or ():
        state, _, var = name.rpartition(".")
        try:
            known = rx.State.get_class_substate(state)._is_client_storage(var.removesuffix("_rx_state_"))
        except ValueError:
            known = False
        if not known:
            return "with a var that is not kept in the browser"
    return None
