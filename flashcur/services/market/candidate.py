"""One exchange as `MarketSource` sees it: whether it may be tried now, and what it last did."""

from __future__ import annotations

import asyncio
import random
import time
from enum import StrEnum

from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited, VenueSilent
from flashcur.services.market.counters import FeedCounters
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.venues import Venue
from flashcur.settings import VenueUrls

_RETRY_CAP_S = 300.0
_CHEAP_S = 5.0
"""An error that allows a retry this soon (no network) does not lengthen the wait: asking costs the exchange nothing."""
_ALONE_CAP_S = 4.0
"""Longest wait while nothing real serves, so that all is right within seconds of the fault's end."""
_REFUSED_ALONE_CAP_S = 10.0
"""The same for an exchange that answers with a refusal and does not say for how long."""
_PROVEN_S = 60.0


class State(StrEnum):
    """What /health says about an exchange."""

    IDLE = "idle"
    CONNECTING = "connecting"
    LIVE = "live"
    BLOCKED = "blocked"
    DOWN = "down"
    SILENT = "silent"
    RATE_LIMITED = "rate_limited"


class Candidate:
    """An exchange that may serve. `rank` 0 is the most wanted."""

    def __init__(self, rank: int, venue: Venue, urls: VenueUrls, *, demo: bool = False) -> None:
        self.rank = rank
        self.venue = venue
        self.urls = urls
        self.demo = demo
        self.state = State.IDLE
        self.reason = ""
        self.tried = False
        """True once an attempt has failed since an exchange last began to serve."""
        self.feed: VenueFeed | None = None
        self.counters = FeedCounters()
        self.displaced = asyncio.Event()
        """Set when another exchange has taken over."""
        self.retry_at = 0.0
        """Monotonic time before which it is not tried."""
        self._failures = 0
        self._error: VenueError | None = None
        self._live_at: float | None = None

    @property
    def key(self) -> str:
        """The name in /health: the ccxt id, or `demo`."""
        return "demo" if self.demo else self.venue.id

    def opened(self, feed: VenueFeed) -> None:
        """It is being tried through `feed`."""
        self.feed = feed
        self.counters = feed.counters
        self.displaced.clear()

    def serves(self) -> None:
        """It has taken over."""
        self.state, self.reason = State.LIVE, ""
        self._error = None
        self._live_at = time.monotonic()

    def connecting(self) -> None:
        """An attempt begins; the reason of the last failure stays readable."""
        self.state = State.CONNECTING

    def rests(self) -> None:
        """It is not needed now."""
        self.state, self.reason = State.IDLE, ""
        self._failures = 0

    def failed(self, error: VenueError, *, alone: bool) -> None:
        """Note why it cannot serve and when to try it again; `alone` while no other real exchange serves."""
        if self._live_at is not None and time.monotonic() - self._live_at > _PROVEN_S:
            self._failures = 0
        self._live_at = None
        self.tried = True
        self.state, self.reason = _state_of(error), str(error)
        self._error = error
        self.retry_at = time.monotonic() + self._delay_s(error, alone)
        self._failures += 1

    def left_alone(self) -> None:
        """The exchange that served has gone: what it allowed to wait for long is tried soon."""
        if self._error is not None:
            self.retry_at = min(self.retry_at, time.monotonic() + self._delay_s(self._error, alone=True))

    def _delay_s(self, error: VenueError, alone: bool) -> float:
        base_s = _RETRY_CAP_S if error.retry_after is None else error.retry_after
        if isinstance(error, VenueBlocked | VenueRateLimited):
            if alone and not error.asked:
                return min(_REFUSED_ALONE_CAP_S, base_s) * random.uniform(0.5, 1.0)
            return base_s
        if alone:
            return min(_ALONE_CAP_S, 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        growth = 2.0 ** min(self._failures, 10) if base_s > _CHEAP_S else 1.0
        return min(_RETRY_CAP_S, base_s * growth) * random.uniform(0.8, 1.0)


def _state_of(error: VenueError) -> State:
    if isinstance(error, VenueBlocked):
        return State.BLOCKED
    if isinstance(error, VenueRateLimited):
        return State.RATE_LIMITED
    return State.SILENT if isinstance(error, VenueSilent) else State.DOWN
