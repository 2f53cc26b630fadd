"""Texts of the REST answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Final

from flashcur.services.simulator import sessions
from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.funding import funding_rate
from flashcur.services.simulator.history import Bar
from flashcur.services.simulator.market import HOUR_MS, Market
from flashcur.services.simulator.open_interest import open_interest
from flashcur.services.simulator.universe import ContractSpec
from flashcur.services.simulator.wire import INTERVAL_MS, Rolling, marks, next_funding_ms

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
_RATE_LIMITS: Final = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
]
_ORDER_TYPES: Final = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"]


def exchange_info(rows: Iterable[str], now_ms: int) -> str:
    """The `exchangeInfo` answer around its rows."""
    limits = json.dumps(_RATE_LIMITS, separators=(",", ":"))
    return (
        f'{{"timezone":"UTC","serverTime":{now_ms},"futuresType":"U_MARGINED","rateLimits":{limits},'
        f'"exchangeFilters":[],"assets":[{{"asset":"USDT","marginAvailable":true,"autoAssetExchange":"-10000"}}],'
        f'"symbols":[{",".join(rows)}]}}'
    )


def exchange_info_rows(market: Market) -> dict[str, str]:
    """A row for every contract by symbol, also for those that do not trade."""
    rows = {c.symbol: _info_row(c.spec, c.status, c.listed_ms) for c in market.contracts.values()}
    for decoy in market.untraded:
        rows[decoy.spec.symbol] = _info_row(decoy.spec, decoy.status, decoy.spec.onboard_ms)
    return rows


def _info_row(spec: ContractSpec, status: str, listed_ms: int) -> str:
    tick = f"{spec.tick_size:.{spec.price_decimals}f}"
    step = f"{10.0**-spec.quantity_decimals:.{spec.quantity_decimals}f}"
    largest = str(10 ** max(3, 8 - math.ceil(math.log10(spec.base_price))))
    highest = f"{spec.base_price * 50:.2f}"
    lot = {"minQty": step, "maxQty": largest, "stepSize": step}
    row: dict[str, object] = {
        "symbol": spec.symbol,
        "pair": spec.base + spec.quote,
        "contractType": spec.contract_type,
        "deliveryDate": PERPETUAL_DELIVERY_MS if spec.perpetual else delivery_ms(spec.symbol),
        "onboardDate": listed_ms,
        "status": status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.quote,
        "pricePrecision": spec.price_decimals,
        "quantityPrecision": spec.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": spec.underlying,
        "underlyingSubType": ["TradFi"] if spec.contract_type == "TRADIFI_PERPETUAL" else [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": highest, "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": [*_ORDER_TYPES, "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def trading_schedule(now_ms: int) -> str:
    """The `tradingSchedule` answer: a week of sessions of each market."""
    markets = {
        market: {
            "sessions": [
                {"startTime": begin_ms, "endTime": end_ms, "type": kind}
                for begin_ms, end_ms, kind in sessions.week(market, now_ms)
            ]
        }
        for market in sessions.MARKETS
    }
    return json.dumps({"updateTime": now_ms, "marketSchedules": markets}, separators=(",", ":"))


def delivery_ms(symbol: str) -> int:
    """Delivery time of a dated contract such as `BTCUSDT_261225`: 08:00 UTC of that day."""
    year, month, day = (int(symbol[-6 + i : len(symbol) - 4 + i]) for i in (0, 2, 4))
    # Days since 1970-01-01 of a civil date.
    y = 2000 + year - (month <= 2)
    shifted = (month + 9) % 12
    days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * shifted + 2) // 5 + day - 1 - 719_468
    return days * 24 * HOUR_MS + 8 * HOUR_MS


def ticker(c: LiveContract, now_ms: int) -> str:
    """One row of `ticker/24hr`."""
    r = Rolling(c, now_ms)
    d, qd = c.spec.price_decimals, c.spec.quantity_decimals
    change = c.price - r.open
    return (
        f'{{"symbol":"{c.symbol}","priceChange":"{change:.{d}f}","priceChangePercent":"{change / r.open * 100.0:.3f}",'
        f'"weightedAvgPrice":"{r.quote / (r.volume or 1.0):.{d}f}","lastPrice":"{c.price_text}",'
        f'"lastQty":"{max(5.0, c.spec.volume_24h * 1e-7) / c.price:.{qd}f}","openPrice":"{r.open:.{d}f}",'
        f'"highPrice":"{r.high:.{d}f}","lowPrice":"{r.low:.{d}f}","volume":"{r.volume:.{qd}f}",'
        f'"quoteVolume":"{r.quote:.2f}","openTime":{now_ms - 86_400_000},"closeTime":{now_ms},"firstId":1,'
        f'"lastId":{r.trades},"count":{r.trades}}}'
    )


def premium_index(c: LiveContract, now_ms: int) -> str:
    """One row of `premiumIndex`."""
    mark, index = marks(c, now_ms)
    return (
        f'{{"symbol":"{c.symbol}","markPrice":"{mark:.8f}","indexPrice":"{index:.8f}",'
        f'"estimatedSettlePrice":"{index:.8f}","lastFundingRate":"{c.rate_text}","interestRate":"0.00010000",'
        f'"nextFundingTime":{next_funding_ms(c, now_ms)},"time":{now_ms}}}'
    )


def funding_info(c: LiveContract) -> str:
    """One row of `fundingInfo`; the real exchange lists contracts with adjusted terms only."""
    return (
        f'{{"symbol":"{c.symbol}","adjustedFundingRateCap":"0.02000000","adjustedFundingRateFloor":"-0.02000000",'
        f'"fundingIntervalHours":{c.spec.funding_interval_hours},"disclaimer":false}}'
    )


def funding_history(c: LiveContract, now_ms: int, start_ms: int | None, end_ms: int | None, limit: int) -> str:
    """Past funding payments, oldest first: the first ones from `start_ms`, otherwise the last ones."""
    interval = c.spec.funding_interval_hours * HOUR_MS
    last = min(now_ms, end_ms if end_ms is not None else now_ms) // interval
    first = max(-(-c.listed_ms // interval), -(-start_ms // interval) if start_ms is not None else last - limit + 1)
    if start_ms is not None:
        last = min(last, first + limit - 1)
    rows = (
        f'{{"symbol":"{c.symbol}","fundingTime":{i * interval},'
        f'"fundingRate":"{funding_rate(c.spec, i * interval):.8f}","markPrice":""}}'
        for i in range(first, last + 1)
    )
    return "[" + ",".join(rows) + "]"


def open_interest_history(
    market: Market, c: LiveContract, now_ms: int, step_ms: int, start_ms: int | None, end_ms: int | None, limit: int
) -> str:
    """Open interest at past moments, oldest first; 30 days back at most, as on the real exchange."""
    last = min(now_ms, end_ms if end_ms is not None else now_ms) // step_ms
    earliest = -(-max(c.listed_ms, now_ms - 30 * 24 * HOUR_MS) // step_ms)
    first = max(earliest, -(-start_ms // step_ms) if start_ms is not None else last - limit + 1)
    first = max(first, last - limit + 1)
    rows: list[str] = []
    for i in range(first, last + 1):
        at_ms = i * step_ms
        contracts = open_interest(market, c, at_ms)
        price = market.price_at(c, at_ms)
        rows.append(
            f'{{"symbol":"{c.symbol}","sumOpenInterest":"{contracts:.8f}",'
            f'"sumOpenInterestValue":"{contracts * price:.8f}","timestamp":{at_ms}}}'
        )
    return "[" + ",".join(rows) + "]"


def kline_row(c: LiveContract, open_ms: int, interval: str, bar: Bar) -> str:
    """One row of `klines`."""
    d, qd = c.spec.price_decimals, c.spec.quantity_decimals
    return (
        f'[{open_ms},"{bar.open:.{d}f}","{bar.high:.{d}f}","{bar.low:.{d}f}","{bar.close:.{d}f}",'
        f'"{bar.volume:.{qd}f}",{open_ms + INTERVAL_MS[interval] - 1},"{bar.quote:.2f}",{bar.trades},'
        f'"{bar.buy_volume:.{qd}f}","{bar.buy_quote:.2f}","0"]'
    )
