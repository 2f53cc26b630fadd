"""Who gets which message when sockets drain, stall, fall behind and close."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
import reflex as rx

from flashcur.domain.frames import Frame
from flashcur.services.alerts import signals
from flashcur.services.bus.topics import LIVE_TOPIC, mark_topic
from flashcur.state.market import FeedState, MarketState
from flashcur.state.signals import SignalsState
from flashcur.state.wire.broadcast import Broadcaster
from flashcur.web.market_hub import MarketHub
from flashcur.web.shared_frame import SharedFrame, SharedFrameWriter
from flashcur.web.signal_hub import SignalHub
from tests.support.frames import market_frame
from tests.support.signals import NOON_MS, signal
from tests.support.waiting import eventually


class Socket:
    """A connection as the server offers it: it takes a message only while it drains."""

    def __init__(self) -> None:
        self.drains = True
        self.closed = False
        self.messages: list[dict[str, Any]] = []

    def write(self, frame: SharedFrame) -> bool:
        if self.drains:
            self.messages.append(read(frame.text))
        return self.drains


class AsgiSocket:
    """A connection of a server that has only ASGI's `send`."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.drained = asyncio.Event()
        self.drained.set()

    async def send(self, message: dict[str, Any]) -> None:
        await self.drained.wait()
        self.messages.append(read(message["text"]))


def read(text: str) -> dict[str, Any]:
    """A message's vars by state and plain name."""
    assert text.startswith("42/_event,")
    name, update = json.loads(text.removeprefix("42/_event,"))
    assert name == "event"
    return read_delta(update["delta"])


def read_delta(delta: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        state.rsplit("____", 1)[1]: {key.removesuffix("_rx_state_"): value for key, value in changes.items()}
        for state, changes in delta.items()
    }


class Room:
    """A hub, a broadcaster and sockets, without a server."""

    def __init__(self) -> None:
        self.environs: dict[str, dict[str, Any]] = {}
        sio = SimpleNamespace(get_environ=lambda sid, namespace: self.environs.get(sid))
        self.told: list[tuple[str, dict[str, Any]]] = []
        namespace = SimpleNamespace(emit=self._emit)
        self.hub = MarketHub()
        self.signals = SignalHub(self.hub, lambda: NOON_MS)
        self.broadcaster = Broadcaster(
            cast("rx.App", SimpleNamespace(sio=sio, event_namespace=namespace)), self.hub, self.signals
        )
        self.last: Frame | None = None

    async def _emit(self, event: str, update: dict[str, Any], *, to: str) -> None:
        assert event == "event"
        self.told.append((to, read_delta(update["delta"])))

    def enter(
        self,
        sid: str,
        socket: Socket | AsgiSocket,
        audience: str = "elite",
        *,
        table: bool = True,
        visitor: str = "",
    ) -> None:
        direct = isinstance(socket, Socket)
        extensions = {SharedFrameWriter.EXTENSION: socket} if direct else {}
        self.environs[sid] = {
            "asgi.scope": {"extensions": extensions},
            "asgi.send": None if direct else socket.send,
        }
        self.broadcaster.join(sid, cast("Any", audience), table=table, visitor=visitor)

    def find(self, *ids: int) -> None:
        """Signals are stored."""
        records = [signals.record_of(signal(id_)) for id_ in ids]
        for id_, record in zip(ids, records, strict=True):
            record.id = id_
        self.signals.take(records, NOON_MS)
        self.signals.refresh()

    async def frame(self, seq: int, topic: str = LIVE_TOPIC, price: float | None = None) -> None:
        frame = market_frame(seq, price=price if price is not None else 100.0 + seq, previous=self.last)
        self.last = frame
        self.hub.receive(topic, frame.encode())
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture
async def room() -> Room:
    return Room()


async def test_first_message_is_whole_and_later_ones_carry_changes(room: Room) -> None:
    socket = Socket()
    room.enter("a", socket)
    await room.frame(1)
    await room.frame(2)
    first, second = (message["market_state"] for message in socket.messages)
    assert {"symbol", "base", "volume", "price"} <= first.keys()
    assert set(second) == {"price", "oi", "move", "beat"}


