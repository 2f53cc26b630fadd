"""Candles of every length from the market's minutes and hours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.history import Bar
from flashcur.services.simulator.market import HOUR_MS, MINUTE_MS, Market
from flashcur.services.simulator.wire import INTERVAL_MS

MAX_ROWS: Final = 1500


def merge(bars: Iterable[Bar]) -> Bar | None:
    """One bar for several consecutive ones; None for none."""
    merged: Bar | None = None
    for bar in bars:
        if merged is None:
            merged = bar
            continue
        merged = Bar(
            merged.open, max(merged.high, bar.high), min(merged.low, bar.low), bar.close, merged.volume + bar.volume,
            merged.quote + bar.quote, merged.trades + bar.trades, merged.buy_volume + bar.buy_volume,
            merged.buy_quote + bar.buy_quote,
        )  # fmt: skip
    return merged


def candle(market: Market, c: LiveContract, interval: str, open_ms: int) -> Bar | None:
    """The candle of `interval` that begins at `open_ms`, as far as it goes; None where there was no trading."""
    length = INTERVAL_MS[interval]
    if length >= HOUR_MS:
        first = open_ms // HOUR_MS
        return merge(bar for _, bar in market.bars(c, first, first + length // HOUR_MS - 1))
    start = open_ms % HOUR_MS // MINUTE_MS
    minutes = market.minute_bars(c, open_ms // HOUR_MS)
    return merge(bar for m, bar in minutes if start <= m < start + length // MINUTE_MS)


def candles(
    market: Market, c: LiveContract, interval: str, now_ms: int, start_ms: int | None, end_ms: int | None, limit: int
) -> list[tuple[int, Bar]]:
    """At most `limit` candles with their opening times, oldest first, the one in progress included.

    With `start_ms` the first ones from there, otherwise the last ones up to `end_ms` (or now).
    """
    length = INTERVAL_MS[interval]
    last = min(now_ms, end_ms if end_ms is not None else now_ms) // length * length
    listed = c.listed_ms // length * length
    first = max(listed, last - (limit - 1) * length)
    if start_ms is not None:
        first = max(listed, -(-start_ms // length) * length)
        last = min(last, first + (limit - 1) * length)
    if first > last:
        return []
    buckets: dict[int, list[Bar]] = {}
    if length >= HOUR_MS:
        for hour, bar in market.bars(c, first // HOUR_MS, (last + length) // HOUR_MS - 1):
            at = hour * HOUR_MS
            buckets.setdefault(at - at % length, []).append(bar)
    else:
        for hour in range(first // HOUR_MS, last // HOUR_MS + 1):
            for minute, bar in market.minute_bars(c, hour):
                at = hour * HOUR_MS + minute * MINUTE_MS
                buckets.setdefault(at - at % length, []).append(bar)
    rows: list[tuple[int, Bar]] = []
    for at in sorted(buckets):
        bar = merge(buckets[at])
        if bar is not None and first <= at <= last:
            rows.append((at, bar))
    return rows
