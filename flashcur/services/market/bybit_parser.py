"""Bybit v5 linear messages to ticks. Pure: nothing raises; the only state is `TickerMerge`, one dict a symbol.

A ticker message is a snapshot or a delta with the changed fields only, so what was sent before is kept by symbol and
the merged row is parsed. One row carries last price, mark price and funding, and open interest.

`seen_ms` is our clock; `skew_ms` is how far the exchange's clock is ahead of it.
"""

from __future__ import annotations

from typing import cast

from flashcur.domain.assets import AssetClass
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Tick, Ticker
from flashcur.services.market import checks
from flashcur.services.market.checks import HOUR_MS, MAX_CONTRACTS, MAX_FUNDING, Bad, Raw

CONFIRM_MS = 1_000
"""A delta without news about a value still confirms it; it is passed on as a tick at most this often."""

_CLASSES = {
    # The zones of new and of risky coins; no word is what most coins have.
    "": AssetClass.CRYPTO,
    "innovation": AssetClass.CRYPTO,
    "adventure": AssetClass.CRYPTO,
    "stock": AssetClass.STOCK,
    "xstocks": AssetClass.STOCK,
    "mstocks": AssetClass.STOCK,
    "etf": AssetClass.STOCK,
    "commodity": AssetClass.COMMODITY,
    "forex": AssetClass.FOREX,
}
"""What `symbolType` says of a contract."""

_TICKER_FIELDS = frozenset({"lastPrice", "price24hPcnt", "turnover24h"})
_FUNDING_FIELDS = frozenset({"markPrice", "fundingRate", "nextFundingTime"})
_OPEN_INTEREST_FIELDS = frozenset({"openInterest"})
_KEPT_FIELDS = _TICKER_FIELDS | _FUNDING_FIELDS | _OPEN_INTEREST_FIELDS


class TickerMerge:
    """The last known ticker row of every symbol on one connection."""

    def __init__(self) -> None:
        self._rows: dict[str, Raw] = {}
        self._sent_ms: dict[tuple[str, str], int] = {}

    def clear(self) -> None:
        """Forget everything: a new connection starts with snapshots."""
        self._rows.clear()
        self._sent_ms.clear()

    def parse(self, raw: object, seen_ms: int, skew_ms: int = 0) -> list[Tick | Reject]:
        """A `tickers.<symbol>` message; the list holds up to one ticker, funding and open interest."""
        try:
            message = checks.fields(raw)
            data = checks.fields(message.get("data"))
            symbol = checks.text(data, "symbol")
            kind = message.get("type")
            event_ms = checks.moment(message.get("ts"), "ts", seen_ms + skew_ms)
            changed = {key: data[key] for key in _KEPT_FIELDS if key in data}
            known = self._rows.get(symbol)
            if kind == "snapshot":
                row: Raw = {"symbol": symbol, **changed}
            elif kind != "delta":
                raise Bad("malformed", f"expected type snapshot or delta, was {checks.short(kind)}")
            elif known is None:
                raise Bad("missing", "expected a snapshot before the first delta")
            else:
                row = {**known, **changed}
        except Bad as bad:
            return [bad.reject("ticker", _data(raw), "symbol")]
        self._rows[symbol] = row
        result: list[Tick | Reject] = []
        if self._due(symbol, "ticker", event_ms, not _TICKER_FIELDS.isdisjoint(changed)):
            result.append(self._kept(parse_ticker(row, event_ms, seen_ms, skew_ms), row, known, _TICKER_FIELDS))
        if self._due(symbol, "funding", event_ms, not _FUNDING_FIELDS.isdisjoint(changed)):
            result.append(self._kept(parse_funding(row, event_ms, seen_ms, skew_ms), row, known, _FUNDING_FIELDS))
        if self._due(symbol, "open_interest", event_ms, not _OPEN_INTEREST_FIELDS.isdisjoint(changed)):
            result.append(
                self._kept(parse_open_interest(row, event_ms, seen_ms, skew_ms), row, known, _OPEN_INTEREST_FIELDS)
            )
        return result

    @staticmethod
    def _kept(parsed: Tick | Reject, row: Raw, known: Raw | None, names: frozenset[str]) -> Tick | Reject:
        # A bad value must not spoil the deltas that follow: what was known before stays.
        if isinstance(parsed, Reject) and known is not None:
            for name in names:
                row[name] = known.get(name)
        return parsed

    def _due(self, symbol: str, kind: str, event_ms: int, news: bool) -> bool:
        key = (symbol, kind)
        if not news and event_ms - self._sent_ms.get(key, 0) < CONFIRM_MS:
            return False
        self._sent_ms[key] = event_ms
        return True


