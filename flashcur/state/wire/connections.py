"""A socket's connection: Engine.IO's protocol with little that lasts as long as the socket.

Engine.IO gives each socket a queue, a task that writes what is in it, a task for the next ping and, around each
message, a task and a timer. Here a message is written to the transport at once (it keeps what the client has not
taken, as the queue did), a ping is a timer, and the task that the server started for the connection reads. The request
is forgotten once it was answered: every part that saw it (the server, Engine.IO's WSGI environ, Reflex's router data)
keeps its own copy of what is left in the scope then. Who it came from is there, as `door` wrote it.

`tests/state/wire/test_connections.py` holds python-engineio 4.15 and python-socketio 5.18 to what is assumed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import reflex as rx
from engineio.async_server import AsyncServer
from engineio.async_socket import AsyncSocket
from engineio.exceptions import SocketIsClosedError, UnknownPacketError
from engineio.packet import CLOSE, MESSAGE, OPEN, Packet
from socketio.packet import EVENT
from starlette.types import ASGIApp, Receive, Scope, Send

from flashcur.services.kit.logs import escaped
from flashcur.state.wire.door import Door
from flashcur.state.wire.messages import NAMESPACE
from flashcur.web.shared_frame import SharedFrame, SharedFrameWriter

logger = logging.getLogger(__name__)

_KEPT_ENVIRON = frozenset({"QUERY_STRING", "REMOTE_ADDR", "HTTP_SEC_WEBSOCKET_PROTOCOL"})
WHEN_ENDED = "flashcur.when_ended"
"""Key of a socket's environ: what is called when its connection has ended, whatever its protocol said before."""
_PATH = NAMESPACE
_PING = "2"


class Connection(AsyncSocket):
    """One socket."""

    def __init__(self, server: AsyncServer, sid: str, environ: dict[str, Any]) -> None:
        # Not the base's, which makes a queue.
        self.server = server
        self.sid = sid
        self.last_ping: float | None = time.time()
        self.connected = self.upgraded = True
        self.upgrading = self.closing = self.closed = False
        self.session: dict[str, Any] = {}
        self._environ = environ
        self._writer: SharedFrameWriter | None = (
            environ["asgi.scope"].get("extensions", {}).get(SharedFrameWriter.EXTENSION)
        )
        self._waiting: deque[str] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._ping_timer: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        """Open, read until the end, close."""
        environ, server = self._environ, self.server
        scope: dict[str, Any] = environ["asgi.scope"]
        accept: dict[str, Any] = {"type": "websocket.accept"}
        if scope.get("subprotocols"):
            accept["subprotocol"] = scope["subprotocols"][0]
        await environ["asgi.send"](accept)
        forget_request(environ)
        self._write(
            Packet(
                OPEN,
                {
                    "sid": self.sid,
                    "upgrades": [],
                    "pingTimeout": int(server.ping_timeout * 1000),
                    "pingInterval": int(server.ping_interval * 1000),
                    "maxPayload": server.max_http_buffer_size,
                },
            ).encode()
        )
        self.schedule_ping()
        await self._read(environ["asgi.receive"])
        await self.close(wait=False, abort=True, reason=server.reason.TRANSPORT_CLOSE)

    async def _read(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            data = message.get("text")
            if data is None or len(data) > self.server.max_http_buffer_size:
                return
            try:
                await self.receive(Packet(encoded_packet=data))
            except UnknownPacketError:
                pass
            except SocketIsClosedError:
                return
            except Exception as error:  # whatever a visitor's message breaks, it is one line, and the socket goes on
                logger.warning("a socket's message failed: %s: %s", type(error).__name__, escaped(str(error)))

    async def send(self, pkt: Packet) -> None:
        if await self.check_ping_timeout():
            self._write(pkt.encode())

    def _write(self, text: Any) -> None:
        """Send an encoded packet, which is a text: pages send and get no binary ones."""
        if self._writer is not None:
            self._writer.post(SharedFrame(text))
            return
        self._waiting.append(text)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send_waiting())

    async def _send_waiting(self) -> None:
        with contextlib.suppress(Exception):  # each server raises its own when a socket has closed
            while self._waiting:
                text = self._waiting.popleft()
                await self._environ["asgi.send"]({"type": "websocket.send", "bytes": None, "text": text})

    def schedule_ping(self) -> None:
        """Ask in a while whether the page is still there, unless it was asked and has not answered."""
        if self.last_ping:
            self.last_ping = None
            self._ping_timer = asyncio.get_running_loop().call_later(self.server.ping_interval, self._ping)

    def _ping(self) -> None:
        if not self.closing and not self.closed:
            self.last_ping = time.time()
            self._write(_PING)

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        if self.closed or self.closing:
            return
        self.closing = True
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        await self.server._trigger_event(
            "disconnect", self.sid, reason or self.server.reason.SERVER_DISCONNECT, run_async=False
        )
        if not abort:
            self._write(Packet(CLOSE).encode())
        self.closed = True
        # Not awaited: a server waits here for a client that reads nothing.
        self._sending = asyncio.ensure_future(self._hang_up(self._sending))

    async def _hang_up(self, sending: asyncio.Task[None] | None) -> None:
        with contextlib.suppress(Exception):
            if sending is not None:
                await sending
            await self._environ["asgi.send"]({"type": "websocket.close"})


