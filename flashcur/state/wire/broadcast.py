"""One delta, encoded once, written to every socket of an audience.

Reflex's own road for a delta (a state lock, a copy, an encoding and a queue for each tab) costs 0.75 ms a tab; this one
costs a write. `tests/state/wire/test_broadcast.py` holds Reflex 0.10.1, python-socketio 5 and python-engineio 4 to what
is assumed here.

A socket that has not drained the last message is left out: it gets the whole newest frame once it has, so no queue
grows and nobody is shown an old frame. On `flashcur.serve` the message is a finished WebSocket frame, compressed once
for everyone, and goes straight to the transport; on other servers it goes through the socket's ASGI `send`.

Signals go the same way, at once, or with a frame where one is about to be written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import orjson
import reflex as rx
from reflex_base.constants.state import FIELD_MARKER

from flashcur.domain.frames import Frame
from flashcur.domain.plans import AUDIENCES, Audience
from flashcur.state.account import AccountState
from flashcur.state.alerts import AlertsState
from flashcur.state.ledger import LedgerState
from flashcur.state.market import TRANSIENT, FeedState, MarketState, feed_vars, shown, table_vars
from flashcur.state.signal import SignalState
from flashcur.state.signal_list import SignalListState
from flashcur.state.signals import SignalsState, on_any_page, signals_vars
from flashcur.web.market_hub import MarketHub, Update
from flashcur.web.shared_frame import SharedFrame, SharedFrameWriter
from flashcur.web.signal_hub import SignalHub

logger = logging.getLogger(__name__)

NAMESPACE = "/_event"

_BATCH = 100
"""Sockets written to before other work gets its turn: about 3 ms."""

QUIET_S = 2.0
"""After so long without a frame sockets are told nothing new, so that a page can tell a market that stands still from
a connection that died (`assets/browser/link.ts`)."""

TOLD: tuple[type[rx.State], ...] = (SignalState, SignalListState, AlertsState, LedgerState)
"""States whose vars are told to a tab that asks (`state.visit.tell`), and held by its page alone."""

Group = tuple[Audience, bool]
"""An audience, and whether its page shows the table."""

AsgiSend = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True, eq=False)
class Viewer:
    """One socket that shows the market."""

    sid: str
    writer: SharedFrameWriter | None
    """The server's direct writer; None on a server without one."""
    send: AsgiSend
    visitor: str
    """Whose tab it is: the key of `web.visitors`; empty for a guest."""
    behind: bool = False
    """Missed a message: is owed the whole frame."""
    served: int = 0
    """Round in which it last took a message."""
    pending: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Counters:
    """What the broadcaster did, for /metrics."""

    messages: int = 0
    skipped: int = 0
    whole: int = 0
    seconds: float = 0.0
    """Time spent on the last broadcast."""
    viewers: dict[Audience, int] = field(default_factory=lambda: dict.fromkeys(AUDIENCES, 0))


class _Job:
    """One message for one group of sockets; the whole frame is made only if a socket needs it."""

    def __init__(self, viewers: dict[str, Viewer], news: SharedFrame, make_whole: Callable[[], SharedFrame]) -> None:
        self.viewers = viewers
        self.news = news
        self._make_whole = make_whole

    @property
    def served(self) -> int:
        """Round in which the group's longest waiting socket took a message."""
        return min((viewer.served for viewer in self.viewers.values()), default=0)

    @cached_property
    def whole(self) -> SharedFrame:
        return self._make_whole()


