"""Just enough WebSocket (RFC 6455, 7692) and Engine.IO for a client that carries thousands of sockets.

A load client must cost less than the server it measures: it reads frame headers, keeps the first bytes of each
message, and never looks at the rest.
"""

from __future__ import annotations

import base64
import os
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

HEAD_BYTES = 384
"""How much of a message is kept: enough, compressed or not, to hold the time at which its frame was taken."""

_INFLATED_HEAD = 1024
_TAIL = b"\x00\x00\xff\xff"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA

# A browser's, so that what the server keeps of a request has its real size.
_BROWSER_HEADERS = (
    "Pragma: no-cache\r\nCache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n"
)

AS_OF = re.compile(rb'"as_of(?:_rx_state_)?": ?(\d{13})')


@dataclass(frozen=True, slots=True)
class Message:
    """A data message: its size on the wire and its beginning."""

    head: bytes
    """At most `HEAD_BYTES`, as they came."""
    size: int
    """Bytes of payload on the wire."""
    compressed: bool

    def text(self) -> bytes:
        """The beginning of the message, inflated."""
        if not self.compressed:
            return self.head
        whole = len(self.head) == self.size
        return zlib.decompressobj(wbits=-15).decompress(self.head + _TAIL if whole else self.head, _INFLATED_HEAD)


class FrameReader:
    """Cuts a server's byte stream into messages.

    `on_message(head, size, compressed)` is called for each whole text message, `on_control(opcode, payload)` for
    pings and closes. A server that fragments messages is refused with ValueError: none of those measured does.
    """

    __slots__ = ("_buffer", "_compressed", "_head", "_missing", "_on_control", "_on_message", "_size")

    def __init__(
        self, on_message: Callable[[bytes, int, bool], None], on_control: Callable[[int, bytes], None]
    ) -> None:
        self._on_message = on_message
        self._on_control = on_control
        self._buffer = b""
        self._missing = 0
        """Bytes of the current message's payload still to come, its head being read."""
        self._head = b""
        self._size = 0
        self._compressed = False

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive."""
        if self._missing:
            if len(data) < self._missing:
                self._missing -= len(data)
                return
            rest = data[self._missing :]
            self._missing = 0
            self._on_message(self._head, self._size, self._compressed)
            data = rest
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        at, end = 0, len(data)
        while end - at >= 2:
            first, size = data[at], data[at + 1]
            start = at + 2
            if size == 126:
                if end - at < 4:
                    break
                size = (data[at + 2] << 8) | data[at + 3]
                start = at + 4
            elif size == 127:
                if end - at < 10:
                    break
                (size,) = struct.unpack_from("!Q", data, at + 2)
                start = at + 10
            opcode = first & 0x0F
            whole = start + size <= end
            if not whole and (end - start < HEAD_BYTES or opcode != _TEXT):
                break
            if not first & 0x80 or opcode == 0:
                raise ValueError("expected messages in one frame each, was a fragmented one")
            if opcode == _TEXT:
                head = data[start : min(start + HEAD_BYTES, start + size)]
                if not whole:
                    self._head, self._size, self._compressed = head, size, bool(first & 0x40)
                    self._missing = start + size - end
                    return
                self._on_message(head, size, bool(first & 0x40))
            else:
                self._on_control(opcode, data[start : start + size])
            at = start + size
        if at < end:
            self._buffer = data[at:]


def client_frame(body: bytes, opcode: int = _TEXT) -> bytes:
    """A client's frame: masked as the protocol demands, with a key of zeros, which leaves the body as it is."""
    size = len(body)
    if size < 126:
        return struct.pack("!BB4x", 0x80 | opcode, 0x80 | size) + body
    if size < 1 << 16:
        return struct.pack("!BBH4x", 0x80 | opcode, 0x80 | 126, size) + body
    return struct.pack("!BBQ4x", 0x80 | opcode, 0x80 | 127, size) + body


def upgrade_request(host: str, target: str, *, deflate: bool) -> bytes:
    """The opening handshake. `deflate` offers compression as browsers do."""
    key = base64.b64encode(os.urandom(16)).decode()
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if deflate else ""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n{_BROWSER_HEADERS}"
        f"Upgrade: websocket\r\nOrigin: http://{host}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n{offer}\r\n"
    ).encode()


def as_of_ms(text: bytes) -> int | None:
    """When the frame that begins like this was taken, Unix ms; None for any other message."""
    found = AS_OF.search(text)
    return int(found[1]) if found else None
