"""uvicorn's HTTP protocol with an end to every request: in size and in time.

uvicorn waits for the rest of a request for ever, and keeps whatever comes of its head. Its WebSocket side has limits of
its own, whose answer it does not send: here they hold for pages too, so that a visitor whose cookies have grown too
large is told so by the page, and not left with one that never connects.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_LINE = 8_000
"""Bytes of a request's address, and of one header with its name."""
MAX_HEADERS = 100
MAX_HEAD = 65_536
"""Bytes of everything before the body."""
HEAD_TIMEOUT_S = 10.0
"""How long the head of a request may take, from the connection or its first byte; proxies of bad lines need two."""
BODY_TIMEOUT_S = 60.0
LINGER_S = 2.0
"""How long after a refusal the rest of a request is still taken and dropped: closed at once, the connection would be
reset under the answer, and the browser show that instead."""

_TOO_LARGE = (
    "Your browser sends more with each request than this site accepts, most likely too many cookies. "
    "Delete the cookies of this site in your browser's settings and load the page again."
)
_TOO_SLOW = "The rest of this request did not come in time."


class _HeadTooLarge(Exception):
    """Ends the parsing of a request."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """See the module."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._too_large = False
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """uvicorn's; the first request has to begin."""
        super().connection_made(transport)
        self._wait(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn's; nothing is waited for any more."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """uvicorn's, unless a head goes on and on."""
        if self._refused:
            return
        super().data_received(data)
        if not self._in_head or self._refused or self.transport.is_closing():
            return
        # After that, since a message may have begun in it. A head that is whole has been looked at header by header.
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self._too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """uvicorn's; the clock of a head runs."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._wait(HEAD_TIMEOUT_S)

    def on_url(self, url: bytes) -> None:
        """uvicorn's, for an address that is not too long."""
        super().on_url(url)
        self._require(len(self.url) <= MAX_LINE)

    def on_header(self, name: bytes, value: bytes) -> None:
        """uvicorn's, for headers that are neither too long nor too many."""
        super().on_header(name, value)
        self._require(len(name) + len(value) <= MAX_LINE and len(self.headers) <= MAX_HEADERS)

    def on_headers_complete(self) -> None:
        """uvicorn's; the clock of a body runs."""
        self._in_head = False
        self._wait(BODY_TIMEOUT_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """uvicorn's; the request is whole."""
        self._wait(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """uvicorn's; from here on the WebSocket protocol has the connection."""
        self._wait(None)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's, which it sends for all that it cannot parse; 431 where that is because of a limit."""
        self._wait(None)
        if self._too_large:
            self._refuse("431 Request Header Fields Too Large", _TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _require(self, fits: bool) -> None:
        if not fits:
            self._too_large = True
            raise _HeadTooLarge

    def _wait(self, seconds: float | None) -> None:
        """Give the other side so long for what it is to send; None: as long as it likes."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes and not self._refused:
            self._refuse("408 Request Timeout", _TOO_SLOW)
        else:
            # Browsers open connections that they never use; and of a body the answer may be half-way.
            self.transport.close()

    def _refuse(self, status: str, text: str) -> None:
        body = text.encode()
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
            "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.write_eof()
        self._refused = True
        self._wait(LINGER_S)
