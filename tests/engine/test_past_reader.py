"""What previews ask for is read from the exchange, over a real database and the simulated exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import pytest

from flashcur.domain.ticks import Candle, OpenInterest, Ticker
from flashcur.engine import past_reader
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.engine.past_reader import PastReader
from flashcur.errors import VenueUnavailable
from flashcur.services.alerts import past_requests
from flashcur.services.alerts.past_requests import Kind, Progress
from flashcur.services.kit.clock import now_ms
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.venues import BINANCE
from flashcur.services.records.past_series import Stored, load_series
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from tests.services.market.harness import Taken, feed_of, hasty
from tests.support.rules import add_owner
from tests.support.waiting import eventually

HOUR_MS = 3_600_000


@pytest.fixture
async def feed() -> AsyncIterator[VenueFeed]:
    exchange = SimulatedExchange(symbols=10, listings=False)
    await exchange.start()
    try:
        async with feed_of(hasty(BINANCE), exchange.rest_url, exchange.ws_url, Taken()) as opened:
            yield opened
    finally:
        await exchange.stop()


async def market_of(feed: VenueFeed) -> LiveMarket:
    market = LiveMarket(now_ms, lambda book, kind, symbol: None)
    market.on_switch(BINANCE, "", True)
    market.on_instruments(BINANCE, await feed.instruments())
    return market


class Rules:
    """What the evaluation of rules is told."""

    def __init__(self) -> None:
        self.prices: list[tuple[int, float]] = []
        self.interest: list[tuple[int, float]] = []

    def on_prices(self, book: VenueBook, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        self.prices += prices

    def on_interest(self, book: VenueBook, symbol: str, values: Sequence[tuple[int, float]]) -> None:
        self.interest += values


def ask(database: Database, account_id: str, kind: Kind, first_ms: int, until_ms: int, symbol: str = "BTCUSDT") -> str:
    with database.session() as session:
        return past_requests.ask(
            session,
            account_id,
            BINANCE.id,
            symbol,
            kind,
            demo=True,
            first_ms=first_ms,
            until_ms=until_ms,
            now_ms=now_ms(),
        )


def owner(database: Database) -> str:
    with database.session() as session:
        return add_owner(session, now_ms())


def told(database: Database, account_id: str, request_id: str) -> Progress:
    with database.session(readonly=True) as session:
        found = past_requests.progress(session, account_id, request_id)
    assert found is not None
    return found


def stored(database: Database, kind: Kind) -> Stored | None:
    with database.session(readonly=True) as session:
        return load_series(session, BINANCE.id, "BTCUSDT", kind, demo=True)


async def test_minutes_are_read_stored_and_not_asked_for_again(database: Database, feed: VenueFeed) -> None:
    reader = PastReader(await market_of(feed), Rules(), feed, database, now_ms)
    assert not await reader.step()
    me = owner(database)
    until_ms = now_ms() // 60_000 * 60_000 - HOUR_MS
    first_ms = until_ms - 5 * HOUR_MS
    request = ask(database, me, "minutes", first_ms, until_ms)
    assert await reader.step()
    assert told(database, me, request) == Progress("done", 1.0, "")
    kept = stored(database, "minutes")
    assert kept is not None
    assert [row[0] for row in kept.rows] == list(range(first_ms, until_ms, 60_000))
    minute = (await feed.minutes("BTCUSDT", first_ms, first_ms + 60_000))[0]
    assert kept.rows[0] == (minute.open_ms, minute.high, minute.low, minute.close, minute.volume_quote)

    asked: list[int] = []

    class Counting:
        async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]:
            asked.append(first_ms)
            return await feed.minutes(symbol, first_ms, end_ms)

        async def past_interest(self, symbol: str, first_ms: int, end_ms: int) -> list[OpenInterest]:
            raise AssertionError

    reader = PastReader(await market_of(feed), Rules(), Counting(), database, now_ms)
    ask(database, me, "minutes", first_ms + HOUR_MS, until_ms + 600_000)
    assert await reader.step()
    assert asked == [until_ms]
    kept = stored(database, "minutes")
    assert kept is not None
    assert [row[0] for row in kept.rows] == list(range(first_ms + HOUR_MS, until_ms + 600_000, 60_000))


async def test_open_interest_each_five_minutes(sqlite_database: Database, feed: VenueFeed) -> None:
    reader = PastReader(await market_of(feed), Rules(), feed, sqlite_database, now_ms)
    me = owner(sqlite_database)
    until_ms = now_ms() // 300_000 * 300_000
    first_ms = until_ms - 20 * HOUR_MS
    request = ask(sqlite_database, me, "interest", first_ms, until_ms)
    assert await reader.step()
    assert told(sqlite_database, me, request).state == "done"
    kept = stored(sqlite_database, "interest")
    assert kept is not None
    assert [row[0] for row in kept.rows] == list(range(first_ms, until_ms, 300_000))
    assert all(row[3] > 0 for row in kept.rows)


class Endless:
    """Answers nothing, request after request, and calls back before each."""

    def __init__(self, before: Callable[[int], None]) -> None:
        self.before = before
        self.asked = 0

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]:
        self.asked += 1
        self.before(self.asked)
        return []

    async def past_interest(self, symbol: str, first_ms: int, end_ms: int) -> list[OpenInterest]:
        raise VenueUnavailable("connection refused")


async def test_what_nobody_waits_for_any_more_is_not_read_on(sqlite_database: Database, feed: VenueFeed) -> None:
    me = owner(sqlite_database)
    until_ms = now_ms() // 60_000 * 60_000
    request = ask(sqlite_database, me, "minutes", until_ms - 8 * 24 * HOUR_MS, until_ms)

    def cancel(number: int) -> None:
        if number == 3:
            assert 0 < told(sqlite_database, me, request).share < 0.5
            with sqlite_database.session() as session:
                past_requests.cancel(session, me, request)

    source = Endless(cancel)
    reader = PastReader(await market_of(feed), Rules(), source, sqlite_database, now_ms)
    assert await reader.step()
    assert source.asked <= 3 + past_reader.TOLD_EVERY
    assert told(sqlite_database, me, request).state == "cancelled"
    assert stored(sqlite_database, "minutes") is None


async def test_what_cannot_be_had_says_why(sqlite_database: Database, feed: VenueFeed) -> None:
    me = owner(sqlite_database)
    until_ms = now_ms() // 60_000 * 60_000
    reader = PastReader(await market_of(feed), Rules(), Endless(lambda number: None), sqlite_database, now_ms)
    request = ask(sqlite_database, me, "interest", until_ms - HOUR_MS, until_ms)
    assert await reader.step()
    assert told(sqlite_database, me, request) == Progress(
        "failed", 0.0, "The exchange did not answer: connection refused"
    )
    request = ask(sqlite_database, me, "minutes", until_ms - HOUR_MS, until_ms, "GONEUSDT")
    assert await reader.step()
    assert "does not trade GONEUSDT" in told(sqlite_database, me, request).problem


async def test_it_runs_and_goes_on_where_an_engine_ended(sqlite_database: Database, feed: VenueFeed) -> None:
    me = owner(sqlite_database)
    until_ms = now_ms() // 60_000 * 60_000 - HOUR_MS
    request = ask(sqlite_database, me, "minutes", until_ms - HOUR_MS, until_ms)
    with sqlite_database.session() as session:
        assert past_requests.take(session, BINANCE.id, demo=True) is not None
    running = asyncio.create_task(PastReader(await market_of(feed), Rules(), feed, sqlite_database, now_ms).run())
    await eventually(lambda: not told(sqlite_database, me, request).is_open, "the request is over", within_s=20)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert told(sqlite_database, me, request).state == "done"


@pytest.mark.parametrize("kind", ["minutes", "interest"])
async def test_rules_learn_the_last_day_of_what_is_read(sqlite_database: Database, feed: VenueFeed, kind: Kind) -> None:
    market, rules = await market_of(feed), Rules()
    reader = PastReader(market, rules, feed, sqlite_database, now_ms)
    until_ms = now_ms() // HOUR_MS * HOUR_MS
    # Nothing is newer than the newest price that they see themselves.
    seen_ms = until_ms - HOUR_MS
    market.on_tick(BINANCE, Ticker("BTCUSDT", 1.0, 1.0, 1e8, seen_ms, seen_ms))
    ask(sqlite_database, owner(sqlite_database), kind, until_ms - 30 * HOUR_MS, until_ms)
    assert await reader.step()
    kept = stored(sqlite_database, kind)
    assert kept is not None
    step_ms, learned = (60_000, rules.prices) if kind == "minutes" else (0, rules.interest)
    assert learned == [
        (row[0] + step_ms, row[3])
        for row in kept.rows
        if seen_ms - 25 * HOUR_MS <= row[0] and row[0] + step_ms <= seen_ms
    ]
    assert learned[0][0] - step_ms == seen_ms - 25 * HOUR_MS
    assert learned[-1][0] == seen_ms
