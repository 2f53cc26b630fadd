"""The market as the browser holds it: the frame's columns and the feed's status.

The values in these states are placeholders: one delta a second is written to every socket of an audience by
`broadcast`, past the per-visitor state, so a visitor's own state object never holds the market. What Reflex sends
when a page loads or a lost connection returns is built by `dict`, which puts the current frame in their place; so no
cell goes blank then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import reflex as rx
from reflex.event import EventSpec

from flashcur.domain.frames import OPEN_INTEREST_COLUMNS, Frame
from flashcur.domain.plans import PLANS, Audience, next_mark_ms
from flashcur.state.account import AccountState, account_vars
from flashcur.state.channels import ChannelsState
from flashcur.state.notice import NoticeState, say
from flashcur.state.profile import ProfileState
from flashcur.state.signals import SignalsState, signals_vars
from flashcur.state.visit import known_visitor, visitor_of
from flashcur.web.market_hub import MarketHub
from flashcur.web.signal_hub import SignalHub
from flashcur.web.visitors import Visitors


class Viewers(Protocol):
    """Who sends frames to sockets (the broadcaster)."""

    def join(self, sid: str, audience: Audience, *, table: bool, visitor: str = "") -> None:
        """Send frames to the socket `sid`; `visitor` is `Visitor.key`.

        `table`: with the table's columns, not only the feed's status.
        """
        ...

    def tell(self, sid: str, states: Mapping[type[rx.State], dict[str, Any]]) -> None:
        """Send vars, by state and name, to the socket `sid` alone."""
        ...


TRANSIENT: tuple[type[rx.State], ...] = (NoticeState, ProfileState, ChannelsState)
"""What a page begins without: answers to clicks on the page before it."""

WELCOME = "Welcome to FlashCur: your account is ready."

_hub: MarketHub | None = None
_signals: SignalHub | None = None
_viewers: Viewers | None = None
_visitors: Visitors | None = None


def connect(hub: MarketHub, signals: SignalHub, viewers: Viewers, visitors: Visitors) -> None:
    """Tell the states of this process where the market and its signals are, who sends them, and who is looking."""
    global _hub, _signals, _viewers, _visitors
    _hub, _signals, _viewers, _visitors = hub, signals, viewers, visitors


class MarketState(rx.State):
    """The table's frame, column by column (`domain.frames` says what each is)."""

    symbol: str = ""
    base: str = ""
    interval: str = ""
    next: str = ""
    price: str = ""
    change: str = ""
    volume: str = ""
    ratio: str = ""
    funding: str = ""
    oi: str = ""
    oi1h: str = ""
    move: str = ""
    spike: str = ""
    fresh: str = ""
    asset: str = ""
    closed: str = ""
    age: str = ""
    beat: int = 0
    """Sequence number of the frame: flashes alternate with it."""


class FeedState(rx.State):
    """Where the numbers come from and how old they are; live for every audience."""

    open_interest: bool = True
    """Whether the visitor's plan has the open interest columns."""
    reached: bool = False
    """The server has answered; it may still be waiting for the exchange."""
    exchange: str = ""
    state: str = "connecting"
    demo: bool = False
    quiet: int = 0
    """Age of the newest price in seconds while the feed is not live, else 0."""
    as_of: int = 0
    """Time of the newest live frame, Unix ms."""
    beat: int = 0
    strip: str = ""
    mark: int = 0
    """Time of the table's frame, Unix ms; 0 where the table is live."""
    next_mark: int = 0

    @rx.event
    async def watch_table(self) -> EventSpec | None:
        """The page with the table was opened: this socket gets its frames."""
        await self._watch(table=True)
        if self.router.url.query_parameters.get("welcome"):
            await say(self, WELCOME)
            # A reload is no second welcome.
            return rx.redirect("/", replace=True)
        return None

    @rx.event
    async def watch_feed(self) -> None:
        """Another page was opened: this socket gets the feed's status and the ticker strip, and no table."""
        await self._watch(table=False)

    async def _watch(self, *, table: bool) -> None:
        if _viewers is None or _visitors is None:
            return
        # What a tab was told may have been for somebody else, who used it before.
        for kind in TRANSIENT:
            (await self.get_state(kind)).reset()
        sid = self.router.session.session_id
        visitor = await visitor_of(self)
        _viewers.join(sid, _visitors.audience(visitor), table=table, visitor=visitor.key)
        if visitor.key:
            # What changed since the page's snapshot was told to the tabs that had joined by then.
            _viewers.tell(sid, {AccountState: account_vars(visitor, _visitors.plan(visitor))})


def shown(state: rx.State) -> dict[str, Any]:
    """Vars by name that the page shows at this moment in place of a state's own; {} before `connect`."""
    if _hub is None or _signals is None or _visitors is None:
        return {}
    if isinstance(state, AccountState):
        visitor = known_visitor(state)
        return account_vars(visitor, _visitors.plan(visitor))
    audience = audience_of(state)
    if isinstance(state, MarketState):
        return table_vars(_hub.table(audience))
    if isinstance(state, SignalsState):
        return signals_vars(_signals, audience)
    return feed_vars(audience, _hub.live, _hub.table(audience))


def audience_of(state: rx.State) -> Audience:
    """The plan of the visitor behind a state."""
    return "guest" if _visitors is None else _visitors.audience(known_visitor(state))


def moved_vars(audience: Audience) -> dict[type[rx.State], dict[str, Any]]:
    """Vars, by state and name, that a page is told at once when its visitor's plan becomes `audience`."""
    if _hub is None or _signals is None:
        return {}
    table = _hub.table(audience)
    # What the former plan showed and this one does not must not stay in the page.
    hidden = {} if PLANS[audience].open_interest else dict.fromkeys(OPEN_INTEREST_COLUMNS, "")
    return {
        MarketState: hidden | table_vars(table),
        FeedState: feed_vars(audience, _hub.live, table),
        SignalsState: signals_vars(_signals, audience),
    }


def table_vars(frame: Frame | None) -> dict[str, Any]:
    """MarketState's vars by name for a whole frame; {} without one. A column it does not have is left out."""
    return {} if frame is None else {**frame.columns, "beat": frame.seq}


def feed_vars(audience: Audience, live: Frame | None, table: Frame | None) -> dict[str, Any]:
    """FeedState's vars by name for an audience, from the newest live frame and that of its table.

    Before the first live frame (None) only what needs none.
    """
    if live is None:
        return {"open_interest": PLANS[audience].open_interest, "reached": True}
    plan = PLANS[audience]
    timed = not plan.live and table is not None
    # A mark may be of another exchange than the one that serves now: the label is the table's.
    source = table if timed and table is not None else live
    return {
        "open_interest": plan.open_interest,
        "reached": True,
        "exchange": source.title,
        "state": live.state,
        "demo": source.demo or live.demo,
        "quiet": 0 if live.state == "live" else live.quiet_ms // 1000,
        "as_of": live.as_of_ms,
        "beat": live.seq,
        "strip": live.strip,
        "mark": table.as_of_ms if timed and table is not None else 0,
        "next_mark": next_mark_ms(plan.cadence_s, live.as_of_ms) if timed else 0,
    }
