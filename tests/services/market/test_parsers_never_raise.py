"""Any JSON, and any damage to a good message, gives a sane tick or a reject; nothing raises."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Ticker
from flashcur.services.market import binance_parser, bybit_parser
from tests.services.market.samples import (
    NOW_MS,
    binance_contract,
    binance_kline,
    binance_mark,
    binance_ticker,
    bybit_contract,
    bybit_kline,
    bybit_row,
    bybit_ticker,
)

NASTY = st.sampled_from(
    [
        "NaN",
        "inf",
        "-inf",
        "",
        " ",
        "-1",
        "0",
        "1e999",
        "-0",
        "1_0",
        "0x10",
        "１",
        "A|B",
        "A;B",
        "A\n",
        "\ud800",
        10**400,
        -(10**30),
        True,
        None,
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | NASTY
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=15,
)


def check(parsed: object) -> None:
    """Everything a table may show is finite and within bounds."""
    if isinstance(parsed, Reject):
        assert parsed.reason in {"missing", "not_a_number", "negative", "crossed", "absurd", "malformed"}
        assert len(parsed.detail) < 300
        return
    if isinstance(parsed, Payment):
        assert abs(parsed.rate) <= 0.1
        assert 0 < parsed.paid_ms <= NOW_MS + 10_000
        return
    assert isinstance(parsed, Ticker | Funding | Candle | OpenInterest | Instrument)
    for name in (parsed.symbol, parsed.base if isinstance(parsed, Instrument) else "BTC"):
        assert name == name.strip() != ""
        assert name.isprintable()
        assert not set("|;") & set(name)
    if isinstance(parsed, Ticker):
        assert 0 < parsed.price <= 1e9
        assert -100 < parsed.change_pct <= 1e6
        assert 0 <= parsed.volume_quote <= 1e13
    elif isinstance(parsed, Funding):
        assert 0 < parsed.mark_price <= 1e9
        assert abs(parsed.rate) <= 0.1
    elif isinstance(parsed, Candle):
        assert 0 < parsed.low <= min(parsed.open, parsed.close) <= max(parsed.open, parsed.close) <= parsed.high
        assert 0 <= parsed.volume_quote <= 1e13
    elif isinstance(parsed, OpenInterest):
        assert parsed.contracts >= 0
    else:
        assert parsed.tick_size > 0
        assert parsed.price_decimals >= 0
    if not isinstance(parsed, Instrument):
        assert NOW_MS - 7 * 86_400_000 <= parsed.event_ms <= NOW_MS + 10_000
        assert all(math.isfinite(getattr(parsed, name)) for name in ("event_ms", "seen_ms"))


def parse_everything(raw: object) -> list[object]:
    """What every parser makes of `raw`."""
    hours = binance_parser.parse_funding_hours(raw)
    closed = binance_parser.parse_closed_hours(raw) | binance_parser.parse_closed_hours({"marketSchedules": raw})
    closed |= binance_parser.parse_closed_hours({"marketSchedules": {"COIN": {"sessions": [raw]}}})
    return [
        binance_parser.parse_ticker(raw, NOW_MS),
        binance_parser.parse_rest_ticker(raw, NOW_MS),
        binance_parser.parse_funding(raw, NOW_MS),
        binance_parser.parse_rest_funding(raw, NOW_MS),
        binance_parser.parse_candle(raw, NOW_MS),
        binance_parser.parse_rest_candle("XUSDT", raw, NOW_MS, NOW_MS),
        binance_parser.parse_open_interest(raw, NOW_MS),
        binance_parser.parse_funding_payment(raw, NOW_MS),
        *binance_parser.parse_instruments(raw, hours, closed),
        *binance_parser.parse_instruments({"symbols": [raw]}, hours, closed),
        *bybit_parser.TickerMerge().parse(raw, NOW_MS),
        *bybit_parser.TickerMerge().parse(bybit_ticker("snapshot", {"data": raw}), NOW_MS),
        *bybit_parser.parse_candles(raw, NOW_MS),
        *bybit_parser.parse_tickers(raw, NOW_MS),
        *bybit_parser.parse_tickers({"time": NOW_MS, "result": {"list": [raw]}}, NOW_MS),
        *bybit_parser.parse_rest_candles("XUSDT", raw, NOW_MS),
        *bybit_parser.parse_rest_candles("XUSDT", {"time": NOW_MS, "result": {"list": [raw]}}, NOW_MS),
        bybit_parser.parse_rest_open_interest("XUSDT", raw, NOW_MS),
        *bybit_parser.parse_funding_payments("XUSDT", raw, NOW_MS),
        *bybit_parser.parse_funding_payments("XUSDT", {"result": {"list": [raw]}}, NOW_MS),
        *bybit_parser.parse_instruments(raw)[0],
        *bybit_parser.parse_instruments({"result": {"list": [raw]}})[0],
    ]


@given(JSON)
def test_any_json(raw: object) -> None:
    for parsed in parse_everything(raw):
        check(parsed)


def damaged(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """`good` with some fields replaced or gone."""

    def damage(changes: dict[str, object], gone: set[str]) -> dict[str, Any]:
        return {key: changes.get(key, value) for key, value in good.items() if key not in gone}

    keys = st.sampled_from(sorted(good))
    return st.builds(damage, st.dictionaries(keys, JSON, max_size=4), st.sets(keys, max_size=2))


@given(damaged(binance_ticker()), damaged(binance_mark()), damaged(binance_kline()), damaged(binance_kline()["k"]))
def test_damaged_binance_messages(
    ticker: dict[str, Any], mark: dict[str, Any], kline: dict[str, Any], inner: dict[str, Any]
) -> None:
    check(binance_parser.parse_ticker(ticker, NOW_MS))
    check(binance_parser.parse_funding(mark, NOW_MS))
    check(binance_parser.parse_candle(kline, NOW_MS))
    check(binance_parser.parse_candle({**binance_kline(), "k": inner}, NOW_MS))


@given(damaged(binance_contract()))
def test_damaged_contracts(contract: dict[str, Any]) -> None:
    for parsed in binance_parser.parse_instruments({"symbols": [contract]}, {}):
        check(parsed)


@given(damaged(bybit_contract()))
def test_damaged_bybit_contracts(contract: dict[str, Any]) -> None:
    for parsed in bybit_parser.parse_instruments({"result": {"list": [contract]}})[0]:
        check(parsed)


@given(st.lists(st.tuples(st.sampled_from(["snapshot", "delta"]), damaged(bybit_row())), min_size=1, max_size=6))
def test_damaged_bybit_messages_in_a_row(messages: list[tuple[str, dict[str, Any]]]) -> None:
    merge = bybit_parser.TickerMerge()
    for kind, row in messages:
        for parsed in merge.parse(bybit_ticker(kind, row), NOW_MS):
            check(parsed)


@given(damaged(bybit_kline()), damaged(bybit_kline()["data"][0]))
def test_damaged_bybit_candles(message: dict[str, Any], row: dict[str, Any]) -> None:
    for parsed in (
        *bybit_parser.parse_candles(message, NOW_MS),
        *bybit_parser.parse_candles({**bybit_kline(), "data": [row]}, NOW_MS),
    ):
        check(parsed)