class Broadcaster:
    """Writes what the hubs tell to the sockets that show it."""

    def __init__(self, app: rx.App, hub: MarketHub, signals: SignalHub) -> None:
        self._app = app
        self._signals = signals
        self._groups: dict[Group, dict[str, Viewer]] = {(a, table): {} for a in AUDIENCES for table in (True, False)}
        self._tabs: dict[str, dict[str, Group]] = {}
        self._writing: asyncio.Future[None] | None = None
        self._telling: set[asyncio.Future[None]] = set()
        self._next: dict[Group, _Job] = {}
        self._tidings: dict[Group, _Job] = {}
        """Signals that no frame takes along."""
        self._superseded = False
        self._round = 0
        self._quiet: asyncio.TimerHandle | None = None
        self._assuring: asyncio.Future[None] | None = None
        self.counters = Counters()
        hub.listen(self._on_updates)
        signals.listen(lambda audiences: self._on_signals(hub, audiences))

    def join(self, sid: str, audience: Audience, *, table: bool, visitor: str = "") -> None:
        """Send frames of this audience to a socket from now on; with the table's columns or without."""
        self.leave(sid)
        sio = self._app.sio
        environ: dict[str, Any] | None = sio.get_environ(sid, NAMESPACE) if sio else None
        if environ is None:
            return
        writer = environ["asgi.scope"].get("extensions", {}).get(SharedFrameWriter.EXTENSION)
        # A frame may have passed between the page's snapshot and this call: the next message is a whole one.
        self._groups[audience, table][sid] = Viewer(sid, writer, environ["asgi.send"], visitor, behind=True)
        if visitor:
            self._tabs.setdefault(visitor, {})[sid] = audience, table
        self._count(audience)
        if self._quiet is None:
            self._wait_for_quiet()

    def leave(self, sid: str) -> None:
        """Stop sending frames to a socket."""
        for (audience, _), viewers in self._groups.items():
            viewer = viewers.pop(sid, None)
            if viewer is not None:
                self._count(audience)
                tabs = self._tabs.get(viewer.visitor, {})
                tabs.pop(sid, None)
                if not tabs:
                    self._tabs.pop(viewer.visitor, None)

    def has_tab(self, visitor: str) -> bool:
        """Whether a visitor, by key, has a tab open that shows the market or its status, as every page does."""
        return visitor in self._tabs

    def show(
        self,
        visitor: str,
        audience: Audience,
        states: Mapping[type[rx.State], dict[str, Any]],
        moved: Callable[[], Mapping[type[rx.State], dict[str, Any]]],
    ) -> None:
        """Send vars to all tabs of a visitor. Those that were of another audience belong to this one from now on, and
        get what `moved` says as well."""
        for sid, (before, table) in list(self._tabs.get(visitor, {}).items()):
            told = dict(states)
            if before != audience:
                self.join(sid, audience, table=table, visitor=visitor)
                told |= moved() if table else _without_table(moved())
            self.tell(sid, told)

    def tell(self, sid: str, states: Mapping[type[rx.State], dict[str, Any]]) -> None:
        """Send vars to one tab, soon."""
        delta = {state.get_full_name(): marked(values) for state, values in states.items() if values}
        task = asyncio.ensure_future(self._tell(sid, delta))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, sid: str, delta: dict[str, Any]) -> None:
        if (namespace := self._app.event_namespace) is not None:
            await namespace.emit("event", {"delta": delta, "events": []}, to=sid)

    def _count(self, audience: Audience) -> None:
        self.counters.viewers[audience] = sum(len(self._groups[audience, table]) for table in (True, False))

    def _on_updates(self, updates: list[Update]) -> None:
        """Take a frame's updates; what is still unwritten of the frame before is left, and its sockets are behind."""
        # The live plan first: it is the one that a late frame costs most.
        for update in reversed(updates):
            for group, job in self._jobs(update):
                dropped = self._next.get(group)
                for viewer in dropped.viewers.values() if dropped else ():
                    viewer.behind = True
                self._next[group] = job
        if not self._begin():
            self._superseded = True
        self._wait_for_quiet()

    def _on_signals(self, hub: MarketHub, audiences: tuple[Audience, ...]) -> None:
        """Take lists that changed. Whoever misses one is behind, and gets it with the whole frame."""
        for audience in reversed(audiences):
            for table in (True, False):
                if viewers := self._groups[audience, table]:
                    group = audience, table
                    news = SharedFrame(encode({}, {}, self._listed(*group)))
                    frame = hub.table(audience)
                    feed = feed_vars(audience, hub.live, frame)
                    self._tidings[group] = _Job(viewers, news, partial(self._make_whole, frame, feed, group))
        if self._tidings:
            self._begin()

    def _begin(self) -> bool:
        """Write what waits; False while the last is still being written, which then goes on with it."""
        if self._writing is not None and not self._writing.done():
            return False
        self._writing = asyncio.ensure_future(self._write_all())
        return True

    def _wait_for_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(QUIET_S, self._on_quiet)

    def _on_quiet(self) -> None:
        self._quiet = None
        viewers = [viewer for group in self._groups.values() for viewer in group.values()]
        if viewers:
            self._assuring = asyncio.ensure_future(self._assure(viewers))
            self._wait_for_quiet()

    async def _assure(self, viewers: list[Viewer]) -> None:
        for number, viewer in enumerate(viewers, 1):
            # Who has not taken what was sent before has something to read.
            self._write_to(viewer, NOTHING_NEW)
            if number % _BATCH == 0:
                await asyncio.sleep(0)

    def _jobs(self, update: Update) -> Iterator[tuple[Group, _Job]]:
        feed = feed_vars(update.audience, update.live, update.table)
        for table in (True, False):
            group = update.audience, table
            waits = self._tidings.pop(group, None) is not None
            if viewers := self._groups[group]:
                news = encode(_news(update) if table else {}, feed, self._listed(*group) if waits else {})
                yield group, _Job(viewers, SharedFrame(news), partial(self._make_whole, update.table, feed, group))

    def _make_whole(self, frame: Frame | None, feed: dict[str, Any], group: Group) -> SharedFrame:
        return SharedFrame(encode(table_vars(frame) if group[1] else {}, feed, self._listed(*group)))

    def _listed(self, audience: Audience, table: bool) -> dict[str, Any]:
        """SignalsState's vars for a group."""
        values = signals_vars(self._signals, audience)
        return values if table else on_any_page(values)

    async def _write_all(self) -> None:
        while self._next or self._tidings:
            tidings, self._tidings = self._tidings, {}
            frames, self._next = self._next, {}
            self._superseded = False
            started = time.perf_counter()
            # Those that have waited longest come first, so that under overload nobody is left out again and again.
            self._round += 1
            for work in (tidings, frames):
                for job in sorted(work.values(), key=lambda job: job.served):
                    await self._write(job)
            self.counters.seconds = time.perf_counter() - started

    async def _write(self, job: _Job) -> None:
        # Sockets come and go while this waits, so it walks over a list of those that were there.
        for number, viewer in enumerate(sorted(job.viewers.values(), key=lambda viewer: viewer.served), 1):
            if self._superseded:
                viewer.behind = True
                self.counters.skipped += 1
                continue
            taken = self._write_to(viewer, job.whole if viewer.behind else job.news)
            if taken is None:
                continue
            if taken:
                self.counters.messages += 1
                self.counters.whole += viewer.behind
                viewer.served = self._round
            else:
                self.counters.skipped += 1
            viewer.behind = not taken
            if number % _BATCH == 0:
                # Thousands of writes in one go would hold up everything else in this process.
                await asyncio.sleep(0)

    def _write_to(self, viewer: Viewer, frame: SharedFrame) -> bool | None:
        """Whether a socket took a message; None where it has closed, which ends its part."""
        if viewer.writer is None:
            return self._send(viewer, frame)
        if viewer.writer.closed:
            self.leave(viewer.sid)
            return None
        return viewer.writer.write(frame)

    def _send(self, viewer: Viewer, frame: SharedFrame) -> bool:
        """Hand a message to ASGI; False while the one before is still on its way."""
        if viewer.pending is not None and not viewer.pending.done():
            return False
        viewer.pending = asyncio.ensure_future(self._deliver(viewer, frame.text))
        return True

    async def _deliver(self, viewer: Viewer, text: str) -> None:
        try:
            await viewer.send({"type": "websocket.send", "bytes": None, "text": text})
        except Exception as error:  # every server raises its own when a socket has closed
            logger.debug("socket %s closed: %s", viewer.sid, error)
            self.leave(viewer.sid)