async def test_a_stalled_socket_is_left_out_and_then_gets_the_newest_frame_whole(room: Room) -> None:
    stalled, other = Socket(), Socket()
    room.enter("a", stalled)
    room.enter("b", other)
    await room.frame(1)
    stalled.drains = False
    for seq in range(2, 6):
        await room.frame(seq)
    stalled.drains = True
    await room.frame(6)
    assert len(other.messages) == 6
    assert len(stalled.messages) == 2
    newest = stalled.messages[-1]["market_state"]
    assert newest["beat"] == 6
    assert newest["price"].startswith("106.00|")
    assert "symbol" in newest
    assert room.broadcaster.counters.skipped == 4


async def test_a_closed_socket_leaves(room: Room) -> None:
    socket = Socket()
    room.enter("a", socket)
    socket.closed = True
    await room.frame(1)
    assert room.broadcaster.counters.viewers["elite"] == 0
    assert socket.messages == []


async def test_an_asgi_socket_has_at_most_one_message_on_its_way(room: Room) -> None:
    socket = AsgiSocket()
    room.enter("a", socket)
    await room.frame(1)
    await eventually(lambda: len(socket.messages) == 1, "the first frame")
    socket.drained.clear()
    for seq in range(2, 7):
        await room.frame(seq)
    socket.drained.set()
    await eventually(lambda: len(socket.messages) == 2, "the frame that was on its way")
    await room.frame(7)
    await eventually(lambda: len(socket.messages) == 3, "the newest frame")
    assert [message["market_state"]["beat"] for message in socket.messages] == [1, 2, 7]
    assert "symbol" in socket.messages[-1]["market_state"]


async def test_a_new_frame_overtakes_the_one_that_is_still_being_written(room: Room) -> None:
    sockets = [Socket() for _ in range(250)]
    for number, socket in enumerate(sockets):
        room.enter(str(number), socket)
    first, second = market_frame(1, price=101.0), market_frame(2, price=102.0)
    room.hub.receive(LIVE_TOPIC, first.encode())
    # The first batch is written when the task gets its turn; the second frame comes before the others are.
    await asyncio.sleep(0)
    room.hub.receive(LIVE_TOPIC, second.encode())
    await eventually(lambda: all(socket.messages for socket in sockets), "a frame for every socket")
    await eventually(
        lambda: all(socket.messages[-1]["market_state"]["beat"] == 2 for socket in sockets), "the newest frame for all"
    )
    assert max(len(socket.messages) for socket in sockets) == 2
    assert min(len(socket.messages) for socket in sockets) == 1
    assert all(socket.messages[-1]["market_state"]["price"].startswith("102.00|") for socket in sockets)


async def test_under_overload_everybody_gets_a_turn(room: Room) -> None:
    """Each frame is overtaken while it is written; the sockets that have waited longest come first in the next."""
    sockets = [Socket() for _ in range(250)]
    for number, socket in enumerate(sockets):
        room.enter(str(number), socket)
    for seq in range(1, 9):
        room.hub.receive(LIVE_TOPIC, market_frame(seq, price=100.0 + seq).encode())
        # One batch is written before the next frame comes.
        await asyncio.sleep(0)
    await eventually(lambda: all(socket.messages for socket in sockets), "a frame for every socket")
    counts = [len(socket.messages) for socket in sockets]
    assert max(counts) - min(counts) <= 2


async def test_marked_audience_gets_its_table_at_marks_and_the_strip_each_second(room: Room) -> None:
    socket = Socket()
    room.enter("a", socket, "free")
    await room.frame(1)
    await room.frame(1, mark_topic("free"))
    await room.frame(2)
    await room.frame(3)
    tables = [message.get("market_state") for message in socket.messages]
    assert [bool(table) for table in tables] == [False, True, False, False]
    assert tables[1] is not None
    assert "oi" not in tables[1]
    assert tables[1]["symbol"].count("|") == 49
    strips = [message["feed_state"]["strip"] for message in socket.messages]
    assert len(set(strips)) == 3
    assert socket.messages[-1]["feed_state"]["open_interest"] is False


