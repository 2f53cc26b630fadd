"""The load client's reading of WebSocket frames, against the websockets library's writing of them."""

from __future__ import annotations

import random

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from bench.sockets.wire import HEAD_BYTES, FrameReader, Message, as_of_ms, client_frame

FRAME = '42/_event,["event",{"delta":{"feed_state":{"state_rx_state_": "live", "as_of_rx_state_": 1795426271003'


def served(text: str, *, deflate: bool = False) -> bytes:
    """A server's frame."""
    extension = PerMessageDeflate(True, True, 15, 15)
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False, extensions=[extension] if deflate else [])


class Seen:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.controls: list[tuple[int, bytes]] = []
        self.reader = FrameReader(
            lambda head, size, compressed: self.messages.append(Message(head, size, compressed)),
            lambda opcode, payload: self.controls.append((opcode, payload)),
        )


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_reads_messages_however_they_are_cut(seed: int, deflate: bool) -> None:
    draw = random.Random(seed)
    texts = [
        "2",
        FRAME + "x" * 10,
        FRAME + "".join(str(draw.random()) for _ in range(2_000)),
        "y" * 70_000,
        "0{}",
    ] * 3
    stream = b"".join(served(text, deflate=deflate) for text in texts)
    seen = Seen()
    at = 0
    while at < len(stream):
        size = draw.choice([1, 2, 3, 100, 5_000, 40_000])
        seen.reader.feed(stream[at : at + size])
        at += size
    assert len(seen.messages) == len(texts)
    for message, text in zip(seen.messages, texts, strict=True):
        assert text.encode().startswith(message.text())
        assert len(message.text()) >= min(len(text), 200)
        assert deflate or message.size == len(text)
        assert len(message.head) == min(message.size, HEAD_BYTES)


def test_hands_over_pings_between_messages() -> None:
    seen = Seen()
    ping = Frame(Opcode.PING, b"abcd").serialize(mask=False, extensions=[])
    seen.reader.feed(served("2") + ping + served("2"))
    assert seen.controls == [(9, b"abcd")]
    assert len(seen.messages) == 2


def test_refuses_fragments() -> None:
    first = Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=False, extensions=[])
    with pytest.raises(ValueError, match="fragmented"):
        Seen().reader.feed(first)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (FRAME, 1795426271003),
        ('{"as_of":1795426271003}', 1795426271003),
        ('42/_event,["event",{"delta":{"state":{"is_hydrated_rx_state_":true}}}]', None),
        ('{"as_of_rx_state_": 0}', None),
    ],
)
def test_reads_when_a_frame_was_taken(text: str, taken: int | None) -> None:
    assert as_of_ms(text.encode()) == taken


@pytest.mark.parametrize("size", [3, 125, 126, 65_535, 65_536])
def test_writes_frames_that_a_server_reads(size: int) -> None:

    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(client_frame(b"x" * size))
    (event,) = server.events_received()
    assert isinstance(event, Frame)
    assert bytes(event.data) == b"x" * size


def test_a_pong_carries_the_pings_own_bytes() -> None:
    server = ServerProtocol(state=OPEN)
    server.receive_data(client_frame(b"\x00\x80\xff\xfe", Opcode.PONG))
    (event,) = server.events_received()
    assert isinstance(event, Frame)
    assert bytes(event.data) == b"\x00\x80\xff\xfe"
