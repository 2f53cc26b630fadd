"""The real ccxt client against a local server that speaks Bybit's protocol."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited, VenueSilent, VenueUnavailable
from flashcur.services.market import bybit_feed
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.venues import BYBIT, Stream
from tests.services.market.bybit_server import BybitServer, now_ms
from tests.services.market.harness import Taken, expect_right_times, feed_of, hasty
from tests.support.waiting import eventually

SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "1000PEPEUSDT", "币安人生USDT", "XRPUSDT", "DOGEUSDT"]


@pytest.fixture
async def server() -> AsyncIterator[BybitServer]:
    server = BybitServer(SYMBOLS)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def feed(server: BybitServer, taken: Taken) -> AsyncIterator[VenueFeed]:
    # Candles come only when a test sends them.
    async with feed_of(hasty(BYBIT, candle_s=60), server.rest_url, server.ws_url, taken) as feed:
        yield feed


@pytest.fixture
async def running(feed: VenueFeed, server: BybitServer, taken: Taken) -> AsyncIterator[asyncio.Task[None]]:
    await feed.instruments()
    feed.set_candle_symbols(["BTCUSDT", "ETHUSDT"])
    task = asyncio.create_task(feed.run())
    await eventually(lambda: {t.symbol for t in taken.tickers()} == set(SYMBOLS), "every ticker")
    await eventually(lambda: "kline.60.ETHUSDT" in server.topics, "candle subscriptions")
    yield task
    task.cancel()
    await asyncio.wait({task})


async def test_all_pages_of_instruments(feed: VenueFeed, server: BybitServer) -> None:
    instruments = await feed.instruments()
    assert [instrument.symbol for instrument in instruments] == SYMBOLS
    assert server.pages == 3
    assert {(i.price_decimals, i.funding_interval_hours) for i in instruments} == {(1, 4)}


async def test_what_contracts_are_on_and_a_new_word_is_told_once(
    taken: Taken, caplog: pytest.LogCaptureFixture
) -> None:
    types = {"AAPLUSDT": "stock", "XAUUSDT": "commodity", "NEWUSDT": "innovation", "BUNDUSDT": "bond"}
    server = BybitServer(["BTCUSDT", *types], types=types)
    await server.start()
    try:
        async with feed_of(hasty(BYBIT), server.rest_url, server.ws_url, taken) as feed:
            with caplog.at_level(logging.WARNING):
                first, second = await feed.instruments(), await feed.instruments()
    finally:
        await server.stop()
    assert first == second
    assert {i.symbol: str(i.asset_class) for i in first} == {
        "BTCUSDT": "crypto",
        "AAPLUSDT": "stock",
        "XAUUSDT": "commodity",
        "NEWUSDT": "crypto",
        "BUNDUSDT": "other",
    }
    assert [record.getMessage() for record in caplog.records] == [
        "Bybit: on something unknown, so not shown as crypto: BUNDUSDT"
    ]


async def test_snapshot_holds_price_funding_and_open_interest(feed: VenueFeed) -> None:
    await feed.instruments()
    snapshot = Taken()
    snapshot.ticks = await feed.snapshot()
    assert [(t.symbol, t.price) for t in snapshot.tickers()] == [(s, 100.0 + i) for i, s in enumerate(SYMBOLS)]
    assert [t.mark_price for t in snapshot.funding()] == [100.5 + i for i in range(len(SYMBOLS))]
    assert {t.contracts for t in snapshot.open_interest()} == {1234.5}


async def test_deltas_are_merged(running: asyncio.Task[None], server: BybitServer, taken: Taken) -> None:
    await server.trade("BTCUSDT", lastPrice="123.4")
    await eventually(lambda: taken.tickers("BTCUSDT")[-1].price == 123.4, "the new price")
    assert taken.tickers("BTCUSDT")[-1].volume_quote == 5000000.5
    await server.trade("BTCUSDT", openInterest="99")
    await eventually(lambda: taken.open_interest("BTCUSDT")[-1].contracts == 99, "the new open interest")
    await server.trade("BTCUSDT", fundingRate="-0.0005")
    await eventually(lambda: taken.funding("BTCUSDT")[-1].rate == -0.0005, "the new rate")
    assert not taken.rejects


async def test_quotes_alone_keep_a_price_fresh(running: asyncio.Task[None], taken: Taken) -> None:
    taken.clear()
    await eventually(lambda: len(taken.tickers("BTCUSDT")) >= 2, "confirmed prices")
    first, second = taken.tickers("BTCUSDT")[:2]
    assert first.price == second.price == 100.0
    assert second.event_ms - first.event_ms >= 1000


async def test_candles_are_streamed_for_the_chosen_symbols(
    running: asyncio.Task[None], server: BybitServer, feed: VenueFeed, taken: Taken
) -> None:
    await server.candle("ETHUSDT", "101.5", "3500000.25")
    await eventually(lambda: bool(taken.candles("ETHUSDT")), "a candle")
    assert taken.candles("ETHUSDT")[0].volume_quote == 3500000.25
    feed.set_candle_symbols(["SOLUSDT", "ETHUSDT"])
    await eventually(
        lambda: {t for t in server.topics if t.startswith("kline")} == {"kline.60.SOLUSDT", "kline.60.ETHUSDT"},
        "the changed subscription",
    )
    assert feed.counters.streams[Stream.CANDLE].connects == 1


async def test_rest_candles_and_open_interest(feed: VenueFeed) -> None:
    candles = await feed.candles("币安人生USDT", 3)
    assert [(c.symbol, c.volume_quote, c.closed) for c in candles] == [
        ("币安人生USDT", 1002.0, True),
        ("币安人生USDT", 1001.0, True),
        ("币安人生USDT", 1000.0, False),
    ]
    assert (await feed.open_interest("币安人生USDT")).contracts == 1234.5


async def test_four_weeks_of_hours_and_the_newest_payments(feed: VenueFeed) -> None:
    candles = await feed.candles("BTCUSDT", 673, patient=True)
    assert len(candles) == 673
    assert {b.open_ms - a.open_ms for a, b in pairwise(candles)} == {3_600_000}
    payments = await feed.funding_payments("BTCUSDT", 0)
    assert len(payments) == BYBIT.payments_a_request
    assert {b.paid_ms - a.paid_ms for a, b in pairwise(payments)} == {4 * 3_600_000}
    assert payments[-1].rate == 0.0001
    assert await feed.funding_payments("BTCUSDT", payments[-3].paid_ms) == payments[-3:]


async def test_prices_of_the_past_minutes(feed: VenueFeed) -> None:
    prices = await feed.past_prices("BTCUSDT", 10)
    assert {b - a for (a, _), (b, _) in pairwise(prices)} == {60_000}
    assert (len(prices), {price for _, price in prices}) == (9, {11.0})


async def test_minutes_of_a_past_hour(feed: VenueFeed) -> None:
    first_ms = int(time.time() * 1000) // 60_000 * 60_000 - 26 * 3_600_000
    minutes = await feed.minutes("BTCUSDT", first_ms, first_ms + 31 * 60_000)
    assert [minute.open_ms for minute in minutes] == [first_ms + number * 60_000 for number in range(31)]
    assert {(minute.high, minute.low, minute.close, minute.closed) for minute in minutes} == {(12.0, 9.0, 11.0, True)}


async def test_one_refused_topic_does_not_cost_the_others_their_data(
    running: asyncio.Task[None], server: BybitServer, feed: VenueFeed, taken: Taken
) -> None:
    del server.rows["XRPUSDT"]
    server.disconnect_all()
    await eventually(lambda: "refused" in taken.reasons("ticker"), "the refused topic")
    wanted = {f"tickers.{symbol}" for symbol in SYMBOLS if symbol != "XRPUSDT"}
    await eventually(lambda: wanted <= server.topics, "the others")
    (refused,) = [reject for reject in taken.rejects if reject.reason == "refused"]
    assert "XRPUSDT" in refused.detail


async def test_contracts_join_and_leave(
    running: asyncio.Task[None], server: BybitServer, feed: VenueFeed, taken: Taken
) -> None:
    del server.rows["XRPUSDT"]
    server.rows["NEWUSDT"] = {**server.rows["BTCUSDT"], "symbol": "NEWUSDT"}
    assert {i.symbol for i in await feed.instruments()} == {*SYMBOLS, "NEWUSDT"} - {"XRPUSDT"}
    await eventually(lambda: bool(taken.tickers("NEWUSDT")), "the new contract")
    await eventually(lambda: "tickers.XRPUSDT" not in server.topics, "the end of the old subscription")


async def test_after_a_disconnect_state_starts_from_a_new_snapshot(
    running: asyncio.Task[None], server: BybitServer, taken: Taken
) -> None:
    server.disconnect_all()
    server.rows["BTCUSDT"]["lastPrice"] = "777"
    taken.clear()
    await eventually(lambda: {t.symbol for t in taken.tickers()} == set(SYMBOLS), "every ticker again")
    assert taken.tickers("BTCUSDT")[-1].price == 777
    assert not taken.rejects


async def test_garbage_and_partial_messages_are_rejected(
    running: asyncio.Task[None], server: BybitServer, taken: Taken
) -> None:
    await server.send_text("tickers.BTCUSDT", "{not json")
    await server.send_text("tickers.BTCUSDT", "[1,2")
    await server.send("tickers.BTCUSDT", "delta", {"symbol": "BTCUSDT", "lastPrice": "-1"})
    await server.send("tickers.BTCUSDT", "delta", {"symbol": "BTCUSDT", "lastPrice": "5"}, ts=1)
    await eventually(lambda: {"malformed", "negative", "absurd"} <= taken.reasons("ticker"), "the rejects")
    await server.trade("BTCUSDT", lastPrice="321")
    await eventually(lambda: taken.tickers("BTCUSDT")[-1].price == 321, "good values after them")
    assert {t.price for t in taken.tickers("BTCUSDT")} == {100.0, 321.0}


async def test_older_messages_are_dropped(running: asyncio.Task[None], server: BybitServer, taken: Taken) -> None:
    old = taken.tickers("BTCUSDT")[-1].event_ms - 500
    await server.send("tickers.BTCUSDT", "delta", {"symbol": "BTCUSDT", "lastPrice": "1"}, ts=old)
    await eventually(lambda: "stale" in taken.reasons("ticker"), "a stale reject")
    assert {t.price for t in taken.tickers("BTCUSDT")} == {100.0}


async def test_silence_ends_in_leaving(running: asyncio.Task[None], server: BybitServer, feed: VenueFeed) -> None:
    server.silent = True
    await asyncio.wait({running}, timeout=15)
    assert running.done()
    assert isinstance(running.exception(), VenueSilent)
    assert feed.counters.streams[Stream.TICKER].restarts == 2


async def test_pings_are_answered_to_ccxt(server: BybitServer, taken: Taken) -> None:
    async with feed_of(hasty(BYBIT, candle_s=60), server.rest_url, server.ws_url, taken) as feed:
        # Milliseconds of the fast clock: 150 of ours.
        feed._transport.exchange.streaming["keepAlive"] = 600
        await feed.instruments()
        task = asyncio.create_task(feed.run())
        # Without answers ccxt would cut the connection after two intervals.
        await eventually(lambda: server.pings >= 6, "pings")
        assert feed.counters.reconnects == 0
        assert not taken.rejects
        task.cancel()
        await asyncio.wait({task})


async def test_errors_are_told_apart(feed: VenueFeed, server: BybitServer) -> None:
    await feed.instruments()
    server.ret_code = 10006
    with pytest.raises(VenueRateLimited):
        await feed.snapshot()
    feed._transport.pause.until = 0
    server.ret_code = 10016
    with pytest.raises(VenueUnavailable):
        await feed.snapshot()
    server.status = 403
    with pytest.raises(VenueBlocked, match="403"):
        await feed.snapshot()
    feed._transport.pause.until = 0
    server.status = 502
    with pytest.raises(VenueUnavailable, match="502"):
        await feed.snapshot()


async def test_open_interest_history_is_oldest_first(feed: VenueFeed) -> None:
    history = await feed.open_interest_history("BTCUSDT", 3)
    assert [value.contracts for value in history] == [1232.5, 1233.5, 1234.5]
    assert [b.event_ms - a.event_ms for a, b in pairwise(history)] == [300_000] * 2


async def test_too_many_requests_in_an_answer_of_status_200_wait_for_the_reset(
    feed: VenueFeed, server: BybitServer
) -> None:
    server.ret_code, server.ret_msg = 10006, "Too many visits!"
    server.headers = {"X-Bapi-Limit-Reset-Timestamp": str(now_ms() + 30_000)}
    with pytest.raises(VenueRateLimited, match="answered 10006: Too many visits!") as first:
        await feed.instruments()
    assert first.value.asked
    assert 25 < (first.value.retry_after or 0) <= 30
    asked = server.requests
    with pytest.raises(VenueRateLimited, match="asked to wait"):
        await feed.snapshot()
    assert server.requests == asked


async def test_access_too_frequent_shuts_out_requests_and_handshakes_for_ten_minutes(
    feed: VenueFeed, server: BybitServer, taken: Taken
) -> None:
    await feed.instruments()
    server.status, server.retry_after, server.body = 403, None, "403, access too frequent"
    with pytest.raises(VenueRateLimited, match="access too frequent") as first:
        await feed.candles("BTCUSDT", 2)
    assert (first.value.retry_after, first.value.asked) == (600.0, True)
    server.status = 200
    asked = server.requests
    async with feed_of(hasty(BYBIT), server.rest_url, server.ws_url, taken) as other:
        with pytest.raises(VenueRateLimited, match="asked to wait"):
            await other.instruments()
    with pytest.raises(VenueRateLimited, match="asked to wait"):
        await feed.run()
    assert server.requests == asked
    assert not server.sockets


@pytest.mark.parametrize(
    ("status", "kind"), [(503, VenueUnavailable), (451, VenueBlocked)], ids=["down", "closed to this address"]
)
async def test_a_wait_that_another_refusal_states_is_kept_and_its_reason_stays(
    status: int, kind: type[VenueError], feed: VenueFeed, server: BybitServer
) -> None:
    await feed.instruments()
    server.status, server.retry_after = status, 30
    for _ in range(3):
        with pytest.raises(kind, match=f"answered {status}") as refused:
            await feed.snapshot()
        assert type(refused.value) is kind
        assert refused.value.asked
        assert 25 < (refused.value.retry_after or 0) <= 30
    # The pages of instruments, and what was refused once.
    assert server.requests == 3 + 1


@pytest.mark.parametrize("minutes", [55, -55])
async def test_our_clock_may_be_set_at_any_moment(
    running: asyncio.Task[None], feed: VenueFeed, taken: Taken, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """What is over and what is late is told by the exchange's time, at once and not only when it tells that again."""
    await expect_right_times(
        feed, taken, monkeypatch, bybit_feed, minutes, lambda: bool(taken.tickers() and taken.funding())
    )
