"""Binance USD-M messages to ticks. Pure: every function takes raw JSON values and never raises.

The same letter means different things in different streams: `p` is the price change in `24hrTicker` and the mark price
in `markPriceUpdate`, `P` is the change in percent in the first and the estimated settle price in the second.

`seen_ms` is our clock; `skew_ms` is how far the exchange's clock is ahead of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from flashcur.domain.assets import AssetClass
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Span, Ticker
from flashcur.services.market import checks
from flashcur.services.market.checks import HOUR_MS, MAX_CONTRACTS, MAX_FUNDING, Bad, Raw

DEFAULT_FUNDING_HOURS = 8
"""Interval of the contracts that fundingInfo does not list."""

_PERPETUALS = ("PERPETUAL", "TRADIFI_PERPETUAL")
_CRYPTO = {
    # On an index of coins (BTCDOM, DEFI), too: indices of anything else are typed TRADIFI_PERPETUAL.
    "COIN": AssetClass.CRYPTO,
    "INDEX": AssetClass.CRYPTO,
}
_TRADFI = {
    "EQUITY": AssetClass.STOCK,
    "HK_EQUITY": AssetClass.STOCK,
    "KR_EQUITY": AssetClass.STOCK,
    "CN_EQUITY": AssetClass.STOCK,
    "PREMARKET": AssetClass.STOCK,
    "COMMODITY": AssetClass.COMMODITY,
    "FX": AssetClass.FOREX,
}
"""What `underlyingType` says of a contract."""

_NO_TRADING = "NO_TRADING"

_CLOSE_TOLERANCE = 0.01
"""The 24 h window moves in steps, so the last price may lie this share outside its low and high."""

_INTERVALS_MS = {"1m": 60_000, "1h": HOUR_MS}


def parse_ticker(raw: object, seen_ms: int, skew_ms: int = 0) -> Ticker | Reject:
    """One element of the `!ticker@arr` stream."""
    try:
        row = _event(raw, "24hrTicker")
        price = checks.price(row.get("c"), "c")
        _within_day(price, row.get("l"), row.get("h"))
        return Ticker(
            symbol=checks.text(row, "s"),
            price=price,
            change_pct=checks.change_pct(checks.number(row.get("P"), "P", -1e9, 1e9)),
            volume_quote=checks.volume(row.get("q"), "q"),
            event_ms=checks.moment(row.get("E"), "E", seen_ms + skew_ms),
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return bad.reject("ticker", raw, "s")


def parse_rest_ticker(raw: object, seen_ms: int, skew_ms: int = 0) -> Ticker | Reject:
    """One element of `GET /fapi/v1/ticker/24hr`."""
    try:
        row = checks.fields(raw)
        price = checks.price(row.get("lastPrice"), "lastPrice")
        _within_day(price, row.get("lowPrice"), row.get("highPrice"))
        return Ticker(
            symbol=checks.text(row, "symbol"),
            price=price,
            change_pct=checks.change_pct(checks.number(row.get("priceChangePercent"), "priceChangePercent", -1e9, 1e9)),
            volume_quote=checks.volume(row.get("quoteVolume"), "quoteVolume"),
            event_ms=_last_trade(row.get("closeTime"), "closeTime", seen_ms + skew_ms),
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return bad.reject("ticker", raw, "symbol")


def parse_funding(raw: object, seen_ms: int, skew_ms: int = 0) -> Funding | Reject:
    """One element of the `!markPrice@arr@1s` stream."""
    try:
        row = _event(raw, "markPriceUpdate")
        return _funding(row, "s", "p", "r", "T", "E", seen_ms, skew_ms)
    except Bad as bad:
        return bad.reject("funding", raw, "s")


def parse_rest_funding(raw: object, seen_ms: int, skew_ms: int = 0) -> Funding | Reject:
    """One element of `GET /fapi/v1/premiumIndex`."""
    try:
        row = checks.fields(raw)
        return _funding(row, "symbol", "markPrice", "lastFundingRate", "nextFundingTime", "time", seen_ms, skew_ms)
    except Bad as bad:
        return bad.reject("funding", raw, "symbol")


def _funding(
    row: Raw, symbol: str, mark: str, rate: str, following: str, event: str, seen_ms: int, skew_ms: int
) -> Funding:
    now_ms = seen_ms + skew_ms
    return Funding(
        symbol=checks.text(row, symbol),
        mark_price=checks.price(row.get(mark), mark),
        rate=checks.number(row.get(rate), rate, -MAX_FUNDING, MAX_FUNDING),
        next_funding_ms=checks.next_funding(row.get(following), following, now_ms),
        event_ms=checks.moment(row.get(event), event, now_ms),
        seen_ms=seen_ms,
        skew_ms=skew_ms,
    )


def parse_candle(raw: object, seen_ms: int, skew_ms: int = 0, interval: str = "1h") -> Candle | Reject:
    """One `<symbol>@kline_<interval>` message; `volume_quote` is `k.q`."""
    try:
        row = _event(raw, "kline")
        kline = checks.fields(row.get("k"))
        if kline.get("i") != interval:
            raise Bad("malformed", f"expected interval {interval}, was {checks.short(kline.get('i'))}")
        now_ms = seen_ms + skew_ms
        opened, high, low, close = checks.candle_prices(kline.get("o"), kline.get("h"), kline.get("l"), kline.get("c"))
        closed = kline.get("x")
        if not isinstance(closed, bool):
            raise Bad("malformed", f"expected x as true or false, was {checks.short(closed)}")
        return Candle(
            symbol=checks.text(row, "s"),
            open_ms=checks.candle_start(kline.get("t"), "t", now_ms, _INTERVALS_MS[interval]),
            open=opened,
            high=high,
            low=low,
            close=close,
            volume_quote=checks.volume(kline.get("q"), "q"),
            closed=closed,
            event_ms=checks.moment(row.get("E"), "E", now_ms),
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return bad.reject("candle", raw, "s")


def parse_rest_candle(
    symbol: str, raw: object, asked_ms: int, seen_ms: int, skew_ms: int = 0, interval: str = "1h"
) -> Candle | Reject:
    """One row of `GET /fapi/v1/klines`; `asked_ms` is the exchange's clock when the request was sent.

    The row has no event time: a closed candle gets its end, the open one the moment of the request. So part of an hour
    must not pass for the whole: `asked_ms` may be too early, but never too late.
    """
    length_ms = _INTERVALS_MS[interval]
    try:
        row = checks.items(raw)
        if len(row) < 8:
            raise Bad("malformed", f"expected 8 or more columns, was {len(row)}")
        start = checks.candle_start(row[0], "open time", seen_ms + skew_ms, length_ms)
        opened, high, low, close = checks.candle_prices(row[1], row[2], row[3], row[4])
        volume = checks.volume(row[7], "quote volume")
    except Bad as bad:
        return Reject("candle", bad.reason, symbol, bad.detail)
    event_ms = min(max(asked_ms, start), start + length_ms)
    closed = event_ms == start + length_ms
    return Candle(symbol, start, opened, high, low, close, volume, closed, event_ms, seen_ms, skew_ms)


def parse_open_interest(raw: object, seen_ms: int, skew_ms: int = 0) -> OpenInterest | Reject:
    """`GET /fapi/v1/openInterest`: contracts of one base unit each."""
    try:
        row = checks.fields(raw)
        return OpenInterest(
            symbol=checks.text(row, "symbol"),
            contracts=checks.number(row.get("openInterest"), "openInterest", 0.0, MAX_CONTRACTS),
            event_ms=_last_trade(row.get("time"), "time", seen_ms + skew_ms),
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return bad.reject("open_interest", raw, "symbol")


def parse_past_open_interest(raw: object, seen_ms: int, skew_ms: int = 0) -> OpenInterest | Reject:
    """One row of `GET /futures/data/openInterestHist`: contracts of one base unit each."""
    try:
        row = checks.fields(raw)
        return OpenInterest(
            symbol=checks.text(row, "symbol"),
            contracts=checks.number(row.get("sumOpenInterest"), "sumOpenInterest", 0.0, MAX_CONTRACTS),
            event_ms=checks.past(row.get("timestamp"), "timestamp", seen_ms + skew_ms),
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return bad.reject("open_interest", raw, "symbol")


def parse_funding_payment(raw: object, seen_ms: int, skew_ms: int = 0) -> Payment | Reject:
    """One row of `GET /fapi/v1/fundingRate`: what was paid at the end of one funding period."""
    try:
        row = checks.fields(raw)
        rate = checks.number(row.get("fundingRate"), "fundingRate", -MAX_FUNDING, MAX_FUNDING)
        return Payment(checks.past(row.get("fundingTime"), "fundingTime", seen_ms + skew_ms), rate)
    except Bad as bad:
        return bad.reject("funding_payment", raw, "symbol")


def parse_funding_hours(raw: object) -> dict[str, int]:
    """Symbol to hours from `GET /fapi/v1/fundingInfo`, which lists only contracts whose interval was adjusted.

    An entry that cannot be read is left out: the contract keeps the default interval.
    """
    hours: dict[str, int] = {}
    try:
        rows = checks.items(raw)
    except Bad:
        return hours
    for entry in rows:
        try:
            row = checks.fields(entry)
            hours[checks.text(row, "symbol")] = int(
                checks.number(row.get("fundingIntervalHours"), "fundingIntervalHours", 1, 24)
            )
        except Bad:
            continue
    return hours


def parse_closed_hours(raw: object) -> dict[str, tuple[Span, ...]]:
    """When the markets of underlyings are closed, by `underlyingType`, from `GET /fapi/v1/tradingSchedule`.

    It tells a week of sessions, of which those called `NO_TRADING` are meant. What cannot be read is left out.
    """
    closed: dict[str, tuple[Span, ...]] = {}
    try:
        markets = checks.fields(checks.fields(raw).get("marketSchedules"))
    except Bad:
        return closed
    for market, schedule in markets.items():
        spans: list[Span] = []
        try:
            for entry in checks.items(checks.fields(schedule).get("sessions")):
                session = checks.fields(entry)
                if session.get("type") == _NO_TRADING:
                    begin_ms = int(checks.number(session.get("startTime"), "startTime", 0, 1e15))
                    end_ms = int(checks.number(session.get("endTime"), "endTime", 0, 1e15))
                    spans.append((begin_ms, end_ms))
        except Bad:
            continue
        closed[market] = tuple(spans)
    return closed


def parse_instruments(
    exchange_info: object, funding_hours: Mapping[str, int], closed: Mapping[str, tuple[Span, ...]] | None = None
) -> list[Instrument | Reject]:
    """The USDT-quoted linear perpetuals in trading state of `GET /fapi/v1/exchangeInfo`.

    `funding_hours` and `closed` are what `parse_funding_hours` and `parse_closed_hours` read.
    Contracts of other kinds or states are left out without a reject. A whole answer of the wrong shape is one reject.
    """
    try:
        rows = checks.items(checks.fields(exchange_info).get("symbols"))
    except Bad as bad:
        return [bad.reject("instrument", exchange_info, "symbol")]
    result: list[Instrument | Reject] = []
    for entry in rows:
        try:
            row = checks.fields(entry)
            if not _is_listed_perpetual(row):
                continue
            symbol = checks.text(row, "symbol")
            step, decimals = checks.tick_size(_tick_size(row), "tickSize")
            listed = row.get("onboardDate")
            result.append(
                Instrument(
                    symbol=symbol,
                    base=checks.text(row, "baseAsset"),
                    tick_size=step,
                    price_decimals=decimals,
                    funding_interval_hours=funding_hours.get(symbol, DEFAULT_FUNDING_HOURS),
                    listed_ms=int(checks.number(listed, "onboardDate", 0, 1e15)) if listed else None,
                    delivery_ms=checks.delivery(row.get("deliveryDate")),
                    asset_class=_asset_class(row),
                    closed=(closed or {}).get(str(row.get("underlyingType")), ()),
                )
            )
        except Bad as bad:
            result.append(bad.reject("instrument", entry, "symbol"))
    return result


def _is_listed_perpetual(row: Raw) -> bool:
    return (
        row.get("contractType") in _PERPETUALS
        and row.get("quoteAsset") == "USDT"
        and row.get("marginAsset", "USDT") == "USDT"
        and row.get("status") == "TRADING"
    )


def _asset_class(row: Raw) -> AssetClass:
    """Crypto is only what is typed as a plain perpetual and said to be on coins, or said to be on nothing else."""
    word = row.get("underlyingType")
    tradfi = _TRADFI.get(word, AssetClass.OTHER) if isinstance(word, str) else AssetClass.OTHER
    if row.get("contractType") != "PERPETUAL":
        return tradfi
    return AssetClass.CRYPTO if not word else _CRYPTO.get(str(word), tradfi)


def _tick_size(row: Raw) -> object:
    for entry in checks.items(row.get("filters")):
        price_filter = checks.fields(entry)
        if price_filter.get("filterType") == "PRICE_FILTER":
            return price_filter.get("tickSize")
    raise Bad("missing", "expected a PRICE_FILTER, was none")


def _event(raw: object, name: str) -> Raw:
    row = checks.fields(raw)
    if row.get("e") != name:
        raise Bad("malformed", f"expected event {name}, was {checks.short(row.get('e'))}")
    return row


def _last_trade(value: object, name: str, now_ms: int) -> int:
    return checks.moment(value, name, now_ms, behind_ms=checks.MAX_REST_BEHIND_MS)


def _within_day(price: float, low: object, high: object) -> None:
    lowest, highest = checks.price(low, "low"), checks.price(high, "high")
    if lowest > highest or not lowest * (1 - _CLOSE_TOLERANCE) <= price <= highest * (1 + _CLOSE_TOLERANCE):
        raise Bad("crossed", f"expected a price from {lowest:g} to {highest:g}, was {price:g}")
