"""Messages as the exchanges document them, and what tests do with ticks."""

from __future__ import annotations

from typing import Any

NOW_MS = 1_763_020_800_500
HOUR_MS = 3_600_000
HOUR_START_MS = NOW_MS - NOW_MS % HOUR_MS


def binance_ticker(**changes: Any) -> dict[str, Any]:
    row = {
        "e": "24hrTicker", "E": NOW_MS, "s": "BTCUSDT", "p": "1250.50", "P": "1.234", "w": "102000.1", "c": "102500.10",
        "Q": "0.1", "o": "101249.60", "h": "103000.00", "l": "100000.00", "v": "123456.789", "q": "12592591500.25",
        "O": NOW_MS - 86_400_000, "C": NOW_MS, "F": 1, "L": 2, "n": 2,
    }  # fmt: skip
    return {**row, **changes}


def binance_mark(**changes: Any) -> dict[str, Any]:
    row = {
        "e": "markPriceUpdate", "E": NOW_MS, "s": "BTCUSDT", "p": "102498.70", "P": "101900.00", "i": "102480.00",
        "r": "0.00010000", "T": NOW_MS + HOUR_MS,
    }  # fmt: skip
    return {**row, **changes}


def binance_kline(message: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    kline = {
        "t": HOUR_START_MS, "T": HOUR_START_MS + HOUR_MS - 1, "s": "BTCUSDT", "i": "1h", "f": 1, "L": 9,
        "o": "102000.0", "c": "102500.1", "h": "102600.0", "l": "101900.0", "v": "1000.5", "n": 9, "x": False,
        "q": "102345678.90", "V": "500.1", "Q": "51000000.00", "B": "0",
    }  # fmt: skip
    return {"e": "kline", "E": NOW_MS, "s": "BTCUSDT", "k": {**kline, **changes}, **(message or {})}


def binance_contract(**changes: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "status": "TRADING", "baseAsset": "BTC",
        "quoteAsset": "USDT", "marginAsset": "USDT", "onboardDate": 1_569_398_400_000, "pricePrecision": 2,
        "underlyingType": "COIN",
        "filters": [{"filterType": "LOT_SIZE"}, {"filterType": "PRICE_FILTER", "tickSize": "0.10"}],
    }  # fmt: skip
    return {**row, **changes}


def bybit_contract(**changes: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC",
        "quoteCoin": "USDT", "launchTime": "1585526400000", "priceFilter": {"tickSize": "0.10"},
        "fundingInterval": 480, "symbolType": "",
    }  # fmt: skip
    return {**row, **changes}


def bybit_row(**changes: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT", "tickDirection": "PlusTick", "price24hPcnt": "0.017103", "lastPrice": "17216.00",
        "markPrice": "17217.33", "openInterest": "68744.761", "turnover24h": "1570383121.943499",
        "fundingRate": "-0.000212", "nextFundingTime": str(NOW_MS + HOUR_MS), "bid1Price": "17215.50",
    }  # fmt: skip
    return {**row, **changes}


def bybit_ticker(kind: str, data: dict[str, Any], ts: int = NOW_MS) -> dict[str, Any]:
    return {"topic": f"tickers.{data.get('symbol')}", "type": kind, "data": data, "cs": 1, "ts": ts}


def bybit_kline(**changes: Any) -> dict[str, Any]:
    row = {
        "start": HOUR_START_MS, "end": HOUR_START_MS + HOUR_MS - 1, "interval": "60", "open": "16649.5",
        "close": "16677", "high": "16677", "low": "16608", "volume": "2.081", "turnover": "34666.4005",
        "confirm": False, "timestamp": NOW_MS,
    }  # fmt: skip
    return {"topic": "kline.60.BTCUSDT", "type": "snapshot", "ts": NOW_MS, "data": [{**row, **changes}]}