def _news(update: Update) -> dict[str, Any]:
    """The table's vars that changed with a frame."""
    if not update.columns or update.table is None:
        return {}
    return {**update.columns, "beat": update.table.seq}


def encode_delta(delta: dict[str, Any]) -> str:
    """A Socket.IO event packet with Reflex's state update, as text."""
    body = orjson.dumps(["event", {"delta": delta, "events": []}]).decode()
    return f"42{NAMESPACE},{body}"


NOTHING_NEW = SharedFrame(encode_delta({}))
"""A message that changes nothing."""


def encode(table: dict[str, Any], feed: dict[str, Any], signals: dict[str, Any] | None = None) -> str:
    """A message: the vars that it tells of the table, the feed and the signals."""
    told = {FeedState: feed, MarketState: table, SignalsState: signals or {}}
    return encode_delta({state.get_full_name(): marked(values) for state, values in told.items() if values})


def _without_table(states: Mapping[type[rx.State], dict[str, Any]]) -> dict[type[rx.State], dict[str, Any]]:
    """What of these vars a page without the table is told."""
    told = {state: values for state, values in states.items() if state is not MarketState}
    if SignalsState in told:
        told[SignalsState] = on_any_page(told[SignalsState])
    return told


def marked(values: dict[str, Any]) -> dict[str, Any]:
    """Var names as they travel: Reflex marks each with a suffix."""
    return {name + FIELD_MARKER: value for name, value in values.items()}


FRAME_MARK = f"beat{FIELD_MARKER}"
"""The var that is there when a frame is."""


def _dict_from_the_start(self: rx.State, **kw: Any) -> dict[str, Any]:
    whole = rx.State.dict(self, **kw)
    name = self.get_full_name()
    own = {var + FIELD_MARKER: self.get_fields()[var].default_value() for var in self.base_vars}
    return {**whole, name: {**whole[name], **own}}


def _dict_with_frame(
    self: rx.State, *, include_computed: bool = True, initial: bool = False, **kw: Any
) -> dict[str, Any]:
    whole = rx.State.dict(self, include_computed=include_computed, initial=initial, **kw)
    if not initial:
        name, now = self.get_full_name(), marked(shown(self))
        # Without a frame, after a restart, nothing is said of it: a page that shows one keeps it, and its age.
        whole[name] = {**whole[name], **now} if FRAME_MARK in now or isinstance(self, AccountState) else now
    return whole


def _dict_without_own(self: rx.State, *, initial: bool = False, **kw: Any) -> dict[str, Any]:
    whole = rx.State.dict(self, initial=initial, **kw)
    # What was told to the page alone is still there: nothing is said of it.
    return whole if initial else {**whole, self.get_full_name(): {}}


# What Reflex sends of a state when a page loads or a lost connection returns is what its `dict` says; a state's own
# body may not define a method of that name, so it is put in its place here.
for _state in (MarketState, FeedState, SignalsState, AccountState):
    _state.dict = _dict_with_frame  # type: ignore[method-assign]
for _state in TOLD:
    _state.dict = _dict_without_own  # type: ignore[method-assign]
for _state in TRANSIENT:
    _state.dict = _dict_from_the_start  # type: ignore[method-assign]
