from __future__ import annotations

from typing import Any

import pytest

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Ticker
from flashcur.services.market import binance_parser as parser
from tests.services.market.samples import (
    HOUR_MS,
    HOUR_START_MS,
    NOW_MS,
    binance_contract,
    binance_kline,
    binance_mark,
    binance_ticker,
)

SEEN_MS = NOW_MS + 40


def reason(parsed: object) -> str:
    assert isinstance(parsed, Reject), parsed
    return parsed.reason


def test_ticker_takes_the_last_price_and_the_change_in_percent() -> None:
    assert parser.parse_ticker(binance_ticker(), SEEN_MS) == Ticker(
        "BTCUSDT", 102500.10, 1.234, 12592591500.25, NOW_MS, SEEN_MS
    )


@pytest.mark.parametrize("symbol", ["币安人生USDT", "1000PEPEUSDT", "BTC-26DEC25", "BTCUSDT_260327"])
def test_names_of_any_script_are_taken(symbol: str) -> None:
    parsed = parser.parse_ticker(binance_ticker(s=symbol), SEEN_MS)
    assert isinstance(parsed, Ticker)
    assert parsed.symbol == symbol


@pytest.mark.parametrize("base", ["B|C", "B;C", "BTC ", "B\tC", " "])
def test_a_base_that_would_break_a_frame_is_rejected(base: str) -> None:
    (parsed,) = parser.parse_instruments({"symbols": [binance_contract(baseAsset=base)]}, {})
    assert reason(parsed) == "malformed"


def test_funding_takes_p_as_the_mark_price() -> None:
    assert parser.parse_funding(binance_mark(), SEEN_MS) == Funding(
        "BTCUSDT", 102498.70, 0.0001, NOW_MS + HOUR_MS, NOW_MS, SEEN_MS
    )


def test_a_message_of_another_stream_is_never_read_as_this_one() -> None:
    assert reason(parser.parse_funding(binance_ticker(), SEEN_MS)) == "malformed"
    assert reason(parser.parse_ticker(binance_mark(), SEEN_MS)) == "malformed"
    assert reason(parser.parse_candle(binance_ticker(), SEEN_MS)) == "malformed"


def test_candle_takes_the_quote_volume() -> None:
    assert parser.parse_candle(binance_kline(), SEEN_MS) == Candle(
        "BTCUSDT", HOUR_START_MS, 102000.0, 102600.0, 101900.0, 102500.1, 102345678.90, False, NOW_MS, SEEN_MS
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"c": "NaN"}, "not_a_number"),
        ({"c": "Infinity"}, "not_a_number"),
        ({"c": "abc"}, "not_a_number"),
        ({"c": "102_500"}, "not_a_number"),
        ({"c": True}, "not_a_number"),
        ({"c": {"value": 1}}, "not_a_number"),
        ({"c": ""}, "missing"),
        ({"c": None}, "missing"),
        ({"c": "-5"}, "negative"),
        ({"c": "0"}, "absurd"),
        ({"c": "1e300"}, "absurd"),
        ({"c": 10**400}, "not_a_number"),
        ({"P": "-100"}, "absurd"),
        ({"P": "1000001"}, "absurd"),
        ({"q": "-1"}, "negative"),
        ({"q": "1e14"}, "absurd"),
        ({"h": "1", "l": "2"}, "crossed"),
        ({"c": "110000"}, "crossed"),
        ({"s": ""}, "missing"),
        ({"s": 5}, "malformed"),
        ({"s": "BTC|USDT"}, "malformed"),
        ({"s": "BTC;USDT"}, "malformed"),
        ({"s": "BTC\x00USDT"}, "malformed"),
        ({"s": "BTC\u202eUSDT"}, "malformed"),
        ({"s": "\ud800USDT"}, "malformed"),
        ({"s": " "}, "malformed"),
        ({"s": " BTCUSDT"}, "malformed"),
        ({"s": "BTCUSDT\u3000"}, "malformed"),
        ({"E": NOW_MS + 60_000}, "absurd"),
        ({"E": NOW_MS - 100 * HOUR_MS}, "absurd"),
        ({"E": "soon"}, "not_a_number"),
    ],
)
def test_a_bad_ticker_is_rejected_with_its_reason(changes: dict[str, Any], expected: str) -> None:
    assert reason(parser.parse_ticker(binance_ticker(**changes), SEEN_MS)) == expected


def test_a_reject_names_the_symbol_and_what_was_expected() -> None:
    parsed = parser.parse_ticker(binance_ticker(c="-5"), SEEN_MS)
    assert parsed == Reject("ticker", "negative", "BTCUSDT", "expected c from 1e-12 to 1e+09, was -5")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"r": "0.11"}, "absurd"),
        ({"r": "-0.11"}, "absurd"),
        ({"r": ""}, "missing"),
        ({"p": "0"}, "absurd"),
        ({"T": NOW_MS - 2 * HOUR_MS}, "absurd"),
        ({"T": NOW_MS + 50 * HOUR_MS}, "absurd"),
    ],
)
def test_bad_funding_is_rejected(changes: dict[str, Any], expected: str) -> None:
    assert reason(parser.parse_funding(binance_mark(**changes), SEEN_MS)) == expected


