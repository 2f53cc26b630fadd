"""A WebSocket message prepared once and written to many connections.

A server's frames are not masked, so the same bytes fit every connection; and where a connection has agreed to
permessage-deflate without context takeover, so do the same compressed bytes (RFC 7692, 7.1.1.1).
"""

from __future__ import annotations

import struct
import zlib
from functools import cached_property
from typing import ClassVar, Protocol

_TEXT = 0x81
_TEXT_COMPRESSED = 0xC1
_TAIL = b"\x00\x00\xff\xff"


class SharedFrame:
    """One text message; each form is made when the first connection needs it."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def plain(self) -> bytes:
        """The bytes of a complete WebSocket frame (RFC 6455)."""
        return _frame(_TEXT, self.text.encode())

    @cached_property
    def deflated(self) -> bytes:
        """The same, compressed (RFC 7692): window of 15 bits, no context kept."""
        deflate = zlib.compressobj(level=4, wbits=-15)
        body = deflate.compress(self.text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return _frame(_TEXT_COMPRESSED, body.removesuffix(_TAIL))


class SharedFrameWriter(Protocol):
    """What a server puts in a socket's ASGI scope, under `extensions`, to be written to directly."""

    EXTENSION: ClassVar[str] = "flashcur.shared_frame_writer"

    @property
    def closed(self) -> bool:
        """Whether the connection is gone or going."""
        ...

    def write(self, frame: SharedFrame) -> bool:
        """Write the message; False, and nothing written, while earlier bytes wait to be sent."""
        ...

    def post(self, frame: SharedFrame) -> None:
        """Write the message after the bytes that wait to be sent; nothing happens on a closed connection."""
        ...


def _frame(first: int, body: bytes) -> bytes:
    size = len(body)
    if size < 126:
        return struct.pack("!BB", first, size) + body
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + body
    return struct.pack("!BBQ", first, 127, size) + body
