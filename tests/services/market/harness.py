"""A feed or a source against local servers, with allowances that let a test end within seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType, ModuleType

import pytest

from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Tick, Ticker, told_ms
from flashcur.services.kit import clock
from flashcur.services.market import ccxt_client, venue_clock
from flashcur.services.market.checks import HOUR_MS
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.feeds import open_feed
from flashcur.services.market.venues import Stream, Venue
from flashcur.settings import VenueUrls
from tests.support.waiting import eventually


def hasty(venue: Venue, ticker_s: float = 2.5, funding_s: float = 2.5, candle_s: float = 2.5) -> Venue:
    """`venue` with short allowances."""
    wanted = {Stream.TICKER: ticker_s, Stream.FUNDING: funding_s, Stream.CANDLE: candle_s}
    allowances = {stream: wanted[stream] for stream in venue.allowances_s}
    return replace(venue, allowances_s=MappingProxyType(allowances))


class Taken:
    """Everything a feed handed over."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.rejects: list[Reject] = []

    def tickers(self, symbol: str | None = None) -> list[Ticker]:
        return [t for t in self.ticks if isinstance(t, Ticker) and symbol in (None, t.symbol)]

    def funding(self, symbol: str | None = None) -> list[Funding]:
        return [t for t in self.ticks if isinstance(t, Funding) and symbol in (None, t.symbol)]

    def candles(self, symbol: str | None = None) -> list[Candle]:
        return [t for t in self.ticks if isinstance(t, Candle) and symbol in (None, t.symbol)]

    def open_interest(self, symbol: str | None = None) -> list[OpenInterest]:
        return [t for t in self.ticks if isinstance(t, OpenInterest) and symbol in (None, t.symbol)]

    def reasons(self, stream: str) -> set[str]:
        return {reject.reason for reject in self.rejects if reject.stream == stream}

    def clear(self) -> None:
        self.ticks.clear()
        self.rejects.clear()


@asynccontextmanager
async def feed_of(venue: Venue, rest_url: str, ws_url: str, taken: Taken) -> AsyncIterator[VenueFeed]:
    feed = await open_feed(venue, VenueUrls(rest_url, ws_url), taken.ticks.append, taken.rejects.append)
    try:
        yield feed
    finally:
        await feed.close()


class RecordingSink:
    """What a source passed on, by venue."""

    def __init__(self) -> None:
        self.switches: list[tuple[str, str, bool]] = []
        self.instruments: list[tuple[str, list[Instrument]]] = []
        self.ticks: list[tuple[str, Tick]] = []
        self.rejects: list[tuple[str, Reject]] = []

    def on_switch(self, venue: Venue, reason: str, demo: bool) -> None:
        self.switches.append((venue.id, reason, demo))

    def on_instruments(self, venue: Venue, instruments: list[Instrument]) -> None:
        self.instruments.append((venue.id, instruments))

    def on_tick(self, venue: Venue, tick: Tick) -> None:
        self.ticks.append((venue.id, tick))

    def on_reject(self, venue: Venue, reject: Reject) -> None:
        self.rejects.append((venue.id, reject))


async def expect_right_times(
    feed: VenueFeed,
    taken: Taken,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    minutes: int,
    streamed: Callable[[], bool],
) -> None:
    """Set our clock wrong by `minutes` for a running feed, whose code is in `module`, and look at what it says.

    `streamed`: whether all its streams have handed something over since.
    """
    ahead_ms = minutes * 60_000
    assert feed.skew_ms == 0
    for each in (module, ccxt_client, venue_clock):
        monkeypatch.setattr(each, "now_ms", lambda: clock.now_ms() + ahead_ms)
    taken.clear()
    asked_ms = clock.now_ms()
    before, newest = await feed.candles("BTCUSDT", 2)
    if asked_ms // HOUR_MS == newest.open_ms // HOUR_MS:
        assert (before.closed, newest.closed) == (True, False)
        assert abs(newest.event_ms - asked_ms) < 2_000
    assert abs(feed.skew_ms + ahead_ms) < 1_000
    assert abs(feed.clock.now_ms() - clock.now_ms()) < 1_000
    await eventually(streamed, "all streams")
    assert not taken.reasons("ticker") - {"duplicate", "stale"}
    assert all(abs(tick.skew_ms + ahead_ms) < 1_000 for tick in taken.ticks)
    assert all(-1_000 < tick.seen_ms - told_ms(tick) < 2_000 for tick in taken.ticks)