def test_a_missing_next_funding_time_is_no_reason_to_lose_the_rate() -> None:
    parsed = parser.parse_funding(binance_mark(T=0), SEEN_MS)
    assert isinstance(parsed, Funding)
    assert parsed.next_funding_ms is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"h": "101000.0", "l": "102600.0"}, "crossed"),
        ({"c": "102700.0"}, "crossed"),
        ({"o": "101000.0"}, "crossed"),
        ({"q": "nan"}, "not_a_number"),
        ({"t": HOUR_START_MS + 1}, "absurd"),
        ({"t": HOUR_START_MS + HOUR_MS}, "absurd"),
        ({"i": "1m"}, "malformed"),
        ({"x": "false"}, "malformed"),
    ],
)
def test_a_bad_candle_is_rejected(changes: dict[str, Any], expected: str) -> None:
    assert reason(parser.parse_candle(binance_kline(**changes), SEEN_MS)) == expected


def test_times_are_judged_by_the_clock_of_the_exchange() -> None:
    ours = NOW_MS - 5 * 60_000
    assert isinstance(parser.parse_ticker(binance_ticker(), ours), Reject)
    assert isinstance(parser.parse_ticker(binance_ticker(), ours, skew_ms=5 * 60_000), Ticker)


def test_rest_candles_are_closed_when_their_hour_is_over() -> None:
    row = [HOUR_START_MS - HOUR_MS, "10", "12", "9", "11", "100", HOUR_START_MS - 1, "1050.5", 5, "1", "2", "0"]
    before = parser.parse_rest_candle("XUSDT", row, NOW_MS, SEEN_MS)
    assert before == Candle("XUSDT", HOUR_START_MS - HOUR_MS, 10, 12, 9, 11, 1050.5, True, HOUR_START_MS, SEEN_MS)
    running = parser.parse_rest_candle("XUSDT", [HOUR_START_MS, *row[1:]], NOW_MS, SEEN_MS)
    assert isinstance(running, Candle)
    assert (running.closed, running.event_ms) == (False, NOW_MS)
    assert reason(parser.parse_rest_candle("XUSDT", row[:6], NOW_MS, SEEN_MS)) == "malformed"


def test_a_funding_payment_of_the_past() -> None:
    raw = {"symbol": "BTCUSDT", "fundingRate": "-0.03750000", "fundingTime": 1570608000005, "markPrice": ""}
    assert parser.parse_funding_payment(raw, SEEN_MS) == Payment(1570608000005, -0.0375)
    assert reason(parser.parse_funding_payment({**raw, "fundingRate": "NaN"}, SEEN_MS)) == "not_a_number"
    assert reason(parser.parse_funding_payment({**raw, "fundingTime": NOW_MS + 60_000}, SEEN_MS)) == "absurd"


def test_open_interest_in_contracts() -> None:
    raw = {"symbol": "BTCUSDT", "openInterest": "10659.509", "time": NOW_MS}
    assert parser.parse_open_interest(raw, SEEN_MS) == OpenInterest("BTCUSDT", 10659.509, NOW_MS, SEEN_MS)
    assert reason(parser.parse_open_interest({**raw, "openInterest": "-1"}, SEEN_MS)) == "negative"


@pytest.mark.parametrize(
    ("text", "size", "decimals"),
    [("0.10", 0.1, 1), ("0.0000100", 0.00001, 5), ("1", 1.0, 0), ("10", 10.0, 0), ("1e-7", 1e-7, 7), (0.001, 0.001, 3)],
)
def test_decimals_come_from_the_tick_size(text: object, size: float, decimals: int) -> None:
    contract = binance_contract(filters=[{"filterType": "PRICE_FILTER", "tickSize": text}])
    (instrument,) = parser.parse_instruments({"symbols": [contract]}, {})
    assert isinstance(instrument, Instrument)
    assert (instrument.tick_size, instrument.price_decimals) == (size, decimals)


@pytest.mark.parametrize(
    ("written", "delivery_ms"),
    [(4_133_404_800_000, None), (0, None), (None, None), (1_798_761_600_000, 1_798_761_600_000)],
)
def test_a_contract_that_will_end_says_when(written: object, delivery_ms: int | None) -> None:
    (instrument,) = parser.parse_instruments({"symbols": [binance_contract(deliveryDate=written)]}, {})
    assert isinstance(instrument, Instrument)
    assert instrument.delivery_ms == delivery_ms