async def test_a_page_without_the_table_gets_the_feed_only(room: Room) -> None:
    socket = Socket()
    room.enter("a", socket, table=False)
    await room.frame(1)
    await room.frame(2)
    assert all(set(message) == {"feed_state"} for message in socket.messages)
    assert len(socket.messages) == 2


async def test_joining_again_moves_the_socket(room: Room) -> None:
    socket = Socket()
    room.enter("a", socket, "elite")
    room.enter("a", socket, "free")
    assert room.broadcaster.counters.viewers == {"guest": 0, "free": 1, "pro": 0, "elite": 0}
    room.broadcaster.leave("a")
    assert sum(room.broadcaster.counters.viewers.values()) == 0


async def test_an_unknown_socket_is_not_joined(room: Room) -> None:
    room.broadcaster.join("never connected", "elite", table=True)
    assert sum(room.broadcaster.counters.viewers.values()) == 0


async def test_a_visitor_s_tabs_are_told_and_nobody_else_s(room: Room) -> None:
    for sid, visitor in (("a", "ann"), ("b", "ann"), ("c", "bob"), ("d", "")):
        room.enter(sid, Socket(), visitor=visitor)
    news: dict[type[rx.State], dict[str, Any]] = {FeedState: {"demo": True}, MarketState: {}}
    for visitor in ("ann", "nobody", ""):
        room.broadcaster.show(visitor, "elite", news, dict)
    await eventually(lambda: len(room.told) == 2, "two tabs that are told")
    assert sorted(room.told) == [(sid, {"feed_state": {"demo": True}}) for sid in ("a", "b")]
    room.broadcaster.leave("a")
    room.broadcaster.leave("b")
    room.broadcaster.show("ann", "elite", news, dict)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(room.told) == 2


async def test_a_new_plan_moves_a_visitor_s_tabs(room: Room) -> None:
    """What the plan shows comes at once, the table only to a page that has it; later frames are the plan's."""
    with_table, without, other = Socket(), Socket(), Socket()
    room.enter("a", with_table, "free", visitor="ann")
    room.enter("b", without, "free", table=False, visitor="ann")
    room.enter("c", other, "free", visitor="bob")

    def moved() -> dict[type[rx.State], dict[str, Any]]:
        listed = {"known": True, "ids": "1", "text": "x"}
        return {MarketState: {"price": "1"}, FeedState: {"open_interest": True}, SignalsState: listed}

    room.broadcaster.show("ann", "elite", {}, moved)
    await eventually(lambda: len(room.told) == 2, "two tabs that are told")
    told = dict(room.told)
    assert told["a"] == {
        "market_state": {"price": "1"},
        "feed_state": {"open_interest": True},
        "signals_state": {"known": True, "ids": "1", "text": "x"},
    }
    assert told["b"] == {"feed_state": {"open_interest": True}, "signals_state": {"known": True, "ids": "1"}}
    assert room.broadcaster.counters.viewers == {"guest": 0, "free": 1, "pro": 0, "elite": 2}
    await room.frame(1)
    assert [("market_state" in socket.messages[-1]) for socket in (with_table, without, other)] == [True, False, False]
    room.broadcaster.show("ann", "free", {}, moved)
    await room.frame(2)
    assert "market_state" not in with_table.messages[-1]
    assert with_table.messages[-1]["feed_state"]["open_interest"] is False


async def test_joining_again_as_another_visitor_leaves_the_first(room: Room) -> None:
    room.enter("a", Socket(), visitor="ann")
    room.enter("a", Socket(), visitor="bob")
    room.broadcaster.show("ann", "elite", {FeedState: {"demo": True}}, dict)
    room.broadcaster.show("bob", "elite", {FeedState: {"demo": False}}, dict)
    await eventually(lambda: bool(room.told), "the tab told")
    assert room.told == [("a", {"feed_state": {"demo": False}})]