def parse_ticker(raw: object, event_ms: int, seen_ms: int, skew_ms: int = 0) -> Ticker | Reject:
    """A whole ticker row; `price24hPcnt` is a fraction there."""
    try:
        row = checks.fields(raw)
        return Ticker(
            symbol=checks.text(row, "symbol"),
            price=checks.price(row.get("lastPrice"), "lastPrice"),
            change_pct=checks.change_pct(
                round(100 * checks.number(row.get("price24hPcnt"), "price24hPcnt", -1e9, 1e9), 6)
            ),
            volume_quote=checks.volume(row.get("turnover24h"), "turnover24h"),
            event_ms=event_ms,
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return bad.reject("ticker", raw, "symbol")


def parse_funding(raw: object, event_ms: int, seen_ms: int, skew_ms: int = 0) -> Funding | Reject:
    """Mark price and funding of a whole ticker row."""
    try:
        row = checks.fields(raw)
        return Funding(
            symbol=checks.text(row, "symbol"),
            mark_price=checks.price(row.get("markPrice"), "markPrice"),
            rate=checks.number(row.get("fundingRate"), "fundingRate", -MAX_FUNDING, MAX_FUNDING),
            next_funding_ms=checks.next_funding(row.get("nextFundingTime"), "nextFundingTime", seen_ms + skew_ms),
            event_ms=event_ms,
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return bad.reject("funding", raw, "symbol")


def parse_open_interest(raw: object, event_ms: int, seen_ms: int, skew_ms: int = 0) -> OpenInterest | Reject:
    """Open interest of a whole ticker row, in base units."""
    try:
        row = checks.fields(raw)
        contracts = checks.number(row.get("openInterest"), "openInterest", 0.0, MAX_CONTRACTS)
        return OpenInterest(checks.text(row, "symbol"), contracts, event_ms, seen_ms, skew_ms)
    except Bad as bad:
        return bad.reject("open_interest", raw, "symbol")


def parse_tickers(raw: object, seen_ms: int, skew_ms: int = 0) -> list[Tick | Reject]:
    """`GET /v5/market/tickers`: ticker, funding and open interest of every contract."""
    try:
        event_ms = checks.moment(checks.fields(raw).get("time"), "time", seen_ms + skew_ms)
        rows = checks.items(_result(raw).get("list"))
    except Bad as bad:
        return [bad.reject("ticker", raw, "symbol")]
    result: list[Tick | Reject] = []
    for row in rows:
        result.append(parse_ticker(row, event_ms, seen_ms, skew_ms))
        result.append(parse_funding(row, event_ms, seen_ms, skew_ms))
        result.append(parse_open_interest(row, event_ms, seen_ms, skew_ms))
    return result


def parse_candles(raw: object, seen_ms: int, skew_ms: int = 0) -> list[Candle | Reject]:
    """A `kline.60.<symbol>` message; `volume_quote` is `turnover`.

    A candle's own time is that of its last trade, maybe minutes ago: that it still stands is told at the message's.
    """
    try:
        message = checks.fields(raw)
        prefix, _, symbol = checks.text(message, "topic").rpartition(".")
        if prefix != "kline.60":
            raise Bad("malformed", f"expected topic kline.60, was {checks.short(prefix)}")
        sent_ms = checks.moment(message["ts"], "ts", seen_ms + skew_ms) if "ts" in message else 0
        rows = checks.items(message.get("data"))
    except Bad as bad:
        return [Reject("candle", bad.reason, None, bad.detail)]
    return [_candle(symbol, row, sent_ms, seen_ms, skew_ms) for row in rows]


def _candle(symbol: str, raw: object, sent_ms: int, seen_ms: int, skew_ms: int) -> Candle | Reject:
    now_ms = seen_ms + skew_ms
    try:
        row = checks.fields(raw)
        prices = [row.get(name) for name in ("open", "high", "low", "close")]
        opened, high, low, close = checks.candle_prices(*prices)
        closed = row.get("confirm")
        if not isinstance(closed, bool):
            raise Bad("malformed", f"expected confirm as true or false, was {checks.short(closed)}")
        return Candle(
            symbol=symbol,
            open_ms=checks.candle_start(row.get("start"), "start", now_ms, HOUR_MS),
            open=opened,
            high=high,
            low=low,
            close=close,
            volume_quote=checks.volume(row.get("turnover"), "turnover"),
            closed=closed,
            event_ms=max(sent_ms, checks.moment(row.get("timestamp"), "timestamp", now_ms)),
            seen_ms=seen_ms,
            skew_ms=skew_ms,
        )
    except Bad as bad:
        return Reject("candle", bad.reason, symbol, bad.detail)


def parse_rest_candles(
    symbol: str, raw: object, seen_ms: int, skew_ms: int = 0, length_ms: int = HOUR_MS
) -> list[Candle | Reject]:
    """`GET /v5/market/kline`, newest first there, oldest first here; `length_ms` is that of a candle."""
    try:
        answered_ms = checks.moment(checks.fields(raw).get("time"), "time", seen_ms + skew_ms)
        rows = checks.items(_result(raw).get("list"))
    except Bad as bad:
        return [Reject("candle", bad.reason, symbol, bad.detail)]
    return [_rest_candle(symbol, row, answered_ms, seen_ms, skew_ms, length_ms) for row in reversed(rows)]


def _rest_candle(
    symbol: str, raw: object, answered_ms: int, seen_ms: int, skew_ms: int, length_ms: int
) -> Candle | Reject:
    try:
        row = checks.items(raw)
        if len(row) < 7:
            raise Bad("malformed", f"expected 7 columns, was {len(row)}")
        start = checks.candle_start(row[0], "start", answered_ms, length_ms)
        opened, high, low, close = checks.candle_prices(row[1], row[2], row[3], row[4])
        volume = checks.volume(row[6], "turnover")
    except Bad as bad:
        return Reject("candle", bad.reason, symbol, bad.detail)
    event_ms = min(answered_ms, start + length_ms)
    closed = event_ms == start + length_ms
    return Candle(symbol, start, opened, high, low, close, volume, closed, event_ms, seen_ms, skew_ms)


def parse_rest_open_interest(symbol: str, raw: object, seen_ms: int, skew_ms: int = 0) -> OpenInterest | Reject:
    """`GET /v5/market/open-interest`: the newest entry of the history."""
    return parse_past_open_interest(symbol, raw, seen_ms, skew_ms, is_newest=True)[0]


def parse_past_open_interest(
    symbol: str, raw: object, seen_ms: int, skew_ms: int = 0, *, is_newest: bool = False
) -> list[OpenInterest | Reject]:
    """`GET /v5/market/open-interest`: the history, newest first; one reject or more entries, never empty."""
    try:
        rows = checks.items(_result(raw).get("list"))
        if not rows:
            raise Bad("missing", "expected one entry or more, was none")
    except Bad as bad:
        return [Reject("open_interest", bad.reason, symbol, bad.detail)]
    return [_past_open_interest(symbol, row, seen_ms, skew_ms, is_newest) for row in rows]


def _past_open_interest(symbol: str, raw: object, seen_ms: int, skew_ms: int, is_newest: bool) -> OpenInterest | Reject:
    try:
        row = checks.fields(raw)
        contracts = checks.number(row.get("openInterest"), "openInterest", 0.0, MAX_CONTRACTS)
        checked = checks.moment if is_newest else checks.past
        event_ms = checked(row.get("timestamp"), "timestamp", seen_ms + skew_ms)
    except Bad as bad:
        return Reject("open_interest", bad.reason, symbol, bad.detail)
    return OpenInterest(symbol, contracts, event_ms, seen_ms, skew_ms)


def parse_funding_payments(symbol: str, raw: object, seen_ms: int, skew_ms: int = 0) -> list[Payment | Reject]:
    """`GET /v5/market/funding/history`: what was paid at the end of each funding period, newest first."""
    try:
        rows = checks.items(_result(raw).get("list"))
    except Bad as bad:
        return [Reject("funding_payment", bad.reason, symbol, bad.detail)]
    return [_payment(symbol, row, seen_ms + skew_ms) for row in rows]


def _payment(symbol: str, raw: object, now_ms: int) -> Payment | Reject:
    try:
        row = checks.fields(raw)
        rate = checks.number(row.get("fundingRate"), "fundingRate", -MAX_FUNDING, MAX_FUNDING)
        return Payment(checks.past(row.get("fundingRateTimestamp"), "fundingRateTimestamp", now_ms), rate)
    except Bad as bad:
        return Reject("funding_payment", bad.reason, symbol, bad.detail)


def parse_instruments(raw: object) -> tuple[list[Instrument | Reject], str]:
    """One page of `GET /v5/market/instruments-info` and the cursor of the next one, "" after the last.

    Only USDT-quoted linear perpetuals in trading state; contracts of other kinds are left out without a reject.
    """
    try:
        page = _result(raw)
        rows = checks.items(page.get("list"))
    except Bad as bad:
        return [bad.reject("instrument", raw, "symbol")], ""
    result: list[Instrument | Reject] = []
    for entry in rows:
        try:
            row = checks.fields(entry)
            if not _is_listed_perpetual(row):
                continue
            step, decimals = checks.tick_size(checks.fields(row.get("priceFilter")).get("tickSize"), "tickSize")
            launched = row.get("launchTime")
            minutes = checks.number(row.get("fundingInterval"), "fundingInterval", 60, 1440)
            result.append(
                Instrument(
                    symbol=checks.text(row, "symbol"),
                    base=checks.text(row, "baseCoin"),
                    tick_size=step,
                    price_decimals=decimals,
                    funding_interval_hours=int(minutes) // 60,
                    listed_ms=int(checks.number(launched, "launchTime", 0, 1e15)) if launched else None,
                    delivery_ms=checks.delivery(row.get("deliveryTime")),
                    asset_class=_asset_class(row),
                )
            )
        except Bad as bad:
            result.append(bad.reject("instrument", entry, "symbol"))
    cursor = page.get("nextPageCursor")
    return result, cursor if isinstance(cursor, str) else ""


def _is_listed_perpetual(row: Raw) -> bool:
    return (
        row.get("contractType") == "LinearPerpetual"
        and row.get("quoteCoin") == "USDT"
        and row.get("status") == "Trading"
    )


def _asset_class(row: Raw) -> AssetClass:
    word = row.get("symbolType")
    if word is None:
        return AssetClass.CRYPTO
    return _CLASSES.get(word.lower(), AssetClass.OTHER) if isinstance(word, str) else AssetClass.OTHER


def _result(raw: object) -> Raw:
    return checks.fields(checks.fields(raw).get("result"))


def _data(raw: object) -> object:
    return cast(Raw, raw).get("data") if isinstance(raw, dict) else None