def forget_request(environ: dict[str, Any]) -> None:
    """Leave of a socket's request what is read later."""
    environ["asgi.scope"] |= {"headers": [], "subprotocols": []}
    for name in [name for name in environ if name[:1].isupper() and name not in _KEPT_ENVIRON]:
        del environ[name]
    for name in [name for name in environ if name.startswith("wsgi.")]:
        del environ[name]


def _nothing() -> None: ...


def install(app: rx.App) -> None:
    """Have the app's sockets be `Connection`s; after the gate, once."""
    sio: Any = app.sio
    assert sio is not None, "expected an app with states"
    eio: Any = sio.eio

    async def connect(environ: dict[str, Any], transport: str, jsonp_index: int | None = None) -> Any:
        if eio.start_service_task:
            eio.start_service_task = False
            eio.service_task_handle = eio.start_background_task(eio._service_task)
        sid = eio.generate_id()
        connection = eio.sockets[sid] = Connection(eio, sid, environ)
        answer = await eio._trigger_event("connect", sid, environ, run_async=False)
        if answer is not None and answer is not True:
            del eio.sockets[sid]
            return eio._unauthorized(answer or None)
        try:
            await connection.serve()
        finally:
            eio.sockets.pop(sid, None)
            environ.get(WHEN_ENDED, _nothing)()
        return ""

    eio._handle_connect = connect
    emit_to_many = sio.manager.emit

    async def emit(event: str, data: Any, namespace: str, room: Any = None, **options: Any) -> None:
        """To one socket without a task of its own."""
        to = options.get("to") or room
        eio_sid = sio.manager.eio_sid_from_sid(to, namespace) if isinstance(to, str) else None
        if eio_sid is None or isinstance(data, tuple) or options.get("skip_sid") or options.get("callback"):
            await emit_to_many(event, data, namespace, room=room, **options)
            return
        packet = sio.packet_class(EVENT, [event, data], namespace, binary=False)
        with contextlib.suppress(SocketIsClosedError):
            await eio.send_packet(eio_sid, Packet(MESSAGE, packet.encode()))

    sio.manager.emit = emit


def direct(asgi: ASGIApp, app: rx.App, door: Door) -> ASGIApp:
    """`asgi`, the app's, with a shorter way for sockets: past middlewares that do nothing for them and whose frames
    would last as long as they, but not past the `door`."""
    sio = app.sio
    assert sio is not None, "expected an app with states"

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"].rstrip("/") == _PATH:
            app._set_contexts_internal()
            if await door.receive(scope, send):
                await sio.handle_request(scope, receive, send)
        else:
            await asgi(scope, receive, send)

    return route