def test_only_usdt_perpetuals_in_trading_state_are_listed() -> None:
    info = {
        "symbols": [
            binance_contract(),
            binance_contract(symbol="币安人生USDT", baseAsset="币安人生"),
            binance_contract(symbol="TSLAUSDC", quoteAsset="USDC", contractType="TRADIFI_PERPETUAL"),
            binance_contract(symbol="BTCUSDC", quoteAsset="USDC", marginAsset="USDC"),
            binance_contract(symbol="BTCUSDT_251226", contractType="CURRENT_QUARTER"),
            binance_contract(symbol="OLDUSDT", status="SETTLING"),
            binance_contract(symbol="SOONUSDT", status="PENDING_TRADING"),
            binance_contract(symbol="BADUSDT", filters=[]),
            "garbage",
        ]
    }
    parsed = parser.parse_instruments(info, {"币安人生USDT": 4})
    listed = {entry.symbol: entry for entry in parsed if isinstance(entry, Instrument)}
    assert list(listed) == ["BTCUSDT", "币安人生USDT"]
    assert [entry.funding_interval_hours for entry in listed.values()] == [8, 4]
    rejects = [(entry.symbol, entry.reason) for entry in parsed if isinstance(entry, Reject)]
    assert rejects == [("BADUSDT", "missing"), (None, "malformed")]


@pytest.mark.parametrize(
    ("contract_type", "underlying", "asset"),
    [
        ("PERPETUAL", "COIN", "crypto"),
        # BTCDOM and DEFI are on coins, too; before 2021 nothing was said.
        ("PERPETUAL", "INDEX", "crypto"),
        ("PERPETUAL", None, "crypto"),
        ("PERPETUAL", "", "crypto"),
        ("TRADIFI_PERPETUAL", "EQUITY", "stock"),
        ("TRADIFI_PERPETUAL", "KR_EQUITY", "stock"),
        ("TRADIFI_PERPETUAL", "PREMARKET", "stock"),
        ("TRADIFI_PERPETUAL", "COMMODITY", "commodity"),
        ("TRADIFI_PERPETUAL", "FX", "forex"),
        # Whatever is said to be something else is no crypto, also by a word that nobody has heard.
        ("PERPETUAL", "EQUITY", "stock"),
        ("PERPETUAL", "BOND", "other"),
        ("PERPETUAL", 5, "other"),
        ("PERPETUAL", ["COIN"], "other"),
        ("TRADIFI_PERPETUAL", "BOND", "other"),
        ("TRADIFI_PERPETUAL", "COIN", "other"),
        ("TRADIFI_PERPETUAL", "INDEX", "other"),
        ("TRADIFI_PERPETUAL", None, "other"),
        ("TRADIFI_PERPETUAL", {}, "other"),
    ],
)
def test_what_a_contract_is_on(contract_type: str, underlying: object, asset: str) -> None:
    contract = binance_contract(contractType=contract_type, underlyingType=underlying)
    (instrument,) = parser.parse_instruments({"symbols": [contract]}, {})
    assert isinstance(instrument, Instrument)
    assert instrument.asset_class == asset


def test_closed_hours_are_those_without_trading() -> None:
    def session(kind: object, begin: object, end: object) -> dict[str, object]:
        return {"type": kind, "startTime": begin, "endTime": end}

    answer = {
        "updateTime": NOW_MS,
        "marketSchedules": {
            "EQUITY": {
                "sessions": [session("OVERNIGHT", 1, 5), session("NO_TRADING", 5, 9), session("REGULAR", 9, 12)]
            },
            "COMMODITY": {"sessions": [session("NO_TRADING", 2, 3), session("NO_TRADING", 7, 8)]},
            "KR_EQUITY": {"sessions": []},
            "BAD": {"sessions": [session("NO_TRADING", "x", 3)]},
            "WORSE": None,
        },
    }
    closed = parser.parse_closed_hours(answer)
    assert closed == {"EQUITY": ((5, 9),), "COMMODITY": ((2, 3), (7, 8)), "KR_EQUITY": ()}
    for nonsense in (None, [], {}, {"marketSchedules": 5}, {"code": -1}):
        assert parser.parse_closed_hours(nonsense) == {}
    contracts = [binance_contract(contractType="TRADIFI_PERPETUAL", underlyingType="EQUITY"), binance_contract()]
    stock, coin = parser.parse_instruments({"symbols": contracts}, {}, closed)
    assert isinstance(stock, Instrument)
    assert isinstance(coin, Instrument)
    assert (stock.closed, coin.closed) == (((5, 9),), ())


@pytest.mark.parametrize(("days", "taken"), [(0, True), (4, True), (8, False)])
def test_what_has_not_traded_over_holidays_has_its_last_price(days: int, taken: bool) -> None:
    last_ms = NOW_MS - days * 24 * HOUR_MS
    ticker = {
        "symbol": "TSLAUSDT", "lastPrice": "401.5", "priceChangePercent": "0.000", "lowPrice": "401.5",
        "highPrice": "401.5", "quoteVolume": "0", "closeTime": last_ms,
    }  # fmt: skip
    assert isinstance(parser.parse_rest_ticker(ticker, SEEN_MS), Ticker) is taken
    interest = {"symbol": "TSLAUSDT", "openInterest": "10.5", "time": last_ms}
    assert isinstance(parser.parse_open_interest(interest, SEEN_MS), OpenInterest) is taken


def test_funding_intervals_skip_what_cannot_be_read() -> None:
    rows = [{"symbol": "A", "fundingIntervalHours": 4}, {"symbol": "B", "fundingIntervalHours": "x"}, None, 5]
    assert parser.parse_funding_hours(rows) == {"A": 4}
    assert parser.parse_funding_hours({"code": -1}) == {}
