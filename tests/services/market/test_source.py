"""Fail-over between exchanges, the way back, and demo data."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from flashcur.domain.ticks import Candle, Funding, Reject, Tick, Ticker
from flashcur.errors import ConfigError, VenueBlocked, VenueError, VenueRateLimited, VenueUnavailable
from flashcur.services.market.candidate import Candidate, State
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.feeds import open_feed
from flashcur.services.market.source import MarketSource, VenueStatus, _Session
from flashcur.services.market.venues import Venue, venue_by_id
from flashcur.services.simulator import SimulatedExchange, SimulatorProcess
from flashcur.settings import Settings, VenueUrls
from tests.services.market.bybit_server import BybitServer
from tests.services.market.harness import RecordingSink, hasty
from tests.support.programs import free_port
from tests.support.waiting import eventually

NOWHERE = VenueUrls("http://127.0.0.1:1", "ws://127.0.0.1:1")


class LocalSimulator:
    """The simulated exchange inside the test, with the interface of the process."""

    def __init__(self) -> None:
        self._exchange: SimulatedExchange | None = None
        self._ended = asyncio.Event()
        self.starts = 0
        self.rest_url = ""
        self.ws_url = ""

    @property
    def running(self) -> bool:
        return self._exchange is not None

    async def start(self) -> None:
        self._ended.clear()
        self.starts += 1
        self._exchange = SimulatedExchange(symbols=20, listings=False)
        await self._exchange.start()
        self.rest_url, self.ws_url = self._exchange.rest_url, self._exchange.ws_url

    async def wait(self) -> int:
        await self._ended.wait()
        return -9

    def die(self) -> None:
        """End as far as `wait` tells; the sockets stay, so that nothing else gives it away."""
        self._ended.set()

    async def stop(self) -> None:
        if self._exchange is not None:
            await self._exchange.stop()
            self._exchange = None


@pytest.fixture
async def binance() -> AsyncIterator[SimulatedExchange]:
    exchange = SimulatedExchange(symbols=20, listings=False)
    await exchange.start()
    yield exchange
    await exchange.stop()


@pytest.fixture
async def bybit() -> AsyncIterator[BybitServer]:
    server = BybitServer(["BTCUSDT", "ETHUSDT"])
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def simulator() -> LocalSimulator:
    return LocalSimulator()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


async def hasty_feed(
    venue: Venue, urls: VenueUrls, on_tick: Callable[[Tick], None], on_reject: Callable[[Reject], None]
) -> VenueFeed:
    quick = hasty(venue, candle_s=60)
    return await open_feed(quick, urls, on_tick, on_reject)


@asynccontextmanager
async def source_of(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, *, demo: str = "off", **urls: VenueUrls
) -> AsyncIterator[MarketSource]:
    """A running source over the named exchanges, in that order."""
    given = replace(settings, exchanges=tuple(urls), venue_urls=urls, demo=demo)
    source = MarketSource(given, sink, simulator=lambda: simulator, feed_factory=hasty_feed, demo_after_s=0.5)
    task = asyncio.create_task(source.run())
    try:
        yield source
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


def urls_of(server: SimulatedExchange | BybitServer) -> VenueUrls:
    return VenueUrls(server.rest_url, server.ws_url)


def serves(source: MarketSource, venue_id: str, *, demo: bool = False) -> Callable[[], bool]:
    return lambda: source.venue is not None and source.venue.id == venue_id and source.demo is demo


def status_of(source: MarketSource, key: str) -> VenueStatus:
    return next(status for status in source.status() if status.key == key)


def try_now(source: MarketSource) -> None:
    """End every wait, as time would."""
    for candidate in source._candidates:
        candidate.retry_at = 0.0
    source._pulse()


def wait_s(source: MarketSource) -> float:
    """Seconds until the most wanted exchange is tried again."""
    return source._candidates[0].retry_at - time.monotonic()


def test_an_unknown_exchange_is_refused(settings: Settings, sink: RecordingSink) -> None:
    with pytest.raises(ConfigError, match="expected binanceusdm, bybit, was 'kraken'"):
        MarketSource(replace(settings, exchanges=("kraken",)), sink)


async def test_the_first_exchange_serves_a_whole_market(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, binance: SimulatedExchange, bybit: BybitServer
) -> None:
    async with source_of(settings, sink, simulator, binanceusdm=urls_of(binance), bybit=urls_of(bybit)) as source:
        await eventually(serves(source, "binanceusdm"), "Binance to serve")
        assert sink.switches == [("binanceusdm", "", False)]
        ((_, instruments),) = sink.instruments
        symbols = {instrument.symbol for instrument in instruments}
        assert {tick.symbol for _, tick in sink.ticks if isinstance(tick, Ticker)} == symbols
        assert {tick.symbol for _, tick in sink.ticks if isinstance(tick, Funding)} == symbols
        source.set_candle_symbols(["BTCUSDT"])
        await eventually(lambda: any(isinstance(tick, Candle) for _, tick in sink.ticks), "streamed candles")
        assert (await source.candles("BTCUSDT", 2))[0].closed
        assert (await source.open_interest("BTCUSDT")).contracts > 0
        assert (await source.funding_payments("BTCUSDT", int(time.time() * 1000) - 40 * 86_400_000))[0].rate
        assert len(await source.past_prices("BTCUSDT", 5)) == 4
        first_ms = int(time.time() * 1000) // 60_000 * 60_000 - 86_400_000
        assert len(await source.minutes("BTCUSDT", first_ms, first_ms + 300_000)) == 5
        before = len(sink.ticks)
        await source.refresh_snapshot()
        assert len(sink.ticks) > before
        status = status_of(source, "binanceusdm")
        assert (status.state, status.symbols, status.demo) == (State.LIVE, len(symbols), False)
        assert status.last_message_age_s is not None
        assert status.last_message_age_s < 5
        assert status_of(source, "bybit").state is State.IDLE


async def test_new_contracts_come_with_refresh_instruments(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, binance: SimulatedExchange
) -> None:
    async with source_of(settings, sink, simulator, binanceusdm=urls_of(binance)) as source:
        await eventually(serves(source, "binanceusdm"), "Binance to serve")
        binance.faults.list_new("NEWCOIN", 2.0)
        await source.refresh_instruments()
        assert "NEWCOINUSDT" in {instrument.symbol for instrument in sink.instruments[-1][1]}


async def test_a_blocked_exchange_is_left_to_the_next_one_and_taken_back(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, binance: SimulatedExchange, bybit: BybitServer
) -> None:
    binance.faults.refuse(451)
    async with source_of(settings, sink, simulator, binanceusdm=urls_of(binance), bybit=urls_of(bybit)) as source:
        await eventually(serves(source, "bybit"), "Bybit to serve")
        status = status_of(source, "binanceusdm")
        assert status.state is State.BLOCKED
        assert "451" in status.reason
        assert sink.switches == [("bybit", status.reason, False)]
        source.set_candle_symbols(["BTCUSDT"])
        # Its first refusal came while nothing served, those that follow while Bybit does.
        assert wait_s(source) <= 10
        try_now(source)
        await eventually(lambda: wait_s(source) > 250, "the long wait while another exchange serves")
        binance.faults.clear()
        try_now(source)
        await eventually(serves(source, "binanceusdm"), "Binance to serve again")
        assert sink.switches[-1] == ("binanceusdm", "Binance USD-M answers again", False)
        venues = [venue for venue, _ in sink.ticks]
        assert venues == sorted(venues, key=["bybit", "binanceusdm"].index), "ticks of two exchanges mixed"
        await eventually(
            lambda: any(isinstance(tick, Candle) and venue == "binanceusdm" for venue, tick in sink.ticks),
            "candles of the chosen symbols after the switch",
        )
        await eventually(lambda: status_of(source, "bybit").state is State.IDLE and not bybit.sockets, "Bybit to rest")


async def test_a_silent_exchange_is_left_while_it_runs(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, binance: SimulatedExchange, bybit: BybitServer
) -> None:
    async with source_of(settings, sink, simulator, binanceusdm=urls_of(binance), bybit=urls_of(bybit)) as source:
        await eventually(serves(source, "binanceusdm"), "Binance to serve")
        binance.faults.silence("ticker")
        # Seen at once: it is tried again while Bybit is still being opened.
        await eventually(lambda: status_of(source, "binanceusdm").state is State.SILENT, "Binance to be left", 20)
        await eventually(serves(source, "bybit"), "Bybit to serve", 20)
        # It answers REST and keeps its sockets open, but that is not enough to be taken back.
        try_now(source)
        await eventually(lambda: status_of(source, "binanceusdm").state is State.CONNECTING, "an attempt")
        await eventually(lambda: status_of(source, "binanceusdm").state is State.SILENT, "its failure")
        assert len(sink.switches) == 2


async def test_a_rate_limited_exchange_waits_as_long_as_it_asked(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, binance: SimulatedExchange, bybit: BybitServer
) -> None:
    binance.faults.rate_limit(retry_after=77)
    async with source_of(settings, sink, simulator, binanceusdm=urls_of(binance), bybit=urls_of(bybit)) as source:
        await eventually(serves(source, "bybit"), "Bybit to serve")
        assert status_of(source, "binanceusdm").state is State.RATE_LIMITED
        assert 60 < wait_s(source) <= 77


@pytest.mark.parametrize("demo", ["off", "auto"])
async def test_a_refusal_is_asked_again_soon_while_nothing_real_serves(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, bybit: BybitServer, demo: str
) -> None:
    bybit.status, bybit.retry_after = 451, None
    async with source_of(settings, sink, simulator, demo=demo, bybit=urls_of(bybit)) as source:
        await eventually(lambda: status_of(source, "bybit").state is State.BLOCKED, "the refusal")
        if demo == "auto":
            await eventually(lambda: source.demo, "demo data")
            source._candidates[0].retry_at = 0.0
            source._pulse()
        await eventually(lambda: wait_s(source) > 0, "the next refusal")
        assert 4 < wait_s(source) <= 10
        bybit.status = 200
        await eventually(serves(source, "bybit"), "Bybit to serve without being told to")


@pytest.mark.parametrize(
    ("error", "longest_s"),
    [
        (VenueBlocked("451"), 10),
        (VenueRateLimited("429"), 10),
        (VenueRateLimited("429", retry_after=77, asked=True), 77),
        (VenueRateLimited("429", retry_after=2, asked=True), 2),
        (VenueUnavailable("503", retry_after=30), 4),
    ],
)
def test_waits_while_nothing_real_serves(error: VenueError, longest_s: float) -> None:
    candidate = Candidate(0, venue_by_id("bybit"), VenueUrls())
    candidate.failed(error, alone=True)
    alone_s = candidate.retry_at - time.monotonic()
    assert alone_s <= longest_s
    if error.asked:
        assert alone_s == pytest.approx(longest_s, abs=0.5)


def test_the_long_wait_ends_with_the_exchange_that_allowed_it() -> None:
    blocked, limited = (Candidate(rank, venue_by_id("bybit"), VenueUrls()) for rank in range(2))
    blocked.failed(VenueBlocked("451"), alone=False)
    limited.failed(VenueRateLimited("429", retry_after=77, asked=True), alone=False)
    assert blocked.retry_at - time.monotonic() > 250
    for candidate in (blocked, limited):
        candidate.left_alone()
    assert blocked.retry_at - time.monotonic() <= 10
    assert limited.retry_at - time.monotonic() > 70


async def test_a_blocked_exchange_is_asked_soon_when_the_one_that_served_goes(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, binance: SimulatedExchange, bybit: BybitServer
) -> None:
    bybit.status, bybit.retry_after = 451, None
    async with source_of(settings, sink, simulator, bybit=urls_of(bybit), binanceusdm=urls_of(binance)) as source:
        await eventually(serves(source, "binanceusdm"), "Binance to serve")
        try_now(source)
        await eventually(lambda: wait_s(source) > 250, "the long wait")
        binance.faults.refuse(451)
        binance.faults.disconnect_all()
        await eventually(lambda: source.venue is None, "Binance to be left")
        assert wait_s(source) <= 10


async def test_without_any_exchange_it_says_so_and_recovers_within_seconds(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator
) -> None:
    port = free_port()
    urls = VenueUrls(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
    async with source_of(settings, sink, simulator, binanceusdm=urls) as source:
        await eventually(lambda: status_of(source, "binanceusdm").state is State.DOWN, "the failure")
        with pytest.raises(VenueUnavailable, match="no exchange serves"):
            await source.refresh_instruments()
        exchange = SimulatedExchange(symbols=10, listings=False)
        await exchange.start(port=port)
        try:
            await eventually(serves(source, "binanceusdm"), "Binance to serve")
            assert not simulator.running
        finally:
            await exchange.stop()


async def test_demo_auto_serves_while_nothing_real_answers_and_is_left_then(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, bybit: BybitServer
) -> None:
    bybit.status = 503
    async with source_of(settings, sink, simulator, demo="auto", binanceusdm=NOWHERE, bybit=urls_of(bybit)) as source:
        await eventually(serves(source, "binanceusdm", demo=True), "demo data")
        assert sink.switches[-1][2] is True
        assert "503" in sink.switches[-1][1]
        assert simulator.running
        bybit.status = 200
        try_now(source)
        await eventually(serves(source, "bybit"), "Bybit to serve")
        assert sink.switches[-1] == ("bybit", "Bybit answers again", False)
        await eventually(lambda: not simulator.running, "the end of the simulated exchange")


async def test_a_simulated_exchange_that_ends_is_replaced_at_once(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    async with source_of(settings, sink, simulator, demo="auto", binanceusdm=NOWHERE) as source:
        await eventually(serves(source, "binanceusdm", demo=True), "demo data")
        simulator.die()
        # Nobody sees it away for certain: another one may serve before the next look.
        await eventually(lambda: len(sink.switches) == 2, "demo data again")
        assert "demo is not used: the simulated exchange ended with status -9" in caplog.text
        assert simulator.starts == 2


async def test_demo_data_that_ended_is_not_held_back_like_its_first_time(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator
) -> None:
    async with source_of(settings, sink, simulator, demo="auto", binanceusdm=NOWHERE) as source:
        await eventually(serves(source, "binanceusdm", demo=True), "demo data")
        # Nothing real has answered for this long already.
        source._demo_after_s = 60.0
        source._alone_since -= 60.0
        simulator.die()
        await eventually(lambda: simulator.starts == 2, "another one")


async def test_demo_on_asks_no_real_exchange(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, bybit: BybitServer
) -> None:
    async with source_of(settings, sink, simulator, demo="on", bybit=urls_of(bybit)) as source:
        await eventually(serves(source, "binanceusdm", demo=True), "demo data")
        assert [status.key for status in source.status()] == ["demo"]
        assert bybit.pages == 0


async def test_the_simulated_exchange_as_a_process(settings: Settings, sink: RecordingSink) -> None:
    started: list[SimulatorProcess] = []

    def simulator() -> SimulatorProcess:
        started.append(SimulatorProcess(symbols=15))
        return started[-1]

    source = MarketSource(replace(settings, demo="on"), sink, simulator=simulator)
    task = asyncio.create_task(source.run())
    try:
        await eventually(serves(source, "binanceusdm", demo=True), "demo data", 30)
        assert len(sink.instruments[0][1]) >= 15
        os.kill(started[0].pid or 0, signal.SIGKILL)
        await eventually(lambda: len(sink.switches) == 2, "demo data of another process", 30)
        assert len(started) == 2
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_sink_that_fails_does_not_end_the_stream(
    settings: Settings, sink: RecordingSink, simulator: LocalSimulator, binance: SimulatedExchange
) -> None:
    async with source_of(settings, sink, simulator, binanceusdm=urls_of(binance)) as source:
        await eventually(serves(source, "binanceusdm"), "Binance to serve")
        calls = 0

        def broken(venue: Venue, tick: Tick) -> None:
            nonlocal calls
            calls += 1
            raise ZeroDivisionError

        sink.on_tick = broken  # type: ignore[method-assign]
        await eventually(lambda: calls >= 3, "calls after the first failure")
        assert serves(source, "binanceusdm")()


async def test_what_an_exchange_delivers_after_it_has_failed_is_passed_on_to_nobody(
    settings: Settings, sink: RecordingSink
) -> None:
    """Its streams are closed while the next one may serve already, and values of two must not meet."""
    source = MarketSource(replace(settings, exchanges=("binanceusdm",), demo="off"), sink)
    (candidate,) = source._candidates
    session = _Session(candidate, sink)
    source._current = candidate
    session.activate([])
    for price in (1.0, 2.0):
        session.on_tick(Ticker("BTCUSDT", price, 0.0, 1e9, 1, 1))
        source._left(candidate)
    assert [tick.price for _, tick in sink.ticks if isinstance(tick, Ticker)] == [1.0]