async def test_sockets_are_told_nothing_new_while_no_frames_come(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashcur.state.wire.broadcast.QUIET_S", 0.05)
    direct, asgi, stuck = Socket(), AsgiSocket(), Socket()
    stuck.drains = False
    for sid, socket in (("a", direct), ("b", asgi), ("c", stuck)):
        room.enter(sid, socket, table=sid != "b")
    # Before the first frame, and after the last.
    await eventually(lambda: {} in direct.messages and {} in asgi.messages, "a message without news")
    await room.frame(1)
    before = len(direct.messages), len(asgi.messages)
    await eventually(
        lambda: {} in direct.messages[before[0] :] and {} in asgi.messages[before[1] :], "a message without news"
    )
    # It stands for no frame: who has missed one still gets it whole.
    stuck.drains = True
    await eventually(lambda: {} in stuck.messages, "a message without news")
    await room.frame(2)
    assert "symbol" in stuck.messages[-1]["market_state"]


async def test_while_frames_come_nothing_else_is_sent_nor_to_sockets_that_left(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashcur.state.wire.broadcast.QUIET_S", 30)
    socket, gone = Socket(), Socket()
    room.enter("a", socket)
    room.enter("b", gone)
    gone.closed = True
    for seq in range(1, 9):
        await room.frame(seq)
    assert {} not in socket.messages
    monkeypatch.setattr("flashcur.state.wire.broadcast.QUIET_S", 0.05)
    await room.frame(9)
    await eventually(lambda: {} in socket.messages, "a message without news")
    room.broadcaster.leave("a")
    count = len(socket.messages)
    await eventually(lambda: room.broadcaster._quiet is None, "no timer for nobody")
    assert (len(socket.messages), gone.messages) == (count, [])


async def test_signals_come_at_once_and_only_where_they_changed(room: Room) -> None:
    with_table, without, guest = Socket(), Socket(), Socket()
    room.enter("a", with_table)
    room.enter("b", without, table=False)
    room.enter("c", guest, "guest")
    room.find(1)
    await room.frame(1)
    await room.frame(2)
    # With the whole frame that a page begins with, and no more while nothing changes.
    assert [("signals_state" in message) for message in with_table.messages] == [True, False]
    assert with_table.messages[0]["signals_state"]["id"] == "1"
    assert without.messages[0]["signals_state"] == {"known": True, "ids": "1"}
    room.find(2)
    await eventually(lambda: len(with_table.messages) == 3 and len(without.messages) == 3, "the signal")
    assert with_table.messages[2].keys() == {"signals_state"}
    assert with_table.messages[2]["signals_state"]["ids"] == "2|1"
    assert with_table.messages[2]["signals_state"]["text"].count("|") == 1
    assert without.messages[2] == {"signals_state": {"known": True, "ids": "2|1"}}
    await room.frame(3)
    assert "signals_state" not in with_table.messages[3]


async def test_a_frame_that_is_due_takes_signals_along(room: Room) -> None:
    socket, other = Socket(), Socket()
    room.enter("a", socket)
    room.enter("b", other, table=False)
    room.find(1)
    await room.frame(1)
    room.find(2)
    await room.frame(2)
    await room.frame(3)
    assert [message.keys() for message in socket.messages[1:]] == [
        {"feed_state", "market_state", "signals_state"},
        {"feed_state", "market_state"},
    ]
    assert [message.keys() for message in other.messages[1:]] == [{"feed_state", "signals_state"}, {"feed_state"}]


async def test_a_stalled_socket_gets_the_signals_it_missed_with_the_whole_frame(room: Room) -> None:
    stalled, other = Socket(), Socket()
    room.enter("a", stalled)
    room.enter("b", other)
    room.find(1)
    await room.frame(1)
    stalled.drains = False
    room.find(2)
    await eventually(lambda: len(other.messages) == 2, "the signal")
    stalled.drains = True
    await room.frame(2)
    assert "signals_state" not in other.messages[-1]
    assert stalled.messages[-1]["signals_state"]["ids"] == "2|1"
    assert "symbol" in stalled.messages[-1]["market_state"]


async def test_before_signals_are_known_nothing_is_said_of_them(room: Room) -> None:
    socket = Socket()
    room.enter("a", socket)
    await room.frame(1)
    assert "signals_state" not in socket.messages[0]
