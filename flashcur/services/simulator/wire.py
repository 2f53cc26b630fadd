"""Texts of the exchange's stream messages and WebSocket frames around them.

Messages are written as text directly: one f-string per contract costs a fifth of building a dict and encoding it, and
a frame is built once for all the connections that get it.
"""

from __future__ import annotations

import math
from typing import Final

from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.history import Bar
from flashcur.services.simulator.noise import GAUSS, draw

HOUR_MS: Final = 3_600_000
INTERVAL_MS: Final = {
    "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": HOUR_MS, "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS, "6h": 6 * HOUR_MS, "8h": 8 * HOUR_MS, "12h": 12 * HOUR_MS, "1d": 24 * HOUR_MS,
}  # fmt: skip
"""Candle lengths that are served."""


class Rolling:
    """The rolling 24 hours of a contract at a moment."""

    __slots__ = ("high", "low", "open", "quote", "trades", "volume")

    def __init__(self, c: LiveContract, now_ms: int) -> None:
        gone = now_ms % HOUR_MS / HOUR_MS
        self.quote = c.quote_23 + c.quote
        self.volume = c.volume_23 + c.volume
        self.trades = c.trades_23 + round(c.quote / (60.0 + 0.02 * math.sqrt(c.spec.volume_24h)))
        self.high = c.high if c.high > c.high_23 else c.high_23
        self.low = c.low if c.low < c.low_23 else c.low_23
        window = c.window
        if len(window) == 24:
            # The oldest hour leaves the window evenly while the running one fills.
            old = window[0]
            left = 1.0 - gone
            self.quote += old.quote * left
            self.volume += old.volume * left
            self.trades += round(old.trades * left)
            self.open = old.open + (old.close - old.open) * gone
        else:
            self.open = window[0].open if window else c.open


def ticker_event(c: LiveContract, now_ms: int) -> str:
    """One `24hrTicker` object."""
    r = Rolling(c, now_ms)
    d, price = c.spec.price_decimals, c.price
    change = price - r.open
    return (
        f'{{"e":"24hrTicker","E":{now_ms},"s":"{c.symbol}","p":"{change:.{d}f}",'
        f'"P":"{change / r.open * 100.0:.3f}","w":"{r.quote / (r.volume or 1.0):.{d}f}","c":"{c.price_text}",'
        f'"Q":"{max(5.0, c.spec.volume_24h * 1e-7) / price:.{c.spec.quantity_decimals}f}","o":"{r.open:.{d}f}",'
        f'"h":"{r.high:.{d}f}","l":"{r.low:.{d}f}","v":"{r.volume:.{c.spec.quantity_decimals}f}",'
        f'"q":"{r.quote:.2f}","O":{now_ms - 86_400_000},"C":{now_ms},"F":1,"L":{r.trades},"n":{r.trades}}}'
    )


def mini_ticker_event(c: LiveContract, now_ms: int) -> str:
    """One `24hrMiniTicker` object."""
    r = Rolling(c, now_ms)
    d = c.spec.price_decimals
    return (
        f'{{"e":"24hrMiniTicker","E":{now_ms},"s":"{c.symbol}","c":"{c.price_text}","o":"{r.open:.{d}f}",'
        f'"h":"{r.high:.{d}f}","l":"{r.low:.{d}f}","v":"{r.volume:.{c.spec.quantity_decimals}f}","q":"{r.quote:.2f}"}}'
    )


def marks(c: LiveContract, now_ms: int) -> tuple[float, float]:
    """Mark price and index price of a contract."""
    noise = GAUSS[draw(c.key ^ 0xA1, now_ms // 1000) & 4095]
    mark = c.price * (1.0 + 0.00004 * noise)
    return mark, mark * (1.0 - 0.8 * c.rate - 0.0004)


def next_funding_ms(c: LiveContract, now_ms: int) -> int:
    """The next moment at which the contract pays funding, Unix ms; 0 for one that never does."""
    if not c.spec.perpetual:
        return 0
    interval = c.spec.funding_interval_hours * HOUR_MS
    return now_ms - now_ms % interval + interval


def mark_event(c: LiveContract, now_ms: int, mark_text: str, index: float) -> str:
    """One `markPriceUpdate` object."""
    return (
        f'{{"e":"markPriceUpdate","E":{now_ms},"s":"{c.symbol}","p":"{mark_text}","P":"{index:.8f}",'
        f'"i":"{index:.8f}","r":"{c.rate_text}","T":{next_funding_ms(c, now_ms)}}}'
    )


def kline_event(c: LiveContract, interval: str, open_ms: int, bar: Bar, closed: bool, now_ms: int) -> str:
    """One `kline` message."""
    d, qd = c.spec.price_decimals, c.spec.quantity_decimals
    return (
        f'{{"e":"kline","E":{now_ms},"s":"{c.symbol}","k":{{"t":{open_ms},"T":{open_ms + INTERVAL_MS[interval] - 1},'
        f'"s":"{c.symbol}","i":"{interval}","f":1,"L":{bar.trades},"o":"{bar.open:.{d}f}","c":"{bar.close:.{d}f}",'
        f'"h":"{bar.high:.{d}f}","l":"{bar.low:.{d}f}","v":"{bar.volume:.{qd}f}","n":{bar.trades},'
        f'"x":{"true" if closed else "false"},"q":"{bar.quote:.2f}","V":"{bar.buy_volume:.{qd}f}",'
        f'"Q":"{bar.buy_quote:.2f}","B":"0"}}}}'
    )


def wrap(stream: str, payload: str) -> str:
    """The message as a combined-stream connection gets it."""
    return f'{{"stream":"{stream}","data":{payload}}}'


def frame(text: str) -> bytes:
    """An unmasked WebSocket text frame (RFC 6455), as a server sends it."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
