from __future__ import annotations

from typing import Any

import pytest

from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Ticker
from flashcur.services.market import bybit_parser as parser
from tests.services.market.samples import (
    HOUR_MS,
    HOUR_START_MS,
    NOW_MS,
    bybit_contract,
    bybit_kline,
    bybit_row,
    bybit_ticker,
)

SEEN_MS = NOW_MS + 40


def test_a_snapshot_becomes_ticker_funding_and_open_interest() -> None:
    assert parser.TickerMerge().parse(bybit_ticker("snapshot", bybit_row()), SEEN_MS) == [
        Ticker("BTCUSDT", 17216.0, 1.7103, 1570383121.943499, NOW_MS, SEEN_MS),
        Funding("BTCUSDT", 17217.33, -0.000212, NOW_MS + HOUR_MS, NOW_MS, SEEN_MS),
        OpenInterest("BTCUSDT", 68744.761, NOW_MS, SEEN_MS),
    ]


def test_a_delta_changes_only_what_it_carries() -> None:
    merge = parser.TickerMerge()
    merge.parse(bybit_ticker("snapshot", bybit_row()), SEEN_MS)
    later = NOW_MS + 100
    changed = merge.parse(bybit_ticker("delta", {"symbol": "BTCUSDT", "lastPrice": "17300"}, later), SEEN_MS + 100)
    assert changed == [Ticker("BTCUSDT", 17300.0, 1.7103, 1570383121.943499, later, SEEN_MS + 100)]


def test_a_delta_without_news_confirms_the_values_once_a_second() -> None:
    merge = parser.TickerMerge()
    merge.parse(bybit_ticker("snapshot", bybit_row()), SEEN_MS)
    quotes = {"symbol": "BTCUSDT", "bid1Price": "17215.00"}
    assert merge.parse(bybit_ticker("delta", quotes, NOW_MS + 500), SEEN_MS + 500) == []
    confirmed = merge.parse(bybit_ticker("delta", quotes, NOW_MS + 1000), SEEN_MS + 1000)
    assert [(type(tick), getattr(tick, "event_ms", None)) for tick in confirmed] == [
        (kind, NOW_MS + 1000) for kind in (Ticker, Funding, OpenInterest)
    ]


def test_a_bad_value_in_a_delta_does_not_spoil_the_next_one() -> None:
    merge = parser.TickerMerge()
    merge.parse(bybit_ticker("snapshot", bybit_row()), SEEN_MS)
    (bad,) = merge.parse(bybit_ticker("delta", {"symbol": "BTCUSDT", "lastPrice": "NaN"}, NOW_MS + 1), SEEN_MS)
    assert isinstance(bad, Reject)
    assert (bad.stream, bad.reason, bad.symbol) == ("ticker", "not_a_number", "BTCUSDT")
    (good,) = merge.parse(bybit_ticker("delta", {"symbol": "BTCUSDT", "price24hPcnt": "0.02"}, NOW_MS + 2), SEEN_MS)
    assert isinstance(good, Ticker)
    assert (good.price, good.change_pct) == (17216.0, 2.0)


def test_open_interest_is_never_zero_for_want_of_a_field() -> None:
    merge = parser.TickerMerge()
    row = bybit_row()
    del row["openInterest"]
    parsed = merge.parse(bybit_ticker("snapshot", row), SEEN_MS)
    assert isinstance(parsed[2], Reject)
    assert (parsed[2].stream, parsed[2].reason) == ("open_interest", "missing")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (bybit_ticker("delta", bybit_row()), "missing"),
        (bybit_ticker("update", bybit_row()), "malformed"),
        (bybit_ticker("snapshot", bybit_row(), NOW_MS + 60_000), "absurd"),
        (bybit_ticker("snapshot", {}), "missing"),
        ({"topic": "tickers.BTCUSDT"}, "malformed"),
        ("garbage", "malformed"),
    ],
)
def test_a_bad_ticker_message_is_one_reject(message: object, reason: str) -> None:
    (parsed,) = parser.TickerMerge().parse(message, SEEN_MS)
    assert isinstance(parsed, Reject)
    assert parsed.reason == reason


def test_after_clear_a_delta_needs_a_snapshot_again() -> None:
    merge = parser.TickerMerge()
    merge.parse(bybit_ticker("snapshot", bybit_row()), SEEN_MS)
    merge.clear()
    (parsed,) = merge.parse(bybit_ticker("delta", bybit_row()), SEEN_MS)
    assert isinstance(parsed, Reject)


def test_candle_takes_the_turnover() -> None:
    assert parser.parse_candles(bybit_kline(), SEEN_MS) == [
        Candle("BTCUSDT", HOUR_START_MS, 16649.5, 16677.0, 16608.0, 16677.0, 34666.4005, False, NOW_MS, SEEN_MS)
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"high": "16000"}, "crossed"),
        ({"turnover": ""}, "missing"),
        ({"confirm": None}, "malformed"),
        ({"start": HOUR_START_MS + 5}, "absurd"),
    ],
)
def test_a_bad_candle_is_rejected(changes: dict[str, Any], reason: str) -> None:
    (parsed,) = parser.parse_candles(bybit_kline(**changes), SEEN_MS)
    assert isinstance(parsed, Reject)
    assert (parsed.reason, parsed.symbol) == (reason, "BTCUSDT")


