"""The web side of the market: the newest frame of every audience, fed from the bus.

A web process runs one hub. It follows the live topic and the plans' mark topics, keeps the newest frame of each, cut
to what each plan may see, and tells its listener what changed. It never talks to an exchange.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from flashcur.domain.frames import Frame, changed
from flashcur.domain.plans import AUDIENCES, PLANS, Audience
from flashcur.services.bus.topics import LIVE_TOPIC, mark_topic

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Update:
    """What one audience has to be told after a frame."""

    audience: Audience
    columns: dict[str, str]
    """Packed columns of the table that changed, by name; empty between two marks."""
    table: Frame | None
    """The whole frame of the audience's table; None before its first."""
    live: Frame
    """The newest live frame: feed status and the ticker strip, which are live for everyone."""


Listener = Callable[[list[Update]], None]


class MarketHub:
    """Newest frames by audience; see the module."""

    def __init__(self) -> None:
        self.live: Frame | None = None
        """The newest live frame, whole; None before the first."""
        self._tables: dict[Audience, Frame] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` with the updates of every frame, in the event loop."""
        self._listeners.append(listener)

    def table(self, audience: Audience) -> Frame | None:
        """The frame an audience's table shows now; None before the first."""
        return self._tables.get(audience)

    def receive(self, topic: str, payload: bytes) -> None:
        """Take one message of the bus. Never raises for a payload that is no frame: it is logged and dropped."""
        try:
            frame = Frame.decode(payload)
        except ValueError as error:
            logger.error("dropped a message on %s: %s", topic, error)
            return
        audiences: list[Audience]
        before = self.live
        if topic == LIVE_TOPIC:
            self.live = frame
            audiences = [a for a in AUDIENCES if PLANS[a].live]
        else:
            audiences = [a for a in AUDIENCES if not PLANS[a].live and mark_topic(a) == topic]
        news = self._drop_delisted(before, frame) if topic == LIVE_TOPIC else {}
        for audience in audiences:
            table = frame.only(PLANS[audience])
            news[audience] = changed(table, self._tables.get(audience))
            self._tables[audience] = table
        if self.live is None:
            return
        told = AUDIENCES if topic == LIVE_TOPIC else tuple(audiences)
        updates = [Update(a, news.get(a, {}), self._tables.get(a), self.live) for a in told]
        for listener in self._listeners:
            listener(updates)

    def _drop_delisted(self, before: Frame | None, live: Frame) -> dict[Audience, dict[str, str]]:
        """A contract that left the exchange leaves the tables that stand still until their next mark, too."""
        news: dict[Audience, dict[str, str]] = {}
        if before is not None and before.columns.get("symbol") == live.columns.get("symbol"):
            return news
        trading = set(live.values("symbol"))
        for audience, table in self._tables.items():
            gone = set(table.values("symbol")) - trading
            if PLANS[audience].live or not gone or (table.exchange, table.demo) != (live.exchange, live.demo):
                continue
            self._tables[audience] = table.without(gone)
            news[audience] = changed(self._tables[audience], table)
        return news
