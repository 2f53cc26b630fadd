"""The real ccxt client against the simulated exchange, with each of its faults."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from flashcur.domain.assets import AssetClass
from flashcur.errors import VenueBlocked, VenueError, VenueRateLimited, VenueSilent, VenueUnavailable
from flashcur.services.market import binance_feed
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.venues import BINANCE, Stream
from flashcur.services.simulator import SimulatedExchange, sessions
from flashcur.services.simulator.faults import GARBAGE, Garbage, Target
from flashcur.services.simulator.recorder import Kind
from tests.services.market.harness import Taken, expect_right_times, feed_of, hasty
from tests.support.waiting import eventually

SYMBOLS = 30


@pytest.fixture
async def exchange() -> AsyncIterator[SimulatedExchange]:
    exchange = SimulatedExchange(symbols=SYMBOLS, listings=False)
    await exchange.start()
    yield exchange
    await exchange.stop()


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def feed(exchange: SimulatedExchange, taken: Taken) -> AsyncIterator[VenueFeed]:
    async with feed_of(hasty(BINANCE), exchange.rest_url, exchange.ws_url, taken) as feed:
        yield feed


@pytest.fixture
async def running(feed: VenueFeed, taken: Taken) -> AsyncIterator[asyncio.Task[None]]:
    """The feed with its streams up; the task ends when the feed gives up."""
    await feed.instruments()
    feed.set_candle_symbols(["BTCUSDT", "ETHUSDT"])
    task = asyncio.create_task(feed.run())
    await eventually(lambda: bool(taken.tickers() and taken.funding() and taken.candles()), "all three streams")
    yield task
    task.cancel()
    await asyncio.wait({task})


async def failure(task: asyncio.Task[None], within_s: float = 15.0) -> BaseException | None:
    await asyncio.wait({task}, timeout=within_s)
    assert task.done(), f"expected the feed to give up within {within_s} s"
    return task.exception()


async def test_instruments_and_snapshot(feed: VenueFeed, exchange: SimulatedExchange) -> None:
    instruments = await feed.instruments()
    specs = [contract.spec for contract in exchange.market.trading()]
    assert {spec.contract_type for spec in specs} > {"PERPETUAL"}
    listed = {spec.symbol for spec in specs if spec.quote == "USDT" and spec.perpetual}
    assert {instrument.symbol for instrument in instruments} == listed
    snapshot = Taken()
    snapshot.ticks = await feed.snapshot()
    assert {t.symbol for t in snapshot.tickers()} == feed.symbols
    assert {t.symbol for t in snapshot.funding()} == feed.symbols


async def test_what_contracts_are_on(feed: VenueFeed) -> None:
    classes = {instrument.symbol: instrument.asset_class for instrument in await feed.instruments()}
    assert Counter(classes.values())[AssetClass.CRYPTO] == SYMBOLS
    assert {"TSLAUSDT", "SAMSUNGUSDT", "OPENAIUSDT"} <= {s for s, c in classes.items() if c is AssetClass.STOCK}
    assert {s for s, c in classes.items() if c is AssetClass.COMMODITY} == {
        "XAUUSDT",
        "XAGUSDT",
        "CLUSDT",
        "NATGASUSDT",
    }


async def test_trading_hours_come_with_the_second_answer(feed: VenueFeed, exchange: SimulatedExchange) -> None:
    """The contracts do not wait for them."""
    assert not any(instrument.closed for instrument in await feed.instruments())
    closed = {instrument.symbol: instrument.closed for instrument in await feed.instruments()}
    assert {symbol for symbol, spans in closed.items() if not spans} >= {"BTCUSDT", "OPENAIUSDT"}
    now_ms = exchange.now_ms()
    for symbol, market in (("TSLAUSDT", "EQUITY"), ("SAMSUNGUSDT", "KR_EQUITY"), ("XAUUSDT", "COMMODITY")):
        rests = [s for s in sessions.week(market, now_ms) if s.kind == sessions.CLOSED]
        assert closed[symbol] == tuple((s.begin_ms, s.end_ms) for s in rests)
        assert closed[symbol]


async def test_streamed_values_are_those_that_were_sent(
    running: asyncio.Task[None], taken: Taken, exchange: SimulatedExchange, feed: VenueFeed
) -> None:
    exchange.faults.set_price("BTCUSDT", 98765.4)
    await eventually(lambda: any(t.price == 98765.4 for t in taken.tickers("BTCUSDT")), "the price that was set")
    exchange.faults.set_funding("BTCUSDT", -0.000321)
    await eventually(lambda: any(t.rate == -0.000321 for t in taken.funding("BTCUSDT")), "the funding that was set")
    await eventually(lambda: any(t.close == 98765.4 for t in taken.candles("BTCUSDT")), "the candle at that price")
    assert {candle.symbol for candle in taken.candles()} <= {"BTCUSDT", "ETHUSDT"}
    # The streams also carry contracts that are not shown: neither ticks nor rejects.
    assert {tick.symbol for tick in taken.tickers()} <= feed.symbols
    assert {tick.symbol for tick in taken.funding()} == feed.symbols
    assert not taken.rejects


async def test_candle_symbols_change_while_running(running: asyncio.Task[None], feed: VenueFeed, taken: Taken) -> None:
    feed.set_candle_symbols(["ETHUSDT", "SOLUSDT", "NOSUCHUSDT"])
    await eventually(lambda: bool(taken.candles("SOLUSDT")), "candles of SOLUSDT")
    taken.clear()
    await eventually(lambda: len(taken.candles("ETHUSDT")) >= 4, "candles of ETHUSDT")
    assert not taken.candles("BTCUSDT")
    assert feed.counters.streams[Stream.CANDLE].connects == 1


async def test_candles_and_open_interest_by_rest(feed: VenueFeed) -> None:
    await feed.instruments()
    candles = await feed.candles("BTCUSDT", 5)
    assert [candle.closed for candle in candles] == [True] * 4 + [False]
    assert [b.open_ms - a.open_ms for a, b in pairwise(candles)] == [3_600_000] * 4
    assert (await feed.open_interest("BTCUSDT")).contracts > 0
    history = await feed.open_interest_history("BTCUSDT", 4)
    assert [b.event_ms - a.event_ms for a, b in pairwise(history)] == [300_000] * 3
    with pytest.raises(VenueError, match="400"):
        await feed.open_interest("NOSUCHUSDT")


async def test_four_weeks_of_hours_come_in_one_request(feed: VenueFeed, exchange: SimulatedExchange) -> None:
    await feed.instruments()
    used = exchange.rest.limiter.used
    candles = await feed.candles("BTCUSDT", 673, patient=True)
    assert len(candles) == 673
    assert {b.open_ms - a.open_ms for a, b in pairwise(candles)} == {3_600_000}
    assert [candle.closed for candle in candles] == [True] * 672 + [False]
    assert exchange.rest.limiter.used - used == 5


async def test_funding_payments_come_oldest_first_and_apart_from_one_another(
    feed: VenueFeed, exchange: SimulatedExchange
) -> None:
    (btc,) = [each for each in await feed.instruments() if each.symbol == "BTCUSDT"]
    since_ms = int(time.time() * 1000) - 40 * 24 * 3_600_000
    started, counted = time.monotonic(), exchange.rest.limiter.funding
    answers = await asyncio.gather(*[feed.funding_payments("BTCUSDT", since_ms) for _ in range(3)])
    assert time.monotonic() - started >= 2 * BINANCE.payments_apart_ms / 1000 - 0.1
    assert exchange.rest.limiter.funding - counted == 3
    payments = answers[0]
    assert answers[1] == answers[2] == payments
    assert {b.paid_ms - a.paid_ms for a, b in pairwise(payments)} == {btc.funding_interval_hours * 3_600_000}
    assert since_ms <= payments[0].paid_ms < since_ms + btc.funding_interval_hours * 3_600_000
    assert len({payment.rate for payment in payments}) > 1


async def test_prices_of_the_past_minutes_weigh_little(feed: VenueFeed, exchange: SimulatedExchange) -> None:
    await feed.instruments()
    used = exchange.rest.limiter.used
    prices = await feed.past_prices("BTCUSDT", 70)
    assert len(prices) == 69
    assert {b - a for (a, _), (b, _) in pairwise(prices)} == {60_000}
    assert 0 <= time.time() * 1000 - prices[-1][0] < 61_000
    assert exchange.rest.limiter.used - used == 1


async def test_minutes_of_any_past_hour_weigh_little(feed: VenueFeed, exchange: SimulatedExchange) -> None:
    await feed.instruments()
    used = exchange.rest.limiter.used
    first_ms = int(time.time() * 1000) // 60_000 * 60_000 - 3 * 24 * 3_600_000
    minutes = await feed.minutes("BTCUSDT", first_ms, first_ms + 3_600_000)
    assert [minute.open_ms for minute in minutes] == [first_ms + number * 60_000 for number in range(60)]
    assert all(minute.closed and minute.low <= minute.close <= minute.high for minute in minutes)
    assert exchange.rest.limiter.used - used == 1
    # The one in progress is not told, and none that was not asked for.
    first_ms += 3 * 24 * 3_600_000 - 120_000
    assert len(await feed.minutes("BTCUSDT", first_ms, first_ms + 600_000)) in (2, 3)
    assert len(await feed.minutes("BTCUSDT", first_ms, first_ms + 60_000)) == 1


async def test_open_interest_of_any_past_day(feed: VenueFeed) -> None:
    await feed.instruments()
    first_ms = int(time.time() * 1000) // 300_000 * 300_000 - 5 * 24 * 3_600_000
    past = await feed.past_interest("BTCUSDT", first_ms, first_ms + 200 * 300_000)
    assert [value.event_ms for value in past] == [first_ms + number * 300_000 for number in range(200)]


async def test_requests_that_can_wait_are_sent_after_those_that_cannot(feed: VenueFeed) -> None:
    await feed.instruments()
    feed._transport.exchange.throttler.config["tokens"] = 0.0
    order: list[str] = []

    async def ask(kind: str) -> None:
        if kind == "past":
            await feed.candles("BTCUSDT", 500, patient=True)
        else:
            await feed.open_interest("BTCUSDT")
        order.append(kind)

    await asyncio.gather(*[ask("past") for _ in range(3)], *[ask("now") for _ in range(20)])
    # The first took its turn before there was another request.
    assert order.count("past") == 3
    assert set(order[-2:]) == {"past"}


async def test_requests_that_can_wait_leave_a_part_of_each_minute_to_the_others(
    feed: VenueFeed, exchange: SimulatedExchange
) -> None:
    await feed.instruments()
    exchange.rest.limiter.used = 2_000
    await feed.open_interest("BTCUSDT")
    past = asyncio.create_task(feed.candles("BTCUSDT", 500, patient=True))
    for _ in range(5):
        await feed.open_interest("BTCUSDT")
    assert not past.done()
    past.cancel()
    await asyncio.wait({past})


async def test_a_symbol_with_chinese_characters_works_everywhere(
    exchange: SimulatedExchange, running: asyncio.Task[None], feed: VenueFeed, taken: Taken
) -> None:
    exchange.list_new("币安人生", 0.15)
    await feed.instruments()
    feed.set_candle_symbols(["币安人生USDT"])
    await eventually(lambda: bool(taken.candles("币安人生USDT") and taken.tickers("币安人生USDT")), "its streams")
    assert (await feed.candles("币安人生USDT", 1))[0].symbol == "币安人生USDT"
    assert (await feed.open_interest("币安人生USDT")).symbol == "币安人生USDT"


@pytest.mark.parametrize(("kind", "stream"), [("ticker", "ticker"), ("mark", "funding"), ("kline", "candle")])
async def test_a_silent_stream_is_restarted_and_then_the_exchange_is_left(
    kind: Kind, stream: str, running: asyncio.Task[None], exchange: SimulatedExchange, feed: VenueFeed
) -> None:
    exchange.faults.silence(kind)
    error = await failure(running)
    assert isinstance(error, VenueSilent)
    assert f"no {stream} message" in str(error)
    assert feed.counters.streams[Stream(stream)].restarts == 2
    assert sum(counters.restarts for counters in feed.counters.streams.values()) == 2


async def test_a_short_silence_heals_by_the_restart(
    running: asyncio.Task[None], exchange: SimulatedExchange, feed: VenueFeed, taken: Taken
) -> None:
    exchange.faults.silence("ticker")
    await eventually(lambda: feed.counters.streams[Stream.TICKER].restarts == 1, "a restart")
    exchange.faults.speak("ticker")
    taken.clear()
    await eventually(lambda: bool(taken.tickers()), "tickers on the new connection")
    assert not running.done()


async def test_after_a_disconnect_every_subscription_is_replayed(
    running: asyncio.Task[None], exchange: SimulatedExchange, feed: VenueFeed, taken: Taken
) -> None:
    assert exchange.faults.disconnect_all() == 3
    taken.clear()
    await eventually(
        lambda: bool(taken.tickers() and taken.funding() and taken.candles("BTCUSDT") and taken.candles("ETHUSDT")),
        "all streams again",
    )
    assert feed.counters.reconnects == 3
    assert not running.done()


async def test_a_server_that_is_gone_is_left_as_unavailable(
    running: asyncio.Task[None], exchange: SimulatedExchange
) -> None:
    await exchange.stop()
    error = await failure(running)
    assert isinstance(error, VenueUnavailable)
    assert not isinstance(error, VenueSilent)


@pytest.mark.parametrize("status", [451, 403])
async def test_a_block_is_told_by_its_status(status: int, feed: VenueFeed, exchange: SimulatedExchange) -> None:
    exchange.faults.refuse(status)
    with pytest.raises(VenueBlocked, match=f"answered {status}"):
        await feed.instruments()


async def test_a_block_of_the_handshake_ends_the_feed_at_once(
    running: asyncio.Task[None], exchange: SimulatedExchange
) -> None:
    exchange.faults.refuse(451)
    exchange.faults.disconnect_all()
    assert isinstance(await failure(running, 5), VenueBlocked)


async def test_after_a_429_nothing_is_asked_until_retry_after(feed: VenueFeed, exchange: SimulatedExchange) -> None:
    await feed.instruments()
    exchange.faults.rate_limit(seconds=1, retry_after=2)
    with pytest.raises(VenueRateLimited) as first:
        await feed.open_interest("BTCUSDT")
    assert (first.value.retry_after, first.value.asked) == (2, True)
    used = exchange.rest.limiter.used
    started = time.monotonic()
    with pytest.raises(VenueRateLimited, match="asked to wait") as second:
        await feed.open_interest("BTCUSDT")
    assert second.value.asked
    assert exchange.rest.limiter.used == used
    assert time.monotonic() - started < 0.5

    async def answered() -> float:
        while True:
            try:
                await feed.open_interest("BTCUSDT")
                return time.monotonic() - started
            except VenueRateLimited as error:
                await asyncio.sleep(error.retry_after or 0)

    assert 1.5 < await asyncio.wait_for(answered(), 10) < 6


async def test_a_ban_that_only_its_text_states_is_kept_by_every_request_to_that_address(
    running: asyncio.Task[None], feed: VenueFeed, exchange: SimulatedExchange, taken: Taken
) -> None:
    exchange.faults.rate_limit(retry_after=3, status=418, header=False)
    with pytest.raises(VenueRateLimited, match="banned until") as first:
        await feed.open_interest("BTCUSDT")
    assert first.value.asked
    assert 2 < (first.value.retry_after or 0) <= 4
    asked = exchange.rest.requests
    # Whatever asks, through this feed or a new one to the same address, by REST or with a handshake.
    for symbol in ("BTCUSDT", "ETHUSDT", "BTCUSDT"):
        with pytest.raises(VenueRateLimited, match="asked to wait"):
            await feed.candles(symbol, 2)
    exchange.faults.disconnect_all()
    async with feed_of(hasty(BINANCE), exchange.rest_url, exchange.ws_url, taken) as other:
        with pytest.raises(VenueRateLimited, match="asked to wait"):
            await other.instruments()
    assert isinstance(await failure(running, 5), VenueRateLimited)
    assert not exchange.streams.connections
    assert exchange.rest.requests == asked


async def test_a_spent_minute_is_waited_for_before_it_is_refused(
    feed: VenueFeed, exchange: SimulatedExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    await feed.instruments()
    exchange.rest.limiter.used = 2_399
    await feed.open_interest("BTCUSDT")
    with pytest.raises(VenueRateLimited, match="asked to wait") as limited:
        await feed.open_interest("BTCUSDT")
    assert 0 < (limited.value.retry_after or 0) <= 60


async def test_a_server_error_is_unavailable(feed: VenueFeed, exchange: SimulatedExchange) -> None:
    exchange.faults.server_error()
    with pytest.raises(VenueUnavailable, match="answered 503"):
        await feed.instruments()


@pytest.mark.parametrize("variety", GARBAGE)
async def test_garbage_is_rejected_and_counted_and_the_streams_go_on(
    variety: Garbage, running: asyncio.Task[None], exchange: SimulatedExchange, feed: VenueFeed, taken: Taken
) -> None:
    targets: dict[str, Target] = {"ticker": "ticker", "candle": "kline"}
    if variety != "crossed":
        targets["funding"] = "mark"
    for target in targets.values():
        exchange.faults.garbage("ETHUSDT", variety, target)
    await eventually(lambda: all(taken.reasons(stream) for stream in targets), "a reject of each stream")
    assert {reject.symbol for reject in taken.rejects} <= {"ETHUSDT", None}
    assert feed.counters.rejects.total() == len(taken.rejects)
    taken.clear()
    await eventually(lambda: bool(taken.tickers("ETHUSDT") and taken.candles("ETHUSDT")), "good values after it")
    assert feed.counters.reconnects == 0


async def test_garbage_alone_is_no_sign_of_life(running: asyncio.Task[None], exchange: SimulatedExchange) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        exchange.faults.garbage(symbol, "nan", "kline", count=None)
    assert isinstance(await failure(running), VenueSilent)


async def test_out_of_order_and_duplicate_messages_are_dropped(
    running: asyncio.Task[None], exchange: SimulatedExchange, taken: Taken
) -> None:
    exchange.faults.reorder("ticker", 2)
    await eventually(lambda: "stale" in taken.reasons("ticker"), "stale tickers")
    exchange.faults.duplicate("mark", 1)
    await eventually(lambda: "duplicate" in taken.reasons("funding"), "duplicate funding")
    events = [tick.event_ms for tick in taken.tickers("BTCUSDT")]
    assert events == sorted(events)


async def test_delisted_contracts_leave_and_new_ones_join(
    running: asyncio.Task[None], exchange: SimulatedExchange, feed: VenueFeed, taken: Taken
) -> None:
    exchange.faults.delist("ETHUSDT")
    spec = exchange.faults.list_new("NEWCOIN", 3.5)
    listed = {instrument.symbol for instrument in await feed.instruments()}
    assert "ETHUSDT" not in listed
    assert f"{spec.base}USDT" in listed
    taken.clear()
    await eventually(lambda: bool(taken.tickers("NEWCOINUSDT")), "tickers of the new contract")
    assert not taken.tickers("ETHUSDT")
    assert not taken.rejects


async def test_close_leaves_no_task_and_no_socket(exchange: SimulatedExchange, taken: Taken) -> None:
    before = asyncio.all_tasks()
    async with feed_of(hasty(BINANCE), exchange.rest_url, exchange.ws_url, taken) as feed:
        await feed.instruments()
        task = asyncio.create_task(feed.run())
        await eventually(lambda: bool(taken.tickers()), "tickers")
        task.cancel()
        await asyncio.wait({task})
    await eventually(lambda: not exchange.streams.connections, "no connection")
    mine = {t for t in asyncio.all_tasks() - before if "simulat" not in repr(t.get_coro()) and "aiohttp" not in repr(t)}
    assert not mine


async def test_closing_one_feed_leaves_the_sockets_of_another_alone(
    running: asyncio.Task[None], exchange: SimulatedExchange, feed: VenueFeed
) -> None:
    other = Taken()
    async with feed_of(hasty(BINANCE), exchange.rest_url, exchange.ws_url, other) as second:
        await second.instruments()
        task = asyncio.create_task(second.run())
        await eventually(lambda: bool(other.tickers() and other.funding()), "streams of the second feed")
        task.cancel()
        await asyncio.wait({task})
    assert len(exchange.streams.connections) == 3
    assert feed.counters.reconnects == 0


@pytest.mark.parametrize("minutes", [55, -55])
async def test_our_clock_may_be_set_at_any_moment(
    running: asyncio.Task[None], feed: VenueFeed, taken: Taken, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """What is over and what is late is told by the exchange's time, at once and not only when it tells that again."""
    await expect_right_times(
        feed,
        taken,
        monkeypatch,
        binance_feed,
        minutes,
        lambda: bool(taken.tickers() and taken.funding() and taken.candles()),
    )
