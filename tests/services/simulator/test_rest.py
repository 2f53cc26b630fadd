"""The REST endpoints over plain HTTP."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from flashcur.services.simulator import SimulatedExchange
from flashcur.services.simulator.limits import BAN_AFTER, FUNDING_REQUESTS, WeightLimiter
from tests.services.simulator.conftest import MID_HOUR_MS, OTHERS, StartExchange


async def get(http: aiohttp.ClientSession, path: str) -> Any:
    async with http.get(path) as response:
        assert response.status == 200
        return await response.json()


async def test_exchange_info_lists_also_what_clients_must_leave_out(http: aiohttp.ClientSession) -> None:
    info = await get(http, "/fapi/v1/exchangeInfo")
    rows = info["symbols"]
    wanted = [
        r for r in rows if r["contractType"] == "PERPETUAL" and r["quoteAsset"] == "USDT" and r["status"] == "TRADING"
    ]
    assert len(wanted) == 60
    assert {r["contractType"] for r in rows} >= {"CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL"}
    assert {r["status"] for r in rows} >= {"SETTLING", "PENDING_TRADING", "CLOSE"}
    bitcoin = next(r for r in rows if r["symbol"] == "BTCUSDT")
    filters = {f["filterType"]: f for f in bitcoin["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.1"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert bitcoin["onboardDate"] < info["serverTime"]
    quarter = next(r for r in rows if r["symbol"] == "BTCUSDT_261225")
    assert quarter["deliveryDate"] == 1_798_185_600_000


async def test_the_schedule_tells_a_week_of_each_market(http: aiohttp.ClientSession) -> None:
    answer = await get(http, "/fapi/v1/tradingSchedule")
    markets = answer["marketSchedules"]
    rows = (await get(http, "/fapi/v1/exchangeInfo"))["symbols"]
    said = {row["underlyingType"] for row in rows if row["contractType"] == "TRADIFI_PERPETUAL"}
    # A company before it is listed has no market that closes.
    assert said - set(markets) == {"PREMARKET"}
    for market in markets.values():
        sessions = market["sessions"]
        assert sessions[0]["startTime"] <= answer["updateTime"] - 24 * 3_600_000
        assert sessions[-1]["endTime"] - sessions[0]["startTime"] == 7 * 24 * 3_600_000
        assert all(a["endTime"] == b["startTime"] for a, b in pairwise(sessions))
        assert {"REGULAR", "NO_TRADING"} <= {session["type"] for session in sessions}


async def test_the_ticker_the_candle_and_the_day_agree(http: aiohttp.ClientSession) -> None:
    ticker = await get(http, "/fapi/v1/ticker/24hr?symbol=ETHUSDT")
    candles = await get(http, "/fapi/v1/klines?symbol=ETHUSDT&interval=1h&limit=25")
    assert len(candles) == 25
    assert float(ticker["lastPrice"]) == pytest.approx(float(candles[-1][4]), rel=0.002)
    assert float(candles[-1][3]) <= float(ticker["lastPrice"]) <= float(candles[-1][2]) * 1.002
    day = sum(float(row[7]) for row in candles[1:])
    assert float(ticker["quoteVolume"]) == pytest.approx(day + float(candles[0][7]) * 55 / 60, rel=0.01)
    change = (float(ticker["lastPrice"]) / float(ticker["openPrice"]) - 1) * 100
    assert float(ticker["priceChangePercent"]) == pytest.approx(change, abs=0.002)


async def test_all_tickers_and_marks_cover_all_trading_contracts(http: aiohttp.ClientSession) -> None:
    tickers = await get(http, "/fapi/v1/ticker/24hr")
    marks = await get(http, "/fapi/v1/premiumIndex")
    assert len(tickers) == len(marks) == 60 + len(OTHERS)
    assert {row["symbol"] for row in tickers} > OTHERS
    prices = {row["symbol"]: float(row["lastPrice"]) for row in tickers}
    for row in marks:
        assert float(row["markPrice"]) == pytest.approx(prices[row["symbol"]], rel=0.005)
        dated = "_" in row["symbol"]
        assert (row["nextFundingTime"] > row["time"]) is not dated
        assert (row["lastFundingRate"] == "") is dated


async def test_funding_info_names_what_is_not_eight_hours(
    http: aiohttp.ClientSession, exchange: SimulatedExchange
) -> None:
    rows = {r["symbol"]: r["fundingIntervalHours"] for r in await get(http, "/fapi/v1/fundingInfo")}
    expected = {c.symbol: c.spec.funding_interval_hours for c in exchange.market.trading() if c.spec.perpetual}
    assert rows == {symbol: hours for symbol, hours in expected.items() if hours != 8}


async def test_open_interest_and_its_history_join(http: aiohttp.ClientSession) -> None:
    now = await get(http, "/fapi/v1/openInterest?symbol=SOLUSDT")
    past = await get(http, "/futures/data/openInterestHist?symbol=SOLUSDT&period=5m&limit=12")
    assert len(past) == 12
    assert [row["timestamp"] % 300_000 for row in past] == [0] * 12
    assert float(past[-1]["sumOpenInterest"]) == pytest.approx(float(now["openInterest"]), rel=0.05)
    value = float(past[-1]["sumOpenInterestValue"]) / float(past[-1]["sumOpenInterest"])
    assert 50 < value < 500


async def test_funding_history_ends_at_the_last_payment(http: aiohttp.ClientSession) -> None:
    rows = await get(http, "/fapi/v1/fundingRate?symbol=BTCUSDT&limit=5")
    eight_hours = 8 * 3_600_000
    last = MID_HOUR_MS // eight_hours * eight_hours
    assert [row["fundingTime"] for row in rows] == [last - i * eight_hours for i in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/fapi/v1/openInterest?symbol=NOSUCHUSDT", 400, -1121),
        ("/fapi/v1/openInterest", 400, -1102),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("/fapi/v1/klines?symbol=BTCUSDT", 400, -1102),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=0", 400, -1130),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=1501", 400, -1130),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1h&startTime=x", 400, -1130),
        ("/futures/data/openInterestHist?symbol=BTCUSDT&period=1m", 400, -1130),
        ("/fapi/v1/noSuchThing", 404, -5000),
    ],
)
async def test_a_bad_request_gets_the_exchange_s_code(
    http: aiohttp.ClientSession, path: str, status: int, code: int
) -> None:
    async with http.get(path) as response:
        assert response.status == status
        assert (await response.json())["code"] == code


async def test_weight_is_counted_and_too_much_of_it_refused_then_banned(start_exchange: StartExchange) -> None:
    exchange = await start_exchange(weight_limit=45)
    async with aiohttp.ClientSession(exchange.rest_url) as http:
        async with http.get("/fapi/v1/ticker/24hr") as response:
            assert response.headers["X-MBX-USED-WEIGHT-1M"] == "40"
        async with http.get("/fapi/v1/premiumIndex") as response:
            assert response.status == 429
            assert 1 <= int(response.headers["Retry-After"]) <= 60
            assert (await response.json())["code"] == -1003
        for _ in range(BAN_AFTER):
            async with http.get("/fapi/v1/ping") as response:
                status = response.status
        assert status == 418
        assert int(response.headers["Retry-After"]) > 60


def test_the_limit_starts_anew_each_minute_and_a_ban_ends() -> None:
    limiter = WeightLimiter(limit=10)
    assert limiter.charge(10, 0) == (200, 0)
    assert limiter.charge(1, 20_000) == (429, 40)
    assert limiter.charge(1, 60_000) == (200, 0)
    for _ in range(40):
        status, _ = limiter.charge(5, 61_000)
    assert status == 418
    assert limiter.charge(1, 120_000)[0] == 418
    assert limiter.charge(1, 61_000 + 121_000) == (200, 0)


def test_requests_about_funding_have_a_limit_of_their_own() -> None:
    limiter = WeightLimiter()
    assert {limiter.charge(0, second * 500, funding=True) for second in range(FUNDING_REQUESTS)} == {(200, 0)}
    assert limiter.charge(0, 290_000, funding=True) == (429, 10)
    assert limiter.charge(5, 290_000) == (200, 0)
    assert limiter.charge(0, 300_000, funding=True) == (200, 0)