def test_a_candle_without_trades_is_as_new_as_its_message() -> None:
    (parsed,) = parser.parse_candles(bybit_kline(timestamp=NOW_MS - 60_000), SEEN_MS)
    assert isinstance(parsed, Candle)
    assert parsed.event_ms == NOW_MS


def test_rest_candles_come_oldest_first() -> None:
    rows = [
        [str(HOUR_START_MS), "10", "12", "9", "11", "100", "1050"],
        [str(HOUR_START_MS - HOUR_MS), "10", "12", "9", "10", "100", "2050"],
    ]
    parsed = parser.parse_rest_candles("XUSDT", {"time": NOW_MS, "result": {"list": rows}}, SEEN_MS)
    assert [(c.open_ms, c.volume_quote, c.closed, c.event_ms) for c in parsed if isinstance(c, Candle)] == [
        (HOUR_START_MS - HOUR_MS, 2050.0, True, HOUR_START_MS),
        (HOUR_START_MS, 1050.0, False, NOW_MS),
    ]


def test_instruments_and_the_next_page() -> None:
    row = bybit_contract(
        symbol="1000PEPEUSDT",
        baseCoin="1000PEPE",
        launchTime="1683000000000",
        priceFilter={"tickSize": "0.0000010"},
        fundingInterval=240,
    )
    page = {
        "result": {
            "nextPageCursor": "first%3D1%26last%3D2",
            "list": [row, {**row, "quoteCoin": "USDC"}, {**row, "status": "PreLaunch"}, {**row, "fundingInterval": 0}],
        }
    }
    parsed, cursor = parser.parse_instruments(page)
    assert cursor == "first%3D1%26last%3D2"
    assert parsed[0] == Instrument("1000PEPEUSDT", "1000PEPE", 0.000001, 6, 1.0, 4, 1_683_000_000_000)
    assert [entry.reason for entry in parsed[1:] if isinstance(entry, Reject)] == ["absurd"]
    assert parser.parse_instruments("garbage")[1] == ""


@pytest.mark.parametrize(
    ("written", "delivery_ms"),
    [("0", None), ("", None), (None, None), ("soon", None), ("1798761600000", 1_798_761_600_000)],
)
def test_a_contract_that_will_end_says_when(written: object, delivery_ms: int | None) -> None:
    row = {
        "symbol": "AUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "A", "quoteCoin": "USDT",
        "priceFilter": {"tickSize": "0.1"}, "fundingInterval": 240, "deliveryTime": written,
    }  # fmt: skip
    parsed, _ = parser.parse_instruments({"result": {"list": [row]}})
    assert [entry.delivery_ms for entry in parsed if isinstance(entry, Instrument)] == [delivery_ms]


@pytest.mark.parametrize(
    ("word", "asset"),
    [
        ("", "crypto"),
        (None, "crypto"),
        ("innovation", "crypto"),
        ("adventure", "crypto"),
        ("stock", "stock"),
        ("Stock", "stock"),
        ("xstocks", "stock"),
        # Binance calls a fund's share EQUITY.
        ("etf", "stock"),
        ("commodity", "commodity"),
        ("forex", "forex"),
        ("bond", "other"),
        (5, "other"),
        ([], "other"),
    ],
)
def test_what_a_contract_is_on(word: object, asset: str) -> None:
    (instrument,), _ = parser.parse_instruments({"result": {"list": [bybit_contract(symbolType=word)]}})
    assert isinstance(instrument, Instrument)
    assert instrument.asset_class == asset


def test_a_contract_without_the_field_is_on_a_coin() -> None:
    row = bybit_contract()
    del row["symbolType"]
    (instrument,), _ = parser.parse_instruments({"result": {"list": [row]}})
    assert isinstance(instrument, Instrument)
    assert instrument.is_crypto


def test_rest_tickers_and_open_interest() -> None:
    answer = {"time": NOW_MS, "result": {"list": [bybit_row(), bybit_row(symbol="ETHUSDT", fundingRate="")]}}
    parsed = parser.parse_tickers(answer, SEEN_MS)
    assert [type(entry) for entry in parsed] == [Ticker, Funding, OpenInterest, Ticker, Reject, OpenInterest]
    history = {"result": {"list": [{"openInterest": "461134384.0", "timestamp": str(NOW_MS - 60_000)}]}}
    assert parser.parse_rest_open_interest("BTCUSDT", history, SEEN_MS) == OpenInterest(
        "BTCUSDT", 461134384.0, NOW_MS - 60_000, SEEN_MS
    )
    nothing = parser.parse_rest_open_interest("BTCUSDT", {"result": {"list": []}}, SEEN_MS)
    assert isinstance(nothing, Reject)
