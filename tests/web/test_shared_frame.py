"""The prepared bytes are WebSocket frames that a client's own library understands."""

from __future__ import annotations

import json

import pytest
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from flashcur.web.shared_frame import SharedFrame


def client(*, deflate: bool) -> list[Extension]:
    """The extensions of a browser's connection."""
    return [PerMessageDeflate(True, True, 15, 15)] if deflate else []


def received(extensions: list[Extension], data: bytes) -> str:
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=False, extensions=extensions)
    try:
        while True:
            next(parsing)
    except StopIteration as done:
        frame: Frame = done.value
    assert frame.opcode is Opcode.TEXT
    assert frame.fin
    return bytes(frame.data).decode()


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("deflate", [False, True])
def test_frame_says_its_text(size: int, deflate: bool) -> None:
    text = json.dumps({"n": "€" + "0123456789" * (size // 10)})
    frame = SharedFrame(text)
    assert received(client(deflate=deflate), frame.deflated if deflate else frame.plain) == text


def test_one_compressed_message_fits_connections_at_any_point() -> None:
    """Without context takeover: a connection that saw other messages before reads the same bytes."""
    fresh, used = client(deflate=True), client(deflate=True)
    received(used, SharedFrame("something else").deflated)
    frame = SharedFrame("the same for all")
    assert received(fresh, frame.deflated) == received(used, frame.deflated) == "the same for all"


def test_compression_is_worth_it() -> None:
    frame = SharedFrame("|".join(f"{i * 1.07:.4f}" for i in range(2000)))
    assert len(frame.deflated) < 0.6 * len(frame.plain)
