"""uvicorn's WebSocket protocol, with a direct way to write a message that is the same for many connections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol

from flashcur.web.shared_frame import SharedFrame, SharedFrameWriter

_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    compress_settings={"level": 4, "memLevel": 5},
)
"""Without context takeover a compressed message fits every connection, and no connection keeps a 300 kB compressor."""

WHEN_LOST = "flashcur.when_lost"
"""Extension of the ASGI scope: a function that takes what is to be called, once, when the connection has ended."""

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_WORTH_DEFLATING = 512
"""Characters: a smaller message costs more to compress than it saves."""


class SharedFrameProtocol(WebSocketsSansIOProtocol):
    """A connection that is also a `SharedFrameWriter`; ASGI applications find it in `scope["extensions"]`."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = ServerProtocol(
            extensions=[_DEFLATE] if config.ws_per_message_deflate else None,
            max_size=config.ws_max_size,
            logger=logging.getLogger("uvicorn.error"),
        )
        self._when_lost: list[Callable[[], object]] = []

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn's, and tells those who count connections."""
        super().connection_lost(exc)
        for tell in self._when_lost:
            tell()
        self._when_lost.clear()

    def data_received(self, data: bytes) -> None:
        """uvicorn's, and answers a handshake that cannot be parsed: uvicorn leaves whoever sent it waiting."""
        super().data_received(data)
        if self.handshake_initiated or self.conn.handshake_exc is None or self.transport.is_closing():
            return
        self.handshake_complete = self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
        self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """uvicorn's, and puts this connection into the ASGI scope."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope.setdefault("extensions", {})  # type: ignore[assignment]
            extensions[SharedFrameWriter.EXTENSION] = self
            extensions[WHEN_LOST] = self._when_lost.append

    async def send(self, message: ASGISendEvent) -> None:
        """uvicorn's, and forgets the handshake once it is over."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            # The handshake is over; its headers would stay as long as the socket. The suspended parser holds the
            # request, too.
            self.request.headers.clear()
            del self.request, self.response
        elif message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # uvicorn takes a handshake that was refused with a status for one without an answer, and logs an error.
            self.handshake_complete = True

    @property
    def closed(self) -> bool:
        """See `SharedFrameWriter.closed`."""
        return self.disconnected or self.close_sent or self.transport.is_closing()

    def write(self, frame: SharedFrame) -> bool:
        """See `SharedFrameWriter.write`; False before the handshake is over as well."""
        if not self.handshake_complete or self.transport.get_write_buffer_size():
            return False
        self.transport.write(self._bytes(frame))
        return True

    def post(self, frame: SharedFrame) -> None:
        """See `SharedFrameWriter.post`; nothing before the handshake is over as well."""
        if self.handshake_complete and not self.closed:
            self.transport.write(self._bytes(frame))

    def _bytes(self, frame: SharedFrame) -> bytes:
        return frame.deflated if len(frame.text) >= _WORTH_DEFLATING and self._deflates() else frame.plain

    def _deflates(self) -> bool:
        return any(
            isinstance(extension, PerMessageDeflate)
            and extension.local_no_context_takeover
            and extension.local_max_window_bits == 15
            for extension in self.conn.extensions
        )
