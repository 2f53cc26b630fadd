"""The client library that the feeds use, against the exchange: every call the feeds make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flashcur.services.simulator import SimulatedExchange
from flashcur.services.simulator.market import HOUR_MS
from tests.services.simulator.conftest import OTHERS

ccxt = pytest.importorskip("ccxt.pro")


@pytest.fixture
async def venue(exchange: SimulatedExchange) -> AsyncIterator[Any]:
    client = ccxt.binanceusdm()
    api = client.urls["api"]
    for name, url in api.items():
        if isinstance(url, str):
            api[name] = url.replace("https://fapi.binance.com", exchange.rest_url)
    api["ws"]["linear"] = exchange.ws_url + "/ws"
    yield client
    await client.close()


async def test_markets(venue: Any) -> None:
    markets = await venue.load_markets()
    linear = [m for m in markets.values() if m["swap"] and m["quote"] == "USDT" and m["active"]]
    perpetual = [m for m in linear if m["info"]["contractType"] == "PERPETUAL"]
    assert len(perpetual) == 60
    bitcoin = markets["BTC/USDT:USDT"]
    assert bitcoin["precision"] == {"amount": 0.001, "price": 0.1, "base": 1e-08, "quote": 1e-08}
    assert bitcoin["contractSize"] == 1
    assert not markets["OLD/USDT:USDT"]["active"]


async def test_tickers_and_mark_prices(venue: Any, exchange: SimulatedExchange) -> None:
    async with asyncio.timeout(15):
        tickers = await venue.watch_tickers(params={"name": "ticker"})
        bitcoin = tickers["BTC/USDT:USDT"]
        assert bitcoin["info"]["e"] == "24hrTicker"
        assert bitcoin["quoteVolume"] > 1e9
        assert any(str(bitcoin["last"]) == sent.price for sent in exchange.sent("BTCUSDT", kind="ticker"))
        minis = await venue.watch_tickers()
        assert minis["ETH/USDT:USDT"]["info"]["e"] == "24hrMiniTicker"
        marks = await venue.watch_mark_prices()
        assert len(marks) == 60 + len(OTHERS)
        info = marks["BTC/USDT:USDT"]["info"]
        assert info["r"] == exchange.contract("BTCUSDT").rate_text
        assert marks["BTC/USDT:USDT"]["markPrice"] == pytest.approx(bitcoin["last"], rel=0.01)


async def test_candles_and_the_end_of_a_subscription(venue: Any, exchange: SimulatedExchange) -> None:
    await venue.load_markets()
    pairs = [["BTC/USDT:USDT", "1h"], ["ETH/USDT:USDT", "1h"]]
    async with asyncio.timeout(15):
        seen: set[str] = set()
        while len(seen) < 2:
            candles = await venue.watch_ohlcv_for_symbols(pairs)
            seen |= set(candles)
            for by_length in candles.values():
                assert by_length["1h"][-1][0] == exchange.now_ms() // HOUR_MS * HOUR_MS
        await venue.un_watch_ohlcv_for_symbols(pairs)
    listed = [stream for c in exchange.streams.connections for stream in c.streams]
    assert not any("kline" in stream for stream in listed)


async def test_snapshots_and_history(venue: Any) -> None:
    tickers = await venue.fetch_tickers()
    assert len(tickers) == 60 + len(OTHERS)
    rates = await venue.fetch_funding_rates()
    assert len(rates) >= 60
    intervals = await venue.fetch_funding_intervals()
    assert {entry["interval"] for entry in intervals.values()} <= {"1h", "4h"}
    interest = await venue.fetch_open_interest("BTC/USDT:USDT")
    assert interest["openInterestAmount"] > 0
    candles = await venue.fetch_ohlcv("BTC/USDT:USDT", "1h", limit=48)
    assert len(candles) == 48
    assert candles[-1][4] == pytest.approx(tickers["BTC/USDT:USDT"]["last"], rel=0.005)
    history = await venue.fetch_open_interest_history("BTC/USDT:USDT", "1h", limit=10)
    assert len(history) == 10
    funding = await venue.fetch_funding_rate_history("BTC/USDT:USDT", limit=3)
    assert len(funding) == 3


async def test_errors_reach_the_caller_as_the_library_names_them(venue: Any, exchange: SimulatedExchange) -> None:
    await venue.load_markets()
    with pytest.raises(ccxt.BadSymbol):
        await venue.fapiPublicGetOpenInterest({"symbol": "NOSUCHUSDT"})
    exchange.faults.refuse(451)
    with pytest.raises(ccxt.ExchangeNotAvailable, match="restricted location"):
        await venue.fetch_time()
    exchange.faults.refuse(403)
    with pytest.raises(ccxt.ExchangeNotAvailable, match="403"):
        await venue.fetch_time()
    exchange.faults.clear()
    exchange.faults.rate_limit(retry_after=9)
    with pytest.raises(ccxt.DDoSProtection, match="429"):
        await venue.fetch_time()
    assert venue.last_response_headers["Retry-After"] == "9"
    exchange.faults.server_error()
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await venue.fetch_time()
    exchange.faults.clear()
    assert await venue.fetch_time() > 0


async def test_a_cut_connection_is_an_error_and_the_next_call_connects_again(
    venue: Any, exchange: SimulatedExchange
) -> None:
    async with asyncio.timeout(15):
        await venue.watch_mark_prices()
        waiting = asyncio.create_task(venue.watch_mark_prices())
        await asyncio.sleep(0)
        exchange.faults.disconnect_all()
        with pytest.raises(ccxt.NetworkError):
            await waiting
        assert len(await venue.watch_mark_prices()) == 60 + len(OTHERS)


async def test_refused_handshake(venue: Any, exchange: SimulatedExchange) -> None:
    await venue.load_markets()
    exchange.faults.refuse(451)
    with pytest.raises(ccxt.NetworkError):
        await asyncio.wait_for(venue.watch_mark_prices(), 10)
